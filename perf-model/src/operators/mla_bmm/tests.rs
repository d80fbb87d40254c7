use approx::assert_relative_eq;

use crate::graph::{MlaBmmShape, MlaBmmSide};
use crate::operators::OperatorMiss;
use crate::{Axis, Backend, GemmQuant, PerfDatabase, SourceKind, SystemSpec};

fn database(system: &str) -> PerfDatabase {
    PerfDatabase::embedded(SystemSpec::by_name(system).unwrap(), Backend::Trtllm, None).unwrap()
}

fn shape(heads: u32, quant: GemmQuant) -> MlaBmmShape {
    MlaBmmShape {
        heads,
        side: MlaBmmSide::Pre,
        quant,
    }
}

#[test]
fn heads_that_were_not_measured_have_their_share_of_the_next_power_of_two() {
    let database = database("h200_sxm");
    let ms = |heads| {
        let cost = database.mla_bmm(shape(heads, GemmQuant::Fp8)).unwrap();
        cost.latency(64).ms
    };
    assert_relative_eq!(ms(24), ms(32) * 0.75, max_relative = 1e-12);
    assert!(matches!(
        database.mla_bmm(shape(200, GemmQuant::Fp8)),
        Err(OperatorMiss::NotMeasured { .. })
    ));
}

#[test]
fn a_format_that_was_not_measured_costs_what_bfloat16_costs_unless_the_gpu_lacks_it() {
    let hopper = database("h200_sxm");
    let ms = |quant| {
        let cost = hopper.mla_bmm(shape(16, quant)).unwrap();
        cost.latency(64).ms
    };
    assert_relative_eq!(ms(GemmQuant::Fp8Block), ms(GemmQuant::Bfloat16));
    assert!(hopper.mla_bmm(shape(16, GemmQuant::Nvfp4)).is_err());
    assert!(database("a100_sxm").mla_bmm(shape(16, GemmQuant::Fp8)).is_err());
}

#[test]
fn beyond_the_measurements_the_roofline_leads() {
    let cost = database("h200_sxm")
        .mla_bmm(shape(16, GemmQuant::Bfloat16))
        .unwrap();
    assert_eq!(cost.latency(64).source.kind(), SourceKind::Measured);
    assert_eq!(cost.latency(65).source.kind(), SourceKind::Interpolated);
    let far = cost.latency(1_000_000);
    assert_eq!(far.source.beyond().unwrap().axis(), Axis::Tokens);
    assert!(far.ms > cost.latency(500_000).ms);
}
