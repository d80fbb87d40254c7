//! What goes wrong is told apart, and never hangs.

use dgdr_load_generator::validity::Limits;
use dgdr_load_generator::{Failure, KvReuse, Run, Summary};
use dgdr_mock_engine::{EngineLimits, Faults, Timing};

use crate::rig::{Load, engine, ms};

fn run(faults: Faults, load: &Load) -> Run {
    let timing = Timing::Fixed {
        ttft: ms(2),
        itl: ms(1),
    };
    let endpoint = engine(timing, EngineLimits::default(), faults);
    load.send(&endpoint).expect("a run")
}

fn failures(run: &Run) -> Vec<&Failure> {
    run.samples
        .iter()
        .filter_map(|sample| sample.failure.as_ref())
        .collect()
}

#[test]
fn refused_requests_are_counted_and_make_figures_invalid() {
    let faults = Faults {
        error_every: Some(4),
        ..Faults::default()
    };
    let run = run(faults, &Load::closed(2, 20));
    assert_eq!(failures(&run).len(), 5);
    assert!(
        matches!(failures(&run)[0], Failure::Status { status: 500, message } if message == "internal error")
    );
    let summary = Summary::of(&run, KvReuse::Fresh, &Limits::default());
    assert!(!summary.valid);
    assert_eq!(
        summary.reasons,
        ["5 of 20 requests failed, most often: status 500: internal error"]
    );
}

#[test]
fn truncated_streams_are_failures_and_the_next_request_gets_a_new_connection() {
    let faults = Faults {
        truncate_every: Some(3),
        ..Faults::default()
    };
    let run = run(faults, &Load::closed(1, 9));
    let failures = failures(&run);
    assert_eq!(failures.len(), 3);
    assert!(
        failures
            .iter()
            .all(|failure| matches!(failure, Failure::Truncated { .. })),
        "{failures:?}"
    );
    assert_eq!(
        run.samples
            .iter()
            .filter(|sample| sample.failure.is_none())
            .count(),
        6
    );
}

#[test]
fn a_stalled_engine_ends_in_timeouts() {
    let faults = Faults {
        stall_at: Some(3),
        ..Faults::default()
    };
    let load = Load {
        timeout: ms(300),
        ..Load::closed(1, 4)
    };
    let run = run(faults, &load);
    assert_eq!(failures(&run).len(), 2);
    assert!(matches!(failures(&run)[0], Failure::Timeout { .. }));
}
