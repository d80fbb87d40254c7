//! What holds for every request, from its text to its manifests.

use std::collections::BTreeSet;

use dgdr_perf_model::{Backend, KvCapacityQuery};
use dgdr_render::{DeploymentPlan, Manifests, PlanLayout, WorkerPlan, render, to_yaml};
use dgdr_sweep_planner::{Configuration, Granularity, Layout, Outcome, SearchSpace};
use dgdr_types::dgd::Component;
use dgdr_types::names::{MAX_DGD_AND_COMPONENT, is_dns_label};
use dgdr_types::{parse_request, resolve};
use dgdr_units::Gpus;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::{DeploymentInput, name_of_model, plan};
use crate::error::ProfilerError;
use crate::kernel_tables::KernelTables;
use crate::pipeline::comparison::simulate;
use crate::pipeline::curve_files::curve_files;
use crate::pipeline::curves::{CurveRequest, measure};
use crate::pipeline::limits::{Half, Limits};
use crate::pipeline::options::{Pictures, ProfileOptions, UnmetSla};
use crate::pipeline::request::{engine_tables, question};
use crate::probe::{KvTransfer, SimulatedProbe};
use crate::progress::Progress;

/// A request, its pick, and what became of it.
struct Deployed {
    budget: Gpus,
    pick: Configuration,
    limits: Limits,
    context: u64,
    plan: DeploymentPlan,
    manifests: Manifests,
    probe: SimulatedProbe,
}

/// All steps of a run without files; none where nothing fits the GPUs.
fn deploy(text: &str, space: SearchSpace) -> Result<Option<Deployed>, ProfilerError> {
    let request = resolve(&parse_request(text)?)?;
    let options = ProfileOptions {
        model_config: None,
        tables: KernelTables::default(),
        transfer: KvTransfer::default(),
        pictures: Pictures::Skip,
        unmet_sla: UnmetSla::TakeClosest,
        price: None,
        granularity: Granularity {
            prefill: 4,
            decode: 3,
        },
        dgd_version: dgdr_types::dgd::DgdVersion::V1beta1,
        space,
        threads: std::num::NonZeroUsize::MIN,
    };
    let question = question(&request, &options)?.question;
    crate::cli::block_on(async {
        let mut found = simulate(&question, engine_tables(&request, &options), &Progress::hidden()).await?;
        let pick = match &found.winner().decision.outcome {
            Outcome::Met(pick) => pick.clone(),
            Outcome::Closest(closest) => closest.pick.clone(),
            Outcome::Infeasible { .. } => return Ok(None),
        };
        let limits = Limits::of_layout(&pick.layout, question.workload);
        let chosen = found.chosen;
        let curve_request = CurveRequest {
            pick: &pick,
            limits: &limits,
            context_length: question.model.context_length,
            isl: question.workload.isl(),
            osl: question.workload.osl(),
            granularity: options.granularity,
        };
        let curves = measure(curve_request, &mut found.probes[chosen]).await?;
        let study = &found.studies[chosen];
        let files = curve_files(&curves, &curves.origins(&question, study))?;
        let input = DeploymentInput {
            request: &request,
            question: &question,
            study,
            pick: &pick,
            limits: &limits,
            curves: &curves,
            curve_files: &files,
        };
        let plan = plan(input, &mut found.probes[chosen]).await?.plan;
        let manifests = render(&plan)?;
        Ok(Some(Deployed {
            budget: question.hardware.total_gpus,
            pick,
            limits,
            context: u64::from(question.model.context_length),
            plan,
            manifests,
            probe: found.probes.swap_remove(chosen),
        }))
    })?
}

