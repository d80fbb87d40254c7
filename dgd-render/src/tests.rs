use dgdr_perf_model::{Backend, KvQuant, MappingWidths, ParallelMapping};
use serde_json::json;

use super::{
    DeploymentPlan, ModelCacheMount, PlanLayout, RenderError, RouterMode, TokenExchange, TrustRemoteCode,
    WorkerPlan, render, to_yaml,
};
use shapes::{MIXED, aggregated, disaggregated, plan, planned, simulated, worker};

mod cluster;
mod cross_product;
mod laws;
pub(super) mod readers;
pub(super) mod schema;
pub(super) mod shapes;
mod versions;

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
fn simulated_engines_are_rendered_with_their_curves() {
    insta::assert_snapshot!(
        "vllm_disagg_mocker",
        yaml(&simulated(planned(plan(Backend::Vllm, disaggregated()))))
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
fn sglang_works_on_chunks_of_whole_pages_for_every_copy() {
    let chunk = |tokens, copies| {
        let mut engine = worker(ParallelMapping::dep(copies).unwrap(), 1);
        engine.max_num_tokens = tokens;
        let args = arguments(
            &plan(Backend::Sglang, PlanLayout::Aggregated { worker: engine }),
            "decode",
        );
        let (_, rest) = args.split_once("--chunked-prefill-size ").unwrap();
        rest.split(' ').next().unwrap().parse::<u32>().unwrap()
    };
    assert_eq!(chunk(6_012, 8), 8 * 6_016);
    assert_eq!(chunk(4_097, 2), 2 * 4_224);
    assert_eq!(chunk(100_000, 4), 4 * 16_384);
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

#[test]
fn a_worker_fills_its_nodes_evenly_or_not_at_all() {
    let mapping = |tp, attention_dp| {
        ParallelMapping::new(MappingWidths {
            tp,
            attention_dp,
            moe_ep: tp * attention_dp,
            ..MappingWidths::ONE
        })
        .unwrap()
    };
    let spread = |backend, per_node, mapping| {
        let mut plan = plan(
            backend,
            PlanLayout::Aggregated {
                worker: worker(mapping, 1),
            },
        );
        plan.gpus_per_node = std::num::NonZeroU32::new(per_node).unwrap();
        render(&plan).map(|manifests| {
            let worker = &manifests.deployment.spec.components[1];
            (
                worker.multinode.map(|multinode| multinode.node_count),
                worker.gpus(),
            )
        })
    };
    assert_eq!(spread(Backend::Vllm, 8, mapping(4, 4)).unwrap(), (Some(2), 16));
    assert_eq!(spread(Backend::Vllm, 4, mapping(8, 2)).unwrap(), (Some(4), 16));
    assert_eq!(spread(Backend::Sglang, 6, mapping(4, 3)).unwrap(), (Some(2), 12));
    for (backend, per_node, mapping) in [
        (Backend::Sglang, 6, mapping(16, 1)),
        // Six GPUs hold one copy of four, so that the third copy would have no place.
        (Backend::Vllm, 6, mapping(4, 3)),
    ] {
        let error = spread(backend, per_node, mapping).unwrap_err();
        assert!(matches!(error, RenderError::UnevenNodes { .. }), "{error}");
    }
}

/// Tells the test report what could not run here.
pub(crate) fn dgdr_skip(test: &str, reason: &str) {
    println!("skipped: {test}: {reason}");
}
