//! Whole predictions for every known model against the reference predictor (see `data/README.md`).
#![expect(
    clippy::unwrap_used,
    reason = "what a test's helper cannot unwrap fails the test"
)]

use std::collections::BTreeMap;

use dgdr_perf_model::{
    AggregatedQuery, Backend, ContextQuery, Engine, ExchangePolicy, GenerationQuery, MappingWidths,
    MemoryBreakdown, MemoryFit, ModelFamily, ModelSpec, ParallelMapping, PerfDatabase, PerfModelError,
    Precision, Speculation, SystemSpec, registry,
};
use serde::Deserialize;

/// Largest relative difference of a number.
const TOLERANCE: f64 = 0.005;

/// Experts in fp8 blocks that tensor parallelism would cut: the reference refuses them in some families, we in all.
fn cuts_blocks(reason: &PerfModelError) -> bool {
    matches!(reason, PerfModelError::ExpertsNotAligned { .. })
}

/// Families of whose keys and values the reference counts none, for want of a number of heads that all layers share.
const WITHOUT_CACHE: [ModelFamily; 1] = [ModelFamily::NemotronNas];

#[derive(Debug, Deserialize)]
struct Row {
    model: String,
    system: String,
    backend: Backend,
    version: String,
    mode: Mode,
    tp: u32,
    pp: u32,
    attention_dp: u32,
    moe_tp: u32,
    moe_ep: u32,
    batch: u32,
    isl: u32,
    osl: u32,
    prefix: u32,
    context_tokens: u32,
    nextn: u32,
    nextn_accepted: f64,
    ttft_ms: Option<f64>,
    tpot_ms: Option<f64>,
    memory_gib: Option<f64>,
    fit: Fit,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Mode {
    StaticCtx,
    StaticGen,
    Agg,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Fit {
    Fits,
    OutOfMemory,
    KvOutOfMemory,
}

impl From<MemoryFit> for Fit {
    fn from(fit: MemoryFit) -> Self {
        match fit {
            MemoryFit::Fits => Self::Fits,
            MemoryFit::OutOfMemory { .. } => Self::OutOfMemory,
            MemoryFit::KvOutOfMemory { .. } => Self::KvOutOfMemory,
        }
    }
}

/// Our numbers: TTFT, TPOT, memory.
type Numbers = (Option<f64>, Option<f64>, MemoryBreakdown);

impl Row {
    fn database(&self) -> PerfDatabase {
        let system = SystemSpec::by_name(&self.system).unwrap();
        PerfDatabase::embedded(system, self.backend, Some(&self.version)).unwrap()
    }

    fn model(&self) -> &'static ModelSpec {
        registry::find(&self.model).unwrap()
    }

    fn mapping(&self) -> ParallelMapping {
        let experts = self.model().is_mixture_of_experts();
        ParallelMapping::new(MappingWidths {
            tp: self.tp,
            pp: self.pp,
            attention_dp: self.attention_dp,
            moe_tp: if experts { self.moe_tp } else { 1 },
            moe_ep: if experts { self.moe_ep } else { 1 },
            cp: 1,
        })
        .unwrap()
    }

    fn engine(&self, database: &PerfDatabase) -> Result<Engine, PerfModelError> {
        let database = &database.clone().with_exchange(match self.mode {
            Mode::StaticCtx | Mode::StaticGen => ExchangePolicy::AcrossNodes,
            Mode::Agg => ExchangePolicy::Collectives,
        });
        let precision = Precision::infer(self.model(), database)?;
        let speculation = if self.nextn == 0 {
            Speculation::NONE
        } else {
            Speculation::new(self.nextn, self.nextn_accepted)?
        };
        Engine::drafting(database, self.model(), precision, self.mapping(), speculation)
    }

    fn predict(&self, database: &PerfDatabase) -> Result<Numbers, PerfModelError> {
        let engine = self.engine(database)?;
        Ok(match self.mode {
            Mode::StaticCtx => {
                let run = engine.static_context(ContextQuery {
                    batch: self.batch,
                    isl: self.isl,
                    prefix: self.prefix,
                })?;
                (Some(run.ttft.value.get()), None, run.memory)
            }
            Mode::StaticGen => {
                let run = engine.static_generation(GenerationQuery {
                    batch: self.batch,
                    isl: self.isl,
                    osl: self.osl,
                })?;
                (None, Some(run.tpot.value.get()), run.memory)
            }
            Mode::Agg => {
                let run = engine.aggregated(AggregatedQuery {
                    batch: self.batch,
                    isl: self.isl,
                    osl: self.osl,
                    prefix: self.prefix,
                    context_tokens: self.context_tokens,
                })?;
                (Some(run.ttft.value.get()), Some(run.tpot.value.get()), run.memory)
            }
        })
    }

    /// What differs, in words.
    fn differences(&self, database: &PerfDatabase) -> Vec<String> {
        let (ttft, tpot, memory) = match self.predict(database) {
            Ok(numbers) => numbers,
            Err(reason) if cuts_blocks(&reason) => return Vec::new(),
            Err(reason) => return vec![format!("refused: {reason}")],
        };
        let mut found = Vec::new();
        let gib = Some(memory.gib());
        for (name, expected, ours) in [
            ("TTFT", self.ttft_ms, ttft),
            ("TPOT", self.tpot_ms, tpot),
            ("memory", self.memory_gib, gib),
        ] {
            let Some(expected) = expected else { continue };
            if name == "memory" && WITHOUT_CACHE.contains(&self.model().family) {
                continue;
            }
            let near = ours.is_some_and(|ours| (ours / expected - 1.0).abs() <= TOLERANCE);
            if !near {
                found.push(format!("{name} {ours:?} instead of {expected}"));
            }
        }
        let fit = Fit::from(memory.fit());
        if fit != self.fit && !WITHOUT_CACHE.contains(&self.model().family) {
            found.push(format!("{fit:?} instead of {:?}", self.fit));
        }
        found
    }
}

#[test]
fn every_model_is_predicted_as_by_the_reference() {
    let mut reader = csv::Reader::from_reader(include_str!("data/oracle.csv").as_bytes());
    let rows: Vec<Row> = reader.deserialize().collect::<Result<_, _>>().unwrap();
    assert!(rows.len() > 500, "{} rows", rows.len());
    let mut wrong = Vec::new();
    let mut compared: BTreeMap<ModelFamily, u32> = BTreeMap::new();
    let mut databases = BTreeMap::new();
    for row in &rows {
        let family = row.model().family;
        *compared.entry(family).or_insert(0) += 1;
        let database = databases
            .entry((row.system.as_str(), row.backend))
            .or_insert_with(|| row.database());
        for difference in row.differences(database) {
            wrong.push(format!("{difference}: {row:?}"));
        }
    }
    println!("compared: {compared:?}");
    assert!(
        wrong.is_empty(),
        "{} numbers differ:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}
