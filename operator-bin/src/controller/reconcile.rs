//! One look at one request: observe, decide, act, and one write of its status.

use std::sync::Arc;
use std::time::{Duration, Instant};

use dgdr_types::DgdrError;
use dgdr_types::contract::FINALIZER;
use dgdr_types::names::{DgdrName, output_config_map_name};
use dgdr_types::spec::{Choice as _, DgdrStatus, Phase};
use dgdr_types::v1alpha1::{RuntimeEffects, runtime_effects};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::Api;
use kube::api::Patch;
use kube::runtime::controller::Action as Next;
use kube::runtime::events::{Event as Told, EventType};
use serde_json::{Value, json};
use tracing::{debug, info, warn};

use super::act::{self, Outcome, merged};
use super::context::Context;
use super::error::{LONGEST_LOOK, LookError, failed};
use super::hardware::{self, Sources};
use super::observe::{Seen, SeenDeployment, SeenJob, SeenOutput, ended, seconds};
use super::request::Request;
use crate::decision::{self, Action, Decision, Event, EventKind, Timestamp};
use crate::discovery::PRODUCT_LABEL;
use crate::generated;
use crate::graph;
use crate::metrics::Search;
use crate::settings::{DiscoverySource, RapidMode};
use crate::status_patch::status_patch;

/// Wait after somebody else wrote first.
const CONFLICT: Duration = Duration::from_millis(50);

/// Wait after the API server did not allow something: nothing tells when a quota has room again.
const FORBIDDEN: Duration = Duration::from_secs(10);
/// Looks at a request once.
///
/// # Errors
/// [`LookError`] for what may work later.
pub(super) async fn reconcile(watched: Arc<Request>, context: Arc<Context>) -> Result<Next, LookError> {
    let started = Instant::now();
    let request = context.latest.newer(watched);
    let (namespace, name) = (request.namespace().to_owned(), request.name().to_owned());
    context.backlog.remove(&namespace, &name);
    let looked = tokio::time::timeout(LONGEST_LOOK, settle(&context, request)).await;
    let result = looked.unwrap_or(Err(LookError::TooSlow));
    context
        .metrics
        .reconciled(started.elapsed(), result.as_ref().err().map(LookError::cause));
    if result.is_ok() {
        context.failures.succeeded(&namespace, &name);
    }
    result
}

/// What to do after an error.
pub(super) fn again(request: &Request, error: &LookError, context: &Context) -> Next {
    let wait = context.failures.failed(request.namespace(), request.name());
    warn!(
        namespace = request.namespace(), name = request.name(), %error, wait_ms = wait.as_millis(),
        "a request is tried again"
    );
    Next::requeue(wait)
}

async fn settle(context: &Context, request: Arc<Request>) -> Result<Next, LookError> {
    if request.is_going() {
        context.latest.forget(request.namespace(), request.name());
        release(context, &request).await?;
        return Ok(Next::await_change());
    }
    if request.is_envelope() {
        return Ok(Next::await_change());
    }
    let Some(mut seen) = look(&request) else {
        return write_invalid(context, &request).await;
    };
    observe(context, &mut seen).await?;
    let (mut decision, told) = carry_out(context, &mut seen).await?;
    let mut written = write(context, &seen, &decision.status).await;
    if let Err(error) = &written
        && let Some(message) = error.refusal()
        && let SeenOutput::Succeeded(_) = seen.output
    {
        // Larger than an object may be, most likely: what cannot be kept cannot be deployed.
        seen.output = SeenOutput::Unusable(format!("the result does not fit into the status: {message}"));
        decision = decision::decide(&seen.observation(&context.stores, context.settings.deadlines()));
        written = write(context, &seen, &decision.status).await;
    }
    if !written? {
        return Ok(Next::requeue(CONFLICT));
    }
    for event in decision.events.iter().chain(&told) {
        tell(context, &seen.request, event).await;
    }
    count(context, &seen, &decision);
    Ok(decision.wake_after.map_or_else(Next::await_change, Next::requeue))
}

/// Counts a search that just ended.
fn count(context: &Context, seen: &Seen, decision: &Decision) {
    let searched = [Phase::Pending, Phase::Profiling];
    let ended = match decision.status.phase {
        Some(Phase::Ready | Phase::Deploying) => "succeeded",
        Some(Phase::Failed) => "failed",
        Some(Phase::Pending | Phase::Profiling | Phase::Deployed) | None => return,
    };
    let Some(resolved) = seen
        .resolved
        .as_ref()
        .filter(|_| searched.contains(&seen.phase()))
    else {
        return;
    };
    let search = Search {
        strategy: resolved.search_strategy.name(),
        outcome: ended,
    };
    context
        .metrics
        .searched(&search, seen.profiled_for(&context.stores));
}

