use std::sync::Arc;

use approx::assert_relative_eq;

use super::sites::Sites;
use super::{GemmCost, GemmShape, OperatorMiss, median};
use crate::tables::Grid;
use crate::{GemmQuant, Source, SourceKind, SystemSpec};

const NS: &[u32] = &[1024, 2048, 4096];
const KS: &[u32] = &[1024, 4096];
const MS: &[u32] = &[1, 16, 64, 256, 1024];

/// Half of the roofline everywhere, but for the smallest m.
fn cost(n: u32, k: u32) -> GemmCost {
    let system = SystemSpec::by_name("h200_sxm").unwrap();
    let roofline = |at: &[u32]| {
        super::roofline::gemm(
            system,
            super::GemmWork {
                m: u64::from(at[2]),
                n: u64::from(at[0]),
                k: u64::from(at[1]),
                quant: GemmQuant::Bfloat16,
            },
        )
    };
    let grid = Grid::of(&[NS, KS, MS], |at| {
        (at[0] != 4096 || at[1] != 4096).then(|| 2.0 * roofline(at))
    })
    .with_order(&[0, 1, 2, 3, 4]);
    let shape = GemmShape {
        n,
        k,
        quant: GemmQuant::Bfloat16,
        low_precision_input: false,
        roofline_when_far: false,
    };
    GemmCost {
        system,
        shape,
        measured_quant: GemmQuant::Bfloat16,
        sites: Sites::around(&grid, n, k),
        grid: Arc::new(grid),
        scaling: None,
        measured_on: "here".to_owned(),
    }
}

fn utilisation(cost: &GemmCost, m: u64) -> f64 {
    cost.roofline_here(m) / cost.latency(m).unwrap().ms
}

#[test]
fn a_measured_site_is_linear_in_tokens() {
    let cost = cost(2048, 4096);
    assert_eq!(cost.latency(64).unwrap().source, Source::Measured);
    let between = cost.latency(160).unwrap();
    assert_eq!(between.source, Source::Interpolated);
    let ends = [64, 256].map(|m| cost.latency(m).unwrap().ms);
    assert_relative_eq!(between.ms, f64::midpoint(ends[0], ends[1]), max_relative = 1e-9);
}

#[test]
fn beyond_the_sweep_the_utilisation_is_held() {
    for shape in [(2048, 4096), (3000, 1024), (4096, 4096)] {
        let cost = cost(shape.0, shape.1);
        assert_relative_eq!(utilisation(&cost, 100_000), 0.5, max_relative = 1e-6);
        assert_eq!(
            cost.latency(100_000).unwrap().source.kind(),
            SourceKind::Extrapolated
        );
    }
}

#[test]
fn an_unknown_site_takes_the_utilisation_of_its_neighbours() {
    let cost = cost(3000, 2000);
    assert_relative_eq!(utilisation(&cost, 64), 0.5, max_relative = 1e-6);
    assert_eq!(cost.latency(64).unwrap().source, Source::Interpolated);
}

#[test]
fn only_one_dimension_may_leave_the_measured_range() {
    assert_eq!(
        cost(60_000, 1024).latency(64).unwrap().source.kind(),
        SourceKind::Extrapolated
    );
    assert!(matches!(
        cost(60_000, 60_000).latency(64),
        Err(OperatorMiss::OutOfReach { .. })
    ));
    assert!(matches!(
        cost(100, 1024).latency(64),
        Err(OperatorMiss::OutOfReach { .. })
    ));
    // Exactly one beyond, but the other one too far below to be near anything.
    assert!(matches!(
        cost(60_000, 100).latency(64),
        Err(OperatorMiss::OutOfReach { .. })
    ));
}

#[test]
fn a_projection_to_a_few_features_costs_its_roofline() {
    let mut narrow = cost(3, 1024);
    assert!(narrow.latency(64).is_err());
    narrow.shape.roofline_when_far = true;
    let found = narrow.latency(64).unwrap();
    assert_relative_eq!(found.ms, narrow.roofline_here(64));
    assert_eq!(found.source, Source::Roofline);
    // Where something near it was measured, that counts.
    let mut near = cost(3000, 2000);
    let measured = near.latency(64).unwrap();
    near.shape.roofline_when_far = true;
    assert_eq!(near.latency(64).unwrap(), measured);
}

#[test]
fn of_equally_near_sites_those_that_appeared_first_are_asked() {
    let ns: &[u32] = &[1024, 2048, 4096];
    let cells = |at: &[u32]| {
        let centre = at[0] == 2048 && at[1] == 2048;
        (!centre).then(|| f64::from(at[0] * at[2]))
    };
    // Cells are (n, k) of n × k: the corners 0, 2, 6 and 8, and the nearer edges 1, 3, 5 and 7.
    let asked = |order: &[u32]| {
        let grid = Grid::of(&[ns, ns, MS], cells).with_order(order);
        let Sites::Ranked(ranked) = Sites::around(&grid, 2048, 2048) else {
            unreachable!("2048 × 2048 was not measured")
        };
        let near = ranked.neighbours(&grid, 64).unwrap();
        near.map(|near| near.map(|near| (near.site.n, near.site.k)))
    };
    let edges = [(1024, 2048), (2048, 1024), (2048, 4096), (4096, 2048)].map(Some);
    assert_eq!(asked(&[0, 1, 2, 3, 5, 6, 7, 8]), edges);
    // Without two of the edges, two of the equally near corners are left to choose from.
    assert_eq!(
        asked(&[0, 1, 2, 3, 6, 8])[2..],
        [(1024, 1024), (1024, 4096)].map(Some)
    );
    assert_eq!(
        asked(&[8, 6, 3, 2, 1, 0])[2..],
        [(4096, 4096), (4096, 1024)].map(Some)
    );
}

#[test]
fn the_median_of_an_even_number_is_the_mean_of_the_middle_two() {
    assert_relative_eq!(median(&mut [3.0, 1.0, 2.0]).unwrap(), 2.0);
    assert_relative_eq!(median(&mut [4.0, 1.0]).unwrap(), 2.5);
    assert_eq!(median(&mut []), None);
}
