//! libtest's output as it is printed.

use super::*;

const OUTPUT: &str = "
running 3 tests
test a ... ok
test b ... ok
test c ... FAILED

successes:

---- a stdout ----
skipped: a: ../shared is missing
noise
---- b stdout ----
noise

successes:
    a
    b

failures:

---- c stdout ----
it broke

failures:
    c

test result: FAILED. 2 passed; 1 failed; 4 ignored; 0 measured; 0 filtered out; finished in 0.00s

running 1 test
test result: ok. 1 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s
";

#[test]
fn counts_are_added_skips_collected_and_noise_left_out() {
    let mut reader = Reader::default();
    let shown: Vec<String> = OUTPUT.lines().filter_map(|line| reader.line(line)).collect();
    assert_eq!(
        reader.counts,
        Counts {
            passed: 3,
            failed: 1,
            ignored: 4
        }
    );
    assert_eq!(reader.skips, ["a: ../shared is missing"]);
    assert!(shown.iter().any(|line| line == "it broke"));
    assert!(shown.iter().any(|line| line.starts_with("skipped: a")));
    assert!(!shown.iter().any(|line| line == "noise"));
    assert_eq!(
        shown
            .iter()
            .filter(|line| line.starts_with("test result"))
            .count(),
        2
    );
}

#[test]
fn other_lines_have_no_counts() {
    assert_eq!(counts_of("test a ... ok"), None);
    assert_eq!(counts_of("test result: ok. none"), None);
}
