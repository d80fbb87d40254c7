//! The Pareto front of user speed against total throughput.

use super::choice::Choice;
use super::judge::Judge;
use crate::outcome::ParetoPoint;

/// Choices that no other one offered so far beats in both.
#[derive(Debug, Default)]
pub(super) struct Front {
    /// By ascending ITL; tokens ascend too, strictly.
    choices: Vec<(f64, Choice)>,
}

impl Front {
    /// Takes a choice in if nothing held is as fast for the user and as productive.
    pub(super) fn offer(&mut self, judge: &Judge<'_>, choice: &Choice) {
        let tokens = f64::from(judge.copies_that_fit(choice)) * choice.tokens_per_s;
        let place = self
            .choices
            .partition_point(|(_, held)| held.itl.total_cmp(&choice.itl).is_lt());
        let beaten_by_faster = place
            .checked_sub(1)
            .is_some_and(|before| self.choices[before].0 >= tokens);
        let beaten_by_equal = self
            .choices
            .get(place)
            .is_some_and(|(held_tokens, held)| held.itl <= choice.itl && *held_tokens >= tokens);
        if beaten_by_faster || beaten_by_equal {
            return;
        }
        let end = self.choices[place..]
            .iter()
            .take_while(|(held_tokens, _)| *held_tokens <= tokens)
            .count();
        self.choices
            .splice(place..place + end, std::iter::once((tokens, *choice)));
    }

    /// The front, fastest for the user first, each with as many copies as the budget holds.
    pub(super) fn points(&self, judge: &Judge<'_>) -> Vec<ParetoPoint> {
        self.choices
            .iter()
            .filter_map(|(_, choice)| {
                Some(ParetoPoint {
                    configuration: judge.configured(choice, judge.copies_that_fit(choice))?,
                    meets_sla: judge.excess(choice) <= 0.0,
                })
            })
            .collect()
    }
}
