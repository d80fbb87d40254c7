//! What upstream found, and what it measured on the way.

use std::collections::BTreeMap;

use dgdr_perf_model::{Estimate, MappingWidths, ParallelMapping, Provenance};
use dgdr_sweep_planner::{Answer, Failure, Measured, Point, Query};
use dgdr_units::{Bytes, Milliseconds, RequestsPerSecond, TokensPerSecond};

const POINTS: &str = include_str!("../data/upstream_points.csv");
pub(crate) const SEARCHES: &str = include_str!("../data/upstream_searches.csv");

pub(crate) type Record = BTreeMap<String, String>;

pub(crate) fn records(text: &str, case: &str) -> Vec<Record> {
    csv::Reader::from_reader(text.as_bytes())
        .deserialize::<Record>()
        .map(Result::unwrap)
        .filter(|record| record["case"] == case)
        .collect()
}

pub(crate) fn number(record: &Record, column: &str) -> f64 {
    record[column]
        .parse()
        .unwrap_or_else(|_| panic!("{column}: {record:?}"))
}

/// A width; 1 where upstream's table has none.
pub(crate) fn width(record: &Record, column: &str) -> u32 {
    record
        .get(column)
        .filter(|text| !text.is_empty())
        .map_or(1, |_| whole(record, column))
}

/// The mapping of a worker of one role: its columns start with `role`.
pub(crate) fn mapping(record: &Record, role: &str) -> ParallelMapping {
    let width = |name: &str| width(record, &format!("{role}{name}"));
    ParallelMapping::new(MappingWidths {
        tp: width("tp"),
        pp: 1,
        attention_dp: width("dp"),
        moe_tp: width("moe_tp"),
        moe_ep: width("moe_ep"),
        cp: width("cp"),
    })
    .unwrap()
}

pub(crate) fn whole(record: &Record, column: &str) -> u32 {
    record[column]
        .parse()
        .unwrap_or_else(|_| panic!("{column}: {record:?}"))
}

pub(crate) fn ms(value: f64) -> Milliseconds {
    Milliseconds::new(value).unwrap()
}

pub(crate) fn estimate(value: f64) -> Estimate<Milliseconds> {
    Estimate {
        value: ms(value),
        provenance: Provenance::default(),
    }
}

/// Every single-worker point that upstream evaluated.
pub(crate) fn replayed(case: &str) -> BTreeMap<Query, Answer> {
    records(POINTS, case)
        .iter()
        .map(|record| {
            let batch = whole(record, "batch");
            let (point, measured): (_, Box<dyn Fn() -> Measured>) = match record["role"].as_str() {
                "prefill" => (
                    Point::Prefill { batch },
                    Box::new(|| Measured::Prefill {
                        ttft: estimate(number(record, "ttft_ms")),
                        kv_transfer: Milliseconds::ZERO,
                    }),
                ),
                "decode" => (
                    Point::Decode { batch },
                    Box::new(|| Measured::Decode {
                        itl: estimate(number(record, "tpot_ms")),
                    }),
                ),
                _ => (
                    Point::Aggregated {
                        batch,
                        context_tokens: whole(record, "context_tokens"),
                    },
                    Box::new(|| Measured::Aggregated {
                        ttft: estimate(number(record, "ttft_ms")),
                        itl: estimate(number(record, "tpot_ms")),
                        tokens_per_s: TokensPerSecond::new(number(record, "tokens_per_s")).unwrap(),
                        requests_per_s: RequestsPerSecond::new(number(record, "requests_per_s")).unwrap(),
                    }),
                ),
            };
            let full = || Failure::OutOfMemory {
                needed: Bytes::new(2),
                available: Bytes::new(1),
            };
            let answer = if record["memory"] == "fits" {
                Ok(measured())
            } else {
                Err(full())
            };
            let mapping = ParallelMapping::tp(whole(record, "tp")).unwrap();
            (Query { mapping, point }, answer)
        })
        .collect()
}
