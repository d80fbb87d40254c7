use std::collections::BTreeMap;
use std::path::Path;

use super::*;
use crate::contract::rules;
use crate::{DgdrError, GpuSku, RawRequest, resolve};

fn root(crd: &Value) -> &Value {
    let versions = crd["spec"]["versions"].as_array().unwrap();
    let version = versions
        .iter()
        .find(|version| version["name"] == "v1beta1")
        .unwrap();
    &version["schema"]["openAPIV3Schema"]
}

/// Paths of all fields with their schema.
fn fields(path: &str, schema: &Value, found: &mut BTreeMap<String, Value>) {
    found.insert(path.to_owned(), schema.clone());
    for (name, below) in schema["properties"].as_object().into_iter().flatten() {
        fields(&format!("{path}.{name}"), below, found);
    }
    if schema["items"].is_object() {
        fields(&format!("{path}[]"), &schema["items"], found);
    }
}

fn values(schema: &Value) -> Vec<Value> {
    let listed = schema["enum"]
        .as_array()
        .or_else(|| schema["allOf"][0]["enum"].as_array());
    listed.cloned().unwrap_or_default()
}

/// Upstream's names that ours lacks, with the reason.
const LEFT_OUT: [&str; 0] = [];

#[test]
fn what_upstreams_crds_take_is_taken() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/crds");
    let Ok(releases) = std::fs::read_dir(folder) else {
        println!("skipped: what_upstreams_crds_take_is_taken: ../shared is missing");
        return;
    };
    let mut ours = BTreeMap::new();
    fields("", root(&crd()), &mut ours);
    let mut compared = 0;
    for release in releases {
        let file = release
            .unwrap()
            .path()
            .join("nvidia.com_dynamographdeploymentrequests.yaml");
        let Ok(text) = std::fs::read_to_string(&file) else {
            continue;
        };
        let upstream: Value = serde_saphyr::from_str(&text).unwrap();
        let mut theirs = BTreeMap::new();
        fields("", root(&upstream), &mut theirs);
        // Ours is untyped below these.
        theirs.retain(|path, _| !path.starts_with(".spec.overrides.profilingJob."));
        for (path, their) in theirs {
            assert!(!LEFT_OUT.contains(&path.as_str()));
            let our = ours
                .get(&path)
                .unwrap_or_else(|| panic!("{path} of {} is missing", file.display()));
            assert_eq!(our["type"], their["type"], "{path}");
            assert_eq!(our["default"], their["default"], "{path}");
            for value in values(&their) {
                assert!(values(our).contains(&value), "{path} refuses {value}");
            }
            compared += 1;
        }
    }
    assert!(compared > 60, "only {compared} fields were compared");
}

#[track_caller]
fn check_rule(rule: rules::Rule, place: &str, document: &Value) {
    let crd = crd();
    let stated = root(&crd)
        .pointer(&format!("{place}/x-kubernetes-validations"))
        .unwrap();
    assert!(stated.as_array().unwrap().contains(&rule.to_json()), "{stated}");
    let error = resolve(&RawRequest::from_value(document.clone())).unwrap_err();
    let DgdrError::Invalid(findings) = error else {
        panic!("{error}")
    };
    let told: Vec<&str> = findings
        .as_slice()
        .iter()
        .map(|finding| finding.rule.as_str())
        .collect();
    assert_eq!(told, [rule.message]);
}

/// What the API server refuses by CEL, files are refused for in the same words.
#[test]
fn crd_and_resolve_know_the_same_rules() {
    let spec = |field: &str, value: Value| json!({"spec": {"model": "m", field: value}});
    let cases = [
        (
            rules::MEASURED_BACKEND,
            "/properties/spec",
            spec("searchStrategy", json!("thorough")),
        ),
        (
            rules::ONE_LOAD,
            "/properties/spec/properties/workload",
            spec("workload", json!({"concurrency": 1, "requestRate": 1})),
        ),
        (
            rules::ONE_TARGET,
            "/properties/spec/properties/sla",
            spec("sla", json!({"e2eLatency": 1, "ttft": 1})),
        ),
        (
            rules::CACHE_CLAIM,
            "/properties/spec/properties/modelCache",
            spec("modelCache", json!({"pvcModelPath": "x"})),
        ),
        (
            rules::NAME,
            "",
            json!({"metadata": {"name": "a.b"}, "spec": {"model": "m"}}),
        ),
    ];
    for (rule, place, document) in &cases {
        check_rule(*rule, place, document);
    }
    let crd = crd();
    // The rule on changes speaks of two objects.
    assert_eq!(
        crd.to_string().matches("\"rule\":").count(),
        cases.len() + 1,
        "a rule has no case"
    );
}

