//! Faults on demand.

use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::error::MockError;

/// What goes wrong. Requests are counted from 1 since the engine's start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Faults {
    /// The engine runs out of memory at this request: it says so and ends.
    pub oom_at: Option<u64>,
    /// The engine stops giving tokens at this request, for everybody.
    pub stall_at: Option<u64>,
    /// Every n-th request is answered with status 500.
    pub error_every: Option<u64>,
    /// Every n-th answer is cut off in the middle.
    pub truncate_every: Option<u64>,
    /// Seconds until the engine is ready.
    pub slow_start_s: Option<u64>,
}

/// What becomes of one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It is answered.
    Served,
    /// The engine ends.
    OutOfMemory,
    /// The engine stops.
    Stalled,
    /// Status 500.
    Refused,
    /// The answer is cut off.
    Truncated,
}

impl Faults {
    /// What becomes of the n-th request.
    pub fn fate(self, number: u64) -> Fate {
        let is_every =
            |every: Option<u64>| every.is_some_and(|every| every > 0 && number.is_multiple_of(every));
        if self.oom_at.is_some_and(|at| number >= at) {
            Fate::OutOfMemory
        } else if self.stall_at.is_some_and(|at| number >= at) {
            Fate::Stalled
        } else if is_every(self.error_every) {
            Fate::Refused
        } else if is_every(self.truncate_every) {
            Fate::Truncated
        } else {
            Fate::Served
        }
    }

    /// These and one more, written `error-every=10`.
    ///
    /// # Errors
    /// [`MockError::Fault`] for a fault that is not known, or a number that is none.
    pub fn with(mut self, fault: &str) -> Result<Self, MockError> {
        let wrong = |problem: &str| MockError::Fault {
            fault: fault.to_owned(),
            problem: problem.to_owned(),
        };
        let (name, value) = fault
            .split_once('=')
            .ok_or_else(|| wrong("write it like error-every=10"))?;
        let value = u64::from_str(value).map_err(|_| wrong("the number is none"))?;
        let field = match name {
            "oom-at" => &mut self.oom_at,
            "stall-at" => &mut self.stall_at,
            "error-every" => &mut self.error_every,
            "truncate-every" => &mut self.truncate_every,
            "slow-start" => &mut self.slow_start_s,
            _ => {
                return Err(wrong(
                    "known are oom-at, stall-at, error-every, truncate-every and slow-start",
                ));
            }
        };
        *field = Some(value);
        Ok(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_are_read_and_decide_what_becomes_of_requests() {
        let faults = [
            "error-every=3",
            "truncate-every=2",
            "stall-at=9",
            "oom-at=12",
            "slow-start=1",
        ]
        .iter()
        .try_fold(Faults::default(), |faults, fault| faults.with(fault))
        .expect("faults");
        let fates = [1, 2, 3, 6, 9, 12].map(|number| faults.fate(number));
        assert_eq!(
            fates,
            [
                Fate::Served,
                Fate::Truncated,
                Fate::Refused,
                Fate::Refused,
                Fate::Stalled,
                Fate::OutOfMemory
            ]
        );
        for fault in ["oom-at", "oom-at=x", "rain=1"] {
            assert!(Faults::default().with(fault).is_err(), "{fault}");
        }
        assert_eq!(Faults::default().fate(1), Fate::Served);
    }
}
