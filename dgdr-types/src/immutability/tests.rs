use serde_json::json;

use super::*;

/// The phase, a change of the spec as merge patch, and whether it is in time.
fn check(phase: &str, auto_apply: &Value, change: &Value, expected: bool) {
    let mut old = json!({"spec": {"model": "m", "features": {"planner": {"a": 1}}}});
    if !auto_apply.is_null() {
        old["spec"]["autoApply"] = auto_apply.clone();
    }
    if phase != "none" {
        old["status"] = json!({"phase": phase});
    }
    let mut new = old.clone();
    for (field, value) in change.as_object().unwrap() {
        new["spec"][field] = value.clone();
    }
    let verdict = check_update(&old, &new);
    assert_eq!(
        verdict.is_ok(),
        expected,
        "{phase} {auto_apply} {change}: {verdict:?}"
    );
}

#[test]
fn a_spec_is_fixed_once_profiling_has_started() {
    let change = json!({"model": "n"});
    for (phase, is_free) in [
        ("none", true),
        ("", true),
        ("Pending", true),
        ("Failed", true),
        ("Profiling", false),
        ("Ready", false),
        ("Deploying", false),
        ("Deployed", false),
    ] {
        for auto_apply in [json!(null), json!(true), json!(false)] {
            check(phase, &auto_apply, &change, is_free);
            check(
                phase,
                &auto_apply,
                &json!({"features": {"planner": {"a": 2}}}),
                is_free,
            );
            check(phase, &auto_apply, &json!({"image": "i"}), is_free);
            check(phase, &auto_apply, &json!({}), true);
        }
    }
}

#[test]
fn what_counts_when_it_is_deployed_may_come_later() {
    let version = json!({"runtimeVersionOverride": "1.2.3"});
    let on = json!({"autoApply": true});
    let both = json!({"autoApply": true, "runtimeVersionOverride": "1.2.3"});
    let more = json!({"autoApply": true, "model": "n"});
    for (phase, change, is_free) in [
        ("Profiling", &version, true),
        ("Profiling", &on, false),
        ("Profiling", &both, false),
        ("Ready", &version, true),
        ("Ready", &on, true),
        ("Ready", &both, true),
        ("Ready", &more, false),
        ("Deploying", &version, false),
        ("Deployed", &version, false),
    ] {
        check(phase, &json!(false), change, is_free);
        check(phase, &json!(true), &version, false);
        check(phase, &json!(null), &version, false);
    }
    check("Deploying", &json!(true), &json!({"autoApply": false}), false);
}

#[test]
fn the_words_are_upstreams() {
    let text = TooLate { phase: Phase::Ready }.to_string();
    assert_eq!(
        text,
        "updates are forbidden while the resource is in phase \"Ready\"; delete and recreate the resource to change its \
         spec"
    );
}

/// Whatever field the spec gets, the rule looks at it.
#[cfg(feature = "kube")]
#[test]
fn the_rule_names_every_field() {
    let rule = rule(["model", "autoApply", "runtimeVersionOverride", "sla"]);
    insta::assert_snapshot!(rule["rule"].as_str().unwrap());
}
