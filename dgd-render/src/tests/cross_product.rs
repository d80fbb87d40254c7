//! Every engine with every feature in every layout: one snapshot an engine and feature, one line a component.
//!
//! A line leaves out what all pods share, which `deployments_of_every_engine` shows in full.

mod overridden;

use std::fmt::Write as _;

use dgdr_perf_model::Backend;
use dgdr_types::dgd::{Component, VolumeSource};

use super::shapes::{Feature, every_shape, layouts, plan};
use crate::{DeploymentPlan, render};

#[test]
fn every_engine_feature_and_layout() {
    for backend in Backend::ALL {
        for feature in Feature::ALL {
            let mut text = String::new();
            for (name, layout) in layouts() {
                writeln!(text, "{name}").unwrap();
                let deployment = render(&feature.of(plan(backend, layout))).unwrap().deployment;
                for component in &deployment.spec.components {
                    writeln!(text, "  {}", line(component)).unwrap();
                }
            }
            let name = format!("{backend}_{feature:?}").to_lowercase();
            insta::assert_snapshot!(name, text);
        }
    }
}

/// A component in a line: shape, environment, mounts, command.
fn line(component: &Component) -> String {
    let pod = &component.pod_template.spec;
    let container = &pod.containers[0];
    let mut text = format!(
        "{} ({:?}) ×{}",
        component.name,
        component.component_type,
        component.replicas.unwrap()
    );
    if let Some(nodes) = component.multinode {
        write!(text, " × {} nodes", nodes.node_count).unwrap();
    }
    if let Some(resources) = &container.resources {
        write!(text, " {} GPUs a pod", resources.limits["nvidia.com/gpu"]).unwrap();
    }
    if let Some(size) = &component.shared_memory_size {
        write!(text, " shm {size}").unwrap();
    }
    if component.scaling_adapter.is_some() {
        text.push_str(" scaled");
    }
    for secret in &pod.image_pull_secrets {
        write!(text, " pulled with {}", secret.name).unwrap();
    }
    for variable in &container.env {
        write!(text, " {}={}", variable.name, variable.value).unwrap();
    }
    for (mount, volume) in container.volume_mounts.iter().zip(&pod.volumes) {
        assert_eq!(mount.name, volume.name);
        let source = match &volume.source {
            VolumeSource::PersistentVolumeClaim(claim) => &claim.claim_name,
            VolumeSource::ConfigMap(map) => &map.name,
        };
        write!(text, " {}={source}", mount.mount_path).unwrap();
    }
    write!(
        text,
        ": {} {}",
        container.command.join(" "),
        container.args.join(" ")
    )
    .unwrap();
    text
}

/// Flags that upstream's operator adds to workers that span nodes (`backend_vllm.go`, `backend_sglang.go`): given
/// twice, the last would win. Its guard for `--data-parallel-size` sees ours.
const ADDED_BY_THE_OPERATOR: [&str; 15] = [
    "--data-parallel-address",
    "--data-parallel-hybrid-lb",
    "--data-parallel-rpc-port",
    "--data-parallel-size-local",
    "--data-parallel-start-rank",
    "--dist-init-addr",
    "--distributed-executor-backend",
    "--headless",
    "--load-format",
    "--master-addr",
    "--master-port",
    "--nnodes",
    "--node-rank",
    "--data-parallel-backend",
    "--enable-elastic-ep",
];

#[test]
fn no_flag_is_given_twice_here_or_by_the_operator() {
    for plan in every_shape() {
        for component in components(&plan) {
            let args = &component.pod_template.spec.containers[0].args;
            let mut flags: Vec<&String> = args
                .iter()
                .filter(|argument| argument.starts_with("--"))
                .collect();
            let count = flags.len();
            flags.sort();
            flags.dedup();
            assert_eq!(
                flags.len(),
                count,
                "{} of {}: {args:?}",
                component.name,
                plan.backend
            );
            for flag in flags {
                assert!(!ADDED_BY_THE_OPERATOR.contains(&flag.as_str()), "{flag}");
            }
        }
    }
}

#[test]
fn what_is_shared_is_on_every_pod() {
    for mut plan in every_shape() {
        plan.image_pull_secrets = vec!["mirror".to_owned()];
        plan.runtime_version_override = Some("1.6.1".to_owned());
        plan.tolerations = vec![serde_json::json!({"operator": "Exists"})];
        for component in components(&plan) {
            let pod = &component.pod_template.spec;
            assert_eq!(pod.image_pull_secrets.len(), 1, "{}", component.name);
            assert_eq!(pod.tolerations.len(), 1, "{}", component.name);
            assert_eq!(component.runtime_version_override.as_deref(), Some("1.6.1"));
        }
    }
}

fn components(plan: &DeploymentPlan) -> Vec<Component> {
    render(plan).unwrap().deployment.spec.components
}
