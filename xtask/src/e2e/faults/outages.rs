//! The cluster itself fails: parts of the control plane crash, calls go wrong on the way, several operators act at once.

use std::time::Duration;

use nix::sys::signal::Signal;

use super::proxy::{Mishaps, Proxy};
use super::wave::Wave;
use crate::cluster::part::Part;
use crate::dice::Dice;
use crate::e2e::bench::{Bench, Plan};
use crate::e2e::finding::Findings;
use crate::e2e::operator::{Operator, Starter};

/// How long a wave may take.
const MOST: Duration = Duration::from_mins(4);
/// The longest time between crashes of the control plane, in milliseconds.
const PAUSE: u32 = 1500;
const CRASHES: [(Part, Signal); 5] = [
    (Part::ApiServer, Signal::SIGKILL),
    (Part::Etcd, Signal::SIGKILL),
    (Part::ApiServer, Signal::SIGKILL),
    (Part::Etcd, Signal::SIGTERM),
    (Part::ApiServer, Signal::SIGKILL),
];
const MISHAPS: Mishaps = Mishaps {
    refused: 8,
    lost: 5,
    late: 10,
};
const ARGUMENTS: [&str; 2] = ["--rapid=inline", "--leader-election=false"];

/// Crashes of API server and etcd.
pub(super) async fn control_plane(main: &Bench, findings: &mut Findings) -> anyhow::Result<()> {
    // A cluster of its own: an API server that has just started refuses everybody until it has read its roles, and the
    // next check should find one that is well.
    let bench = Bench::start(&main.ground, "outages", Plan::default()).await?;
    crash(&bench, findings).await?;
    bench.end()
}

async fn crash(bench: &Bench, findings: &mut Findings) -> anyhow::Result<()> {
    let mut operator = Starter::new(bench, "outages").with(&ARGUMENTS).start().await?;
    let wave = Wave::start(bench, "outages").await?;
    let mut dice = Dice::new(bench.ground.seed);
    for (part, signal) in CRASHES {
        tokio::time::sleep(Duration::from_millis(u64::from(dice.up_to(PAUSE)))).await;
        bench.cluster.end(part, signal)?;
        tokio::time::sleep(Duration::from_millis(u64::from(dice.up_to(PAUSE)))).await;
        bench.cluster.resume(part).await?;
        // An API server without etcd may give up.
        bench.cluster.resume(Part::ApiServer).await?;
    }
    wave.cancel(bench).await?;
    ends_well(bench, findings, &wave).await?;
    findings
        .step("the operator has lived through it", async {
            operator.wait_until_ready().await?;
            Ok(String::new())
        })
        .await
}

/// Calls that are refused, lost, late, and watches that break off.
pub(super) async fn calls(bench: &Bench, findings: &mut Findings) -> anyhow::Result<()> {
    let proxy = Proxy::start(bench, MISHAPS).await?;
    let operator = Starter::new(bench, "mishaps")
        .with(&ARGUMENTS)
        .by(proxy.kubeconfig())
        .spawn()?;
    let wave = Wave::start(bench, "mishaps").await?;
    wave.cancel(bench).await?;
    ends_well(bench, findings, &wave).await?;
    findings.see("things went wrong", true, &proxy.told())?;
    drop(operator);
    Ok(())
}

/// Three operators at once, none of which waits for a lease.
pub(super) async fn duplicates(bench: &Bench, findings: &mut Findings) -> anyhow::Result<()> {
    let mut operators: Vec<Operator> = Vec::new();
    for name in ["first", "second", "third"] {
        operators.push(Starter::new(bench, name).with(&ARGUMENTS).start().await?);
    }
    let wave = Wave::start(bench, "duplicates").await?;
    wave.cancel(bench).await?;
    ends_well(bench, findings, &wave).await?;
    drop(operators);
    Ok(())
}

async fn ends_well(bench: &Bench, findings: &mut Findings, wave: &Wave) -> anyhow::Result<()> {
    findings
        .step("every request ends as it should", async {
            wave.settle(bench, MOST).await?;
            Ok(String::new())
        })
        .await?;
    findings
        .step(
            "there is what must be there, and no more",
            wave.is_in_order(bench),
        )
        .await?;
    findings
        .step("nothing is made or told over and over", wave.is_done_once(bench))
        .await?;
    findings
        .step("what was made goes with its requests", wave.goes_away(bench))
        .await
}
