use dgdr_perf_model::Backend;
use dgdr_types::dgd::{DgdVersion, convert, to_document};
use dgdr_units::Gpus;
use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::*;
use crate::tests::shapes::{aggregated, disaggregated, every_shape, plan, planned};
use crate::{DeploymentPlan, FinishInput, Finished, RenderError, finish, render};

mod crds;
mod errors;
mod merging;

/// A part as a request holds it, from YAML.
fn part(text: &str) -> Map<String, Value> {
    serde_saphyr::from_str(text).unwrap()
}

/// A deployment of 8 GPUs with a part merged in.
fn merged(plan: &DeploymentPlan, text: &str, version: DgdVersion) -> Result<Finished, RenderError> {
    let part = DgdOverride::parse(&part(text))?;
    finish(
        render(plan)?,
        FinishInput {
            version,
            part: Some(&part),
            backend: plan.backend,
            budget: Gpus::new(8),
        },
    )
}

/// Warnings and the deployment, as people read them.
fn shown(finished: &Finished) -> String {
    let deployment = Finished {
        config_maps: Vec::new(),
        ..finished.clone()
    };
    let warnings: Vec<String> = finished
        .warnings
        .iter()
        .map(|warning| format!("# {warning}\n"))
        .collect();
    warnings.concat() + &deployment.to_yaml().unwrap()
}

fn document(plan: &DeploymentPlan) -> Value {
    to_document(&render(plan).unwrap().deployment).unwrap()
}
