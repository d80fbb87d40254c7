//! From the pick to what is rendered: the memory model that ranked it also sets its flags.

use std::collections::BTreeMap;

use dgdr_perf_model::ParallelMapping;
use dgdr_sweep_planner::{Configuration, Layout};
use dgdr_types::names::{MAX_DGD_NAME, dgd_name, shorten};
use dgdr_types::{ImageReference, ResolvedRequest};

use super::limits::{Half, Limits};
use super::question::Question;
use super::study::Study;
use crate::error::ProfilerError;
use crate::probe::Probe;
use crate::render::{
    DEFAULT_IMAGE, DeploymentPlan, ModelCacheMount, ModelLocation, PlanLayout, RouterMode, TrustRemoteCode,
    WorkerPlan, worker_image,
};

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
}

/// The deployment of a pick.
///
/// # Errors
/// [`ProfilerError::KvCapacity`] when an engine has no room for keys and values.
pub async fn plan(input: DeploymentInput<'_>, probe: &mut impl Probe) -> Result<Planned, ProfilerError> {
    let DeploymentInput {
        request,
        question,
        study,
        pick,
        limits: _,
    } = input;
    let mut warnings = Vec::new();
    let given = match &request.image {
        Some(image) => image.clone(),
        None => {
            warnings.push(format!(
                "spec.image is not given: siblings of {DEFAULT_IMAGE} are used"
            ));
            default_image()?
        }
    };
    let image = worker_image(&given, study.backend);
    warnings.extend(image.warning);
    let copies = pick.replicas;
    let layout = match &pick.layout {
        Layout::Aggregated { mapping, .. } => PlanLayout::Aggregated {
            worker: worker(
                &input,
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
                prefill: worker(&input, prefill, probe).await?,
                decode: worker(&input, decode, probe).await?,
            }
        }
    };
    let plan = DeploymentPlan {
        name: name(request, study),
        namespace: None,
        labels: BTreeMap::new(),
        model: location(request),
        backend: study.backend,
        image: image.image,
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
    };
    Ok(Planned { plan, warnings })
}

fn default_image() -> Result<ImageReference, ProfilerError> {
    DEFAULT_IMAGE
        .parse()
        .map_err(|error: dgdr_types::ImageError| ProfilerError::Encode {
            what: "the default image",
            problem: error.to_string(),
        })
}

/// The operator renames the deployment; a run of one's own names it after the request, or after what it serves.
fn name(request: &ResolvedRequest, study: &Study) -> String {
    if let Some(name) = &request.name {
        return dgd_name(name);
    }
    let short = request
        .model
        .trim_end_matches('/')
        .rsplit('/')
        .next()
        .unwrap_or(&request.model);
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
        label = "model".to_owned();
    }
    shorten(&format!("{label}-{}", study.backend), MAX_DGD_NAME)
}

fn location(request: &ResolvedRequest) -> ModelLocation {
    let cache = request.model_cache.as_ref();
    let is_path = request.model.starts_with('/');
    let path = cache
        .and_then(dgdr_types::ModelCache::model_path)
        .or_else(|| is_path.then(|| request.model.clone()));
    ModelLocation {
        id: request.model.clone(),
        served_name: request.model.clone(),
        path,
        cache: cache.map(|cache| ModelCacheMount {
            claim: cache.pvc_name.clone(),
            mount_path: cache.pvc_mount_path.clone(),
        }),
    }
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
        kv: input.study.precision.kv,
    })
}
