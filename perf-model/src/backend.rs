//! The engines whose kernels were measured.

use std::fmt;

use serde::{Deserialize, Serialize};

/// An inference engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Backend {
    /// TensorRT-LLM.
    Trtllm,
    /// SGLang.
    Sglang,
    /// vLLM.
    Vllm,
}

impl Backend {
    /// All engines, in the order in which they are tried and listed.
    pub const ALL: [Self; 3] = [Self::Trtllm, Self::Sglang, Self::Vllm];

    /// The name used in DGDR specs, tables and file names.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Trtllm => "trtllm",
            Self::Sglang => "sglang",
            Self::Vllm => "vllm",
        }
    }

    /// The engine of this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|backend| backend.name() == name)
    }
}

impl fmt::Display for Backend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
