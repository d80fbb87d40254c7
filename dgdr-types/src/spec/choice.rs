//! Fields with a fixed set of values.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A field with a fixed set of values, each with one name on the wire.
pub trait Choice: Copy + PartialEq + Sized + 'static {
    /// All values, in the order of the CRD's enum.
    const ALL: &'static [Self];

    /// The name on the wire.
    fn name(self) -> &'static str;

    /// The value of exactly this name.
    fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|choice| choice.name() == name)
    }
}

/// Defines an enum and its names together.
macro_rules! choice {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $wire:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub enum $name {
            $($(#[$variant_doc])* #[serde(rename = $wire)] $variant,)+
        }

        impl Choice for $name {
            const ALL: &'static [Self] = &[$(Self::$variant),+];

            fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $wire,)+
                }
            }
        }

        // Derived, a schema would be one branch per value; structural schemas want one enum.
        #[cfg(feature = "schema")]
        impl schemars::JsonSchema for $name {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                schemars::json_schema!({"type": "string", "enum": [$($wire),+]})
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.name())
            }
        }
    };
}

choice! {
    /// Which inference engine to use.
    BackendChoice {
        /// Compare all engines and take the best.
        Auto = "auto",
        /// SGLang.
        Sglang = "sglang",
        /// TensorRT-LLM.
        Trtllm = "trtllm",
        /// vLLM.
        Vllm = "vllm",
    }
}

choice! {
    /// How candidates are judged.
    SearchStrategy {
        /// By simulation, in seconds, without GPUs.
        Rapid = "rapid",
        /// By measuring real engines, in hours.
        Thorough = "thorough",
    }
}

choice! {
    /// What to favour where the targets leave a choice.
    OptimizationType {
        /// Short latencies.
        Latency = "latency",
        /// Many tokens per second and GPU.
        Throughput = "throughput",
    }
}

choice! {
    /// Where a DGDR stands. An empty phase on the wire means [`Self::Pending`].
    Phase {
        /// Accepted, not yet profiled.
        Pending = "Pending",
        /// The profiling Job runs.
        Profiling = "Profiling",
        /// A DGD is generated and waits to be applied by hand.
        Ready = "Ready",
        /// The DGD is created and not yet healthy.
        Deploying = "Deploying",
        /// The DGD serves.
        Deployed = "Deployed",
        /// Something failed; the conditions say what.
        Failed = "Failed",
    }
}

choice! {
    /// Where the profiling Job stands.
    ProfilingPhase {
        /// The profiler starts.
        Initializing = "Initializing",
        /// Prefill engines are compared.
        SweepingPrefill = "SweepingPrefill",
        /// Decode engines are compared.
        SweepingDecode = "SweepingDecode",
        /// The configuration is picked.
        SelectingConfig = "SelectingConfig",
        /// Curves for the planner are made.
        BuildingCurves = "BuildingCurves",
        /// The DGD is rendered.
        GeneratingDgd = "GeneratingDGD",
        /// Finished.
        Done = "Done",
    }
}
