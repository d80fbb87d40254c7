use dgdr_perf_model::{Backend, MappingWidths};
use dgdr_units::{Bytes, Gpus};

use super::{Rejection, candidates, min_gpus_per_worker};
use crate::fixture::{count, problem};
use crate::{AttentionKind, ExpertFacts, ModelKind, ProbeKind, Problem, SearchSpace};

fn kept(problem: &Problem) -> Vec<u32> {
    candidates(problem)
        .kept
        .iter()
        .map(|mapping| mapping.gpus().get())
        .collect()
}

fn reason(problem: &Problem, tp: u32) -> Rejection {
    candidates(problem)
        .rejected
        .into_iter()
        .find(|rejected| rejected.mapping.tp == tp)
        .map(|rejected| rejected.reason)
        .unwrap()
}

#[test]
fn every_width_up_to_a_node_is_tried() {
    assert_eq!(kept(&problem()), [1, 2, 4, 8]);
    assert_eq!(
        reason(&problem(), 16),
        Rejection::WiderThanNode {
            tp: 16,
            gpus_per_node: 8
        }
    );
}

#[test]
fn weights_decide_the_narrowest_width() {
    let mut problem = problem();
    // 0.9 of three GPUs' memory: three GPUs hold it, which rounds up to four.
    let memory = problem.system.memory.get();
    problem.model.weights = Bytes::new(memory * 27 / 10);
    assert_eq!(min_gpus_per_worker(&problem), 4);
    assert_eq!(kept(&problem), [4, 8]);
    let reason = reason(&problem, 2);
    assert_eq!(
        reason.to_string(),
        "does not fit by 63.4 GiB: weights take 190.3 GiB of each GPU, 90 % of its memory are 126.9 GiB"
    );
    assert!(reason.remedy().contains("at least 4 GPUs"));
}

#[test]
fn a_model_too_large_for_a_node_keeps_nothing_and_says_so() {
    let mut problem = problem();
    problem.model.weights = Bytes::new(problem.system.memory.get() * 20);
    let found = candidates(&problem);
    assert!(found.kept.is_empty());
    assert!(matches!(
        found.rejected.last().unwrap().reason,
        Rejection::WiderThanNode { tp: 32, .. }
    ));
}

#[test]
fn few_heads_are_refused_with_the_guides_remedy() {
    let mut problem = problem();
    problem.model.attention_heads = count(16);
    assert_eq!(kept(&problem), [1, 2, 4]);
    let reason = reason(&problem, 8);
    assert_eq!(
        reason.to_string(),
        "the simulator needs at least 4 attention heads per GPU: 16 heads over tp = 8 leave 2, so the widest is \
         tp = 4 (16 / 4)"
    );
    assert!(reason.remedy().starts_with("set hardware.maxNumGpusPerEngine: 4"));
}

#[test]
fn real_engines_have_no_head_rule_but_still_divide() {
    let mut problem = problem();
    problem.probe = ProbeKind::Measured;
    problem.model.attention_heads = count(12);
    assert_eq!(kept(&problem), [1, 2, 4]);
    assert_eq!(
        reason(&problem, 8).to_string(),
        "12 attention heads cannot be split evenly over tp = 8"
    );
}

#[test]
fn the_users_limits_are_named_before_the_models() {
    let mut problem = problem();
    problem.model.attention_heads = count(12);
    problem.budget.max_gpus_per_engine = Some(Gpus::new(4));
    problem.budget.total_gpus = Gpus::new(2);
    assert_eq!(kept(&problem), [1, 2]);
    assert!(matches!(
        reason(&problem, 8),
        Rejection::WiderThanEngineLimit { .. }
    ));
    assert!(matches!(reason(&problem, 4), Rejection::OverBudget { .. }));
}

fn mixture(attention: AttentionKind) -> Problem {
    let mut problem = problem();
    problem.budget.total_gpus = Gpus::new(64);
    problem.model.kind = ModelKind::MixtureOfExperts(ExpertFacts {
        experts: count(128),
        intermediate: count(1536),
        block: count(128),
        attention,
    });
    problem
}

