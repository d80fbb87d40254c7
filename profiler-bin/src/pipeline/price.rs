//! What a GPU costs, and what requests cost then.

use std::str::FromStr;

use dgdr_sweep_planner::Configuration;
use serde::{Deserialize, Serialize};

/// Requests that a cost is told for: one request costs too little to be read.
pub const REQUESTS: f64 = 1000.0;

const SECONDS_PER_HOUR: f64 = 3600.0;

/// Dollars for one hour of one GPU: finite and above zero.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "f64", into = "f64")]
pub struct GpuPrice(f64);

/// A price that is none.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
#[error("a price of {0} makes no sense; give dollars for one hour of one GPU, above zero, for example 2.5")]
pub struct PriceError(f64);

impl GpuPrice {
    /// Dollars for one hour of one GPU.
    pub const fn dollars(self) -> f64 {
        self.0
    }
}

impl TryFrom<f64> for GpuPrice {
    type Error = PriceError;

    fn try_from(dollars: f64) -> Result<Self, PriceError> {
        if dollars.is_finite() && dollars > 0.0 {
            Ok(Self(dollars))
        } else {
            Err(PriceError(dollars))
        }
    }
}

impl From<GpuPrice> for f64 {
    fn from(price: GpuPrice) -> Self {
        price.0
    }
}

impl FromStr for GpuPrice {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let dollars: f64 = text
            .parse()
            .map_err(|_| "not a number; give dollars for one hour of one GPU, for example 2.5".to_owned())?;
        Self::try_from(dollars).map_err(|error| error.to_string())
    }
}

/// GPU hours that 1,000 requests take on a deployment at full load; none when it completes no request.
pub fn gpu_hours(configuration: &Configuration) -> Option<f64> {
    let rate = configuration.performance.requests_per_s.get();
    let gpus = f64::from(configuration.total_gpus().get());
    (rate > 0.0).then(|| gpus * REQUESTS / rate / SECONDS_PER_HOUR)
}

/// What 1,000 requests cost at full load: dollars where a price is known, else GPU hours.
pub fn cost(configuration: &Configuration, price: Option<GpuPrice>) -> Option<f64> {
    gpu_hours(configuration).map(|hours| hours * price.map_or(1.0, GpuPrice::dollars))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_price_is_dollars_above_zero() {
        assert_eq!("2.5".parse::<GpuPrice>().map(GpuPrice::dollars), Ok(2.5));
        for text in ["0", "-1", "NaN", "inf", "cheap", ""] {
            let error = text.parse::<GpuPrice>().expect_err(text);
            assert!(error.contains("for example 2.5"), "{text}: {error}");
        }
    }
}
