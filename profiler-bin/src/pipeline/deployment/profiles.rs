//! The curves that a deployment mounts, and the names under which it does.

use std::collections::BTreeMap;
use std::num::NonZeroU32;

use dgdr_render::{DeploymentPlan, MOCKER_TABLE_FILE, ProfileData};
use dgdr_types::ResolvedRequest;
use dgdr_types::names::{DgdrName, planner_config_map_name, profile_data_config_map_name};

use super::DeploymentInput;
use crate::error::ProfilerError;

/// Names of a deployment's ConfigMaps.
pub(super) struct ConfigMapNames {
    /// The planner's settings.
    pub planner: String,
    /// The curves.
    pub profile: String,
}

/// A bare spec has no name of its own, and the deployment's name is unique where it is deployed.
pub(super) fn config_map_names(request: &ResolvedRequest, plan: &DeploymentPlan) -> ConfigMapNames {
    let named = request.name.clone().or_else(|| DgdrName::new(&plan.name).ok());
    named.map_or_else(
        || ConfigMapNames {
            planner: "planner-config".to_owned(),
            profile: "planner-profile-data".to_owned(),
        },
        |name| ConfigMapNames {
            planner: planner_config_map_name(&name),
            profile: profile_data_config_map_name(&name),
        },
    )
}

/// The curves of the picked engines, and the table of one attention copy where engines are simulated.
///
/// # Errors
/// [`ProfilerError::Format`] when the table cannot be made.
pub(super) fn profile(
    input: &DeploymentInput<'_>,
    plan: &DeploymentPlan,
) -> Result<ProfileData, ProfilerError> {
    let files = input.curve_files.iter();
    let mut tables = BTreeMap::new();
    if input.request.features.mocker {
        let copies = input.curves.decode_mapping.widths().attention_dp;
        let copies = NonZeroU32::new(copies).unwrap_or(NonZeroU32::MIN);
        let table =
            dgdr_interpolation::npz::write_mocker(&input.curves.prefill, &input.curves.decode, copies)?;
        tables.insert(MOCKER_TABLE_FILE.to_owned(), table);
    }
    Ok(ProfileData {
        config_map: config_map_names(input.request, plan).profile,
        files: files
            .map(|(name, text)| ((*name).to_owned(), text.clone()))
            .collect(),
        tables,
    })
}
