use serde_json::json;

use super::{apply_set, parse_request};
use crate::DgdrError;

#[test]
fn whole_objects_and_bare_specs_have_one_shape() {
    let bare = parse_request("model: m\nsla:\n  ttft: 1\n").unwrap();
    let whole =
        parse_request("kind: DynamoGraphDeploymentRequest\nspec:\n  model: m\n  sla: {ttft: 1}\n").unwrap();
    assert_eq!(bare.document()["spec"], whole.document()["spec"]);
    assert_eq!(bare.positions["spec.sla.ttft"].line, 3);
    assert_eq!(whole.positions["spec.sla.ttft"].line, 4);
}

#[test]
fn json_is_read_too() {
    let request = parse_request(r#"{"model": "m", "workload": {"isl": 10}}"#).unwrap();
    assert_eq!(request.document()["spec"]["workload"]["isl"], json!(10));
}

#[test]
fn scalars_mean_what_kubectl_takes_them_for() {
    let request =
        parse_request("overrides:\n  profilingJob: {mode: 0755, flag: on, text: \"on\"}\n").unwrap();
    let job = &request.document()["spec"]["overrides"]["profilingJob"];
    assert_eq!(job, &json!({"mode": 493, "flag": true, "text": "on"}));
}

#[test]
fn broken_text_names_its_line() {
    let error = parse_request("model: m\nsla:\n  ttft: [1\n").unwrap_err();
    let DgdrError::Syntax {
        position: Some(position),
        ..
    } = &error
    else {
        panic!("{error:?}")
    };
    assert!(position.line >= 3, "{position:?}");
    let twice = parse_request("model: m\nmodel: n\n").unwrap_err();
    assert!(twice.to_string().contains("line 2"), "{twice}");
}

#[test]
fn nothing_is_no_request() {
    for text in ["", "  \n", "---\n", "# only a comment\n"] {
        assert!(matches!(parse_request(text), Err(DgdrError::Empty)), "{text:?}");
    }
}

#[test]
fn a_field_can_be_set_replaced_and_unset() {
    let mut request = parse_request("model: m\nsla:\n  ttft: 1\n").unwrap();
    apply_set(&mut request, "spec.sla.ttft=300").unwrap();
    apply_set(&mut request, "hardware.gpuSku=h200_sxm").unwrap();
    apply_set(&mut request, "metadata.name=a").unwrap();
    assert_eq!(request.document()["spec"]["sla"]["ttft"], json!(300));
    assert_eq!(
        request.document()["spec"]["hardware"]["gpuSku"],
        json!("h200_sxm")
    );
    assert_eq!(request.document()["metadata"]["name"], json!("a"));
    assert!(!request.positions.contains_key("spec.sla.ttft"));
    apply_set(&mut request, "spec.sla.ttft=").unwrap();
    assert_eq!(request.document()["spec"]["sla"]["ttft"], json!(null));
}

#[test]
fn what_sets_nothing_is_refused() {
    let mut request = parse_request("model: m\n").unwrap();
    for argument in ["spec.sla.ttft", "=3", "spec..ttft=3"] {
        assert!(
            matches!(
                apply_set(&mut request, argument),
                Err(DgdrError::SetSyntax { .. })
            ),
            "{argument}"
        );
    }
    let blocked = apply_set(&mut request, "spec.model.name=3").unwrap_err();
    assert_eq!(
        blocked.to_string(),
        "`spec.model.name=3` cannot be set: spec.model is a text, which has no fields"
    );
    let no_yaml = apply_set(&mut request, "spec.sla=[1").unwrap_err().to_string();
    assert!(
        no_yaml.starts_with("`spec.sla=[1` cannot be set: its value is not YAML: line 1 column 1: "),
        "{no_yaml}"
    );
}

/// What a reader of each message sees.
#[test]
fn syntax_errors_show_the_place() {
    let texts = [
        "model: m\nsla:\n  ttft: [1\n",
        "model: m\nmodel: n\n",
        "spec:\n  model: m\n backend: vllm\n",
        "spec:\n\tmodel: m\n",
        "sla: {ttft: .nan}\n",
        "model: *unknown\n",
        "model: m\n---\nmodel: n\n",
        "{\"model\": \"m\",, }",
    ];
    let told: Vec<String> = texts
        .iter()
        .map(|text| format!("{text}=> {}\n", parse_request(text).unwrap_err()))
        .collect();
    insta::assert_snapshot!(told.join("\n"));
}

#[test]
fn errors_travel_between_threads() {
    fn travels<T: Send + Sync + 'static>() {}
    travels::<DgdrError>();
}

#[test]
fn keys_are_texts_whatever_they_look_like() {
    let request = parse_request("overrides:\n  profilingJob: {8080: a, on: b, 1.5: d}\n").unwrap();
    assert_eq!(
        request.document()["spec"]["overrides"]["profilingJob"],
        json!({"8080": "a", "on": "b", "1.5": "d"})
    );
}

#[test]
fn anchors_and_merges_are_followed() {
    let request = parse_request("x: &sla {ttft: 1, itl: 2}\nsla: {<<: *sla, itl: 3}\n").unwrap();
    assert_eq!(request.document()["spec"]["sla"], json!({"ttft": 1, "itl": 3}));
}
