//! How far predictions are from measurements.

/// Relative errors, `predicted / measured - 1`, of one latency.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Errors {
    errors: Vec<f64>,
}

impl Errors {
    /// Adds a prediction; one that is no number counts as none.
    pub(crate) fn add(&mut self, predicted: Option<f64>, measured: f64) {
        let error = predicted.map(|predicted| predicted / measured - 1.0);
        self.errors.extend(error.filter(|error| error.is_finite()));
    }

    /// Mean of the absolute errors (MAPE).
    pub(crate) fn mean(&self) -> Option<f64> {
        self.average(f64::abs)
    }

    /// Mean of the errors with their sign: whether predictions are too large.
    pub(crate) fn bias(&self) -> Option<f64> {
        self.average(|error| error)
    }

    /// Median of the absolute errors; between the two in the middle where their number is even.
    pub(crate) fn median(&self) -> Option<f64> {
        let mut sizes: Vec<f64> = self.errors.iter().map(|error| error.abs()).collect();
        sizes.sort_by(f64::total_cmp);
        let upper = sizes.get(sizes.len() / 2)?;
        let lower = sizes.get((sizes.len() - 1) / 2)?;
        Some(f64::midpoint(*lower, *upper))
    }

    fn average(&self, of: impl Fn(f64) -> f64) -> Option<f64> {
        let count = u32::try_from(self.errors.len()).ok().filter(|count| *count > 0)?;
        Some(self.errors.iter().map(|error| of(*error)).sum::<f64>() / f64::from(count))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn near(value: Option<f64>, expected: f64) {
        assert!(
            value.is_some_and(|value| (value - expected).abs() < 1e-12),
            "{value:?}"
        );
    }

    #[test]
    fn mean_median_and_bias_are_of_relative_errors() {
        let mut errors = Errors::default();
        for predicted in [50.0, 110.0, 120.0, 400.0] {
            errors.add(Some(predicted), 100.0);
        }
        near(errors.mean(), (0.5 + 0.1 + 0.2 + 3.0) / 4.0);
        near(errors.bias(), (-0.5 + 0.1 + 0.2 + 3.0) / 4.0);
        near(errors.median(), 0.35);
        errors.add(Some(100.0), 100.0);
        near(errors.median(), 0.2);
    }

    #[test]
    fn what_is_not_predicted_does_not_count() {
        let mut errors = Errors::default();
        errors.add(None, 100.0);
        errors.add(Some(f64::NAN), 100.0);
        assert_eq!(errors, Errors::default());
        assert_eq!(
            (errors.mean(), errors.median(), errors.bias()),
            (None, None, None)
        );
    }
}
