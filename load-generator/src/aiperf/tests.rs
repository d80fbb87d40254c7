use std::num::NonZeroU32;

use super::*;
use crate::endpoint::Endpoint;
use crate::sample::{Chunk, CountedBy};
use crate::validity::Limits;
use crate::workload::KvReuse;

fn target() -> Target {
    Target {
        endpoint: Endpoint::parse("localhost:8000").expect("an endpoint"),
        api: Api::Chat,
        model: "m".to_owned(),
        api_key: None,
        extra: Map::new(),
    }
}

fn run() -> Run {
    let sample = |index: u32| {
        let start = f64::from(index) * 5.0;
        let chunks = [30.0, 40.0, 60.0].map(|ms| Chunk {
            at_ms: start + ms + f64::from(index),
            tokens: 1,
        });
        Sample {
            index: usize::try_from(index).expect("small"),
            isl: 10,
            osl: 3,
            intended_ms: start,
            sent_ms: start,
            counts_from_intended: false,
            head_ms: None,
            end_ms: chunks[2].at_ms,
            chunks: chunks.to_vec(),
            usage: None,
            server_timing: None,
            counted_by: CountedBy::Tokenizer,
            reused_connection: true,
            failure: None,
        }
    };
    Run {
        samples: (0..5).map(sample).collect(),
        warmup: Vec::new(),
        concurrency: NonZeroU32::new(5),
        wall_s: 0.1,
        cpu_s: 0.01,
        threads: 1,
    }
}

#[test]
fn what_is_exported_is_what_upstream_reads_and_comes_back() {
    let summary = Summary::of(&run(), KvReuse::Fresh, &Limits::default());
    let export = export(&run(), &summary, &target());
    let near = |value: &Value, expected: f64| {
        let value = value.as_f64().expect("a number");
        assert!((value - expected).abs() < 1e-9, "{value} {expected}");
    };
    // The fields that upstream's profiler reads.
    near(&export["time_to_first_token"]["avg"], 32.0);
    near(&export["time_to_first_token"]["max"], 34.0);
    near(&export["inter_token_latency"]["avg"], 15.0);
    near(
        &export["output_token_throughput"]["avg"],
        summary.output_tokens_per_s,
    );
    near(&export["inter_token_latency"]["p99"], 15.0);
    assert_eq!(export["schema_version"], "1.4");

    let back = import(&export.to_string()).expect("results");
    assert_eq!(back.ttft_ms.map(|ttft| Distribution { ci95: None, ..ttft }), {
        summary.ttft_ms.map(|ttft| Distribution { ci95: None, ..ttft })
    });
    assert_eq!((back.requests, back.errors, back.valid), (5, 0, true));
}

#[test]
fn results_without_latencies_are_not_valid() {
    let none = import("{}").expect("results");
    assert!(!none.valid);
    assert!(import("<html>").is_err());
}

#[test]
fn aiperf_is_called_as_upstream_calls_it() {
    let target = target();
    let commission = Commission {
        target: &target,
        tokenizer: Some("dir"),
        lengths: (Lengths::Fixed(3000), Lengths::Fixed(5)),
        arrivals: &Arrivals::Closed {
            concurrency: NonZeroU32::MIN,
        },
        requests: (1, 3),
        timeout_s: 1800,
        seed: 100,
        folder: Path::new("out"),
    };
    // `get_prefill_aiperf_cmd` of dynamo 1.6.1 in another order, and with the size of the data set.
    let expected = "profile --streaming --model m --tokenizer dir --endpoint-type chat --endpoint /v1/chat/completions \
                    --url http://localhost:8000 --artifact-dir out --random-seed 100 --request-timeout-seconds 1800 \
                    --synthetic-input-tokens-mean 3000 --synthetic-input-tokens-stddev 0 --output-tokens-mean 5 \
                    --output-tokens-stddev 0 --extra-inputs ignore_eos:true --extra-inputs max_tokens:5 \
                    --extra-inputs min_tokens:5 --concurrency 1 --num-dataset-entries 1 --request-count 1 \
                    --warmup-request-count 3";
    assert_eq!(commission.arguments().join(" "), expected);
}
