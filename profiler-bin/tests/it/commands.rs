//! `estimate`, `sweep`, `support` and the generated pages.

use assert_cmd::Command;
use serde_json::Value;

use crate::run::{Sandbox, stderr, stdout};

const POINT: [&str; 17] = [
    "estimate",
    "--model",
    "Qwen/Qwen3-32B",
    "--system",
    "h200_sxm",
    "--backend",
    "trtllm",
    "--mode",
    "agg",
    "--isl",
    "3000",
    "--osl",
    "400",
    "--batch-size",
    "24",
    "--ctx-tokens",
    "6000",
];

#[test]
fn an_estimate_agrees_with_upstreams() {
    let sandbox = Sandbox::new();
    let output = sandbox.run(&[&POINT[..], &["--tp", "2", "--output", "json"]].concat());
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let answer: Value = serde_json::from_str(&stdout(&output)).unwrap();
    // aiconfigurator 0.12.0, cli_estimate(mode="agg") of the same question.
    for (key, upstream) in [
        ("ttft_ms", 780.5470),
        ("tpot_ms", 21.3914),
        ("tokens_per_s_per_gpu", 506.766),
        ("memory_gib", 45.119),
    ] {
        let ours = answer[key].as_f64().unwrap();
        assert!(
            (ours / upstream - 1.0).abs() < 5e-3,
            "{key}: {ours} against {upstream}"
        );
    }
    assert_eq!(answer["fits"], true);
    let shares = answer["provenance"]["ttft"].as_object().unwrap();
    let total: f64 = shares.values().filter_map(Value::as_f64).sum();
    assert!((total - 1.0).abs() < 1e-4, "{shares:?}");
}

#[test]
fn a_bad_line_does_not_stop_the_others() {
    let sandbox = Sandbox::new();
    let good =
        r#"{"model":"Qwen/Qwen3-8B","system":"h100_sxm","backend":"vllm","mode":"static_ctx","isl":2048}"#;
    let bad =
        r#"{"model":"Qwen/Qwen3-8B","system":"h100_sxm","backend":"nope","mode":"static_ctx","isl":2048}"#;
    let output = Command::cargo_bin("dgdr-profiler")
        .unwrap()
        .current_dir(sandbox.path(""))
        .args(["estimate", "--batch", "-"])
        .write_stdin(format!("{good}\n{bad}\nnot json\n{good}\n"))
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let lines: Vec<Value> = stdout(&output)
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(lines.len(), 4);
    assert!(lines[0]["ttft_ms"].as_f64().unwrap() > 0.0);
    assert_eq!(lines[1]["error"]["code"], "invalid-argument");
    assert!(lines[1]["error"]["message"].as_str().unwrap().contains("trtllm"));
    assert_eq!(lines[2]["error"]["code"], "invalid-line");
    assert_eq!(lines[3], lines[0]);
}

#[test]
fn a_sweep_ranks_and_explains() {
    let sandbox = Sandbox::new();
    let arguments = [
        "sweep",
        "--model",
        "Qwen/Qwen3-32B",
        "--system",
        "h200_sxm",
        "--backend",
        "trtllm",
        "--total-gpus",
        "8",
        "--output",
        "json",
    ];
    let output = sandbox.run(&arguments);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let answer: Value = serde_json::from_str(&stdout(&output)).unwrap();
    // aiconfigurator 0.12.0, `cli default` of the same question: agg, TP2, batch 56, 897.305 tokens/s/GPU.
    assert_eq!(answer["chosen"], "agg");
    let best = &answer["agg"][0];
    assert_eq!(
        (&best["mapping"]["tp"], &best["batch_size"]),
        (&2.into(), &56.into())
    );
    let throughput = best["tokens_per_s_per_gpu"].as_f64().unwrap();
    assert!((throughput / 897.305 - 1.0).abs() < 5e-3, "{throughput}");
    assert!(answer["agg"][1]["lost"].is_string());
    assert!(answer["disagg"][0]["prefill"]["workers"].is_u64());
    assert!(!answer["pareto"].as_array().unwrap().is_empty());
}

