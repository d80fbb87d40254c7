use std::path::{Path, PathBuf};

use dgdr_perf_model::{Backend, SystemSpec};

use super::{DataTree, Source};
use crate::lanes::Policy;
use crate::table::engine_tables;

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
        fixture.file("h200_sxm.yaml", "misc:\n  nccl_version: '2.26.2'\n");
        fixture
    }

    fn file(&self, path: &str, text: &str) {
        let path = self.0.join("systems").join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    fn measured(&self, engine: &str, version: &str) {
        self.file(
            &format!("data/h200_sxm/gemm/{engine}/{version}/gemm_perf.parquet"),
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
fn systems_may_have_versions_of_their_own() {
    let fixture = Fixture::new("versions");
    let current = |system, backend| fixture.tree().current_version(system, backend);
    assert_eq!(current("h200_sxm", Backend::Vllm).unwrap(), "0.24.0");
    assert_eq!(current("a100_sxm", Backend::Vllm).unwrap(), "0.14.0");
    assert_eq!(current("a100_sxm", Backend::Trtllm).unwrap(), "1.3.0rc20");
    assert!(current("h200_sxm", Backend::Sglang).is_err());
    let (version, sources) = fixture.tree().nccl_sources("h200_sxm").unwrap();
    assert_eq!(version, "2.26.2");
    assert!(
        sources[0]
            .path
            .ends_with(Path::new("comm/nccl/2.26.2/nccl_perf.parquet"))
    );
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
