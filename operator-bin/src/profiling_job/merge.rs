//! Overrides merged into the Job as upstream's operator merges them.

use dgdr_types::contract::label;
use dgdr_types::spec::Open;
use k8s_openapi::api::batch::v1::JobSpec;
use k8s_openapi::api::core::v1::{
    Container, LocalObjectReference, PodSecurityContext, PodSpec, PodTemplateSpec,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde_json::Value;

use super::{COLLECTOR, JobError, PROFILER};

/// Labels that are the operator's own.
const PROTECTED: [&str; 5] = [
    label::APP,
    label::JOB_DGDR,
    label::DGDR_NAME,
    label::DGDR_NAMESPACE,
    label::MANAGED_BY,
];

/// The overrides as a JobSpec; lists that a JobSpec requires may be missing.
///
/// # Errors
/// [`JobError::Override`] for wrong types.
pub(super) fn read(overrides: &Open) -> Result<JobSpec, JobError> {
    serde_json::from_value(Value::Object(overrides.clone())).map_err(|error| JobError::Override {
        problem: error.to_string(),
    })
}

/// Merges overrides into a Job's spec.
pub(super) fn merge(base: &mut JobSpec, overrides: JobSpec) {
    replace(&mut base.backoff_limit, overrides.backoff_limit);
    replace(
        &mut base.active_deadline_seconds,
        overrides.active_deadline_seconds,
    );
    replace(
        &mut base.ttl_seconds_after_finished,
        overrides.ttl_seconds_after_finished,
    );
    replace(&mut base.completions, overrides.completions);
    replace(&mut base.parallelism, overrides.parallelism);
    replace(&mut base.suspend, overrides.suspend);
    let PodTemplateSpec { metadata, spec } = overrides.template;
    if let Some(metadata) = metadata {
        template_metadata(&mut base.template.metadata, metadata);
    }
    if let (Some(base), Some(overrides)) = (&mut base.template.spec, spec) {
        pod(base, overrides);
    }
}

fn replace<T>(base: &mut Option<T>, over: Option<T>) {
    if over.is_some() {
        *base = over;
    }
}

fn template_metadata(base: &mut Option<ObjectMeta>, overrides: ObjectMeta) {
    let labels = overrides
        .labels
        .into_iter()
        .flatten()
        .filter(|(key, _)| !PROTECTED.contains(&key.as_str()));
    let base = base.get_or_insert_default();
    base.labels.get_or_insert_default().extend(labels);
    base.annotations
        .get_or_insert_default()
        .extend(overrides.annotations.into_iter().flatten());
}

fn pod(base: &mut PodSpec, overrides: PodSpec) {
    replace(&mut base.tolerations, overrides.tolerations);
    replace(&mut base.node_selector, overrides.node_selector);
    replace(&mut base.affinity, overrides.affinity);
    replace(
        &mut base.topology_spread_constraints,
        overrides.topology_spread_constraints,
    );
    replace(&mut base.priority_class_name, overrides.priority_class_name);
    replace(&mut base.service_account_name, overrides.service_account_name);
    replace(&mut base.runtime_class_name, overrides.runtime_class_name);
    replace(&mut base.dns_policy, overrides.dns_policy);
    replace(&mut base.dns_config, overrides.dns_config);
    replace(
        &mut base.termination_grace_period_seconds,
        overrides.termination_grace_period_seconds,
    );
    replace(
        &mut base.automount_service_account_token,
        overrides.automount_service_account_token,
    );
    pull_secrets(&mut base.image_pull_secrets, overrides.image_pull_secrets);
    if let Some(context) = overrides.security_context {
        security_context(base.security_context.get_or_insert_default(), context);
    }
    by_name(&mut base.volumes, overrides.volumes, |volume| &volume.name);
    by_name(
        &mut base.init_containers,
        overrides.init_containers,
        |container| &container.name,
    );
    containers(&mut base.containers, overrides.containers);
}

/// Both lists, each name once.
fn pull_secrets(base: &mut Option<Vec<LocalObjectReference>>, overrides: Option<Vec<LocalObjectReference>>) {
    let base = base.get_or_insert_default();
    for secret in overrides.into_iter().flatten() {
        if !base.contains(&secret) {
            base.push(secret);
        }
    }
}

/// Field by field.
fn security_context(base: &mut PodSecurityContext, overrides: PodSecurityContext) {
    let PodSecurityContext {
        app_armor_profile,
        fs_group,
        fs_group_change_policy,
        run_as_group,
        run_as_non_root,
        run_as_user,
        se_linux_change_policy,
        se_linux_options,
        seccomp_profile,
        supplemental_groups,
        supplemental_groups_policy,
        sysctls,
        windows_options,
    } = overrides;
    replace(&mut base.app_armor_profile, app_armor_profile);
    replace(&mut base.fs_group, fs_group);
    replace(&mut base.fs_group_change_policy, fs_group_change_policy);
    replace(&mut base.run_as_group, run_as_group);
    replace(&mut base.run_as_non_root, run_as_non_root);
    replace(&mut base.run_as_user, run_as_user);
    replace(&mut base.se_linux_change_policy, se_linux_change_policy);
    replace(&mut base.se_linux_options, se_linux_options);
    replace(&mut base.seccomp_profile, seccomp_profile);
    replace(&mut base.supplemental_groups, supplemental_groups);
    replace(&mut base.supplemental_groups_policy, supplemental_groups_policy);
    replace(&mut base.sysctls, sysctls);
    replace(&mut base.windows_options, windows_options);
}

/// An entry of a name that is there replaces it, others are appended.
fn by_name<T>(base: &mut Option<Vec<T>>, overrides: Option<Vec<T>>, name: fn(&T) -> &String) {
    for over in overrides.into_iter().flatten() {
        let base = base.get_or_insert_default();
        match base.iter_mut().find(|known| name(known) == name(&over)) {
            Some(known) => *known = over,
            None => base.push(over),
        }
    }
}

/// The profiler takes its own entry, else the first without a name.
fn containers(base: &mut [Container], overrides: Vec<Container>) {
    let named = overrides.iter().position(|container| container.name == PROFILER);
    let chosen = named.or_else(|| overrides.iter().position(|container| container.name.is_empty()));
    for (index, over) in overrides.into_iter().enumerate() {
        let wanted = if chosen == Some(index) {
            PROFILER
        } else if over.name == COLLECTOR {
            COLLECTOR
        } else {
            continue;
        };
        let Some(container) = base.iter_mut().find(|container| container.name == wanted) else {
            continue;
        };
        replace(&mut container.image, over.image);
        replace(&mut container.resources, over.resources);
        if wanted == PROFILER {
            replace(&mut container.security_context, over.security_context);
            by_name(&mut container.env, over.env, |variable| &variable.name);
            by_name(&mut container.volume_mounts, over.volume_mounts, |mount| {
                &mount.name
            });
            if let Some(more) = over.env_from {
                container.env_from.get_or_insert_default().extend(more);
            }
        }
    }
}
