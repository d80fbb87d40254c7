//! Measured runs: aiconfigurator-core's `silicon_sample.csv`, one InferenceX run a row.

use std::path::Path;

use anyhow::{Context as _, ensure};
use serde::Deserialize;
use sha2::{Digest as _, Sha256};

/// A row as the file has it; a width of 0 or none means "not used".
#[derive(Debug, Clone, Deserialize)]
struct Line {
    silicon_data_source: String,
    backend: String,
    model_path: String,
    system: String,
    precision: String,
    mode: String,
    isl: f64,
    osl: f64,
    gemm_quant_mode: Option<String>,
    moe_quant_mode: Option<String>,
    batch_size: Option<f64>,
    tp_size: Option<f64>,
    pp_size: Option<f64>,
    attention_dp_size: Option<f64>,
    moe_tp_size: Option<f64>,
    moe_ep_size: Option<f64>,
    prefill_batch_size: Option<f64>,
    prefill_num_workers: Option<f64>,
    prefill_tp_size: Option<f64>,
    prefill_pp_size: Option<f64>,
    prefill_attention_dp_size: Option<f64>,
    prefill_moe_tp_size: Option<f64>,
    prefill_moe_ep_size: Option<f64>,
    decode_batch_size: Option<f64>,
    decode_num_workers: Option<f64>,
    decode_tp_size: Option<f64>,
    decode_pp_size: Option<f64>,
    decode_attention_dp_size: Option<f64>,
    decode_moe_tp_size: Option<f64>,
    decode_moe_ep_size: Option<f64>,
    silicon_ttft_ms: f64,
    silicon_tpot_ms: f64,
}

/// Workers of one role.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Workers {
    pub(crate) count: u32,
    /// Requests in flight on one attention copy.
    pub(crate) batch: u32,
    pub(crate) tp: u32,
    pub(crate) pp: u32,
    pub(crate) attention_dp: u32,
    pub(crate) moe_tp: u32,
    pub(crate) moe_ep: u32,
}

/// How requests are served.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Serving {
    Aggregated(Workers),
    Disaggregated {
        prefill: Workers,
        decode: Workers,
        /// The row says how many workers there are; else one of each is assumed.
        stated: bool,
    },
}

impl Serving {
    pub(crate) const fn name(&self) -> &'static str {
        match self {
            Self::Aggregated(_) => "agg",
            Self::Disaggregated { stated: true, .. } => "disagg",
            Self::Disaggregated { stated: false, .. } => "disagg, one worker each assumed",
        }
    }
}

/// A measured run.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Run {
    /// As the file names it; [`Run::known_model`] is the hub's name.
    pub(crate) model: String,
    pub(crate) system: String,
    pub(crate) backend: String,
    /// `bf16`, `fp8`, `fp4` or `int4`.
    pub(crate) precision: String,
    pub(crate) gemm: Option<String>,
    pub(crate) moe: Option<String>,
    pub(crate) isl: u32,
    pub(crate) osl: u32,
    pub(crate) concurrency: u32,
    pub(crate) serving: Serving,
    /// Mean time to first token.
    pub(crate) ttft_ms: f64,
    /// Mean time per output token.
    pub(crate) tpot_ms: f64,
}

/// Names that the file uses and the hub does not, or that differ in their formats only, which the file states apart.
const ALIASES: [(&str, &str); 6] = [
    ("meta-llama/Llama-3.1-70B", "meta-llama/Meta-Llama-3.1-70B"),
    ("meta-llama/Llama-3.1-8B-Instruct", "meta-llama/Meta-Llama-3.1-8B"),
    ("nvidia/Llama-3.1-8B-Instruct-FP8", "meta-llama/Meta-Llama-3.1-8B"),
    ("nvidia/Qwen3-32B-NVFP4", "Qwen/Qwen3-32B"),
    ("nvidia/DeepSeek-R1-NVFP4", "deepseek-ai/DeepSeek-R1"),
    ("zhipuai/GLM-5", "zai-org/GLM-5"),
];

impl Run {
    /// The checkpoint's name on the hub.
    pub(crate) fn known_model(&self) -> &str {
        match (self.model.as_str(), self.precision.as_str()) {
            // GLM-5's projections are not all in one format, so its quantized checkpoints are models of their own.
            ("zhipuai/GLM-5", "fp8") => "zai-org/GLM-5-FP8",
            ("zhipuai/GLM-5", "fp4") => "nvidia/GLM-5-NVFP4",
            (model, _) => ALIASES
                .iter()
                .find(|(alias, _)| *alias == model)
                .map_or(model, |(_, known)| known),
        }
    }

    /// The group of runs that are reserved or not together.
    fn group(&self) -> String {
        format!("{}|{}|{}", self.model, self.system, self.backend)
    }

    fn is_reserved(&self) -> bool {
        is_reserved(&self.group())
    }
}

