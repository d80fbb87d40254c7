use proptest::option;
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::{Choice, GpuSku, RawRequest, parse_request, resolve};

/// Texts that YAML readers like to take for something else.
const TRAPS: [&str; 10] = [
    "on",
    "no",
    "0755",
    "1_000",
    "~",
    "12:30",
    "2026-11-24",
    "=",
    "null",
    "plain",
];

fn count() -> impl Strategy<Value = Option<i32>> {
    option::of(1..i32::MAX)
}

fn positive() -> impl Strategy<Value = f64> {
    prop_oneof![0.001_f64..1e6, (1_u32..100_000).prop_map(f64::from)]
}

fn open() -> impl Strategy<Value = Value> {
    proptest::collection::btree_map(
        proptest::sample::select(&TRAPS[..]),
        prop_oneof![
            proptest::sample::select(&TRAPS[..]).prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<bool>().prop_map(Value::from),
            (-1e9_f64..1e9).prop_map(Value::from),
            Just(json!([1, "two", {"three": "3"}])),
        ],
        0..4,
    )
    .prop_map(|entries| json!(entries))
}

fn load() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(json!({})),
        (1_u32..10_000).prop_map(|requests| json!({"concurrency": requests})),
        positive().prop_map(|rate| json!({"requestRate": rate})),
    ]
}

fn sla() -> impl Strategy<Value = Value> {
    prop_oneof![
        (option::of(positive()), option::of(positive()))
            .prop_map(|(ttft, itl)| json!({"ttft": ttft, "itl": itl})),
        positive().prop_map(|latency| json!({"e2eLatency": latency, "optimizationType": "latency"})),
    ]
}

fn hardware() -> impl Strategy<Value = Value> {
    (option::of(proptest::sample::select(GpuSku::NAMES)), count(), count(), count(), option::of(any::<bool>())).prop_map(
        |(sku, total, node, engine, rdma)| {
            json!({
                "gpuSku": sku, "totalGpus": total, "numGpusPerNode": node, "maxNumGpusPerEngine": engine, "rdma": rdma
            })
        },
    )
}

prop_compose! {
    fn request()(
        hardware in hardware(),
        load in load(),
        sla in sla(),
        (isl, osl) in (count(), count()),
        backend in option::of(proptest::sample::select(crate::BackendChoice::ALL)),
        (planner, dgd, job) in (option::of(open()), option::of(open()), option::of(open())),
        (mocker, auto_apply, named) in (any::<bool>(), option::of(any::<bool>()), any::<bool>()),
    ) -> Value {
        let mut workload = load;
        workload["isl"] = json!(isl);
        workload["osl"] = json!(osl);
        json!({
            "metadata": if named { json!({"name": "a-name", "namespace": "on"}) } else { json!({}) },
            "spec": {
                "model": "Qwen/Qwen3-32B",
                "backend": backend,
                "image": "nvcr.io/nvidia/ai-dynamo/vllm-runtime:0.9.0",
                "modelCache": {"pvcName": "no", "pvcModelPath": "hub/x"},
                "hardware": hardware,
                "workload": workload,
                "sla": sla,
                "features": {"planner": planner, "mocker": {"enabled": mocker}},
                "overrides": {"dgd": dgd, "profilingJob": job},
                "autoApply": auto_apply,
            },
        })
    }
}

proptest! {
    #[test]
    fn printing_then_parsing_is_identity(document in request()) {
        let first = resolve(&RawRequest::from_value(document)).unwrap();
        let text = first.to_yaml().unwrap();
        let second = resolve(&parse_request(&text).unwrap()).unwrap();
        // Warnings speak of spellings, and the printed text has the right ones.
        let expected = crate::ResolvedRequest { warnings: second.warnings.clone(), ..first };
        prop_assert_eq!(second, expected, "{}", text);
    }
}
