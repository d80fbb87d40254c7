//! Step 1: which GPUs there are. What the request leaves open is discovered on this machine, then assumed, loudly.

mod local;

use std::num::NonZeroU32;

use dgdr_perf_model::SystemSpec;
use dgdr_types::GpuSku;
use dgdr_units::{Bytes, Gpus};
use serde::Serialize;

use crate::error::ProfilerError;
use crate::kernel_tables::KernelTables;

pub use local::{LocalGpus, discover};

/// The driver's tool that lists the GPUs of a machine.
pub const NVIDIA_SMI: &str = "nvidia-smi";

/// What is assumed when neither the request nor this machine names a GPU: the profiler guide's own example.
pub const ASSUMED_SYSTEM: &str = "h200_sxm";

const MIB: u64 = 1 << 20;

/// A user's memory figure within this share of the datasheet's names the same part: 141 GB, 144384 MiB and what the
/// driver reports as usable all mean an H200.
const SAME_MEMORY: f64 = 0.08;

/// What a request says about hardware; anything may be left open.
#[derive(Debug, Clone, Copy, Default)]
pub struct HardwareWish<'a> {
    /// GPU system, for example `h200_sxm`.
    pub system: Option<&'a str>,
    /// Where systems are described; none for the built-in descriptions.
    pub tables: Option<&'a KernelTables>,
    /// GPUs of one node.
    pub gpus_per_node: Option<NonZeroU32>,
    /// GPUs that may be used.
    pub total_gpus: Option<NonZeroU32>,
    /// Memory of one GPU, MiB.
    pub memory_mib: Option<u64>,
}

/// The GPUs of a question.
#[derive(Debug, Clone, PartialEq)]
pub struct Hardware {
    /// What one GPU and one node can do.
    pub system: &'static SystemSpec,
    /// Memory of one GPU.
    pub memory: Bytes,
    /// GPUs of one node.
    pub gpus_per_node: NonZeroU32,
    /// GPUs that may be used.
    pub total_gpus: Gpus,
    /// What nobody said and had to be filled in.
    pub filled: Vec<Filled>,
}

/// A hardware field that the request left open.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Filled {
    /// Path of the field.
    pub field: &'static str,
    /// What it was filled with.
    pub value: String,
    /// Where that comes from.
    pub origin: Origin,
}

/// Where a filled-in field comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    /// The GPUs of this machine.
    Discovered,
    /// The datasheet of the GPU system.
    System,
    /// Nothing: a documented default.
    Assumed,
}

impl Filled {
    /// One line for people.
    pub fn describe(&self) -> String {
        let Self { field, value, origin } = self;
        match origin {
            Origin::Discovered => format!("{field} is {value}, as found on this machine"),
            Origin::System => format!("{field} is {value}, as the GPU system has it"),
            Origin::Assumed => format!(
                "{field} is not given and no GPU was found: {value} is ASSUMED; set {field} to what you have"
            ),
        }
    }
}

/// Hardware that cannot be reasoned about.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HardwareError {
    /// A GPU system without a description.
    #[error("{field}: `{value}` is not a GPU system that the simulator describes; use one of {known}")]
    UnknownSystem {
        /// Path of the field.
        field: &'static str,
        /// Its value.
        value: String,
        /// What is known.
        known: String,
    },
}

impl Hardware {
    /// Fills what the wish leaves open: from `local` GPUs when the wish names no other system, then from the system's
    /// own description, then from documented defaults.
    ///
    /// # Errors
    /// [`HardwareError::UnknownSystem`] with what is known.
    pub fn resolve(wish: HardwareWish<'_>, local: Option<LocalSystem>) -> Result<Self, ProfilerError> {
        let mut filled = Vec::new();
        let local = local.filter(|found| {
            wish.system
                .is_none_or(|name| system_of(name) == Some(found.system))
        });
        let system = match (wish.system, &local) {
            (Some(name), _) => described(wish.tables, name)?.ok_or_else(|| unknown(name))?,
            (None, Some(found)) => {
                note(
                    &mut filled,
                    "spec.hardware.gpuSku",
                    found.system.name,
                    Origin::Discovered,
                );
                found.system
            }
            (None, None) => {
                note(
                    &mut filled,
                    "spec.hardware.gpuSku",
                    ASSUMED_SYSTEM,
                    Origin::Assumed,
                );
                SystemSpec::by_name(ASSUMED_SYSTEM).ok_or_else(|| unknown(ASSUMED_SYSTEM))?
            }
        };
        let gpus_per_node = wish.gpus_per_node.unwrap_or_else(|| {
            let (count, origin) = match &local {
                Some(found) => (found.count, Origin::Discovered),
                None => (
                    NonZeroU32::new(system.gpus_per_node).unwrap_or(NonZeroU32::MIN),
                    Origin::System,
                ),
            };
            note(&mut filled, "spec.hardware.numGpusPerNode", count, origin);
            count
        });
        let total_gpus = wish.total_gpus.unwrap_or_else(|| {
            let origin = if local.is_some() {
                Origin::Discovered
            } else {
                Origin::Assumed
            };
            note(&mut filled, "spec.hardware.totalGpus", gpus_per_node, origin);
            gpus_per_node
        });
        let memory = match wish.memory_mib.map(|mib| Bytes::new(mib.saturating_mul(MIB))) {
            Some(given) if !is_same(given, system.memory_capacity) => given,
            Some(_) | None => system.memory_capacity,
        };
        Ok(Self {
            system,
            memory,
            gpus_per_node,
            total_gpus: Gpus::new(total_gpus.get()),
            filled,
        })
    }
}

