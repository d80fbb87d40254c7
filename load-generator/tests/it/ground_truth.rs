//! What is measured is what the engine was told.

use dgdr_load_generator::answer::ServerTiming;
use dgdr_load_generator::arrivals::Arrivals;
use dgdr_load_generator::statistics::percentile;
use dgdr_load_generator::validity::Limits;
use dgdr_load_generator::{Api, CountedBy, Endpoint, KvReuse, Sample, Summary};
use dgdr_mock_engine::timing::{StepModel, StepWork};
use dgdr_mock_engine::{EngineLimits, Faults, Timing};
use dgdr_units::RequestsPerSecond;

use crate::rig::{Load, Unrest, alone, engine, ms, paced};

/// A machine that does something else meanwhile delays single tokens; a run in which it does not is found in so many.
const ATTEMPTS: usize = 6;
/// Threads that have to wake up, one after the other, between a request and its first token.
const WAKES: f64 = 5.0;

/// Whether a measured time is the told one: within 2 %, or 0.3 ms where that is more; and what this machine wakes its
/// threads up too late.
fn is_told(measured: f64, told: f64, late_ms: f64) -> bool {
    (measured - told).abs() <= (told * 0.02).max(0.3) + late_ms
}

/// Sends a load until its medians are those that the engine was told.
#[track_caller]
fn meets(endpoint: &Endpoint, load: &Load, (ttft, itl): (f64, f64)) -> Summary {
    let mut seen = Vec::new();
    for _ in 0..ATTEMPTS {
        let unrest = Unrest::watch();
        let run = load.send(endpoint).expect("a run");
        let late_ms = unrest.late_ms();
        let summary = Summary::of(&run, load.kv_reuse, &Limits::default());
        assert_eq!(summary.errors, 0, "{:?}", summary.failures);
        let medians = (
            summary.ttft_ms.expect("tokens").p50,
            summary.itl_ms.expect("gaps").p50,
        );
        // Gaps have a beginning and an end, both late.
        if is_told(medians.0, ttft, WAKES * late_ms) && is_told(medians.1, itl, late_ms) {
            return summary;
        }
        seen.push((medians, late_ms));
    }
    panic!("told {ttft} and {itl} ms, measured, with threads late by: {seen:?}");
}

#[test]
fn fixed_times_are_measured_at_any_concurrency() {
    let _alone = alone();
    let endpoint = paced(ms(60), ms(20));
    for (concurrency, requests) in [(1, 4), (8, 24), (32, 64)] {
        let summary = meets(&endpoint, &Load::closed(concurrency, requests), (60.0, 20.0));
        assert_eq!(summary.counted_by, Some(CountedBy::ServerSum));
        assert!((summary.output_tokens.expect("tokens").mean - 20.0).abs() < 1e-9);
        let prompt = summary.input_tokens.expect("a usage").mean;
        assert!(
            (prompt - 61.0).abs() < 1e-9,
            "50 words and a template of 11: {prompt}"
        );
    }
}

#[test]
fn token_numbers_need_no_tokenizer_and_short_times_show() {
    let _alone = alone();
    let load = Load {
        api: Api::Completions,
        ..Load::closed(2, 20)
    };
    // Held back by delayed acknowledgements, the first token would take 40 ms.
    let summary = meets(&paced(ms(5), ms(3)), &load, (5.0, 3.0));
    assert!((summary.input_tokens.expect("a usage").mean - 50.0).abs() < 1e-9);
}

#[test]
fn open_loops_count_from_the_intended_time() {
    let _alone = alone();
    let rate = RequestsPerSecond::new(50.0).expect("a rate");
    for arrivals in [Arrivals::Constant { rate }, Arrivals::Poisson { rate }] {
        let load = Load {
            arrivals,
            osl: 8,
            ..Load::closed(1, 50)
        };
        let summary = meets(&paced(ms(40), ms(10)), &load, (40.0, 10.0));
        assert_eq!(summary.requests, 50);
    }
}

