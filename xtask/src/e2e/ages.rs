//! The walk-through with upstream's custom resources, each on a cluster of its own.

use super::bench::{Bench, Plan};
use super::finding::Findings;
use super::guide::{self, Rules};
use crate::cluster::crds::CrdSet;
use crate::workspace;

/// Follows the guide where these are installed.
pub(super) async fn check(bench: &Bench, findings: &mut Findings, crds: CrdSet) -> anyhow::Result<()> {
    if !workspace::root().join("../shared/crds").is_dir() {
        // Upstream's definitions lie beside the checkout, where there are any.
        return Findings::skipped(
            "the guide with upstream's custom resources",
            "../shared is missing",
        );
    }
    let name = if crds == CrdSet::UpstreamV1 {
        "guide-v1"
    } else {
        "guide-may"
    };
    let plan = Plan {
        crds,
        ..Plan::default()
    };
    let other = Bench::start(&bench.ground, name, plan).await?;
    let result = guide::follow(&other, findings, (name, Rules::Upstreams)).await;
    let refused = other.audit().refused_to_operator(0)?;
    findings.see(
        "no call is refused to the operator there",
        refused.is_empty(),
        &refused.join("; "),
    )?;
    other.end()?;
    result
}