#[test]
fn support_names_what_is_missing() {
    let sandbox = Sandbox::new();
    let covered = sandbox.run(&[
        "support",
        "--model",
        "Qwen/Qwen3-32B",
        "--system",
        "h100_sxm",
        "--output",
        "json",
    ]);
    let rows: Value = serde_json::from_str(&stdout(&covered)).unwrap();
    assert_eq!(rows.as_array().unwrap().len(), 3, "{}", stderr(&covered));
    assert!(
        rows[0]["measured"].as_array().unwrap().contains(&"TP2".into()),
        "{rows}"
    );
    let too_large = sandbox.run(&[
        "support",
        "--model",
        "Qwen/Qwen3-235B-A22B",
        "--system",
        "h100_sxm",
        "--mapping",
        "TEP2",
    ]);
    assert!(
        stdout(&too_large).contains("weights exceed memory") && stdout(&too_large).contains("80.0 GiB"),
        "{}",
        stdout(&too_large)
    );
    let bare = sandbox.run(&[
        "support",
        "--model",
        "Qwen/Qwen3-32B",
        "--system",
        "l40s",
        "--output",
        "json",
    ]);
    assert_eq!(bare.status.code(), Some(0));
    let rows: Value = serde_json::from_str(&stdout(&bare)).unwrap();
    assert_eq!(
        rows[2]["roofline_only"],
        serde_json::json!(["TP2", "TP4", "TP8"]),
        "{rows}"
    );
    assert_eq!(rows[2]["impossible"][0]["mapping"], "TP1");
    assert_eq!(rows[2]["version"], Value::Null);
}

#[test]
fn a_gpu_without_measurements_is_answered_by_the_roofline_and_says_so() {
    let sandbox = Sandbox::new();
    let point = [
        "estimate",
        "--model",
        "Qwen/Qwen3-8B",
        "--system",
        "l40s",
        "--backend",
        "vllm",
        "--mode",
        "static-ctx",
        "--isl",
        "2000",
        "--tp",
        "1",
    ];
    let output = sandbox.run(&[&point[..], &["--output", "json"]].concat());
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let answer: Value = serde_json::from_str(&stdout(&output)).unwrap();
    assert_eq!(answer["backend_version"], "unmeasured");
    assert!(
        answer["provenance"]["ttft"]["roofline"].as_f64().unwrap() > 0.8,
        "{answer}"
    );
    assert!(answer["provenance"]["ttft"]["measured"].is_null(), "{answer}");
    let spoken = sandbox.run(&point);
    assert!(stdout(&spoken).contains("% roofline"), "{}", stdout(&spoken));
}

#[test]
fn usage_errors_exit_with_2_and_help_with_0() {
    let sandbox = Sandbox::new();
    assert_eq!(sandbox.run(&["--no-such-flag"]).status.code(), Some(2));
    let misplaced = sandbox.run(&["--config", "x.yaml", "support"]);
    assert_eq!(
        misplaced.status.code(),
        Some(2),
        "an argument of another command is not dropped"
    );
    let quiet = sandbox.run(&[
        "-q",
        "support",
        "--model",
        "Qwen/Qwen3-8B",
        "--system",
        "h100_sxm",
    ]);
    assert_eq!(quiet.status.code(), Some(0), "{}", stderr(&quiet));
    let help = sandbox.run(&["--help"]);
    assert_eq!(help.status.code(), Some(0));
    assert!(stdout(&help).contains("estimate"));
    assert!(stdout(&sandbox.run(&["completions", "bash"])).contains("dgdr-profiler"));
    assert!(stdout(&sandbox.run(&["man"])).contains(".TH"));
    let both = sandbox.run(&[
        "sweep",
        "--model",
        "m",
        "--system",
        "h200_sxm",
        "--total-gpus",
        "8",
        "--request-rate",
        "1",
        "--concurrency",
        "2",
    ]);
    assert_eq!(both.status.code(), Some(2));
}

#[test]
fn a_model_that_is_known_by_its_fields_only_is_predicted_with_a_warning() {
    let sandbox = Sandbox::new();
    let config = r#"{"architectures": ["NovelForCausalLM"], "num_hidden_layers": 32, "hidden_size": 4096,
        "num_attention_heads": 32, "num_key_value_heads": 8, "intermediate_size": 14336, "vocab_size": 128256,
        "max_position_embeddings": 8192, "hidden_act": "silu"}"#;
    std::fs::write(sandbox.path("config.json"), config).unwrap();
    let question = [
        "estimate",
        "--model",
        "someone/novel",
        "--model-config",
        "config.json",
        "--system",
        "h200_sxm",
        "--backend",
        "trtllm",
        "--mode",
        "static-ctx",
        "--isl",
        "2000",
        "--output",
        "json",
    ];
    let output = sandbox.run(&question);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert!(
        stderr(&output).contains("taken as a dense model"),
        "{}",
        stderr(&output)
    );
    let answer: Value = serde_json::from_str(&stdout(&output)).unwrap();
    assert!(answer["ttft_ms"].as_f64().unwrap() > 0.0);
    assert!(
        answer["assumptions"][0]
            .as_str()
            .unwrap()
            .contains("NovelForCausalLM")
    );
}
