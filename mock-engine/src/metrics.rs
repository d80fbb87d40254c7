//! What an engine tells of itself, by the names of vLLM and SGLang.

use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::{Value, json};

use crate::core::{EngineLimits, Load};

/// Counts since the engine's start.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) prompt_tokens: AtomicU64,
    pub(crate) generated_tokens: AtomicU64,
    pub(crate) succeeded: AtomicU64,
}

/// The text of `/metrics`, by vLLM's names.
pub(crate) fn text(model: &str, limits: EngineLimits, load: Load, counters: &Counters) -> String {
    let mut text = String::new();
    let mut metric = |name: &str, kind: &str, value: &dyn std::fmt::Display| {
        // Writing to a string cannot fail.
        let _written = write!(
            text,
            "# TYPE vllm:{name} {kind}\nvllm:{name}{{model_name=\"{model}\"}} {value}\n"
        );
    };
    metric("num_requests_running", "gauge", &load.running);
    metric("num_requests_waiting", "gauge", &load.waiting);
    // The second is the name of older versions.
    metric("kv_cache_usage_perc", "gauge", &load.kv_usage(limits));
    metric("gpu_cache_usage_perc", "gauge", &load.kv_usage(limits));
    metric("num_preemptions_total", "counter", &load.preemptions);
    let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
    metric("prompt_tokens_total", "counter", &count(&counters.prompt_tokens));
    metric(
        "generation_tokens_total",
        "counter",
        &count(&counters.generated_tokens),
    );
    metric("request_success_total", "counter", &count(&counters.succeeded));
    let _written = write!(
        text,
        "# TYPE vllm:cache_config_info gauge\nvllm:cache_config_info{{block_size=\"{}\",enable_prefix_caching=\"{}\",num_gpu_blocks=\"{}\"}} 1.0\n",
        limits.block_size,
        if limits.prefix_caching { "True" } else { "False" },
        limits.kv_blocks,
    );
    text
}

/// The answer of `/server_info`, by SGLang's names.
pub(crate) fn server_info(model: &str, limits: EngineLimits, load: Load) -> Value {
    json!({
        "model_path": model,
        "served_model_name": model,
        "page_size": limits.block_size,
        "max_total_num_tokens": limits.kv_tokens(),
        "max_running_requests": limits.max_num_seqs,
        "max_prefill_tokens": limits.max_num_batched_tokens,
        "disable_radix_cache": !limits.prefix_caching,
        "internal_states": [{"num_running_reqs": load.running, "num_waiting_reqs": load.waiting}],
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_go_by_the_names_of_the_engines() {
        let load = Load {
            running: 3,
            waiting: 1,
            used_blocks: 4096,
            preemptions: 0,
        };
        let text = text("m", EngineLimits::default(), load, &Counters::default());
        for line in [
            "vllm:num_requests_running{model_name=\"m\"} 3",
            "vllm:kv_cache_usage_perc{model_name=\"m\"} 0.25",
            "vllm:cache_config_info{block_size=\"16\",enable_prefix_caching=\"True\",num_gpu_blocks=\"16384\"} 1.0",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} in {text}");
        }
        assert_eq!(
            server_info("m", EngineLimits::default(), load)["max_total_num_tokens"],
            262_144
        );
    }
}
