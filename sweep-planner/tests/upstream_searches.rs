//! The planner finds what `aiconfigurator cli default` 0.12.0 finds, given the same single-worker numbers.
//!
//! Data and source: `tests/data/README.md`. Each search is replayed: a point that upstream did not evaluate must not
//! be asked, and the best configuration of each mapping must be upstream's. Then the same is asked of our own
//! performance model.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a failed assumption of a test shall end the test"
)]

mod upstream_searches {
    pub(crate) mod golden;
    pub(crate) mod search;
}

use dgdr_perf_model::ParallelMapping;
use dgdr_sweep_planner::{
    Decision, DisaggregatedCorrections, Layout, Measured, Measurements, Point, Query, RankedEntry, Role,
};
use dgdr_units::Gpus;

use upstream_searches::golden::{Record, mapping, number, replayed, whole};
use upstream_searches::search::{
    DEEPSEEK_SGLANG, DEEPSEEK_TRTLLM, LARGE_MIXTURE, LLAMA_VLLM, QWEN_SGLANG, QWEN_TRTLLM, QWEN_VLLM,
    SMALL_MIXTURE, Search,
};

/// Relative difference that nine digits and upstream's three decimals may leave.
const TOLERANCE: f64 = 1e-3;

/// Configurations that upstream lists of each way of serving.
const LISTED: usize = 5;

fn assert_near(what: &str, ours: f64, record: &Record, column: &str) {
    let theirs = number(record, column);
    assert!(
        (ours / theirs - 1.0).abs() < TOLERANCE,
        "{what} {column}: {ours} vs upstream's {theirs}"
    );
}

fn assert_same_throughput(what: &str, entry: &RankedEntry, record: &Record) {
    let performance = &entry.configuration.performance;
    assert_eq!(entry.rank, whole(record, "rank"), "{what}");
    assert!(entry.meets_sla, "{what}");
    assert_eq!(
        entry.configuration.gpus.get(),
        whole(record, "num_total_gpus"),
        "{what}"
    );
    assert_near(
        what,
        performance.tokens_per_s_per_gpu.get(),
        record,
        "tokens_per_s_per_gpu",
    );
    assert_near(
        what,
        performance.tokens_per_s_per_gpu_cluster.get(),
        record,
        "tokens_per_s_per_gpu_cluster",
    );
    assert_near(what, performance.ttft.get(), record, "ttft");
}

fn assert_same_latency(what: &str, entry: &RankedEntry, record: &Record) {
    let performance = &entry.configuration.performance;
    assert_near(what, performance.itl.get(), record, "tpot");
    assert_near(what, performance.request_latency.get(), record, "request_latency");
    assert_eq!(performance.concurrency, whole(record, "concurrency"), "{what}");
}

fn assert_aggregated(search: &Search, decision: &Decision) {
    let golden = search.golden("agg");
    let met = decision
        .ranking
        .aggregated
        .iter()
        .filter(|entry| entry.meets_sla)
        .count();
    assert_eq!(
        met.min(LISTED),
        golden.len(),
        "{}: mappings that meet the SLA",
        search.case
    );
    for (entry, record) in decision.ranking.aggregated.iter().zip(&golden) {
        let what = format!("{} agg {}", search.case, entry.rank);
        assert_same_throughput(&what, entry, record);
        assert_same_latency(&what, entry, record);
        let Layout::Aggregated {
            batch_size,
            context_tokens,
            mapping: found,
        } = entry.configuration.layout
        else {
            panic!("{what}: {:?}", entry.configuration.layout);
        };
        assert_eq!(found, mapping(record, ""), "{what}");
        assert_eq!(batch_size, whole(record, "bs"), "{what}");
        assert_eq!(context_tokens, whole(record, "ctx_tokens"), "{what}");
    }
}

/// Whether the batch of decode workers must be upstream's.
#[derive(PartialEq, Eq)]
enum DecodeBatch {
    /// Decode limits the throughput, so only one batch is best.
    Unique,
    /// Prefill limits it: any batch from some size on ties, and upstream's choice is the accident of an unstable sort.
    /// Ours is the smallest of them, which has the lowest ITL.
    Tied,
}

