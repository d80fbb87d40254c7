//! Thousands of requests: how long they take, what they ask of the API server, and what it costs once they are settled.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};

use super::wave::{Kind, Wave};
use crate::e2e::bench::Bench;
use crate::e2e::finding::Findings;
use crate::e2e::manifests::OPERATOR_USER;
use crate::e2e::operator::{Operator, Starter};
use crate::e2e::requests::At;

/// How long all of them may take.
const MOST: Duration = Duration::from_mins(15);
/// What a settled operator may take.
const MOST_MEMORY: u64 = 150;
/// From `kubectl apply` to Ready, of one alone.
const MOST_FOR_ONE: Duration = Duration::from_secs(1);
/// How many are looked at one by one.
const ONE_BY_ONE: usize = 10;
/// Calls for one request: a hot loop needs more.
const MOST_CALLS: f64 = 12.0;
const BETWEEN_LOOKS: Duration = Duration::from_millis(50);
const ARGUMENTS: [&str; 2] = ["--rapid=inline", "--leader-election=false"];

/// Runs it.
pub(super) async fn check(bench: &Bench, findings: &mut Findings) -> anyhow::Result<()> {
    let count = bench.ground.load;
    let starter = Starter::new(bench, "load").with(&ARGUMENTS);
    let operator = starter.start().await?;
    let most = one_by_one(bench).await?;
    findings.see(
        "from apply to Ready within a second",
        most <= MOST_FOR_ONE,
        &format!("{} ms at most, of {ONE_BY_ONE}", most.as_millis()),
    )?;
    let audited_from = bench.audit().length()?;
    let started = Instant::now();
    let wave = Wave::of(bench, "load", &[(Kind::Kept, count)]).await?;
    let made = started.elapsed().as_secs_f64();
    findings
        .step("all requests are Ready", async {
            wave.settle(bench, MOST).await?;
            Ok(format!("{count} requests, made in {made:.1} s"))
        })
        .await?;
    until_idle(&operator, 0).await?;
    let calls = Calls::since(bench, audited_from)?;
    let each = calls.all() / real(count)?;
    findings.see(
        "no more calls than each request needs",
        each <= MOST_CALLS,
        &format!("{each:.2} for each: {}", calls.each(count)?),
    )?;
    let metrics = operator.metrics().await?;
    findings.see(
        "how long one look takes",
        true,
        &format!("p50 {}, p99 {}", within(&metrics, 0.50)?, within(&metrics, 0.99)?),
    )?;
    let (now, most) = operator.memory_mib()?;
    findings.see(
        "memory of the operator",
        most <= MOST_MEMORY,
        &format!("{now} MiB, at most {most} MiB"),
    )?;
    operator.terminate().await?;
    settled(bench, findings, &starter).await?;
    findings
        .step("what was made goes with its requests", wave.goes_away(bench))
        .await
}

/// What is settled costs looks and no writes.
async fn settled(bench: &Bench, findings: &mut Findings, starter: &Starter) -> anyhow::Result<()> {
    let audited_from = bench.audit().length()?;
    let started = Instant::now();
    let operator = starter.start().await?;
    until_idle(&operator, bench.ground.load).await?;
    let waited = started.elapsed().as_secs_f64();
    let calls = Calls::since(bench, audited_from)?;
    findings.see(
        "a new operator writes nothing where all is settled",
        calls.writes() == 0,
        &format!(
            "{} writes, idle after {waited:.1} s; {}",
            calls.writes(),
            calls.told()
        ),
    )?;
    let (now, most) = operator.memory_mib()?;
    findings.see(
        "memory of a new operator",
        most <= MOST_MEMORY,
        &format!("{now} MiB, at most {most} MiB"),
    )
}

/// The longest time from apply to Ready.
async fn one_by_one(bench: &Bench) -> anyhow::Result<Duration> {
    bench.namespace("one-by-one").await?;
    let mut longest = Duration::ZERO;
    for index in 0..ONE_BY_ONE {
        let name = format!("one-{index}");
        let at = At {
            namespace: "one-by-one",
            name: &name,
        };
        let started = Instant::now();
        bench.ask(at, &Kind::Kept.spec()).await?;
        bench.wait_for(at, "Ready", MOST).await?;
        longest = longest.max(started.elapsed());
    }
    Ok(longest)
}

/// Waits until that many looks are done and none waits.
async fn until_idle(operator: &Operator, looks: usize) -> anyhow::Result<()> {
    let started = Instant::now();
    loop {
        let metrics = operator.metrics().await?;
        let done = value(&metrics, "dgdr_operator_reconcile_duration_seconds_count")?;
        let waiting = value(&metrics, "dgdr_operator_queue_depth")?;
        if waiting == 0.0 && done >= real(looks)? {
            return Ok(());
        }
        if started.elapsed() > MOST {
            bail!("after {MOST:?} {waiting} requests wait, {done} were looked at");
        }
        tokio::time::sleep(BETWEEN_LOOKS).await;
    }
}