/// The GPUs of this machine, as a system that the simulator knows.
#[derive(Debug, Clone, PartialEq)]
pub struct LocalSystem {
    /// The system.
    pub system: &'static SystemSpec,
    /// How many GPUs there are.
    pub count: NonZeroU32,
}

impl LocalSystem {
    /// Asks the driver; none without GPUs, or with GPUs that no description fits.
    pub fn find() -> Option<Self> {
        let gpus = discover(NVIDIA_SMI)?;
        let sku = GpuSku::from_product(&gpus.product)?;
        Some(Self {
            system: system_of(sku.name())?,
            count: NonZeroU32::new(gpus.count.get())?,
        })
    }
}

/// The system of a name, by the user's description where there is one.
fn described(
    tables: Option<&KernelTables>,
    name: &str,
) -> Result<Option<&'static SystemSpec>, ProfilerError> {
    match tables.map(|tables| tables.system(name)).transpose()?.flatten() {
        Some(system) => Ok(Some(system)),
        None => Ok(system_of(name)),
    }
}

/// The system of a name; names that the DGDR has given up still count.
fn system_of(name: &str) -> Option<&'static SystemSpec> {
    SystemSpec::by_name(GpuSku::from_name(name).map_or(name, |sku| sku.canonical().name()))
}

fn is_same(given: Bytes, capacity: Bytes) -> bool {
    let ratio = given.gib() / capacity.gib();
    (ratio - 1.0).abs() <= SAME_MEMORY
}

fn note(filled: &mut Vec<Filled>, field: &'static str, value: impl std::fmt::Display, origin: Origin) {
    filled.push(Filled {
        field,
        value: value.to_string(),
        origin,
    });
}

fn unknown(name: &str) -> HardwareError {
    let known: Vec<&str> = SystemSpec::all().iter().map(|system| system.name).collect();
    HardwareError::UnknownSystem {
        field: "spec.hardware.gpuSku",
        value: name.to_owned(),
        known: known.join(", "),
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use dgdr_perf_model::SystemSpec;
    use dgdr_types::GpuSku;
    use dgdr_units::Gpus;

    use super::{Hardware, HardwareWish, LocalSystem, Origin, ProfilerError};

    fn count(n: u32) -> NonZeroU32 {
        NonZeroU32::new(n).unwrap()
    }

    #[test]
    fn with_nothing_said_and_nothing_found_the_assumption_is_recorded() {
        let hardware = Hardware::resolve(HardwareWish::default(), None).unwrap();
        assert_eq!(hardware.system.name, "h200_sxm");
        assert_eq!(hardware.total_gpus, Gpus::new(8));
        let origins: Vec<Origin> = hardware.filled.iter().map(|filled| filled.origin).collect();
        assert_eq!(origins, [Origin::Assumed, Origin::System, Origin::Assumed]);
        assert!(hardware.filled[0].describe().contains("ASSUMED"));
    }

    #[test]
    fn what_is_said_is_never_replaced() {
        let local = LocalSystem {
            system: SystemSpec::by_name("h100_sxm").unwrap(),
            count: count(4),
        };
        let wish = HardwareWish {
            system: Some("b200_sxm"),
            gpus_per_node: Some(count(8)),
            total_gpus: Some(count(16)),
            ..HardwareWish::default()
        };
        let hardware = Hardware::resolve(wish, Some(local.clone())).unwrap();
        assert_eq!(hardware.system.name, "b200_sxm");
        assert!(hardware.filled.is_empty());
        let open = Hardware::resolve(HardwareWish::default(), Some(local)).unwrap();
        assert_eq!((open.system.name, open.total_gpus), ("h100_sxm", Gpus::new(4)));
    }

    #[test]
    fn a_memory_figure_counts_only_where_it_names_another_part() {
        let memory = |mib| {
            let wish = HardwareWish {
                system: Some("h200_sxm"),
                memory_mib: Some(mib),
                ..HardwareWish::default()
            };
            Hardware::resolve(wish, None).unwrap().memory
        };
        let datasheet = SystemSpec::by_name("h200_sxm").unwrap().memory_capacity;
        assert_eq!(memory(143_771), datasheet, "what the driver reports");
        assert_eq!(memory(81_920).get(), 81_920 << 20, "the guide's example");
    }

    #[test]
    fn every_gpu_of_the_dgdr_is_described() {
        for sku in GpuSku::ALL {
            let wish = HardwareWish {
                system: Some(sku.name()),
                ..HardwareWish::default()
            };
            let hardware = Hardware::resolve(wish, None).unwrap();
            assert_eq!(hardware.system.name, sku.canonical().name());
        }
    }

    #[test]
    fn an_unknown_system_lists_the_known_ones() {
        let wish = HardwareWish {
            system: Some("tpu_v5"),
            ..HardwareWish::default()
        };
        let error = Hardware::resolve(wish, None).unwrap_err();
        assert!(matches!(error, ProfilerError::Hardware(_)));
        assert!(error.to_string().contains("h100_sxm"));
    }
}
