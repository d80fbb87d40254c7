//! What a sequence keeps in memory while it is served.

use dgdr_units::{floor_count, real};

use super::GraphQuery;

/// Bytes that the sequences of one attention copy keep on one GPU.
#[derive(Debug, Clone, PartialEq)]
pub struct KvCache {
    parts: Vec<KvPart>,
    per_sequence: f64,
}

/// The layers of one kind.
#[derive(Debug, Clone, Copy, PartialEq)]
struct KvPart {
    /// Bytes of one entry.
    bytes: f64,
    /// Tokens that become one entry.
    tokens: u32,
    /// Tokens after which older ones are dropped.
    window: Option<u32>,
}

/// Beyond any sequence that an engine takes; bounds the search for the longest one.
const LONGEST: u64 = 1 << 40;

impl KvCache {
    /// Layers that keep every token.
    pub(super) fn growing(bytes_per_token: f64) -> Self {
        Self {
            parts: vec![KvPart {
                bytes: bytes_per_token,
                tokens: 1,
                window: None,
            }],
            per_sequence: 0.0,
        }
    }

    /// Adds layers that keep the last `window` tokens.
    pub(super) fn with_window(mut self, bytes_per_token: f64, window: u32) -> Self {
        self.parts.push(KvPart {
            bytes: bytes_per_token,
            tokens: 1,
            window: Some(window),
        });
        self
    }

    /// Adds what is kept of a sequence of any length.
    pub(super) const fn with_fixed(mut self, bytes: f64) -> Self {
        self.per_sequence += bytes;
        self
    }

    /// Adds layers that keep the last `window` tokens, 0 for all.
    pub(super) fn with_local(mut self, bytes_per_token: f64, window: u32) -> Self {
        if window > 0 {
            return self.with_window(bytes_per_token, window);
        }
        self.parts.push(KvPart {
            bytes: bytes_per_token,
            tokens: 1,
            window: None,
        });
        self
    }

    /// What is kept of a sequence of any length.
    pub(super) const fn fixed(bytes: f64) -> Self {
        Self {
            parts: Vec::new(),
            per_sequence: bytes,
        }
    }

    /// Adds layers that keep one entry for every `tokens` whole tokens.
    pub(super) fn with_compressed(mut self, bytes: f64, tokens: u32) -> Self {
        self.parts.push(KvPart {
            bytes,
            tokens,
            window: None,
        });
        self
    }

    /// Bytes of one sequence of `tokens` tokens.
    pub fn sequence_bytes(&self, tokens: u64) -> f64 {
        let kept = |part: &KvPart| {
            let tokens = part.window.map_or(tokens, |window| tokens.min(u64::from(window)));
            real(tokens / u64::from(part.tokens)) * part.bytes
        };
        self.per_sequence + self.parts.iter().map(kept).sum::<f64>()
    }

    /// The longest sequence that fits in `bytes`.
    pub fn longest_within(&self, bytes: f64) -> u64 {
        if let [only] = self.parts.as_slice()
            && only.window.is_none()
            && only.tokens == 1
        {
            return floor_count((bytes - self.per_sequence) / only.bytes);
        }
        let (mut fits, mut exceeds) = (0, LONGEST);
        while exceeds - fits > 1 {
            let middle = fits + (exceeds - fits) / 2;
            if self.sequence_bytes(middle) <= bytes {
                fits = middle;
            } else {
                exceeds = middle;
            }
        }
        fits
    }
}

impl GraphQuery<'_> {
    /// Keys and values of all layers, each with all tokens.
    pub(super) fn full_kv_cache(&self) -> KvCache {
        KvCache::growing(
            self.model
                .kv_bytes_per_token(self.mapping.widths().tp, self.precision.kv),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::KvCache;

    #[test]
    fn a_window_bounds_what_its_layers_keep() {
        let cache = KvCache::growing(3.0).with_window(5.0, 128);
        assert!((cache.sequence_bytes(100) - 800.0).abs() < 1e-9);
        assert!((cache.sequence_bytes(1000) - (3000.0 + 640.0)).abs() < 1e-9);
        for tokens in [1_u64, 127, 128, 129, 4096] {
            assert_eq!(cache.longest_within(cache.sequence_bytes(tokens)), tokens);
        }
        assert_eq!(cache.longest_within(0.0), 0);
    }

    #[test]
    fn compressed_layers_keep_an_entry_for_whole_groups_of_tokens() {
        let cache = KvCache::fixed(1000.0)
            .with_compressed(7.0, 4)
            .with_window(2.0, 10);
        assert!((cache.sequence_bytes(3) - 1006.0).abs() < 1e-9);
        assert!((cache.sequence_bytes(11) - (1000.0 + 14.0 + 20.0)).abs() < 1e-9);
        assert_eq!(cache.longest_within(cache.sequence_bytes(40)), 43);
        assert_eq!(cache.longest_within(999.0), 0);
    }

    #[test]
    fn without_windows_the_longest_sequence_is_a_quotient() {
        assert_eq!(KvCache::growing(3.0).longest_within(10.0), 3);
        assert_eq!(KvCache::growing(3.0).longest_within(-10.0), 0);
    }
}