fn names(problem: &Problem) -> Vec<String> {
    candidates(problem).kept.iter().map(ToString::to_string).collect()
}

/// Width, GPUs and reason of a rejected mapping.
fn why(problem: &Problem, mapping: &str) -> String {
    candidates(problem)
        .rejected
        .into_iter()
        .find(|rejected| rejected.mapping.to_string() == mapping)
        .map(|rejected| rejected.reason.to_string())
        .unwrap()
}

#[test]
fn the_guides_matrix_is_kept() {
    let grouped = mixture(AttentionKind::Grouped);
    assert_eq!(
        names(&grouped),
        [
            "TP1", "DEP2", "TEP2", "TP2", "DEP4", "TEP4", "TP4", "DEP8", "TEP8", "DEP16", "TEP16", "DEP32"
        ]
    );
    assert_eq!(
        why(&grouped, "TP8"),
        "experts of hidden size 1536 in blocks of 128 cannot be split over 8 ranks"
    );
    assert!(why(&grouped, "TEP32").contains("64 heads over tp = 32"));
    assert_eq!(
        why(&grouped, "DEP64"),
        "64 GPUs are more than 4 nodes of 8 GPUs, the most of one worker"
    );
    let latent = mixture(AttentionKind::Latent);
    assert_eq!(
        names(&latent),
        [
            "TP1", "DEP2", "TEP2", "DEP4", "TEP4", "DEP8", "TEP8", "DEP16", "TEP16", "DEP32"
        ]
    );
}

#[test]
fn the_wide_space_is_upstreams() {
    let mut problem = mixture(AttentionKind::Grouped);
    problem.space = SearchSpace::Wide;
    problem.model.kind = ModelKind::MixtureOfExperts(ExpertFacts {
        experts: count(128),
        intermediate: count(768),
        block: count(1),
        attention: AttentionKind::Grouped,
    });
    // Counted by upstream's own enumeration of tp, dp, moe_tp and moe_ep in 1, 2, 4, 8, 16.
    for (backend, mappings) in [(Backend::Sglang, 55), (Backend::Trtllm, 29), (Backend::Vllm, 29)] {
        problem.backend = backend;
        let found = candidates(&problem);
        assert_eq!(found.kept.len(), mappings, "{backend}");
        assert_eq!(found.kept.len() + found.rejected.len(), 55, "{backend}");
    }
}

#[test]
fn extensions_widen_the_wide_space_only() {
    let mut problem = mixture(AttentionKind::Latent);
    problem.backend = Backend::Sglang;
    problem.extensions.context_parallel = vec![2, 4, 8];
    problem.extensions.exchanged_experts = vec![8, 16, 32];
    problem.extensions.pipeline_stages = vec![2];
    assert!(
        candidates(&problem)
            .kept
            .iter()
            .all(|mapping| mapping.widths().cp == 1)
    );
    problem.space = SearchSpace::Wide;
    let kept = candidates(&problem).kept;
    let has = |wanted: MappingWidths| kept.iter().any(|mapping| mapping.widths() == wanted);
    assert!(has(MappingWidths {
        attention_dp: 64,
        moe_ep: 64,
        ..MappingWidths::ONE
    }));
    assert!(has(MappingWidths {
        cp: 8,
        moe_ep: 8,
        ..MappingWidths::ONE
    }));
    assert!(has(MappingWidths {
        tp: 8,
        pp: 2,
        moe_ep: 8,
        ..MappingWidths::ONE
    }));
}

#[test]
fn prompts_of_a_dense_model_are_split_within_a_node() {
    let mut problem = problem();
    problem.space = SearchSpace::Wide;
    problem.extensions.context_parallel = vec![2, 4, 8];
    assert_eq!(
        names(&problem),
        ["TP1", "TP1 CP2", "TP2", "TP1 CP4", "TP4", "TP1 CP8", "TP8"]
    );
}
