//! What is done in the cluster: each action may be done again, and none is done to what is somebody else's.

use std::collections::BTreeMap;

use dgdr_types::contract::{FIELD_OWNER, PROFILING_SERVICE_ACCOUNT, annotation, file, label};
use dgdr_types::dgd::DgdVersion;
use dgdr_types::names::output_config_map_name;
use dgdr_types::v1alpha1::runtime_effects;
use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{ConfigMap, ServiceAccount};
use k8s_openapi::api::rbac::v1::{RoleBinding, RoleRef, Subject};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};
use kube::api::{DeleteParams, DynamicObject, Patch, PatchParams, Preconditions, PropagationPolicy};
use kube::{Api, Client, Resource};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::context::Context;
use super::error::{LookError, failed};
use super::hardware::with_hardware;
use super::observe::{Seen, SeenDeployment, made_from};
use super::request::Request;
use super::stores::Scope;
use crate::collection;
use crate::decision::{Action, Event, EventKind};
use crate::generated;
use crate::graph::{self, Asker, Ownership};
use crate::profiling_job::{JobInput, ProfilerProgram, profiling_job};

/// How an action went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Outcome {
    /// It is done, or was done before.
    Done,
    /// Done, with something that the user should know.
    Told(Event),
    /// The API server refuses it for good.
    Rejected(String),
    /// The API server does not allow it now: a quota, a role that is missing.
    Forbidden(String),
    /// Somebody else has taken the name.
    Taken(String),
}

fn warning(reason: &'static str, message: String) -> Outcome {
    Outcome::Told(Event {
        kind: EventKind::Warning,
        reason,
        message,
    })
}

/// How an object is patched in part: under our name.
pub(super) fn merged() -> PatchParams {
    PatchParams {
        field_manager: Some(FIELD_OWNER.to_owned()),
        ..PatchParams::default()
    }
}

/// Does one action.
///
/// # Errors
/// [`LookError`] for what may work later.
pub(super) async fn act(context: &Context, seen: &Seen, action: &Action) -> Result<Outcome, LookError> {
    match action {
        Action::DeleteStaleOutput => delete_stale_output(context, seen).await,
        Action::DeleteJob => delete_job(context, seen).await,
        Action::CreateJob => create_job(context, seen).await,
        Action::ProfileInline => profile_inline(context, seen).await,
        Action::ApplyConfigMaps => apply_config_maps(context, seen).await,
        Action::ApplyDeployment => apply_deployment(context, seen).await,
        Action::AdoptConfigMaps => adopt(context, seen).await,
    }
}

fn namespaced<K>(context: &Context, seen: &Seen) -> Api<K>
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope>,
{
    Api::namespaced(context.client.clone(), seen.request.namespace())
}

async fn apply<K>(
    api: &Api<K>,
    name: &str,
    object: &(impl Serialize + std::fmt::Debug),
) -> Result<K, kube::Error>
where
    K: Clone + DeserializeOwned + std::fmt::Debug,
{
    let parameters = PatchParams::apply(FIELD_OWNER).force();
    api.patch(name, &parameters, &Patch::Apply(object)).await
}

/// What an answer means: done, refused for good, or worth another try.
fn settled<K>(answer: Result<K, kube::Error>, what: &'static str) -> Result<Outcome, LookError> {
    match answer {
        Ok(_) => Ok(Outcome::Done),
        Err(kube::Error::Api(status)) if status.code == 403 => Ok(Outcome::Forbidden(status.message.clone())),
        Err(kube::Error::Api(status)) if matches!(status.code, 400 | 413 | 422) => {
            Ok(Outcome::Rejected(status.message.clone()))
        }
        Err(source) => Err(failed(what)(source)),
    }
}

/// Whether an operator lacks a role, in the words of every Kubernetes: an API server that has just started says so too,
/// until it has read its roles. Webhooks that refuse something have the same code.
fn is_lack_of_role(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(status)
        if status.code == 403 && status.message.contains("User \"") && status.message.contains(" cannot "))
}

fn absent_is_fine<K>(answer: Result<K, kube::Error>, what: &'static str) -> Result<Outcome, LookError> {
    match answer {
        Ok(_) => Ok(Outcome::Done),
        // A conflict is looked at again: what was seen is out of date, or nothing was done.
        Err(kube::Error::Api(status)) if status.code == 404 => Ok(Outcome::Done),
        Err(source) => Err(failed(what)(source)),
    }
}

