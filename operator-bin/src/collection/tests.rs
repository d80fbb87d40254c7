use dgdr_types::spec::ProfilingPhase;
use proptest::prelude::*;

use super::{Ended, Found, Left, ProfilerStatus, Progress, StatusError, entries, key};

/// As `yaml.safe_dump` of upstream's profiler folds and quotes it.
const FAILED: &str = "error: 'RuntimeError: it''s \"broken\": $HOME and a very long text that goes on and on until the dumper\n  \
                      folds it onto another line'\nmessage: 'Profiler failed with exception: RuntimeError'\noutputs: null\n\
                      phase: SweepingDecode\nstatus: failed\ntimestamp: '2026-11-24T10:00:00Z'\n";
const RUNNING: &str = "status: running\nphase: SweepingPrefill\nmessage: 'Benchmarking prefill candidate 1/4: TP1 (1 GPUs)'\n\
                       error: ''\noutputs: {}\n";
const SUCCESS: &str = "status: success\nphase: Done\nmessage: Profiler completed successfully\nerror: ''\n\
                       outputs: {final_config: final_config.yaml}\n";

fn left<'a>(status_text: &'a str, result: Option<&'a str>, exit_code: Option<i32>) -> Left<'a> {
    Left {
        status_text,
        result: result.map_or(Found::Nothing, Found::Text),
        ended: exit_code.map(|exit_code| Ended {
            exit_code,
            reason: (exit_code == 137).then(|| "OOMKilled".to_owned()),
            message: None,
        }),
    }
}

#[test]
fn folded_and_quoted_texts_are_read_whole() {
    let status = ProfilerStatus::parse(FAILED).unwrap();
    assert_eq!(status.phase, Some(ProfilingPhase::SweepingDecode));
    let Progress::Failed { error } = status.progress else {
        panic!("it failed")
    };
    assert!(
        error.starts_with("RuntimeError: it's \"broken\": $HOME"),
        "{error}"
    );
    assert!(
        error.ends_with("until the dumper folds it onto another line"),
        "{error}"
    );
}

#[test]
fn every_update_is_passed_on() {
    let running = entries(&left(RUNNING, None, None)).unwrap();
    assert_eq!(running[key::PHASE], "SweepingPrefill");
    assert_eq!(
        running[key::MESSAGE],
        "Benchmarking prefill candidate 1/4: TP1 (1 GPUs)"
    );
    assert!(!running.contains_key(key::STATUS));
    let done = entries(&left(SUCCESS, Some("kind: DynamoGraphDeployment\n"), Some(0))).unwrap();
    assert_eq!(done[key::STATUS], "success");
    assert_eq!(done["final_config.yaml"], "kind: DynamoGraphDeployment\n");
    assert_eq!(done["profiler_status.yaml"], SUCCESS);
}

#[test]
fn a_failure_is_told_with_its_cause() {
    let failed = entries(&left(FAILED, None, None)).unwrap();
    assert_eq!(failed[key::STATUS], "failed");
    assert!(failed[key::ERROR].contains("$HOME"));
    assert_eq!(failed[key::PHASE], "SweepingDecode");
}

#[test]
fn a_profiler_that_vanishes_has_failed() {
    let killed = entries(&left(RUNNING, None, Some(137))).unwrap();
    insta::assert_snapshot!(killed[key::ERROR]);
    assert_eq!(killed[key::STATUS], "failed");
    let half = entries(&left("status: runn", None, Some(1))).unwrap();
    insta::assert_snapshot!(half[key::ERROR]);
    let nothing = entries(&left("", None, Some(2))).unwrap();
    assert_eq!(nothing[key::STATUS], "failed");
    let empty_handed = entries(&left(SUCCESS, None, Some(0))).unwrap();
    assert_eq!(
        empty_handed[key::ERROR],
        "the profiler reports success and left no final_config.yaml"
    );
}

#[test]
fn a_half_written_file_is_waited_for() {
    assert_eq!(entries(&left("status: runn", None, None)), None);
    assert_eq!(entries(&left("", None, None)), None);
    let error = ProfilerStatus::parse("status: running\nphase: Dreaming\n").unwrap_err();
    assert!(
        matches!(error, StatusError::UnknownWord { field: "phase", .. }),
        "{error}"
    );
}

#[test]
fn a_result_that_no_config_map_holds_is_a_failure() {
    let result = "x".repeat(2 << 20);
    let large = entries(&left(SUCCESS, Some(&result), Some(0))).unwrap();
    assert_eq!(large[key::STATUS], "failed");
    insta::assert_snapshot!(large[key::ERROR]);
    assert!(!large.contains_key("final_config.yaml"));
}

proptest! {
    /// Whatever a file holds, what is passed on fits, and an ended profiler always gets a verdict.
    #[test]
    fn nothing_is_lost_and_nothing_is_too_large(text in "\\PC{0,200}", times in 0_usize..400, code in 0_i32..256) {
        let text = text.repeat(times);
        let told = entries(&left(&text, Some("x"), Some(code))).unwrap();
        prop_assert!(told.contains_key(key::STATUS));
        let bytes: usize = told.iter().map(|(name, value)| name.len() + value.len()).sum();
        prop_assert!(bytes <= 1 << 20, "{bytes}");
    }
}
