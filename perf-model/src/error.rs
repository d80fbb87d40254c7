//! Why a prediction cannot be made.

use dgdr_units::UnitError;

use crate::backend::Backend;
use crate::graph::OperatorName;
use crate::mapping::ParallelMapping;
use crate::operators::OperatorMiss;
use crate::tables::TableError;

/// Why a prediction cannot be made: what is wrong, where, and what to do.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum PerfModelError {
    /// A field of a model's configuration is missing or malformed.
    #[error("model `{model}`: `{field}` {problem}; give the checkpoint's own config.json")]
    ModelConfig {
        /// Name of the model.
        model: String,
        /// Path of the field.
        field: String,
        /// What is wrong with it.
        problem: String,
    },
    /// An architecture that no family describes.
    #[error(
        "model `{model}`: architecture `{architecture}` is not known; give a model of a known architecture, or measure \
         this one with `searchStrategy: thorough`"
    )]
    UnknownArchitecture {
        /// Name of the model.
        model: String,
        /// The architecture.
        architecture: String,
    },
    /// The checkpoint's quantization is none that measured tables know.
    #[error(
        "model `{model}`: quantization `{algorithm}` is not covered by measured tables; name the format of its {part}"
    )]
    QuantizationNotCovered {
        /// Name of the model.
        model: String,
        /// The checkpoint's algorithm.
        algorithm: String,
        /// The weights whose format is unknown, and the setting that names it.
        part: &'static str,
    },
    /// fp8 prefill attention was asked for, but was not measured.
    #[error(
        "`fmha_quant_mode: fp8` is not measured for `{model}` on {system} with {backend}; leave it out to have it \
         chosen, or say `bfloat16`"
    )]
    AttentionFormatNotMeasured {
        /// Name of the model.
        model: String,
        /// GPU system.
        system: &'static str,
        /// Engine.
        backend: Backend,
    },
    /// Query heads cannot be divided among the ranks.
    #[error(
        "model `{model}`: {heads} attention heads cannot be split over TP{tp}; choose a tensor parallelism that divides \
         {heads}"
    )]
    HeadsNotDivisible {
        /// Name of the model.
        model: String,
        /// Query heads.
        heads: u32,
        /// Tensor-parallel width.
        tp: u32,
    },
    /// A tensor-parallel width that the memory model has no factor for.
    #[error("TP{tp} is not a width that activations were measured for; choose 1, 2, 4 or at least 8")]
    WidthNotCovered {
        /// Tensor-parallel width.
        tp: u32,
    },
    /// A mapping that spreads experts of a model that has none.
    #[error(
        "model `{model}` has no experts, but mapping {mapping} spreads them; leave moe_tp and moe_ep at 1"
    )]
    NoExperts {
        /// Name of the model.
        model: String,
        /// The mapping.
        mapping: ParallelMapping,
    },
    /// More groups of experts than experts.
    #[error(
        "model `{model}` has {experts} experts, too few for EP{moe_ep}; choose an expert parallelism of at most {experts}"
    )]
    TooFewExperts {
        /// Name of the model.
        model: String,
        /// Experts of a layer.
        experts: u32,
        /// Expert-parallel width.
        moe_ep: u32,
    },
    /// Experts whose blocks of one scale would be cut.
    #[error(
        "model `{model}`: experts of hidden size {intermediate} in fp8 blocks of 128 cannot be split over MoE-TP{moe_tp}; \
         choose a smaller MoE tensor parallelism, or expert parallelism instead"
    )]
    ExpertsNotAligned {
        /// Name of the model.
        model: String,
        /// Hidden size of an expert.
        intermediate: u32,
        /// Ranks that share an expert.
        moe_tp: u32,
    },
    /// Prompts that are split over ranks where the engine does not do so.
    #[error(
        "{backend} does not split prompts of `{model}` over CP{cp} ranks; leave cp at 1, or use sglang where it splits them"
    )]
    PromptsNotSplit {
        /// Name of the model.
        model: String,
        /// The engine.
        backend: Backend,
        /// Ranks that a prompt would be split over.
        cp: u32,
    },
    /// Experts that span nodes and are split themselves.
    #[error(
        "{mapping} spreads experts over more than the {gpus_per_node} GPUs of a node and splits each of them, too; across \
         nodes leave moe_tp at 1"
    )]
    ExpertsAcrossNodes {
        /// The mapping.
        mapping: ParallelMapping,
        /// GPUs of a node.
        gpus_per_node: u32,
    },
    /// Experts that span nodes without a measured exchange of tokens.
    #[error(
        "{backend} was not measured exchanging tokens of `{model}` among EP{moe_ep} on {system}, more than the \
         {gpus_per_node} GPUs of a node; keep expert parallelism within a node"
    )]
    ExchangeNotMeasured {
        /// Name of the model.
        model: String,
        /// GPU system.
        system: &'static str,
        /// The engine.
        backend: Backend,
        /// Ranks that would exchange tokens.
        moe_ep: u32,
        /// GPUs of a node.
        gpus_per_node: u32,
    },
    /// Attention that is spread in two ways that exclude each other.
    #[error(
        "{mapping} splits prompts and spreads attention too, which {backend} does not combine; leave tp and attention_dp \
         at 1 beside cp"
    )]
    SplitAndSpread {
        /// The engine.
        backend: Backend,
        /// The mapping.
        mapping: ParallelMapping,
    },
    /// What a worker holds before it serves anything exceeds its GPUs.
    #[error(
        "{mapping} puts {needed_gib:.1} GiB of weights and buffers of `{model}` on each GPU, which has {capacity_gib:.1} \
         GiB; use more GPUs, a smaller model or a quantised checkpoint"
    )]
    WeightsDoNotFit {
        /// Name of the model.
        model: String,
        /// The mapping.
        mapping: ParallelMapping,
        /// GiB that weights and buffers take.
        needed_gib: f64,
        /// GiB that a GPU has.
        capacity_gib: f64,
    },
    /// An engine that has no kernels for the GPU.
    #[error("{backend} does not run on {system}: it needs {needed}; choose another engine")]
    EngineNeedsOtherGpu {
        /// The engine.
        backend: Backend,
        /// GPU system.
        system: &'static str,
        /// What the engine runs on.
        needed: &'static str,
    },
    /// A number of a query that makes no sense.
    #[error("`{field}` is {value}, but {requirement}")]
    Query {
        /// Name of the query's field.
        field: &'static str,
        /// Its value.
        value: u32,
        /// What it must be.
        requirement: &'static str,
    },
    /// A prediction that is no quantity, as when a question is larger than numbers reach.
    #[error("the prediction is not a number: {0}; ask for a smaller batch or shorter sequences")]
    Number(UnitError),
    /// More drafts accepted than made.
    #[error("`nextn_accepted` is {accepted}, but must lie between 0 and `nextn` = {drafted}")]
    Speculation {
        /// Tokens drafted a step.
        drafted: u32,
        /// Drafts accepted a step.
        accepted: f64,
    },
    /// Weights, activations and runtime leave no room for keys and values.
    #[error(
        "{mapping} leaves no room for the KV cache on one GPU: {needed_gib:.1} GiB are taken of the {granted_gib:.1} GiB \
         that the engine may use; use more GPUs, a smaller model or a quantised checkpoint"
    )]
    NoKvRoom {
        /// The mapping.
        mapping: ParallelMapping,
        /// GiB that everything else takes.
        needed_gib: f64,
        /// GiB that the engine may use.
        granted_gib: f64,
    },
    /// An operator has no measured data for a shape.
    #[error(
        "{operator}: {source}; choose another engine, GPU system or format, or measure with `searchStrategy: thorough`"
    )]
    Operator {
        /// The operator.
        operator: OperatorName,
        /// What is missing.
        source: OperatorMiss,
    },
    /// A system, engine or version without tables, or a damaged table.
    #[error(transparent)]
    Tables(#[from] TableError),
}