/// The request with its name and status checked; none where either cannot be.
fn look(request: &Arc<Request>) -> Option<Seen> {
    let (name, fault) = match DgdrName::new(request.name()) {
        Ok(name) => (name, None),
        // Under a name that can be: only its fault is told.
        Err(error) => (
            DgdrName::new("invalid").ok()?,
            Some(format!("metadata.name: {error}")),
        ),
    };
    let mut seen = Seen::of(Arc::clone(request), name).ok()?;
    seen.faults = fault;
    Some(seen)
}

/// Everything that the decision of this phase rests on.
async fn observe(context: &Context, seen: &mut Seen) -> Result<(), LookError> {
    if seen.faults.is_some() {
        return Ok(());
    }
    match seen.phase() {
        Phase::Pending | Phase::Profiling => {
            read_spec(seen);
            seen.look_at_job(&context.stores, can_inline(context, seen));
            // A search that is under way has its hardware: looking for it anew would cost all nodes and pods a message.
            let begins = matches!(seen.job, SeenJob::Absent | SeenJob::Inline);
            if seen.phase() == Phase::Pending || begins {
                examine(context, seen).await;
            }
            if seen.look_at_output(&context.stores) {
                read_output(context, seen).await?;
            }
        }
        Phase::Ready | Phase::Deploying | Phase::Deployed => look_at_deployment(context, seen).await?,
        Phase::Failed => {}
    }
    Ok(())
}

/// Whether the operator simulates this request by itself.
fn can_inline(context: &Context, seen: &Seen) -> bool {
    let can = |resolved| match context.profiler.can(resolved) {
        Ok(()) => true,
        Err(why) => {
            debug!(
                namespace = seen.request.namespace(),
                name = seen.request.name(),
                %why,
                "a request needs a Job"
            );
            false
        }
    };
    // What v1alpha1 asked for beyond its spec lies in volumes.
    let RuntimeEffects {
        output_pvc,
        config_map_ref,
    } = runtime_effects(seen.request.metadata.annotations.iter().flatten());
    context.settings.rapid == RapidMode::Inline
        && output_pvc.is_none()
        && config_map_ref.is_none()
        && seen.resolved.as_ref().is_some_and(can)
}

/// The spec, or its faults.
fn read_spec(seen: &mut Seen) {
    match seen.request.resolved() {
        Ok(resolved) => seen.resolved = Some(resolved),
        Err(error) => seen.faults = Some(faults(&error)),
    }
}

/// What the cluster has for a spec.
async fn examine(context: &Context, seen: &mut Seen) {
    let Some(resolved) = &seen.resolved else { return };
    if let Some(cache) = &resolved.model_cache {
        let namespace = seen.request.namespace();
        let key = kube::runtime::reflector::ObjectRef::new(&cache.pvc_name).within(namespace);
        if context.stores.claims.get(&key).is_none() {
            seen.missing = Some(format!(
                "model cache PVC {} not found in namespace {namespace}",
                cache.pvc_name
            ));
        }
    }
    let settings = &context.settings;
    let ask_exporters = settings.gpu_discovery == DiscoverySource::Dcgm
        || (settings.gpu_discovery == DiscoverySource::Auto && !has_labelled_nodes(context));
    let scraped = if ask_exporters && !resolved.hardware.is_complete() {
        Some(context.exporters.ask(&context.stores.pods.state()).await)
    } else {
        None
    };
    let sources = Sources {
        stores: &context.stores,
        scraped: scraped.as_ref().map(|scraped| scraped.as_slice()),
        allowed: settings.gpu_discovery,
        cap: settings.gpu_cap(),
    };
    match hardware::offer(&seen.request, resolved, sources) {
        Ok(offer) => seen.offer = Some(offer),
        Err(problem) => {
            let all = seen.missing.take().into_iter().chain([problem]);
            seen.missing = Some(all.collect::<Vec<_>>().join("\n"));
        }
    }
}

