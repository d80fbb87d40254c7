//! What to measure next: a state machine that asks one query at a time and learns from the answers.
//!
//! Widest mappings come first, so that a mapping that runs out of memory at its very first point spares all narrower
//! ones. Within a mapping and role, points go from small to large; the first point without room for its KV cache ends
//! the climb.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use dgdr_perf_model::ParallelMapping;

use crate::measurements::{Answer, Failure, Measured, Measurements, Point, Query, Role};
use crate::{Candidates, PlannerError, Problem, Sla};

mod schedule;

use schedule::decodes_per_step;
pub use schedule::{PastItl, WalkPolicy};

/// All points of one worker in one role.
#[derive(Debug, Clone)]
struct Lane {
    mapping: ParallelMapping,
    role: Role,
    points: VecDeque<Point>,
    first: Option<Point>,
}

/// Asks for the measurements that a pick needs.
///
/// ```text
/// while let Some(query) = walk.next_query() {
///     walk.record(probe.answer(query))?;
/// }
/// let measurements = walk.finish();
/// ```
///
/// The walk is deterministic: fed with the same answers it asks the same queries, so a journal of answers resumes it.
#[derive(Debug, Clone)]
pub struct Walk {
    lanes: VecDeque<Lane>,
    open: Option<Query>,
    measurements: Measurements,
    /// Mappings that ran out of memory at their first point, by role.
    exhausted: BTreeMap<Role, Vec<ParallelMapping>>,
    /// ITL beyond which a decode climb ends, where the policy asks for it.
    itl_ceiling: Option<f64>,
}

impl Walk {
    /// A walk over all candidates of a problem.
    pub fn new(problem: &Problem, candidates: &Candidates, policy: &WalkPolicy) -> Self {
        let mut lanes = VecDeque::new();
        for &mapping in candidates.kept.iter().rev() {
            if problem.serving.aggregated() {
                lanes.push_back(Lane::new(
                    mapping,
                    Role::Aggregated,
                    aggregated_points(problem, policy),
                ));
            }
            // Two roles need two workers: a mapping that leaves no GPU for the other role is never deployed.
            if problem.serving.disaggregated() && mapping.gpus() < problem.budget.total_gpus {
                lanes.push_back(Lane::new(mapping, Role::Prefill, prefill_points(policy)));
                if Role::Decode.takes(mapping) {
                    lanes.push_back(Lane::new(mapping, Role::Decode, decode_points(policy)));
                }
            }
        }
        let itl_ceiling = match problem.goal.sla() {
            Some(Sla::TokenLatency { itl, .. }) if policy.past_itl == PastItl::Stop => Some(itl.get()),
            Some(Sla::TokenLatency { .. } | Sla::RequestLatency(_)) | None => None,
        };
        Self {
            lanes,
            open: None,
            measurements: Measurements::new(),
            exhausted: BTreeMap::new(),
            itl_ceiling,
        }
    }

    /// A walk over each candidate alone, widest first.
    ///
    /// They learn nothing from each other, so that they can be walked at the same time; merged, their answers do not
    /// depend on the order. Worth it where a question costs less than what a wider worker teaches about a narrower one.
    pub fn apart(problem: &Problem, candidates: &Candidates, policy: &WalkPolicy) -> Vec<Self> {
        let alone = |&mapping: &ParallelMapping| Candidates {
            kept: vec![mapping],
            rejected: Vec::new(),
        };
        candidates
            .kept
            .iter()
            .rev()
            .map(|mapping| Self::new(problem, &alone(mapping), policy))
            .collect()
    }

    /// The query to answer next, or none when everything is known. Asking again before the answer is recorded gives
    /// the same query.
    pub fn next_query(&mut self) -> Option<Query> {
        while self.open.is_none() {
            let lane = self.lanes.front_mut()?;
            let Some(point) = lane.points.pop_front() else {
                self.lanes.pop_front();
                continue;
            };
            let query = Query {
                mapping: lane.mapping,
                point,
            };
            let exhausted = self.exhausted.get(&lane.role).into_iter().flatten().copied();
            if let Some(wider) = exhausted
                .into_iter()
                .find(|wider| holds_more(lane.mapping, *wider))
            {
                // The narrower worker holds more of everything, so it is an answer without a question.
                self.lanes.pop_front();
                self.measurements
                    .record_failure(query, Failure::WiderRanOut { wider });
                continue;
            }
            self.open = Some(query);
        }
        self.open
    }

    /// Keeps the answer to the open query.
    ///
    /// # Errors
    /// [`PlannerError::NothingAsked`] without an open query, [`PlannerError::WrongAnswer`] when the answer is of
    /// another kind (the query then stays open).
    pub fn record(&mut self, answer: Answer) -> Result<(), PlannerError> {
        let query = self.open.ok_or(PlannerError::NothingAsked)?;
        let lesson = Lesson::of(&answer);
        self.measurements.record(query, answer)?;
        self.open = None;
        self.learn(query, lesson);
        Ok(())
    }

