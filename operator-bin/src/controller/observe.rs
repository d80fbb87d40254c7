//! From what is watched to an observation of one request.

use std::sync::Arc;
use std::time::Duration;

use dgdr_types::ResolvedRequest;
use dgdr_types::contract::{KIND, annotation, condition};
use dgdr_types::names::{DgdrName, job_name, output_config_map_name};
use dgdr_types::spec::{Choice as _, ConditionStatus, DgdrStatus, Open, Phase, ProfilingPhase};
use jiff::Timestamp as Instant;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{ConfigMap, Pod};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::runtime::reflector::ObjectRef;

use super::request::Request;
use super::stores::Stores;
use super::touch::{GRAPH_LABEL, JOB_LABEL};
use crate::collection::key;
use crate::decision::{
    Deadlines, Deployment, JobState, Object, Observation, Output, Timestamp, Trouble, TroubleSort,
};
use crate::graph::{self, Asker, Health, Ownership};
use crate::owner::Owner;
use crate::pod_trouble::{self, Stuck};
use crate::profiling_job::PROFILER;

/// A request with everything that was seen of it, owned.
#[derive(Debug, Clone)]
pub(super) struct Seen {
    /// The request.
    pub request: Arc<Request>,
    /// Its name, checked.
    pub name: DgdrName,
    /// Its status as it was.
    pub status: DgdrStatus,
    /// Its spec, where it has no faults.
    pub resolved: Option<ResolvedRequest>,
    /// Its faults.
    pub faults: Option<String>,
    /// What is missing in the cluster.
    pub missing: Option<String>,
    /// Hardware for the profiler.
    pub offer: Option<super::hardware::Offer>,
    /// Its Job.
    pub job: SeenJob,
    /// What its profiler passed on.
    pub output: SeenOutput,
    /// Its deployment.
    pub deployment: SeenDeployment,
    /// Name of its Job.
    pub job_name: String,
    /// Name of its deployment.
    pub deployment_name: String,
    /// The time.
    pub now: Instant,
    said_now: String,
}

/// Its Job, as seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum SeenJob {
    /// There is none.
    Absent,
    /// None is needed.
    Inline,
    /// One of an earlier spec.
    Leftover,
    /// Refused for good.
    Rejected(String),
    /// At work.
    Active(Option<SeenTrouble>),
    /// Ended well.
    Complete,
    /// Ended badly.
    Failed(String),
}

/// Why pods do not run, as seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SeenTrouble {
    text: String,
    sort: TroubleSort,
}

impl SeenTrouble {
    /// All that waits in vain, in one text, with what to do about the first.
    fn of(stuck: &[Stuck]) -> Option<Self> {
        let first = stuck.first()?;
        let all: Vec<String> = stuck.iter().map(Stuck::sentence).collect();
        Some(Self {
            text: format!("{}; {}", all.join("; "), first.remedy()),
            sort: if first.is_image() {
                TroubleSort::Image
            } else {
                TroubleSort::Other
            },
        })
    }

    fn as_trouble(&self) -> Trouble<'_> {
        Trouble {
            text: &self.text,
            sort: self.sort,
        }
    }
}

/// What its profiler passed on, as seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum SeenOutput {
    /// Nothing.
    Absent,
    /// How far it is.
    Progress(ProfilingPhase, String),
    /// It failed.
    Failed(Option<ProfilingPhase>, String),
    /// Its result cannot be used.
    Unusable(String),
    /// It succeeded.
    Succeeded(Open),
}

/// Its deployment, as seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum SeenDeployment {
    /// There is none.
    Absent,
    /// Refused for good.
    Rejected(String),
    /// Somebody else's.
    Foreign(String),
    /// Nobody's, and perhaps applied by hand.
    Unclaimed,
    /// An earlier request's.
    Outdated,
    /// There it is.
    Present {
        /// How it goes.
        health: Health,
        /// Its UID.
        uid: String,
        /// What its pods wait for in vain.
        trouble: Option<SeenTrouble>,
    },
}