fn has_labelled_nodes(context: &Context) -> bool {
    let labelled = |node: &k8s_openapi::api::core::v1::Node| {
        let labels = node.metadata.labels.as_ref();
        labels.is_some_and(|labels| labels.contains_key(PRODUCT_LABEL))
    };
    let nodes = context.stores.nodes.as_ref();
    nodes.is_some_and(|nodes| nodes.find(labelled).is_some())
}

/// All faults, one a line.
fn faults(error: &DgdrError) -> String {
    let DgdrError::Invalid(findings) = error else {
        return error.to_string();
    };
    let lines: Vec<String> = findings.as_slice().iter().map(ToString::to_string).collect();
    lines.join("\n")
}

/// The profiler's result, straight from the API server: the stores leave it out, and may be behind.
async fn read_output(context: &Context, seen: &mut Seen) -> Result<(), LookError> {
    let maps: Api<ConfigMap> = Api::namespaced(context.client.clone(), seen.request.namespace());
    let found = maps.get_opt(&output_config_map_name(&seen.name)).await;
    let found = found.map_err(failed("read the profiler's output"))?;
    let Some(map) = found.filter(|map| seen.is_current(map, &context.stores)) else {
        return Ok(());
    };
    seen.output = match ended(&map) {
        Err(said) => said,
        Ok(text) => {
            let name = seen.request.deployment_name(&seen.name);
            let version = act::dgd_version(context);
            match generated::read(&text, &name, version) {
                Ok(generated) => SeenOutput::Succeeded(generated.manifest),
                Err(error) => SeenOutput::Unusable(error.to_string()),
            }
        }
    };
    Ok(())
}

async fn look_at_deployment(context: &Context, seen: &mut Seen) -> Result<(), LookError> {
    seen.look_at_deployment(&context.stores, false);
    let is_unclaimed = seen.deployment == SeenDeployment::Unclaimed;
    let is_missing = seen.deployment == SeenDeployment::Absent && seen.phase() != Phase::Ready;
    if !is_unclaimed && !is_missing {
        return Ok(());
    }
    // What is missed is looked for where it cannot be out of date, before anybody is told that it is gone.
    let Some(graphs) = context.stores.graphs() else {
        return match seen.phase() {
            // A cluster that serves no deployments for a while has not lost them.
            Phase::Deploying | Phase::Deployed => Err(LookError::NoDeploymentKind),
            Phase::Pending | Phase::Profiling | Phase::Ready | Phase::Failed => Ok(()),
        };
    };
    let api: Api<kube::api::DynamicObject> =
        Api::namespaced_with(context.client.clone(), seen.request.namespace(), &graphs.resource);
    let found = api.get_opt(&seen.deployment_name).await;
    let Some(found) = found.map_err(failed("read the deployment"))? else {
        return Ok(());
    };
    let wanted = act::selected(&context.client, seen).await?;
    let wanted = wanted
        .and_then(|manifest| manifest.get("spec").cloned())
        .unwrap_or(Value::Null);
    let is_as_generated = found
        .data
        .get("spec")
        .is_some_and(|spec| graph::holds(spec, &wanted));
    if is_unclaimed && is_as_generated {
        seen.look_at_deployment(&context.stores, true);
    }
    if is_missing {
        seen.deployment = seen.judge(&found.metadata, found.data.get("status"), is_as_generated);
    }
    Ok(())
}

/// Decides and acts; where the API server refuses for good, that is decided upon in turn.
async fn carry_out(context: &Context, seen: &mut Seen) -> Result<(Decision, Vec<Event>), LookError> {
    let mut decision = decision::decide(&seen.observation(&context.stores, context.settings.deadlines()));
    let mut told = Vec::new();
    let mut is_forbidden = false;
    for action in decision.actions.clone() {
        match act::act(context, seen, &action).await? {
            Outcome::Done => continue,
            Outcome::Told(event) => {
                told.push(event);
                continue;
            }
            Outcome::Rejected(message) => refused(seen, &action, message),
            Outcome::Forbidden(message) => {
                is_forbidden = true;
                seen.missing = Some(format!(
                    "the API server does not allow it: {message}; grant the operator the role that it comes with, or raise \
                     the quota"
                ));
            }
            Outcome::Taken(owner) => seen.deployment = SeenDeployment::Foreign(owner),
        }
        decision = decision::decide(&seen.observation(&context.stores, context.settings.deadlines()));
        break;
    }
    if is_forbidden {
        decision.wake_after = Some(decision.wake_after.map_or(FORBIDDEN, |wait| wait.min(FORBIDDEN)));
    }
    Ok((decision, told))
}

