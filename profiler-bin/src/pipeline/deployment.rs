//! From the pick to what is rendered: the memory model that ranked it also sets its flags.

mod location;
mod placement;
mod profiles;

use std::collections::BTreeMap;

use dgdr_perf_model::{Backend, ParallelMapping};
use dgdr_sweep_planner::{Configuration, Layout, Performance};
use dgdr_types::names::{MAX_DGD_NAME, dgd_name, shorten};
use dgdr_types::{ImageReference, PlannerSettings, ResolvedRequest, Sla};
use dgdr_units::Milliseconds;

use super::curves::Curves;
use super::limits::{Half, Limits};
use super::question::Question;
use super::study::Study;
use crate::error::ProfilerError;
use crate::probe::Probe;
use dgdr_render::{
    DEFAULT_IMAGE, DeploymentPlan, LatencyTargets, MockerPlan, PlanLayout, PlannerInput, PlannerPlan,
    RouterMode, TokenExchange, TrustRemoteCode, WorkerPlan, mocker_image, planner_image, planner_settings,
    worker_image,
};
use location::location;
use placement::placement;
use profiles::{config_map_names, profile};

/// A plan, and what its user should know.
#[derive(Debug)]
pub struct Planned {
    /// The plan.
    pub plan: DeploymentPlan,
    /// What its user should know.
    pub warnings: Vec<String>,
}

/// What a plan is made from.
#[derive(Debug, Clone, Copy)]
pub struct DeploymentInput<'a> {
    /// The request.
    pub request: &'a ResolvedRequest,
    /// The question.
    pub question: &'a Question,
    /// The study that won.
    pub study: &'a Study,
    /// What was picked.
    pub pick: &'a Configuration,
    /// What its engines are started for.
    pub limits: &'a Limits,
    /// Curves around the pick.
    pub curves: &'a Curves,
    /// The same by file name, in the form that a planner reads.
    pub curve_files: &'a BTreeMap<&'static str, String>,
}

/// The deployment of a pick.
///
/// # Errors
/// [`ProfilerError::KvCapacity`] when an engine has no room for keys and values, [`ProfilerError::Format`] when the
/// curves make no table.
pub async fn plan(input: DeploymentInput<'_>, probe: &mut impl Probe) -> Result<Planned, ProfilerError> {
    let DeploymentInput {
        request,
        question,
        study,
        pick: _,
        limits: _,
        curves: _,
        curve_files: _,
    } = input;
    let mut warnings = Vec::new();
    let given = if let Some(image) = &request.image {
        image.clone()
    } else {
        warnings.push(format!(
            "spec.image is not given: siblings of {DEFAULT_IMAGE} are used"
        ));
        default_image()?
    };
    let image = if request.features.mocker {
        mocker_image(&given)
    } else {
        worker_image(&given, study.backend)
    };
    warnings.extend(image.warnings);
    let placement = placement(request);
    warnings.extend(placement.warnings);
    let layout = layout(&input, probe).await?;
    let mut plan = DeploymentPlan {
        name: name(request, study),
        namespace: None,
        labels: BTreeMap::new(),
        model: location(request),
        backend: study.backend,
        image: image.image,
        mocker: None,
        layout,
        gpus_per_node: question.hardware.gpus_per_node,
        router: if request.features.kv_router {
            RouterMode::KvAware
        } else {
            RouterMode::RoundRobin
        },
        trust: if request.overrides.trust_remote_code {
            TrustRemoteCode::Yes
        } else {
            TrustRemoteCode::No
        },
        runtime_version_override: request
            .runtime_version_override
            .map(|version| version.to_string()),
        tolerations: placement.tolerations,
        image_pull_secrets: placement.image_pull_secrets,
        planner: None,
    };
    if request.features.mocker {
        if request.overrides.trust_remote_code {
            warnings.push(
                "spec.overrides.trustRemoteCode: simulated engines load no weights and run no code of the checkpoint"
                    .to_owned(),
            );
        }
        plan.mocker = Some(MockerPlan {
            profile: profile(&input, &plan)?,
        });
    }
    if let Some(wishes) = &request.features.planner {
        let (planner, notes) = planner(&input, wishes, &plan, &given)?;
        plan.planner = Some(planner);
        warnings.extend(notes);
    }
    Ok(Planned { plan, warnings })
}

/// The workers of a pick, with what their engines are started for.
async fn layout(input: &DeploymentInput<'_>, probe: &mut impl Probe) -> Result<PlanLayout, ProfilerError> {
    let copies = input.pick.replicas;
    Ok(match &input.pick.layout {
        Layout::Aggregated { mapping, .. } => PlanLayout::Aggregated {
            worker: worker(
                input,
                WorkerInput {
                    mapping: *mapping,
                    replicas: copies,
                    half: Half::Decode,
                },
                probe,
            )
            .await?,
        },
        Layout::Disaggregated { prefill, decode } => {
            let prefill = WorkerInput {
                mapping: prefill.mapping,
                replicas: prefill.workers * copies,
                half: Half::Prefill,
            };
            let decode = WorkerInput {
                mapping: decode.mapping,
                replicas: decode.workers * copies,
                half: Half::Decode,
            };
            PlanLayout::Disaggregated {
                prefill: worker(input, prefill, probe).await?,
                decode: worker(input, decode, probe).await?,
            }
        }
    })
}

