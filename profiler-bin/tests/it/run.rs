//! Runs the binary in a directory of its own, cut off from the network and from the caller's settings.

use std::path::{Path, PathBuf};
use std::process::Output;

use assert_cmd::Command;
use tempfile::TempDir;

/// Where one test works.
pub(crate) struct Sandbox {
    home: TempDir,
}

impl Sandbox {
    pub(crate) fn new() -> Self {
        Self {
            home: tempfile::tempdir().unwrap(),
        }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path(name);
        std::fs::write(&path, text).unwrap();
        path
    }

    /// Runs `dgdr-profiler` with these arguments, without a hub.
    pub(crate) fn run<S: AsRef<std::ffi::OsStr>>(&self, arguments: &[S]) -> Output {
        Command::cargo_bin("dgdr-profiler")
            .unwrap()
            .current_dir(self.home.path())
            .env("HF_HUB_OFFLINE", "1")
            .env("HF_HOME", self.path("hf"))
            .env_remove("HF_ENDPOINT")
            .args(arguments)
            .output()
            .unwrap()
    }
}

/// Standard output as text.
pub(crate) fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

/// Standard error as text.
pub(crate) fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// Every file below a directory, relative and sorted.
pub(crate) fn files(directory: &Path) -> Vec<String> {
    fn walk(root: &Path, directory: &Path, found: &mut Vec<String>) {
        for entry in std::fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(root, &path, found);
            } else {
                found.push(path.strip_prefix(root).unwrap().display().to_string());
            }
        }
    }
    let mut found = Vec::new();
    if directory.is_dir() {
        walk(directory, directory, &mut found);
    }
    found.sort();
    found
}

/// A request for a dense model on a node pair of H200.
pub(crate) fn request(model: &str, backend: &str) -> String {
    format!(
        "apiVersion: nvidia.com/v1beta1\nkind: DynamoGraphDeploymentRequest\nmetadata:\n  name: my-model-profiling\n\
         spec:\n  model: \"{model}\"\n  backend: {backend}\n  image: \"nvcr.io/nvidia/ai-dynamo/vllm-runtime:0.9.0\"\n\
         \x20 workload:\n    isl: 3000\n    osl: 150\n  sla:\n    ttft: 200.0\n    itl: 20.0\n\
         \x20 hardware:\n    gpuSku: h200_sxm\n    numGpusPerNode: 8\n    totalGpus: 16\n  autoApply: true\n"
    )
}
