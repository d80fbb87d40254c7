//! Where a number came from: every prediction carries the shares of its sources.

use serde::ser::SerializeMap as _;
use serde::{Deserialize, Serialize};

mod beyond;

pub use beyond::{Axis, Beyond};

/// How one operator latency was obtained.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Source {
    /// Read from a measured table at a measured point.
    Measured,
    /// Interpolated between measured points.
    Interpolated,
    /// Scaled from measured points outside the measured range, by the roofline's ratio.
    Extrapolated(Beyond),
    /// Computed from datasheet constants and a learned efficiency, where a measured table would be expected.
    Roofline,
    /// A closed form by design (elementwise operators, embeddings, point-to-point hops): no table exists anywhere.
    Analytic,
}

impl Source {
    /// Extrapolated along `axis` from the nearest measured coordinate to the one asked for.
    pub fn extrapolated(axis: Axis, measured: u64, asked: u64) -> Self {
        Self::Extrapolated(Beyond::new(axis, measured, asked))
    }

    /// What kind of source it is, however far it was extrapolated.
    pub const fn kind(self) -> SourceKind {
        match self {
            Self::Measured => SourceKind::Measured,
            Self::Interpolated => SourceKind::Interpolated,
            Self::Extrapolated(_) => SourceKind::Extrapolated,
            Self::Roofline => SourceKind::Roofline,
            Self::Analytic => SourceKind::Analytic,
        }
    }

    /// How far from the measurements it is; none unless extrapolated.
    pub const fn beyond(self) -> Option<Beyond> {
        match self {
            Self::Extrapolated(beyond) => Some(beyond),
            Self::Measured | Self::Interpolated | Self::Roofline | Self::Analytic => None,
        }
    }

    /// The less trusted of two sources, so that a value made of both is never presented as better than its worse part;
    /// of two extrapolations the farther one.
    #[must_use]
    pub fn worse(self, other: Self) -> Self {
        if let (Self::Extrapolated(here), Self::Extrapolated(there)) = (self, other) {
            return Self::Extrapolated(here.max(there));
        }
        if other.kind().distrust() > self.kind().distrust() {
            other
        } else {
            self
        }
    }
}

/// The kinds of [`Source`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum SourceKind {
    /// [`Source::Measured`].
    Measured,
    /// [`Source::Interpolated`].
    Interpolated,
    /// [`Source::Extrapolated`].
    Extrapolated,
    /// [`Source::Roofline`].
    Roofline,
    /// [`Source::Analytic`].
    Analytic,
}

impl SourceKind {
    /// All kinds, from the most to the least trusted, then the closed forms.
    pub const ALL: [Self; 5] = [
        Self::Measured,
        Self::Interpolated,
        Self::Extrapolated,
        Self::Roofline,
        Self::Analytic,
    ];

    /// The name used in JSON and in tables.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Measured => "measured",
            Self::Interpolated => "interpolated",
            Self::Extrapolated => "extrapolated",
            Self::Roofline => "roofline",
            Self::Analytic => "analytic",
        }
    }

    const fn slot(self) -> usize {
        match self {
            Self::Measured => 0,
            Self::Interpolated => 1,
            Self::Extrapolated => 2,
            Self::Roofline => 3,
            Self::Analytic => 4,
        }
    }

    /// Rises as trust falls.
    const fn distrust(self) -> usize {
        match self {
            Self::Analytic => 0,
            Self::Measured => 1,
            Self::Interpolated => 2,
            Self::Extrapolated => 3,
            Self::Roofline => 4,
        }
    }
}

/// The latency of one operator, with its source.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct OperatorLatency {
    /// Milliseconds.
    pub ms: f64,
    /// How it was obtained.
    pub source: Source,
}

impl OperatorLatency {
    /// No work, no time.
    pub const ZERO: Self = Self {
        ms: 0.0,
        source: Source::Analytic,
    };

