//! Damaged configurations are refused by their field, or make a model with a graph: nothing panics, nothing hangs.
#![expect(
    clippy::unwrap_used,
    reason = "what a test's helper cannot unwrap fails the test"
)]

use std::collections::BTreeSet;
use std::sync::LazyLock;

use dgdr_perf_model::graph::{GraphQuery, OperatorGraph};
use dgdr_perf_model::{
    Backend, GemmQuant, MappingWidths, ModelSpec, MoeQuant, ParallelMapping, PerfModelError, Precision,
    SystemSpec, registry,
};
use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use serde_json::{Map, Value, json};

/// Configurations that are damaged.
const CASES: u32 = 100_000;

/// One small configuration of each kind of model.
static CONFIGS: LazyLock<Vec<Map<String, Value>>> =
    LazyLock::new(|| serde_json::from_str(include_str!("data/small_configs.json")).unwrap());

/// Every field that one of them has, wherever it is.
static FIELDS: LazyLock<Vec<String>> = LazyLock::new(|| {
    let mut fields = BTreeSet::new();
    for config in CONFIGS.iter() {
        names(config, &mut fields);
    }
    fields.into_iter().collect()
});

fn names(object: &Map<String, Value>, into: &mut BTreeSet<String>) {
    for (name, value) in object {
        into.insert(name.clone());
        if let Value::Object(inner) = value {
            names(inner, into);
        }
    }
}

/// What is done to a field.
#[derive(Debug, Clone)]
enum Damage {
    Remove,
    Set(Value),
    /// Wrap the value in a list or an object.
    Wrap(bool),
    /// Take the value of another field.
    Copy(prop::sample::Index),
    /// Multiply all numbers by a power of two, those of some fields by another one.
    Grow([u32; 2]),
}

fn values() -> impl Strategy<Value = Value> {
    let huge = prop::sample::select(vec![
        json!(u64::MAX),
        json!(i64::MIN),
        json!(u32::MAX),
        json!(1_048_576),
        json!(1_048_577),
        json!(1e300),
        json!(0.5),
        json!(-1),
    ]);
    let odd = prop::sample::select(vec![
        Value::Null,
        json!(true),
        json!(""),
        json!("8"),
        json!("fp8"),
        json!([]),
        json!({}),
        json!([[[[]]]]),
        json!(["mamba", "full_attention", 3, null]),
        json!({"num_bits": 8, "type": "float"}),
    ]);
    prop_oneof![
        3 => (0_u32..40).prop_map(|number| json!(number)),
        2 => any::<u32>().prop_map(|number| json!(number)),
        2 => (1_u32..21).prop_map(|power| json!(1_u32 << power)),
        2 => huge,
        2 => odd,
    ]
}

fn damage() -> impl Strategy<Value = Damage> {
    prop_oneof![
        1 => Just(Damage::Remove),
        5 => values().prop_map(Damage::Set),
        1 => any::<bool>().prop_map(Damage::Wrap),
        2 => any::<prop::sample::Index>().prop_map(Damage::Copy),
        1 => [0_u32..21, 0_u32..21].prop_map(Damage::Grow),
    ]
}

fn apply(object: &mut Map<String, Value>, (field, damage): (&str, &Damage)) {
    for inner in object.values_mut() {
        if let Value::Object(inner) = inner {
            apply(inner, (field, damage));
        }
    }
    // Fields that a configuration does not have are added where the decoder is.
    let is_decoder = object.contains_key("hidden_size");
    match damage {
        Damage::Remove => {
            object.remove(field);
        }
        Damage::Set(value) if is_decoder || object.contains_key(field) => {
            object.insert(field.to_owned(), value.clone());
        }
        Damage::Set(_) => {}
        Damage::Grow(powers) => {
            for (name, value) in object.iter_mut() {
                let power = powers[usize::from(name.len() % 3 == field.len() % 3)];
                if let Some(number) = value.as_u64() {
                    *value = json!(number << power);
                }
            }
        }
        Damage::Wrap(in_list) => {
            if let Some(value) = object.get_mut(field) {
                let inner = value.take();
                *value = if *in_list {
                    json!([inner])
                } else {
                    json!({"value": inner})
                };
            }
        }
        Damage::Copy(from) => {
            let from = FIELDS[from.index(FIELDS.len())].as_str();
            if let Some(value) = object.get(from).cloned()
                && object.contains_key(field)
            {
                object.insert(field.to_owned(), value);
            }
        }
    }
}

