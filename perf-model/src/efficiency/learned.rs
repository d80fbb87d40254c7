//! The efficiencies that come with the library.

use std::sync::LazyLock;

use serde::{Deserialize, Serialize};

use super::curve::Curve;
use super::generation::Generation;
use super::speed_of_light::{Bound, Subject};
use crate::backend::Backend;
use crate::system::SystemSpec;

static EMBEDDED: LazyLock<Efficiencies> =
    LazyLock::new(|| serde_json::from_str(include_str!("../../data/efficiency.json")).unwrap_or_default());

/// One learned efficiency. What is left out stands for all of its kind, and answers where nothing closer was learned.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EfficiencyCurve {
    /// Generation of the GPUs that it was learned on.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub generation: Option<Generation>,
    /// The engine.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub backend: Option<Backend>,
    /// Kind of operator.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub kind: Option<String>,
    /// Its formats.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub format: Option<String>,
    /// What the operator waited for.
    pub bound: Bound,
    /// Share of the speed of light over the amount of work.
    #[serde(flatten)]
    pub curve: Curve,
}

/// All learned efficiencies.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Efficiencies {
    pub(super) curves: Vec<EfficiencyCurve>,
}

impl Efficiencies {
    /// Those that come with the library.
    pub fn embedded() -> &'static Self {
        &EMBEDDED
    }

    /// The curves.
    pub fn curves(&self) -> &[EfficiencyCurve] {
        &self.curves
    }

    /// The curve that was learned closest to a subject: on the system's generation before others, with its engine
    /// before others, in its format before others. None where nothing was ever bound so.
    pub fn curve(
        &self,
        hardware: (&SystemSpec, Backend),
        subject: &Subject,
        bound: Bound,
    ) -> Option<&EfficiencyCurve> {
        let (generation, backend) = (Some(Generation::of(hardware.0)), Some(hardware.1));
        let (kind, format) = (Some(subject.kind), Some(subject.format.as_str()));
        let nearest_first = [
            (generation, backend, kind, format),
            (generation, backend, kind, None),
            (generation, None, kind, None),
            (None, None, kind, None),
            (generation, None, None, None),
            (None, None, None, None),
        ];
        nearest_first
            .into_iter()
            .find_map(|(generation, backend, kind, format)| {
                self.curves.iter().find(|curve| {
                    curve.bound == bound
                        && curve.generation == generation
                        && curve.backend == backend
                        && curve.kind.as_deref() == kind
                        && curve.format.as_deref() == format
                })
            })
    }
}
