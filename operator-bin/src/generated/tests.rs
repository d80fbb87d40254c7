use dgdr_types::dgd::DgdVersion;
use serde_json::json;

use super::{GeneratedError, fill_runtime_version, read};

const DEPLOYMENT: &str = "apiVersion: nvidia.com/v1beta1
kind: DynamoGraphDeployment
metadata:
  name: vllm-agg
  namespace: elsewhere
spec:
  components:
  - name: worker
    type: worker
    replicas: 2
    podTemplate:
      spec:
        containers:
        - name: main
          image: r/vllm-runtime:1.6.1
";
const CONFIG_MAP: &str =
    "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: planner-config\ndata:\n  a.json: '{}'\n";

fn names(text: &str) -> (String, Vec<String>) {
    let generated = read(text, "m-dgd", DgdVersion::V1beta1).unwrap();
    let name = generated.manifest["metadata"]["name"]
        .as_str()
        .unwrap()
        .to_owned();
    let config_maps = generated
        .config_maps
        .into_iter()
        .map(|map| map.metadata.name.unwrap())
        .collect();
    (name, config_maps)
}

#[test]
fn every_order_of_documents_is_read() {
    let second = CONFIG_MAP.replace("planner-config", "planner-profile-data");
    let one = || vec!["planner-config".to_owned()];
    let name = "m-dgd".to_owned();
    assert_eq!(names(DEPLOYMENT), (name.clone(), vec![]));
    assert_eq!(names(&format!("---\n{DEPLOYMENT}")), (name.clone(), vec![]));
    assert_eq!(
        names(&format!("{CONFIG_MAP}---\n{DEPLOYMENT}")),
        (name.clone(), one())
    );
    assert_eq!(
        names(&format!("{DEPLOYMENT}---\n{CONFIG_MAP}")),
        (name.clone(), one())
    );
    let all = format!("{CONFIG_MAP}---\n{second}---\n{DEPLOYMENT}");
    let both = vec!["planner-config".to_owned(), "planner-profile-data".to_owned()];
    assert_eq!(names(&all), (name, both));
}

#[test]
fn a_manifest_can_be_applied_anywhere() {
    let generated = read(DEPLOYMENT, "m-dgd", DgdVersion::V1beta1).unwrap();
    assert_eq!(generated.manifest["apiVersion"], "nvidia.com/v1beta1");
    assert_eq!(generated.manifest["kind"], "DynamoGraphDeployment");
    assert_eq!(generated.manifest["metadata"], json!({"name": "m-dgd"}));
}

#[test]
fn a_cluster_with_the_old_version_gets_the_old_version() {
    let generated = read(DEPLOYMENT, "m-dgd", DgdVersion::V1alpha1).unwrap();
    assert_eq!(generated.manifest["apiVersion"], "nvidia.com/v1alpha1");
    assert_eq!(generated.manifest["spec"]["services"]["worker"]["replicas"], 2);
}

#[test]
fn what_cannot_be_deployed_is_said() {
    let failed = |text: &str, name: &str| read(text, name, DgdVersion::V1beta1).unwrap_err().to_string();
    let broken = DEPLOYMENT.replace("replicas: 2", "replicas: [2");
    let of_another_version = DEPLOYMENT.replace("nvidia.com/v1beta1", "nvidia.com/v3");
    let no_map = CONFIG_MAP.replace("data:\n  a.json: '{}'", "data: 3");
    insta::assert_snapshot!(
        [
            failed(CONFIG_MAP, "m-dgd"),
            failed("", "m-dgd"),
            failed(&of_another_version, "m-dgd"),
            failed(&format!("{no_map}---\n{DEPLOYMENT}"), "m-dgd"),
            failed(DEPLOYMENT, "No_Name"),
        ]
        .join("\n")
    );
    assert!(matches!(
        read(&broken, "m-dgd", DgdVersion::V1beta1),
        Err(GeneratedError::Syntax { .. })
    ));
}

#[test]
fn other_kinds_are_named() {
    let secret = "apiVersion: v1\nkind: Secret\nmetadata:\n  name: s\n";
    let generated = read(
        &format!("{secret}---\n{DEPLOYMENT}"),
        "m-dgd",
        DgdVersion::V1beta1,
    )
    .unwrap();
    assert_eq!(generated.skipped, ["Secret"]);
}

#[test]
fn a_runtime_version_fills_gaps_only() {
    let manifest = |value: serde_json::Value| value.as_object().cloned().unwrap();
    let mut new = manifest(json!({"spec": {"components": [
        {"name": "a"}, {"name": "b", "runtimeVersionOverride": "1.2.0"}]}}));
    fill_runtime_version(&mut new, "1.1.0");
    assert_eq!(new["spec"]["components"][0]["runtimeVersionOverride"], "1.1.0");
    assert_eq!(new["spec"]["components"][1]["runtimeVersionOverride"], "1.2.0");
    let mut old = manifest(json!({"spec": {"services": {"a": {}}}}));
    fill_runtime_version(&mut old, "1.1.0");
    assert_eq!(old["spec"]["services"]["a"]["runtimeVersionOverride"], "1.1.0");
}
