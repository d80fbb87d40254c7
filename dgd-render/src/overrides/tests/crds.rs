//! The vocabulary is that of upstream's CRDs.

use std::collections::BTreeSet;

use super::merging::{BETA, GUIDE};
use super::*;
use crate::overrides::pods::{CONTAINER_FIELDS, POD_FIELDS};
use crate::overrides::vocabulary::{Holds, component_fields, holds, is_atomic, list_keys, spec_fields};
use crate::tests::{dgdr_skip, schema};

#[test]
fn lists_are_keyed_as_the_crds_say() {
    let mut seen = BTreeSet::new();
    for version in DgdVersion::ALL {
        let Some(schema) = schema::of_release("main-2026-05-06", version) else {
            dgdr_skip("lists_are_keyed_as_the_crds_say", "../shared is missing");
            return;
        };
        let spec = &schema["properties"]["spec"];
        let component = match version {
            DgdVersion::V1alpha1 => &spec["properties"]["services"]["additionalProperties"],
            DgdVersion::V1beta1 => &spec["properties"]["components"]["items"],
        };
        for (known, properties) in [
            (spec_fields(version), &spec["properties"]),
            (component_fields(version), &component["properties"]),
        ] {
            for field in properties.as_object().unwrap().keys() {
                assert!(known.contains(&field.as_str()), "{version}: {field}");
            }
        }
        walk(spec, "spec", &mut seen);
        if version == DgdVersion::V1beta1 {
            let pod = &component["properties"]["podTemplate"]["properties"]["spec"];
            let container = &pod["properties"]["containers"]["items"];
            let names = |schema: &Value| -> Vec<String> {
                schema["properties"]
                    .as_object()
                    .unwrap()
                    .keys()
                    .cloned()
                    .collect()
            };
            assert_eq!(names(pod), POD_FIELDS);
            assert_eq!(names(container), CONTAINER_FIELDS);
        }
        for properties in [&spec["properties"], &component["properties"]] {
            for (field, property) in properties.as_object().unwrap() {
                if let Some(holds) = holds(field) {
                    let kind = match holds {
                        Holds::Object => "object",
                        Holds::List => "array",
                        Holds::Count => "integer",
                        Holds::Text => "string",
                    };
                    assert_eq!(property["type"], kind, "{version}: {field}");
                }
            }
        }
    }
    for list in ["components", "containers", "volumes", "ports", "volumeMounts"] {
        assert!(seen.contains(list), "{list}");
    }
}

/// Compares every keyed list and atomic object below a schema.
fn walk(schema: &Value, field: &str, seen: &mut BTreeSet<String>) {
    if let Some(keys) = schema["x-kubernetes-list-map-keys"].as_array() {
        let keys: Vec<&str> = keys.iter().map(|key| key.as_str().unwrap()).collect();
        assert_eq!(list_keys(field), keys, "{field}");
        seen.insert(field.to_owned());
    }
    if schema["x-kubernetes-list-type"] == "atomic" {
        assert_eq!(list_keys(field), [""; 0], "{field}");
    }
    // Volumes and preferences are atomic by their place, not by their name.
    let is_named = !matches!(
        field,
        "configMap" | "secret" | "preference" | "requiredDuringSchedulingIgnoredDuringExecution"
    );
    if schema["x-kubernetes-map-type"] == "atomic" && is_named {
        assert!(is_atomic(field), "{field}");
    }
    for (name, property) in schema["properties"].as_object().into_iter().flatten() {
        walk(property, name, seen);
    }
    if schema["additionalProperties"].is_object() {
        walk(&schema["additionalProperties"], "", seen);
    }
    if schema["items"].is_object() {
        let items = &schema["items"];
        for (name, property) in items["properties"].as_object().into_iter().flatten() {
            walk(property, name, seen);
        }
    }
}

#[test]
fn the_cluster_accepts_what_is_merged() {
    let parts = [
        "{spec: {services: {worker: {envs: [{name: A, value: b}], volumeMounts: [{name: w, mountPoint: /w}],
          sharedMemory: {disabled: true}, envFromSecret: s, extraPodSpec: {nodeSelector: {a: b},
          mainContainer: {args: [--seed, '1'], startupProbe: {httpGet: {path: /, port: 1}}}}}}}}",
        "{apiVersion: nvidia.com/v1beta1, spec: {components: [{name: worker, compilationCache: {pvcName: c},
          podTemplate: {spec: {volumes: [{name: v, emptyDir: {}}], containers: [{name: beside, image: i}]}}}]}}",
    ];
    for (release, version) in [
        ("v1.0.0", DgdVersion::V1alpha1),
        ("main-2026-05-06", DgdVersion::V1alpha1),
        ("main-2026-05-06", DgdVersion::V1beta1),
    ] {
        let Some(schema) = schema::of_release(release, version) else {
            dgdr_skip("the_cluster_accepts_what_is_merged", "../shared is missing");
            return;
        };
        for text in parts {
            let finished = merged(&plan(Backend::Vllm, aggregated()), text, version).unwrap();
            let problems = schema::problems(&schema, &finished.deployment);
            assert!(problems.is_empty(), "{release} {version}: {problems:#?}");
        }
        let planned = planned(plan(Backend::Vllm, disaggregated()));
        for text in [GUIDE, BETA] {
            let finished = merged(&planned, text, version).unwrap();
            let mut problems = schema::problems(&schema, &finished.deployment);
            // That CRD prunes the pods' own labels by mistake; upstream mended it before the next release.
            problems.retain(|problem| !problem.ends_with(".podTemplate.metadata.labels: unknown field"));
            assert!(problems.is_empty(), "{release} {version}: {problems:#?}");
        }
    }
}