/// Only once the API server itself says that no Job runs: a fast profiler's output must survive.
async fn delete_stale_output(context: &Context, seen: &Seen) -> Result<Outcome, LookError> {
    let name = output_config_map_name(&seen.name);
    let maps: Api<ConfigMap> = namespaced(context, seen);
    let what = "read the output of an earlier run";
    let Some(map) = maps.get_metadata_opt(&name).await.map_err(failed(what))? else {
        return Ok(Outcome::Done);
    };
    let jobs: Api<Job> = namespaced(context, seen);
    let job = jobs.get_metadata_opt(&seen.job_name).await;
    if job.map_err(failed("read the profiling Job"))?.is_some() {
        return Ok(Outcome::Done);
    }
    // As it was before the Job was looked for: a Job that came since has written to it.
    let parameters = DeleteParams {
        preconditions: Some(Preconditions {
            uid: map.metadata.uid,
            resource_version: map.metadata.resource_version,
        }),
        ..DeleteParams::default()
    };
    absent_is_fine(
        maps.delete(&name, &parameters).await,
        "delete the output of an earlier run",
    )
}

fn of_uid(uid: Option<String>) -> DeleteParams {
    DeleteParams {
        preconditions: Some(Preconditions {
            uid,
            resource_version: None,
        }),
        ..DeleteParams::default()
    }
}

/// Deletes a Job that was made from another spec than today's.
async fn delete_job(context: &Context, seen: &Seen) -> Result<Outcome, LookError> {
    let jobs: Api<Job> = namespaced(context, seen);
    let found = jobs.get_metadata_opt(&seen.job_name).await;
    let Some(job) = found.map_err(failed("read the profiling Job"))? else {
        return Ok(Outcome::Done);
    };
    let is_current = made_from(&job.metadata) == Some(seen.request.generation()) && seen.owns(&job.metadata);
    if is_current || job.metadata.deletion_timestamp.is_some() {
        return Ok(Outcome::Done);
    }
    let parameters = DeleteParams {
        propagation_policy: Some(PropagationPolicy::Background),
        ..of_uid(job.metadata.uid.clone())
    };
    absent_is_fine(
        jobs.delete(&seen.job_name, &parameters).await,
        "delete the Job of an earlier run",
    )
}

async fn create_job(context: &Context, seen: &Seen) -> Result<Outcome, LookError> {
    let jobs: Api<Job> = namespaced(context, seen);
    let found = jobs.get_metadata_opt(&seen.job_name).await;
    if found.map_err(failed("read the profiling Job"))?.is_some() {
        return Ok(Outcome::Done);
    }
    let (Some(resolved), Some(offer)) = (&seen.resolved, &seen.offer) else {
        return Ok(Outcome::Done);
    };
    let settings = &context.settings;
    let program = ProfilerProgram::from(settings.profiler_program);
    let image = match (program, &resolved.image) {
        (ProfilerProgram::Upstream, Some(image)) => image,
        (ProfilerProgram::Upstream, None) => {
            return Ok(Outcome::Rejected(
                "spec.image is required, since this operator runs upstream's profiler (--profiler-program=upstream)"
                    .to_owned(),
            ));
        }
        (ProfilerProgram::Native, _) => &settings.profiler_image,
    };
    let environment: BTreeMap<String, String> = settings.profiler_env.iter().cloned().collect();
    let input = JobInput {
        owner: seen.owner(),
        config: &with_hardware(&seen.request.spec, offer).to_string(),
        program,
        dgd_version: dgd_version(context),
        image,
        collector_image: &settings.operator_image,
        model_cache: resolved.model_cache.as_ref(),
        environment: &environment,
        deadline: settings.profiling_deadline,
        overrides: resolved.overrides.profiling_job.as_ref(),
        effects: &runtime_effects(seen.request.metadata.annotations.iter().flatten()),
    };
    let rendered = match profiling_job(&input) {
        Ok(rendered) => rendered,
        Err(error) => return Ok(Outcome::Rejected(error.to_string())),
    };
    if let Scope::Cluster = context.scope {
        allow_profiling(context, seen).await?;
    }
    let outcome = settled(
        apply(&jobs, &seen.job_name, &rendered.job).await,
        "create the profiling Job",
    )?;
    if outcome == Outcome::Done && !rendered.ignored.is_empty() {
        let ignored = rendered.ignored.join(", ");
        return Ok(warning(
            "OverridesIgnored",
            format!("these parts of spec.overrides.profilingJob have no effect: {ignored}"),
        ));
    }
    Ok(outcome)
}

