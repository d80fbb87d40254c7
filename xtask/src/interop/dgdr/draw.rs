//! Valid requests over the whole range of what can be asked.

use dgdr_types::GpuSku;
use dgdr_types::planner_settings::{self, Kind, Setting};
use serde_json::{Map, Value, json};

use crate::dice::Dice;

/// Systems that upstream's types of this release do not know yet.
const NEWER: [GpuSku; 3] = [GpuSku::Gb300, GpuSku::RtxPro6000Server, GpuSku::B60];

/// Draws one object of a spec.
type Part = fn(&mut Dice) -> Value;

/// A spec; each optional field is there half of the time.
pub(super) fn spec(dice: &mut Dice) -> Value {
    let mut spec = Map::new();
    let models = ["Qwen/Qwen3-32B", "deepseek-ai/DeepSeek-R1"];
    put(&mut spec, "model", dice.pick(&models).map(|model| json!(model)));
    let backends = ["vllm", "sglang", "trtllm"];
    let backend = dice.pick(&backends).map(|backend| json!(backend));
    put(&mut spec, "backend", backend);
    if dice.percent(50) {
        let strategies = ["rapid", "thorough"];
        put(
            &mut spec,
            "searchStrategy",
            dice.pick(&strategies).map(|strategy| json!(strategy)),
        );
    }
    if dice.percent(50) {
        spec.insert(
            "image".to_owned(),
            json!("nvcr.io/nvidia/ai-dynamo/vllm-runtime:1.6.1"),
        );
    }
    if dice.percent(30) {
        spec.insert("runtimeVersionOverride".to_owned(), json!("1.6.1"));
    }
    if dice.percent(50) {
        spec.insert("autoApply".to_owned(), json!(dice.percent(50)));
    }
    let parts: [(&str, Part); 6] = [
        ("hardware", hardware),
        ("workload", workload),
        ("sla", sla),
        ("modelCache", model_cache),
        ("features", features),
        ("overrides", overrides),
    ];
    for (name, part) in parts {
        if dice.percent(50) {
            spec.insert(name.to_owned(), part(dice));
        }
    }
    Value::Object(spec)
}

fn put(object: &mut Map<String, Value>, name: &str, value: Option<Value>) {
    if let Some(value) = value {
        object.insert(name.to_owned(), value);
    }
}

/// A number above zero with three decimals.
fn positive(dice: &mut Dice, most: u32) -> Value {
    json!(f64::from(dice.up_to(most * 1000) + 1) / 1000.0)
}

fn hardware(dice: &mut Dice) -> Value {
    let mut hardware = Map::new();
    let known: Vec<&GpuSku> = GpuSku::ALL.iter().filter(|sku| !NEWER.contains(sku)).collect();
    put(
        &mut hardware,
        "gpuSku",
        dice.pick(&known).map(|sku| json!(sku.name())),
    );
    hardware.insert("totalGpus".to_owned(), json!(dice.up_to(511) + 1));
    if dice.percent(50) {
        hardware.insert("numGpusPerNode".to_owned(), json!(dice.up_to(15) + 1));
    }
    if dice.percent(50) {
        hardware.insert("vramMb".to_owned(), json!(8192 + dice.up_to(200_000)));
    }
    if dice.percent(30) {
        hardware.insert("maxNumGpusPerEngine".to_owned(), json!(dice.up_to(31) + 1));
    }
    if dice.percent(30) {
        hardware.insert("interconnect".to_owned(), json!("nvlink"));
        hardware.insert("rdma".to_owned(), json!(dice.percent(50)));
    }
    Value::Object(hardware)
}

fn workload(dice: &mut Dice) -> Value {
    let mut workload = Map::new();
    if dice.percent(70) {
        workload.insert("isl".to_owned(), json!(dice.up_to(131_071) + 1));
    }
    if dice.percent(70) {
        workload.insert("osl".to_owned(), json!(dice.up_to(16_383) + 1));
    }
    let load = ["requestRate", "concurrency", ""];
    if let Some(load) = dice.pick(&load).filter(|load| !load.is_empty()) {
        let value = positive(dice, 1000);
        workload.insert((*load).to_owned(), value);
    }
    Value::Object(workload)
}

fn sla(dice: &mut Dice) -> Value {
    let mut sla = Map::new();
    if dice.percent(30) {
        sla.insert("e2eLatency".to_owned(), positive(dice, 60_000));
    } else {
        if dice.percent(70) {
            sla.insert("ttft".to_owned(), positive(dice, 20_000));
        }
        if dice.percent(70) {
            sla.insert("itl".to_owned(), positive(dice, 500));
        }
    }
    if dice.percent(30) {
        let types = ["latency", "throughput"];
        put(
            &mut sla,
            "optimizationType",
            dice.pick(&types).map(|kind| json!(kind)),
        );
    }
    Value::Object(sla)
}

