//! Blocks of a KV cache, some of which hold prefixes that requests share.

use std::collections::{BTreeMap, BTreeSet};

/// A KV cache of equal blocks.
#[derive(Debug)]
pub struct KvCache {
    total: u32,
    /// Blocks that belong to one request alone.
    private: u32,
    /// Blocks that hold a prefix, by its name.
    prefixes: BTreeMap<u64, Prefix>,
    /// Prefixes that nobody uses, the longest unused first.
    unused: BTreeSet<(u64, u64)>,
    clock: u64,
}

#[derive(Debug, Clone, Copy)]
struct Prefix {
    users: u32,
    last_used: u64,
}

/// What a request holds of a cache.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Holding {
    prefixes: Vec<u64>,
    private: u32,
}

impl Holding {
    /// Blocks in all.
    pub fn blocks(&self) -> u32 {
        self.private
            .saturating_add(u32::try_from(self.prefixes.len()).unwrap_or(u32::MAX))
    }
}

impl KvCache {
    /// An empty cache.
    pub const fn new(total: u32) -> Self {
        Self {
            total,
            private: 0,
            prefixes: BTreeMap::new(),
            unused: BTreeSet::new(),
            clock: 0,
        }
    }

    /// Blocks that requests hold; unused prefixes do not count, they make room.
    pub fn used(&self) -> u32 {
        let shared = self.prefixes.len() - self.unused.len();
        self.private
            .saturating_add(u32::try_from(shared).unwrap_or(u32::MAX))
    }

    /// How many of these leading blocks are there.
    pub fn cached(&self, names: &[u64]) -> usize {
        names
            .iter()
            .take_while(|name| self.prefixes.contains_key(name))
            .count()
    }

    /// Takes blocks for a prompt: `names` for its full blocks (found or new), and `private` more; none without room.
    pub fn take(&mut self, names: &[u64], private: u32) -> Option<Holding> {
        let mut holding = Holding::default();
        for name in names {
            if !self.use_prefix(*name) {
                self.give_back(holding);
                return None;
            }
            holding.prefixes.push(*name);
        }
        for _ in 0..private {
            if !self.grow(&mut holding) {
                self.give_back(holding);
                return None;
            }
        }
        Some(holding)
    }

    /// Adds a block to what a request holds; false without room.
    pub fn grow(&mut self, holding: &mut Holding) -> bool {
        let has_room = self.make_room();
        if has_room {
            self.private += 1;
            holding.private += 1;
        }
        has_room
    }

    /// Takes back what a request held; prefixes stay until their room is needed.
    pub fn give_back(&mut self, holding: Holding) {
        self.private -= holding.private;
        // Ends of prompts are of the least use to others, so they go first.
        for name in holding.prefixes.into_iter().rev() {
            self.clock += 1;
            if let Some(prefix) = self.prefixes.get_mut(&name) {
                prefix.users -= 1;
                prefix.last_used = self.clock;
                if prefix.users == 0 {
                    self.unused.insert((self.clock, name));
                }
            }
        }
    }

    fn use_prefix(&mut self, name: u64) -> bool {
        if let Some(prefix) = self.prefixes.get_mut(&name) {
            self.unused.remove(&(prefix.last_used, name));
            prefix.users += 1;
            return true;
        }
        let has_room = self.make_room();
        if has_room {
            let prefix = Prefix {
                users: 1,
                last_used: self.clock,
            };
            self.prefixes.insert(name, prefix);
        }
        has_room
    }

    /// Whether a block is free, perhaps after an unused prefix was forgotten.
    fn make_room(&mut self) -> bool {
        let prefixes = u32::try_from(self.prefixes.len()).unwrap_or(u32::MAX);
        if self.private.saturating_add(prefixes) < self.total {
            return true;
        }
        let Some((_, oldest)) = self.unused.pop_first() else {
            return false;
        };
        self.prefixes.remove(&oldest);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn prefixes_are_shared_kept_and_forgotten() {
        let mut cache = KvCache::new(4);
        let one = cache.take(&[1, 2], 1).expect("room");
        let other = cache.take(&[1, 2], 1).expect("room");
        assert_eq!((cache.used(), one.blocks()), (4, 3));
        assert_eq!(cache.take(&[1], 1), None);
        cache.give_back(one);
        assert_eq!(cache.used(), 3);
        cache.give_back(other);
        assert_eq!((cache.used(), cache.cached(&[1, 2, 3])), (0, 2));
        let third = cache.take(&[7, 8, 9], 0).expect("room");
        assert_eq!(cache.cached(&[1, 2]), 1, "the end of a prefix is forgotten first");
        cache.give_back(third);
    }

    proptest! {
        #[test]
        fn blocks_are_conserved(
            total in 1_u32..30,
            steps in prop::collection::vec((0_u64..8, 0_u64..8, 0_u32..6, any::<bool>()), 0..60),
        ) {
            let mut cache = KvCache::new(total);
            let mut held: Vec<Holding> = Vec::new();
            for (from, length, private, gives_back) in steps {
                if gives_back {
                    if let Some(holding) = held.pop() {
                        cache.give_back(holding);
                    }
                } else {
                    let names: Vec<u64> = (from..from + length).collect();
                    held.extend(cache.take(&names, private));
                }
                let mut names: Vec<u64> = held.iter().flat_map(|holding| holding.prefixes.clone()).collect();
                names.sort_unstable();
                names.dedup();
                let private: u32 = held.iter().map(|holding| holding.private).sum();
                prop_assert_eq!(cache.used(), private + u32::try_from(names.len()).expect("few"));
                prop_assert!(cache.used() <= total);
            }
        }
    }
}
