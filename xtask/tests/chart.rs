//! The chart says what the manifests say, however both are set up; and it refuses what it cannot mean.
//!
//! Helm is `HELM`, or the one on the path, or the one that `.ci/run` builds below cargo's directory; `kubectl` renders the
//! manifests.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

const RELEASE: &str = "dgdr";
const NAMESPACE: &str = "dgdr-system";
/// What the chart is rendered for; helm does not ask a cluster.
const KUBERNETES: &str = "1.34.0";

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn answers(program: &Path, arguments: &[&str]) -> bool {
    let asked = Command::new(program).args(arguments).output();
    asked.is_ok_and(|output| output.status.success())
}

/// Helm, where there is one.
fn helm() -> Option<PathBuf> {
    let named = std::env::var_os("HELM").map(PathBuf::from);
    let built = Path::new(env!("CARGO_TARGET_TMPDIR")).join("../tools/helm");
    [named, Some(PathBuf::from("helm")), Some(built)]
        .into_iter()
        .flatten()
        .find(|program| answers(program, &["version"]))
}

fn template(helm: &Path, values: &[&str]) -> Output {
    let mut command = Command::new(helm);
    command.args([
        "template",
        RELEASE,
        "deploy/helm/dgdr-operator",
        "--namespace",
        NAMESPACE,
    ]);
    command.args(["--kube-version", KUBERNETES]).current_dir(root());
    for value in values {
        command.args(["--set", value]);
    }
    command.output().unwrap()
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// What kustomize makes of an overlay; none without kubectl.
fn overlay(name: &str, base: &str, components: &[&str]) -> Option<String> {
    if !answers(Path::new("kubectl"), &["version", "--client"]) {
        return None;
    }
    // Kustomize reads nothing above an overlay but other overlays, by relative paths.
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("chart-{name}"));
    let _ = fs::remove_dir_all(&folder);
    copy(&root().join("deploy"), &folder);
    let mut text = format!("resources: [../manifests/{base}]\n");
    if !components.is_empty() {
        text.push_str("components:\n");
        for component in components {
            text.extend(["  - ../manifests/components/", component, "\n"]);
        }
    }
    fs::create_dir(folder.join("overlay")).unwrap();
    fs::write(folder.join("overlay/kustomization.yaml"), text).unwrap();
    let output = Command::new("kubectl")
        .arg("kustomize")
        .arg(folder.join("overlay"))
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    Some(String::from_utf8(output.stdout).unwrap())
}

/// Labels that say which release of a chart an object is of.
const OF_A_RELEASE: [&str; 4] = [
    "app.kubernetes.io/instance",
    "app.kubernetes.io/managed-by",
    "app.kubernetes.io/version",
    "helm.sh/chart",
];

/// All objects by kind and name, without what only one of the two ways can say.
fn objects(text: &str) -> BTreeMap<String, Value> {
    let documents: Vec<Value> = serde_saphyr::from_multiple(text).unwrap();
    let mut objects = BTreeMap::new();
    for mut document in documents {
        // Helm leaves the namespace to whoever installs.
        if document.is_null() || document["kind"] == "Namespace" {
            continue;
        }
        if let Some(labels) = document
            .pointer_mut("/metadata/labels")
            .and_then(Value::as_object_mut)
        {
            labels.retain(|label, _| !OF_A_RELEASE.contains(&label.as_str()));
        }
        if document["kind"] == "Deployment" {
            let arguments = &mut document["spec"]["template"]["spec"]["containers"][0]["args"];
            let arguments = arguments.as_array_mut().unwrap();
            arguments.sort_by_key(|argument| argument.as_str().map(str::to_owned));
        }
        let name = document["metadata"]["name"].as_str().unwrap();
        let key = format!("{} {name}", document["kind"].as_str().unwrap());
        assert!(objects.insert(key, document).is_none());
    }
    objects
}

/// Where two values are not alike. The number 1 is 1.0.
fn differences(chart: &Value, manifest: &Value, path: &str) -> Vec<String> {
    match (chart, manifest) {
        (Value::Object(ours), Value::Object(theirs)) => {
            let keys: BTreeSet<&String> = ours.keys().chain(theirs.keys()).collect();
            let pairs = keys.into_iter().map(|key| (key, &chart[key], &manifest[key]));
            pairs
                .flat_map(|(key, ours, theirs)| differences(ours, theirs, &format!("{path}/{key}")))
                .collect()
        }
        (Value::Array(ours), Value::Array(theirs)) if ours.len() == theirs.len() => {
            let pairs = ours.iter().zip(theirs).enumerate();
            pairs
                .flat_map(|(index, (ours, theirs))| differences(ours, theirs, &format!("{path}/{index}")))
                .collect()
        }
        (Value::Number(ours), Value::Number(theirs)) if ours.as_f64() == theirs.as_f64() => Vec::new(),
        _ if chart == manifest => Vec::new(),
        _ => vec![format!("{path}: chart {chart}, manifests {manifest}")],
    }
}

