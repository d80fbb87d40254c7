//! Two operators, of which one acts: when it dies, and when it is told to go.

use std::time::{Duration, Instant};

use k8s_openapi::api::coordination::v1::Lease;
use kube::api::Api;

use super::wave::{Kind, Wave};
use crate::e2e::bench::Bench;
use crate::e2e::finding::Findings;
use crate::e2e::manifests::OPERATOR;
use crate::e2e::operator::{Operator, Starter};

/// A lease lasts 15 s, and is looked at every 2 s.
const MOST_AFTER_DEATH: Duration = Duration::from_secs(19);
/// One look, and a little work.
const MOST_AFTER_GOODBYE: Duration = Duration::from_secs(5);
/// How long work may take that nobody disturbs.
const MOST: Duration = Duration::from_mins(2);
const BETWEEN_LOOKS: Duration = Duration::from_millis(50);
const LEASE: &str = "dgdr-operator";

/// Runs it.
pub(super) async fn check(bench: &Bench, findings: &mut Findings) -> anyhow::Result<()> {
    let start = |name: &'static str| Starter::new(bench, name).with(&["--rapid=inline"]);
    let leader = start("leader").start().await?;
    holder(bench, "leader", MOST).await?;
    let follower = start("follower").start().await?;
    let wave = Wave::of(bench, "leader-dies", &[(Kind::Kept, 20), (Kind::Deployed, 20)]).await?;
    let died = Instant::now();
    leader.kill()?;
    let taken = async {
        holder(bench, "follower", MOST_AFTER_DEATH).await?;
        let waited = died.elapsed().as_secs_f64();
        wave.settle(bench, MOST).await?;
        let order = wave.is_in_order(bench).await?;
        wave.is_done_once(bench).await?;
        Ok(format!("it leads after {waited:.1} s; {order}"))
    };
    findings
        .step("another goes on when the leader dies", taken)
        .await?;

    let next = start("next").start().await?;
    let wave = Wave::of(bench, "leader-goes", &[(Kind::Kept, 20), (Kind::Deployed, 20)]).await?;
    let told = Instant::now();
    let ended = follower.terminate().await?;
    let went = told.elapsed().as_secs_f64();
    findings.see(
        "the leader ends well when it is told to, at work",
        ended.success(),
        &format!("{ended} after {went:.1} s"),
    )?;
    let taken = async {
        holder(bench, "next", MOST_AFTER_GOODBYE).await?;
        let waited = told.elapsed().as_secs_f64();
        wave.settle(bench, MOST).await?;
        let order = wave.is_in_order(bench).await?;
        wave.is_done_once(bench).await?;
        Ok(format!("it leads after {waited:.1} s; {order}"))
    };
    findings
        .step("another goes on at once when the leader goes", taken)
        .await?;
    one_leads(findings, &next).await
}

async fn one_leads(findings: &mut Findings, leader: &Operator) -> anyhow::Result<()> {
    let metrics = leader.metrics().await?;
    let says = metrics.lines().any(|line| line == "dgdr_operator_leader 1");
    findings.see("who leads says so", says, "dgdr_operator_leader")
}

/// Waits until the lease is held by that operator.
async fn holder(bench: &Bench, name: &str, most: Duration) -> anyhow::Result<()> {
    let leases: Api<Lease> = Api::namespaced(bench.client.clone(), OPERATOR.namespace);
    let started = Instant::now();
    loop {
        let lease = leases.get_opt(LEASE).await?;
        let found = lease
            .and_then(|lease| lease.spec?.holder_identity)
            .unwrap_or_default();
        if found.starts_with(&format!("{name}_")) {
            return Ok(());
        }
        anyhow::ensure!(
            started.elapsed() < most,
            "after {most:?} the lease is held by {found:?} and not by {name}"
        );
        tokio::time::sleep(BETWEEN_LOOKS).await;
    }
}
