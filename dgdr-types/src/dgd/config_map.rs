//! ConfigMaps that a deployment mounts.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Metadata;

/// API version of a ConfigMap.
pub const CONFIG_MAP_API_VERSION: &str = "v1";
/// Kind of a ConfigMap.
pub const CONFIG_MAP_KIND: &str = "ConfigMap";

/// Files by name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ConfigMap {
    /// Always [`CONFIG_MAP_API_VERSION`].
    pub api_version: String,
    /// Always [`CONFIG_MAP_KIND`].
    pub kind: String,
    /// Name, namespace, labels.
    pub metadata: Metadata,
    /// Contents by file name.
    pub data: BTreeMap<String, String>,
    /// Contents that are no text by file name, each in base64.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub binary_data: BTreeMap<String, String>,
}