/// A request in which everything is drawn that a deployment depends on.
fn requests() -> impl Strategy<Value = Value> {
    let model = prop::sample::select(vec![
        "Qwen/Qwen3-0.6B",
        "Qwen/Qwen3-32B",
        "meta-llama/Meta-Llama-3.1-70B",
        "Qwen/Qwen3-30B-A3B",
        "deepseek-ai/DeepSeek-V3",
    ]);
    let backend = prop::sample::select(vec!["vllm", "sglang", "trtllm"]);
    let gpu = prop::sample::select(vec!["h100_sxm", "h200_sxm", "b200_sxm"]);
    let hardware = (gpu, prop::sample::select(vec![4_u32, 8]), 1_u32..6);
    let workload = (64_u32..9_000, 2_u32..1_500, prop::option::of(1_u32..300));
    let sla = prop::option::of((50_u32..5_000, 5_u32..100));
    let features = (any::<[bool; 5]>(), "[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?");
    (model, backend, hardware, workload, sla, features).prop_map(
        |(model, backend, (gpu, per_node, nodes), (isl, osl, load), sla, (switches, name))| {
            let [planner, mocker, router, volume, trusted] = switches;
            let mut spec = json!({
                "model": model,
                "backend": backend,
                "image": "nvcr.io/nvidia/ai-dynamo/dynamo-planner:1.6.1",
                "hardware": {"gpuSku": gpu, "numGpusPerNode": per_node, "totalGpus": per_node * nodes},
                "workload": {"isl": isl, "osl": osl},
                "features": {"mocker": {"enabled": mocker}, "kvRouter": {"enabled": router}},
                "overrides": {"trustRemoteCode": trusted},
            });
            if planner {
                spec["features"]["planner"] = json!({});
            }
            if volume {
                spec["modelCache"] = json!({"pvcName": "weights", "pvcModelPath": "hub/model"});
            }
            if let Some(requests) = load {
                spec["workload"]["concurrency"] = json!(requests);
            }
            if let Some((ttft, itl)) = sla {
                spec["sla"] = json!({"ttft": ttft, "itl": itl});
            }
            json!({"metadata": {"name": name}, "spec": spec})
        },
    )
}

fn workers(plan: &DeploymentPlan) -> Vec<(Half, &WorkerPlan)> {
    match &plan.layout {
        PlanLayout::Aggregated { worker } => vec![(Half::Decode, worker)],
        PlanLayout::Disaggregated { prefill, decode } => {
            vec![(Half::Decode, decode), (Half::Prefill, prefill)]
        }
    }
}

fn arguments(component: &Component) -> &[String] {
    &component.pod_template.spec.containers[0].args
}

/// The value of a flag.
fn value<'a>(component: &'a Component, flag: &str) -> &'a str {
    let args = arguments(component);
    let at = args.iter().position(|argument| argument == flag);
    &args[at.unwrap_or_else(|| panic!("{flag} is missing: {args:?}")) + 1]
}

/// The flags of each engine's memory share, longest sequence, sequences and step.
fn flags(backend: Backend, half: Half) -> [Option<&'static str>; 4] {
    match backend {
        Backend::Vllm => [
            Some("--gpu-memory-utilization"),
            Some("--max-model-len"),
            Some("--max-num-seqs"),
            Some("--max-num-batched-tokens"),
        ],
        Backend::Sglang => [
            Some("--mem-fraction-static"),
            Some("--context-length"),
            Some("--max-running-requests"),
            // A decode engine of SGLang has no such limit.
            (half == Half::Prefill).then_some("--max-prefill-tokens"),
        ],
        Backend::Trtllm => [
            Some("--trtllm.kv_cache_config.free_gpu_memory_fraction"),
            Some("--max-seq-len"),
            Some("--max-batch-size"),
            Some("--max-num-tokens"),
        ],
    }
}