/// Every range of the CRD is a fault of `resolve` too.
#[test]
fn crd_and_resolve_know_the_same_ranges() {
    let mut ours = BTreeMap::new();
    fields("spec", &root(&crd())["properties"]["spec"], &mut ours);
    let mut tried = 0;
    for (path, schema) in ours {
        let Some(minimum) = schema["minimum"].as_f64() else {
            continue;
        };
        let is_exclusive = schema["exclusiveMinimum"] == true;
        let below = if is_exclusive { minimum } else { minimum - 1.0 };
        let mut request = RawRequest::from_value(json!({"spec": {"model": "m"}}));
        crate::apply_set(&mut request, &format!("{path}={below}")).unwrap();
        let error = resolve(&request).unwrap_err().to_string();
        assert!(error.contains(&path), "{path}: {error}");
        tried += 1;
    }
    assert_eq!(tried, 11);
}

#[test]
fn the_schema_is_structural() {
    let mut crd = crd();
    walk(&mut crd, &mut |object| {
        for key in ["$ref", "nullable", "additionalProperties", "anyOf", "oneOf"] {
            assert!(!object.contains_key(key), "{key} in {object:?}");
        }
    });
    // Server-side apply is needed from 262,144 bytes on, since the last-applied annotation holds no more.
    assert!(crd.to_string().len() < 20_000);
}

#[test]
fn every_gpu_system_is_in_the_enum() {
    let crd = crd();
    let enumerated = root(&crd)
        .pointer("/properties/spec/properties/hardware/properties/gpuSku/enum")
        .unwrap();
    assert_eq!(enumerated, &json!(GpuSku::NAMES));
}

/// The older version of upstream's CRDs, field by field.
#[test]
fn what_upstreams_v1alpha1_takes_is_taken() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/crds");
    let Ok(releases) = std::fs::read_dir(folder) else {
        println!("skipped: what_upstreams_v1alpha1_takes_is_taken: ../shared is missing");
        return;
    };
    let crd = crd_with_v1alpha1(WEBHOOK);
    let older = |crd: &Value| crd["spec"]["versions"][0].clone();
    let ours = older(&crd);
    let mut our_fields = BTreeMap::new();
    fields("", &ours["schema"]["openAPIV3Schema"], &mut our_fields);
    let mut compared = 0;
    for release in releases {
        let file = release
            .unwrap()
            .path()
            .join("nvidia.com_dynamographdeploymentrequests.yaml");
        let Ok(text) = std::fs::read_to_string(&file) else {
            continue;
        };
        let theirs = older(&serde_saphyr::from_str(&text).unwrap());
        for key in [
            "name",
            "served",
            "storage",
            "deprecated",
            "deprecationWarning",
            "additionalPrinterColumns",
            "subresources",
        ] {
            assert_eq!(ours[key], theirs[key], "{key}");
        }
        let mut their_fields = BTreeMap::new();
        fields("", &theirs["schema"]["openAPIV3Schema"], &mut their_fields);
        // Ours is untyped below these.
        their_fields.retain(|path, _| {
            !path.starts_with(".spec.profilingConfig.resources.")
                && !path.starts_with(".spec.profilingConfig.tolerations[].")
        });
        for (path, their) in their_fields {
            let our = our_fields
                .get(&path)
                .unwrap_or_else(|| panic!("{path} is missing"));
            for key in ["type", "default", "x-kubernetes-embedded-resource"] {
                assert_eq!(our[key], their[key], "{key} of {path}");
            }
            // Ours requires a spec too, as API machinery does in practice.
            if !path.is_empty() {
                assert_eq!(
                    our["required"].as_array().map(Vec::len),
                    their["required"].as_array().map(Vec::len),
                    "{path}"
                );
            }
            for value in values(&their) {
                assert!(values(our).contains(&value), "{path} refuses {value}");
            }
            compared += 1;
        }
    }
    assert!(compared > 60, "only {compared} fields were compared");
}

const WEBHOOK: WebhookService<'_> = WebhookService {
    namespace: "n",
    name: "s",
    path: "/convert",
};

/// The stored version is the same with and without the older one.
#[test]
fn the_older_version_is_an_addition() {
    let mut served = crd_with_v1alpha1(WEBHOOK);
    served["spec"]["versions"].as_array_mut().unwrap().remove(0);
    served["spec"].as_object_mut().unwrap().remove("conversion");
    assert_eq!(served, crd());
}

#[test]
fn the_json_schema_speaks_json_schema() {
    let schema = json_schema();
    let text = schema.to_string();
    assert!(!text.contains("x-kubernetes"));
    assert_eq!(
        schema["$defs"]["SlaSpec"]["properties"]["ttft"]["exclusiveMinimum"],
        json!(0)
    );
    assert_eq!(schema["$defs"]["SlaSpec"]["additionalProperties"], json!(false));
    assert_eq!(schema["properties"]["spec"]["required"], json!(["model"]));
}
