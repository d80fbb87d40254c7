//! How far two answers are apart.

use dgdr_perf_model::{ModelFamily, registry};

use super::question::{Answer, Question, Reply};

/// A question with both answers.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) question: Question,
    pub(crate) upstream: Reply,
    pub(crate) ours: Reply,
}

/// Relative differences of the numbers that both have.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Difference {
    pub(crate) ttft: f64,
    pub(crate) tpot: f64,
    pub(crate) memory: f64,
    pub(crate) same_verdict: bool,
}

impl Difference {
    pub(crate) fn between(upstream: &Answer, ours: &Answer) -> Self {
        Self {
            ttft: relative(upstream.ttft_ms, ours.ttft_ms),
            tpot: relative(upstream.tpot_ms, ours.tpot_ms),
            memory: relative(upstream.memory_gib, ours.memory_gib),
            same_verdict: upstream.fit == ours.fit,
        }
    }

    /// The same without what is said of memory.
    const fn of_latencies(self) -> Self {
        Self {
            memory: 0.0,
            same_verdict: true,
            ..self
        }
    }

    /// The largest; another verdict is as far off as can be.
    pub(crate) fn worst(&self) -> f64 {
        if self.same_verdict {
            self.ttft.max(self.tpot).max(self.memory)
        } else {
            f64::INFINITY
        }
    }
}

/// `|ours / upstream - 1|`; nothing to compare is no difference, a missing number of ours is infinite.
fn relative(upstream: Option<f64>, ours: Option<f64>) -> f64 {
    match (upstream, ours) {
        (None, _) => 0.0,
        (Some(_), None) => f64::INFINITY,
        (Some(upstream), Some(ours)) => {
            let difference = (ours / upstream - 1.0).abs();
            if difference.is_nan() {
                f64::INFINITY
            } else {
                difference
            }
        }
    }
}

/// Who answered.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Outcome<'a> {
    Both(Difference),
    OnlyUpstream { our_reason: &'a str },
    OnlyOurs { upstream_reason: &'a str },
    Neither,
}

/// Of these upstream counts no keys and values at all, for want of a number of heads that all layers share; we do.
const WITHOUT_CACHE: [ModelFamily; 1] = [ModelFamily::NemotronNas];

impl Row {
    pub(crate) fn outcome(&self) -> Outcome<'_> {
        match (&self.upstream, &self.ours) {
            (Ok(upstream), Ok(ours)) => {
                let difference = Difference::between(upstream, ours);
                Outcome::Both(if self.is_without_cache() {
                    difference.of_latencies()
                } else {
                    difference
                })
            }
            (Ok(_), Err(our_reason)) => Outcome::OnlyUpstream { our_reason },
            (Err(upstream_reason), Ok(_)) => Outcome::OnlyOurs { upstream_reason },
            (Err(_), Err(_)) => Outcome::Neither,
        }
    }

    fn is_without_cache(&self) -> bool {
        registry::find(&self.question.model).is_some_and(|model| WITHOUT_CACHE.contains(&model.family))
    }
}

/// What is counted for a group of rows.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Tally {
    /// Rows that were asked.
    pub(crate) asked: u32,
    /// Rows that upstream answers.
    pub(crate) upstream: u32,
    /// Rows that both answer.
    pub(crate) both: u32,
    /// Rows that only we answer.
    pub(crate) only_ours: u32,
    /// Rows within 0.1 %.
    pub(crate) close: u32,
    /// Rows within 1 %.
    pub(crate) near: u32,
    /// Rows with another verdict on memory.
    pub(crate) verdicts: u32,
    /// The largest difference of a number.
    pub(crate) worst: f64,
}

/// Rows within this difference count as close.
const CLOSE: f64 = 0.001;
/// Rows within this difference count as near: the promise.
pub(crate) const NEAR: f64 = 0.01;

impl Tally {
    pub(crate) fn add(&mut self, outcome: Outcome<'_>) {
        self.asked += 1;
        match outcome {
            Outcome::Both(difference) => {
                self.upstream += 1;
                self.both += 1;
                let worst = difference.worst();
                self.close += u32::from(worst <= CLOSE);
                self.near += u32::from(worst <= NEAR);
                self.verdicts += u32::from(!difference.same_verdict);
                let numbers = [difference.ttft, difference.tpot, difference.memory];
                self.worst = numbers.into_iter().fold(self.worst, f64::max);
            }
            Outcome::OnlyUpstream { .. } => self.upstream += 1,
            Outcome::OnlyOurs { .. } => self.only_ours += 1,
            Outcome::Neither => {}
        }
    }

    /// Share of the rows that upstream answers and that we answer within 1 %; nothing when there are none.
    pub(crate) fn near_share(&self) -> Option<f64> {
        share(self.near, self.upstream)
    }

    /// Likewise within 0.1 %.
    pub(crate) fn close_share(&self) -> Option<f64> {
        share(self.close, self.upstream)
    }
}

fn share(part: u32, whole: u32) -> Option<f64> {
    (whole > 0).then(|| f64::from(part) / f64::from(whole))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::super::question::Fit;
    use super::*;

    fn answer(ttft: f64, memory: f64, fit: Fit) -> Answer {
        Answer {
            ttft_ms: Some(ttft),
            tpot_ms: None,
            memory_gib: Some(memory),
            fit,
            formats: String::new(),
            operators: BTreeMap::new(),
        }
    }

    #[test]
    fn the_largest_difference_counts() {
        let difference = Difference::between(&answer(100.0, 10.0, Fit::Fits), &answer(100.5, 9.0, Fit::Fits));
        assert!((difference.ttft - 0.005).abs() < 1e-12);
        assert!((difference.worst() - 0.1).abs() < 1e-12);
    }

    #[test]
    fn another_verdict_is_as_far_off_as_can_be() {
        let difference = Difference::between(
            &answer(100.0, 10.0, Fit::Fits),
            &answer(100.0, 10.0, Fit::KvOutOfMemory),
        );
        assert!(difference.worst().is_infinite());
    }

    #[test]
    fn a_number_that_upstream_lacks_is_not_compared_but_one_of_ours_must_be_there() {
        let nothing = Answer {
            ttft_ms: None,
            memory_gib: None,
            ..answer(0.0, 0.0, Fit::OutOfMemory)
        };
        let number = answer(1.0, 1.0, Fit::OutOfMemory);
        assert!(Difference::between(&nothing, &number).worst() < 1e-12);
        assert!(Difference::between(&number, &nothing).worst().is_infinite());
        let broken = answer(f64::NAN, 1.0, Fit::OutOfMemory);
        assert!(Difference::between(&number, &broken).worst().is_infinite());
    }

    #[test]
    fn refusals_of_ours_lower_the_share_and_those_of_upstream_do_not() {
        let mut tally = Tally::default();
        let same = Difference {
            ttft: 0.0005,
            tpot: 0.0,
            memory: 0.005,
            same_verdict: true,
        };
        tally.add(Outcome::Both(same));
        tally.add(Outcome::OnlyUpstream { our_reason: "no" });
        tally.add(Outcome::OnlyOurs {
            upstream_reason: "no",
        });
        tally.add(Outcome::Neither);
        assert_eq!((tally.asked, tally.upstream, tally.both), (4, 2, 1));
        assert_eq!(Tally::default().near_share(), None);
        assert!(
            tally
                .near_share()
                .is_some_and(|share| (share - 0.5).abs() < 1e-12)
        );
        assert!(tally.close_share().is_some_and(|share| share < 1e-12));
        assert!((tally.worst - 0.005).abs() < 1e-12);
    }
}
