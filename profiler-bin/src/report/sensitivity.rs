//! What a little less or more would change, in one line.

use std::fmt;

use crate::pipeline::sensitivity::{Ending, Quantity, Sensitivity};

/// Share of throughput from which on a change is worth a line.
const NOTABLE: f64 = 0.05;

/// A quantity's name and unit, as a request's reader knows it.
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

/// By what share a changed request gives more tokens per GPU than `now`.
pub(super) fn gain(change: &Sensitivity, now: f64) -> Option<f64> {
    (now > 0.0).then_some(change.tokens_per_s_per_gpu? / now - 1.0)
}

/// The change that matters most: the target that costs the most throughput, else the one that cannot be tightened.
pub struct Headroom<'a> {
    changes: &'a [Sensitivity],
    now: f64,
    met: bool,
}

/// What a little less or more would change, where `now` tokens per second and GPU were picked.
pub const fn headroom(changes: &[Sensitivity], now: f64, met: bool) -> Headroom<'_> {
    Headroom { changes, now, met }
}

impl Headroom<'_> {
    /// The looser target that gains the most, when it gains enough to be told.
    pub(super) fn best(&self) -> Option<(&Sensitivity, f64)> {
        self.changes
            .iter()
            .filter(|change| change.to > change.from && is_target(change.quantity))
            .filter(|change| change.outcome == Ending::Met)
            .filter_map(|change| Some((change, gain(change, self.now)?)))
            .filter(|(_, gain)| *gain >= NOTABLE)
            .max_by(|one, other| one.1.total_cmp(&other.1))
    }

    /// Targets that nothing keeps any more once they are a quarter tighter.
    pub(super) fn brittle(&self) -> impl Iterator<Item = &Sensitivity> {
        self.changes.iter().filter(|change| {
            self.met && change.to < change.from && is_target(change.quantity) && change.outcome != Ending::Met
        })
    }
}

impl fmt::Display for Headroom<'_> {
    /// Nothing where nothing matters.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut parts = Vec::new();
        if let Some((change, gain)) = self.best() {
            let (name, value) = quantity(change);
            parts.push(format!(
                "{name} {value} would give {:.0} % more tokens",
                gain * 100.0
            ));
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
            gpus: None,
        }
    }

    #[test]
    fn only_what_matters_is_said() {
        let loose = change(Quantity::ItlMs, 125.0, Ending::Met);
        let tight = change(Quantity::TtftMs, 75.0, Ending::Closest);
        let gpus = change(Quantity::TotalGpus, 125.0, Ending::Met);
        let all = [loose.clone(), tight, gpus.clone()];
        assert_eq!(
            headroom(&all, 1000.0, true).to_string(),
            "A quarter more or less: ITL target 125 ms would give 25 % more tokens; nothing keeps TTFT target 75 ms"
        );
        assert_eq!(headroom(&[loose], 1240.0, true).to_string(), "");
        assert_eq!(headroom(&[gpus], 1000.0, true).to_string(), "");
    }
}
