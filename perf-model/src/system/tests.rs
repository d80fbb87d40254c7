use dgdr_units::{Bytes, real};

use super::SystemSpec;

#[test]
fn names_are_unique_and_sorted() {
    let names: Vec<&str> = SystemSpec::all().iter().map(|system| system.name).collect();
    assert_eq!(names.len(), 22);
    assert!(names.windows(2).all(|pair| pair[0] < pair[1]), "{names:?}");
    assert!(names.iter().all(|name| SystemSpec::by_name(name).is_some()));
    assert!(SystemSpec::by_name("h900").is_none());
}

#[test]
fn bandwidth_falls_with_the_distance_between_ranks() {
    let gb200 = SystemSpec::by_name("gb200").unwrap();
    assert!((gb200.p2p_bandwidth(4) - 9e11).abs() < 1.0);
    assert!((gb200.p2p_bandwidth(72) - 9e11).abs() < 1.0);
    assert!((gb200.p2p_bandwidth(73) - 1e11).abs() < 1.0);
    // Boards without NVLink are the exception: their network is faster than PCIe.
    let linked = SystemSpec::all()
        .iter()
        .filter(|system| system.intra_node_bandwidth > 1e11);
    for system in linked {
        let reach = [1, 8, 64, 128].map(|ranks| system.p2p_bandwidth(ranks));
        assert!(reach.windows(2).all(|pair| pair[0] >= pair[1]), "{}", system.name);
    }
}

#[test]
fn nccl_memory_is_looked_up_by_rank() {
    let h200 = SystemSpec::by_name("h200_sxm").unwrap();
    assert_eq!(h200.nccl_memory_of(1), Bytes::new(0));
    assert_eq!(h200.nccl_memory_of(2), Bytes::new(358_612_992));
    assert_eq!(h200.nccl_memory_of(16), Bytes::new(411_041_792));
}

#[test]
fn what_the_reference_describes_is_restated_exactly() {
    let table = include_str!("../../tests/data/systems.csv");
    let mut compared = 0;
    for line in table.lines().skip(2) {
        let (name, values) = line.split_once(',').unwrap();
        let system = SystemSpec::by_name(name).unwrap();
        let theirs: Vec<Option<f64>> = values.split(',').map(|value| value.parse().ok()).collect();
        let whole = |value: Option<u32>| value.map(f64::from);
        let ours = [
            Some(system.memory_bandwidth),
            Some(system.memory_bandwidth_share),
            Some(system.memory_latency),
            Some(real(system.memory_capacity.get())),
            Some(system.bfloat16_flops),
            system.int8_flops,
            system.fp8_flops,
            system.fp4_flops,
            system.power,
            whole(system.sm_version),
            whole(Some(system.gpus_per_node)),
            whole(system.gpus_per_rack),
            Some(system.intra_node_bandwidth),
            Some(system.inter_node_bandwidth),
            system.inter_rack_bandwidth,
            Some(system.p2p_latency),
            Some(real(system.nccl_memory_of(8).get())),
            Some(real(system.other_memory.get())),
        ];
        assert_eq!(ours.as_slice(), theirs, "{name}");
        assert_eq!(system.source, "aiconfigurator-core 0.12.0 system description");
        compared += 1;
    }
    assert_eq!(compared, 14);
}

#[test]
fn a_narrower_format_is_never_slower() {
    for system in SystemSpec::all() {
        let name = system.name;
        let fp8 = system.fp8_flops.map(|rate| rate / system.bfloat16_flops);
        match (name, fp8) {
            // Intel's part runs fp8 at the rate of bfloat16, and Rubin grew its narrow formats alone.
            ("b60", Some(ratio)) => assert!((ratio - 1.0).abs() < 1e-9),
            ("vr_nvl72", Some(ratio)) => assert!(ratio > 4.0),
            (_, Some(ratio)) => assert!((ratio - 2.0).abs() < 0.03, "{name}: {ratio}"),
            (_, None) => {
                let older = system.sm_version.is_some_and(|version| version < 89);
                assert!(older || name == "mi200", "{name} has fp8");
            }
        }
        let blackwell = system.sm_version.is_some_and(|version| version >= 100);
        assert_eq!(system.fp4_flops.is_some(), blackwell, "{name}");
        if let (Some(fp4), Some(fp8)) = (system.fp4_flops, system.fp8_flops) {
            assert!(fp4 >= 1.9 * fp8, "{name}");
        }
    }
}

#[test]
fn constants_are_of_a_plausible_size() {
    for system in SystemSpec::all() {
        let name = system.name;
        // From one T4 to one Rubin; memory is read in 10 to 400 ms, and a network is slower than memory.
        assert!((6e13..5e15).contains(&system.bfloat16_flops), "{name}");
        let sweep = real(system.memory_capacity.get()) / system.memory_bandwidth;
        assert!((0.01..0.55).contains(&sweep), "{name}: {sweep}");
        assert!(system.inter_node_bandwidth < system.memory_bandwidth, "{name}");
        assert!(!system.source.is_empty(), "{name}");
        assert!(matches!(system.gpus_per_node, 1 | 4 | 8), "{name}");
    }
}
