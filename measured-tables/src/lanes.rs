//! Which of several measured kernels stands for an operator: the order in which they are tried.

use std::collections::BTreeMap;

/// How the kernels of an engine version are ordered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Policy {
    /// Nothing is known about the engine's choice: `default` first, then by name.
    Alphabetical,
    /// The engine's choice is known: this kernel (none: it has no name of its own) first, then those with the most
    /// measurements.
    Known(Option<String>),
}

/// Kernels that users can ask for by name; they are tried before those that they cannot.
const NAMED: [&str; 5] = ["fa3", "fla", "flashinfer", "triton", "trtllm_mha"];

const DEFAULT: &str = "default";

/// How much was measured of a kernel.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Density {
    pub(crate) slices: usize,
    pub(crate) points: usize,
}

/// All kernels in the order in which they are tried; `own` counts what the active version's own file has of each,
/// `all` what the merged table has.
pub(crate) fn order(
    policy: &Policy,
    own: &BTreeMap<String, Density>,
    all: &BTreeMap<String, Density>,
) -> Vec<String> {
    let mut lanes: Vec<String> = all.keys().cloned().collect();
    match policy {
        Policy::Alphabetical => lanes.sort_by_key(|lane| (lane != DEFAULT, lane.clone())),
        Policy::Known(pinned) => lanes.sort_by_key(|lane| {
            let (donated, density) = match own.get(lane) {
                Some(density) => (false, density),
                None => (true, &all[lane]),
            };
            (
                pinned.as_ref() != Some(lane),
                donated,
                tier(lane),
                std::cmp::Reverse((density.slices, density.points)),
                lane.clone(),
            )
        }),
    }
    lanes
}

fn tier(lane: &str) -> u8 {
    if NAMED.contains(&lane) {
        0
    } else if lane == DEFAULT {
        1
    } else {
        2
    }
}

#[cfg(test)]
mod tests {
    use super::{Density, Policy, order};
    use std::collections::BTreeMap;

    fn density(of: &[(&str, usize)]) -> BTreeMap<String, Density> {
        of.iter()
            .map(|(lane, slices)| {
                let density = Density {
                    slices: *slices,
                    points: 10 * slices,
                };
                ((*lane).to_owned(), density)
            })
            .collect()
    }

    #[test]
    fn the_known_kernel_leads_and_the_densest_follow() {
        let own = density(&[("triton", 4), ("flashinfer", 10), ("trtllm_mha", 64)]);
        let mut all = own.clone();
        all.extend(density(&[("flash_attention", 99), ("fa3", 98)]));
        let policy = Policy::Known(Some("triton".to_owned()));
        assert_eq!(
            order(&policy, &own, &all),
            ["triton", "trtllm_mha", "flashinfer", "fa3", "flash_attention"]
        );
    }

    #[test]
    fn without_knowledge_names_decide() {
        let all = density(&[("torch_flow_b", 9), ("torch_flow", 1), ("default", 1)]);
        assert_eq!(
            order(&Policy::Alphabetical, &all, &all),
            ["default", "torch_flow", "torch_flow_b"]
        );
        assert_eq!(
            order(&Policy::Known(None), &all, &all),
            ["default", "torch_flow_b", "torch_flow"]
        );
    }
}
