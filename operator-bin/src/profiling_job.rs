//! The Job that profiles a DGDR: `profile-<name>`, in upstream's shape, with the user's overrides merged in.
//!
//! Two containers share a volume: `profiler` writes its results and its status file, `output-copier` watches the status
//! file and passes results on. Both run under the *restricted* Pod Security Standard.

mod allowed;
mod merge;
mod token;

use std::collections::BTreeMap;
use std::time::Duration;

use dgdr_types::contract::{
    HF_TOKEN_SECRET, IMAGE_PULL_SECRET, PROFILER_CONTAINER, PROFILING_SERVICE_ACCOUNT, environment, label,
};
use dgdr_types::dgd::DgdVersion;
use dgdr_types::names::job_name;
use dgdr_types::spec::Open;
use dgdr_types::v1alpha1::RuntimeEffects;
use dgdr_types::{ImageReference, ModelCache};
use k8s_openapi::api::batch::v1::{Job, JobSpec};
use k8s_openapi::api::core::v1::{
    Capabilities, ConfigMapVolumeSource, Container, EmptyDirVolumeSource, EnvVar, EnvVarSource, KeyToPath,
    LocalObjectReference, PersistentVolumeClaimVolumeSource, PodSecurityContext, PodSpec, PodTemplateSpec,
    SeccompProfile, SecretKeySelector, SecurityContext, Volume, VolumeMount,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use crate::owner::Owner;

/// Name of the container that profiles.
pub const PROFILER: &str = PROFILER_CONTAINER;
/// Name of the container that passes results on; upstream's name, so that overrides of it keep their meaning.
pub const COLLECTOR: &str = "output-copier";
/// Volume of the results; an override of this name keeps them.
pub const OUTPUT_VOLUME: &str = "profiling-output";
/// Where the results are mounted.
pub const OUTPUT_DIRECTORY: &str = "/data";
/// Volume of the weights.
const CACHE_VOLUME: &str = "model-cache";
/// What a container that broke down logged last is told in the pod's status, and so in the conditions of the DGDR.
const LAST_WORDS: &str = "FallbackToLogsOnError";
/// Volume of the deployment that the profiler starts from, where v1alpha1 names one; as upstream mounts it.
const CONFIG_VOLUME: &str = "profiling-config";
/// Where it is mounted.
const CONFIG_DIRECTORY: &str = "/config";
/// Its file.
const CONFIG_FILE: &str = "disagg.yaml";
/// How long a profiler that nobody waits for any more may be looked at.
const LAST_LOOK: Duration = Duration::from_mins(5);
/// Key of the token within its secret.
const TOKEN_KEY: &str = "HF_TOKEN";
/// User and group of both containers: images of either profiler hold no files that only another user may read.
const USER: i64 = 1000;

/// Which program profiles; both have the same contract of arguments and files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProfilerProgram {
    /// `dgdr-profiler`.
    Native,
    /// `python -m dynamo.profiler`, upstream's.
    Upstream,
}

impl ProfilerProgram {
    fn command(self) -> Vec<String> {
        let words: &[&str] = match self {
            Self::Native => &["dgdr-profiler", "profile"],
            Self::Upstream => &["python", "-m", "dynamo.profiler"],
        };
        words.iter().map(|word| (*word).to_owned()).collect()
    }
}

/// What a Job is made from: every decision is made, nothing is looked up.
#[derive(Debug, Clone)]
pub struct JobInput<'a> {
    /// The DGDR, which owns the Job.
    pub owner: Owner<'a>,
    /// The spec with discovered hardware filled in, as compact JSON.
    pub config: &'a str,
    /// Which program profiles.
    pub program: ProfilerProgram,
    /// Version of deployments that the cluster serves.
    pub dgd_version: DgdVersion,
    /// Image of the profiler.
    pub image: &'a ImageReference,
    /// Image of the collector: the operator's own.
    pub collector_image: &'a ImageReference,
    /// Volume that already holds the weights.
    pub model_cache: Option<&'a ModelCache>,
    /// Further variables of the profiler, by name.
    pub environment: &'a BTreeMap<String, String>,
    /// After what time nobody waits for its results any more.
    pub deadline: Duration,
    /// `spec.overrides.profilingJob`.
    pub overrides: Option<&'a Open>,
    /// What a request that was written in v1alpha1 asks for beyond its spec.
    pub effects: &'a RuntimeEffects,
}

