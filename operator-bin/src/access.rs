//! Who may do what: the one table of permissions. Roles, chart and documentation are generated from it.
//!
//! Nothing is granted that is not named here with its reason. Verbs are an enumeration without a wildcard, so that none
//! can be granted.

mod rules;

pub use rules::{Rule, Verb};

use dgdr_types::contract::PROFILING_SERVICE_ACCOUNT;
use rules::{IDENTITIES, LEASE, NODES, OPERATOR, PROFILING, THOROUGH, WEBHOOK, WEBHOOK_CERTIFICATE};

/// Service account of the operator, and the prefix of all role names.
pub const OPERATOR_SERVICE_ACCOUNT: &str = "dgdr-operator";
/// Role of profiling Jobs: what the container that passes results on needs.
pub const PROFILING_ROLE: &str = "dgdr-operator-profiling";
/// Role of profiling Jobs that deploy candidates to measure them, for those who switch it on.
pub const THOROUGH_PROFILING_ROLE: &str = "dgdr-operator-profiling-thorough";
/// Secret of the webhook's certificate where the operator makes its own.
pub const WEBHOOK_SECRET: &str = "dgdr-operator-webhook-certificate";
/// Name of the operator's webhook configurations.
pub const WEBHOOK_CONFIGURATION: &str = "dgdr-operator";

/// Who holds a role.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Holder {
    /// The operator.
    Operator,
    /// The pods of profiling Jobs, in the namespace of their request.
    ProfilingJob,
}

impl Holder {
    /// Name of its service account.
    pub const fn service_account(self) -> &'static str {
        match self {
            Self::Operator => OPERATOR_SERVICE_ACCOUNT,
            Self::ProfilingJob => PROFILING_SERVICE_ACCOUNT,
        }
    }
}

/// Where a role holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// In the whole cluster, however the operator is installed: what the rules name has no namespace.
    Cluster,
    /// In the namespaces of requests: all of them for an operator of the cluster, one for an operator of a namespace.
    Requests,
    /// In the operator's own namespace.
    Own,
}

/// Which installations carry a role.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// All.
    Always,
    /// Those of an operator of the cluster.
    ClusterScoped,
    /// Those that let GPUs be discovered by the labels of nodes.
    Nodes,
    /// Those that let profiling Jobs deploy candidates to measure them.
    Thorough,
    /// Those whose API server asks the operator's webhook.
    Webhook,
}

/// A role.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Access {
    /// Its name.
    pub name: &'static str,
    /// Who holds it.
    pub holder: Holder,
    /// Where it holds.
    pub reach: Reach,
    /// Which installations carry it.
    pub part: Part,
    /// What for, as the end of "in order to …".
    pub purpose: &'static str,
    /// What it allows, in parts that other roles may share.
    pub rules: &'static [&'static [Rule]],
}

impl Access {
    /// All that it allows.
    pub fn rules(&self) -> impl Iterator<Item = &'static Rule> + use<> {
        self.rules.iter().copied().flatten()
    }
}

/// All roles.
pub const ROLES: [Access; 8] = [
    Access {
        name: OPERATOR_SERVICE_ACCOUNT,
        holder: Holder::Operator,
        reach: Reach::Requests,
        part: Part::Always,
        purpose: "take requests from their creation to a deployment",
        rules: &[OPERATOR],
    },
    Access {
        name: "dgdr-operator-identities",
        holder: Holder::Operator,
        reach: Reach::Requests,
        part: Part::ClusterScoped,
        purpose: "give profiling Jobs an identity in the namespace of their request",
        rules: &[IDENTITIES],
    },
    Access {
        name: "dgdr-operator-nodes",
        holder: Holder::Operator,
        reach: Reach::Cluster,
        part: Part::Nodes,
        purpose: "discover GPUs by the labels of nodes",
        rules: &[NODES],
    },
    Access {
        name: "dgdr-operator-leader-election",
        holder: Holder::Operator,
        reach: Reach::Own,
        part: Part::Always,
        purpose: "let one of several replicas act",
        rules: &[LEASE],
    },
    Access {
        name: PROFILING_ROLE,
        holder: Holder::ProfilingJob,
        reach: Reach::Requests,
        part: Part::Always,
        purpose: "pass the results of a profiler on",
        rules: &[PROFILING],
    },
    Access {
        name: THOROUGH_PROFILING_ROLE,
        holder: Holder::ProfilingJob,
        reach: Reach::Requests,
        part: Part::Thorough,
        purpose: "pass the results of a profiler on, and deploy candidates to measure them",
        rules: &[PROFILING, THOROUGH],
    },
    Access {
        name: "dgdr-operator-webhook",
        holder: Holder::Operator,
        reach: Reach::Cluster,
        part: Part::Webhook,
        purpose: "tell the API server which certificate the webhook shows",
        rules: &[WEBHOOK],
    },
    Access {
        name: "dgdr-operator-webhook-certificate",
        holder: Holder::Operator,
        reach: Reach::Own,
        part: Part::Webhook,
        purpose: "share the webhook's own certificate between replicas",
        rules: &[WEBHOOK_CERTIFICATE],
    },
];

#[cfg(test)]
mod tests;
