use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::path::Path;

use dgdr_perf_model::memory::FractionBasis;
use dgdr_perf_model::{Backend, KvQuant, MappingWidths, MemoryFraction, ParallelMapping};
use dgdr_types::PlannerSettings;
use dgdr_types::dgd::{ConfigMap, DynamoGraphDeployment};
use dgdr_units::{Fraction, Gpus};
use proptest::prelude::*;
use serde_json::json;

use super::{
    DeploymentPlan, ModelCacheMount, ModelLocation, PlanLayout, PlannerInput, PlannerPlan, ProfileData,
    RenderError, RouterMode, TokenExchange, TrustRemoteCode, WorkerPlan, planner_image, planner_settings,
    render, to_yaml, worker_image,
};

mod readers;
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
        exchange: TokenExchange::Collectives,
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
        image: worker_image(&super::DEFAULT_IMAGE.parse().unwrap(), backend).image,
        layout,
        gpus_per_node: NonZeroU32::new(8).unwrap(),
        router: RouterMode::RoundRobin,
        trust: TrustRemoteCode::No,
        runtime_version_override: None,
        tolerations: Vec::new(),
        planner: None,
    }
}

/// The plan with a planner that starts from curves.
fn planned(mut plan: DeploymentPlan) -> DeploymentPlan {
    let config = planner_settings(PlannerInput {
        wishes: &PlannerSettings::default(),
        served_name: &plan.model.served_name,
        backend: plan.backend,
        layout: &plan.layout,
        budget: Gpus::new(32),
        targets: None,
    });
    assert!(config.warnings.is_empty(), "{:?}", config.warnings);
    plan.planner = Some(PlannerPlan {
        image: planner_image(&plan.image).image,
        settings: config.settings,
        config_map: "planner-config-qwen3-32b".to_owned(),
        profile: Some(ProfileData {
            config_map: "planner-profile-data-qwen3-32b".to_owned(),
            files: BTreeMap::from([
                (
                    "prefill_raw_data.json".to_owned(),
                    r#"{"prefill_isl":[128]}"#.to_owned(),
                ),
                (
                    "decode_raw_data.json".to_owned(),
                    r#"{"max_kv_tokens":4096}"#.to_owned(),
                ),
            ]),
        }),
    });
    plan
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
fn a_planner_is_rendered_with_its_settings_and_curves() {
    insta::assert_snapshot!(
        "vllm_disagg_planner",
        yaml(&planned(plan(Backend::Vllm, disaggregated())))
    );
    insta::assert_snapshot!(
        "trtllm_agg_planner",
        yaml(&planned(plan(Backend::Trtllm, aggregated())))
    );
}

#[test]
fn only_what_the_planner_scales_is_handed_to_it() {
    let mut one = planned(plan(Backend::Vllm, disaggregated()));
    let scaled = |plan: &DeploymentPlan| -> Vec<String> {
        let components = render(plan).unwrap().deployment.spec.components;
        components
            .into_iter()
            .filter(|component| component.scaling_adapter.is_some())
            .map(|component| component.name)
            .collect()
    };
    assert_eq!(scaled(&one), ["decode", "prefill"]);
    let settings = &mut one.planner.as_mut().unwrap().settings;
    settings.insert("mode".to_owned(), json!("prefill"));
    assert_eq!(scaled(&one), ["prefill"]);
    let settings = &mut one.planner.as_mut().unwrap().settings;
    settings.insert("advisory".to_owned(), json!(true));
    assert_eq!(scaled(&one), Vec::<String>::new());
}

/// The arguments of the worker of this name.
fn arguments(plan: &DeploymentPlan, name: &str) -> String {
    let components = render(plan).unwrap().deployment.spec.components;
    let component = components
        .iter()
        .find(|component| component.name == name)
        .unwrap();
    component.pod_template.spec.containers[0].args.join(" ")
}

#[test]
fn workers_publish_kv_events_for_the_router_that_reads_them() {
    for (backend, flag) in [
        (Backend::Vllm, "--kv-events-config"),
        (Backend::Sglang, "--kv-events-config"),
        (Backend::Trtllm, "--publish-kv-events"),
    ] {
        let mut plan = plan(backend, disaggregated());
        assert!(!arguments(&plan, "prefill").contains(flag), "{backend}");
        plan.router = RouterMode::KvAware;
        assert!(arguments(&plan, "prefill").contains(flag), "{backend}");
        assert!(!arguments(&plan, "decode").contains(flag), "{backend}");
    }
}

#[test]
fn limits_are_counted_as_each_engine_counts_them() {
    let layout = PlanLayout::Disaggregated {
        prefill: worker(ParallelMapping::tep(8).unwrap(), 1),
        decode: worker(ParallelMapping::dep(8).unwrap(), 1),
    };
    let sglang = arguments(&plan(Backend::Sglang, layout.clone()), "decode");
    assert!(sglang.contains("--max-running-requests 4096"), "{sglang}");
    assert!(
        sglang.contains(
            "--tensor-parallel-size 8 --data-parallel-size 8 --enable-dp-attention --expert-parallel-size 8"
        ),
        "{sglang}"
    );
    let vllm = arguments(&plan(Backend::Vllm, layout.clone()), "decode");
    assert!(vllm.contains("--max-num-seqs 512"), "{vllm}");
    assert!(
        vllm.contains(
            "--tensor-parallel-size 1 --pipeline-parallel-size 1 --data-parallel-size 8 --enable-expert-parallel"
        ),
        "{vllm}"
    );
    let trtllm = arguments(&plan(Backend::Trtllm, layout), "decode");
    assert!(trtllm.contains("--max-batch-size 512"), "{trtllm}");
    assert!(
        trtllm.contains("--expert-parallel-size 8 --enable-attention-dp"),
        "{trtllm}"
    );
}

#[test]
fn an_unknown_kv_format_is_refused() {
    let mut worker = worker(ParallelMapping::tp(2).unwrap(), 1);
    worker.kv = KvQuant::Int8;
    let error = render(&plan(Backend::Vllm, PlanLayout::Aggregated { worker })).unwrap_err();
    assert_eq!(
        error.to_string(),
        "vllm has no int8 KV cache: take a checkpoint whose KV cache is bfloat16 or fp8"
    );
}

#[test]
fn a_claim_whose_name_no_volume_may_have_is_mounted_all_the_same() {
    let mut plan = plan(Backend::Vllm, aggregated());
    plan.model.cache = Some(ModelCacheMount {
        claim: "models.team-a".to_owned(),
        mount_path: "/opt/model-cache".to_owned(),
    });
    let text = yaml(&plan);
    assert!(text.contains("- name: model-cache\n"), "{text}");
    assert!(text.contains("claimName: models.team-a\n"), "{text}");
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

/// Experts that are dealt out and split, beside attention that is copied.
const MIXED: MappingWidths = MappingWidths {
    attention_dp: 8,
    moe_tp: 2,
    moe_ep: 4,
    ..MappingWidths::ONE
};

#[test]
fn experts_are_spread_as_each_engine_spreads_them() {
    let layout = |mapping: MappingWidths, exchange| PlanLayout::Disaggregated {
        prefill: WorkerPlan {
            exchange,
            ..worker(mapping.try_into().unwrap(), 1)
        },
        decode: WorkerPlan {
            exchange,
            ..worker(ParallelMapping::dep(16).unwrap(), 1)
        },
    };
    let flags = |backend, name: &str, layout: &PlanLayout| arguments(&plan(backend, layout.clone()), name);
    let mixed = layout(MIXED, TokenExchange::Collectives);
    assert!(flags(Backend::Sglang, "prefill", &mixed).contains(
        "--tensor-parallel-size 8 --data-parallel-size 8 --enable-dp-attention --expert-parallel-size 4"
    ));
    assert!(flags(Backend::Trtllm, "prefill", &mixed).contains(
        "--tensor-parallel-size 8 --pipeline-parallel-size 1 --expert-parallel-size 4 --enable-attention-dp"
    ));
    for (backend, flag) in [
        (Backend::Sglang, "--moe-a2a-backend"),
        (Backend::Vllm, "--all2all-backend"),
        (Backend::Trtllm, "--trtllm.moe_config.backend"),
    ] {
        assert!(!flags(backend, "decode", &mixed).contains(flag), "{backend}");
    }
    let kernels = layout(
        MappingWidths {
            cp: 8,
            moe_ep: 8,
            ..MappingWidths::ONE
        },
        TokenExchange::Kernels,
    );
    let prefill = flags(Backend::Sglang, "prefill", &kernels);
    assert!(prefill.contains(
        "--tensor-parallel-size 8 --attn-cp-size 8 --enable-prefill-context-parallel --expert-parallel-size 8 \
         --moe-a2a-backend deepep --deepep-mode normal"
    ));
    for (backend, flag) in [
        (
            Backend::Sglang,
            "--moe-a2a-backend deepep --deepep-mode low_latency",
        ),
        (Backend::Vllm, "--all2all-backend deepep_low_latency"),
        (Backend::Trtllm, "--trtllm.moe_config.backend WIDEEP"),
    ] {
        assert!(flags(backend, "decode", &kernels).contains(flag), "{backend}");
    }
}

/// Every shape of deployment that is rendered.
fn every_shape() -> Vec<DeploymentPlan> {
    let wide = MappingWidths {
        tp: 8,
        pp: 2,
        attention_dp: 1,
        moe_tp: 1,
        moe_ep: 1,
        cp: 1,
    };
    let wide = PlanLayout::Aggregated {
        worker: worker(ParallelMapping::new(wide).unwrap(), 1),
    };
    let experts = PlanLayout::Disaggregated {
        prefill: worker(ParallelMapping::tep(8).unwrap(), 1),
        decode: worker(ParallelMapping::dep(16).unwrap(), 2),
    };
    let mut exchanging = worker(ParallelMapping::dep(32).unwrap(), 1);
    exchanging.exchange = TokenExchange::Kernels;
    let mixed = PlanLayout::Disaggregated {
        prefill: worker(MIXED.try_into().unwrap(), 2),
        decode: exchanging,
    };
    let mut plans = Vec::new();
    for backend in Backend::ALL {
        for layout in [
            aggregated(),
            disaggregated(),
            wide.clone(),
            experts.clone(),
            mixed.clone(),
        ] {
            let hub = plan(backend, layout);
            let mut volume = hub.clone();
            volume.model.cache = Some(ModelCacheMount {
                claim: "cache".to_owned(),
                mount_path: "/opt/model-cache".to_owned(),
            });
            volume.router = RouterMode::KvAware;
            volume.tolerations = vec![json!({"key": "gpu", "operator": "Exists", "effect": "NoSchedule"})];
            let scaled = planned(hub.clone());
            plans.extend([hub, volume, scaled]);
        }
    }
    plans
}

#[test]
fn the_cluster_accepts_every_shape() {
    let crds = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/crds/main-2026-05-06");
    let Ok(crd) = std::fs::read_to_string(crds.join("nvidia.com_dynamographdeployments.yaml")) else {
        dgdr_skip("the_cluster_accepts_every_shape", "../shared is missing");
        return;
    };
    let schema = schema::deployment(&crd);
    for plan in every_shape() {
        let value = serde_json::to_value(render(&plan).unwrap().deployment).unwrap();
        let problems = schema::problems(&schema, &value);
        assert!(
            problems.is_empty(),
            "{} {:?}: {problems:#?}",
            plan.backend,
            plan.layout
        );
    }
    let right = serde_json::to_value(render(&every_shape()[0]).unwrap().deployment).unwrap();
    for (field, value) in [
        ("replica", json!(1)),
        ("name", json!("front_end")),
        ("type", json!("router")),
    ] {
        let mut wrong = right.clone();
        wrong["spec"]["components"][0][field] = value;
        let problems = schema::problems(&schema, &wrong);
        assert_eq!(problems.len(), 1, "{field}: {problems:?}");
    }
}

/// Tells the test report what could not run here.
fn dgdr_skip(test: &str, reason: &str) {
    println!("skipped: {test}: {reason}");
}

fn mappings() -> impl Strategy<Value = ParallelMapping> {
    (0_u32..4, 0_u32..2, 0_u32..4).prop_map(|(tp, pp, kind)| {
        let width = 1 << tp;
        match kind {
            0 => ParallelMapping::new(MappingWidths {
                tp: width,
                pp: pp + 1,
                attention_dp: 1,
                moe_tp: 1,
                moe_ep: 1,
                cp: 1,
            }),
            1 => ParallelMapping::tep(width * 2),
            2 => ParallelMapping::new(MappingWidths {
                tp: width,
                attention_dp: 2,
                moe_tp: 2,
                moe_ep: width,
                ..MappingWidths::ONE
            }),
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
        let deployment = render(&plan(backend, layout)).unwrap().deployment;
        let planned = prefill.gpus().get() * prefill_workers + decode.gpus().get() * decode_workers;
        prop_assert_eq!(deployment.gpus(), u64::from(planned));
        for component in &deployment.spec.components {
            prop_assert!(deployment.metadata.name.len() + component.name.len() <= 45);
            let per_pod = component.pod_template.spec.containers[0].resources.as_ref().map(|resources| {
                resources.limits["nvidia.com/gpu"].parse::<u32>().unwrap()
            });
            prop_assert!(per_pod.is_none_or(|gpus| (1..=8).contains(&gpus)));
        }
    }

    #[test]
    fn manifests_read_back_as_they_were_written(
        backend in prop::sample::select(Backend::ALL.to_vec()),
        mapping in mappings(), replicas in 1_u32..9,
    ) {
        let plan = planned(plan(backend, PlanLayout::Aggregated { worker: worker(mapping, replicas) }));
        let manifests = render(&plan).unwrap();
        let text = to_yaml(&manifests).unwrap();
        prop_assert_eq!(&text, &to_yaml(&render(&plan).unwrap()).unwrap());
        let documents: Vec<&str> = text.split("---\n").collect();
        prop_assert_eq!(documents.len(), manifests.config_maps.len() + 1);
        for (document, expected) in documents.iter().zip(&manifests.config_maps) {
            prop_assert_eq!(&serde_saphyr::from_str::<ConfigMap>(document).unwrap(), expected);
        }
        let back: DynamoGraphDeployment = serde_saphyr::from_str(documents[documents.len() - 1]).unwrap();
        prop_assert_eq!(back, manifests.deployment);
    }
}
