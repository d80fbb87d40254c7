//! When requests are sent.

use std::num::NonZeroU32;
use std::time::Duration;

use dgdr_units::{RequestsPerSecond, real};

use crate::dice::Dice;
use crate::error::LoadError;

/// When requests are sent.
#[derive(Debug, Clone, PartialEq)]
pub enum Arrivals {
    /// A closed loop: always this many in flight, the next is sent when one is answered.
    Closed {
        /// Requests in flight.
        concurrency: NonZeroU32,
    },
    /// An open loop at even distances.
    Constant {
        /// Requests a second.
        rate: RequestsPerSecond,
    },
    /// An open loop of independent arrivals.
    Poisson {
        /// Requests a second, on average.
        rate: RequestsPerSecond,
    },
    /// An open loop at given times after the start, ascending.
    At(Vec<Duration>),
}

impl Arrivals {
    /// The times after the start at which an open loop sends `requests` requests, ascending; none for a closed loop,
    /// whose times the server decides. The first request of a rate is sent at once.
    ///
    /// # Errors
    /// [`LoadError::Plan`] for a rate of zero.
    pub fn send_times(&self, requests: usize, seed: u64) -> Result<Option<Vec<Duration>>, LoadError> {
        let mut dice = Dice::stream(seed, 1);
        match self {
            Self::Closed { .. } => Ok(None),
            Self::At(times) => Ok(Some(times.iter().copied().take(requests).collect())),
            Self::Constant { rate } => {
                let gap = gap(*rate)?;
                let times = (0_u64..).take(requests).map(|index| seconds(gap * real(index)));
                Ok(Some(times.collect()))
            }
            Self::Poisson { rate } => {
                let gap = gap(*rate)?;
                let mut now = 0.0;
                let times = std::iter::repeat_with(|| {
                    let then = now;
                    now += gap * dice.exponential();
                    seconds(then)
                });
                Ok(Some(times.take(requests).collect()))
            }
        }
    }

    /// Requests in flight that a closed loop holds.
    pub const fn concurrency(&self) -> Option<NonZeroU32> {
        match self {
            Self::Closed { concurrency } => Some(*concurrency),
            Self::Constant { .. } | Self::Poisson { .. } | Self::At(_) => None,
        }
    }
}

/// Seconds between requests.
fn gap(rate: RequestsPerSecond) -> Result<f64, LoadError> {
    if rate.get() > 0.0 {
        Ok(1.0 / rate.get())
    } else {
        Err(LoadError::Plan {
            field: "request rate",
            problem: "nothing is ever sent at 0 requests/s: give a positive rate".to_owned(),
        })
    }
}

fn seconds(seconds: f64) -> Duration {
    Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn rate(rate: f64) -> RequestsPerSecond {
        RequestsPerSecond::new(rate).expect("a rate")
    }

    #[test]
    fn constant_arrivals_keep_their_distance() {
        let times = Arrivals::Constant { rate: rate(4.0) }
            .send_times(3, 0)
            .expect("times")
            .expect("an open loop");
        assert_eq!(times, [0, 250, 500].map(Duration::from_millis));
    }

    #[test]
    fn closed_loops_have_no_times_and_a_rate_of_zero_is_refused() {
        let closed = Arrivals::Closed {
            concurrency: NonZeroU32::MIN,
        };
        assert_eq!(closed.send_times(3, 0).expect("no times"), None);
        assert!(Arrivals::Poisson { rate: rate(0.0) }.send_times(1, 0).is_err());
    }

    proptest! {
        #[test]
        fn poisson_arrivals_ascend_and_average_their_rate(per_s in 0.5_f64..5000.0, seed in any::<u64>()) {
            let requests = 4000_u32;
            let arrivals = Arrivals::Poisson { rate: rate(per_s) };
            let times = arrivals.send_times(4000, seed).expect("times").expect("an open loop");
            prop_assert_eq!(times.len(), 4000);
            prop_assert!(times.is_sorted());
            // Five standard deviations of a sum of exponential gaps.
            let expected = f64::from(requests - 1) / per_s;
            let last = times.last().expect("a last").as_secs_f64();
            prop_assert!((last / expected - 1.0).abs() < 5.0 / f64::from(requests).sqrt());
            prop_assert_eq!(Some(times), arrivals.send_times(4000, seed).expect("times"));
        }
    }
}