/// The version that deployments are written in: the cluster's, or the newest while it serves none yet.
pub(super) fn dgd_version(context: &Context) -> DgdVersion {
    context
        .stores
        .graphs()
        .map_or_else(DgdVersion::default, |graphs| graphs.version)
}

/// Simulates here, and leaves what a Job would.
async fn profile_inline(context: &Context, seen: &Seen) -> Result<Outcome, LookError> {
    let Some(offer) = &seen.offer else {
        return Ok(Outcome::Done);
    };
    let config = with_hardware(&seen.request.spec, offer).to_string();
    let namespace = seen.request.namespace();
    let version = dgd_version(context);
    let entries = context
        .profiler
        .profile(&config, &seen.name, namespace, version)
        .await;
    let maps: Api<ConfigMap> = namespaced(context, seen);
    let name = output_config_map_name(&seen.name);
    let written = apply(&maps, &name, &collection::config_map(seen.owner(), entries)).await;
    settled(written, "write the results")
}

/// The service account of profiling Jobs in the request's namespace, bound to what they may do.
async fn allow_profiling(context: &Context, seen: &Seen) -> Result<(), LookError> {
    let what = "set up the service account of profiling Jobs";
    let namespace = seen.request.namespace();
    let metadata = |name: &str| ObjectMeta {
        name: Some(name.to_owned()),
        namespace: Some(namespace.to_owned()),
        labels: Some(
            [
                ("app.kubernetes.io/managed-by", label::MANAGED_BY_OPERATOR),
                ("app.kubernetes.io/component", "rbac"),
                ("app.kubernetes.io/name", name),
            ]
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .into(),
        ),
        ..ObjectMeta::default()
    };
    let account = ServiceAccount {
        metadata: metadata(PROFILING_SERVICE_ACCOUNT),
        ..ServiceAccount::default()
    };
    let accounts: Api<ServiceAccount> = namespaced(context, seen);
    apply(&accounts, PROFILING_SERVICE_ACCOUNT, &account)
        .await
        .map_err(failed(what))?;
    let name = format!("{PROFILING_SERVICE_ACCOUNT}-binding");
    let binding = RoleBinding {
        metadata: metadata(&name),
        role_ref: RoleRef {
            api_group: "rbac.authorization.k8s.io".to_owned(),
            kind: "ClusterRole".to_owned(),
            name: context.settings.profiling_cluster_role.clone(),
        },
        subjects: Some(vec![Subject {
            kind: "ServiceAccount".to_owned(),
            name: PROFILING_SERVICE_ACCOUNT.to_owned(),
            namespace: Some(namespace.to_owned()),
            api_group: None,
        }]),
    };
    let bindings: Api<RoleBinding> = namespaced(context, seen);
    match apply(&bindings, &name, &binding).await {
        // A binding cannot be turned to another role.
        Err(kube::Error::Api(status)) if status.code == 422 => {
            absent_is_fine(bindings.delete(&name, &DeleteParams::default()).await, what)?;
            apply(&bindings, &name, &binding).await.map_err(failed(what))?;
        }
        Err(source) => return Err(failed(what)(source)),
        Ok(_) => {}
    }
    Ok(())
}

