//! A question to `estimate`: as it is written, and as it is understood.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use dgdr_perf_model::{
    Backend, GemmQuant, KvQuant, MappingWidths, MoeQuant, ParallelMapping, PrecisionOverrides, Speculation,
    SystemSpec,
};
use serde::Deserialize;

use crate::error::ProfilerError;
use crate::hardware::{Hardware, HardwareWish};
use crate::kernel_tables::KernelTables;
use crate::probe::KvTransfer;

/// What kind of step is predicted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EstimateMode {
    /// A batch of prefills, nothing else running.
    #[serde(alias = "static_ctx")]
    StaticCtx,
    /// A batch of decodes, nothing else running.
    #[serde(alias = "static_gen")]
    StaticGen,
    /// In-flight batching: prefill and decode in one engine.
    Agg,
    /// One prefill worker and one decode worker of the same mapping.
    Disagg,
}

/// One question, from the command line or from a line of JSON.
#[derive(Debug, Clone, Default, PartialEq, Args, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct EstimatePoint {
    /// Hugging Face model name, or a local directory with a `config.json`.
    #[arg(long, value_name = "MODEL")]
    pub model: Option<String>,
    /// A Hugging Face `config.json` to use instead of looking the model up.
    #[arg(long, value_name = "PATH")]
    pub model_config: Option<PathBuf>,
    /// GPU system, for example `h200_sxm`.
    #[arg(long, value_name = "SYSTEM")]
    pub system: Option<String>,
    /// Inference engine: trtllm, sglang or vllm.
    #[arg(long, value_name = "BACKEND")]
    pub backend: Option<String>,
    /// Engine version whose tables to use; the packed one by default.
    #[arg(long, value_name = "VERSION")]
    pub backend_version: Option<String>,
    /// What to predict.
    #[arg(long, value_enum)]
    pub mode: Option<EstimateMode>,
    /// Input length, tokens.
    #[arg(long, value_name = "TOKENS")]
    pub isl: Option<u32>,
    /// Output length, tokens.
    #[arg(long, value_name = "TOKENS")]
    pub osl: Option<u32>,
    /// Requests in one engine.
    #[arg(long, value_name = "N")]
    pub batch_size: Option<u32>,
    /// Prefill tokens that one step takes (agg); the input length by default.
    #[arg(long, value_name = "TOKENS")]
    pub ctx_tokens: Option<u32>,
    /// Input tokens already in the KV cache.
    #[arg(long, value_name = "TOKENS")]
    pub prefix: Option<u32>,
    /// Tensor parallelism.
    #[arg(long, value_name = "N")]
    pub tp: Option<u32>,
    /// Pipeline stages.
    #[arg(long, value_name = "N")]
    pub pp: Option<u32>,
    /// Data-parallel copies of attention.
    #[arg(long, value_name = "N")]
    pub attention_dp: Option<u32>,
    /// Tensor parallelism within one expert.
    #[arg(long, value_name = "N")]
    pub moe_tp: Option<u32>,
    /// Expert parallelism.
    #[arg(long, value_name = "N")]
    pub moe_ep: Option<u32>,
    /// Context parallelism: ranks that a prompt is split over.
    #[arg(long, value_name = "N")]
    pub cp: Option<u32>,
    /// Format of projections and FFN; inferred from the checkpoint by default.
    #[arg(long, value_name = "QUANT")]
    pub gemm_quant_mode: Option<String>,
    /// Format of routed experts; inferred from the checkpoint by default.
    #[arg(long, value_name = "QUANT")]
    pub moe_quant_mode: Option<String>,
    /// Format of the KV cache; inferred from the checkpoint by default.
    #[arg(long, value_name = "QUANT")]
    pub kvcache_quant_mode: Option<String>,
    /// Whether the way of the KV cache from prefill to decode workers counts (disagg only).
    #[arg(long, value_enum)]
    pub kv_transfer: Option<KvTransfer>,
    /// Tokens drafted by multi-token prediction.
    #[arg(long, value_name = "N")]
    pub nextn: Option<u32>,
    /// Drafted tokens that are accepted, on average; required with --nextn.
    #[arg(long, value_name = "X")]
    pub nextn_accepted: Option<f64>,
}

/// What is predicted, with what only that needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A batch of prefills.
    StaticContext,
    /// A batch of decodes.
    StaticGeneration {
        /// Tokens of one answer.
        osl: u32,
    },
    /// In-flight batching.
    Aggregated {
        /// Tokens of one answer.
        osl: u32,
        /// Prompt tokens of one mixed step.
        context_tokens: u32,
    },
    /// Workers for each role.
    Disaggregated {
        /// Tokens of one answer.
        osl: u32,
    },
}

/// A question that makes sense.
#[derive(Debug, Clone, PartialEq)]
pub struct CheckedPoint {
    /// Model name or directory.
    pub model: String,
    /// A configuration to use instead of looking the model up.
    pub model_config: Option<PathBuf>,
    /// GPU system.
    pub system: &'static SystemSpec,
    /// Engine.
    pub backend: Backend,
    /// Engine version.
    pub backend_version: Option<String>,
    /// What is predicted.
    pub kind: Kind,
    /// Tokens of one prompt.
    pub isl: u32,
    /// Prompt tokens that are cached.
    pub prefix: u32,
    /// Requests in flight, per attention copy.
    pub batch: u32,
    /// How the model is spread.
    pub mapping: ParallelMapping,
    /// Formats that the user insists on.
    pub precision: PrecisionOverrides,
    /// Multi-token prediction.
    pub speculation: Speculation,
    /// Whether the way of the KV cache counts.
    pub transfer: KvTransfer,
}

