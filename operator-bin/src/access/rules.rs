//! What each role allows, and why.

use dgdr_types::contract::{GROUP, PLURAL, PROFILING_SERVICE_ACCOUNT};

use super::{PROFILING_ROLE, THOROUGH_PROFILING_ROLE, WEBHOOK_CONFIGURATION, WEBHOOK_SECRET};

/// What may be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verb {
    /// Read one object.
    Get,
    /// Read all objects.
    List,
    /// Be told of changes.
    Watch,
    /// Make an object.
    Create,
    /// Replace an object.
    Update,
    /// Change an object.
    Patch,
    /// Delete an object.
    Delete,
    /// Bind others to a role.
    Bind,
}

impl Verb {
    /// As the API server calls it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Get => "get",
            Self::List => "list",
            Self::Watch => "watch",
            Self::Create => "create",
            Self::Update => "update",
            Self::Patch => "patch",
            Self::Delete => "delete",
            Self::Bind => "bind",
        }
    }

    /// Whether it leaves everything as it is.
    pub const fn is_reading(self) -> bool {
        matches!(self, Self::Get | Self::List | Self::Watch)
    }
}

/// What may be done with one kind of objects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rule {
    /// API group; empty for the core.
    pub group: &'static str,
    /// Plural of the kind, with its subresource.
    pub resource: &'static str,
    /// Names of the objects; all where empty.
    pub names: &'static [&'static str],
    /// What may be done.
    pub verbs: &'static [Verb],
    /// Why.
    pub reason: &'static str,
}

use Verb::{Bind, Create, Delete, Get, List, Patch, Update, Watch};

const CORE: &str = "";
const DEPLOYMENTS: &str = "dynamographdeployments";
const RBAC: &str = "rbac.authorization.k8s.io";
const ADMISSION: &str = "admissionregistration.k8s.io";

/// The controller, wherever requests are.
pub(super) const OPERATOR: &[Rule] = &[
    Rule {
        group: GROUP,
        resource: PLURAL,
        names: &[],
        verbs: &[Get, List, Watch, Patch],
        reason: "watches requests; patches only to let go of one that another operator's finalizer holds",
    },
    Rule {
        group: GROUP,
        resource: "dynamographdeploymentrequests/status",
        names: &[],
        verbs: &[Patch],
        reason: "tells phase, conditions and results of a request",
    },
    Rule {
        group: GROUP,
        resource: "dynamographdeploymentrequests/finalizers",
        names: &[],
        verbs: &[Update],
        reason: "lets what it makes be owned by a request, where the cluster guards owner references",
    },
    Rule {
        group: GROUP,
        resource: DEPLOYMENTS,
        names: &[],
        verbs: &[Get, List, Watch, Create, Patch],
        reason: "creates the deployment of a request and follows its state; never deletes one",
    },
    Rule {
        group: "batch",
        resource: "jobs",
        names: &[],
        verbs: &[Get, List, Watch, Create, Patch, Delete],
        reason: "runs the profiler of a request, and another when the spec was changed before it ended",
    },
    Rule {
        group: CORE,
        resource: "configmaps",
        names: &[],
        verbs: &[Get, List, Watch, Create, Patch, Delete],
        reason: "reads a profiler's results, writes what the deployment mounts, removes results of an older spec",
    },
    Rule {
        group: CORE,
        resource: "pods",
        names: &[],
        verbs: &[Get, List, Watch],
        reason: "tells why a pod does not run, how many GPUs are taken, and finds DCGM exporters",
    },
    Rule {
        group: CORE,
        resource: "persistentvolumeclaims",
        names: &[],
        verbs: &[Get, List, Watch],
        reason: "waits for the volume of a model cache",
    },
    Rule {
        group: "events.k8s.io",
        resource: "events",
        names: &[],
        verbs: &[Create, Patch],
        reason: "tells what happened to a request, and counts repetitions",
    },
];