/// A worker's flags say what the memory model says of an engine that is started with them.
fn flags_follow_the_memory_model(deployed: &mut Deployed, half: Half, component: &Component) {
    let worker = workers(&deployed.plan)
        .into_iter()
        .find(|(of, _)| *of == half)
        .map(|(_, worker)| worker.clone())
        .unwrap();
    let widths = worker.mapping.widths();
    let engine = deployed.probe.engine(worker.mapping).unwrap();
    let capacity = engine
        .kv_capacity(KvCapacityQuery {
            max_num_tokens: worker.max_num_tokens,
            role: deployed.limits.engine(half).role,
        })
        .unwrap();
    let tokens = capacity.tokens.get();
    let longest = deployed.context.min(tokens).to_string();
    if deployed.plan.mocker.is_some() {
        let block: u64 = value(component, "--block-size").parse().unwrap();
        let blocks: u64 = value(component, "--num-gpu-blocks-override").parse().unwrap();
        assert_eq!(blocks, tokens / block);
        assert_eq!(value(component, "--max-model-len"), longest);
        assert_eq!(
            value(component, "--data-parallel-size"),
            widths.attention_dp.to_string()
        );
        return;
    }
    let [share, length, sequences, step] = flags(deployed.plan.backend, half);
    assert_eq!(
        value(component, share.unwrap()),
        capacity.memory.fraction.value.to_string()
    );
    assert_eq!(value(component, length.unwrap()), longest);
    let schedulers = match deployed.plan.backend {
        Backend::Vllm => widths.pp,
        Backend::Sglang => widths.pp * widths.attention_dp,
        Backend::Trtllm => 1,
    };
    let accepted: u32 = value(component, sequences.unwrap()).parse().unwrap();
    assert_eq!(accepted, worker.max_batch_size * schedulers);
    let picked = match (&deployed.pick.layout, half) {
        (Layout::Aggregated { batch_size, .. }, _) => *batch_size,
        (Layout::Disaggregated { prefill, .. }, Half::Prefill) => prefill.batch_size,
        (Layout::Disaggregated { decode, .. }, Half::Decode) => decode.batch_size,
    };
    assert!(accepted >= picked * schedulers, "{accepted} of {picked}");
    if let Some(step) = step {
        let block = if deployed.plan.backend == Backend::Trtllm {
            32
        } else {
            1
        };
        let whole = worker.max_num_tokens.next_multiple_of(block);
        assert_eq!(value(component, step), whole.to_string());
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn every_request_gives_manifests_that_keep_its_bounds(
        request in requests(),
        space in prop::sample::select(vec![SearchSpace::Guide, SearchSpace::Wide]),
    ) {
        let text = request.to_string();
        let Some(mut deployed) = deploy(&text, space).unwrap() else {
            return Ok(());
        };
        let deployment = deployed.manifests.deployment.clone();
        let planned: u64 = workers(&deployed.plan)
            .iter()
            .map(|(_, worker)| u64::from(worker.mapping.gpus().get() * worker.replicas))
            .sum();
        prop_assert_eq!(planned, u64::from(deployed.pick.gpus.get() * deployed.pick.replicas));
        prop_assert!(planned <= u64::from(deployed.budget.get()));
        let is_real = deployed.plan.mocker.is_none();
        prop_assert_eq!(deployment.gpus(), if is_real { planned } else { 0 });
        let mut names = BTreeSet::new();
        for component in &deployment.spec.components {
            prop_assert!(names.insert(component.name.clone()));
            prop_assert!(deployment.metadata.name.len() + component.name.len() <= MAX_DGD_AND_COMPONENT);
            let flags: Vec<&String> =
                arguments(component).iter().filter(|argument| argument.starts_with("--")).collect();
            let once: BTreeSet<&&String> = flags.iter().collect();
            prop_assert_eq!(once.len(), flags.len(), "{:?}", flags);
        }
        prop_assert!(is_dns_label(&deployment.metadata.name));
        for (half, worker) in workers(&deployed.plan.clone()) {
            let role = match (&deployed.plan.layout, half) {
                (PlanLayout::Aggregated { .. }, _) => deployment.spec.components[1].name.as_str(),
                (PlanLayout::Disaggregated { .. }, Half::Decode) => "decode",
                (PlanLayout::Disaggregated { .. }, Half::Prefill) => "prefill",
            };
            let component = deployment.spec.components.iter().find(|component| component.name == role).unwrap();
            if is_real {
                let copies = u64::from(worker.replicas);
                prop_assert_eq!(component.gpus(), u64::from(worker.mapping.gpus().get()) * copies);
            }
            flags_follow_the_memory_model(&mut deployed, half, component);
        }
        let again = deploy(&text, space).unwrap().unwrap();
        prop_assert_eq!(to_yaml(&deployed.manifests).unwrap(), to_yaml(&again.manifests).unwrap());
    }
}

proptest! {
    #[test]
    fn every_model_name_makes_a_name_of_a_deployment(model in "\\PC{0,120}", backend in prop::sample::select(Backend::ALL.to_vec())) {
        let name = name_of_model(&model, backend);
        prop_assert!(is_dns_label(&name), "{}", name);
        prop_assert!(name.len() + "TRTLLMWorker".len() <= MAX_DGD_AND_COMPONENT, "{}", name);
    }
}