/// A Job, and what its user should know of it.
#[derive(Debug, Clone, PartialEq)]
pub struct RenderedJob {
    /// The Job.
    pub job: Job,
    /// Overrides that have no effect, each with its path.
    pub ignored: Vec<String>,
}

/// Why a Job cannot be made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum JobError {
    /// An override is no part of a Job's spec.
    #[error(
        "spec.overrides.profilingJob is no batch/v1 JobSpec: {problem}; compare it with `kubectl explain job.spec`"
    )]
    Override {
        /// What does not fit.
        problem: String,
    },
}

/// The profiling Job of a DGDR.
///
/// # Errors
/// [`JobError::Override`] for overrides of the wrong types.
pub fn profiling_job(input: &JobInput<'_>) -> Result<RenderedJob, JobError> {
    let mut spec = base(input);
    let mut ignored = Vec::new();
    if let Some(overrides) = input.overrides {
        ignored = allowed::ignored(overrides);
        merge::merge(&mut spec, merge::read(overrides)?);
    }
    token::keep_for_collector(&mut spec);
    let job = Job {
        metadata: metadata(input),
        spec: Some(spec),
        status: None,
    };
    Ok(RenderedJob { job, ignored })
}

/// Parts of `spec.overrides.profilingJob` that have no effect, each with its path.
pub fn ignored_overrides(overrides: &Open) -> Vec<String> {
    allowed::ignored(overrides)
}

/// As of everything that is made for a DGDR, with two labels more.
fn metadata(input: &JobInput<'_>) -> ObjectMeta {
    let mut metadata = input.owner.metadata(job_name(input.owner.dgdr));
    let own = [
        (label::APP, label::APP_PROFILER),
        (label::JOB_DGDR, input.owner.dgdr.as_str()),
    ];
    metadata
        .labels
        .get_or_insert_default()
        .extend(own.map(|(key, value)| (key.to_owned(), value.to_owned())));
    metadata
}

fn base(input: &JobInput<'_>) -> JobSpec {
    let pod = PodSpec {
        service_account_name: Some(PROFILING_SERVICE_ACCOUNT.to_owned()),
        restart_policy: Some("Never".to_owned()),
        security_context: Some(PodSecurityContext {
            run_as_non_root: Some(true),
            run_as_user: Some(USER),
            run_as_group: Some(USER),
            fs_group: Some(USER),
            seccomp_profile: Some(SeccompProfile {
                type_: "RuntimeDefault".to_owned(),
                ..SeccompProfile::default()
            }),
            ..PodSecurityContext::default()
        }),
        image_pull_secrets: Some(vec![LocalObjectReference {
            name: IMAGE_PULL_SECRET.to_owned(),
        }]),
        containers: vec![profiler(input), collector(input)],
        volumes: Some(volumes(input)),
        ..PodSpec::default()
    };
    JobSpec {
        // What failed once fails again, and hours of GPUs are not spent twice unasked.
        backoff_limit: Some(0),
        // The operator gives up first, and says why; then a profiler that hangs must not keep its GPUs.
        active_deadline_seconds: i64::try_from((input.deadline + LAST_LOOK).as_secs()).ok(),
        template: PodTemplateSpec {
            metadata: None,
            spec: Some(pod),
        },
        ..JobSpec::default()
    }
}

fn profiler(input: &JobInput<'_>) -> Container {
    let mut env = vec![EnvVar {
        name: "HUGGING_FACE_HUB_TOKEN".to_owned(),
        value_from: Some(EnvVarSource {
            secret_key_ref: Some(SecretKeySelector {
                name: HF_TOKEN_SECRET.to_owned(),
                key: TOKEN_KEY.to_owned(),
                // A model that needs no token must not wait for one.
                optional: Some(true),
            }),
            ..EnvVarSource::default()
        }),
        ..EnvVar::default()
    }];
    env.extend(identity(input.owner));
    env.extend(
        input
            .environment
            .iter()
            .map(|(name, value)| variable(name, value)),
    );
    let mut mounts = vec![mount(OUTPUT_VOLUME, OUTPUT_DIRECTORY, None)];
    if let Some(cache) = input.model_cache {
        mounts.push(mount(CACHE_VOLUME, &cache.pvc_mount_path, Some(true)));
    }
    if input.effects.config_map_ref.is_some() {
        mounts.push(mount(CONFIG_VOLUME, CONFIG_DIRECTORY, Some(true)));
    }
    let mut args = vec!["--config", input.config, "--output-dir", OUTPUT_DIRECTORY];
    // Upstream's profiler does not ask; what it writes is converted when it is read.
    if input.program == ProfilerProgram::Native && input.dgd_version != DgdVersion::default() {
        args.extend(["--dgd-version", input.dgd_version.name()]);
    }
    Container {
        name: PROFILER.to_owned(),
        image: Some(input.image.to_string()),
        command: Some(input.program.command()),
        args: Some(args.into_iter().map(str::to_owned).collect()),
        env: Some(env),
        volume_mounts: Some(mounts),
        security_context: Some(restricted()),
        termination_message_policy: Some(LAST_WORDS.to_owned()),
        working_dir: match input.program {
            ProfilerProgram::Native => None,
            ProfilerProgram::Upstream => Some("/workspace".to_owned()),
        },
        ..Container::default()
    }
}

