//! The cluster accepts what is rendered.

use std::path::Path;

use serde_json::json;

use super::shapes::every_shape;
use super::{dgdr_skip, schema};
use crate::render;

#[test]
fn the_cluster_accepts_every_shape() {
    let crds = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/crds/main-2026-05-06");
    let Ok(crd) = std::fs::read_to_string(crds.join("nvidia.com_dynamographdeployments.yaml")) else {
        dgdr_skip("the_cluster_accepts_every_shape", "../shared is missing");
        return;
    };
    let schema = schema::deployment(&crd);
    for plan in every_shape() {
        let value = serde_json::to_value(render(&plan).unwrap().deployment).unwrap();
        let problems = schema::problems(&schema, &value);
        assert!(
            problems.is_empty(),
            "{} {:?}: {problems:#?}",
            plan.backend,
            plan.layout
        );
    }
    let right = serde_json::to_value(render(&every_shape()[0]).unwrap().deployment).unwrap();
    for (field, value) in [
        ("replica", json!(1)),
        ("name", json!("front_end")),
        ("type", json!("router")),
    ] {
        let mut wrong = right.clone();
        wrong["spec"]["components"][0][field] = value;
        let problems = schema::problems(&schema, &wrong);
        assert_eq!(problems.len(), 1, "{field}: {problems:?}");
    }
}