/// The ConfigMaps beside the deployment; the request owns them until the deployment does.
async fn apply_config_maps(context: &Context, seen: &Seen) -> Result<Outcome, LookError> {
    let maps: Api<ConfigMap> = namespaced(context, seen);
    let what = "read the profiler's output";
    let output = maps
        .get_opt(&output_config_map_name(&seen.name))
        .await
        .map_err(failed(what))?;
    // Deleted by somebody after it was used: what it held has been applied.
    let Some(text) = output.and_then(|map| map.data?.remove(file::DEPLOYMENT)) else {
        return Ok(Outcome::Done);
    };
    let Ok(generated) = generated::read(&text, &seen.deployment_name, DgdVersion::default()) else {
        return Ok(Outcome::Done);
    };
    for mut map in generated.config_maps {
        let Some(name) = map.metadata.name.clone() else {
            continue;
        };
        let known = maps.get_metadata_opt(&name).await;
        let known = known.map_err(failed("read a ConfigMap of the deployment"))?;
        if let Some(owner) = known.as_ref().and_then(|known| foreign(&known.metadata, seen)) {
            return Ok(warning(
                "ConfigMapCreationFailed",
                format!(
                    "Failed to create ConfigMaps from profiling output: ConfigMap {name} exists and belongs to {owner}"
                ),
            ));
        }
        let ours = seen.owner().metadata(name.clone());
        map.metadata.namespace = ours.namespace;
        map.metadata
            .labels
            .get_or_insert_default()
            .extend(ours.labels.unwrap_or_default());
        map.metadata
            .annotations
            .get_or_insert_default()
            .extend(ours.annotations.unwrap_or_default());
        let adopted = known.and_then(|known| {
            let owners = known.metadata.owner_references?;
            owners
                .into_iter()
                .find(|owner| owner.kind == dgdr_types::dgd::KIND)
        });
        // What the deployment owns stays its own.
        map.metadata.owner_references = adopted.map_or(ours.owner_references, |owner| Some(vec![owner]));
        let outcome = settled(
            apply(&maps, &name, &map).await,
            "apply a ConfigMap of the deployment",
        )?;
        if let Outcome::Rejected(message) | Outcome::Forbidden(message) = outcome {
            return Ok(warning(
                "ConfigMapCreationFailed",
                format!("Failed to create ConfigMaps from profiling output: {message}"),
            ));
        }
    }
    Ok(Outcome::Done)
}

/// Who else an object belongs to.
fn foreign(metadata: &ObjectMeta, seen: &Seen) -> Option<String> {
    let labels = metadata.labels.as_ref();
    let of = |key: &str| labels.and_then(|labels| labels.get(key)).map(String::as_str);
    match of(label::DGDR_NAME) {
        Some(name) if name == seen.name.as_str() => None,
        Some(name) => Some(format!("DynamoGraphDeploymentRequest {name}")),
        None => Some("somebody else".to_owned()),
    }
}

async fn apply_deployment(context: &Context, seen: &Seen) -> Result<Outcome, LookError> {
    let graphs = context.stores.graphs().ok_or(LookError::NoDeploymentKind)?;
    let namespace = seen.request.namespace();
    let name = &seen.deployment_name;
    let api: Api<DynamicObject> = Api::namespaced_with(context.client.clone(), namespace, &graphs.resource);
    let known = api
        .get_metadata_opt(name)
        .await
        .map_err(failed("read the deployment"))?;
    if let Some(known) = known {
        let asker = Asker {
            name: seen.name.as_str(),
            namespace,
            uid: seen.request.uid(),
        };
        match graph::ownership(&known.metadata, asker) {
            Ownership::Ours => return Ok(Outcome::Done),
            Ownership::Earlier => {}
            Ownership::Unclaimed => return Ok(Outcome::Taken("nobody".to_owned())),
            Ownership::Another(owner) => return Ok(Outcome::Taken(owner)),
        }
    }
    let mut manifest = selected(&context.client, seen)
        .await?
        .ok_or(LookError::NoManifest)?;
    if let Some(version) = seen
        .request
        .spec
        .get("runtimeVersionOverride")
        .and_then(Value::as_str)
    {
        generated::fill_runtime_version(&mut manifest, version);
    }
    let mut document = Value::Object(manifest);
    let owner = seen.owner().metadata(name.clone());
    let fields = [
        ("labels", json!(owner.labels)),
        ("annotations", json!({annotation::UID: seen.request.uid()})),
    ];
    for (field, ours) in fields {
        let Value::Object(ours) = ours else { continue };
        let theirs = &mut document["metadata"][field];
        if theirs.is_null() {
            *theirs = json!({});
        }
        if let Value::Object(theirs) = theirs {
            theirs.extend(ours);
        }
    }
    document["metadata"]["namespace"] = namespace.into();
    let answer = match apply(&api, name, &document).await {
        Err(error) if is_lack_of_role(&error) => return Err(failed("create the deployment")(error)),
        answer => answer,
    };
    if let Ok(stored) = &answer
        && !graph::has_components(&stored.data, graphs.version)
    {
        return Ok(Outcome::Rejected(format!(
            "the cluster stored DynamoGraphDeployment {name} without its components: its CRD stores another version than \
             {} and has no conversion webhook; install the CRDs with their operator, or let the CRD store what it serves",
            graphs.version
        )));
    }
    match settled(answer, "create the deployment")? {
        // Its own webhook's and the API server's refusals are all for good, as upstream has it.
        Outcome::Forbidden(message) => Ok(Outcome::Rejected(message)),
        Outcome::Done => Ok(Outcome::Told(Event {
            kind: EventKind::Normal,
            reason: "DeploymentCreated",
            message: format!("DynamoGraphDeployment {name} created successfully"),
        })),
        outcome @ (Outcome::Told(_) | Outcome::Rejected(_) | Outcome::Taken(_)) => Ok(outcome),
    }
}

