//! Arguments of the commands that send load, take it, or look into what takes it.

use std::net::IpAddr;
use std::num::NonZeroU32;
use std::path::PathBuf;

use clap::{Args, ValueEnum};
use dgdr_load_generator::lengths::Lengths;
use dgdr_perf_model::ParallelMapping;

use super::OutputFormat;
use crate::kernel_tables::KernelTableArgs;

/// Which of OpenAI's protocols is spoken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum BenchApi {
    /// Chat completions.
    #[default]
    Chat,
    /// Completions; without a tokenizer prompts are token numbers.
    Completions,
}

/// How requests of a rate arrive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum ArrivalKind {
    /// At random, independently of one another.
    #[default]
    Poisson,
    /// At even distances.
    Constant,
}

/// Who sends the load.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum LoadGenerator {
    /// This program.
    #[default]
    Native,
    /// NVIDIA's AIPerf, where it is installed; its files are kept.
    Aiperf,
}

/// Arguments of `bench`.
#[derive(Debug, Clone, Args)]
pub struct BenchArgs {
    /// Where the engine is, for example `http://localhost:8000`.
    #[arg(long, value_name = "URL")]
    pub url: String,
    /// Name of the model, as the engine serves it.
    #[arg(long, value_name = "MODEL")]
    pub model: String,
    /// Its tokenizer, for prompts of exact length: a directory with a `tokenizer.json`, or a Hugging Face name.
    #[arg(long, value_name = "DIR|ID")]
    pub tokenizer: Option<String>,
    /// Input length, tokens: `3000`, `100..900` (uniform) or `500~50` (normal).
    #[arg(long, value_name = "TOKENS", required_unless_present = "trace")]
    pub isl: Option<Lengths>,
    /// Output length, tokens, likewise; end-of-sequence tokens are ignored until then.
    #[arg(long, value_name = "TOKENS", required_unless_present = "trace")]
    pub osl: Option<Lengths>,
    /// Requests in flight: a closed loop.
    #[arg(
        long,
        value_name = "N",
        conflicts_with = "request_rate",
        required_unless_present_any = ["request_rate", "trace"]
    )]
    pub concurrency: Option<NonZeroU32>,
    /// Requests a second: an open loop, whose latencies count from the time at which a request was due.
    #[arg(long, value_name = "R")]
    pub request_rate: Option<f64>,
    /// How requests of a rate arrive.
    #[arg(long, value_enum, default_value_t)]
    pub arrivals: ArrivalKind,
    /// A trace in Mooncake's form (JSON lines): lengths, shared prefixes, and times unless a load is given.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["isl", "osl"])]
    pub trace: Option<PathBuf>,
    /// Measured requests; those of the trace by default.
    #[arg(long, value_name = "N", required_unless_present = "trace")]
    pub requests: Option<usize>,
    /// Requests before the measured ones.
    #[arg(long, value_name = "N", default_value_t = 3)]
    pub warmup: usize,
    /// Send each measured prompt once beforehand, so that its KV cache is warm: measures decoding alone.
    #[arg(long)]
    pub warm_prompts: bool,
    /// Which protocol is spoken.
    #[arg(long, value_enum, default_value_t)]
    pub api: BenchApi,
    /// Size of the vocabulary that token numbers are drawn from, without a tokenizer.
    #[arg(long, value_name = "N", default_value_t = 32_000)]
    pub vocabulary: u32,
    /// A field that is added to every request; repeatable. The value is JSON, or else text.
    #[arg(long, value_name = "KEY=VALUE")]
    pub extra_input: Vec<String>,
    /// Sent as a bearer token.
    #[arg(long, value_name = "KEY", env = "OPENAI_API_KEY", hide_env_values = true)]
    pub api_key: Option<String>,
    /// Seconds that an answer may take.
    #[arg(long, value_name = "SECONDS", default_value_t = 1800)]
    pub request_timeout: u64,
    /// What lengths, prompts and arrivals are drawn from.
    #[arg(long, value_name = "N", default_value_t = 100)]
    pub seed: u64,
    /// Write every request as a line of JSON.
    #[arg(long, value_name = "FILE")]
    pub samples: Option<PathBuf>,
    /// Write `profile_export_aiperf.json` there; where AIPerf measures, all its files.
    #[arg(long, value_name = "DIR")]
    pub artifact_dir: Option<PathBuf>,
    /// Who sends the load.
    #[arg(long, value_enum, default_value_t)]
    pub load_generator: LoadGenerator,
    /// AIPerf's program.
    #[arg(long, value_name = "PROGRAM", default_value = "aiperf")]
    pub aiperf: PathBuf,
    /// In which form to answer.
    #[arg(long, value_enum, default_value_t)]
    pub output: OutputFormat,
}