/// Mappings that are tried on every model that could be read.
fn mappings() -> Vec<ParallelMapping> {
    [(1, 1, 1, 1), (8, 1, 1, 8), (2, 4, 2, 4), (1, 1, 1, 8)]
        .into_iter()
        .filter_map(|(tp, attention_dp, moe_tp, moe_ep)| {
            ParallelMapping::new(MappingWidths {
                tp,
                attention_dp,
                moe_tp,
                moe_ep,
                ..MappingWidths::ONE
            })
            .ok()
        })
        .collect()
}

fn precision(model: &ModelSpec) -> Precision {
    let formats = &model.quantization;
    Precision {
        gemm: formats.gemm.unwrap_or(GemmQuant::Bfloat16),
        moe: formats.moe.unwrap_or(MoeQuant::Bfloat16),
        kv: formats.kv,
        fmha: formats.fmha,
        parts: formats.parts,
    }
}

/// Builds what a model makes of every mapping, and tells how many graphs that are.
fn build(model: &ModelSpec, system: &'static SystemSpec) -> Result<u32, TestCaseError> {
    let mut built = 0;
    for mapping in mappings() {
        for backend in Backend::ALL {
            let query = GraphQuery {
                model,
                precision: precision(model),
                mapping,
                backend,
                system,
                drafted: 0,
            };
            match OperatorGraph::of(query) {
                Ok(graph) => {
                    built += 1;
                    for size in [
                        graph.weight_bytes(),
                        graph.kv_cache.sequence_bytes(5000),
                        query.activation_bytes(4096).unwrap_or(0.0),
                    ] {
                        prop_assert!(size.is_finite() && size >= 0.0, "{size} of {model:?}");
                    }
                    graph.kv_cache.longest_within(1e10);
                }
                Err(error) => refused(&error)?,
            }
        }
    }
    Ok(built)
}

/// A refusal names what it is about.
fn refused(error: &PerfModelError) -> Result<(), TestCaseError> {
    if let PerfModelError::ModelConfig { field, .. } = error {
        prop_assert!(!field.is_empty(), "{error}");
    }
    prop_assert!(!error.to_string().is_empty());
    Ok(())
}

#[test]
fn a_damaged_configuration_is_refused_or_makes_a_graph() {
    let config = ProptestConfig {
        cases: CASES,
        failure_persistence: None,
        ..ProptestConfig::default()
    };
    let system = SystemSpec::by_name("h200_sxm").unwrap();
    let (mut read, mut graphs) = (0_u32, 0_u32);
    let cases = (
        any::<prop::sample::Index>(),
        prop::collection::vec((any::<prop::sample::Index>(), damage()), 1..5),
    );
    let counted = std::cell::RefCell::new((&mut read, &mut graphs));
    TestRunner::new(config)
        .run(&cases, |(which, damages)| {
            let mut config = CONFIGS[which.index(CONFIGS.len())].clone();
            for (field, damage) in &damages {
                apply(&mut config, (&FIELDS[field.index(FIELDS.len())], damage));
            }
            match ModelSpec::from_config_json("damaged", &Value::Object(config).to_string(), None) {
                Ok(model) => {
                    let built = build(&model, system)?;
                    let mut counted = counted.borrow_mut();
                    *counted.0 += 1;
                    *counted.1 += built;
                    Ok(())
                }
                Err(error) => refused(&error),
            }
        })
        .unwrap();
    println!("{read} of {CASES} configurations made a model, {graphs} graphs");
    assert!(read > CASES / 5 && read < CASES, "{read}");
    assert!(graphs > read, "{graphs}");
}

#[test]
fn undamaged_ones_make_models_of_every_family() {
    let families: BTreeSet<_> = CONFIGS
        .iter()
        .map(|config| {
            let text = Value::Object(config.clone()).to_string();
            let model = ModelSpec::from_config_json("whole", &text, None).unwrap();
            let built = build(&model, SystemSpec::by_name("h200_sxm").unwrap()).unwrap();
            assert!(built > 0, "{model:?}");
            model.family
        })
        .collect();
    let known: BTreeSet<_> = registry::models().iter().map(|model| model.family).collect();
    assert_eq!(families, known);
}