fn model_cache(dice: &mut Dice) -> Value {
    let mut cache = Map::from_iter([("pvcName".to_owned(), json!("model-cache"))]);
    if dice.percent(50) {
        cache.insert("pvcModelPath".to_owned(), json!("models/own"));
    }
    if dice.percent(50) {
        cache.insert("pvcMountPath".to_owned(), json!("/opt/models"));
    }
    Value::Object(cache)
}

fn features(dice: &mut Dice) -> Value {
    let mut features = Map::new();
    if dice.percent(50) {
        let mut planner = Map::new();
        let targets = ["sla", "throughput", "latency"];
        put(
            &mut planner,
            "optimization_target",
            dice.pick(&targets).map(|target| json!(target)),
        );
        if dice.percent(50) {
            planner.insert("min_endpoint".to_owned(), json!(dice.up_to(4)));
        }
        features.insert("planner".to_owned(), Value::Object(planner));
    }
    for name in ["mocker", "kvRouter"] {
        if dice.percent(50) {
            features.insert(name.to_owned(), json!({ "enabled": dice.percent(50) }));
        }
    }
    Value::Object(features)
}

/// What these hold can be judged where the planner runs, and nowhere else.
const PLANNERS_OWN: [&str; 3] = [
    "aic_interpolation",
    "ais_perf_model",
    "metric_pulling_prometheus_ca_bundle",
];

/// A request with one to five settings of the planner. Most values are of the right kind; bounds and rules between settings
/// are met or not, as it happens.
pub(in crate::interop) fn with_planner(dice: &mut Dice) -> Value {
    let settings: Vec<&Setting> = planner_settings::SETTINGS
        .iter()
        .filter(|setting| !PLANNERS_OWN.contains(&setting.name))
        .collect();
    let mut planner = Map::new();
    // Most rules between settings hold for this target alone.
    if dice.percent(60) {
        planner.insert("optimization_target".to_owned(), json!("sla"));
    }
    for _ in 0..=dice.up_to(4) {
        if let Some(setting) = dice.pick(&settings) {
            planner.insert(setting.name.to_owned(), value(dice, setting.kind));
        }
    }
    json!({
        "model": "Qwen/Qwen3-32B",
        "backend": "vllm",
        "image": "nvcr.io/nvidia/ai-dynamo/vllm-runtime:1.6.1",
        "hardware": {"gpuSku": "h200_sxm", "numGpusPerNode": 8, "totalGpus": 16},
        "features": {"planner": planner},
    })
}

fn value(dice: &mut Dice, kind: Kind) -> Value {
    let wrong = [
        json!(null),
        json!("text"),
        json!(true),
        json!([]),
        json!("5"),
        json!("yes"),
        json!(-1),
        json!(0.5),
    ];
    if dice.percent(20) {
        return dice.pick(&wrong).cloned().unwrap_or_default();
    }
    match kind {
        Kind::Flag => json!(dice.percent(50)),
        Kind::Whole(_) => {
            let numbers = [-1, 0, 1, 2, 5, 16, 100, 101, 180, 65_536];
            json!(dice.pick(&numbers))
        }
        Kind::Real(_) => {
            let numbers = [-0.5, 0.0, 0.5, 20.0, 100.0, 100.5];
            json!(dice.pick(&numbers))
        }
        Kind::Text => json!("text"),
        Kind::OneOf(names) => json!(dice.pick(names)),
        Kind::Structure => json!({}),
    }
}

fn overrides(dice: &mut Dice) -> Value {
    let mut overrides = Map::new();
    if dice.percent(50) {
        overrides.insert("trustRemoteCode".to_owned(), json!(dice.percent(50)));
    }
    if dice.percent(50) {
        let job = json!({"template": {"spec": {"tolerations": [{"key": "gpu", "operator": "Exists"}]}}});
        overrides.insert("profilingJob".to_owned(), job);
    }
    if dice.percent(50) {
        let dgd = json!({
            "apiVersion": "nvidia.com/v1beta1",
            "kind": "DynamoGraphDeployment",
            "metadata": {"name": "named"},
        });
        overrides.insert("dgd".to_owned(), dgd);
    }
    Value::Object(overrides)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::interop::dgdr::verdict::Verdict;

    #[test]
    fn drawn_requests_are_valid_and_differ() {
        let mut dice = Dice::new(1);
        let drawn: Vec<String> = (0..500).map(|_| spec(&mut dice).to_string()).collect();
        for spec in &drawn {
            let verdict = Verdict::ours(spec);
            assert!(verdict.accepted, "{verdict}: {spec}");
        }
        for field in [
            "e2eLatency",
            "requestRate",
            "pvcModelPath",
            "planner",
            "profilingJob",
            "\"rapid\"",
        ] {
            assert!(
                drawn.iter().any(|spec| spec.contains(field)),
                "{field} is never drawn"
            );
        }
    }

    #[test]
    fn planner_settings_are_drawn_right_and_wrong() {
        let mut dice = Dice::new(1);
        let accepted = (0..500)
            .filter(|_| Verdict::ours(&with_planner(&mut dice).to_string()).accepted)
            .count();
        assert!((100..400).contains(&accepted), "{accepted} of 500 are accepted");
    }
}
