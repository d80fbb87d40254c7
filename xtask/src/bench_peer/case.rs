//! Questions that both are asked, and what is promised of each.

use std::ffi::OsString;
use std::path::Path;

/// The dense question as `profile` is asked it; the peer is asked the same.
pub(super) const REQUEST: &str = r#"{"model": "Qwen/Qwen3-32B", "backend": "trtllm",
  "hardware": {"gpuSku": "h200_sxm", "numGpusPerNode": 8, "totalGpus": 8},
  "workload": {"isl": 4000, "osl": 1000}, "sla": {"ttft": 2000.0, "itl": 30.0}}"#;

/// A question.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Case {
    /// Qwen3-32B on 8 H200, which `profile` answers too.
    Dense,
    /// Qwen3-235B-A22B in fp8 on 64 H200, all mappings.
    Mixture,
    /// DeepSeek-V3 on 64 H200, all mappings.
    Deepseek,
}

/// What both are asked.
struct Question {
    model: &'static str,
    backend: &'static str,
    gpus: &'static str,
    ttft: &'static str,
    itl: &'static str,
}

/// What a case promises of us beside the peer.
#[derive(Debug, Clone, Copy)]
pub(super) struct Promise {
    /// How many times faster the whole run must be.
    pub(super) wall_ratio: f64,
    /// How many times less memory it must take.
    pub(super) memory_ratio: f64,
    /// The most memory that it may take, MiB.
    pub(super) peak_mib: f64,
}

impl Case {
    pub(super) const fn promise(self) -> Promise {
        match self {
            Self::Dense => Promise {
                wall_ratio: 200.0,
                memory_ratio: 10.0,
                peak_mib: f64::INFINITY,
            },
            Self::Mixture | Self::Deepseek => Promise {
                wall_ratio: 500.0,
                memory_ratio: 10.0,
                peak_mib: 80.0,
            },
        }
    }

    /// Runs of the peer: the large searches take minutes each.
    pub(super) const fn peer_runs(self) -> u32 {
        match self {
            Self::Dense => 2,
            Self::Mixture | Self::Deepseek => 1,
        }
    }

    const fn question(self) -> Question {
        match self {
            Self::Dense => Question {
                model: "Qwen/Qwen3-32B",
                backend: "trtllm",
                gpus: "8",
                ttft: "2000",
                itl: "30",
            },
            Self::Mixture => Question {
                model: "Qwen/Qwen3-235B-A22B-FP8",
                backend: "trtllm",
                gpus: "64",
                ttft: "2000",
                itl: "30",
            },
            Self::Deepseek => Question {
                model: "deepseek-ai/DeepSeek-V3",
                backend: "sglang",
                gpus: "64",
                ttft: "3000",
                itl: "40",
            },
        }
    }

    /// The peer's arguments.
    pub(super) fn peer_arguments(self, results: &Path) -> Vec<OsString> {
        let question = self.question();
        let mut arguments = words(&["cli", "default", "--no-color", "--model-path", question.model]);
        arguments.extend(question.shared(["--total-gpus", "--backend", "--ttft", "--tpot"]));
        arguments.push("--save-dir".into());
        arguments.push(results.into());
        arguments
    }

    /// The arguments of `profile`, where it is measured too.
    pub(super) fn profile_arguments(self, results: &Path) -> Option<Vec<OsString>> {
        (self == Self::Dense).then(|| {
            let mut arguments = words(&["profile", "--quiet", "--config", REQUEST, "--output-dir"]);
            arguments.push(results.into());
            arguments
        })
    }

    /// The arguments of `sweep`.
    pub(super) fn sweep_arguments(self) -> Vec<OsString> {
        let question = self.question();
        let mut arguments = words(&[
            "sweep",
            "--quiet",
            "--search-space",
            "wide",
            "--model",
            question.model,
        ]);
        arguments.extend(question.shared(["--total-gpus", "--backend", "--ttft", "--itl"]));
        arguments
    }
}

impl Question {
    /// What both are told, by the names of the arguments that differ or are told of this question alone.
    fn shared(&self, [gpus, backend, ttft, itl]: [&str; 4]) -> Vec<OsString> {
        words(&[
            "--system",
            "h200_sxm",
            "--isl",
            "4000",
            "--osl",
            "1000",
            gpus,
            self.gpus,
            backend,
            self.backend,
            ttft,
            self.ttft,
            itl,
            self.itl,
        ])
    }
}

fn words(words: &[&str]) -> Vec<OsString> {
    words.iter().map(OsString::from).collect()
}
