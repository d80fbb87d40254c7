//! The last line's numbers.

use super::*;

fn report(counts: Counts, stages: &[(&'static str, Verdict)]) -> Report {
    let mut report = Report::new();
    report.add(counts);
    for (name, verdict) in stages {
        report.stage(name, Duration::from_secs(1), verdict);
    }
    report
}

fn counts(passed: usize, failed: usize) -> Counts {
    Counts {
        passed,
        failed,
        ignored: 0,
    }
}

#[test]
fn stages_and_tests_are_counted_once() {
    let report = report(
        counts(5, 2),
        &[
            ("format", Verdict::Passed),
            (TESTS, Verdict::Failed("cargo test failed".to_owned())),
            ("docs", Verdict::Failed("broken link".to_owned())),
            ("perf-data", Verdict::Skipped("no peer".to_owned())),
        ],
    );
    assert_eq!(
        report.numbers(),
        Numbers {
            tests: 7,
            passed: 6,
            failed: 3,
            skipped: 1
        }
    );
    assert!(!report.summary(false).passed);
}

#[test]
fn tests_that_do_not_compile_are_a_failure() {
    let report = report(
        counts(0, 0),
        &[(TESTS, Verdict::Failed("cargo test failed".to_owned()))],
    );
    assert_eq!(report.numbers().failed, 1);
    assert!(!report.summary(false).passed);
}

#[test]
fn a_test_that_skips_itself_fails_only_a_run_that_requires_all() {
    let mut report = report(counts(5, 0), &[(TESTS, Verdict::Passed)]);
    report.skip("goldens_agree: ../shared is missing");
    assert_eq!(
        report.numbers(),
        Numbers {
            tests: 5,
            passed: 4,
            failed: 0,
            skipped: 1
        }
    );
    assert!(report.summary(false).passed);
    assert!(!report.summary(true).passed);
}

#[test]
fn a_run_without_tests_fails() {
    let report = report(counts(0, 0), &[("format", Verdict::Passed)]);
    assert!(!report.summary(false).passed);
}