fn assert_disaggregated(search: &Search, decision: &Decision, batch: &DecodeBatch) {
    let golden = search.golden("disagg");
    assert!(decision.ranking.disaggregated.len() >= golden.len());
    for (entry, record) in decision.ranking.disaggregated.iter().zip(&golden) {
        let what = format!("{} disagg {}", search.case, entry.rank);
        let Layout::Disaggregated { prefill, decode } = entry.configuration.layout else {
            panic!("{what}: {:?}", entry.configuration.layout);
        };
        let ours = [
            prefill.workers,
            prefill.batch_size,
            prefill.mapping.widths().tp,
            decode.workers,
            decode.mapping.widths().tp,
        ];
        let theirs = ["p_workers", "p_bs", "p_tp", "d_workers", "d_tp"].map(|column| whole(record, column));
        assert_eq!(ours, theirs, "{what}");
        assert_same_throughput(&what, entry, record);
        match batch {
            DecodeBatch::Unique => {
                assert_eq!(decode.batch_size, whole(record, "d_bs"), "{what}");
                assert_same_latency(&what, entry, record);
            }
            DecodeBatch::Tied => {
                assert!(decode.batch_size < whole(record, "d_bs"), "{what}");
                assert!(
                    entry.configuration.performance.itl.get() < number(record, "tpot"),
                    "{what}"
                );
            }
        }
    }
}

/// Upstream sizes one copy for the most tokens of each of its GPUs and then looks at how many copies fit; we look for
/// the most tokens of all GPUs. So what we find for a decode mapping is upstream's configuration or a better one, and
/// upstream's has the numbers that upstream gives it.
fn assert_disaggregated_no_worse(search: &Search, decision: &Decision, measured: &Measurements) {
    let golden = search.golden("disagg");
    assert!(!golden.is_empty());
    for record in &golden {
        let what = format!("{} disagg {}", search.case, record["rank"]);
        let (prefill, decode) = (mapping(record, "p_"), mapping(record, "d_"));
        let cluster = number(record, "tokens_per_s_per_gpu_cluster");
        let of_mapping = decision.ranking.disaggregated.iter().find(|entry| {
            matches!(entry.configuration.layout, Layout::Disaggregated { decode: group, .. } if group.mapping == decode)
        });
        let found = &of_mapping
            .unwrap_or_else(|| panic!("{what}: {decode} is not ranked"))
            .configuration
            .performance;
        assert!(
            found.tokens_per_s_per_gpu_cluster.get() >= cluster * (1.0 - TOLERANCE),
            "{what}: {} vs upstream's {cluster}",
            found.tokens_per_s_per_gpu_cluster.get()
        );
        let [ttft, itl, tokens] = rated(search, measured, record, [prefill, decode]);
        assert_near(&what, ttft, record, "ttft");
        assert_near(&what, itl, record, "tpot");
        assert_near(&what, tokens, record, "tokens_per_s_per_gpu");
    }
}

/// TTFT, ITL and tokens per second and GPU of a configuration of upstream's, from single workers.
fn rated(
    search: &Search,
    measured: &Measurements,
    record: &Record,
    [prefill, decode]: [ParallelMapping; 2],
) -> [f64; 3] {
    let factors = DisaggregatedCorrections::upstream();
    let point = |mapping, point| match measured.get(&Query { mapping, point }) {
        Some(Ok(Measured::Prefill { ttft: latency, .. } | Measured::Decode { itl: latency })) => {
            latency.value.get()
        }
        other => panic!("{}: {mapping} {point:?}: {other:?}", search.case),
    };
    let [p_bs, d_bs, p_workers, d_workers] =
        ["p_bs", "d_bs", "p_workers", "d_workers"].map(|column| whole(record, column));
    let ttft = point(prefill, Point::Prefill { batch: p_bs }) * factors.prefill_latency;
    let itl = point(decode, Point::Decode { batch: d_bs }) * factors.decode_latency;
    let rate = |mapping: ParallelMapping, requests: u32, ms: f64| {
        f64::from(requests * mapping.widths().attention_dp) * 1000.0 / ms
    };
    let prefills = rate(prefill, p_bs * p_workers, ttft) * factors.prefill_efficiency;
    let decodes = rate(decode, d_bs * d_workers, itl * f64::from(search.osl - 1)) * factors.decode_efficiency;
    let gpus = p_workers * prefill.gpus().get() + d_workers * decode.gpus().get();
    let tokens = prefills.min(decodes) * f64::from(search.osl) / f64::from(gpus);
    [ttft * factors.ttft_queue, itl, tokens]
}

