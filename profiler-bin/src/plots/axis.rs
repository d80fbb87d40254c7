//! Axes: which range they show, and where their ticks stand.

/// How values are spread over an axis.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Spread {
    Even,
    /// Equal factors take equal lengths.
    Log,
}

/// A range of values along a side of a picture.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Axis {
    low: f64,
    high: f64,
    spread: Spread,
}

/// A tick: its value and its label.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Tick {
    pub(crate) value: f64,
    pub(crate) label: String,
}

/// From this ratio of the largest to the smallest value on, equal distances hide the small ones.
const LOG_FROM_RATIO: f64 = 15.0;
/// Share of the range that is left free at either end.
const MARGIN: f64 = 0.06;

impl Axis {
    /// An axis that shows all values with a margin; a log axis when they span a wide range.
    pub(crate) fn around(values: impl IntoIterator<Item = f64>) -> Self {
        let (low, high) = extremes(values);
        if low > 0.0 && high / low >= LOG_FROM_RATIO {
            Self::log(low, high)
        } else {
            Self::even(low, high)
        }
    }

    /// An evenly spread axis that shows all values with a margin, from zero where that costs little.
    pub(crate) fn even_around(values: impl IntoIterator<Item = f64>) -> Self {
        let (low, high) = extremes(values);
        Self::even(low, high)
    }

    /// An axis without margins: for the sides of heat maps and the colour bar.
    pub(crate) fn tight(values: impl IntoIterator<Item = f64>) -> Self {
        let (low, high) = extremes(values);
        let spread = if low > 0.0 && high / low >= LOG_FROM_RATIO {
            Spread::Log
        } else {
            Spread::Even
        };
        Self { low, high, spread }
    }

    fn even(low: f64, high: f64) -> Self {
        let margin = MARGIN * (high - low);
        let from = if low >= 0.0 && low < 0.5 * high {
            0.0
        } else {
            low - margin
        };
        Self {
            low: from,
            high: high + margin,
            spread: Spread::Even,
        }
    }

    fn log(low: f64, high: f64) -> Self {
        let margin = (high / low).powf(MARGIN);
        Self {
            low: low / margin,
            high: high * margin,
            spread: Spread::Log,
        }
    }

    pub(crate) fn low(&self) -> f64 {
        self.low
    }

    /// Where a value stands, from 0 to 1; what lies outside stands at the edge.
    pub(crate) fn share(&self, value: f64) -> f64 {
        let share = match self.spread {
            Spread::Even => (value - self.low) / (self.high - self.low),
            Spread::Log => (value / self.low).ln() / (self.high / self.low).ln(),
        };
        if share.is_finite() {
            share.clamp(0.0, 1.0)
        } else {
            0.0
        }
    }

    /// The value at a share from 0 to 1.
    pub(crate) fn value(&self, share: f64) -> f64 {
        match self.spread {
            Spread::Even => self.low + share * (self.high - self.low),
            Spread::Log => self.low * (self.high / self.low).powf(share),
        }
    }

    /// Round values, at most about `most` of them.
    pub(crate) fn ticks(&self, most: u32) -> Vec<Tick> {
        match self.spread {
            Spread::Even => even_ticks(self.low, self.high, most),
            Spread::Log => log_ticks(self.low, self.high, most)
                .into_iter()
                .map(|value| Tick {
                    value,
                    label: short(value),
                })
                .collect(),
        }
    }
}

/// Smallest and largest finite value; a little apart when they are equal, and 0 to 1 when there is none.
fn extremes(values: impl IntoIterator<Item = f64>) -> (f64, f64) {
    let (low, high) = values
        .into_iter()
        .filter(|value| value.is_finite())
        .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| {
            (low.min(value), high.max(value))
        });
    if low > high {
        (0.0, 1.0)
    } else if high - low > 1e-9 * high.abs() {
        (low, high)
    } else if low.abs() > 0.0 {
        (low - 0.1 * low.abs(), high + 0.1 * high.abs())
    } else {
        (0.0, 1.0)
    }
}

