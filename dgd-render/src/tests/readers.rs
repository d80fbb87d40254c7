//! What is written is read alike by PyYAML, the reader of upstream's profiler and operator tooling.

use std::io::Write as _;
use std::process::{Command, Stdio};

use serde_json::Value;

use super::shapes::every_shape;
use super::{dgdr_skip, render, to_yaml};

/// Prints each document of standard input as one line of JSON.
const SCRIPT: &str = "import sys, json, yaml\n\
                      for document in yaml.safe_load_all(sys.stdin):\n    print(json.dumps(document))\n";

#[test]
fn python_reads_what_was_written() {
    let manifests: Vec<_> = every_shape().iter().map(|plan| render(plan).unwrap()).collect();
    let text: Vec<String> = manifests
        .iter()
        .map(|manifest| to_yaml(manifest).unwrap())
        .collect();
    let expected: Vec<Value> = manifests
        .iter()
        .flat_map(|manifest| {
            let config_maps = manifest
                .config_maps
                .iter()
                .map(|map| serde_json::to_value(map).unwrap());
            config_maps.chain([serde_json::to_value(&manifest.deployment).unwrap()])
        })
        .collect();
    if has_python("python_reads_what_was_written") {
        assert_eq!(read_by_python(text), expected);
    }
}

/// Whether there is PyYAML; that there is none is said.
pub(crate) fn has_python(test: &str) -> bool {
    let has_yaml = Command::new("python3").args(["-c", "import yaml"]).output();
    let has_yaml = has_yaml.is_ok_and(|output| output.status.success());
    if !has_yaml {
        dgdr_skip(test, "python3 with PyYAML is missing");
    }
    has_yaml
}

/// What PyYAML reads.
pub(crate) fn read_by_python(text: Vec<String>) -> Vec<Value> {
    let mut python = Command::new("python3")
        .args(["-c", SCRIPT])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = python.stdin.take().unwrap();
    let writer = std::thread::spawn(move || stdin.write_all(text.join("---\n").as_bytes()));
    let output = python.wait_with_output().unwrap();
    writer.join().unwrap().unwrap();
    assert!(output.status.success());
    let lines = String::from_utf8(output.stdout).unwrap();
    lines
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}
