//! What one operator costs: measured tables, interpolated and extrapolated as AIConfigurator 0.12 does, and closed forms.
//!
//! A cost handle is resolved once per operator of a model (which slice, which neighbouring sites, which heads); asking
//! it for a latency then allocates nothing. Handles own what they need and can be shared between threads.

mod all_reduce;
mod all_to_all;
mod closed_form;
mod context_attention;
mod curve;
mod dispatch;
mod dsa;
mod dsv4;
mod expert_compute;
mod gemm;
mod generation_attention;
mod grid_slice;
mod hold;
mod hyper_connection;
mod linear_attention;
mod miss;
mod mla;
mod mla_bmm;
mod mla_module;
mod moe;
mod msa;
mod nccl;
pub mod roofline;
mod scaling;
mod step;
mod wide_ep_mla;

pub use all_reduce::AllReduceCost;
pub use all_to_all::{
    AllToAllCost, AllToAllShape, ExchangeLibrary, ExchangeStep, ExpertGroup, MessageFormat,
};
pub use closed_form::{PointToPoint, elementwise, embedding, kv_transfer, point_to_point};
pub use context_attention::{ContextAttentionCost, ContextAttentionShape, ContextTokens};
pub use dispatch::DispatchCost;
pub use dsa::{DsaContextCost, DsaGenerationCost};
pub use dsv4::{ContextDsv4Cost, GenerationDsv4Cost};
pub use expert_compute::{ExpertComputeCost, ExpertComputeShape};
pub use gemm::{GemmCost, GemmShape};
pub use generation_attention::{GenerationAttentionCost, GenerationAttentionShape, GenerationTokens};
pub use hyper_connection::HyperConnectionCost;
pub use linear_attention::{
    GdnCost, GdnKernel, GdnShape, KdaCost, KdaKernel, KdaShape, Mamba2Cost, Mamba2Kernel, Mamba2Shape,
    SequenceTokens,
};
pub use miss::OperatorMiss;
pub use mla::{ContextMlaCost, GenerationMlaCost};
pub use mla_bmm::MlaBmmCost;
pub use mla_module::{ContextMlaModuleCost, GenerationMlaModuleCost};
pub use moe::MoeCost;
pub use msa::{ContextMsaCost, GenerationMsaCost};
pub use nccl::{Collective, NcclCost};
pub use step::StepShape;
pub use wide_ep_mla::{WideEpContextMlaCost, WideEpGenerationMlaCost};

pub(crate) use miss::Measured;
