//! ConfigMaps, and where components see them.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use dgdr_types::dgd::{
    CONFIG_MAP_API_VERSION, CONFIG_MAP_KIND, ConfigMap, ConfigMapSource, Volume, VolumeMount, VolumeSource,
};

use super::metadata;
use super::plan::{DeploymentPlan, ProfileData};

/// Where curves are mounted, in the planner as in simulated engines; both are told so.
pub(super) const PROFILE_DIRECTORY: &str = "/workspace/profiling_results";
/// Volume of the curves.
const PROFILE_VOLUME: &str = "planner-profile-data";

/// A ConfigMap as a directory of a container.
#[derive(Debug, Clone, Copy)]
pub(super) struct Mount<'a> {
    /// Name of the volume.
    pub volume: &'a str,
    /// Name of the ConfigMap.
    pub config_map: &'a str,
    /// The directory.
    pub path: &'a str,
}

impl Mount<'_> {
    /// The volume of the pod.
    pub(super) fn volume(&self) -> Volume {
        Volume {
            name: self.volume.to_owned(),
            source: VolumeSource::ConfigMap(ConfigMapSource {
                name: self.config_map.to_owned(),
            }),
        }
    }

    /// The mount of the container.
    pub(super) fn point(&self) -> VolumeMount {
        VolumeMount {
            name: self.volume.to_owned(),
            mount_path: self.path.to_owned(),
            read_only: true,
        }
    }
}

/// Where curves are seen.
pub(super) fn profile_mount(profile: &ProfileData) -> Mount<'_> {
    Mount {
        volume: PROFILE_VOLUME,
        config_map: &profile.config_map,
        path: PROFILE_DIRECTORY,
    }
}

/// A ConfigMap with text files.
pub(super) fn config_map(plan: &DeploymentPlan, name: &str, data: BTreeMap<String, String>) -> ConfigMap {
    ConfigMap {
        api_version: CONFIG_MAP_API_VERSION.to_owned(),
        kind: CONFIG_MAP_KIND.to_owned(),
        metadata: metadata(plan, name),
        data,
        binary_data: BTreeMap::new(),
    }
}

/// The ConfigMap of curves.
pub(super) fn profile_config_map(plan: &DeploymentPlan, profile: &ProfileData) -> ConfigMap {
    let tables = profile.tables.iter();
    ConfigMap {
        binary_data: tables
            .map(|(name, bytes)| (name.clone(), STANDARD.encode(bytes)))
            .collect(),
        ..config_map(plan, &profile.config_map, profile.files.clone())
    }
}
