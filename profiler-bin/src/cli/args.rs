//! The command line as clap sees it: wire only, turned into checked values by the commands.

mod load;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use dgdr_perf_model::ParallelMapping;
use dgdr_sweep_planner::SearchSpace;
use dgdr_types::contract::defaults;
use dgdr_types::dgd::DgdVersion;

use crate::estimate::EstimatePoint;
use crate::kernel_tables::KernelTableArgs;
use crate::pipeline::price::GpuPrice;
use crate::probe::KvTransfer;

pub use load::{ArrivalKind, BenchApi, BenchArgs, EngineCall, EngineCallArgs, LoadGenerator, MockEngineArgs};

/// Finds how a large language model should be served on a GPU cluster.
///
/// Without a subcommand the arguments are those of `profile`.
#[derive(Debug, Parser)]
#[command(name = "dgdr-profiler", version)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Option<Command>,
    /// The arguments of `profile`, when no subcommand is given.
    #[command(flatten)]
    pub profile: ProfileArgs,
    /// How to speak.
    #[command(flatten)]
    pub speech: SpeechArgs,
}

/// How a command speaks.
#[derive(Debug, Clone, Copy, Args)]
pub struct SpeechArgs {
    /// Say errors only.
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    pub quiet: bool,
    /// Say every step with its duration.
    #[arg(short, long, global = true)]
    pub verbose: bool,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the five steps on a request: candidates, sweep, pick, curves, deployment.
    Profile(ProfileArgs),
    /// Predict latency, throughput and memory of one engine configuration.
    Estimate(EstimateArgs),
    /// Rank all configurations of a model on a GPU budget, without Kubernetes.
    Sweep(SweepArgs),
    /// Say what is covered by measured tables and what is not, and why.
    Support(SupportArgs),
    /// Ask the interpolation data of a finished run.
    Query(QueryArgs),
    /// Write the report of a finished run: one page that needs nothing but itself.
    Report(ReportArgs),
    /// Send load to an engine that speaks OpenAI's protocol, and measure it.
    Bench(Box<BenchArgs>),
    /// Serve an OpenAI-compatible engine with simulated timing, until it is stopped.
    MockEngine(Box<MockEngineArgs>),
    /// Tell a running SGLang engine to profile itself.
    Engine(EngineCallArgs),
    /// Print a shell completion script.
    Completions {
        /// The shell.
        shell: clap_complete::Shell,
    },
    /// Print the manual page (troff).
    Man,
}

/// Which closed forms predict.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Predictor {
    /// As aiconfigurator 0.12.0: sums of measured operators, closed forms for queueing.
    Upstream,
}

/// Which parallel mappings are tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum Space {
    /// Those of the profiler guide: TP, TEP and DEP.
    #[default]
    Guide,
    /// Those of aiconfigurator: also mixed, context-parallel and pipelined ones.
    Wide,
}

impl From<Space> for SearchSpace {
    fn from(space: Space) -> Self {
        match space {
            Space::Guide => Self::Guide,
            Space::Wide => Self::Wide,
        }
    }
}

/// In which form a command answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum OutputFormat {
    /// For people.
    #[default]
    Table,
    /// For programs.
    Json,
    /// For both.
    Yaml,
}

/// Arguments of `profile`.
#[derive(Debug, Clone, Args)]
pub struct ProfileArgs {
    /// The request: a file, inline JSON, or `-` for standard input; a whole DGDR or a bare spec.
    #[arg(long, value_name = "FILE|JSON|-")]
    pub config: Option<String>,
    /// Where results go.
    #[arg(long, value_name = "DIR", default_value = "profiling_results")]
    pub output_dir: PathBuf,
    /// A Hugging Face `config.json` (or a directory that holds one) to use instead of looking the model up.
    #[arg(long, value_name = "PATH")]
    pub model_config: Option<PathBuf>,
    /// Change one field of the request before it is checked; repeatable.
    #[arg(long = "set", value_name = "spec.path=value")]
    pub set: Vec<String>,
    /// Which tables answer.
    #[command(flatten)]
    pub tables: KernelTableArgs,
    /// Whether the way of the KV cache from prefill to decode workers counts.
    #[arg(long, value_enum, default_value_t)]
    pub kv_transfer: KvTransfer,
    /// Version in which the deployment is written: v1alpha1 for clusters that serve nothing newer.
    #[arg(long, value_name = "v1beta1|v1alpha1", default_value_t)]
    pub dgd_version: DgdVersion,
    /// Draw no pictures.
    #[arg(long)]
    pub no_plots: bool,
    /// Dollars for one hour of one GPU; without it costs are told in GPU hours.
    #[arg(long, value_name = "USD")]
    pub gpu_hour_price: Option<GpuPrice>,
    /// Fail with exit code 4 when the SLA is not met.
    #[arg(long)]
    pub strict_sla: bool,
    /// Check the request, show what would be tried, and stop.
    #[arg(long)]
    pub dry_run: bool,
    /// Seconds to wait for a benchmark deployment; a simulated search deploys nothing.
    #[arg(long, value_name = "SECONDS", default_value_t = 3600)]
    pub deployment_timeout: u32,
    /// Input lengths measured on the picked prefill engine.
    #[arg(long, value_name = "N", default_value_t = 16)]
    pub prefill_interpolation_granularity: u32,
    /// KV loads and context lengths (each) measured on the picked decode engine.
    #[arg(long, value_name = "N", default_value_t = 6)]
    pub decode_interpolation_granularity: u32,
    /// Which parallel mappings are tried.
    #[arg(long, value_enum, default_value_t)]
    pub search_space: Space,
    /// Which closed forms predict.
    #[arg(long, value_enum, default_value_t = Predictor::Upstream)]
    pub predictor: Predictor,
}

