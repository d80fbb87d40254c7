//! How far beyond its measurements a number was taken.

use std::fmt;

use dgdr_units::{floor_count, real};
use serde::ser::SerializeMap as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Steps of an octave that a distance is kept in: fine enough to print, small enough to travel with every latency.
const STEPS: f64 = 256.0;

/// A quantity along which operators were measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Axis {
    /// Tokens of a step.
    Tokens,
    /// Requests of a step.
    Batch,
    /// Tokens of one request, cached ones included.
    Sequence,
    /// Tokens of one request that are cached already.
    Prefix,
    /// Attention heads on one GPU.
    Heads,
    /// Input or output features of a matrix product.
    Features,
    /// Elements of a message between GPUs.
    Elements,
    /// GPUs that work together.
    Gpus,
    /// Multiprocessors of a GPU that exchange tokens.
    Multiprocessors,
    /// Experts of a layer, or those that a token visits.
    Experts,
}

impl Axis {
    /// The name used in JSON and in tables.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Tokens => "tokens",
            Self::Batch => "batch",
            Self::Sequence => "sequence",
            Self::Prefix => "prefix",
            Self::Heads => "heads",
            Self::Features => "features",
            Self::Elements => "elements",
            Self::Gpus => "gpus",
            Self::Multiprocessors => "multiprocessors",
            Self::Experts => "experts",
        }
    }
}

/// The distance between what was asked for and the nearest measurement, on the axis where it is largest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Beyond {
    /// Octaves times [`STEPS`]; first, so that the farther one is the greater.
    steps: u16,
    axis: Axis,
}

impl Beyond {
    /// From the nearest measured coordinate of `axis` to the one asked for; zero counts as one.
    pub fn new(axis: Axis, measured: u64, asked: u64) -> Self {
        let octaves = real(asked.max(1)).log2() - real(measured.max(1)).log2();
        Self::of_octaves(axis, octaves.abs())
    }

    /// This many octaves away.
    pub fn of_octaves(axis: Axis, octaves: f64) -> Self {
        let steps = floor_count((octaves * STEPS).round());
        Self {
            steps: u16::try_from(steps).unwrap_or(u16::MAX),
            axis,
        }
    }

    /// The axis.
    pub const fn axis(self) -> Axis {
        self.axis
    }

    /// Octaves between the two coordinates.
    pub fn octaves(self) -> f64 {
        f64::from(self.steps) / STEPS
    }

    /// The larger coordinate over the smaller one.
    pub fn ratio(self) -> f64 {
        self.octaves().exp2()
    }
}

impl fmt::Display for Beyond {
    /// `4.0 times on tokens`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.1} times on {}", self.ratio(), self.axis.name())
    }
}

impl Serialize for Beyond {
    /// `{"axis": "tokens", "ratio": 4.0}`.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(2))?;
        map.serialize_entry("axis", self.axis.name())?;
        map.serialize_entry("ratio", &((self.ratio() * 100.0).round() / 100.0))?;
        map.end()
    }
}

impl<'de> Deserialize<'de> for Beyond {
    /// What was written, to the two decimals of its ratio.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        struct Written {
            axis: Axis,
            ratio: f64,
        }
        let Written { axis, ratio } = Written::deserialize(deserializer)?;
        Ok(Self::of_octaves(axis, ratio.max(1.0).log2()))
    }
}