/// A quarter of all groups, by the first byte of a hash of their names, is never looked at.
fn is_reserved(group: &str) -> bool {
    Sha256::digest(group.as_bytes())
        .first()
        .is_some_and(|byte| byte % 4 == 0)
}

/// All runs, those that may be looked at apart from those of which only sums may be printed.
#[derive(Debug)]
pub(crate) struct Runs {
    pub(crate) open: Vec<Run>,
    pub(crate) reserved: Vec<Run>,
}

impl Runs {
    /// Reads a file; `every` takes only each so-manieth row.
    pub(crate) fn read(path: &Path, every: usize) -> anyhow::Result<Self> {
        let text =
            std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
        Self::parse(&text, every)
    }

    /// Understands a file's text.
    pub(crate) fn parse(text: &str, every: usize) -> anyhow::Result<Self> {
        let mut runs = Self {
            open: Vec::new(),
            reserved: Vec::new(),
        };
        let mut reader = csv::Reader::from_reader(text.as_bytes());
        for (index, line) in reader.deserialize::<Line>().enumerate() {
            let run = line
                .map_err(anyhow::Error::from)
                .and_then(Run::try_from)
                .with_context(|| format!("row {}", index + 1))?;
            if !index.is_multiple_of(every.max(1)) {
                continue;
            }
            if run.is_reserved() {
                runs.reserved.push(run);
            } else {
                runs.open.push(run);
            }
        }
        Ok(runs)
    }
}

impl TryFrom<Line> for Run {
    type Error = anyhow::Error;

    fn try_from(line: Line) -> anyhow::Result<Self> {
        let stated = stated_concurrency(&line.silicon_data_source);
        let (concurrency, serving) = match line.mode.as_str() {
            "agg" => {
                let workers = line.aggregated();
                let copies = workers.batch.saturating_mul(workers.attention_dp);
                (stated.unwrap_or(copies), Serving::Aggregated(workers))
            }
            "disagg" => line.disaggregated(stated),
            mode => anyhow::bail!("mode `{mode}` is neither agg nor disagg"),
        };
        let positive = |name: &str, value: f64| {
            ensure!(
                value.is_finite() && value > 0.0,
                "{name} is {value}, not a positive number"
            );
            Ok(value)
        };
        Ok(Self {
            isl: width(Some(line.isl)),
            osl: width(Some(line.osl)),
            concurrency,
            serving,
            ttft_ms: positive("silicon_ttft_ms", line.silicon_ttft_ms)?,
            tpot_ms: positive("silicon_tpot_ms", line.silicon_tpot_ms)?,
            model: line.model_path,
            system: line.system,
            backend: line.backend,
            precision: line.precision,
            gemm: line.gemm_quant_mode,
            moe: line.moe_quant_mode,
        })
    }
}

impl Line {
    fn aggregated(&self) -> Workers {
        Workers {
            count: 1,
            batch: width(self.batch_size),
            tp: width(self.tp_size),
            pp: width(self.pp_size),
            attention_dp: width(self.attention_dp_size),
            moe_tp: width(self.moe_tp_size),
            moe_ep: width(self.moe_ep_size),
        }
    }

    fn disaggregated(&self, stated: Option<u32>) -> (u32, Serving) {
        let prefill = Workers {
            count: width(self.prefill_num_workers),
            batch: width(self.prefill_batch_size),
            tp: width(self.prefill_tp_size),
            pp: width(self.prefill_pp_size),
            attention_dp: width(self.prefill_attention_dp_size),
            moe_tp: width(self.prefill_moe_tp_size),
            moe_ep: width(self.prefill_moe_ep_size),
        };
        let count = width(self.decode_num_workers);
        let attention_dp = width(self.decode_attention_dp_size);
        let copies = count.saturating_mul(attention_dp);
        let batch = self.decode_batch_size.map_or_else(
            || stated.unwrap_or(1).div_ceil(copies),
            |batch| width(Some(batch)),
        );
        let decode = Workers {
            count,
            batch,
            tp: width(self.decode_tp_size),
            pp: width(self.decode_pp_size),
            attention_dp,
            moe_tp: width(self.decode_moe_tp_size),
            moe_ep: width(self.decode_moe_ep_size),
        };
        let serving = Serving::Disaggregated {
            prefill,
            decode,
            stated: self.decode_batch_size.is_some() && self.decode_num_workers.is_some(),
        };
        (stated.unwrap_or_else(|| batch.saturating_mul(copies)), serving)
    }
}

/// A count; one where the file has none or 0. Half requests a rank are rounded up.
fn width(value: Option<f64>) -> u32 {
    value
        .and_then(|value| u32::try_from(dgdr_units::floor_count(value.ceil())).ok())
        .unwrap_or(1)
        .max(1)
}

/// `silicon_concurrency=N` among what is said about the source.
fn stated_concurrency(source: &str) -> Option<u32> {
    source
        .split(';')
        .find_map(|part| part.trim().strip_prefix("silicon_concurrency="))
        .and_then(|number| number.parse().ok())
}

#[cfg(test)]
pub(crate) mod tests;