/// What scales the workers, and what its user should know.
///
/// # Errors
/// As [`profile`].
fn planner(
    input: &DeploymentInput<'_>,
    wishes: &PlannerSettings,
    plan: &DeploymentPlan,
    given: &ImageReference,
) -> Result<(PlannerPlan, Vec<String>), ProfilerError> {
    let mut warnings = Vec::new();
    let config = planner_settings(PlannerInput {
        wishes,
        served_name: &plan.model.served_name,
        backend: plan.backend,
        layout: &plan.layout,
        budget: input.question.hardware.total_gpus,
        targets: targets(input.request, &input.pick.performance, &mut warnings)?,
    });
    let image = planner_image(given);
    warnings.extend(config.warnings);
    warnings.extend(image.warnings);
    let planner = PlannerPlan {
        image: image.image,
        settings: config.settings,
        config_map: config_map_names(input.request, plan).planner,
        profile: Some(profile(input, plan)?),
    };
    Ok((planner, warnings))
}

/// Targets that the user set: defaults of the request are no wish, and the planner has its own.
///
/// A planner knows no target for a whole request, so it is divided as the pick divides its time: both parts together
/// are the target.
///
/// # Errors
/// [`ProfilerError::Unit`] when a part is no latency.
fn targets(
    request: &ResolvedRequest,
    pick: &Performance,
    warnings: &mut Vec<String>,
) -> Result<Option<LatencyTargets>, ProfilerError> {
    if request.is_assumed("spec.sla.ttft") && request.is_assumed("spec.sla.itl") {
        return Ok(None);
    }
    Ok(Some(match request.sla {
        Sla::TokenLatency { ttft, itl } => LatencyTargets { ttft, itl },
        Sla::RequestLatency(whole) => {
            let share = whole.get() / pick.request_latency.get();
            let part = |latency: Milliseconds| Milliseconds::new(latency.get() * share);
            let parts = LatencyTargets {
                ttft: part(pick.ttft)?,
                itl: part(pick.itl)?,
            };
            warnings.push(format!(
                "spec.sla.e2eLatency: the planner knows only latencies of tokens, so {whole} are divided as in the pick: \
                 TTFT {}, ITL {}",
                parts.ttft, parts.itl
            ));
            parts
        }
    }))
}

fn default_image() -> Result<ImageReference, ProfilerError> {
    DEFAULT_IMAGE
        .parse()
        .map_err(|error: dgdr_types::ImageError| ProfilerError::Encode {
            what: "the default image",
            problem: error.to_string(),
        })
}

/// The user's own name; else that by which the operator calls it; else one after what it serves.
fn name(request: &ResolvedRequest, study: &Study) -> String {
    match (request.overrides.dgd_name(), &request.name) {
        (Some(given), _) => given.to_owned(),
        (None, Some(name)) => dgd_name(name),
        (None, None) => name_of_model(&request.model, study.backend),
    }
}

fn name_of_model(model: &str, backend: Backend) -> String {
    let short = model.trim_end_matches('/').rsplit('/').next().unwrap_or(model);
    let mut label: String = short
        .chars()
        .map(|letter| {
            if letter.is_ascii_alphanumeric() {
                letter.to_ascii_lowercase()
            } else {
                '-'
            }
        })
        .collect();
    label = label.trim_matches('-').to_owned();
    if label.is_empty() {
        label.push_str("model");
    }
    shorten(&format!("{label}-{backend}"), MAX_DGD_NAME)
}

#[derive(Debug, Clone, Copy)]
struct WorkerInput {
    mapping: ParallelMapping,
    replicas: u32,
    half: Half,
}

async fn worker(
    input: &DeploymentInput<'_>,
    worker: WorkerInput,
    probe: &mut impl Probe,
) -> Result<WorkerPlan, ProfilerError> {
    let WorkerInput {
        mapping,
        replicas,
        half,
    } = worker;
    let room = probe
        .kv_capacity(mapping, input.limits.engine(half))
        .await
        .map_err(|failure| ProfilerError::KvCapacity { mapping, failure })?;
    let limits = input.limits.of(half);
    // Engines refuse to start when their KV cache cannot hold one longest request.
    let per_copy = room.tokens.get() / u64::from(mapping.widths().attention_dp);
    Ok(WorkerPlan {
        mapping,
        replicas,
        max_batch_size: limits.max_batch_size,
        max_num_tokens: limits.max_num_tokens,
        max_sequence_length: u64::from(input.question.model.context_length).min(per_copy),
        memory_fraction: room.fraction,
        kv_tokens: per_copy,
        kv: input.study.precision.kv,
        exchange: if input.study.problem.exchanges_tokens(mapping) {
            TokenExchange::Kernels
        } else {
            TokenExchange::Collectives
        },
    })
}

#[cfg(test)]
mod tests;