    /// How many queries are left at most: answers can only shorten the way.
    pub fn remaining_at_most(&self) -> usize {
        self.lanes.iter().map(|lane| lane.points.len()).sum::<usize>() + usize::from(self.open.is_some())
    }

    /// What was answered so far.
    pub const fn measurements(&self) -> &Measurements {
        &self.measurements
    }

    /// Ends the walk and hands the answers over.
    pub fn finish(self) -> Measurements {
        self.measurements
    }

    fn learn(&mut self, query: Query, lesson: Lesson) {
        let Some(lane) = self.lanes.front_mut() else {
            return;
        };
        match lesson {
            Lesson::Itl(itl) if self.itl_ceiling.is_some_and(|ceiling| itl > ceiling) => lane.points.clear(),
            Lesson::Itl(_) | Lesson::Nothing => {}
            Lesson::MemoryFull => {
                if lane.first == Some(query.point) {
                    self.exhausted.entry(lane.role).or_default().push(lane.mapping);
                }
                lane.drop_larger_than(query.point);
            }
            Lesson::Hopeless => lane.points.clear(),
        }
    }
}

/// What an answer says about the points that follow.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Lesson {
    /// A decode worker's ITL in milliseconds.
    Itl(f64),
    /// Larger points have no room.
    MemoryFull,
    /// The worker cannot run.
    Hopeless,
    /// Nothing.
    Nothing,
}

impl Lesson {
    fn of(answer: &Answer) -> Self {
        match answer {
            Ok(Measured::Decode { itl }) => Self::Itl(itl.value.get()),
            Err(failure) if failure.is_memory() => Self::MemoryFull,
            Err(failure) if failure.is_final() => Self::Hopeless,
            Ok(_) | Err(_) => Self::Nothing,
        }
    }
}

impl Lane {
    fn new(mapping: ParallelMapping, role: Role, points: VecDeque<Point>) -> Self {
        Self {
            mapping,
            role,
            first: points.front().copied(),
            points,
        }
    }

    /// Memory grows with both the batch and the step's tokens, so whatever is larger in both has no room either.
    fn drop_larger_than(&mut self, full: Point) {
        self.points.retain(|point| match (*point, full) {
            (
                Point::Aggregated {
                    batch,
                    context_tokens,
                },
                Point::Aggregated {
                    batch: full_batch,
                    context_tokens: full_tokens,
                },
            ) => batch < full_batch || context_tokens < full_tokens,
            (Point::Prefill { batch }, Point::Prefill { batch: full_batch })
            | (Point::Decode { batch }, Point::Decode { batch: full_batch }) => batch < full_batch,
            _ => true,
        });
    }
}

/// Whether each GPU of a worker holds at least what each GPU of a `wider` one does.
///
/// So it is where no width is larger. Data-parallel copies of attention are left out: engines reserve memory for each.
fn holds_more(worker: ParallelMapping, wider: ParallelMapping) -> bool {
    let (narrow, wide) = (worker.widths(), wider.widths());
    narrow.attention_dp == 1
        && wide.attention_dp == 1
        && narrow.cp == wide.cp
        && narrow.tp <= wide.tp
        && narrow.pp <= wide.pp
        && narrow.moe_tp <= wide.moe_tp
        && narrow.moe_ep <= wide.moe_ep
}

fn prefill_points(policy: &WalkPolicy) -> VecDeque<Point> {
    policy
        .prefill_batches
        .iter()
        .map(|&batch| Point::Prefill { batch })
        .collect()
}

fn decode_points(policy: &WalkPolicy) -> VecDeque<Point> {
    policy
        .decode_batches
        .iter()
        .map(|&batch| Point::Decode { batch })
        .collect()
}

/// The grid of batches and context tokens, without points that upstream's rules leave out: too few requests to fill
/// the context tokens, and batches that lead to a decode share per step that was seen before.
fn aggregated_points(problem: &Problem, policy: &WalkPolicy) -> VecDeque<Point> {
    let workload = problem.workload;
    let mut seen = BTreeSet::new();
    let mut points = VecDeque::new();
    for &batch in &policy.aggregated_batches {
        for &context_tokens in &policy.context_tokens {
            let prompts = context_tokens.div_ceil(workload.isl());
            if prompts > batch || (batch > 1 && prompts == batch) {
                break;
            }
            if let Some(decodes) = decodes_per_step(workload, batch, context_tokens)
                && decodes > 1
                && !seen.insert(decodes)
            {
                continue;
            }
            points.push_back(Point::Aggregated {
                batch,
                context_tokens,
            });
        }
    }
    points
}

#[cfg(test)]
mod tests;
