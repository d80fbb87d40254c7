//! Collectives of 16-bit elements, at the full bandwidth between the ranks.

use crate::SystemSpec;

/// Bytes of one element that travels.
const ELEMENT_BYTES: f64 = 2.0;

/// Every rank gets the sum: what a ring sends is twice the message, less each rank's own part.
pub fn all_reduce(system: &SystemSpec, elements: f64, gpus: u32) -> f64 {
    2.0 * exchange(system, elements, gpus)
}

/// Parts are gathered, scattered or swapped: all but each rank's own part travels.
pub fn exchange(system: &SystemSpec, elements: f64, gpus: u32) -> f64 {
    let travels = (f64::from(gpus) - 1.0) / f64::from(gpus);
    travels * elements * ELEMENT_BYTES / system.p2p_bandwidth(gpus) * 1000.0
}
