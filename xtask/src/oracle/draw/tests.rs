use std::collections::{BTreeMap, BTreeSet};

use dgdr_perf_model::{Backend, ModelSpec, ParallelMapping, registry};

use super::super::question::{Mode, Platform, Question};
use super::questions;

fn drawn(seed: u64, rows: usize) -> Vec<Question> {
    let models: Vec<&ModelSpec> = registry::models().iter().collect();
    let platforms: Vec<Platform> = Backend::ALL
        .into_iter()
        .map(|backend| Platform {
            system: "h200_sxm",
            backend,
            version: "1".to_owned(),
        })
        .collect();
    questions(seed, rows, &models, &platforms)
}

#[test]
fn a_seed_always_gives_the_same_questions() {
    assert_eq!(drawn(7, 300), drawn(7, 300));
    assert_ne!(drawn(7, 300), drawn(8, 300));
    // A larger grid begins with the smaller one, so that answers that were kept serve both.
    assert_eq!(drawn(7, 300)[..200], drawn(7, 200)[..]);
}

#[test]
fn every_question_makes_sense() {
    for question in drawn(1, 3000) {
        let mapping = ParallelMapping::new(question.mapping).unwrap();
        assert!(mapping.gpus().get() <= 64, "{question:?}");
        let widths = question.mapping;
        if question.experts {
            assert_eq!(
                widths.tp * widths.attention_dp,
                widths.moe_tp * widths.moe_ep,
                "{question:?}"
            );
        } else {
            assert_eq!((widths.moe_tp, widths.moe_ep), (1, 1), "{question:?}");
        }
        let load = question.load;
        assert!(load.batch >= 1 && load.isl >= 1 && load.context_tokens >= 1);
        assert!(load.prefix < load.isl, "{question:?}");
        assert!(load.nextn_accepted <= f64::from(load.nextn), "{question:?}");
        assert_eq!(load.osl == 1, question.mode == Mode::StaticCtx, "{question:?}");
    }
}

#[test]
fn every_kind_of_question_is_drawn() {
    let questions = drawn(1, 2000);
    let mut models = BTreeMap::new();
    for question in &questions {
        *models.entry(question.model.as_str()).or_insert(0) += 1;
    }
    assert_eq!(models.len(), registry::models().len());
    let rows = models.values().min().zip(models.values().max());
    assert!(rows.is_some_and(|(least, most)| most - least <= 1), "{models:?}");
    let platforms: BTreeSet<_> = questions
        .iter()
        .map(|question| (question.platform.clone(), question.mode))
        .collect();
    assert_eq!(platforms.len(), 9);
    let kinds: [fn(&Question) -> bool; 6] = [
        |q| q.mapping.attention_dp > 1 && q.mapping.tp > 1,
        |q| q.mapping.moe_tp > 1 && q.mapping.moe_ep > 1,
        |q| q.mapping.moe_ep > 8,
        |q| q.mapping.pp > 1,
        |q| q.load.prefix > 0,
        |q| q.load.nextn > 0,
    ];
    for (index, kind) in kinds.iter().enumerate() {
        let count = questions.iter().filter(|question| kind(question)).count();
        assert!(count > 50, "kind {index}: {count}");
    }
}
