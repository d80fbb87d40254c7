use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::path::Path;

use dgdr_perf_model::memory::FractionBasis;
use dgdr_perf_model::{Backend, KvQuant, MappingWidths, MemoryFraction, ParallelMapping};
use dgdr_units::Fraction;
use proptest::prelude::*;

use super::{
    DeploymentPlan, ModelCacheMount, ModelLocation, PlanLayout, RenderError, RouterMode, TrustRemoteCode,
    WorkerPlan, render, to_yaml,
};

mod schema;

fn worker(mapping: ParallelMapping, replicas: u32) -> WorkerPlan {
    WorkerPlan {
        mapping,
        replicas,
        max_batch_size: 512,
        max_num_tokens: 6012,
        max_sequence_length: 40_960,
        memory_fraction: MemoryFraction {
            value: Fraction::new(0.9).unwrap(),
            basis: FractionBasis::Total,
        },
        kv: KvQuant::Bfloat16,
    }
}

fn plan(backend: Backend, layout: PlanLayout) -> DeploymentPlan {
    DeploymentPlan {
        name: "qwen3-32b-dgd".to_owned(),
        namespace: None,
        labels: BTreeMap::new(),
        model: ModelLocation {
            id: "Qwen/Qwen3-32B".to_owned(),
            served_name: "Qwen/Qwen3-32B".to_owned(),
            path: None,
            cache: None,
        },
        backend,
        image: "nvcr.io/nvidia/ai-dynamo/vllm-runtime:0.9.0".parse().unwrap(),
        layout,
        gpus_per_node: NonZeroU32::new(8).unwrap(),
        router: RouterMode::RoundRobin,
        trust: TrustRemoteCode::No,
        runtime_version_override: None,
    }
}

fn aggregated() -> PlanLayout {
    PlanLayout::Aggregated {
        worker: worker(ParallelMapping::tp(2).unwrap(), 4),
    }
}

fn disaggregated() -> PlanLayout {
    PlanLayout::Disaggregated {
        prefill: worker(ParallelMapping::tp(1).unwrap(), 4),
        decode: worker(ParallelMapping::tp(4).unwrap(), 1),
    }
}

fn yaml(plan: &DeploymentPlan) -> String {
    to_yaml(&render(plan).unwrap()).unwrap()
}

#[test]
fn deployments_of_every_engine() {
    for backend in Backend::ALL {
        insta::assert_snapshot!(format!("{backend}_agg"), yaml(&plan(backend, aggregated())));
        insta::assert_snapshot!(format!("{backend}_disagg"), yaml(&plan(backend, disaggregated())));
    }
}

#[test]
fn weights_on_a_volume_are_mounted_everywhere() {
    let mut plan = plan(Backend::Vllm, aggregated());
    plan.model.path = Some("/opt/model-cache/hub/qwen".to_owned());
    plan.model.cache = Some(ModelCacheMount {
        claim: "model-cache".to_owned(),
        mount_path: "/opt/model-cache".to_owned(),
    });
    plan.router = RouterMode::KvAware;
    plan.trust = TrustRemoteCode::Yes;
    insta::assert_snapshot!("vllm_agg_pvc", yaml(&plan));
}

#[test]
fn names_that_the_cluster_would_refuse_are_refused_here() {
    let mut plan = plan(Backend::Trtllm, aggregated());
    plan.name = "a".repeat(34);
    let error = render(&plan).unwrap_err();
    assert!(
        matches!(
            error,
            RenderError::NameTooLong {
                length: 46,
                limit: 45,
                ..
            }
        ),
        "{error}"
    );
    plan.name = "a".repeat(33);
    assert!(render(&plan).is_ok());
}

