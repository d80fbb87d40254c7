//! What `deploy/` holds is what an API server takes, to the letter.

use anyhow::ensure;

use super::bench::Bench;
use super::finding::Findings;
use crate::workspace;

/// How each is named to kubectl, below `deploy`. What needs the CRDs of others (cert-manager, Prometheus' operator) is
/// compared with the chart instead.
const TEXTS: [(&str, &str); 10] = [
    ("-k", "crds"),
    ("-k", "manifests/cluster-scoped"),
    ("-k", "manifests/cluster-scoped-webhook"),
    ("-k", "manifests/namespace-scoped"),
    ("-f", "manifests/components/nodes/rbac.yaml"),
    ("-f", "manifests/components/thorough/rbac.yaml"),
    ("-f", "manifests/components/webhook-self-made/rbac.yaml"),
    ("-f", "manifests/components/webhook/webhook.yaml"),
    ("-f", "samples"),
    ("-f", "utils/manifests/pvc-access-pod.yaml"),
];

/// Runs it.
pub(super) async fn check(bench: &Bench, findings: &mut Findings) -> anyhow::Result<()> {
    for (flag, path) in TEXTS {
        findings.step(path, taken(bench, flag, path)).await?;
    }
    Ok(())
}

/// How many objects were taken.
async fn taken(bench: &Bench, flag: &str, path: &str) -> anyhow::Result<String> {
    let full = workspace::root().join("deploy").join(path);
    let full = full.to_string_lossy();
    let call = [
        "apply",
        "--server-side",
        "--force-conflicts",
        "--dry-run=server",
        "--validate=strict",
        flag,
        &full,
    ];
    let said = bench.kubectl.call(&call, "").await?;
    ensure!(said.succeeded, "{}", said.errors.trim());
    let warned = said.errors.lines().find(|line| line.starts_with("Warning:"));
    ensure!(warned.is_none(), "{}", warned.unwrap_or_default());
    let objects = said.output.lines().count();
    ensure!(objects > 0, "nothing was applied");
    Ok(format!("{objects} objects"))
}
