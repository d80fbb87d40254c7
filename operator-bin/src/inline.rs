//! The rapid path without a pod: the profiler's own pipeline, run by the operator.
//!
//! A simulation takes milliseconds and needs nothing but the request, so no image is pulled for it. What comes out is what
//! a Job's collector would pass on. What needs a pod (real engines, a model in a volume, results that are to be kept on
//! one) is left to a Job.

use std::collections::BTreeMap;
use std::sync::Arc;

use clap::ValueEnum;
use dgdr_profiler::artifacts::StatusFile;
use dgdr_profiler::model_source::{is_built_in, is_hub_name};
use dgdr_profiler::pipeline::in_memory::{self, Unwritten};
use dgdr_profiler::pipeline::options::{Pictures, ProfileOptions};
use dgdr_types::dgd::DgdVersion;
use dgdr_types::names::DgdrName;
use dgdr_types::spec::{Open, SearchStrategy};
use dgdr_types::{RawRequest, ResolvedRequest, apply_set, parse_request, resolve};
use tokio::runtime::Handle;
use tokio::sync::Semaphore;

use crate::collection::{self, Ended, Found, Left};

/// Requests that may wait for the hub at a time; waiting costs no core.
const HUB_SEATS: usize = 8;

/// What is done about models whose description does not come with the operator.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum UnknownModels {
    /// A Job looks for them, with its own token and volumes.
    #[default]
    UseJob,
    /// The operator asks the Hugging Face hub for their config.json, 30 s at most.
    AskHub,
}

/// Why a request needs a Job.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WhyNot {
    /// It measures real engines.
    #[error("searchStrategy thorough measures real engines")]
    Thorough,
    /// Its model lies in a volume, which the operator does not mount.
    #[error("the model lies in the volume of claim {claim}")]
    ModelInVolume {
        /// Name of the claim.
        claim: String,
    },
    /// Its results are to be kept on a volume.
    #[error("overrides.profilingJob mounts volumes")]
    KeepsFiles,
    /// Its model is no name of the hub, so a path of a file system.
    #[error("model {model:?} is a path")]
    ModelIsPath {
        /// The model.
        model: String,
    },
    /// Nobody described its model to the operator.
    #[error("the operator does not know model {model}, and may not ask the hub")]
    UnknownModel {
        /// The model.
        model: String,
    },
}

/// Simulates requests in this process, as many at a time as there are cores.
#[derive(Debug, Clone)]
pub struct Profiler {
    options: Arc<ProfileOptions>,
    unknown_models: UnknownModels,
    seats: Arc<Semaphore>,
    hub_seats: Arc<Semaphore>,
}

impl Profiler {
    /// A profiler of this process; clones share their tables and their seats.
    pub fn new(unknown_models: UnknownModels) -> Self {
        let options = ProfileOptions {
            pictures: Pictures::Skip,
            ..ProfileOptions::default()
        };
        let cores = options.threads.get();
        Self {
            // Requests share the cores, so one alone gets one.
            options: Arc::new(ProfileOptions {
                threads: std::num::NonZeroUsize::MIN,
                ..options
            }),
            unknown_models,
            seats: Arc::new(Semaphore::new(cores)),
            hub_seats: Arc::new(Semaphore::new(HUB_SEATS)),
        }
    }

    /// Whether a request can do without a Job.
    ///
    /// # Errors
    /// [`WhyNot`].
    pub fn can(&self, request: &ResolvedRequest) -> Result<(), WhyNot> {
        if request.search_strategy == SearchStrategy::Thorough {
            return Err(WhyNot::Thorough);
        }
        if let Some(cache) = &request.model_cache
            && cache.model_path().is_some()
        {
            return Err(WhyNot::ModelInVolume {
                claim: cache.pvc_name.clone(),
            });
        }
        if request
            .overrides
            .profiling_job
            .as_ref()
            .is_some_and(mounts_volumes)
        {
            return Err(WhyNot::KeepsFiles);
        }
        let model = || request.model.clone();
        if is_built_in(&request.model) {
            Ok(())
        } else if !is_hub_name(&request.model) {
            Err(WhyNot::ModelIsPath { model: model() })
        } else if self.unknown_models == UnknownModels::UseJob {
            Err(WhyNot::UnknownModel { model: model() })
        } else {
            Ok(())
        }
    }

