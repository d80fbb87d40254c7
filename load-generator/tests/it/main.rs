//! The load generator against simulated engines, over loopback.
#![expect(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_in_result,
    reason = "a test that cannot go on fails"
)]

mod faults;
mod ground_truth;
mod rig;