impl EstimatePoint {
    /// Understands the question.
    ///
    /// # Errors
    /// [`ProfilerError::Argument`] naming the key that is missing or wrong.
    pub fn check(&self, tables: &KernelTables) -> Result<CheckedPoint, ProfilerError> {
        let isl = positive("isl", required("isl", self.isl)?)?;
        let kind = self.kind(isl)?;
        let batch = match (self.batch_size, kind) {
            (Some(batch), _) => positive("batch_size", batch)?,
            (None, Kind::StaticContext) => 1,
            (None, _) => return Err(missing("batch_size")),
        };
        let system = required("system", self.system.as_deref())?;
        let wish = HardwareWish {
            system: Some(system),
            tables: Some(tables),
            ..HardwareWish::default()
        };
        Ok(CheckedPoint {
            model: self.model.clone().ok_or_else(|| missing("model"))?,
            model_config: self.model_config.clone(),
            system: Hardware::resolve(wish, None)?.system,
            backend: backend(required("backend", self.backend.as_deref())?)?,
            backend_version: self.backend_version.clone(),
            kind,
            isl,
            prefix: self.prefix.unwrap_or(0),
            batch,
            mapping: self.mapping()?,
            precision: self.precision()?,
            transfer: self.kv_transfer.unwrap_or_default(),
            speculation: self.speculation()?,
        })
    }

    fn kind(&self, isl: u32) -> Result<Kind, ProfilerError> {
        let osl = || {
            let osl = required("osl", self.osl)?;
            if osl < 2 {
                return Err(wrong(
                    "osl",
                    format!("{osl} must be at least 2, so that a token follows the first"),
                ));
            }
            Ok(osl)
        };
        Ok(match required("mode", self.mode)? {
            EstimateMode::StaticCtx => Kind::StaticContext,
            EstimateMode::StaticGen => Kind::StaticGeneration { osl: osl()? },
            EstimateMode::Agg => Kind::Aggregated {
                osl: osl()?,
                context_tokens: positive("ctx_tokens", self.ctx_tokens.unwrap_or(isl))?,
            },
            EstimateMode::Disagg => Kind::Disaggregated { osl: osl()? },
        })
    }

    fn mapping(&self) -> Result<ParallelMapping, ProfilerError> {
        let widths = MappingWidths {
            tp: self.tp.unwrap_or(1),
            pp: self.pp.unwrap_or(1),
            attention_dp: self.attention_dp.unwrap_or(1),
            moe_tp: self.moe_tp.unwrap_or(1),
            moe_ep: self.moe_ep.unwrap_or(1),
            cp: self.cp.unwrap_or(1),
        };
        ParallelMapping::new(widths).map_err(|error| wrong("tp", error.to_string()))
    }

    fn precision(&self) -> Result<PrecisionOverrides, ProfilerError> {
        let gemm = self.gemm_quant_mode.as_deref().map(|name| {
            let known = GemmQuant::ALL.map(GemmQuant::name).join(", ");
            GemmQuant::from_name(name)
                .ok_or_else(|| wrong("gemm_quant_mode", format!("`{name}` is not one of {known}")))
        });
        let kv = self.kvcache_quant_mode.as_deref().map(|name| {
            let known = KvQuant::ALL.map(KvQuant::name).join(", ");
            KvQuant::from_name(name)
                .ok_or_else(|| wrong("kvcache_quant_mode", format!("`{name}` is not one of {known}")))
        });
        let moe = self.moe_quant_mode.as_deref().map(|name| {
            let known = MoeQuant::ALL.map(MoeQuant::name).join(", ");
            MoeQuant::from_name(name)
                .ok_or_else(|| wrong("moe_quant_mode", format!("`{name}` is not one of {known}")))
        });
        Ok(PrecisionOverrides {
            gemm: gemm.transpose()?,
            moe: moe.transpose()?,
            kv: kv.transpose()?,
            fmha: None,
        })
    }

    fn speculation(&self) -> Result<Speculation, ProfilerError> {
        match (self.nextn.unwrap_or(0), self.nextn_accepted) {
            (0, None) => Ok(Speculation::NONE),
            (drafted, Some(accepted)) => Ok(Speculation::new(drafted, accepted)?),
            (_, None) => Err(wrong(
                "nextn_accepted",
                "is missing: say how many of the nextn drafted tokens are accepted on average".to_owned(),
            )),
        }
    }
}

/// The engine of a name.
///
/// # Errors
/// [`ProfilerError::Argument`] with the names that are known.
pub fn backend(name: &str) -> Result<Backend, ProfilerError> {
    Backend::from_name(name).ok_or_else(|| {
        let known = Backend::ALL.map(Backend::name).join(", ");
        wrong(
            "backend",
            format!("`{name}` is not an engine; use one of {known}"),
        )
    })
}

fn required<T>(key: &'static str, value: Option<T>) -> Result<T, ProfilerError> {
    value.ok_or_else(|| missing(key))
}

fn positive(key: &'static str, value: u32) -> Result<u32, ProfilerError> {
    if value == 0 {
        Err(wrong(key, "0 must be at least 1".to_owned()))
    } else {
        Ok(value)
    }
}

fn missing(key: &'static str) -> ProfilerError {
    wrong(key, format!("is missing: say --{}", key.replace('_', "-")))
}

const fn wrong(argument: &'static str, problem: String) -> ProfilerError {
    ProfilerError::Argument { argument, problem }
}