impl Seen {
    /// What was seen of a request in the stores; results that are read from the API server come on top.
    ///
    /// # Errors
    /// A status that cannot be read.
    pub(super) fn of(request: Arc<Request>, name: DgdrName) -> Result<Self, serde_json::Error> {
        let status = request.status()?;
        let now = Instant::now();
        let deployment_name = status
            .dgd_name
            .clone()
            .unwrap_or_else(|| request.deployment_name(&name));
        Ok(Self {
            job_name: job_name(&name),
            deployment_name,
            resolved: None,
            faults: None,
            missing: None,
            offer: None,
            job: SeenJob::Absent,
            output: SeenOutput::Absent,
            deployment: SeenDeployment::Absent,
            said_now: seconds(now),
            now,
            request,
            name,
            status,
        })
    }

    /// Where it stands.
    pub(super) fn phase(&self) -> Phase {
        self.status.phase.unwrap_or(Phase::Pending)
    }

    /// Whose everything is that is made for it.
    pub(super) fn owner(&self) -> Owner<'_> {
        Owner {
            dgdr: &self.name,
            namespace: self.request.namespace(),
            uid: self.request.uid(),
            generation: Some(self.request.generation()),
        }
    }

    /// Looks at its Job.
    pub(super) fn look_at_job(&mut self, stores: &Stores, can_inline: bool) {
        let namespace = self.request.namespace();
        let found = stores.jobs.get(&ObjectRef::new(&self.job_name).within(namespace));
        self.job = match found {
            None if can_inline => SeenJob::Inline,
            None => SeenJob::Absent,
            Some(job) => self.job_state(&job, stores),
        };
    }

    fn job_state(&self, job: &Job, stores: &Stores) -> SeenJob {
        let owners = job.metadata.owner_references.iter().flatten();
        let owner = owners.into_iter().find(|owner| owner.kind == KIND);
        let is_pending = self.phase() == Phase::Pending;
        match owner {
            Some(owner) if owner.uid == self.request.uid() => {}
            // The garbage collector takes it; until then its name is taken.
            Some(_) => return SeenJob::Leftover,
            None => {
                return SeenJob::Rejected(format!(
                    "Job {} exists and belongs to no DynamoGraphDeploymentRequest: delete it, or give this request \
                     another name",
                    self.job_name
                ));
            }
        }
        let generation = made_from(&job.metadata);
        let is_old = generation.is_some_and(|generation| generation != self.request.generation());
        if is_pending && (is_old || job.metadata.deletion_timestamp.is_some()) {
            return SeenJob::Leftover;
        }
        let ended = |kind: &str| {
            let status = job.status.as_ref()?;
            let mut conditions = status.conditions.iter().flatten();
            conditions.find(|said| said.type_ == kind && said.status == "True")
        };
        let pods = pods_of(stores, self.request.namespace(), JOB_LABEL, &self.job_name);
        if let Some(failed) = ended("Failed") {
            let message = failed.message.clone().unwrap_or_default();
            let details = pods.iter().find_map(|pod| pod_trouble::failure(pod, PROFILER));
            return SeenJob::Failed(match details {
                Some(details) => format!("{message}. Details: {details}"),
                None => message,
            });
        }
        if ended("Complete").is_some() {
            return SeenJob::Complete;
        }
        let stuck: Vec<Stuck> = pods.iter().flat_map(|pod| pod_trouble::stuck(pod)).collect();
        SeenJob::Active(SeenTrouble::of(&stuck))
    }

    /// Looks at what the profiler passed on, without its result; says whether the result should be read.
    pub(super) fn look_at_output(&mut self, stores: &Stores) -> bool {
        let namespace = self.request.namespace();
        let name = output_config_map_name(&self.name);
        let found = stores.config_maps.get(&ObjectRef::new(&name).within(namespace));
        let current = found.filter(|map| self.is_current(map, stores));
        let has_ended = matches!(self.job, SeenJob::Complete | SeenJob::Failed(_));
        let Some(map) = current else { return has_ended };
        let entry = |name: &str| map.data.as_ref().and_then(|data| data.get(name)).cloned();
        if entry(key::STATUS).is_some() || has_ended {
            return true;
        }
        self.output = progress(entry(key::PHASE).as_deref(), entry(key::MESSAGE));
        false
    }

    /// Whether the request owns an object.
    pub(super) fn owns(&self, metadata: &ObjectMeta) -> bool {
        let mut owners = metadata.owner_references.iter().flatten();
        owners.any(|owner| owner.uid == self.request.uid())
    }

    /// Whether an output belongs to this run.
    pub(super) fn is_current(&self, map: &ConfigMap, stores: &Stores) -> bool {
        let namespace = self.request.namespace();
        let job = stores.jobs.get(&ObjectRef::new(&self.job_name).within(namespace));
        let run = job.and_then(|job| made_from(&job.metadata));
        let wanted = run.unwrap_or_else(|| self.request.generation());
        self.owns(&map.metadata) && made_from(&map.metadata).is_none_or(|generation| generation == wanted)
    }

    /// Looks at its deployment. Nobody's counts as its own only where it is what was generated.
    pub(super) fn look_at_deployment(&mut self, stores: &Stores, is_as_generated: bool) {
        let Some(graphs) = stores.graphs() else { return };
        let namespace = self.request.namespace();
        let Some(found) = graphs.get(namespace, &self.deployment_name) else {
            return;
        };
        self.deployment = self.judge(&found.metadata, found.data.get("status"), is_as_generated);
        if let SeenDeployment::Present { trouble, .. } = &mut self.deployment {
            let pods = pods_of(stores, namespace, GRAPH_LABEL, &self.deployment_name);
            let stuck: Vec<Stuck> = pods.iter().flat_map(|pod| pod_trouble::stuck(pod)).collect();
            *trouble = SeenTrouble::of(&stuck);
        }
    }

    /// What a deployment of its name is to it.
    pub(super) fn judge(
        &self,
        metadata: &ObjectMeta,
        status: Option<&serde_json::Value>,
        is_as_generated: bool,
    ) -> SeenDeployment {
        let asker = Asker {
            name: self.name.as_str(),
            namespace: self.request.namespace(),
            uid: self.request.uid(),
        };
        match graph::ownership(metadata, asker) {
            Ownership::Another(owner) => SeenDeployment::Foreign(owner),
            Ownership::Earlier => SeenDeployment::Outdated,
            Ownership::Unclaimed if !is_as_generated => SeenDeployment::Unclaimed,
            Ownership::Ours | Ownership::Unclaimed => SeenDeployment::Present {
                health: graph::health(status),
                uid: metadata.uid.clone().unwrap_or_default(),
                trouble: None,
            },
        }
    }

    /// How long its phase has lasted: from what is written in the cluster, so that a restart does not count anew.
    fn waited(&self, job_created: Option<Instant>) -> Duration {
        let since = |kind: &str| {
            let said = self.status.conditions.iter().find(|said| said.kind == kind)?;
            said.last_transition_time.parse::<Instant>().ok()
        };
        let start = match self.phase() {
            Phase::Pending => {
                let refused = |said: &&dgdr_types::spec::Condition| {
                    said.kind == condition::VALIDATION && said.status == ConditionStatus::False
                };
                let said = self.status.conditions.iter().find(refused);
                said.and_then(|said| said.last_transition_time.parse().ok())
            }
            Phase::Profiling => job_created.or_else(|| since(condition::VALIDATION)),
            Phase::Deploying => {
                since(condition::DEPLOYMENT_READY).or_else(|| since(condition::SPEC_GENERATED))
            }
            Phase::Ready | Phase::Deployed | Phase::Failed => None,
        };
        let waited = start.map(|start| self.now.duration_since(start));
        waited
            .and_then(|waited| Duration::try_from(waited).ok())
            .unwrap_or_default()
    }

    /// When its Job was created.
    fn job_created(&self, stores: &Stores) -> Option<Instant> {
        let key = ObjectRef::new(&self.job_name).within(self.request.namespace());
        let job = stores.jobs.get(&key)?;
        Some(job.metadata.creation_timestamp.as_ref()?.0)
    }

    /// How long it has been profiled: since its Job, else since the request itself was made.
    pub(super) fn profiled_for(&self, stores: &Stores) -> Duration {
        let created = self
            .request
            .metadata
            .creation_timestamp
            .as_ref()
            .map(|time| time.0);
        let start = self.job_created(stores).or(created);
        let time = start.map(|start| self.now.duration_since(start));
        time.and_then(|time| Duration::try_from(time).ok())
            .unwrap_or_default()
    }

    /// The observation that a decision rests on.
    pub(super) fn observation<'a>(&'a self, stores: &Stores, deadlines: Deadlines) -> Observation<'a> {
        Observation {
            object: Object {
                generation: self.request.generation(),
                status: &self.status,
                auto_apply: self.request.auto_apply(),
                job: &self.job_name,
            },
            faults: self.faults.as_deref(),
            missing: self.missing.as_deref(),
            hardware: self.offer.as_ref().and_then(|offer| offer.discovered.as_ref()),
            job: match &self.job {
                SeenJob::Absent => JobState::Absent,
                SeenJob::Inline => JobState::Inline,
                SeenJob::Leftover => JobState::Leftover,
                SeenJob::Rejected(message) => JobState::Rejected { message },
                SeenJob::Active(trouble) => JobState::Active {
                    trouble: trouble.as_ref().map(SeenTrouble::as_trouble),
                },
                SeenJob::Complete => JobState::Complete,
                SeenJob::Failed(message) => JobState::Failed { message },
            },
            output: match &self.output {
                SeenOutput::Absent => Output::Absent,
                SeenOutput::Progress(phase, message) => Output::Progress {
                    phase: *phase,
                    message,
                },
                SeenOutput::Failed(phase, error) => Output::Failed { phase: *phase, error },
                SeenOutput::Unusable(problem) => Output::Unusable { problem },
                SeenOutput::Succeeded(manifest) => Output::Succeeded {
                    name: &self.deployment_name,
                    manifest,
                },
            },
            deployment: match &self.deployment {
                SeenDeployment::Absent => Deployment::Absent,
                SeenDeployment::Rejected(message) => Deployment::Rejected { message },
                SeenDeployment::Foreign(owner) => Deployment::Foreign { owner },
                SeenDeployment::Unclaimed => Deployment::Foreign {
                    owner: "nobody, while it differs from what was generated",
                },
                SeenDeployment::Outdated => Deployment::Outdated,
                SeenDeployment::Present { health, trouble, .. } => Deployment::Present {
                    state: health.state,
                    replicas: health.replicas,
                    available: health.available,
                    trouble: trouble.as_ref().map(SeenTrouble::as_trouble),
                },
            },
            waited: self.waited(self.job_created(stores)),
            deadlines,
            now: Timestamp(&self.said_now),
        }
    }
}

