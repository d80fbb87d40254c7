//! What is seen of a DGDR and of everything that was made for it.

use std::time::Duration;

use dgdr_types::spec::{DgdrStatus, DiscoveredHardware, Open, ProfilingPhase};

use super::conditions::Timestamp;

/// The DGDR itself.
#[derive(Debug, Clone, Copy)]
pub struct Object<'a> {
    /// Generation of its spec.
    pub generation: i64,
    /// Its status as it is.
    pub status: &'a DgdrStatus,
    /// Whether its result is deployed unasked.
    pub auto_apply: bool,
    /// Name of its profiling Job.
    pub job: &'a str,
}

/// Everything that a decision rests on.
#[derive(Debug, Clone, Copy)]
pub struct Observation<'a> {
    /// The DGDR.
    pub object: Object<'a>,
    /// What is wrong with its spec, all faults together; none where nothing is.
    pub faults: Option<&'a str>,
    /// What is missing in the cluster, and what to do about it: a volume, GPUs.
    pub missing: Option<&'a str>,
    /// GPUs that were discovered for it; none where the spec says all.
    pub hardware: Option<&'a DiscoveredHardware>,
    /// The profiling Job.
    pub job: JobState<'a>,
    /// What the profiler passed on.
    pub output: Output<'a>,
    /// The deployment.
    pub deployment: Deployment<'a>,
    /// How long the phase has lasted.
    pub waited: Duration,
    /// How long it may last.
    pub deadlines: Deadlines,
    /// The time.
    pub now: Timestamp<'a>,
}

/// How long a phase may last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Deadlines {
    /// Waiting for what is missing.
    pub pending: Duration,
    /// The profiling Job, from its creation to its results.
    pub profiling: Duration,
    /// The deployment, until it serves.
    pub deploying: Duration,
}

impl Default for Deadlines {
    /// Minutes for what somebody forgot, a day for a sweep of real engines, and two hours for weights to be downloaded.
    fn default() -> Self {
        const HOUR: u64 = 3600;
        Self {
            pending: Duration::from_secs(HOUR / 4),
            profiling: Duration::from_secs(24 * HOUR),
            deploying: Duration::from_secs(2 * HOUR),
        }
    }
}

/// Why pods do not run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Trouble<'a> {
    /// What stands in the way, the pod first, and what to do.
    pub text: &'a str,
    /// Of what sort it is.
    pub sort: TroubleSort,
}

/// Of what sort a trouble is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TroubleSort {
    /// An image cannot be pulled.
    Image,
    /// Anything else.
    Other,
}

impl Trouble<'_> {
    /// The pod and container that it is about: what a cluster says of them changes from try to try.
    pub(super) fn place(&self) -> &str {
        self.text.split(": ").next().unwrap_or(self.text)
    }
}

/// The profiling Job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JobState<'a> {
    /// There is none.
    Absent,
    /// None is needed: the operator simulates by itself.
    Inline,
    /// One of an earlier spec is still there.
    Leftover,
    /// The API server refused it for good.
    Rejected {
        /// Why.
        message: &'a str,
    },
    /// It has not ended.
    Active {
        /// Why its pod does not run, and what to do: an image, a secret, no node.
        trouble: Option<Trouble<'a>>,
    },
    /// It ended well.
    Complete,
    /// It ended badly.
    Failed {
        /// Why, with what its pod says.
        message: &'a str,
    },
}

/// What the profiler passed on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Output<'a> {
    /// Nothing yet.
    Absent,
    /// How far it is.
    Progress {
        /// Its sub-phase.
        phase: ProfilingPhase,
        /// What it does.
        message: &'a str,
    },
    /// It failed.
    Failed {
        /// Its sub-phase, where it said one.
        phase: Option<ProfilingPhase>,
        /// Why.
        error: &'a str,
    },
    /// It succeeded with a result that cannot be used.
    Unusable {
        /// What is wrong.
        problem: &'a str,
    },
    /// It succeeded.
    Succeeded {
        /// Name of the deployment.
        name: &'a str,
        /// The deployment, ready to be applied.
        manifest: &'a Open,
    },
}

/// The deployment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deployment<'a> {
    /// There is none.
    Absent,
    /// The API server refused it.
    Rejected {
        /// Why.
        message: &'a str,
    },
    /// One of its name is somebody else's.
    Foreign {
        /// Whose.
        owner: &'a str,
    },
    /// It was made for an earlier DGDR of the same name, which it outlived.
    Outdated,
    /// It is there.
    Present {
        /// How it goes.
        state: GraphState,
        /// Replicas that are wanted.
        replicas: i32,
        /// Replicas that serve.
        available: i32,
        /// Why pods do not run.
        trouble: Option<Trouble<'a>>,
    },
}

/// The state that the deployment's own controller reports.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GraphState {
    /// Nothing runs yet.
    Initializing,
    /// Some of it runs.
    Pending,
    /// All of it serves.
    Successful,
    /// Some of it cannot run.
    Failed,
}

impl GraphState {
    /// The word on the wire.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Initializing => "initializing",
            Self::Pending => "pending",
            Self::Successful => "successful",
            Self::Failed => "failed",
        }
    }
}
