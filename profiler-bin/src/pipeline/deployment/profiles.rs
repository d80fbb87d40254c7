//! The curves that a deployment mounts, and the names under which it does.

use std::collections::BTreeMap;

use dgdr_interpolation::DecodeSurface;
use dgdr_render::{DeploymentPlan, ProfileData};
use dgdr_types::ResolvedRequest;
use dgdr_types::names::{
    DgdrName, mocker_profile_config_map_name, planner_config_map_name, profile_data_config_map_name,
};
use dgdr_units::Tokens;

use super::DeploymentInput;
use crate::artifacts::DECODE_JSON_FILE;
use crate::error::ProfilerError;

/// Names of a deployment's ConfigMaps.
pub(super) struct ConfigMapNames {
    /// The planner's settings.
    pub planner: String,
    /// Curves of whole engines.
    pub profile: String,
    /// Curves of single attention copies.
    pub mocker: String,
}

/// A bare spec has no name of its own, and the deployment's name is unique where it is deployed.
pub(super) fn config_map_names(request: &ResolvedRequest, plan: &DeploymentPlan) -> ConfigMapNames {
    let named = request.name.clone().or_else(|| DgdrName::new(&plan.name).ok());
    named.map_or_else(
        || ConfigMapNames {
            planner: "planner-config".to_owned(),
            profile: "planner-profile-data".to_owned(),
            mocker: "mocker-profile-data".to_owned(),
        },
        |name| ConfigMapNames {
            planner: planner_config_map_name(&name),
            profile: profile_data_config_map_name(&name),
            mocker: mocker_profile_config_map_name(&name),
        },
    )
}

/// The curves of the picked engines.
pub(super) fn planner_profile(input: &DeploymentInput<'_>, plan: &DeploymentPlan) -> ProfileData {
    ProfileData {
        config_map: config_map_names(input.request, plan).profile,
        files: files(input),
    }
}

/// The curves of the picked engines as their simulators read them.
///
/// A simulator runs one scheduler for each attention copy, with that copy's share of the KV cache. Usage of the cache
/// is a fraction, so the surface of one copy is that of the engine over a smaller cache.
///
/// # Errors
/// [`ProfilerError`] when the surface of one copy cannot be built or written.
pub(super) fn mocker_profile(
    input: &DeploymentInput<'_>,
    plan: &DeploymentPlan,
) -> Result<ProfileData, ProfilerError> {
    let copies = u64::from(input.curves.decode_mapping.widths().attention_dp);
    if copies <= 1 {
        return Ok(planner_profile(input, plan));
    }
    let engine = &input.curves.decode;
    let tokens = Tokens::new(engine.max_kv_tokens().get() / copies);
    let copy =
        DecodeSurface::new(tokens, engine.points().to_vec()).map_err(|source| ProfilerError::Curve {
            engine: "decode",
            source,
        })?;
    let origins = input.curves.origins(input.question, input.study);
    let bytes = dgdr_interpolation::json::write_decode(&copy, &origins.decode)?;
    let text = String::from_utf8(bytes).map_err(|error| ProfilerError::Encode {
        what: DECODE_JSON_FILE,
        problem: error.to_string(),
    })?;
    let mut files = files(input);
    files.insert(DECODE_JSON_FILE.to_owned(), text);
    Ok(ProfileData {
        config_map: config_map_names(input.request, plan).mocker,
        files,
    })
}

fn files(input: &DeploymentInput<'_>) -> BTreeMap<String, String> {
    let files = input.curve_files.iter();
    files
        .map(|(name, text)| ((*name).to_owned(), text.clone()))
        .collect()
}