/// A way to install.
struct Case {
    name: &'static str,
    values: &'static [&'static str],
    base: &'static str,
    components: &'static [&'static str],
}

const CASES: [Case; 7] = [
    Case {
        name: "cluster",
        values: &[],
        base: "cluster-scoped",
        components: &[],
    },
    Case {
        name: "namespace",
        values: &["scope=namespace", "crds.install=false"],
        base: "namespace-scoped",
        components: &[],
    },
    Case {
        name: "namespace-nodes",
        values: &[
            "scope=namespace",
            "crds.install=false",
            "gpuDiscovery.readNodes=true",
        ],
        base: "namespace-scoped",
        components: &["nodes"],
    },
    Case {
        name: "thorough",
        values: &["profiler.thorough=true"],
        base: "cluster-scoped",
        components: &["thorough"],
    },
    Case {
        name: "monitored",
        values: &["metrics.serviceMonitor.enabled=true"],
        base: "cluster-scoped",
        components: &["service-monitor"],
    },
    Case {
        name: "webhook",
        values: &["webhook.enabled=true"],
        base: "cluster-scoped",
        components: &["webhook", "webhook-self-made"],
    },
    Case {
        name: "cert-manager",
        values: &["webhook.enabled=true", "webhook.certificates.from=cert-manager"],
        base: "cluster-scoped",
        components: &["webhook", "webhook-cert-manager"],
    },
];

#[test]
fn the_chart_says_what_the_manifests_say() {
    let Some(helm) = helm() else {
        println!("skipped: the_chart_says_what_the_manifests_say: there is no helm");
        return;
    };
    for case in &CASES {
        let Some(manifests) = overlay(case.name, case.base, case.components) else {
            println!("skipped: the_chart_says_what_the_manifests_say: there is no kubectl");
            return;
        };
        let rendered = template(&helm, case.values);
        let complaint = String::from_utf8_lossy(&rendered.stderr);
        assert!(rendered.status.success(), "{}: {complaint}", case.name);
        // Releases of several namespaces must not share an object of the cluster; an overlay gives a suffix where it must.
        let rendered = String::from_utf8(rendered.stdout).unwrap();
        let chart = objects(&rendered.replace("dgdr-operator-nodes-dgdr-system", "dgdr-operator-nodes"));
        let manifests = objects(&manifests);
        let names = |objects: &BTreeMap<String, Value>| objects.keys().cloned().collect::<Vec<_>>();
        assert_eq!(names(&chart), names(&manifests), "{}", case.name);
        for (name, object) in &chart {
            let found = differences(object, &manifests[name], "");
            assert!(found.is_empty(), "{}: {name}:\n{}", case.name, found.join("\n"));
        }
    }
}

#[test]
fn the_chart_is_clean() {
    let Some(helm) = helm() else {
        println!("skipped: the_chart_is_clean: there is no helm");
        return;
    };
    let output = Command::new(helm)
        .args([
            "lint",
            "--strict",
            "deploy/helm/dgdr-operator",
            "--kube-version",
            KUBERNETES,
        ])
        .current_dir(root())
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stdout)
    );
}

/// Values that mean nothing, each with a word of the complaint.
const NONSENSE: [(&[&str], &str); 9] = [
    (&["scope=galaxy"], "/scope"),
    (&["replicas=0"], "/replicas"),
    (&["replica=2"], "replica"),
    (&["deadlines.pending=soon"], "/deadlines/pending"),
    (&["gpuDiscovery.source=guess"], "/gpuDiscovery/source"),
    (&["image.tag=not a tag"], "/image/tag"),
    (&["extraArgs[0]=run"], "/extraArgs/0"),
    (
        &["webhook.certificates.from=nowhere"],
        "/webhook/certificates/from",
    ),
    (
        &["scope=namespace", "webhook.enabled=true"],
        "webhook.enabled needs scope: cluster",
    ),
];

#[test]
fn nonsense_is_refused() {
    let Some(helm) = helm() else {
        println!("skipped: nonsense_is_refused: there is no helm");
        return;
    };
    for (values, word) in NONSENSE {
        let output = template(&helm, values);
        let complaint = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success(), "{values:?} is accepted");
        assert!(complaint.contains(word), "{values:?}: {complaint}");
    }
}