/// Arguments of `mock-engine`.
#[derive(Debug, Clone, Args)]
pub struct MockEngineArgs {
    /// Address to listen on.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1")]
    pub host: IpAddr,
    /// Port to listen on; 0 for a free one.
    #[arg(long, value_name = "PORT", default_value_t = 8000)]
    pub port: u16,
    /// Name under which the model is served.
    #[arg(long, value_name = "NAME", default_value = "mock")]
    pub served_model_name: String,
    /// Fixed time to the first token, ms.
    #[arg(long, value_name = "MS", requires = "itl_ms", conflicts_with_all = ["curves", "model"])]
    pub ttft_ms: Option<f64>,
    /// Fixed time between tokens, ms.
    #[arg(long, value_name = "MS", requires = "ttft_ms")]
    pub itl_ms: Option<f64>,
    /// Times from the curves of a finished run: its output directory.
    #[arg(long, value_name = "DIR", conflicts_with = "model")]
    pub curves: Option<PathBuf>,
    /// Times from the performance model: a Hugging Face model name, or a local directory with a `config.json`.
    #[arg(long, value_name = "MODEL", requires_all = ["system", "backend"])]
    pub model: Option<String>,
    /// A Hugging Face `config.json` to use instead of looking the model up.
    #[arg(long, value_name = "PATH", requires = "model")]
    pub model_config: Option<PathBuf>,
    /// GPU system, for example `h200_sxm`.
    #[arg(long, value_name = "SYSTEM", requires = "model")]
    pub system: Option<String>,
    /// Inference engine: trtllm, sglang or vllm.
    #[arg(long, value_name = "BACKEND", requires = "model")]
    pub backend: Option<String>,
    /// How the model is spread, for example TP4, TEP8 or DEP16.
    #[arg(long, value_name = "MAPPING", value_parser = crate::cli::support::mapping, requires = "model")]
    pub mapping: Option<ParallelMapping>,
    /// Which tables answer.
    #[command(flatten)]
    pub tables: KernelTableArgs,
    /// Blocks of the KV cache; by default what the curves or the model say, else 16384.
    #[arg(long, value_name = "N")]
    pub num_gpu_blocks: Option<u32>,
    /// Tokens of one block.
    #[arg(long, value_name = "N", default_value_t = 16)]
    pub block_size: u32,
    /// Requests that are served at a time.
    #[arg(long, value_name = "N", default_value_t = 256)]
    pub max_num_seqs: u32,
    /// Tokens of one step.
    #[arg(long, value_name = "N", default_value_t = 8192)]
    pub max_num_batched_tokens: u32,
    /// Longest context, tokens.
    #[arg(long, value_name = "N", default_value_t = 131_072)]
    pub max_model_len: u32,
    /// Take in whole prompts only, in steps of their own.
    #[arg(long)]
    pub no_chunked_prefill: bool,
    /// Forget prompts when they are answered.
    #[arg(long)]
    pub no_prefix_caching: bool,
    /// Something that goes wrong: oom-at=N, stall-at=N, error-every=N, truncate-every=N, slow-start=SECONDS; repeatable,
    /// and changeable by POST to /mock/faults.
    #[arg(long, value_name = "FAULT=N")]
    pub fault: Vec<String>,
}

/// Arguments of `engine`.
#[derive(Debug, Clone, Args)]
pub struct EngineCallArgs {
    /// What the engine is told to do.
    #[arg(value_enum)]
    pub call: EngineCall,
    /// Where its system port is.
    #[arg(long, value_name = "URL", default_value = "http://localhost:9090")]
    pub url: String,
    /// Where the engine writes its traces, on its own machine.
    #[arg(long, value_name = "DIR")]
    pub output_dir: Option<String>,
}

/// What an engine is told to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum EngineCall {
    /// Begin to profile itself.
    StartProfile,
    /// Write what it profiled.
    StopProfile,
}
