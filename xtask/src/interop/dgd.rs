//! Upstream's tools for deployments take ours.

use serde_json::json;

use super::Bench;
use super::script::{self, Finding, Script};

pub(super) fn check(bench: &Bench) -> anyhow::Result<Vec<Finding>> {
    let runs: Vec<_> = bench
        .runs
        .iter()
        .map(|run| {
            let request = dgdr_types::resolve(&dgdr_types::parse_request(run.request)?)?;
            let mut described = run.to_json();
            described["model"] = json!(request.model);
            described["backend"] = json!(request.backend);
            described["mocked"] = json!(request.features.mocker);
            described["override"] = json!(request.overrides.dgd);
            described["total_gpus"] = json!(request.hardware.total_gpus);
            Ok(described)
        })
        .collect::<anyhow::Result<_>>()?;
    let script = Script {
        name: "dgd",
        text: include_str!("dgd.py"),
    };
    script::ask(&bench.peer, &bench.folder, script, &json!({ "runs": runs }))
}
