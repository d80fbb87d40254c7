use std::collections::BTreeMap;

use dgdr_perf_model::{Backend, ParallelMapping};
use dgdr_types::dgd::Component;

use crate::tests::shapes::{aggregated, disaggregated, plan, planned, simulated, worker};
use crate::{PlanLayout, RouterMode, TrustRemoteCode, render, to_yaml};

fn values(component: &Component) -> BTreeMap<String, String> {
    let args = &component.pod_template.spec.containers[0].args;
    let pairs = args.windows(2).filter(|pair| pair[0].starts_with("--"));
    pairs.map(|pair| (pair[0].clone(), pair[1].clone())).collect()
}

#[test]
fn a_simulated_deployment_keeps_the_shape_of_the_real_one_without_gpus() {
    for backend in Backend::ALL {
        for layout in [aggregated(), disaggregated()] {
            let real = planned(plan(backend, layout));
            let mocked = simulated(real.clone());
            let shape = |plan| -> Vec<_> {
                let components = render(plan).unwrap().deployment.spec.components;
                components
                    .into_iter()
                    .map(|component| {
                        (
                            component.name,
                            component.component_type,
                            component.replicas,
                            component.scaling_adapter,
                        )
                    })
                    .collect()
            };
            assert_eq!(shape(&mocked), shape(&real), "{backend}");
            let deployment = render(&mocked).unwrap().deployment;
            assert_eq!(deployment.gpus(), 0);
            assert_eq!(deployment.spec.backend_framework, None);
        }
    }
}

#[test]
fn a_simulated_engine_has_the_limits_of_the_real_one_for_each_copy() {
    let mut engine = worker(ParallelMapping::dep(16).unwrap(), 2);
    engine.kv_tokens = 100_007;
    let mut plan = simulated(plan(
        Backend::Trtllm,
        PlanLayout::Disaggregated {
            prefill: worker(ParallelMapping::tp(4).unwrap(), 1),
            decode: engine,
        },
    ));
    plan.trust = TrustRemoteCode::Yes;
    plan.router = RouterMode::KvAware;
    let components = render(&plan).unwrap().deployment.spec.components;
    assert_eq!(components[1].multinode, None);
    let decode = values(&components[1]);
    for (flag, value) in [
        ("--engine-type", "trtllm"),
        ("--disaggregation-mode", "decode"),
        ("--data-parallel-size", "16"),
        ("--block-size", "32"),
        ("--num-gpu-blocks-override", "3125"),
        ("--max-num-seqs", "512"),
        ("--max-num-batched-tokens", "6012"),
        ("--max-model-len", "40960"),
        (
            "--planner-profile-data",
            "/workspace/profiling_results/mocker.npz",
        ),
    ] {
        assert_eq!(decode[flag], value, "{flag}");
    }
    // Its parser knows no such flag.
    assert!(!to_yaml(&render(&plan).unwrap()).unwrap().contains("trust"));
}

#[test]
fn curves_that_planner_and_engines_share_are_written_once() {
    let both = simulated(planned(plan(Backend::Vllm, disaggregated())));
    let names: Vec<String> = render(&both)
        .unwrap()
        .config_maps
        .into_iter()
        .map(|map| map.metadata.name)
        .collect();
    assert_eq!(
        names,
        ["planner-config-qwen3-32b", "planner-profile-data-qwen3-32b"]
    );
    let mut apart = both;
    apart.mocker.as_mut().unwrap().profile.config_map = "mocker-profile-data-qwen3-32b".to_owned();
    let manifests = render(&apart).unwrap();
    assert_eq!(manifests.config_maps.len(), 3);
    let text = to_yaml(&manifests).unwrap();
    assert_eq!(
        text.matches("name: mocker-profile-data-qwen3-32b").count(),
        3,
        "{text}"
    );
}