/// The aggregated mappings are upstream's, one by one, and no disaggregated one is worse.
fn assert_upstream_or_better(search: &Search) {
    let measured = search.simulate();
    let decision = search.decide(&measured);
    assert_aggregated(search, &decision);
    assert_disaggregated_no_worse(search, &decision, &measured);
    let chosen = decision.outcome.configuration().unwrap();
    let best = ["agg", "disagg"]
        .iter()
        .flat_map(|experiment| search.golden(experiment))
        .map(|record| number(&record, "tokens_per_s_per_gpu_cluster"))
        .fold(0.0, f64::max);
    assert!(chosen.performance.tokens_per_s_per_gpu_cluster.get() >= best * (1.0 - TOLERANCE));
}

/// Which way of serving upstream chose, and how its disaggregated rows tie.
fn assert_upstream(search: &Search, measured: &Measurements, batch: &DecodeBatch) {
    let decision = search.decide(measured);
    assert_aggregated(search, &decision);
    assert_disaggregated(search, &decision, batch);
    let chosen = decision
        .outcome
        .configuration()
        .unwrap()
        .layout
        .is_disaggregated();
    assert_eq!(chosen, search.chooses_disaggregated, "{}", search.case);
}

#[test]
fn qwen3_32b_on_trtllm_replayed() {
    assert_upstream(&QWEN_TRTLLM, &QWEN_TRTLLM.replay(), &DecodeBatch::Unique);
}

#[test]
fn qwen3_32b_on_vllm_replayed() {
    assert_upstream(&QWEN_VLLM, &QWEN_VLLM.replay(), &DecodeBatch::Unique);
}

#[test]
fn llama_70b_on_vllm_replayed() {
    assert_upstream(&LLAMA_VLLM, &LLAMA_VLLM.replay(), &DecodeBatch::Tied);
}

#[test]
fn qwen3_32b_on_trtllm_simulated() {
    assert_upstream(&QWEN_TRTLLM, &QWEN_TRTLLM.simulate(), &DecodeBatch::Unique);
}

#[test]
fn qwen3_32b_on_vllm_simulated() {
    assert_upstream(&QWEN_VLLM, &QWEN_VLLM.simulate(), &DecodeBatch::Unique);
}

#[test]
fn llama_70b_on_vllm_simulated() {
    assert_upstream(&LLAMA_VLLM, &LLAMA_VLLM.simulate(), &DecodeBatch::Tied);
}

#[test]
fn qwen3_32b_on_sglang_simulated() {
    assert_upstream_or_better(&QWEN_SGLANG);
}

#[test]
fn qwen3_30b_on_sglang_simulated() {
    assert_upstream_or_better(&SMALL_MIXTURE);
}

#[test]
fn qwen3_235b_on_trtllm_simulated() {
    assert_upstream_or_better(&LARGE_MIXTURE);
}

#[test]
fn deepseek_v3_on_trtllm_simulated() {
    assert_upstream_or_better(&DEEPSEEK_TRTLLM);
}

#[test]
fn deepseek_v3_on_sglang_simulated() {
    assert_upstream_or_better(&DEEPSEEK_SGLANG);
}

/// Every aggregated point that upstream could use is asked for, so that no configuration is overlooked.
#[test]
fn the_walk_visits_all_that_upstream_visits() {
    for search in [QWEN_TRTLLM, QWEN_VLLM, LLAMA_VLLM] {
        let measured = search.replay();
        for (query, answer) in replayed(search.case) {
            let deployable =
                query.point.role() == Role::Aggregated || query.mapping.gpus() < Gpus::new(search.gpus);
            if answer.is_ok() && deployable {
                assert_eq!(measured.get(&query), Some(&answer), "{}: {query}", search.case);
            }
        }
    }
}
