//! Every engine in every layout with a user's part in either version, for clusters of either version.

use dgdr_types::dgd::{ComponentGpus, ComponentType, DgdVersion, DynamoGraphDeployment, component_gpus};
use dgdr_units::Gpus;
use serde_json::{Value, json};

use super::super::{dgdr_skip, schema};
use super::*;
use crate::overrides::DgdOverride;
use crate::{FinishInput, Finished, finish};

/// A part for the engine component of this name: an argument, a variable, a label, a node selector.
fn part(version: DgdVersion, component: &str) -> DgdOverride {
    let container = json!({
        "args": ["--log-level", "debug"],
        "env": [{"name": "NCCL_DEBUG", "value": "INFO"}],
    });
    let document = match version {
        DgdVersion::V1alpha1 => json!({
            "apiVersion": "nvidia.com/v1alpha1",
            "kind": "DynamoGraphDeployment",
            "metadata": {"labels": {"team": "search"}},
            "spec": {"services": {component: {"extraPodSpec": {
                "nodeSelector": {"pool": "h200"}, "mainContainer": container,
            }}}},
        }),
        DgdVersion::V1beta1 => {
            let mut container = container;
            container["name"] = json!("main");
            container["$patch"] = json!({"args": "append"});
            json!({
                "apiVersion": "nvidia.com/v1beta1",
                "kind": "DynamoGraphDeployment",
                "metadata": {"labels": {"team": "search"}},
                "spec": {"components": [{"name": component, "podTemplate": {"spec": {
                    "nodeSelector": {"pool": "h200"}, "containers": [container],
                }}}]},
            })
        }
    };
    let Value::Object(document) = document else {
        panic!("a part is an object")
    };
    DgdOverride::parse(&document).unwrap()
}

/// The plan with a part of one version, for a cluster of another.
fn overridden(plan: &DeploymentPlan, part_version: DgdVersion, cluster: DgdVersion) -> Finished {
    let manifests = render(plan).unwrap();
    let engine = manifests
        .deployment
        .spec
        .components
        .iter()
        .find(|component| component.component_type != ComponentType::Frontend)
        .unwrap()
        .name
        .clone();
    let part = part(part_version, &engine);
    finish(
        manifests,
        FinishInput {
            version: cluster,
            part: Some(&part),
            backend: plan.backend,
            budget: Gpus::new(256),
        },
    )
    .unwrap()
}

#[test]
fn every_engine_and_layout_with_a_part_in_either_version() {
    for backend in Backend::ALL {
        for version in DgdVersion::ALL {
            let mut text = String::new();
            for (name, layout) in layouts() {
                writeln!(text, "{name}").unwrap();
                let plan = plan(backend, layout);
                let finished = overridden(&plan, version, DgdVersion::V1beta1);
                let deployment: DynamoGraphDeployment =
                    serde_json::from_value(finished.deployment.clone()).unwrap();
                for component in &deployment.spec.components {
                    writeln!(text, "  {}", line(component)).unwrap();
                }
                for warning in &finished.warnings {
                    writeln!(text, "  warning: {warning}").unwrap();
                }
                assert_eq!(finished.deployment["metadata"]["labels"]["team"], "search");
                let planned = render(&plan).unwrap().deployment.gpus();
                for cluster in DgdVersion::ALL {
                    let counted = component_gpus(&overridden(&plan, version, cluster).deployment).unwrap();
                    assert_eq!(counted.iter().map(ComponentGpus::total).sum::<u64>(), planned);
                }
            }
            insta::assert_snapshot!(format!("{backend}_overrides_{}", version.name()), text);
        }
    }
}

#[test]
fn clusters_of_either_version_accept_every_merged_shape() {
    let releases = [
        ("main-2026-05-06", DgdVersion::V1beta1),
        ("main-2026-05-06", DgdVersion::V1alpha1),
        ("v1.0.0", DgdVersion::V1alpha1),
    ];
    for (release, cluster) in releases {
        let Some(schema) = schema::of_release(release, cluster) else {
            dgdr_skip(
                "clusters_of_either_version_accept_every_merged_shape",
                "../shared is missing",
            );
            return;
        };
        for plan in every_shape() {
            for version in DgdVersion::ALL {
                let finished = overridden(&plan, version, cluster);
                let problems = schema::problems(&schema, &finished.deployment);
                assert!(problems.is_empty(), "{} {release}: {problems:#?}", plan.backend);
            }
        }
    }
}
