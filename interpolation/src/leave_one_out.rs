//! How far a fit can be trusted between its points.

use std::fmt;

use serde::Serialize;

use crate::Axis;

/// Which neighbours predicted a point that was left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case", tag = "kind", content = "axis")]
pub enum Neighbours {
    /// Those before and behind it on an axis.
    Along(Axis),
    /// Those all around it, of points that form no rows.
    Around,
}

/// A third of a measured range.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Third {
    /// From the lower end.
    Low,
    /// Around the middle.
    Middle,
    /// Up to the upper end.
    High,
}

impl Third {
    /// From low to high.
    pub(crate) const ALL: [Self; 3] = [Self::Low, Self::Middle, Self::High];

    /// Its place in [`Self::ALL`].
    pub(crate) const fn index(self) -> usize {
        match self {
            Self::Low => 0,
            Self::Middle => 1,
            Self::High => 2,
        }
    }

    /// The third that holds a share of the range; shares outside 0 to 1 belong to the nearest.
    pub(crate) fn of_share(share: f64) -> Self {
        // Counted rather than asked in turn: no branch that could be guessed wrong.
        let passed = usize::from(share * 3.0 >= 1.0) + usize::from(share * 3.0 >= 2.0);
        Self::ALL[passed]
    }
}

impl fmt::Display for Third {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Low => "low",
            Self::Middle => "middle",
            Self::High => "high",
        })
    }
}

/// A half of the measured context lengths.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Half {
    /// Up to the geometric mean of the shortest and the longest.
    Short,
    /// Above it.
    Long,
}

impl fmt::Display for Half {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Short => "short",
            Self::Long => "long",
        })
    }
}

/// A part of a curve or a surface.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Region {
    /// A third of the input lengths of a prefill curve.
    Prompts(Third),
    /// A part of a decode surface.
    Loads {
        /// Third of the range of KV usage at the context length.
        usage: Third,
        /// Half of the context lengths.
        context: Half,
    },
}

impl fmt::Display for Region {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Prompts(third) => write!(f, "{third} third of input lengths"),
            Self::Loads { usage, context } => write!(f, "{usage} kv usage, {context} contexts"),
        }
    }
}

/// One point as predicted by the fit without it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct KnotError {
    /// Who predicted it.
    pub neighbours: Neighbours,
    /// In which part it lies.
    pub region: Region,
    /// Where the point lies.
    pub at: Vec<(Axis, f64)>,
    /// What was measured, in milliseconds.
    pub measured_ms: f64,
    /// What the others predict, in milliseconds.
    pub predicted_ms: f64,
}

impl KnotError {
    /// Predicted minus measured, as a share of measured.
    pub fn relative(&self) -> f64 {
        (self.predicted_ms - self.measured_ms) / self.measured_ms
    }
}

/// The errors of one part of a fit, as shares of what was measured.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct RegionError {
    /// The part.
    pub region: Region,
    /// Who predicted the points.
    pub neighbours: Neighbours,
    /// How many were predicted.
    pub points: usize,
    /// Root of the mean squared relative error.
    pub rms_relative: f64,
    /// The largest relative error, without its sign.
    pub worst_relative: f64,
}

/// Leave-one-out errors of a fit.
///
/// Only points with neighbours on both sides count: the others would be extrapolated. The gap that a point leaves is
/// about twice as wide as the gaps of the fit, so these errors are larger than those of the fit itself.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LeaveOneOut {
    errors: Vec<KnotError>,
    regions: Vec<RegionError>,
}

impl LeaveOneOut {
    pub(crate) fn new(errors: Vec<KnotError>) -> Self {
        let mut kinds: Vec<(Region, Neighbours)> = errors
            .iter()
            .map(|error| (error.region, error.neighbours))
            .collect();
        kinds.sort_unstable();
        kinds.dedup();
        let regions = kinds
            .into_iter()
            .map(|(region, neighbours)| {
                let here = || {
                    errors
                        .iter()
                        .filter(move |error| error.region == region && error.neighbours == neighbours)
                };
                RegionError {
                    region,
                    neighbours,
                    points: here().count(),
                    rms_relative: rms(here()).unwrap_or(0.0),
                    worst_relative: here().map(|error| error.relative().abs()).fold(0.0, f64::max),
                }
            })
            .collect();
        Self { errors, regions }
    }

    /// The error of each inner point.
    pub fn errors(&self) -> &[KnotError] {
        &self.errors
    }

    /// The same by parts, in the order of the parts; one without inner points is not there.
    pub fn regions(&self) -> &[RegionError] {
        &self.regions
    }

    /// The largest relative error; `None` when no point has neighbours on both sides.
    pub fn worst(&self) -> Option<&KnotError> {
        self.errors
            .iter()
            .max_by(|a, b| a.relative().abs().total_cmp(&b.relative().abs()))
    }

    /// Root of the mean squared relative error; `None` when no point has neighbours on both sides.
    pub fn rms_relative(&self) -> Option<f64> {
        rms(self.errors.iter())
    }

    /// Relative error to expect of what these neighbours predict in a region; where the region has no inner points,
    /// that of all regions.
    pub(crate) fn expected(&self, neighbours: Neighbours, region: Region) -> Option<f64> {
        self.regions
            .iter()
            .find(|error| error.region == region && error.neighbours == neighbours)
            .map_or_else(
                || rms(self.errors.iter().filter(|error| error.neighbours == neighbours)),
                |error| Some(error.rms_relative),
            )
    }
}

/// Root of the mean squared relative error.
fn rms<'a>(errors: impl Iterator<Item = &'a KnotError>) -> Option<f64> {
    root_mean(errors.map(|error| error.relative().powi(2)))
}

/// Root of the mean of squares; `None` without any.
pub(crate) fn root_mean(squares: impl Iterator<Item = f64>) -> Option<f64> {
    let (count, sum) = squares.fold((0_u32, 0.0), |(count, sum), square| (count + 1, sum + square));
    (count > 0).then(|| (sum / f64::from(count)).sqrt())
}
