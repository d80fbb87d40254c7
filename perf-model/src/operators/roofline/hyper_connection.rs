//! Hyper-connections: several residual streams, mixed before a block and written back after it.

use dgdr_units::real;

use super::slower;
use crate::SystemSpec;
use crate::graph::{HyperConnectionShape, HyperConnectionSide};
use crate::quant::ComputeRate;

/// Connections of one layer: around attention and around the feed-forward network.
const SITES: f64 = 2.0;

/// Bytes of an element of a stream or a parameter.
const ELEMENT: f64 = 2.0;

/// Bytes of a mixing weight.
const MIX: f64 = 4.0;

/// One side of a layer's connections.
pub fn hyper_connection(system: &SystemSpec, shape: &HyperConnectionShape, tokens: u64) -> f64 {
    let (tokens, streams, hidden) = (real(tokens), f64::from(shape.streams), f64::from(shape.hidden));
    let state = streams * hidden;
    // How every stream is read, written, and mixed into every other.
    let weights = (2.0 + streams) * streams;
    let through = 2.0 * tokens * state * ELEMENT;
    let (operations, extra) = match shape.side {
        HyperConnectionSide::Pre => {
            let operations = 2.0 * state * weights
                + 3.0 * state
                + weights * f64::from(shape.sinkhorn_iterations)
                + 2.0 * state;
            (tokens * operations, tokens * weights * MIX)
        }
        HyperConnectionSide::Post => (tokens * 2.0 * state * (streams + 1.0), 0.0),
    };
    let parameters = shape.parameters() * ELEMENT;
    slower(
        system,
        SITES * operations,
        SITES * (parameters + through + extra),
        ComputeRate::Bfloat16,
    )
}