/// Multiples of 1, 2 or 5 times a power of ten inside the range.
fn even_ticks(low: f64, high: f64, most: u32) -> Vec<Tick> {
    let rough = (high - low) / f64::from(most.max(1));
    let power = 10_f64.powf(rough.log10().floor());
    let step = [1.0, 2.0, 5.0]
        .map(|factor| factor * power)
        .into_iter()
        .find(|step| *step >= rough);
    let step = step.unwrap_or(10.0 * power);
    let first = (low / step - 1e-9).ceil();
    (0..=2 * most)
        // `-0` would be printed as such.
        .map(|index| (first + f64::from(index)) * step + 0.0)
        .take_while(|value| *value <= high + 1e-9 * step)
        .map(|value| Tick {
            value,
            label: label(value, step),
        })
        .collect()
}

/// 1, 2 and 5 times the powers of ten inside the range, or fewer where those are too many.
fn log_ticks(low: f64, high: f64, most: u32) -> Vec<f64> {
    let first = low.log10().floor();
    let count = u32::try_from(dgdr_units::floor_count(high.log10().ceil() - first)).unwrap_or(0);
    let within = |factors: &[f64], stride: u32| -> Vec<f64> {
        (0..=count)
            .step_by(usize::try_from(stride).unwrap_or(1))
            .map(|index| 10_f64.powf(first + f64::from(index)))
            .flat_map(|decade| factors.iter().map(move |factor| factor * decade))
            .filter(|value| (low..=high).contains(value))
            .collect()
    };
    let most = usize::try_from(most).unwrap_or(usize::MAX);
    [(&[1.0, 2.0, 5.0][..], 1), (&[1.0, 3.0], 1), (&[1.0], 1)]
        .into_iter()
        .map(|(factors, stride)| within(factors, stride))
        .find(|values| values.len() <= most)
        .unwrap_or_else(|| within(&[1.0], count.div_ceil(5)))
}

/// A number as precise as the distance to its neighbours asks for.
fn label(value: f64, step: f64) -> String {
    let decimals = (0_u8..=6)
        .find(|places| step >= 0.999 * 10_f64.powi(-i32::from(*places)))
        .unwrap_or(6);
    grouped(value, usize::from(decimals))
}

/// A number with `decimals` decimals and groups of three digits.
fn grouped(value: f64, decimals: usize) -> String {
    let plain = format!("{value:.decimals$}");
    let (sign, digits) = plain
        .strip_prefix('-')
        .map_or(("", plain.as_str()), |digits| ("−", digits));
    let (whole, rest) = digits.find('.').map_or((digits, ""), |dot| digits.split_at(dot));
    let mut groups = String::new();
    for (index, digit) in whole.chars().enumerate() {
        if index > 0 && (whole.len() - index) % 3 == 0 {
            groups.push(',');
        }
        groups.push(digit);
    }
    format!("{sign}{groups}{rest}")
}

/// A count in groups of three digits.
pub(crate) fn count(number: u64) -> String {
    grouped(dgdr_units::real(number), 0)
}

/// A number as somebody wrote it, up to three decimals.
pub(crate) fn exact(value: f64) -> String {
    let text = grouped(value, 3);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// A number with about three significant digits.
pub(crate) fn short(value: f64) -> String {
    let decimals = if value.abs() >= 100.0 {
        0
    } else if value.abs() >= 10.0 {
        1
    } else if value.abs() >= 1.0 || value.abs() < 1e-6 {
        2
    } else {
        // The zeros behind the point, then three digits.
        usize::try_from(dgdr_units::floor_count(-value.abs().log10())).unwrap_or(0) + 3
    };
    let text = grouped(value, decimals);
    if text.contains('.') {
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    } else {
        text
    }
}

#[cfg(test)]
mod tests;
