//! What both models are asked, and what they answer.

use std::collections::BTreeMap;

use dgdr_perf_model::{Backend, MappingWidths, SystemSpec};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// A system, an engine and the version of the engine that was measured.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Platform {
    pub(crate) system: &'static str,
    pub(crate) backend: Backend,
    pub(crate) version: String,
}

/// What kind of step is predicted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Mode {
    StaticCtx,
    StaticGen,
    Agg,
}

impl Mode {
    pub(crate) const ALL: [Self; 3] = [Self::StaticCtx, Self::StaticGen, Self::Agg];

    /// As upstream spells it.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::StaticCtx => "static_ctx",
            Self::StaticGen => "static_gen",
            Self::Agg => "agg",
        }
    }
}

/// Requests, their lengths, and how the engine takes them in.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Load {
    pub(crate) batch: u32,
    pub(crate) isl: u32,
    pub(crate) osl: u32,
    pub(crate) prefix: u32,
    /// Prompt tokens of one mixed step; read in mode `agg` only.
    pub(crate) context_tokens: u32,
    pub(crate) nextn: u32,
    pub(crate) nextn_accepted: f64,
}

/// A question to both.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Question {
    pub(crate) model: String,
    pub(crate) platform: Platform,
    pub(crate) mode: Mode,
    pub(crate) mapping: MappingWidths,
    pub(crate) load: Load,
    /// The model has experts: only then upstream wants to know their widths.
    pub(crate) experts: bool,
}

impl Question {
    /// The arguments of upstream's `cli_estimate`.
    pub(crate) fn arguments(&self) -> Value {
        let mut arguments = json!({
            "model_path": self.model,
            "system_name": self.platform.system,
            "backend_name": self.platform.backend.name(),
            "backend_version": self.platform.version,
            "mode": self.mode.name(),
            "isl": self.load.isl,
            "osl": self.load.osl,
            "batch_size": self.load.batch,
            "prefix": self.load.prefix,
            "nextn": self.load.nextn,
            "tp_size": self.mapping.tp,
            "pp_size": self.mapping.pp,
            "attention_dp_size": self.mapping.attention_dp,
        });
        if self.mode == Mode::Agg {
            arguments["ctx_tokens"] = self.load.context_tokens.into();
        }
        if self.load.nextn > 0 {
            arguments["nextn_accepted"] = self.load.nextn_accepted.into();
        }
        if self.experts {
            arguments["moe_tp_size"] = self.mapping.moe_tp.into();
            arguments["moe_ep_size"] = self.mapping.moe_ep.into();
        }
        if self.runs_mxfp8() {
            arguments["moe_quant_mode"] = "w4a8_mxfp4_mxfp8".into();
        }
        arguments
    }

    /// Upstream's searches run gpt-oss so on Blackwell, as we do everywhere; its `cli_estimate` has to be told.
    fn runs_mxfp8(&self) -> bool {
        self.model.starts_with("openai/gpt-oss")
            && self.platform.backend == Backend::Trtllm
            && SystemSpec::by_name(self.platform.system).is_some_and(|system| system.fp4_flops.is_some())
    }

    /// How experts are spread, in words.
    pub(crate) const fn kind(&self) -> &'static str {
        let widths = &self.mapping;
        match (self.experts, widths.moe_tp > 1, widths.moe_ep > 1) {
            (false, ..) => "no experts",
            (true, false, false) => "one GPU",
            (true, true, false) => "slices",
            (true, true, true) => "slices and ranks",
            (true, false, true) if widths.moe_ep > 8 => "ranks of several nodes",
            (true, false, true) => "ranks",
        }
    }

    /// The widths in short: `tp4 pp2 dp1 etp1 ep4`.
    pub(crate) fn widths(&self) -> String {
        let MappingWidths {
            tp,
            pp,
            attention_dp,
            moe_tp,
            moe_ep,
            cp: _,
        } = self.mapping;
        format!("tp{tp} pp{pp} dp{attention_dp} etp{moe_tp} ep{moe_ep}")
    }

    /// The load in short.
    pub(crate) fn load(&self) -> String {
        let Load {
            batch,
            isl,
            osl,
            prefix,
            context_tokens,
            nextn,
            nextn_accepted,
        } = self.load;
        let shown = |when: bool, text: String| if when { text } else { String::new() };
        [
            format!("bs{batch} {isl}/{osl}"),
            shown(prefix > 0, format!(" prefix{prefix}")),
            shown(self.mode == Mode::Agg, format!(" ctx{context_tokens}")),
            shown(nextn > 0, format!(" nextn{nextn}:{nextn_accepted}")),
        ]
        .concat()
    }
}

/// Whether the worker fits, as far as the model says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Fit {
    Fits,
    OutOfMemory,
    KvOutOfMemory,
}

impl Fit {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Fits => "fits",
            Self::OutOfMemory => "oom",
            Self::KvOutOfMemory => "kv_oom",
        }
    }
}

/// A prediction; what a mode does not have is missing, as is everything but the verdict where upstream gives up.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Answer {
    pub(crate) ttft_ms: Option<f64>,
    pub(crate) tpot_ms: Option<f64>,
    pub(crate) memory_gib: Option<f64>,
    pub(crate) fit: Fit,
    /// Formats of products, KV cache, prefill attention and experts.
    pub(crate) formats: String,
    /// Milliseconds of each operator, of both steps where the mode is `agg`.
    pub(crate) operators: BTreeMap<String, f64>,
}

/// A prediction, or why there is none.
pub(crate) type Reply = Result<Answer, String>;
