//! The pictures of a run: what was tried, what was picked, and what the planner will be told.
//!
//! Each function takes plain data and gives a [`Drawing`]; [`Drawing::png`] makes its bytes. Nothing here reads or writes
//! files, and drawings are `Send`, so a caller may render them side by side.
//!
//! A picture never fails for its data: one point, equal points, no SLA and values of any size all give a readable
//! picture, and numbers that are not finite are left out.

pub(crate) mod axis;
mod canvas;
mod decode_mappings;
mod font;
mod frame;
mod fronts;
mod labels;
mod palette;
mod prefill_curve;
mod prefill_mappings;
mod raster;
mod surface;

pub use canvas::Drawing;
pub use decode_mappings::{DecodeCandidate, DecodeLoad, DecodePerformance, DecodePick, decode_performance};
pub use fronts::{Front, FrontPick, FrontPoint, Fronts, cost_sla, pareto};
pub use prefill_curve::{PrefillPicture, prefill_throughput, prefill_ttft};
pub use prefill_mappings::{PrefillCandidate, PrefillPerformance, prefill_performance};
pub use raster::PngError;
pub use surface::{DecodePicture, decode_itl, decode_throughput};

/// What a picture is about: the line under its title.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subject {
    /// Model as the user named it.
    pub model: String,
    /// Serving engine (`vllm`, `sglang`, `trtllm`).
    pub backend: String,
    /// GPU system (`h200_sxm` …).
    pub system: String,
}

#[cfg(test)]
mod tests;
