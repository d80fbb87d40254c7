use dgdr_perf_model::ParallelMapping;
use dgdr_units::{Bytes, Gpus, Milliseconds};

use super::{PastItl, Walk, WalkPolicy};
use crate::fixture::{answer, estimate, problem};
use crate::{Failure, Measured, Measurements, PlannerError, Point, Query, Role, Serving, candidates};

fn tp(width: u32) -> ParallelMapping {
    ParallelMapping::tp(width).unwrap()
}

fn batches(measurements: &Measurements, mapping: ParallelMapping, role: Role) -> Vec<u32> {
    measurements
        .iter()
        .filter(|(query, _)| query.mapping == mapping && query.point.role() == role)
        .map(|(query, _)| match query.point {
            Point::Aggregated { batch, .. } | Point::Prefill { batch } | Point::Decode { batch } => batch,
        })
        .collect()
}

#[test]
fn a_climb_ends_at_the_first_point_without_room() {
    let problem = problem();
    let measured = crate::fixture::measure(&problem, answer);
    // The fixture's cache ends at 30 requests a GPU; 32 is asked, found full, and nothing beyond it is.
    let decode = batches(&measured, tp(1), Role::Decode);
    assert_eq!(decode.last(), Some(&32));
    assert!(
        measured
            .get(&Query {
                mapping: tp(1),
                point: Point::Decode { batch: 32 }
            })
            .unwrap()
            .is_err()
    );
    // 120 is the last batch that fits on four GPUs, 124 the first that does not.
    assert_eq!(batches(&measured, tp(4), Role::Decode).last(), Some(&124));
}

#[test]
fn out_of_memory_when_wide_spares_the_narrow() {
    let mut problem = problem();
    problem.serving = Serving::Disaggregated;
    problem.budget.total_gpus = Gpus::new(16);
    let mut asked = Vec::new();
    let mut walk = Walk::new(
        &problem,
        &candidates(&problem),
        &WalkPolicy::sparse(problem.workload),
    );
    while let Some(query) = walk.next_query() {
        asked.push(query);
        walk.record(match query.point {
            Point::Decode { .. } if query.mapping.gpus() <= Gpus::new(4) => Err(Failure::OutOfMemory {
                needed: Bytes::new(2),
                available: Bytes::new(1),
            }),
            Point::Prefill { .. } | Point::Decode { .. } | Point::Aggregated { .. } => answer(query),
        })
        .unwrap();
    }
    let narrow: Vec<_> = asked
        .iter()
        .filter(|query| query.point.role() == Role::Decode && query.mapping.gpus() < Gpus::new(8))
        .collect();
    assert_eq!(narrow.len(), 1, "only TP4 is asked once: {narrow:?}");
    let implied = walk
        .measurements()
        .get(&Query {
            mapping: tp(1),
            point: Point::Decode { batch: 1 },
        })
        .unwrap();
    assert_eq!(*implied, Err(Failure::WiderRanOut { wider: tp(4) }));
}

#[test]
fn a_failed_point_is_data_and_a_failed_worker_ends_its_climb() {
    let mut problem = problem();
    problem.serving = Serving::Disaggregated;
    let reason = || "connection refused".to_owned();
    let measured = crate::fixture::measure(&problem, |query| match query.point {
        Point::Decode { batch: 2 } if query.mapping == tp(4) => {
            Err(Failure::PointFailed { reason: reason() })
        }
        Point::Decode { .. } if query.mapping == tp(2) => Err(Failure::WorkerFailed { reason: reason() }),
        Point::Prefill { .. } | Point::Decode { .. } | Point::Aggregated { .. } => answer(query),
    });
    assert!(batches(&measured, tp(4), Role::Decode).contains(&3));
    assert_eq!(batches(&measured, tp(2), Role::Decode), [1]);
}

#[test]
fn expensive_probes_stop_past_the_itl() {
    let mut problem = problem();
    problem.serving = Serving::Disaggregated;
    problem.goal = crate::fixture::token_sla(2000.0, 9.0);
    let policy = WalkPolicy::sparse(problem.workload);
    assert_eq!(policy.past_itl, PastItl::Stop);
    let mut walk = Walk::new(&problem, &candidates(&problem), &policy);
    while let Some(query) = walk.next_query() {
        walk.record(answer(query)).unwrap();
    }
    let measured = walk.finish();
    let itls: Vec<f64> = batches(&measured, tp(4), Role::Decode)
        .into_iter()
        .map(|batch| {
            let query = Query {
                mapping: tp(4),
                point: Point::Decode { batch },
            };
            match measured.get(&query) {
                Some(Ok(Measured::Decode { itl })) => itl.value.get(),
                other => panic!("{other:?}"),
            }
        })
        .collect();
    assert_eq!(itls.iter().filter(|itl| **itl > 9.0).count(), 1, "{itls:?}");
}

#[test]
fn a_whole_budget_leaves_no_room_for_the_other_role() {
    let problem = problem();
    let measured = crate::fixture::measure(&problem, answer);
    assert!(!batches(&measured, tp(4), Role::Prefill).is_empty());
    // Eight GPUs are the whole budget: as one role they could never be deployed.
    let mut smaller = problem;
    smaller.budget.total_gpus = Gpus::new(4);
    let measured = crate::fixture::measure(&smaller, answer);
    assert!(batches(&measured, tp(4), Role::Prefill).is_empty());
    assert!(!batches(&measured, tp(4), Role::Aggregated).is_empty());
}

#[test]
fn answers_must_fit_their_query() {
    let problem = problem();
    let mut walk = Walk::new(
        &problem,
        &candidates(&problem),
        &WalkPolicy::exhaustive(problem.workload),
    );
    let prefill = || {
        Ok(Measured::Prefill {
            ttft: estimate(1.0),
            kv_transfer: Milliseconds::ZERO,
        })
    };
    assert_eq!(walk.record(prefill()), Err(PlannerError::NothingAsked));
    let query = walk.next_query().unwrap();
    assert_eq!(query.point.role(), Role::Aggregated);
    assert!(matches!(
        walk.record(prefill()),
        Err(PlannerError::WrongAnswer { .. })
    ));
    assert_eq!(walk.next_query(), Some(query), "the query stays open");
}

#[test]
fn the_same_answers_lead_the_same_way() {
    let problem = problem();
    let left_to_ask = |walk: &mut Walk| {
        let before = walk.remaining_at_most();
        let query = walk.next_query()?;
        walk.record(answer(query)).unwrap();
        assert!(walk.remaining_at_most() < before);
        Some(query)
    };
    let start = || {
        Walk::new(
            &problem,
            &candidates(&problem),
            &WalkPolicy::exhaustive(problem.workload),
        )
    };
    let (mut first, mut second) = (start(), start());
    while let Some(query) = left_to_ask(&mut first) {
        assert_eq!(left_to_ask(&mut second), Some(query));
    }
    assert_eq!(first.finish(), second.finish());
}
