//! What is rendered is said in both versions alike.

use dgdr_perf_model::Backend;
use dgdr_types::dgd::{ComponentGpus, DgdVersion, component_gpus, convert, to_document};
use dgdr_units::Gpus;
use serde_json::{Value, json};

use super::shapes::{disaggregated, every_shape, plan, planned, simulated};
use super::{dgdr_skip, schema};
use crate::{FinishInput, finish, render, to_yaml};

fn shapes() -> Vec<Value> {
    let mut plans = every_shape();
    let mut versioned = plan(Backend::Vllm, disaggregated());
    versioned.runtime_version_override = Some("1.1.0".to_owned());
    plans.push(simulated(planned(versioned.clone())));
    plans.push(versioned);
    plans
        .iter()
        .map(|plan| to_document(&render(plan).unwrap().deployment).unwrap())
        .collect()
}

#[test]
fn either_version_says_what_is_rendered() {
    for beta in shapes() {
        let alpha = convert(&beta, DgdVersion::V1alpha1).unwrap();
        assert!(alpha.notices.is_empty());
        let back = convert(&alpha.document, DgdVersion::V1beta1).unwrap();
        assert_eq!(back.document, beta);
        assert!(back.notices.is_empty());
        let again = convert(&back.document, DgdVersion::V1alpha1).unwrap();
        assert_eq!(again.document, alpha.document);
    }
}

#[test]
fn both_versions_ask_for_the_same_gpus() {
    for plan in every_shape() {
        let deployment = render(&plan).unwrap().deployment;
        let beta = to_document(&deployment).unwrap();
        let alpha = convert(&beta, DgdVersion::V1alpha1).unwrap().document;
        let counted = component_gpus(&beta).unwrap();
        assert_eq!(component_gpus(&alpha).unwrap(), counted);
        assert_eq!(
            counted.iter().map(ComponentGpus::total).sum::<u64>(),
            deployment.gpus()
        );
    }
}

#[test]
fn old_clusters_accept_every_shape() {
    let releases = ["v1.0.0", "main-2026-05-06"];
    let schemas: Vec<Value> = releases
        .iter()
        .filter_map(|release| schema::of_release(release, DgdVersion::V1alpha1))
        .collect();
    if schemas.len() != releases.len() {
        dgdr_skip("old_clusters_accept_every_shape", "../shared is missing");
        return;
    }
    let mut plans = every_shape();
    let mut versioned = plan(Backend::Vllm, disaggregated());
    versioned.runtime_version_override = Some("1.1.0".to_owned());
    plans.push(versioned);
    for plan in plans {
        let finished = finish(render(&plan).unwrap(), input(&plan, DgdVersion::V1alpha1)).unwrap();
        for schema in &schemas {
            let problems = schema::problems(schema, &finished.deployment);
            assert!(problems.is_empty(), "{}: {problems:#?}", plan.backend);
        }
        assert_eq!(
            finished.warnings.is_empty(),
            plan.runtime_version_override.is_none(),
            "{:?}",
            finished.warnings
        );
    }
}

fn input(plan: &crate::DeploymentPlan, version: DgdVersion) -> FinishInput<'static> {
    FinishInput {
        version,
        part: None,
        backend: plan.backend,
        budget: Gpus::new(64),
    }
}

#[test]
fn without_a_part_the_deployment_stays_byte_for_byte() {
    for plan in every_shape() {
        let manifests = render(&plan).unwrap();
        let text = to_yaml(&manifests).unwrap();
        let finished = finish(manifests, input(&plan, DgdVersion::V1beta1)).unwrap();
        assert_eq!(finished.to_yaml().unwrap(), text);
    }
}

#[test]
fn services_are_written_in_reading_order() {
    let mut plan = planned(plan(Backend::Vllm, disaggregated()));
    plan.tolerations = vec![json!({"key": "gpu", "operator": "Exists", "effect": "NoSchedule"})];
    let finished = finish(render(&plan).unwrap(), input(&plan, DgdVersion::V1alpha1)).unwrap();
    insta::assert_snapshot!("vllm_disagg_planner_v1alpha1", finished.to_yaml().unwrap());
}
