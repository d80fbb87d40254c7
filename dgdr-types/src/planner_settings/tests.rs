use serde_json::{Map, Value, json};

use super::*;

fn object(value: Value) -> Map<String, Value> {
    let Value::Object(map) = value else {
        panic!("an object")
    };
    map
}

/// The JSON Schema of a kind, as Pydantic writes it; bounds that its validators check are left to another test.
fn schema(setting: &Setting) -> Value {
    let (kind, bounds) = match setting.kind {
        Flag => ("boolean", Any),
        Whole(bounds) => ("integer", bounds),
        Real(bounds) => ("number", bounds),
        Text | OneOf(_) => ("string", Any),
        Structure => ("object", Any),
    };
    let mut schema = object(json!({"type": kind}));
    if let OneOf(names) = setting.kind {
        schema.insert("enum".to_owned(), json!(names));
    }
    let limits: &[(&str, u32)] = match bounds {
        Any => &[],
        NotNegative => &[("minimum", 0)],
        Positive => &[("exclusiveMinimum", 0)],
        Percent => &[("minimum", 0), ("maximum", 100)],
        Port => &[("minimum", 0), ("maximum", 65_535)],
    };
    for (name, limit) in limits {
        schema.insert((*name).to_owned(), json!(limit));
    }
    if setting.is_optional {
        schema.insert("nullable".to_owned(), json!(true));
    }
    Value::Object(schema)
}

#[test]
fn the_table_is_upstreams() {
    let text = include_str!("../../tests/data/planner_config.json");
    let mut upstream: Map<String, Value> = serde_json::from_str(text).unwrap();
    // At least one and above zero are the same for whole numbers; these two are checked by validators.
    for (name, field) in &mut upstream {
        if field["minimum"] == 1 || ["ttft_ms", "report_interval_hours"].contains(&name.as_str()) {
            field.as_object_mut().unwrap().remove("minimum");
            field["exclusiveMinimum"] = json!(0);
        }
    }
    let ours: Map<String, Value> = SETTINGS
        .iter()
        .map(|setting| (setting.name.to_owned(), schema(setting)))
        .collect();
    assert_eq!(ours, upstream);
    assert!(SETTINGS.is_sorted_by_key(|setting| setting.name));
    for (older, newer) in RENAMED {
        assert!(find(older).is_none() && find(newer).is_some(), "{older}");
    }
}

#[test]
fn values_are_taken_as_the_planner_takes_them() {
    for (name, value) in [
        ("min_endpoint", json!(0)),
        ("min_endpoint", json!("2")),
        ("throughput_adjustment_interval_seconds", json!(60.0)),
        ("enable_load_scaling", json!("yes")),
        ("prefill_engine_num_gpu", json!(null)),
        ("ttft_ms", json!("200.5")),
        ("scheduling", json!({})),
    ] {
        assert_eq!(find(name).unwrap().refuses(&value), None, "{name}: {value}");
    }
    for (name, value, expected) in [
        ("min_endpoint", json!(-1), "a whole number of at least 0"),
        ("min_endpoint", json!(1.5), "a whole number of at least 0"),
        ("min_endpoint", json!(null), "a whole number of at least 0"),
        (
            "control_api_port",
            json!(70_000),
            "a whole number from 0 to 65535",
        ),
        ("advisory", json!("maybe"), "true or false"),
        ("ttft_ms", json!(0), "a number above 0"),
        (
            "load_predictor",
            json!("linera"),
            "one of constant, arima, prophet, kalman",
        ),
        ("scheduling", json!([]), "an object"),
    ] {
        assert_eq!(
            find(name).unwrap().refuses(&value).as_deref(),
            Some(expected),
            "{name}"
        );
    }
}

#[test]
fn settings_that_stop_the_planner_together_are_found() {
    let found = |settings: Value| -> Vec<&'static str> {
        conflicts(&object(settings))
            .into_iter()
            .map(|conflict| conflict.setting)
            .collect()
    };
    for settings in [
        json!({}),
        json!({"optimization_target": "sla"}),
        json!({"enable_throughput_scaling": false}),
        json!({"optimization_target": "sla", "enable_load_scaling": true}),
        json!({
            "optimization_target": "load",
            "mode": "decode",
            "decode_scale_up_kv_rate": 80,
            "decode_scale_down_kv_rate": 40,
        }),
        json!({"load_adjustment_interval_seconds": 500}),
        json!({"fpm_sample_bucket_size": 25}),
    ] {
        assert_eq!(found(settings.clone()), Vec::<&str>::new(), "{settings}");
    }
    for (settings, expected) in [
        (
            json!({"optimization_target": "sla", "enable_throughput_scaling": false}),
            "enable_throughput_scaling",
        ),
        (json!({"optimization_target": "load"}), "optimization_target"),
        (
            json!({
                "optimization_target": "sla",
                "enable_load_scaling": true,
                "load_adjustment_interval_seconds": 180,
            }),
            "throughput_adjustment_interval_seconds",
        ),
        (json!({"environment": "global-planner"}), "environment"),
        (json!({"enable_power_awareness": true}), "enable_power_awareness"),
        (json!({"fpm_sample_bucket_size": 20}), "fpm_sample_bucket_size"),
    ] {
        assert_eq!(found(settings), [expected]);
    }
}

#[test]
fn names_of_today_win() {
    let settings = in_current_names(&object(json!({
        "planner_min_endpoint": 2,
        "planner_load_predictor": "linear",
        "ttft": 100,
        "ttft_ms": 200,
    })));
    assert_eq!(
        Value::Object(settings),
        json!({"min_endpoint": 2, "load_predictor": "arima", "ttft_ms": 200})
    );
}
