use dgdr_units::{BYTES_PER_GIB, Bytes, Fraction};

use super::{
    ActivationClass, Footprint, FractionBasis, MemoryBreakdown, MemoryFit, MemoryFraction,
    MemoryFractionQuery, WorkerRole, activation_factor, sglang_static_fraction,
};
use crate::backend::Backend;
use crate::mapping::{MappingWidths, ParallelMapping};
use crate::system::SystemSpec;

fn breakdown(kv_gib: f64, basis: FractionBasis) -> MemoryBreakdown {
    MemoryBreakdown::new(
        &Footprint {
            weights: 40.0 * BYTES_PER_GIB,
            activations: 5.0 * BYTES_PER_GIB,
            kv_cache: kv_gib * BYTES_PER_GIB,
            nccl: 0.0,
            others: 5.0 * BYTES_PER_GIB,
        },
        Bytes::new(100 << 30),
        MemoryFraction {
            value: Fraction::new(0.9).unwrap(),
            basis,
        },
        1.0,
    )
}

#[test]
fn a_worker_fits_below_both_limits() {
    assert_eq!(breakdown(39.0, FractionBasis::Total).fit(), MemoryFit::Fits);
    assert!(matches!(
        breakdown(41.0, FractionBasis::Total).fit(),
        MemoryFit::KvOutOfMemory { .. }
    ));
    // 0.9 of the free 50 GiB is more than 0.9 of 100 GiB less 50 GiB.
    assert_eq!(breakdown(41.0, FractionBasis::Free).fit(), MemoryFit::Fits);
    assert!(matches!(
        breakdown(50.0, FractionBasis::Free).fit(),
        MemoryFit::OutOfMemory { .. }
    ));
}

#[test]
fn parts_add_up_to_the_total() {
    let memory = breakdown(10.0, FractionBasis::Total);
    assert!((memory.gib() - 60.0).abs() < 1e-9);
    assert!((memory.kv_budget.gib() - 40.0).abs() < 1e-6);
    assert_eq!(memory.total(), memory.without_kv() + memory.kv_cache);
}

#[test]
fn each_engine_has_its_own_share() {
    let system = SystemSpec::by_name("h200_sxm").unwrap();
    let share = |backend, version, role| {
        let fraction = MemoryFraction::default_of(MemoryFractionQuery {
            system,
            backend,
            version,
            mapping: ParallelMapping::tp(2).unwrap(),
            role,
        });
        (fraction.value.get(), fraction.basis)
    };
    let both = [WorkerRole::Aggregated, WorkerRole::Disaggregated];
    for role in both {
        assert_eq!(
            share(Backend::Trtllm, "1.3.0rc20", role),
            (0.9, FractionBasis::Free)
        );
        assert_eq!(share(Backend::Vllm, "0.24.0", role), (0.92, FractionBasis::Total));
        assert_eq!(share(Backend::Vllm, "0.14.0", role), (0.9, FractionBasis::Total));
    }
    let [aggregated, static_] = both.map(|role| share(Backend::Sglang, "0.5.14", role));
    assert_eq!(aggregated, (0.88, FractionBasis::Total));
    // 141 GiB are 144 384 MiB; 512 + 1.5 · 8192 + 2 · 128 + 2 · 256 = 13 568 MiB stay free.
    assert_eq!(static_, (0.906, FractionBasis::Total));
}

#[test]
fn sglang_reserves_more_with_attention_copies_and_at_least_ten_gib_on_large_gpus() {
    let with_dp = ParallelMapping::new(MappingWidths {
        tp: 1,
        pp: 1,
        attention_dp: 8,
        moe_tp: 1,
        moe_ep: 8,
        cp: 1,
    })
    .unwrap();
    let capacity = Bytes::new(141 << 30);
    let single = sglang_static_fraction(capacity, ParallelMapping::SINGLE);
    assert!(sglang_static_fraction(capacity, with_dp) < single);
    // 24 576 MiB less 512 + 1.5 · 2048 + 128 + 2 · 24 MiB; the floor of 10 GiB does not hold for small GPUs.
    let small = sglang_static_fraction(Bytes::new(24 << 30), ParallelMapping::SINGLE);
    assert!((small - 0.847).abs() < 1e-9, "{small}");
}

#[test]
fn activations_are_known_for_powers_of_two_up_to_a_node() {
    for backend in Backend::ALL {
        let known: Vec<u32> = (1..=16)
            .filter(|tp| activation_factor(backend, ActivationClass::Dense, *tp).is_some())
            .collect();
        assert_eq!(known, [1, 2, 4, 8, 9, 10, 11, 12, 13, 14, 15, 16]);
    }
}
