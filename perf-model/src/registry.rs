//! Checkpoints known by name, so that a question about one needs no download.
//!
//! The entries restate the configurations that aiconfigurator-core 0.12.0 (Apache-2.0) bundles, reduced to the fields
//! that are read here; `cargo xtask perf-data` writes them.

use std::sync::LazyLock;

use crate::model::ModelSpec;

/// Names further away than this share of their characters are no suggestion.
const LEAST_LIKENESS: f64 = 0.6;

static MODELS: LazyLock<Vec<ModelSpec>> =
    LazyLock::new(|| serde_json::from_str(include_str!("../data/models.json")).unwrap_or_default());

/// Last path element of a name, lower case.
fn short_name(name: &str) -> String {
    name.rsplit('/').next().unwrap_or(name).to_lowercase()
}

/// The known checkpoints, by name.
pub fn models() -> &'static [ModelSpec] {
    &MODELS
}

/// Names of the known checkpoints, ascending.
pub fn names() -> impl Iterator<Item = &'static str> {
    MODELS.iter().map(|model| model.name.as_str())
}

/// The checkpoint of a name: the whole id or its last path element where only one checkpoint has it, letter case apart.
pub fn find(name: &str) -> Option<&'static ModelSpec> {
    if let Some(exact) = MODELS.iter().find(|model| model.name.eq_ignore_ascii_case(name)) {
        return Some(exact);
    }
    if name.contains('/') {
        return None;
    }
    let wanted = name.to_lowercase();
    let mut matching = MODELS.iter().filter(|model| short_name(&model.name) == wanted);
    match (matching.next(), matching.next()) {
        (Some(only), None) => Some(only),
        _ => None,
    }
}

/// Up to three known names that are most like `name`, the likest first.
pub fn nearest(name: &str) -> Vec<&'static str> {
    let wanted = short_name(name);
    let mut likeness: Vec<(f64, &'static str)> = names()
        .map(|known| (strsim::jaro_winkler(&short_name(known), &wanted), known))
        .filter(|(likeness, _)| *likeness >= LEAST_LIKENESS)
        .collect();
    likeness.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(b.1)));
    likeness.into_iter().take(3).map(|(_, name)| name).collect()
}

#[cfg(test)]
mod tests;
