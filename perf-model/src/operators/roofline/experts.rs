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

#[cfg(test)]
mod tests {
    use approx::assert_relative_eq;

    use super::moe;
    use crate::graph::{MoeShape, WorkloadDistribution};
    use crate::{MoeQuant, SystemSpec};

    fn shape() -> MoeShape {
        MoeShape {
            hidden: 4096,
            intermediate: 1536,
            per_token: 8,
            experts: 128,
            moe_tp: 1,
            moe_ep: 8,
            attention_dp: 1,
            quant: MoeQuant::Bfloat16,
            distribution: WorkloadDistribution::PowerLaw12,
            gated: true,
        }
    }

    /// Milliseconds of aiconfigurator 0.12.0, mode SOL, for Qwen3-235B-A22B's experts on an H200.
    #[test]
    fn experts_take_as_long_as_the_reference_says() {
        let h200 = SystemSpec::by_name("h200_sxm").unwrap();
        for (tokens, ms) in [
            (1, 0.007_869_653_333_333_334),
            (5, 0.039_348_266_666_666_67),
            (100, 0.126_362_453_333_333_35),
            (30_000, 1.145_057_714_863_498_6),
        ] {
            assert_relative_eq!(moe(h200, tokens, &shape()), ms, max_relative = 1e-12);
        }
    }

    #[test]
    fn an_expert_without_a_gate_reads_two_matrices_of_three() {
        let h200 = SystemSpec::by_name("h200_sxm").unwrap();
        let plain = MoeShape {
            gated: false,
            ..shape()
        };
        let [plain, gated] = [plain, shape()].map(|shape| moe(h200, 30_000, &shape));
        assert_relative_eq!(plain / gated, 2.0 / 3.0, max_relative = 1e-12);
    }
}
