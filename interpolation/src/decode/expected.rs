//! Relative errors to expect, ready to be read.

use super::shape::Shape;
use crate::leave_one_out::LeaveOneOut;
use crate::{Half, Region, Third};

/// Errors by regions, on a row and between rows.
#[derive(Debug, Clone, Copy)]
pub(super) struct ExpectedErrors {
    on_row: [[Option<f64>; 3]; 2],
    between: [[Option<f64>; 3]; 2],
}

impl ExpectedErrors {
    /// Errors along and across add up like independent ones.
    pub(super) fn new(shape: &Shape, leave_one_out: &LeaveOneOut) -> Self {
        let table = |is_on_row| {
            [Half::Short, Half::Long].map(|context| {
                Third::ALL.map(|usage| {
                    let squares = shape.neighbours(is_on_row).iter().map(|neighbours| {
                        Some(
                            leave_one_out
                                .expected(*neighbours, Region::Loads { usage, context })?
                                .powi(2),
                        )
                    });
                    squares.sum::<Option<f64>>().map(f64::sqrt)
                })
            })
        };
        Self {
            on_row: table(true),
            between: table(false),
        }
    }

    /// The error of a part of the surface.
    pub(super) fn at(&self, (usage, context): (Third, Half), is_on_row: bool) -> Option<f64> {
        let table = if is_on_row { &self.on_row } else { &self.between };
        let half = match context {
            Half::Short => 0,
            Half::Long => 1,
        };
        table[half][usage.index()]
    }
}