/// What is served where: shared by the commands that need no DGDR.
#[derive(Debug, Clone, Args)]
pub struct SubjectArgs {
    /// Hugging Face model name, or a local directory with a `config.json`.
    #[arg(long, value_name = "MODEL")]
    pub model: String,
    /// A Hugging Face `config.json` to use instead of looking the model up.
    #[arg(long, value_name = "PATH")]
    pub model_config: Option<PathBuf>,
    /// GPU system, for example `h200_sxm`.
    #[arg(long, value_name = "SYSTEM")]
    pub system: String,
}

/// Arguments of `estimate`.
#[derive(Debug, Clone, Args)]
pub struct EstimateArgs {
    /// Answer many questions: JSON lines with the same keys in snake case; `-` for standard input.
    #[arg(long, value_name = "FILE|-", conflicts_with_all = ["model", "system", "backend", "isl"])]
    pub batch: Option<String>,
    /// The one question, when `--batch` is not given.
    #[command(flatten)]
    pub point: EstimatePoint,
    /// Which tables answer.
    #[command(flatten)]
    pub tables: KernelTableArgs,
    /// Which closed forms predict.
    #[arg(long, value_enum, default_value_t = Predictor::Upstream)]
    pub predictor: Predictor,
    /// In which form to answer.
    #[arg(long, value_enum, default_value_t)]
    pub output: OutputFormat,
}

/// Which serving modes a sweep considers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum SweepMode {
    /// Prefill and decode in one engine.
    Agg,
    /// Prefill and decode in separate engines.
    Disagg,
    /// Both; the better one is chosen.
    Both,
}

/// Arguments of `sweep`.
#[derive(Debug, Clone, Args)]
pub struct SweepArgs {
    /// What is served where.
    #[command(flatten)]
    pub subject: SubjectArgs,
    /// Which tables answer.
    #[command(flatten)]
    pub tables: KernelTableArgs,
    /// Whether the way of the KV cache from prefill to decode workers counts.
    #[arg(long, value_enum, default_value_t)]
    pub kv_transfer: KvTransfer,
    /// Version of the engines: `current`, `previous`, `next`, or one of these by number.
    #[arg(long, value_name = "VERSION")]
    pub backend_version: Option<String>,
    /// Inference engine: trtllm, sglang, vllm, or auto for the best of them.
    #[arg(long, value_name = "BACKEND", default_value = "auto")]
    pub backend: String,
    /// GPUs that may be used.
    #[arg(long, value_name = "N")]
    pub total_gpus: u32,
    /// GPUs per node; the system's own by default.
    #[arg(long, value_name = "N")]
    pub gpus_per_node: Option<u32>,
    /// Largest number of GPUs of one engine.
    #[arg(long, value_name = "N")]
    pub max_gpus_per_engine: Option<u32>,
    /// Input length, tokens.
    #[arg(long, value_name = "TOKENS", default_value_t = defaults::ISL)]
    pub isl: u32,
    /// Output length, tokens.
    #[arg(long, value_name = "TOKENS", default_value_t = defaults::OSL)]
    pub osl: u32,
    /// Target time to first token, ms.
    #[arg(long, value_name = "MS", conflicts_with = "e2e_latency")]
    pub ttft: Option<f64>,
    /// Target inter-token latency, ms.
    #[arg(long, value_name = "MS", conflicts_with = "e2e_latency")]
    pub itl: Option<f64>,
    /// Target latency of a whole request, ms.
    #[arg(long, value_name = "MS")]
    pub e2e_latency: Option<f64>,
    /// Load to carry, requests per second: answers with the fewest GPUs.
    #[arg(long, value_name = "R", conflicts_with = "concurrency")]
    pub request_rate: Option<f64>,
    /// Load to carry, requests in flight: answers with the fewest GPUs.
    #[arg(long, value_name = "C")]
    pub concurrency: Option<u32>,
    /// Which serving modes to consider.
    #[arg(long, value_enum, default_value_t = SweepMode::Both)]
    pub mode: SweepMode,
    /// Which parallel mappings are tried.
    #[arg(long, value_enum, default_value_t)]
    pub search_space: Space,
    /// How many configurations to list of each mode.
    #[arg(long, value_name = "N", default_value_t = 5)]
    pub top: usize,
    /// Fail with exit code 4 when the SLA is not met.
    #[arg(long)]
    pub strict_sla: bool,
    /// Which closed forms predict.
    #[arg(long, value_enum, default_value_t = Predictor::Upstream)]
    pub predictor: Predictor,
    /// In which form to answer.
    #[arg(long, value_enum, default_value_t)]
    pub output: OutputFormat,
}