    /// Profiles a request: `config` is its spec with discovered hardware filled in, as a Job is given it. The entries are
    /// those of the ConfigMap that a Job's collector would leave at its end, of a failure too.
    pub async fn profile(
        &self,
        config: &str,
        name: &DgdrName,
        namespace: &str,
        dgd_version: DgdVersion,
    ) -> BTreeMap<String, String> {
        let request = match whole(config, name, namespace) {
            Ok(request) => request,
            Err(error) => return failed(&error.to_string()),
        };
        let mut seats = &self.seats;
        if let Ok(resolved) = resolve(&request) {
            if let Err(why) = self.can(&resolved) {
                return failed(&format!(
                    "{why}: this needs a Job; start the operator with --rapid=job"
                ));
            }
            let missing = open_hardware(&resolved);
            if !missing.is_empty() {
                return failed(&format!(
                    "GPU discovery filled in no {}: set it in the request",
                    missing.join(", ")
                ));
            }
            if !is_built_in(&resolved.model) {
                seats = &self.hub_seats;
            }
        }
        // The semaphore is never closed; without a seat it would only be more work at a time.
        let _seat = Arc::clone(seats).acquire_owned().await.ok();
        let options = ProfileOptions {
            dgd_version,
            ..ProfileOptions::clone(&self.options)
        };
        let runtime = Handle::current();
        let run = move || runtime.block_on(in_memory::profile(&request, &options));
        match tokio::task::spawn_blocking(run).await {
            Ok(unwritten) => entries(&unwritten),
            Err(bug) => failed(&format!("the profiler broke down, which is a bug of ours: {bug}")),
        }
    }
}

/// The request as a whole object, of which a Job is given only the spec.
fn whole(config: &str, name: &DgdrName, namespace: &str) -> Result<RawRequest, dgdr_types::DgdrError> {
    let mut request = parse_request(config)?;
    // Quoted, since a name such as 123 or 1e3 is text too.
    apply_set(&mut request, &format!("metadata.name=\"{name}\""))?;
    apply_set(&mut request, &format!("metadata.namespace=\"{namespace}\""))?;
    Ok(request)
}

/// Fields without which the pipeline would look for the GPUs of the machine that it runs on.
fn open_hardware(request: &ResolvedRequest) -> Vec<&'static str> {
    let hardware = &request.hardware;
    [
        ("spec.hardware.gpuSku", hardware.gpu_sku.is_none()),
        ("spec.hardware.numGpusPerNode", hardware.gpus_per_node.is_none()),
        ("spec.hardware.totalGpus", hardware.total_gpus.is_none()),
    ]
    .into_iter()
    .filter_map(|(field, is_open)| is_open.then_some(field))
    .collect()
}

fn mounts_volumes(job: &Open) -> bool {
    let volumes = job
        .get("template")
        .and_then(|template| template.pointer("/spec/volumes"))
        .and_then(serde_json::Value::as_array);
    volumes.is_some_and(|volumes| !volumes.is_empty())
}

/// The entries of a run, as of a profiler that has just ended.
fn entries(run: &Unwritten) -> BTreeMap<String, String> {
    let (result, exit_code) = match &run.deployment {
        Ok(text) => (Found::Text(text), 0),
        Err(error) => (Found::Nothing, i32::from(error.exit_status().code())),
    };
    let left = Left {
        status_text: &run.status,
        result,
        ended: Some(Ended {
            exit_code,
            reason: None,
            message: None,
        }),
    };
    // Of an ended profiler there is always something to say.
    collection::entries(&left).unwrap_or_default()
}

fn failed(error: &str) -> BTreeMap<String, String> {
    let mut status = StatusFile::unwritten();
    // What was never written cannot fail to be.
    let _infallible = status.fail(error);
    let left = Left {
        status_text: status.text(),
        result: Found::Nothing,
        ended: None,
    };
    collection::entries(&left).unwrap_or_default()
}

#[cfg(test)]
mod tests;
