//! The cluster accepts what is rendered.

use dgdr_types::dgd::DgdVersion;
use serde_json::json;

use super::shapes::every_shape;
use super::{dgdr_skip, schema};
use crate::render;

#[test]
fn the_cluster_accepts_every_shape() {
    let Some(schema) = schema::of_release("main-2026-05-06", DgdVersion::V1beta1) else {
        dgdr_skip("the_cluster_accepts_every_shape", "../shared is missing");
        return;
    };
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