fn real(count: usize) -> anyhow::Result<f64> {
    Ok(f64::from(u32::try_from(count)?))
}

/// The value of a metric without labels.
fn value(metrics: &str, name: &str) -> anyhow::Result<f64> {
    let line = metrics
        .lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    let text = line.with_context(|| format!("no metric {name}"))?;
    Ok(text.trim().parse()?)
}

/// The bucket that holds this share of all looks.
fn within(metrics: &str, share: f64) -> anyhow::Result<String> {
    let name = "dgdr_operator_reconcile_duration_seconds";
    let all = value(metrics, &format!("{name}_count"))?;
    let prefix = format!("{name}_bucket{{le=\"");
    for line in metrics.lines() {
        let Some((bound, count)) = line
            .strip_prefix(&prefix)
            .and_then(|rest| rest.split_once("\"} "))
        else {
            continue;
        };
        if count.trim().parse::<f64>()? >= all * share {
            return Ok(format!("<= {bound} s"));
        }
    }
    bail!("no bucket holds that much")
}

/// Calls of the operator, by verb and kind.
struct Calls(BTreeMap<(String, String), u32>);

impl Calls {
    fn since(bench: &Bench, length: u64) -> anyhow::Result<Self> {
        let mut calls = BTreeMap::new();
        for call in bench.audit().since(length)? {
            if call.user.username == OPERATOR_USER {
                *calls.entry((call.verb, kind(&call.uri))).or_default() += 1;
            }
        }
        Ok(Self(calls))
    }

    fn all(&self) -> f64 {
        f64::from(self.0.values().sum::<u32>())
    }

    fn writes(&self) -> u32 {
        let reads = ["get", "list", "watch"];
        // A question that is asked by writing it down, and not kept.
        let question = "selfsubjectaccessreviews";
        let writes = self
            .0
            .iter()
            .filter(|((verb, kind), _)| !reads.contains(&verb.as_str()) && kind != question);
        writes.map(|(_, count)| count).sum()
    }

    fn told(&self) -> String {
        let calls = self
            .0
            .iter()
            .map(|((verb, kind), count)| format!("{verb} {kind} {count}"));
        calls.collect::<Vec<_>>().join(", ")
    }

    fn each(&self, requests: usize) -> anyhow::Result<String> {
        let requests = real(requests)?;
        let calls = self
            .0
            .iter()
            .map(|((verb, kind), count)| format!("{verb} {kind} {:.2}", f64::from(*count) / requests));
        Ok(calls.collect::<Vec<_>>().join(", "))
    }
}

/// What a path is about: its plural, and a part of the object where it names one.
fn kind(uri: &str) -> String {
    let path = uri.split('?').next().unwrap_or_default();
    let parts: Vec<&str> = path.trim_matches('/').split('/').collect();
    let (["api", _, rest @ ..] | ["apis", _, _, rest @ ..]) = parts.as_slice() else {
        return path.to_owned();
    };
    let rest = match rest {
        ["namespaces", _, rest @ ..] if !rest.is_empty() => rest,
        rest => rest,
    };
    match rest {
        [plural, _, part] => format!("{plural}/{part}"),
        [plural, ..] => (*plural).to_owned(),
        [] => "discovery".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::{kind, value, within};

    #[test]
    fn paths_are_told_by_what_they_are_about() {
        assert_eq!(kind("/api/v1/namespaces/n/configmaps/m?force=true"), "configmaps");
        let status = "/apis/nvidia.com/v1beta1/namespaces/n/dynamographdeploymentrequests/r/status";
        assert_eq!(kind(status), "dynamographdeploymentrequests/status");
        assert_eq!(kind("/apis/nvidia.com/v1beta1"), "discovery");
        assert_eq!(kind("/api/v1/namespaces/n"), "namespaces");
    }

    #[test]
    fn quantiles_are_read_from_buckets() {
        let name = "dgdr_operator_reconcile_duration_seconds";
        let metrics = format!(
            "{name}_sum 4.0\n{name}_count 10\n{name}_bucket{{le=\"0.5\"}} 5\n{name}_bucket{{le=\"1.0\"}} 9\n{name}_bucket{{le=\"+Inf\"}} 10\n"
        );
        assert_eq!(within(&metrics, 0.5).unwrap(), "<= 0.5 s");
        assert_eq!(within(&metrics, 0.99).unwrap(), "<= +Inf s");
        assert!((value(&metrics, &format!("{name}_count")).unwrap() - 10.0).abs() < f64::EPSILON);
    }
}
