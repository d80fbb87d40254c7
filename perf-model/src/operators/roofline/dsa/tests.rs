//! Values: the reference's own speeds of light on an H200.

use approx::assert_relative_eq;
use proptest::prelude::*;

use super::{DsaWork, dsa_context, dsa_generation};
use crate::graph::DsaArchitecture;
use crate::{FmhaQuant, GemmQuant, KvQuant, SystemSpec};

fn h200() -> &'static SystemSpec {
    SystemSpec::by_name("h200_sxm").unwrap()
}

fn work(architecture: DsaArchitecture) -> DsaWork {
    DsaWork {
        dimensions: architecture.dimensions(),
        batch: 2,
        sequence: 4000,
        prefix: 0,
        heads: 16,
        chosen: 2048,
        indexer: true,
        kv: KvQuant::Fp8,
        fmha: FmhaQuant::Bfloat16,
        gemm: GemmQuant::Fp8Block,
    }
}

#[test]
fn prefill_pays_for_the_tokens_chosen_and_for_choosing_them() {
    let long = work(DsaArchitecture::DeepseekV32);
    let cases = [
        (
            DsaWork {
                sequence: 1024,
                ..long
            },
            0.141_717_856_032_355_93,
        ),
        (long, 1.103_500_601_722_952_5),
        (DsaWork { chosen: 1024, ..long }, 0.925_819_451_534_883_8),
        (
            DsaWork {
                sequence: 1000,
                prefix: 1500,
                ..long
            },
            0.277_368_670_479_272,
        ),
        (
            DsaWork {
                sequence: 1000,
                prefix: 3000,
                ..long
            },
            0.312_770_394_337_714_9,
        ),
        (work(DsaArchitecture::GlmMoeDsa), 1.069_042_846_414_560_3),
        (
            DsaWork {
                indexer: false,
                ..work(DsaArchitecture::GlmMoeDsa)
            },
            0.936_513_018_305_358_9,
        ),
    ];
    for (work, expected) in cases {
        assert_relative_eq!(dsa_context(h200(), work), expected, max_relative = 1e-12);
    }
}

#[test]
fn decode_reads_its_weights_the_index_and_what_was_chosen() {
    let few = DsaWork {
        sequence: 1024,
        ..work(DsaArchitecture::DeepseekV32)
    };
    let many = DsaWork {
        batch: 300,
        sequence: 5000,
        ..few
    };
    let plain = |work: DsaWork| DsaWork {
        dimensions: DsaArchitecture::GlmMoeDsa.dimensions(),
        kv: KvQuant::Bfloat16,
        gemm: GemmQuant::Bfloat16,
        ..work
    };
    for (work, expected) in [
        (few, 0.010_405_546_666_666_666),
        (many, 0.125_081_466_666_666_67),
        (plain(few), 0.025_151_146_666_666_666),
        (plain(many), 0.213_309_306_666_666_67),
    ] {
        assert_relative_eq!(dsa_generation(h200(), work), expected, max_relative = 1e-12);
    }
}

proptest! {
    #[test]
    fn more_of_anything_takes_no_less(
        batch in 1_u64..64, sequence in 1_u64..20_000, prefix in 0_u64..20_000,
        more_batch in 0_u64..8, more_sequence in 0_u64..2000,
    ) {
        let small = DsaWork { batch, sequence, prefix, ..work(DsaArchitecture::GlmMoeDsa) };
        let large = DsaWork {
            batch: batch + more_batch,
            sequence: sequence + more_sequence,
            ..small
        };
        let holds = |f: fn(&SystemSpec, DsaWork) -> f64| f(h200(), large) >= f(h200(), small) * (1.0 - 1e-12);
        prop_assert!(holds(dsa_context));
        prop_assert!(holds(dsa_generation));
    }
}
