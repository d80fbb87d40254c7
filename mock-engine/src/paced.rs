//! An ideal engine: requests do not get into each other's way.
//!
//! The first token of a request comes a fixed time after it was let in, the others at fixed distances, however many are
//! served. So whatever a client measures beyond that is its own, or the network's.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use crate::core::{Core, EngineLimits, Load, NewRequest, Token};

/// An ideal engine.
#[derive(Debug)]
pub struct Paced {
    ttft: Duration,
    itl: Duration,
    limits: EngineLimits,
    waiting: VecDeque<NewRequest>,
    running: BTreeMap<u64, Running>,
    due: BTreeSet<(Duration, u64)>,
    used_blocks: u32,
}

#[derive(Debug, Clone, Copy)]
struct Running {
    started: Duration,
    left: u32,
    blocks: u32,
}

impl Paced {
    /// An engine of fixed times to the first and between later tokens.
    pub const fn new(ttft: Duration, itl: Duration, limits: EngineLimits) -> Self {
        Self {
            ttft,
            itl,
            limits,
            waiting: VecDeque::new(),
            running: BTreeMap::new(),
            due: BTreeSet::new(),
            used_blocks: 0,
        }
    }

    /// Lets requests in, in their order, as long as there is room.
    fn admit(&mut self, now: Duration) {
        while let Some(next) = self.waiting.front() {
            let blocks = self.limits.blocks_of(next.tokens());
            let is_full = self.load().running >= self.limits.max_num_seqs;
            if is_full || self.used_blocks.saturating_add(blocks) > self.limits.kv_blocks {
                return;
            }
            let Some(request) = self.waiting.pop_front() else {
                return;
            };
            self.used_blocks += blocks;
            self.due.insert((now + self.ttft, request.id));
            let running = Running {
                started: now,
                left: request.output_tokens.max(1),
                blocks,
            };
            self.running.insert(request.id, running);
        }
    }

    fn remove(&mut self, id: u64) {
        if let Some(running) = self.running.remove(&id) {
            self.used_blocks -= running.blocks;
        }
    }
}

impl Core for Paced {
    fn arrive(&mut self, at: Duration, request: NewRequest) {
        self.waiting.push_back(request);
        self.admit(at);
    }

    fn cancel(&mut self, id: u64) {
        self.waiting.retain(|request| request.id != id);
        self.due.retain(|(_, due)| *due != id);
        self.remove(id);
    }

    fn due(&self) -> Option<Duration> {
        self.due.first().map(|(at, _)| *at)
    }

    fn advance(&mut self, tokens: &mut Vec<Token>) {
        let Some((now, id)) = self.due.pop_first() else {
            return;
        };
        let Some(running) = self.running.get_mut(&id) else {
            return;
        };
        running.left -= 1;
        let is_last = running.left == 0;
        tokens.push(Token {
            id,
            at: now,
            cached_tokens: 0,
            started: running.started,
            is_last,
        });
        if is_last {
            self.remove(id);
            self.admit(now);
        } else {
            self.due.insert((now + self.itl, id));
        }
    }

    fn load(&self) -> Load {
        let count = |length: usize| u32::try_from(length).unwrap_or(u32::MAX);
        Load {
            running: count(self.running.len()),
            waiting: count(self.waiting.len()),
            used_blocks: self.used_blocks,
            preemptions: 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    fn request(id: u64, output_tokens: u32) -> NewRequest {
        NewRequest {
            id,
            prompt_tokens: 100,
            prefix_blocks: Vec::new(),
            output_tokens,
        }
    }

    fn run(engine: &mut Paced) -> Vec<(u64, u128)> {
        let mut tokens = Vec::new();
        while engine.due().is_some() {
            engine.advance(&mut tokens);
        }
        tokens
            .iter()
            .map(|token| (token.id, token.at.as_millis()))
            .collect()
    }

    #[test]
    fn requests_keep_their_pace_however_many_there_are() {
        let mut engine = Paced::new(50 * MS, 10 * MS, EngineLimits::default());
        engine.arrive(Duration::ZERO, request(1, 3));
        engine.arrive(5 * MS, request(2, 2));
        assert_eq!(run(&mut engine), [(1, 50), (2, 55), (1, 60), (2, 65), (1, 70)]);
        assert_eq!(engine.load(), Load::default());
    }

    #[test]
    fn without_room_requests_wait_and_cancelled_ones_make_room() {
        let limits = EngineLimits {
            max_num_seqs: 1,
            ..EngineLimits::default()
        };
        let mut engine = Paced::new(50 * MS, 10 * MS, limits);
        for id in 1..=3 {
            engine.arrive(Duration::ZERO, request(id, 1));
        }
        assert_eq!((engine.load().running, engine.load().waiting), (1, 2));
        engine.cancel(2);
        assert_eq!(run(&mut engine), [(1, 50), (3, 100)]);
    }
}
