//! Where a number came from: every prediction carries the shares of its sources.

use serde::{Deserialize, Serialize};

/// How one operator latency was obtained.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Source {
    /// Read from a measured table at a measured point.
    Measured,
    /// Interpolated between measured points.
    Interpolated,
    /// Scaled from measured points outside the measured range, by the roofline's ratio.
    Extrapolated,
    /// Computed from datasheet constants alone, where a measured table would be expected.
    Roofline,
    /// A closed form by design (elementwise operators, embeddings, point-to-point hops): no table exists anywhere.
    Analytic,
}

impl Source {
    /// All sources, from the most to the least trusted, then the closed forms.
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

    /// The less trusted of two sources, so that a value made of both is never presented as better than its worse part.
    #[must_use]
    pub const fn worse(self, other: Self) -> Self {
        const fn rank(source: Source) -> usize {
            match source {
                Source::Analytic => 0,
                Source::Measured => 1,
                Source::Interpolated => 2,
                Source::Extrapolated => 3,
                Source::Roofline => 4,
            }
        }
        if rank(other) > rank(self) { other } else { self }
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
}

/// Which sources the milliseconds of a prediction came from.
///
/// Shares sum to 1 for any non-zero prediction.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Provenance {
    ms: [f64; Source::ALL.len()],
}

impl Provenance {
    /// Counts an operator's latency towards its source.
    pub fn add(&mut self, latency: OperatorLatency) {
        self.ms[latency.source.slot()] += latency.ms;
    }

    /// Counts all of another prediction, `weight` times.
    pub fn merge(&mut self, other: &Self, weight: f64) {
        for (total, part) in self.ms.iter_mut().zip(other.ms) {
            *total += part * weight;
        }
    }

    /// Share of the latency from `source`, 0 to 1.
    pub fn share(&self, source: Source) -> f64 {
        let total: f64 = self.ms.iter().sum();
        if total > 0.0 {
            self.ms[source.slot()] / total
        } else {
            0.0
        }
    }

    /// The least trusted source that contributed.
    pub fn worst(&self) -> Source {
        Source::ALL
            .into_iter()
            .filter(|source| self.ms[source.slot()] > 0.0)
            .fold(Source::Analytic, Source::worse)
    }
}

impl Serialize for Provenance {
    /// A map from source name to share, sources without a share left out.
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(
            Source::ALL
                .into_iter()
                .map(|source| (source.name(), (self.share(source) * 1e6).round() / 1e6))
                .filter(|(_, share)| *share > 0.0),
        )
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
