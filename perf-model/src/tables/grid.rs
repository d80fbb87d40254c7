//! One slice of a table: latencies over the product of sorted axes, with holes.

/// Latencies over sorted axes, outermost first; cells may be absent.
#[derive(Debug, Clone, PartialEq)]
pub struct Grid {
    pub(super) axes: Box<[Box<[u32]>]>,
    pub(super) present: Box<[bool]>,
    pub(super) codes: Box<[u32]>,
    pub(super) scale: LogScale,
    pub(super) order: Box<[u32]>,
}

/// How codes stand for latencies: `2^(floor + code × step)` milliseconds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct LogScale {
    pub(super) floor: f64,
    pub(super) step: f64,
}

impl Grid {
    /// Coordinates along each axis, ascending, outermost axis first.
    pub fn axes(&self) -> &[Box<[u32]>] {
        &self.axes
    }

    /// Number of cells, absent ones included.
    pub fn cells(&self) -> usize {
        self.codes.len()
    }

    /// Milliseconds at a cell (row-major, the innermost axis varying fastest); none where nothing was measured.
    pub fn latency(&self, cell: usize) -> Option<f64> {
        let present = *self.present.get(cell)?;
        present.then(|| {
            (self
                .scale
                .step
                .mul_add(f64::from(self.codes[cell]), self.scale.floor))
            .exp2()
        })
    }

    /// Whether something was measured at a cell.
    pub fn has(&self, cell: usize) -> bool {
        self.present.get(cell).copied().unwrap_or(false)
    }

    /// The order in which cells of the outer axes (all but the innermost) first appeared in the source, where that
    /// order matters: it breaks ties between equally near GEMM sites.
    pub fn order(&self) -> &[u32] {
        &self.order
    }
}

#[cfg(test)]
impl Grid {
    /// A grid of known latencies, quantised finely enough to be exact in tests.
    pub(crate) fn of(axes: &[&[u32]], latency: impl Fn(&[u32]) -> Option<f64>) -> Self {
        let cells: usize = axes.iter().map(|axis| axis.len()).product();
        let mut values = Vec::with_capacity(cells);
        for cell in 0..cells {
            let mut rest = cell;
            let mut at: Vec<u32> = axes
                .iter()
                .rev()
                .map(|axis| {
                    let coordinate = axis[rest % axis.len()];
                    rest /= axis.len();
                    coordinate
                })
                .collect();
            at.reverse();
            values.push(latency(&at));
        }
        let scale = LogScale {
            floor: -20.0,
            step: 1e-8,
        };
        let code = |ms: f64| {
            (0..=31).rev().fold(0_u32, |code, bit| {
                let trial = code | 1 << bit;
                if scale.step.mul_add(f64::from(trial), scale.floor) <= ms.log2() {
                    trial
                } else {
                    code
                }
            })
        };
        Self {
            axes: axes.iter().map(|axis| (*axis).into()).collect(),
            present: values.iter().map(Option::is_some).collect(),
            codes: values.iter().map(|value| value.map_or(0, code)).collect(),
            scale,
            order: Box::default(),
        }
    }

    /// The same grid with another order of first appearance.
    pub(crate) fn with_order(mut self, order: &[u32]) -> Self {
        self.order = order.into();
        self
    }
}
