//! The rising sequence that is nearest to a noisy one.

/// Pools neighbours that fall until none does: the rising sequence with the least sum of squared differences. A
/// sequence that rises already comes back unchanged, to the last digit.
///
/// # Source
/// M. Ayer et al., "An empirical distribution function for sampling with incomplete information", Ann. Math. Statist.
/// 26 (1955): pool adjacent violators.
pub(crate) fn rising(values: &[f64]) -> Vec<f64> {
    let mut pools: Vec<Pool> = Vec::with_capacity(values.len());
    for value in values {
        let mut pool = Pool {
            sum: *value,
            weight: 1.0,
            count: 1,
        };
        while let Some(before) = pools.pop_if(|before| before.mean() > pool.mean()) {
            pool = Pool {
                sum: before.sum + pool.sum,
                weight: before.weight + pool.weight,
                count: before.count + pool.count,
            };
        }
        pools.push(pool);
    }
    pools
        .iter()
        .flat_map(|pool| std::iter::repeat_n(pool.mean(), pool.count))
        .collect()
}

/// Neighbours with one value.
struct Pool {
    sum: f64,
    weight: f64,
    count: usize,
}

impl Pool {
    fn mean(&self) -> f64 {
        self.sum / self.weight
    }
}

#[cfg(test)]
mod tests {
    use approx::assert_relative_eq;
    use proptest::prelude::*;

    use super::rising;

    #[test]
    fn what_falls_is_pooled_and_nothing_else_moves() {
        assert_eq!(rising(&[1.0, 2.0, 2.0, 5.0]), [1.0, 2.0, 2.0, 5.0]);
        assert_eq!(rising(&[1.0, 4.0, 2.0, 5.0]), [1.0, 3.0, 3.0, 5.0]);
        assert_eq!(rising(&[3.0, 2.0, 1.0]), [2.0; 3]);
        assert_eq!(rising(&[]), [0.0; 0]);
    }

    proptest! {
        /// Rising, with the same sum, and no rising sequence of two levels is nearer.
        #[test]
        fn the_nearest_rising_sequence(values in prop::collection::vec(0.1_f64..100.0, 1..12), split in 0_usize..12) {
            let fitted = rising(&values);
            prop_assert!(fitted.is_sorted());
            assert_relative_eq!(fitted.iter().sum::<f64>(), values.iter().sum::<f64>(), max_relative = 1e-12);
            let distance = |other: &[f64]| -> f64 { values.iter().zip(other).map(|(a, b)| (a - b).powi(2)).sum() };
            let split = split.min(values.len());
            for step in [0.01, 0.1, 1.0] {
                let moved: Vec<f64> = fitted
                    .iter()
                    .enumerate()
                    .map(|(index, value)| if index >= split { value + step } else { value - step })
                    .collect();
                prop_assert!(distance(&fitted) <= distance(&moved) + 1e-9);
            }
        }
    }
}
