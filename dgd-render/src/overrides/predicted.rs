//! Which arguments of an engine a prediction rests on.
//!
//! Every generated argument does, but for those that only say how engines find each other; others do once they are
//! given. Names are compared, not spellings: `--tp 2`, `--tensor-parallel-size=2` and TensorRT-LLM's dotted settings.

use std::collections::BTreeMap;

use super::arguments::flags;

/// How an engine spreads over GPUs.
const SPREAD: [&str; 6] = [
    "tensor-parallel-size",
    "pipeline-parallel-size",
    "data-parallel-size",
    "expert-parallel-size",
    "attn-cp-size",
    "moe-tensor-parallel-size",
];

/// Generated arguments that change no prediction: the engine's role, and how it finds others.
const ROLE: [&str; 11] = [
    "disaggregation-mode",
    "disaggregation-transfer-backend",
    "disaggregation-bootstrap-port",
    "host",
    "kv-transfer-config",
    "kv-events-config",
    "publish-kv-events",
    "trust-remote-code",
    "trtllm.cache-transceiver-config.backend",
    "trtllm.disable-overlap-scheduler",
    "planner-profile-data",
];

/// Arguments that are not always generated, and that a prediction rests on once they are given.
const ALSO_PREDICTED: [&str; 16] = [
    "block-size",
    "kv-cache-dtype",
    "dtype",
    "quantization",
    "max-total-tokens",
    "num-gpu-blocks-override",
    "enforce-eager",
    "disable-cuda-graph",
    "disable-radix-cache",
    "enable-expert-parallel",
    "enable-attention-dp",
    "enable-dp-attention",
    "speculative-config",
    "speculative-algorithm",
    "extra-engine-args",
    "override-engine-args",
];

/// Arguments that a part changes, in words.
#[derive(Debug, Default)]
pub(super) struct Changes {
    /// Those that the prediction rests on.
    pub(super) predicted: Vec<String>,
    /// Those that say the role.
    pub(super) role: Vec<String>,
}

/// What became of the generated arguments.
pub(super) fn changes(before: &[String], after: &[String]) -> Changes {
    let (before, after) = (named(before), named(after));
    let mut changes = Changes::default();
    let generated = before.keys().map(String::as_str);
    let given = SPREAD
        .into_iter()
        .chain(ALSO_PREDICTED)
        .filter(|name| !before.contains_key(*name));
    for name in generated.chain(given) {
        let (planned, given) = (before.get(name), after.get(name));
        if planned == given || is_model(name) {
            continue;
        }
        let change = format!("{name} is {}, planned {}", shown(given), shown(planned));
        if ROLE.contains(&name) {
            changes.role.push(change);
        } else {
            changes.predicted.push(change);
        }
    }
    changes
}

/// Whether an engine spreads over GPUs as before.
pub(super) fn spreads_alike(before: &[String], after: &[String]) -> bool {
    let (before, after) = (named(before), named(after));
    SPREAD.iter().all(|name| before.get(*name) == after.get(*name))
}

/// Values by the name of the argument, whatever its spelling; the last one counts.
fn named(arguments: &[String]) -> BTreeMap<String, String> {
    flags(arguments)
        .into_iter()
        .map(|flag| {
            let name = canonical(flag.name.trim_start_matches('-'));
            (name.to_owned(), flag.values.join(" "))
        })
        .collect()
}

fn canonical(name: &str) -> &str {
    let name = name
        .strip_prefix("trtllm.kv-cache-config.")
        .or_else(|| name.strip_prefix("trtllm.").filter(|rest| !rest.contains('.')))
        .unwrap_or(name);
    match name {
        "tp" | "tp-size" => "tensor-parallel-size",
        "pp" | "pp-size" => "pipeline-parallel-size",
        "dp" | "dp-size" => "data-parallel-size",
        "ep" | "ep-size" | "moe-expert-parallel-size" => "expert-parallel-size",
        "disable-overlap-scheduler" => "trtllm.disable-overlap-scheduler",
        other => other,
    }
}

/// The model is checked by itself; the module is no flag.
fn is_model(name: &str) -> bool {
    matches!(
        name,
        "" | "m" | "model" | "model-path" | "model-name" | "served-model-name"
    )
}

fn shown(value: Option<&String>) -> &str {
    match value.map(String::as_str) {
        None => "not set",
        Some("") => "set",
        Some(value) => value,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Vec<String> {
        line.split_whitespace().map(str::to_owned).collect()
    }

    #[test]
    fn spellings_of_one_argument_are_one() {
        let generated = words(
            "-m dynamo.trtllm --tensor-parallel-size 2 --trtllm.kv_cache_config.free_gpu_memory_fraction 0.9 \
             --disaggregation-mode decode",
        );
        for same in ["--tp 2", "--tp=2", "--trtllm.tensor_parallel_size 2"] {
            let after: Vec<String> = generated.iter().cloned().chain(words(same)).collect();
            let changes = changes(&generated, &after);
            assert!(
                changes.predicted.is_empty() && changes.role.is_empty(),
                "{same}: {changes:?}"
            );
            assert!(spreads_alike(&generated, &after));
        }
        let other = words(
            "--tp 4 --free-gpu-memory-fraction 0.5 --enforce-eager --seed 1 --disaggregation-mode prefill",
        );
        let after: Vec<String> = generated.iter().cloned().chain(other).collect();
        let changes = changes(&generated, &after);
        assert_eq!(
            changes.predicted,
            [
                "free-gpu-memory-fraction is 0.5, planned 0.9",
                "tensor-parallel-size is 4, planned 2",
                "enforce-eager is set, planned not set",
            ]
        );
        assert_eq!(changes.role, ["disaggregation-mode is prefill, planned decode"]);
        assert!(!spreads_alike(&generated, &after));
    }
}
