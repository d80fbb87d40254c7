//! What `deploy/` says of the operator is what the operator says of itself.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on fails")]

use std::collections::BTreeSet;
use std::path::Path;

use clap::Parser;
use dgdr_operator::access::{Holder, OPERATOR_SERVICE_ACCOUNT, ROLES};
use dgdr_operator::metrics::NAMES;
use dgdr_operator::settings::Settings;
use serde_json::Value;

#[derive(Debug, Parser)]
struct Run {
    #[command(flatten)]
    settings: Settings,
}

fn read(path: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy").join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn documents(path: &str) -> Vec<Value> {
    serde_saphyr::from_multiple(&read(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn deployment() -> Value {
    let mut documents = documents("manifests/base/operator.yaml");
    let index = documents
        .iter()
        .position(|document| document["kind"] == "Deployment")
        .unwrap();
    documents.swap_remove(index)
}

fn texts(values: &Value) -> Vec<String> {
    let values = values.as_array().unwrap();
    values
        .iter()
        .map(|value| value.as_str().unwrap().to_owned())
        .collect()
}

/// What the file's container is told, by arguments and by variables, as if the variables were arguments.
fn settings_of_the_manifest() -> Settings {
    let container = deployment()["spec"]["template"]["spec"]["containers"][0].take();
    let variable = |name: &str| {
        let variables = container["env"].as_array().unwrap();
        let found = variables.iter().find(|variable| variable["name"] == name);
        found
            .and_then(|variable| variable["value"].as_str())
            .unwrap_or_else(|| panic!("{name} is missing"))
    };
    let mut arguments = texts(&container["args"]);
    arguments.push(format!("--operator-image={}", variable("DGDR_OPERATOR_IMAGE")));
    arguments.push(format!(
        "--profiler-image={}",
        variable("DGDR_OPERATOR_PROFILER_IMAGE")
    ));
    Run::try_parse_from(arguments).unwrap().settings
}

#[test]
fn the_manifest_says_the_defaults() {
    let written = settings_of_the_manifest();
    let defaults = Run::try_parse_from(["run"]).unwrap().settings;
    assert_eq!(format!("{written:?}"), format!("{defaults:?}"));
}

#[test]
fn images_are_of_this_version_and_the_collector_is_the_operator() {
    let image = &deployment()["spec"]["template"]["spec"]["containers"][0]["image"];
    let settings = settings_of_the_manifest();
    assert_eq!(image.as_str().unwrap(), settings.operator_image.to_string());
    let version = env!("CARGO_PKG_VERSION");
    assert!(
        settings
            .operator_image
            .to_string()
            .ends_with(&format!(":{version}"))
    );
    let chart: Value = serde_saphyr::from_str(&read("helm/dgdr-operator/Chart.yaml")).unwrap();
    assert_eq!(chart["appVersion"], version);
    assert_eq!(chart["version"], version);
}

#[test]
fn ports_are_those_that_the_operator_serves_at() {
    let deployment = deployment();
    let container = &deployment["spec"]["template"]["spec"]["containers"][0];
    let port = |name: &str| {
        let ports = container["ports"].as_array().unwrap();
        let port = ports.iter().find(|port| port["name"] == name).unwrap();
        port["containerPort"].as_u64().unwrap()
    };
    let settings = settings_of_the_manifest();
    assert_eq!(port("metrics"), u64::from(settings.metrics_address.port()));
    assert_eq!(port("health"), u64::from(settings.health_address.port()));
    let paths = ["startupProbe", "livenessProbe", "readinessProbe"]
        .map(|probe| container[probe]["httpGet"]["path"].as_str().unwrap());
    assert_eq!(paths, ["/healthz", "/healthz", "/readyz"]);
}

/// The *restricted* Pod Security Standard, and a root file system that nobody writes to.
fn assert_restricted(pod: &Value) {
    let security = &pod["securityContext"];
    assert_eq!(security["runAsNonRoot"], true);
    assert_eq!(security["seccompProfile"]["type"], "RuntimeDefault");
    for container in pod["containers"].as_array().unwrap() {
        let security = &container["securityContext"];
        assert_eq!(security["allowPrivilegeEscalation"], false);
        assert_eq!(security["readOnlyRootFilesystem"], true);
        assert_eq!(texts(&security["capabilities"]["drop"]), ["ALL"]);
        assert!(container["resources"]["limits"]["memory"].is_string());
    }
    for forbidden in ["hostNetwork", "hostPID", "hostIPC"] {
        assert!(pod[forbidden].is_null(), "{forbidden}");
    }
}

#[test]
fn pods_are_restricted() {
    assert_restricted(&deployment()["spec"]["template"]["spec"]);
    for pod in documents("utils/manifests/pvc-access-pod.yaml") {
        // The guide calls it by this name.
        assert_eq!(pod["metadata"]["name"], "pvc-access-pod");
        assert_restricted(&pod["spec"]);
    }
}

#[test]
fn the_role_s_holders_exist() {
    let account = &deployment()["spec"]["template"]["spec"]["serviceAccountName"];
    assert_eq!(account, OPERATOR_SERVICE_ACCOUNT);
    let profiling = documents("manifests/namespace-scoped/profiling.yaml");
    assert_eq!(
        profiling[0]["metadata"]["name"],
        Holder::ProfilingJob.service_account()
    );
    let settings = Run::try_parse_from(["run"]).unwrap().settings;
    let default = ROLES
        .iter()
        .find(|role| role.name == settings.profiling_cluster_role);
    assert_eq!(default.map(|role| role.holder), Some(Holder::ProfilingJob));
}

#[test]
fn every_metric_is_explained() {
    let page = read("../docs/operator.md");
    for name in NAMES {
        assert!(page.contains(&format!("| `{name}` |")), "{name}");
    }
}

/// Every word of the dashboard's queries that begins as a metric does.
fn asked_metrics() -> BTreeSet<String> {
    let text = read("dashboards/dgdr-operator.json");
    let dashboard: Value = serde_json::from_str(&text).unwrap();
    assert!(dashboard["panels"].as_array().unwrap().len() > 5);
    text.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_')
        .filter(|word| word.starts_with("dgdr_operator_"))
        .map(|word| {
            let parts = ["_bucket", "_sum", "_count"];
            let base = parts.iter().find_map(|part| word.strip_suffix(part));
            base.filter(|base| NAMES.contains(base))
                .unwrap_or(word)
                .to_owned()
        })
        .collect()
}

#[test]
fn the_dashboard_shows_every_metric_and_no_other() {
    let served: BTreeSet<String> = NAMES.iter().map(|name| (*name).to_owned()).collect();
    assert_eq!(asked_metrics(), served);
}

/// Every reason and every type of a condition, out of the one place that owns them.
#[test]
fn the_guide_to_trouble_knows_every_reason() {
    let contract = read("../dgdr-types/src/contract.rs");
    let guide = read("../docs/operator.md");
    for owner in ["pub mod condition {", "pub mod reason {"] {
        let (_, rest) = contract.split_once(owner).unwrap();
        let (block, _) = rest.split_once("\n}\n").unwrap();
        let words: Vec<&str> = block
            .lines()
            .filter_map(|line| line.split_once("&str = \"")?.1.strip_suffix("\";"))
            .collect();
        assert!(words.len() > 5, "{owner} {words:?}");
        for word in words {
            assert!(
                guide.contains(&format!("`{word}`")),
                "{word} is not in docs/operator.md"
            );
        }
    }
}
