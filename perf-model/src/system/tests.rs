use dgdr_units::Bytes;

use super::SystemSpec;

#[test]
fn names_are_unique_and_sorted() {
    let names: Vec<&str> = SystemSpec::all().iter().map(|system| system.name).collect();
    assert_eq!(names.len(), 14);
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