/// Arguments of `support`.
#[derive(Debug, Clone, Args)]
pub struct SupportArgs {
    /// Only this model.
    #[arg(long, value_name = "MODEL")]
    pub model: Option<String>,
    /// A Hugging Face `config.json` to use instead of looking the model up.
    #[arg(long, value_name = "PATH", requires = "model")]
    pub model_config: Option<PathBuf>,
    /// Only this system.
    #[arg(long, value_name = "SYSTEM")]
    pub system: Option<String>,
    /// Only this engine.
    #[arg(long, value_name = "BACKEND")]
    pub backend: Option<String>,
    /// Only this mapping, for example TP4, TEP8 or DEP16.
    #[arg(long, value_name = "MAPPING", value_parser = super::support::mapping)]
    pub mapping: Option<ParallelMapping>,
    /// In which form to answer.
    #[arg(long, value_enum, default_value_t)]
    pub output: OutputFormat,
}

/// Arguments of `query`.
#[derive(Debug, Clone, Args)]
pub struct QueryArgs {
    /// Output directory of a finished run.
    pub dir: PathBuf,
    /// What to ask.
    #[command(subcommand)]
    pub question: Question,
    /// In which form to answer.
    #[arg(long, value_enum, global = true, default_value_t)]
    pub output: OutputFormat,
    /// Answer outside the measured range too, and say by how far.
    #[arg(long, global = true)]
    pub extrapolate: bool,
}

/// Arguments of `report`.
#[derive(Debug, Clone, Args)]
pub struct ReportArgs {
    /// Output directory of a finished run; its `report.html` is replaced.
    pub dir: PathBuf,
    /// Dollars for one hour of one GPU, in place of what the run was told.
    #[arg(long, value_name = "USD")]
    pub gpu_hour_price: Option<GpuPrice>,
}

/// A question to the interpolation data.
#[derive(Debug, Clone, Copy, Subcommand)]
pub enum Question {
    /// TTFT and throughput of the prefill engine at an input length, or the longest prompt under a TTFT.
    Prefill {
        /// Input length, tokens.
        #[arg(
            long,
            value_name = "TOKENS",
            required_unless_present = "max_ttft",
            conflicts_with = "max_ttft"
        )]
        isl: Option<u32>,
        /// Largest allowed time to first token, ms.
        #[arg(long, value_name = "MS")]
        max_ttft: Option<f64>,
    },
    /// ITL and throughput of the decode engine, or how full the KV cache may be under an ITL.
    Decode {
        /// Share of the KV cache in use, 0 to 1.
        #[arg(
            long,
            value_name = "X",
            required_unless_present = "max_itl",
            conflicts_with = "max_itl"
        )]
        kv_usage: Option<f64>,
        /// Largest allowed inter-token latency, ms.
        #[arg(long, value_name = "MS")]
        max_itl: Option<f64>,
        /// Context length (input plus generated so far), tokens.
        #[arg(long, value_name = "TOKENS")]
        context_length: u32,
    },
    /// The best throughput per GPU of prefill and decode engines together under an SLA.
    Best {
        /// Input length, tokens.
        #[arg(long, value_name = "TOKENS")]
        isl: u32,
        /// Output length, tokens.
        #[arg(long, value_name = "TOKENS")]
        osl: u32,
        /// Largest allowed time to first token, ms.
        #[arg(long, value_name = "MS")]
        ttft: f64,
        /// Largest allowed inter-token latency, ms.
        #[arg(long, value_name = "MS")]
        itl: f64,
    },
}