/// The generated deployment, which the stores leave out.
pub(super) async fn selected(
    client: &Client,
    seen: &Seen,
) -> Result<Option<dgdr_types::spec::Open>, LookError> {
    let requests: Api<Request> = Api::namespaced(client.clone(), seen.request.namespace());
    let request = requests.get_opt(seen.request.name()).await;
    let request = request.map_err(failed("read the request"))?;
    Ok(request.and_then(|request| {
        let selected = request.status.pointer("/profilingResults/selectedConfig")?;
        selected.as_object().cloned()
    }))
}

/// Lets the deployment own its ConfigMaps, and the request the deployment where its user asked for that.
async fn adopt(context: &Context, seen: &Seen) -> Result<Outcome, LookError> {
    let SeenDeployment::Present { uid, .. } = &seen.deployment else {
        return Ok(Outcome::Done);
    };
    let graphs = context.stores.graphs().ok_or(LookError::NoDeploymentKind)?;
    let owner = OwnerReference {
        api_version: graphs.resource.api_version.clone(),
        kind: graphs.resource.kind.clone(),
        name: seen.deployment_name.clone(),
        uid: uid.clone(),
        controller: Some(true),
        block_owner_deletion: None,
    };
    let output = output_config_map_name(&seen.name);
    let orphans = context.stores.config_maps.state_filter(|map| {
        let labels = map.metadata.labels.as_ref();
        let of = |key: &str| labels.and_then(|labels| labels.get(key)).map(String::as_str);
        map.metadata.namespace.as_deref() == Some(seen.request.namespace())
            && of(label::DGDR_NAME) == Some(seen.name.as_str())
            && map.metadata.name.as_deref() != Some(&output)
            && map.metadata.owner_references.as_ref() != Some(&vec![owner.clone()])
    });
    let maps: Api<ConfigMap> = namespaced(context, seen);
    for map in orphans {
        let Some(name) = map.metadata.name.as_deref() else {
            continue;
        };
        give(&maps, name, &map.metadata, std::slice::from_ref(&owner)).await?;
    }
    settle_fate(context, seen, &graphs).await
}

/// Writes the owners of an object, on the version of it that was seen.
async fn give<K>(
    api: &Api<K>,
    name: &str,
    seen: &ObjectMeta,
    owners: &[OwnerReference],
) -> Result<(), LookError>
where
    K: Clone + DeserializeOwned + std::fmt::Debug,
{
    let patch = json!({"metadata": {"resourceVersion": seen.resource_version, "ownerReferences": owners}});
    let answer = api.patch(name, &merged(), &Patch::Merge(patch)).await;
    absent_is_fine(answer, "let an object go with its owner")?;
    Ok(())
}

/// A deployment outlives its request, unless an annotation asks otherwise: then the request owns it.
async fn settle_fate(
    context: &Context,
    seen: &Seen,
    graphs: &super::stores::Graphs,
) -> Result<Outcome, LookError> {
    let namespace = seen.request.namespace();
    let Some(graph) = graphs.get(namespace, &seen.deployment_name) else {
        return Ok(Outcome::Done);
    };
    let annotations = seen.request.metadata.annotations.as_ref();
    let asked = annotations.and_then(|annotations| annotations.get(annotation::DEPLOYMENT_ON_DELETE));
    let goes_along = asked.is_some_and(|asked| asked == "delete");
    let mut owners = graph.metadata.owner_references.clone().unwrap_or_default();
    let is_owned = owners.iter().any(|owner| owner.uid == seen.request.uid());
    if goes_along == is_owned {
        return Ok(Outcome::Done);
    }
    if goes_along {
        owners.push(OwnerReference {
            controller: None,
            block_owner_deletion: None,
            ..seen.owner().reference()
        });
    } else {
        owners.retain(|owner| owner.uid != seen.request.uid());
    }
    let api: Api<DynamicObject> = Api::namespaced_with(context.client.clone(), namespace, &graphs.resource);
    give(&api, &seen.deployment_name, &graph.metadata, &owners).await?;
    Ok(Outcome::Done)
}
