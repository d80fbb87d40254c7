use super::{Schedule, capped_tokens_per_s};
use crate::backend::Backend;
use crate::engine::AggregatedQuery;

const Q: AggregatedQuery = AggregatedQuery {
    batch: 24,
    isl: 3000,
    osl: 400,
    prefix: 0,
    context_tokens: 6000,
};

#[track_caller]
fn close(found: f64, expected: f64) {
    assert!((found - expected).abs() < 1e-9, "{found} instead of {expected}");
}

#[test]
fn decode_bound_work_runs_its_prompts_first() {
    for backend in Backend::ALL {
        let schedule = Schedule::new(backend, Q, 1.0);
        close(schedule.mixed_count, 12.0);
        close(schedule.decode_count, 388.0);
        assert_eq!((schedule.context_requests, schedule.generation_requests), (2, 22));
        let drained = if backend == Backend::Vllm { 12.0 } else { 9.0 };
        close(schedule.mixed_count_for_tpot, drained);
    }
}

#[test]
fn context_bound_work_never_decodes_alone() {
    let q = AggregatedQuery { osl: 5, ..Q };
    let trtllm = Schedule::new(Backend::Trtllm, q, 1.0);
    close(trtllm.mixed_count, 12.0);
    close(trtllm.decode_count, 0.0);
    // 24 requests over 12 steps, each of 5 tokens: 10 decode at a time.
    assert_eq!(trtllm.generation_requests, 10);
    assert_eq!(Schedule::new(Backend::Vllm, q, 1.0).generation_requests, 22);
}

#[test]
fn requests_that_almost_fit_do_not_decode() {
    let q = AggregatedQuery {
        batch: 327,
        isl: 43,
        osl: 15,
        prefix: 0,
        context_tokens: 43,
    };
    // 327 steps over 15 tokens are a little more than 21.8 in binary, of which 327 holds 14 (Python: `327 // 21.8`).
    assert_eq!(Schedule::new(Backend::Sglang, q, 1.0).generation_requests, 14);
}

#[test]
fn a_single_request_decodes_after_its_prompt() {
    let schedule = Schedule::new(Backend::Sglang, AggregatedQuery { batch: 1, ..Q }, 1.0);
    close(schedule.mixed_count, 1.0);
    close(schedule.decode_count, 399.0);
    assert_eq!((schedule.context_requests, schedule.generation_requests), (1, 0));
    let (mixed, decode) = schedule.tpot_weights(1.0);
    close(mixed, 0.0);
    close(decode, 1.0);
}

#[test]
fn accepted_drafts_shorten_the_decode() {
    let plain = Schedule::new(Backend::Trtllm, Q, 1.0);
    let drafted = Schedule::new(Backend::Trtllm, Q, 2.0);
    close(drafted.decode_count, 1.0 + 399.0 / 2.0 - 12.0);
    assert!(drafted.decode_count < plain.decode_count);
}

#[test]
fn prompts_queue_for_each_other_as_the_engine_does() {
    let mixed_ms = 100.0;
    let ttft = |backend, batch| {
        let q = AggregatedQuery { batch, ..Q };
        Schedule::new(backend, q, 1.0).ttft(backend, 10, mixed_ms)
    };
    // 12 steps: 2 + (12 - 3) / 20.
    close(ttft(Backend::Trtllm, 24), 245.0);
    // 1 + log2(16) / 8, with 0.8 ms a layer.
    close(ttft(Backend::Vllm, 16), 162.0);
    close(ttft(Backend::Vllm, 1), 108.0);
    close(ttft(Backend::Trtllm, 4096), 400.0);
}

#[test]
fn only_vllm_is_held_to_its_latencies() {
    let q = AggregatedQuery {
        batch: 2,
        osl: 11,
        ..Q
    };
    close(capped_tokens_per_s(Backend::Vllm, q, 1000.0, 100.0), 200.0);
    close(capped_tokens_per_s(Backend::Vllm, q, 150.0, 100.0), 150.0);
    close(capped_tokens_per_s(Backend::Trtllm, q, 1000.0, 100.0), 1000.0);
}
