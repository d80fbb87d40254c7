use dgdr_units::{Bytes, Gpus};

use super::{Rejection, candidates, min_tensor_parallelism};
use crate::fixture::{count, problem};
use crate::{ModelKind, ProbeKind, Problem};

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
        .find(|rejected| rejected.tp == tp)
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
    assert_eq!(min_tensor_parallelism(&problem), 4);
    assert_eq!(kept(&problem), [4, 8]);
    let reason = reason(&problem, 2);
    assert_eq!(
        reason.to_string(),
        "weights take 190.3 GiB of each GPU, more than 90 % of its 141.0 GiB"
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

#[test]
fn experts_are_refused_by_name() {
    let mut problem = problem();
    problem.model.kind = ModelKind::MixtureOfExperts { experts: count(128) };
    let found = candidates(&problem);
    assert!(found.kept.is_empty());
    assert!(found.rejected[0].reason.to_string().contains("128 experts"));
}