    /// The same operator repeated `factor` times.
    #[must_use]
    pub fn times(self, factor: f64) -> Self {
        Self {
            ms: self.ms * factor,
            source: self.source,
        }
    }

    /// One operator after the other.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self {
            ms: self.ms + other.ms,
            source: self.source.worse(other.source),
        }
    }
}

/// Which sources the milliseconds of a prediction came from.
///
/// Shares sum to 1 for any non-zero prediction.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Provenance {
    ms: [f64; SourceKind::ALL.len()],
    farthest: Option<Beyond>,
}

impl Provenance {
    /// Counts an operator's latency towards its source.
    pub fn add(&mut self, latency: OperatorLatency) {
        self.ms[latency.source.kind().slot()] += latency.ms;
        if let Source::Extrapolated(beyond) = latency.source {
            self.reach(beyond);
        }
    }

    /// Counts all of another prediction, `weight` times.
    pub fn merge(&mut self, other: &Self, weight: f64) {
        for (total, part) in self.ms.iter_mut().zip(other.ms) {
            *total += part * weight;
        }
        if let Some(beyond) = other.farthest.filter(|_| weight > 0.0) {
            self.reach(beyond);
        }
    }

    fn reach(&mut self, beyond: Beyond) {
        self.farthest = self.farthest.max(Some(beyond));
    }

    /// Share of the latency from sources of `kind`, 0 to 1.
    pub fn share(&self, kind: SourceKind) -> f64 {
        let total: f64 = self.ms.iter().sum();
        if total > 0.0 {
            self.ms[kind.slot()] / total
        } else {
            0.0
        }
    }

    /// The least trusted kind of source that contributed.
    pub fn worst(&self) -> SourceKind {
        SourceKind::ALL
            .into_iter()
            .filter(|kind| self.ms[kind.slot()] > 0.0)
            .max_by_key(|kind| kind.distrust())
            .unwrap_or(SourceKind::Analytic)
    }

    /// The extrapolation that went farthest; none where nothing was extrapolated.
    pub const fn farthest(&self) -> Option<Beyond> {
        self.farthest
    }
}

impl Serialize for Provenance {
    /// A map from kind of source to share, kinds without a share left out; where something was extrapolated, `farthest`
    /// says how far on which axis.
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let shares = SourceKind::ALL
            .into_iter()
            .map(|kind| (kind.name(), (self.share(kind) * 1e6).round() / 1e6))
            .filter(|(_, share)| *share > 0.0);
        let mut map = serializer.serialize_map(None)?;
        for (name, share) in shares {
            map.serialize_entry(name, &share)?;
        }
        if let Some(beyond) = self.farthest {
            map.serialize_entry("farthest", &beyond)?;
        }
        map.end()
    }
}

impl<'de> Deserialize<'de> for Provenance {
    /// The shares that were written: their sum is one, whatever the latency was.
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        struct Written {
            #[serde(default)]
            measured: f64,
            #[serde(default)]
            interpolated: f64,
            #[serde(default)]
            extrapolated: f64,
            #[serde(default)]
            roofline: f64,
            #[serde(default)]
            analytic: f64,
            farthest: Option<Beyond>,
        }
        let written = Written::deserialize(deserializer)?;
        let mut read = Self {
            farthest: written.farthest,
            ..Self::default()
        };
        for (kind, share) in [
            (SourceKind::Measured, written.measured),
            (SourceKind::Interpolated, written.interpolated),
            (SourceKind::Extrapolated, written.extrapolated),
            (SourceKind::Roofline, written.roofline),
            (SourceKind::Analytic, written.analytic),
        ] {
            read.ms[kind.slot()] = share;
        }
        Ok(read)
    }
}

/// A predicted number with its origin: a number never travels without it.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Estimate<T> {
    /// The predicted value.
    pub value: T,
    /// Which sources it was made of.
    pub provenance: Provenance,
}

#[cfg(test)]
mod tests;