fn collector(input: &JobInput<'_>) -> Container {
    let args = ["collect", "--output-dir", OUTPUT_DIRECTORY];
    Container {
        name: COLLECTOR.to_owned(),
        image: Some(input.collector_image.to_string()),
        command: Some(vec!["dgdr-operator".to_owned()]),
        args: Some(args.map(str::to_owned).to_vec()),
        env: Some(identity(input.owner)),
        volume_mounts: Some(vec![mount(OUTPUT_VOLUME, OUTPUT_DIRECTORY, Some(true))]),
        security_context: Some(restricted()),
        termination_message_policy: Some(LAST_WORDS.to_owned()),
        ..Container::default()
    }
}

/// What the *restricted* Pod Security Standard asks of every container.
fn restricted() -> SecurityContext {
    SecurityContext {
        allow_privilege_escalation: Some(false),
        capabilities: Some(Capabilities {
            drop: Some(vec!["ALL".to_owned()]),
            ..Capabilities::default()
        }),
        ..SecurityContext::default()
    }
}

fn volumes(input: &JobInput<'_>) -> Vec<Volume> {
    let RuntimeEffects {
        output_pvc,
        config_map_ref,
    } = input.effects;
    let output = Volume {
        name: OUTPUT_VOLUME.to_owned(),
        empty_dir: output_pvc.is_none().then(EmptyDirVolumeSource::default),
        persistent_volume_claim: output_pvc
            .clone()
            .map(|claim_name| PersistentVolumeClaimVolumeSource {
                claim_name,
                read_only: None,
            }),
        ..Volume::default()
    };
    let config = config_map_ref.as_ref().map(|config_map| Volume {
        name: CONFIG_VOLUME.to_owned(),
        config_map: Some(ConfigMapVolumeSource {
            name: config_map.name.clone(),
            items: Some(vec![KeyToPath {
                key: config_map.key.clone(),
                path: CONFIG_FILE.to_owned(),
                mode: None,
            }]),
            ..ConfigMapVolumeSource::default()
        }),
        ..Volume::default()
    });
    let cache = input.model_cache.map(|cache| Volume {
        name: CACHE_VOLUME.to_owned(),
        persistent_volume_claim: Some(PersistentVolumeClaimVolumeSource {
            claim_name: cache.pvc_name.clone(),
            read_only: Some(true),
        }),
        ..Volume::default()
    });
    [output].into_iter().chain(cache).chain(config).collect()
}

/// How both containers know which DGDR they work for.
fn identity(owner: Owner<'_>) -> Vec<EnvVar> {
    let known = [
        variable(environment::NAME, owner.dgdr.as_str()),
        variable(environment::NAMESPACE, owner.namespace),
        variable(environment::UID, owner.uid),
    ];
    let generation = owner
        .generation
        .map(|generation| variable(environment::GENERATION, &generation.to_string()));
    known.into_iter().chain(generation).collect()
}

fn variable(name: &str, value: &str) -> EnvVar {
    EnvVar {
        name: name.to_owned(),
        value: Some(value.to_owned()),
        ..EnvVar::default()
    }
}

fn mount(volume: &str, path: &str, read_only: Option<bool>) -> VolumeMount {
    VolumeMount {
        name: volume.to_owned(),
        mount_path: path.to_owned(),
        read_only,
        ..VolumeMount::default()
    }
}

#[cfg(test)]
mod tests;
