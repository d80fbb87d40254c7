use std::path::PathBuf;

use dgdr_perf_model::{Backend, SystemSpec};

use super::{DataTree, Source};
use crate::error::MeasuredTablesError;
use crate::lanes::Policy;
use crate::table::engine_tables;

const H200: &str = "\
gpu:
  mem_bw: 4800000000000 # 4.8 TB/s
  mem_bw_empirical_scaling_factor: 0.8
  mem_empirical_constant_latency: 0.000003
  mem_capacity: 151397597184
  bfloat16_tc_flops: 989000000000000
  fp8_tc_flops: 1978000000000000
  sm_version: 90
node:
  num_gpus_per_node: 8
  inter_node_bw: 50000000000
  intra_node_bw: 450000000000
  p2p_latency: 0.00001
misc:
  nccl_mem:
    1: 0
    2: 358612992
  other_mem: 3758096384
  nccl_version: '2.26.2'
";

/// A data tree in a folder of its own, removed when dropped.
struct Fixture(PathBuf);

impl Drop for Fixture {
    fn drop(&mut self) {
        // A folder that cannot be removed is no reason to fail a test.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

impl Fixture {
    fn new(name: &str) -> Self {
        let root = std::env::temp_dir().join(format!("dgdr-perf-data-{name}-{}", std::process::id()));
        let fixture = Self(root);
        fixture.file(
            "query_versions.yaml",
            "defaults:\n  trtllm: {current: \"1.3.0rc20\", previous: null}\n  vllm: {current: \"0.24.0\"}\n\
             overrides:\n  a100_sxm:\n    vllm: {current: \"0.14.0\"}\n",
        );
        fixture.file(
            "perf_data_reuse_manifest.yaml",
            "groups:\n\
             - {op_file: gemm_perf.parquet, kernel_source: cublas, tier: shared, frameworks: [trtllm, vllm]}\n\
             - {op_file: gemm_perf.parquet, kernel_source: absent, tier: absence_load_bearing, frameworks: [trtllm, vllm]}\n\
             - {op_file: gemm_perf.parquet, kernel_source: triton, tier: shared, frameworks: [sglang, vllm]}\n",
        );
        fixture.file(
            "attention_lane_defaults.yaml",
            "sglang:\n  \"0.5.14\":\n    90: fa3\n    100: triton\nvllm:\n  \"0.24.0\":\n    90: default\n",
        );
        fixture.file("h200_sxm.yaml", H200);
        fixture.file("a100_sxm.yaml", H200);
        fixture
    }

    fn file(&self, path: &str, text: &str) {
        let path = self.0.join("systems").join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    fn measured(&self, engine: &str, version: &str) {
        self.measured_on("h200_sxm", engine, version);
    }

    fn measured_on(&self, system: &str, engine: &str, version: &str) {
        self.file(
            &format!("data/{system}/gemm/{engine}/{version}/gemm_perf.parquet"),
            "",
        );
    }

    fn tree(&self) -> DataTree {
        DataTree::open(&self.0).unwrap()
    }

    fn sources(&self) -> Vec<Source> {
        self.tree()
            .engine_sources(
                "h200_sxm",
                Backend::Trtllm,
                "1.3.0rc20",
                engine_tables().next().unwrap(),
            )
            .unwrap()
    }
}

fn labels(sources: &[Source]) -> Vec<&str> {
    sources.iter().map(|source| source.label.as_str()).collect()
}

#[test]
fn own_declared_earlier_and_lent_files_come_in_this_order() {
    let fixture = Fixture::new("order");
    for version in ["1.3.0rc9", "1.3.0rc20", "1.3.0rc23", "1.2.0", "1.3.0rc10"] {
        fixture.measured("trtllm", version);
    }
    fixture.measured("vllm", "0.22.0");
    fixture.measured("vllm", "0.24.0");
    fixture.measured("sglang", "0.5.14");
    fixture.file(
        "data/h200_sxm/gemm/trtllm/1.3.0rc20/reuse.yaml",
        "reuse:\n- {table: gemm_perf, from_version: 1.3.0rc23, reason: r}\n- {table: other_perf, from_version: 9.9}\n",
    );
    let sources = fixture.sources();
    assert_eq!(
        labels(&sources),
        [
            "trtllm 1.3.0rc20",
            "trtllm 1.3.0rc23",
            "trtllm 1.3.0rc10",
            "trtllm 1.3.0rc9",
            "trtllm 1.2.0",
            "vllm 0.24.0",
            "vllm 0.22.0",
        ]
    );
    assert!(sources[0].own && sources[1..].iter().all(|source| !source.own));
    assert_eq!(sources[4].kernels, None);
    assert_eq!(sources[5].kernels, Some(["cublas".to_owned()].into()));
}

#[test]
fn an_unfinished_collection_is_read_only_where_it_says_what_is_missing() {
    let fixture = Fixture::new("unfinished");
    fixture.measured("trtllm", "1.3.0rc20");
    fixture.measured("trtllm", "1.3.0rc10");
    fixture.file("data/h200_sxm/gemm/trtllm/1.3.0rc20/INCOMPLETE.txt", "");
    assert_eq!(labels(&fixture.sources()), ["trtllm 1.3.0rc10"]);
    fixture.file(
        "data/h200_sxm/gemm/trtllm/1.3.0rc20/collection_meta.yaml",
        "tables: {}\n",
    );
    assert_eq!(
        labels(&fixture.sources()),
        ["trtllm 1.3.0rc20", "trtllm 1.3.0rc10"]
    );
}

#[test]
fn versions_have_names_and_the_next_one_is_that_of_the_whole_fleet() {
    let fixture = Fixture::new("versions");
    for (system, engine, version) in [
        ("h200_sxm", "vllm", "0.24.0"),
        ("h200_sxm", "trtllm", "1.3.0rc20"),
        ("h200_sxm", "sglang", "0.5.14"),
        ("h200_sxm", "sglang", "0.5.9"),
        ("a100_sxm", "vllm", "0.30.0"),
        ("a100_sxm", "trtllm", "1.3.0rc23"),
    ] {
        fixture.measured_on(system, engine, version);
    }
    let versions = |system, backend| fixture.tree().versions(system, backend).unwrap();
    let vllm = versions("h200_sxm", Backend::Vllm);
    assert_eq!((vllm.current.as_str(), vllm.next), ("0.24.0", None));
    let own = versions("a100_sxm", Backend::Vllm);
    assert_eq!((own.current.as_str(), own.next), ("0.14.0", None));
    let trtllm = versions("h200_sxm", Backend::Trtllm);
    assert_eq!(trtllm.current, "1.3.0rc20");
    assert_eq!(trtllm.next.as_deref(), Some("1.3.0rc23"));
    assert_eq!(versions("h200_sxm", Backend::Sglang).current, "0.5.14");
    let missing = fixture.tree().versions("a100_sxm", Backend::Sglang).unwrap_err();
    assert!(
        matches!(missing, MeasuredTablesError::NoMeasurements { .. }),
        "{missing}"
    );
}

#[test]
fn a_system_is_what_the_folder_says() {
    let fixture = Fixture::new("system");
    let tree = fixture.tree();
    assert_eq!(tree.system_names().unwrap(), ["a100_sxm", "h200_sxm"]);
    let system = tree.system("h200_sxm").unwrap();
    let ours = SystemSpec::by_name("h200_sxm").unwrap();
    assert!((system.memory_bandwidth - ours.memory_bandwidth).abs() < 1.0);
    assert_eq!(system.nccl_memory[1], ours.nccl_memory[1]);
    assert_eq!((system.fp4_flops, system.gpus_per_node), (None, 8));
    let unknown = tree.system("h300").unwrap_err();
    assert!(
        unknown.to_string().ends_with("it describes a100_sxm, h200_sxm"),
        "{unknown}"
    );
}

#[test]
fn collectives_are_those_of_the_version_that_the_system_names() {
    let fixture = Fixture::new("nccl");
    let found = || fixture.tree().nccl_sources("h200_sxm").unwrap();
    assert_eq!(found(), ("2.26.2".to_owned(), Vec::new()));
    fixture.file("data/h200_sxm/comm/nccl/2.26.2/nccl_perf.parquet", "");
    assert_eq!(labels(&found().1), ["nccl 2.26.2"]);
}

#[test]
fn kernels_are_ordered_by_the_newest_entry_not_above_the_version() {
    let fixture = Fixture::new("lanes");
    let policy = |backend, version: &str, system| {
        fixture
            .tree()
            .lane_policy(backend, version, SystemSpec::by_name(system).unwrap())
    };
    assert_eq!(
        policy(Backend::Sglang, "0.5.14", "h200_sxm"),
        Policy::Known(Some("fa3".to_owned()))
    );
    assert_eq!(
        policy(Backend::Sglang, "0.5.16.post1", "b200_sxm"),
        Policy::Known(Some("triton".to_owned()))
    );
    assert_eq!(
        policy(Backend::Sglang, "0.5.10", "h200_sxm"),
        Policy::Alphabetical
    );
    assert_eq!(
        policy(Backend::Sglang, "0.5.14", "a100_sxm"),
        Policy::Alphabetical
    );
    assert_eq!(policy(Backend::Vllm, "0.24.0", "h200_sxm"), Policy::Known(None));
    assert_eq!(
        policy(Backend::Trtllm, "1.3.0rc20", "h200_sxm"),
        Policy::Alphabetical
    );
}
