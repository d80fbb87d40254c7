//! What a little less or more would change, in one line.

use std::fmt;

use crate::pipeline::sensitivity::{Ending, Quantity, Sensitivity};

/// Share of throughput from which on a change is worth a line.
const NOTABLE: f64 = 0.03;

/// What was picked, as far as a change is compared with it.
#[derive(Debug, Clone, Copy)]
pub struct Picked {
    /// Generated tokens per second and GPU of its copies.
    pub tokens_per_s_per_gpu: f64,
    /// GPUs that it takes.
    pub gpus: u32,
    /// Whether it keeps everything that was asked for.
    pub met: bool,
    /// Whether fewer GPUs are better than more tokens.
    pub fewest_gpus: bool,
}

/// A quantity's name and changed value, as a request's reader knows them.
pub(super) fn quantity(change: &Sensitivity) -> (&'static str, String) {
    let ms = |value: f64| format!("{value} ms");
    match change.quantity {
        Quantity::TtftMs => ("TTFT target", ms(change.to)),
        Quantity::ItlMs => ("ITL target", ms(change.to)),
        Quantity::RequestLatencyMs => ("request latency target", ms(change.to)),
        Quantity::TotalGpus => ("GPUs", change.to.to_string()),
        Quantity::Concurrency => ("load", format!("{} requests in flight", change.to)),
        Quantity::RequestsPerS => ("load", format!("{} requests/s", change.to)),
    }
}

/// What a changed target would give.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Gain {
    /// This share of tokens more per GPU.
    Tokens(f64),
    /// This many GPUs instead of those.
    Gpus {
        /// Needed then.
        then: u32,
        /// Needed now.
        now: u32,
    },
}

impl Gain {
    /// The gain as a share of now.
    fn share(self) -> f64 {
        match self {
            Self::Tokens(share) => share,
            Self::Gpus { then, now } => 1.0 - f64::from(then) / f64::from(now.max(1)),
        }
    }
}

impl fmt::Display for Gain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tokens(share) => write!(f, "{:.0} % more tokens per GPU", share * 100.0),
            Self::Gpus { then, now } => write!(f, "{then} GPUs instead of {now}"),
        }
    }
}

/// What a little less or more would change.
#[derive(Debug, Clone, Copy)]
pub struct Headroom<'a> {
    changes: &'a [Sensitivity],
    now: Picked,
}

/// What a little less or more would change against what was picked.
pub const fn headroom(changes: &[Sensitivity], now: Picked) -> Headroom<'_> {
    Headroom { changes, now }
}

impl<'a> Headroom<'a> {
    /// The looser target that gains the most, when it gains enough to be told.
    pub(super) fn best(&self) -> Option<(&'a Sensitivity, Gain)> {
        self.changes
            .iter()
            .filter(|change| change.to > change.from && is_target(change.quantity))
            .filter(|change| self.now.met && change.outcome == Ending::Met)
            .filter_map(|change| Some((change, self.gain(change)?)))
            .filter(|(_, gain)| gain.share() >= NOTABLE)
            .max_by(|one, other| one.1.share().total_cmp(&other.1.share()))
    }

    fn gain(&self, change: &Sensitivity) -> Option<Gain> {
        if self.now.fewest_gpus {
            return Some(Gain::Gpus {
                then: change.gpus?,
                now: self.now.gpus,
            });
        }
        let now = self.now.tokens_per_s_per_gpu;
        (now > 0.0).then_some(Gain::Tokens(change.tokens_per_s_per_gpu? / now - 1.0))
    }

    /// Targets that nothing keeps any more once they are a quarter tighter.
    pub(super) fn brittle(&self) -> impl Iterator<Item = &'a Sensitivity> {
        let met = self.now.met;
        self.changes.iter().filter(move |change| {
            met && change.to < change.from && is_target(change.quantity) && change.outcome != Ending::Met
        })
    }
}

impl fmt::Display for Headroom<'_> {
    /// Nothing where nothing matters.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut parts = Vec::new();
        if let Some((change, gain)) = self.best() {
            let (name, value) = quantity(change);
            parts.push(format!("{name} {value} would give {gain}"));
        }
        for change in self.brittle() {
            let (name, value) = quantity(change);
            parts.push(format!("nothing keeps {name} {value}"));
        }
        if parts.is_empty() {
            return Ok(());
        }
        write!(f, "A quarter more or less: {}", parts.join("; "))
    }
}

const fn is_target(quantity: Quantity) -> bool {
    matches!(
        quantity,
        Quantity::TtftMs | Quantity::ItlMs | Quantity::RequestLatencyMs
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Picked = Picked {
        tokens_per_s_per_gpu: 1000.0,
        gpus: 8,
        met: true,
        fewest_gpus: false,
    };

    fn change(quantity: Quantity, to: f64, outcome: Ending) -> Sensitivity {
        Sensitivity {
            quantity,
            from: 100.0,
            to,
            outcome,
            pick: None,
            differs: true,
            tokens_per_s_per_gpu: Some(to * 10.0),
            tokens_per_s: None,
            gpus: Some(6),
        }
    }

    #[test]
    fn only_what_matters_is_said() {
        let loose = change(Quantity::ItlMs, 125.0, Ending::Met);
        let tight = change(Quantity::TtftMs, 75.0, Ending::Closest);
        let gpus = change(Quantity::TotalGpus, 125.0, Ending::Met);
        let all = [loose.clone(), tight, gpus.clone()];
        assert_eq!(
            headroom(&all, NOW).to_string(),
            "A quarter more or less: ITL target 125 ms would give 25 % more tokens per GPU; nothing keeps TTFT target 75 ms"
        );
        let as_good = Picked {
            tokens_per_s_per_gpu: 1240.0,
            ..NOW
        };
        assert_eq!(headroom(std::slice::from_ref(&loose), as_good).to_string(), "");
        assert_eq!(headroom(&[gpus], NOW).to_string(), "");
        let missed = Picked { met: false, ..NOW };
        assert_eq!(headroom(&all, missed).to_string(), "");
        let fewest = Picked {
            fewest_gpus: true,
            ..NOW
        };
        assert_eq!(
            headroom(&[loose], fewest).to_string(),
            "A quarter more or less: ITL target 125 ms would give 6 GPUs instead of 8"
        );
    }
}
