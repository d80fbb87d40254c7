//! Predicts a grid cell's code from cells before it, so that only small residuals need storing.
//!
//! A Lorenzo predictor over a subset of the axes: the inclusion-exclusion sum over the corners of the hypercube that
//! ends at the cell. Latencies are close to products of powers of the coordinates, so their logarithms are close to
//! planes, which it predicts exactly. The writer tries all subsets and keeps the one with the smallest residuals.

/// Codes of a grid in the order of their cells, with the neighbours each is predicted from.
#[derive(Debug)]
pub struct Predictor {
    shape: Vec<usize>,
    /// For each subset of the axes (bit i: axis i), the neighbours: how many cells back, and with which sign.
    corners: Vec<Vec<(usize, i64)>>,
    axes: usize,
}

impl Predictor {
    /// A predictor for grids of `shape` (outermost axis first) over the axes in the bit set `axes`.
    ///
    /// Bits beyond the number of axes are ignored.
    pub fn new(shape: &[usize], axes: u8) -> Self {
        let subsets = 1_usize << shape.len();
        let strides: Vec<usize> = (0..shape.len())
            .map(|axis| shape[axis + 1..].iter().product())
            .collect();
        let corners = (0..subsets)
            .map(|subset| {
                (1..subsets)
                    .filter(|corner| corner & !subset == 0)
                    .map(|corner| {
                        let back = strides
                            .iter()
                            .enumerate()
                            .filter(|(axis, _)| corner >> axis & 1 == 1)
                            .map(|(_, stride)| stride)
                            .sum();
                        (back, if corner.count_ones() % 2 == 1 { 1 } else { -1 })
                    })
                    .collect()
            })
            .collect();
        Self {
            shape: shape.to_vec(),
            corners,
            axes: usize::from(axes) & (subsets - 1),
        }
    }

    /// Fills `codes` cell by cell: `code(cell, prediction)` gives the code of each, predicted from those before.
    ///
    /// # Errors
    /// The first error of `code`.
    pub fn fill<E>(
        &self,
        codes: &mut [u32],
        mut code: impl FnMut(usize, i64) -> Result<u32, E>,
    ) -> Result<(), E> {
        let mut index = vec![0_usize; self.shape.len()];
        for cell in 0..codes.len() {
            // Axes with a predecessor of this cell.
            let reachable = index
                .iter()
                .enumerate()
                .filter(|(_, position)| **position > 0)
                .fold(0_usize, |bits, (axis, _)| bits | 1 << axis);
            let subset = match self.axes & reachable {
                0 => innermost(reachable),
                subset => subset,
            };
            let prediction = self.corners[subset]
                .iter()
                .map(|(back, sign)| sign * i64::from(codes[cell - back]))
                .sum();
            codes[cell] = code(cell, prediction)?;
            advance(&mut index, &self.shape);
        }
        Ok(())
    }
}

/// The highest set bit alone: the innermost axis of a set.
const fn innermost(axes: usize) -> usize {
    match axes.checked_ilog2() {
        Some(bit) => 1 << bit,
        None => 0,
    }
}

fn advance(index: &mut [usize], shape: &[usize]) {
    for (position, length) in index.iter_mut().zip(shape).rev() {
        *position += 1;
        if *position < *length {
            return;
        }
        *position = 0;
    }
}

/// The residual of `code` as an unsigned number of `bits` bits that is small when the prediction was good.
pub fn zigzag(code: u32, prediction: i64, bits: u32) -> u32 {
    let modulus = 1_i64 << bits;
    let wrapped = (i64::from(code) - prediction).rem_euclid(modulus);
    let folded = if wrapped < modulus / 2 {
        2 * wrapped
    } else {
        2 * (modulus - wrapped) - 1
    };
    u32::try_from(folded).unwrap_or(u32::MAX)
}

/// The code whose [`zigzag`] residual is `folded`.
pub fn unzigzag(folded: u32, prediction: i64, bits: u32) -> u32 {
    let half = i64::from(folded >> 1);
    let delta = if folded & 1 == 0 { half } else { -half - 1 };
    u32::try_from((prediction + delta).rem_euclid(1_i64 << bits)).unwrap_or(u32::MAX)
}

/// The code that an absent cell takes, so that it disturbs its neighbours' predictions least.
pub fn absent(prediction: i64, bits: u32) -> u32 {
    u32::try_from(prediction.clamp(0, (1_i64 << bits) - 1)).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests;