impl PerfModelError {
    /// Whether a worker cannot exist, rather than being unknown to this library: heads or experts that cannot be dealt
    /// out, GPUs that are too small, or what the engine does not do.
    pub const fn is_physical(&self) -> bool {
        match self {
            Self::HeadsNotDivisible { .. }
            | Self::NoExperts { .. }
            | Self::TooFewExperts { .. }
            | Self::ExpertsNotAligned { .. }
            | Self::PromptsNotSplit { .. }
            | Self::SplitAndSpread { .. }
            | Self::ExpertsAcrossNodes { .. }
            | Self::NoKvRoom { .. }
            | Self::WeightsDoNotFit { .. }
            | Self::EngineNeedsOtherGpu { .. } => true,
            Self::ModelConfig { .. }
            | Self::UnknownArchitecture { .. }
            | Self::QuantizationNotCovered { .. }
            | Self::AttentionFormatNotMeasured { .. }
            | Self::WidthNotCovered { .. }
            | Self::Query { .. }
            | Self::Number(_)
            | Self::Speculation { .. }
            | Self::ExchangeNotMeasured { .. }
            | Self::Operator { .. }
            | Self::Tables(_) => false,
        }
    }

    /// The reason in a few words, for a table.
    pub const fn gist(&self) -> &'static str {
        match self {
            Self::ModelConfig { .. } => "configuration unreadable",
            Self::UnknownArchitecture { .. } => "architecture unknown",
            Self::QuantizationNotCovered { .. } => "quantization not covered",
            Self::AttentionFormatNotMeasured { .. } => "fp8 attention not measured",
            Self::HeadsNotDivisible { .. } => "heads cannot be split",
            Self::WidthNotCovered { .. } => "width not covered",
            Self::NoExperts { .. } => "no experts",
            Self::TooFewExperts { .. } => "too few experts",
            Self::ExpertsNotAligned { .. } => "experts cannot be split",
            Self::PromptsNotSplit { .. } => "engine does not split prompts",
            Self::SplitAndSpread { .. } | Self::ExpertsAcrossNodes { .. } => "engine does not combine this",
            Self::ExchangeNotMeasured { .. } => "exchange between nodes not measured",
            Self::WeightsDoNotFit { .. } => "weights exceed memory",
            Self::EngineNeedsOtherGpu { .. } => "engine does not run on this GPU",
            Self::Query { .. } | Self::Speculation { .. } => "question makes no sense",
            Self::Number(_) => "prediction is no number",
            Self::NoKvRoom { .. } => "no room for a KV cache",
            Self::Operator { .. } => "operator not measured",
            Self::Tables(_) => "tables unreadable",
        }
    }
}
