use super::*;
use proptest::prelude::*;

fn near(value: f64, expected: f64) {
    assert!((value - expected).abs() < 1e-9, "{value} is not {expected}");
}

#[test]
fn percentiles_are_numpys() {
    // numpy.percentile([1, 2, 4, 8], [0, 50, 90, 99, 100])
    for (percent, expected) in [(0.0, 1.0), (50.0, 3.0), (90.0, 6.8), (99.0, 7.88), (100.0, 8.0)] {
        near(percentile(&[1.0, 2.0, 4.0, 8.0], percent), expected);
    }
    near(percentile(&[], 50.0), 0.0);
}

#[test]
fn figures_of_a_few_values() {
    let values = [3.0, 1.0, 2.0];
    let figures = Distribution::of(&values, &values).expect("figures");
    near(figures.mean, 2.0);
    near(figures.std, (2.0_f64 / 3.0).sqrt());
    assert_eq!((figures.count, figures.ci95.is_some()), (3, true));
    assert_eq!(Distribution::of(&[], &[]), None);
    assert_eq!(confidence(&[1.0, 2.0]), None);
}

/// How often an interval covers the true mean.
fn coverage(length: usize, mut draw: impl FnMut(&mut Dice, f64) -> f64) -> u32 {
    let mut covered = 0;
    for seed in 0..400 {
        let mut dice = Dice::new(seed);
        let mut value = 0.0;
        let values: Vec<f64> = (0..length)
            .map(|_| {
                value = draw(&mut dice, value);
                value
            })
            .collect();
        let [low, high] = confidence(&values).expect("an interval");
        covered += u32::from(low <= 0.0 && 0.0 <= high);
    }
    covered
}

#[test]
fn intervals_cover_the_mean_about_as_often_as_they_promise() {
    // 95 % of 400 is 380; short runs and dependent values fall somewhat short of it.
    let short = coverage(12, |dice, _| dice.normal());
    assert!((352..=396).contains(&short), "{short}");
    let long = coverage(400, |dice, _| dice.normal());
    assert!((364..=396).contains(&long), "{long}");
    let dependent = coverage(2000, |dice, before| 0.8 * before + dice.normal());
    assert!((356..=396).contains(&dependent), "{dependent}");
}

#[test]
fn trends_are_seen_and_noise_is_not() {
    let noise = |seed| {
        let mut dice = Dice::new(seed);
        (0..500).map(|_| 10.0 + dice.normal()).collect::<Vec<f64>>()
    };
    let alarms = (0..400).filter(|seed| trend(&noise(*seed)).expect("a trend").z.abs() > 1.96);
    let alarms = alarms.count();
    assert!((8..=32).contains(&alarms), "{alarms} of 400, where 20 are due");
    let noisy = noise(4);
    let growing: Vec<f64> = (0_u32..)
        .zip(&noisy)
        .map(|(i, v)| v + f64::from(i) / 50.0)
        .collect();
    let rising = trend(&growing).expect("a trend");
    assert!(rising.z > 5.0, "{rising:?}");
    assert!((rising.change - 10.0 / 15.0).abs() < 0.1, "{rising:?}");
    assert_eq!(trend(&[1.0; 7]), None);
    near(trend(&[1.0; 9]).expect("a trend").z, 0.0);
}

proptest! {
    #[test]
    fn figures_are_in_order(values in prop::collection::vec(0.0_f64..1e6, 1..300)) {
        let figures = Distribution::of(&values, &values).expect("figures");
        let order = [figures.min, figures.p50, figures.p90, figures.p95, figures.p99, figures.max];
        prop_assert!(order.is_sorted());
        prop_assert!(figures.min <= figures.mean + 1e-9 && figures.mean <= figures.max + 1e-9);
        if let Some([low, high]) = figures.ci95 {
            prop_assert!(low <= figures.mean + 1e-6 && figures.mean <= high + 1e-6);
        }
    }

    #[test]
    fn batches_keep_the_mean(values in prop::collection::vec(-1e3_f64..1e3, 1..8), batches in 1_usize..40) {
        let repeated: Vec<f64> = values.iter().copied().cycle().take(values.len() * 40).collect();
        let means = batch_means(&repeated, batches);
        prop_assert_eq!(means.len(), batches.min(repeated.len()));
        if repeated.len().is_multiple_of(batches) {
            let whole = mean(&repeated).expect("a mean");
            prop_assert!((mean(&means).expect("a mean") - whole).abs() < 1e-6);
        }
    }

    #[test]
    fn turning_a_series_around_turns_its_trend(values in prop::collection::vec(1.0_f64..100.0, 8..60)) {
        let forward = trend(&values).expect("a trend");
        let backward = trend(&values.iter().rev().copied().collect::<Vec<_>>()).expect("a trend");
        prop_assert!((forward.z + backward.z).abs() < 1e-9);
    }
}
