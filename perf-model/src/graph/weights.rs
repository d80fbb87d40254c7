//! Bytes of the weights of blocks that are one operator.

use super::shapes::{Compression, Dsv4Shape, HyperConnectionShape};

/// Bytes of an element in 32 bits.
const FLOAT: f64 = 4.0;

/// Bytes of an element that is not quantized.
const PLAIN: f64 = 2.0;

impl Dsv4Shape {
    /// Projections of queries, keys and outputs, sinks, compressors and their index. The first half of the output
    /// projection and the weights of the index's heads are in 16 bits, positions and sinks in 32.
    pub(super) fn weight_bytes(&self) -> f64 {
        let [hidden, q_rank, o_rank, o_groups, heads, head_dim] = [
            self.hidden,
            self.q_rank,
            self.o_rank,
            self.o_groups,
            self.heads,
            self.head_dim,
        ]
        .map(f64::from);
        let [index_heads, index_dim] = [self.index_heads, self.index_dim].map(f64::from);
        let quantized =
            hidden * q_rank + q_rank * heads * head_dim + hidden * head_dim + o_groups * o_rank * hidden;
        let plain = heads * head_dim * o_rank;
        // Keys and gates of a compressor, and the positions of the tokens that it compresses.
        let compressor = |width: f64| 2.0 * hidden * width;
        let (compressed, positions, index_plain) = match self.compression {
            // Overlapping: each token is in two entries.
            Compression::Sparse => (
                compressor(2.0 * head_dim) + compressor(2.0 * index_dim) + q_rank * index_heads * index_dim,
                4.0 * 2.0 * (head_dim + index_dim),
                hidden * index_heads,
            ),
            Compression::Heavy => (compressor(head_dim), 128.0 * head_dim, 0.0),
        };
        (quantized + compressed) * self.gemm.bytes()
            + (plain + index_plain) * PLAIN
            + (positions + heads) * FLOAT
    }
}

impl HyperConnectionShape {
    /// The mixing matrix of all streams, its bias and three scales, in 32 bits.
    pub(super) fn weight_bytes(&self) -> f64 {
        let streams = f64::from(self.streams);
        let rows = (2.0 + streams) * streams;
        (rows * streams * f64::from(self.hidden) + rows + 3.0) * FLOAT
    }
}
