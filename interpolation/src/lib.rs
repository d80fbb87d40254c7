//! Prefill curves and decode surfaces of LLM engines: fit, query, validity range, npz and JSON.
//!
//! A [`PrefillCurve`] answers TTFT and throughput per GPU over the input length; a [`DecodeSurface`] answers ITL and
//! throughput per GPU over KV usage and context length. Both are built once from measured (or simulated) points, and
//! the build checks them once; afterwards only a query can be wrong, and then only by lying outside the range.
//!
//! # Which fit, and why
//! Along the input length and along KV usage the fit is PCHIP (a cubic Hermite spline with Fritsch–Butland slopes),
//! across context lengths it is linear in their reciprocal, shifted so that left-out rows are predicted best.
//! * It passes through every point, so the data remain the truth.
//! * It stays between the two points of a cell and rises wherever the data rise. A cubic spline or a polynomial
//!   overshoots at the knees that kernels have (tile sizes, batch buckets), and an overshoot at an SLA limit is a
//!   wrong pick.
//! * Attention bends TTFT upwards, and chords of a bent curve lie above it: PCHIP follows the bend, which linear
//!   interpolation does not.
//! * Upstream measures only a few context lengths (six by default), each with a range of KV usage of its own (the
//!   grid is ragged): too few for anything finer than two parameters. At one KV usage a step reads the same cache
//!   whatever the context, and the number of requests goes with the reciprocal of the context length, so a line in the
//!   reciprocal is what the physics asks for. On upstream's H200 sample it predicts a left-out context length to
//!   9 % (root mean square), a line in the length to 26 %.
//!
//! Measurements are noisy, and two things are known of them whatever the noise: TTFT is close to a parabola in the
//! input length, and ITL does not fall when more requests run. So a parabola answers for TTFT where it predicts left-out
//! points better ([`PrefillCurve::fit`]), and points along KV usage that fall are pooled ([`DecodeSurface::smoothed`]).
//! Points that form no rows are joined by triangles ([`DecodeSurface::is_in_rows`]).
//!
//! # How far to trust it
//! Every [`Reading`] tells the error to expect: how well points that are left out are predicted by the others, in the
//! same region of the curve or surface ([`LeaveOneOut::regions`]).
//!
//! # Out of range
//! By default a query outside the measured range is refused, with the valid range in the message. On request
//! ([`OutOfRange::Extrapolate`]) it is answered by continuing the fit from the edge, and the [`Reading`] says on
//! which axis and by how far.
//!
//! # Examples
//! ```
//! use dgdr_interpolation::{OutOfRange, PrefillCurve, PrefillPoint};
//! use dgdr_units::{Milliseconds, Tokens, TokensPerSecond};
//!
//! let point = |isl: u32, ttft: f64| -> Result<PrefillPoint, Box<dyn std::error::Error>> {
//!     Ok(PrefillPoint {
//!         isl: Tokens::new(u64::from(isl)),
//!         ttft: Milliseconds::new(ttft)?,
//!         throughput_per_gpu: TokensPerSecond::new(f64::from(isl) / ttft * 1000.0)?,
//!     })
//! };
//! let curve = PrefillCurve::new(vec![point(100, 20.0)?, point(2000, 60.0)?, point(4000, 110.0)?])?;
//! let reading = curve.ttft(Tokens::new(3000), OutOfRange::Refuse)?;
//! assert!(reading.value.get() > 60.0 && reading.value.get() < 110.0);
//! assert!(curve.ttft(Tokens::new(9000), OutOfRange::Refuse).is_err());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
#![forbid(unsafe_code)]

mod best;
mod cubic;
mod decode;
mod error;
#[cfg(any(feature = "json", feature = "npz"))]
mod format;
mod isotonic;
#[cfg(feature = "json")]
pub mod json;
mod leave_one_out;
#[cfg(feature = "npz")]
pub mod npz;
mod pchip;
mod prefill;
mod quadratic;
mod reading;

pub use best::{BestThroughput, ServiceLevel, best_throughput};
pub use decode::{DecodePlace, DecodePoint, DecodeSurface, HeaviestLoad, SmoothedPoint};
pub use error::{BuildError, QueryError};
#[cfg(any(feature = "json", feature = "npz"))]
pub use format::{FormatError, Provenance};
pub use leave_one_out::{Half, KnotError, LeaveOneOut, Neighbours, Region, RegionError, Third};
pub use prefill::{FitChoice, FitReason, LongestPrompt, PrefillCurve, PrefillFit, PrefillPoint};
pub use quadratic::Quadratic;
pub use reading::{Axis, Beyond, Bound, OutOfRange, Reading, Source};
