//! The shortest way: one request, one Job, one deployment.

use std::time::Duration;

use serde_json::json;

use super::bench::Bench;
use super::finding::Findings;
use super::operator::Starter;
use super::requests::At;

const MOST: Duration = Duration::from_secs(120);

/// Runs it.
pub(super) async fn check(bench: &Bench, findings: &mut Findings) -> anyhow::Result<()> {
    let operator = Starter::new(bench, "smoke").start().await?;
    bench.namespace("smoke").await?;
    let at = At {
        namespace: "smoke",
        name: "first",
    };
    let spec = json!({
        "model": "Qwen/Qwen3-0.6B",
        "backend": "vllm",
        "image": "nvcr.io/nvidia/ai-dynamo/vllm-runtime:0.9.0",
        "workload": { "isl": 3000, "osl": 150 },
        "sla": { "ttft": 200.0, "itl": 20.0 },
    });
    bench.ask(at, &spec).await?;
    let deployed = async {
        bench.wait_for(at, "Deployed", MOST).await?;
        let reasons = bench.event_reasons(at).await?;
        let told: Vec<String> = reasons
            .into_iter()
            .map(|(reason, count)| format!("{reason} {count}"))
            .collect();
        Ok(told.join(", "))
    };
    findings.step("a request is deployed", deployed).await?;
    let (now, most) = operator.memory_mib()?;
    findings.see(
        "the operator is small",
        most <= 150,
        &format!("{now} MiB, at most {most} MiB"),
    )?;
    let ended = operator.terminate().await?;
    findings.see(
        "the operator ends when it is told",
        ended.success(),
        &ended.to_string(),
    )
}