/// Every shape of deployment that is rendered.
fn every_shape() -> Vec<DeploymentPlan> {
    let wide = MappingWidths {
        tp: 8,
        pp: 2,
        attention_dp: 1,
        moe_tp: 1,
        moe_ep: 1,
    };
    let wide = PlanLayout::Aggregated {
        worker: worker(ParallelMapping::new(wide).unwrap(), 1),
    };
    let experts = PlanLayout::Disaggregated {
        prefill: worker(ParallelMapping::tep(8).unwrap(), 1),
        decode: worker(ParallelMapping::dep(16).unwrap(), 2),
    };
    let mut plans = Vec::new();
    for backend in Backend::ALL {
        for layout in [aggregated(), disaggregated(), wide.clone(), experts.clone()] {
            let hub = plan(backend, layout);
            let mut volume = hub.clone();
            volume.model.cache = Some(ModelCacheMount {
                claim: "cache".to_owned(),
                mount_path: "/opt/model-cache".to_owned(),
            });
            volume.router = RouterMode::KvAware;
            plans.extend([hub, volume]);
        }
    }
    plans
}

#[test]
fn the_cluster_accepts_every_shape() {
    let crds = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/crds/main-2026-05-06");
    let Some(schema) = schema::deployment(&crds) else {
        dgdr_skip("the_cluster_accepts_every_shape", "../shared is missing");
        return;
    };
    for plan in every_shape() {
        let value = serde_json::to_value(render(&plan).unwrap()).unwrap();
        let problems = schema::problems(&schema, &value);
        assert!(
            problems.is_empty(),
            "{} {:?}: {problems:#?}",
            plan.backend,
            plan.layout
        );
    }
    let mut wrong = serde_json::to_value(render(&every_shape()[0]).unwrap()).unwrap();
    wrong["spec"]["components"][0]["replica"] = 1.into();
    assert_eq!(
        schema::problems(&schema, &wrong).len(),
        1,
        "an unknown field would be pruned silently"
    );
}

/// Tells the test report what could not run here.
fn dgdr_skip(test: &str, reason: &str) {
    println!("skipped: {test}: {reason}");
}

fn mappings() -> impl Strategy<Value = ParallelMapping> {
    (0_u32..4, 0_u32..2, 0_u32..3).prop_map(|(tp, pp, kind)| {
        let width = 1 << tp;
        match kind {
            0 => ParallelMapping::new(MappingWidths {
                tp: width,
                pp: pp + 1,
                attention_dp: 1,
                moe_tp: 1,
                moe_ep: 1,
            }),
            1 => ParallelMapping::tep(width * 2),
            _ => ParallelMapping::dep(width * 2),
        }
        .unwrap()
    })
}

proptest! {
    #[test]
    fn a_manifest_asks_for_exactly_the_planned_gpus(
        backend in prop::sample::select(Backend::ALL.to_vec()),
        prefill in mappings(), decode in mappings(),
        prefill_workers in 1_u32..9, decode_workers in 1_u32..9,
    ) {
        let layout = PlanLayout::Disaggregated {
            prefill: worker(prefill, prefill_workers),
            decode: worker(decode, decode_workers),
        };
        let deployment = render(&plan(backend, layout)).unwrap();
        let planned = prefill.gpus().get() * prefill_workers + decode.gpus().get() * decode_workers;
        prop_assert_eq!(deployment.gpus(), u64::from(planned));
        for component in &deployment.spec.components {
            prop_assert!(deployment.metadata.name.len() + component.name.len() <= 45);
        }
    }

    #[test]
    fn manifests_read_back_as_they_were_written(
        backend in prop::sample::select(Backend::ALL.to_vec()),
        mapping in mappings(), replicas in 1_u32..9,
    ) {
        let deployment = render(&plan(backend, PlanLayout::Aggregated { worker: worker(mapping, replicas) })).unwrap();
        let text = to_yaml(&deployment).unwrap();
        let back: dgdr_types::dgd::DynamoGraphDeployment = serde_saphyr::from_str(&text).unwrap();
        prop_assert_eq!(back, deployment);
    }
}
