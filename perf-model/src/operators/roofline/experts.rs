//! Routed experts.

use dgdr_units::real;

use super::slower;
use crate::SystemSpec;
use crate::graph::MoeShape;

/// The routed experts of one GPU when `tokens` tokens come to all of them.
///
/// Every division is rounded down, as AIConfigurator rounds it: with few tokens some of a GPU's experts get none, and
/// their weights are not read.
pub fn moe(system: &SystemSpec, tokens: u64, shape: &MoeShape) -> f64 {
    let [hidden, intermediate, experts, tp, ep] = [
        shape.hidden,
        shape.intermediate,
        shape.experts,
        shape.moe_tp,
        shape.moe_ep,
    ]
    .map(u64::from);
    let matrices = shape.matrices();
    let visits = tokens * u64::from(shape.per_token);
    let weights = hidden * intermediate * matrices;
    let operations = visits.saturating_mul(weights * 2) / ep / tp;
    let here = visits / ep;
    let elements =
        here * hidden * 2 + here * intermediate * matrices / tp + weights / tp * (experts / ep).min(here);
    slower(
        system,
        real(operations),
        real(elements) * shape.quant.bytes(),
        shape.quant.rate(),
    )
}