/// The controller of a whole cluster: profiling Jobs run in namespaces that nobody prepared.
pub(super) const IDENTITIES: &[Rule] = &[
    Rule {
        group: CORE,
        resource: "serviceaccounts",
        names: &[PROFILING_SERVICE_ACCOUNT],
        verbs: &[Create, Patch],
        reason: "makes the service account of profiling Jobs",
    },
    Rule {
        group: RBAC,
        resource: "rolebindings",
        names: &["dgdr-profiling-job-binding"],
        verbs: &[Create, Patch, Delete],
        reason: "binds that account to the role of profiling Jobs, anew when it was bound to another",
    },
    Rule {
        group: RBAC,
        resource: "clusterroles",
        names: &[PROFILING_ROLE, THOROUGH_PROFILING_ROLE],
        verbs: &[Bind],
        reason: "may bind to these two roles and no other, so that it cannot hand out more",
    },
];

/// GPUs by the labels of nodes.
pub(super) const NODES: &[Rule] = &[Rule {
    group: CORE,
    resource: "nodes",
    names: &[],
    verbs: &[Get, List, Watch],
    reason: "reads GPU labels, allocatable GPUs, taints and cordons",
}];

/// Leader election. A name cannot be asked of a creation.
pub(super) const LEASE: &[Rule] = &[
    Rule {
        group: "coordination.k8s.io",
        resource: "leases",
        names: &[],
        verbs: &[Create],
        reason: "makes the lease when it first starts",
    },
    Rule {
        group: "coordination.k8s.io",
        resource: "leases",
        names: &["dgdr-operator"],
        verbs: &[Get, Update],
        reason: "holds, renews and releases its one lease",
    },
];

/// The container that passes results on. Names of its ConfigMaps follow those of requests, which no rule can express.
pub(super) const PROFILING: &[Rule] = &[
    Rule {
        group: CORE,
        resource: "configmaps",
        names: &[],
        verbs: &[Create, Patch],
        reason: "writes `dgdr-output-<name>`; reads none",
    },
    Rule {
        group: CORE,
        resource: "pods",
        names: &[],
        verbs: &[Get, Watch],
        reason: "sees how the profiler beside it ended",
    },
    Rule {
        group: GROUP,
        resource: "dynamographdeploymentrequests/finalizers",
        names: &[],
        verbs: &[Update],
        reason: "lets the results be owned by the request, where the cluster guards owner references",
    },
];

/// A profiler that measures.
pub(super) const THOROUGH: &[Rule] = &[
    Rule {
        group: GROUP,
        resource: PLURAL,
        names: &[],
        verbs: &[Get],
        reason: "reads its request, which owns the candidates",
    },
    Rule {
        group: GROUP,
        resource: DEPLOYMENTS,
        names: &[],
        verbs: &[Get, List, Watch, Create, Delete],
        reason: "deploys candidates, waits for them and removes them",
    },
    Rule {
        group: CORE,
        resource: "pods",
        names: &[],
        verbs: &[List],
        reason: "finds the pods of a candidate",
    },
    Rule {
        group: CORE,
        resource: "pods/log",
        names: &[],
        verbs: &[Get],
        reason: "tells why a candidate does not start, and how large its cache is",
    },
];

/// The webhook, in the cluster.
pub(super) const WEBHOOK: &[Rule] = &[
    Rule {
        group: ADMISSION,
        resource: "validatingwebhookconfigurations",
        names: &[WEBHOOK_CONFIGURATION],
        verbs: &[Get, List, Watch, Patch],
        reason: "writes the certificate authority of its own validation, and again where it is removed",
    },
    Rule {
        group: ADMISSION,
        resource: "mutatingwebhookconfigurations",
        names: &[WEBHOOK_CONFIGURATION],
        verbs: &[Get, List, Watch, Patch],
        reason: "writes the certificate authority of its own defaulting, and again where it is removed",
    },
    Rule {
        group: "apiextensions.k8s.io",
        resource: "customresourcedefinitions",
        names: &["dynamographdeploymentrequests.nvidia.com"],
        verbs: &[Get, List, Watch, Patch],
        reason: "writes the certificate authority of the conversion of requests, and again where it is removed",
    },
];

/// The webhook, in the operator's namespace. A name cannot be asked of a creation.
pub(super) const WEBHOOK_CERTIFICATE: &[Rule] = &[
    Rule {
        group: CORE,
        resource: "secrets",
        names: &[],
        verbs: &[Create],
        reason: "makes the secret of its certificate when it first starts",
    },
    Rule {
        group: CORE,
        resource: "secrets",
        names: &[WEBHOOK_SECRET],
        verbs: &[Get, Update],
        reason: "reads and renews its certificate",
    },
];