/// A time as conditions write it: in seconds.
pub(super) fn seconds(time: Instant) -> String {
    time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// What a profiler says of its progress; nothing where it says no sub-phase that is known.
fn progress(phase: Option<&str>, message: Option<String>) -> SeenOutput {
    match phase.and_then(ProfilingPhase::from_name) {
        Some(phase) => SeenOutput::Progress(phase, message.unwrap_or_default()),
        None => SeenOutput::Absent,
    }
}

/// The text of a profiler's result; what it says of itself where there is none.
pub(super) fn ended(map: &ConfigMap) -> Result<String, SeenOutput> {
    let entry = |name: &str| map.data.as_ref().and_then(|data| data.get(name)).cloned();
    let phase = entry(key::PHASE).as_deref().and_then(ProfilingPhase::from_name);
    if entry(key::STATUS).as_deref() == Some("failed") {
        let error = entry(key::ERROR).filter(|error| !error.is_empty());
        let error = error.unwrap_or_else(|| "profiler reported failure (no details available)".to_owned());
        return Err(SeenOutput::Failed(phase, error));
    }
    match entry(dgdr_types::contract::file::DEPLOYMENT) {
        Some(result) => Ok(result),
        None => Err(progress(entry(key::PHASE).as_deref(), entry(key::MESSAGE))),
    }
}

/// Generation of the spec that something was made from.
pub(super) fn made_from(metadata: &ObjectMeta) -> Option<i64> {
    let annotations = metadata.annotations.as_ref()?;
    annotations.get(annotation::GENERATION)?.parse().ok()
}

fn pods_of(stores: &Stores, namespace: &str, label: &str, value: &str) -> Vec<Arc<Pod>> {
    stores.pods.state_filter(|pod| {
        let labels = pod.metadata.labels.as_ref();
        pod.metadata.namespace.as_deref() == Some(namespace)
            && labels
                .and_then(|labels| labels.get(label))
                .is_some_and(|found| found == value)
    })
}