fn refused(seen: &mut Seen, action: &Action, message: String) {
    match action {
        Action::ApplyDeployment => seen.deployment = SeenDeployment::Rejected(message),
        Action::ProfileInline => seen.output = SeenOutput::Unusable(message),
        Action::CreateJob
        | Action::DeleteJob
        | Action::DeleteStaleOutput
        | Action::ApplyConfigMaps
        | Action::AdoptConfigMaps => seen.job = SeenJob::Rejected(message),
    }
}

/// Writes what changed; false where somebody else wrote first.
async fn write(context: &Context, seen: &Seen, status: &DgdrStatus) -> Result<bool, LookError> {
    let version = seen.request.metadata.resource_version.clone().unwrap_or_default();
    let Some(patch) = status_patch(&seen.status, status, &version) else {
        return Ok(true);
    };
    let phase = status.phase.unwrap_or(Phase::Pending);
    let written = write_patch(context, &seen.request, &patch).await?;
    if written && seen.status.phase != status.phase {
        info!(
            namespace = seen.request.namespace(),
            name = seen.request.name(),
            uid = seen.request.uid(),
            phase = phase.name(),
            "a request changed its phase"
        );
    }
    Ok(written)
}

async fn write_patch(context: &Context, request: &Request, patch: &Value) -> Result<bool, LookError> {
    let api: Api<Request> = Api::namespaced(context.client.clone(), request.namespace());
    match api
        .patch_status(request.name(), &merged(), &Patch::Merge(patch))
        .await
    {
        Ok(answer) => {
            context.latest.wrote(answer);
            Ok(true)
        }
        Err(kube::Error::Api(status)) if matches!(status.code, 404 | 409) => Ok(false),
        Err(source) => Err(failed("write the status")(source)),
    }
}

/// A status that nobody can read, written by something else: as upstream, it has failed.
async fn write_invalid(context: &Context, request: &Request) -> Result<Next, LookError> {
    let failed = decision::unreadable(request.generation(), Timestamp(&seconds(jiff::Timestamp::now())));
    let version = request.metadata.resource_version.clone().unwrap_or_default();
    if let Some(patch) = status_patch(&DgdrStatus::default(), &failed, &version)
        && !write_patch(context, request, &patch).await?
    {
        return Ok(Next::requeue(CONFLICT));
    }
    Ok(Next::await_change())
}

async fn tell(context: &Context, request: &Request, event: &Event) {
    let told = Told {
        type_: match event.kind {
            EventKind::Normal => EventType::Normal,
            EventKind::Warning => EventType::Warning,
        },
        reason: event.reason.to_owned(),
        // What the API server takes for a note.
        note: Some(event.message.chars().take(1000).collect()),
        action: action(event.reason).to_owned(),
        secondary: None,
    };
    if let Err(error) = context.recorder.publish(&told, &request.reference()).await {
        warn!(namespace = request.namespace(), name = request.name(), %error, "an event could not be written");
    }
}

/// Upstream's word for what was being done.
fn action(reason: &str) -> &'static str {
    match reason {
        "ValidationFailed" | "SpecChangeRejected" | "Initialized" => "Validate",
        "ProfilingJobCreated" | "DeploymentCreated" | "SpecGenerated" => "Create",
        "DeploymentDeleted" => "Delete",
        "ProfilingCheckFailed" | "ImagePullFailed" => "Get",
        _ => "Update",
    }
}

/// Lets go of a request that upstream's operator held: everything of it goes by its owners.
async fn release(context: &Context, request: &Request) -> Result<(), LookError> {
    let held = request.metadata.finalizers.iter().flatten();
    let others: Vec<&String> = held.filter(|held| *held != FINALIZER).collect();
    if others.len() == request.metadata.finalizers.as_ref().map_or(0, Vec::len) {
        return Ok(());
    }
    let api: Api<Request> = Api::namespaced(context.client.clone(), request.namespace());
    let patch = json!({"metadata": {
        "resourceVersion": request.metadata.resource_version, "finalizers": others,
    }});
    match api.patch(request.name(), &merged(), &Patch::Merge(patch)).await {
        Ok(_) => Ok(()),
        Err(kube::Error::Api(status)) if status.code == 404 => Ok(()),
        Err(source) => Err(failed("release a request that is being deleted")(source)),
    }
}