#[test]
fn waiting_for_a_place_in_the_engine_counts_in_an_open_loop() {
    let _alone = alone();
    // One place, 50 ms each, and a request every 10 ms: the n-th waits 40 n ms, which a closed loop would not see.
    let limits = EngineLimits {
        max_num_seqs: 1,
        ..EngineLimits::default()
    };
    let timing = Timing::Fixed {
        ttft: ms(40),
        itl: ms(10),
    };
    let endpoint = engine(timing, limits, Faults::default());
    let load = Load {
        osl: 2,
        arrivals: Arrivals::At((0..10).map(|n| ms(n * 10)).collect()),
        ..Load::closed(1, 10)
    };
    let run = load.send(&endpoint).expect("a run");
    let last = run.samples[9].ttft_ms().expect("a token");
    assert!(last >= 9.0 * 40.0 + 40.0, "{last}");
}

/// From the departure of a request to its arrival lie HTTP and JSON, unoptimised, of eight requests at once: 0.9 ms.
const BETWEEN_SIDES_MS: f64 = 1.5;

/// Prompts take 20 ms and 0.02 ms a token, decoding 5 ms and 0.05 ms a request.
struct Truth;

impl StepModel for Truth {
    fn step_ms(&self, work: &StepWork) -> f64 {
        let prompt: u32 = work.prefills.iter().map(|prefill| prefill.new_tokens).sum();
        let prefill = if prompt > 0 {
            20.0 + 0.02 * f64::from(prompt)
        } else {
            0.0
        };
        let decode = if work.decodes > 0 {
            5.0 + 0.05 * f64::from(work.decodes)
        } else {
            0.0
        };
        prefill + decode
    }
}

#[test]
fn a_batching_engine_is_measured_as_it_says_itself() {
    let _alone = alone();
    let endpoint = engine(
        Timing::Steps(Box::new(Truth)),
        EngineLimits::default(),
        Faults::default(),
    );
    let load = Load {
        osl: 40,
        isl: 200,
        ..Load::closed(8, 24)
    };
    let mut seen = Vec::new();
    for _ in 0..ATTEMPTS {
        let unrest = Unrest::watch();
        let run = load.send(&endpoint).expect("a run");
        let late_ms = unrest.late_ms();
        let median = |difference: &dyn Fn(&Sample, ServerTiming) -> f64| {
            let differences = run.samples.iter().map(|sample| {
                let told = sample.server_timing.expect("the engine's own times");
                difference(sample, told)
            });
            let mut differences: Vec<f64> = differences.collect();
            differences.sort_by(f64::total_cmp);
            percentile(&differences, 50.0)
        };
        let ttft = median(&|sample, told| sample.ttft_ms().expect("a token") - told.ttft_ms);
        let e2e = median(&|sample, told| sample.e2e_ms().expect("a token") - told.total_time_ms);
        // The engine counts from the arrival of a request, the client from its departure.
        let between = WAKES * late_ms + BETWEEN_SIDES_MS;
        if is_told(ttft, 0.0, between) && is_told(e2e, 0.0, between) {
            return;
        }
        seen.push((ttft, e2e, late_ms));
    }
    panic!("median differences of TTFT and latency, with threads late by, ms: {seen:?}");
}

#[test]
fn warmed_prompts_are_found_in_the_cache_and_fresh_ones_are_not() {
    let endpoint = engine(
        Timing::Steps(Box::new(Truth)),
        EngineLimits::default(),
        Faults::default(),
    );
    let load = |kv_reuse| Load {
        isl: 1000,
        osl: 2,
        warmup: 2,
        kv_reuse,
        ..Load::closed(1, 5)
    };
    let figures = |kv_reuse| {
        let run = load(kv_reuse).send(&endpoint).expect("a run");
        let summary = Summary::of(&run, kv_reuse, &Limits::default());
        (run.warmup.len(), summary.cached_share.expect("a share"))
    };
    let fresh = figures(KvReuse::Fresh);
    let warmed = figures(KvReuse::Warmed);
    assert_eq!((fresh.0, warmed.0), (2, 7));
    assert!(fresh.1 < 0.01 && warmed.1 > 0.9, "{fresh:?} {warmed:?}");
}

#[test]
fn nobody_at_the_address_is_an_error_with_the_address() {
    let endpoint = Endpoint::parse("127.0.0.1:9").expect("an endpoint");
    let error = Load::closed(1, 1)
        .send(&endpoint)
        .expect_err("nobody")
        .to_string();
    assert!(error.starts_with("cannot connect to 127.0.0.1:9: "), "{error}");
}
