//! The operators, weights and caches of every known model against the reference predictor's (see `data/README.md`).
#![expect(
    clippy::unwrap_used,
    reason = "what a test's helper cannot unwrap fails the test"
)]

mod upstream_graphs {
    pub(crate) mod golden;
    pub(crate) mod ours;
}

use std::collections::BTreeMap;

use dgdr_perf_model::graph::{GraphQuery, OperatorGraph, Phase};
use dgdr_perf_model::{ExchangePolicy, ModelFamily, PerfDatabase, PerfModelError, SystemSpec, registry};

use upstream_graphs::golden::{Case, Golden, Op, Sizes};
use upstream_graphs::ours;

/// Families of whose keys and values the reference counts none, for want of a number of heads that all layers share.
const WITHOUT_CACHE: &[ModelFamily] = &[ModelFamily::NemotronNas];

const GRAPHS: &[u8] = include_bytes!("data/graphs.gz");
const EXCHANGES: &[u8] = include_bytes!("data/exchanges.gz");

/// Differences that are shown of each family.
const SHOWN: usize = 12;

/// What differs between two lists, in words.
fn list_differences(expected: &[Op], found: &[Op]) -> Vec<String> {
    let mut differences: Vec<String> = expected
        .iter()
        .zip(found)
        .filter(|(expected, found)| expected != found)
        .map(|(expected, found)| format!("{found}\n      instead of {expected}"))
        .collect();
    let shared = expected.len().min(found.len());
    differences.extend(expected[shared..].iter().map(|op| format!("{op} is missing")));
    differences.extend(found[shared..].iter().map(|op| format!("{op} is too many")));
    differences
}

fn size_differences(expected: &Sizes, found: &Sizes) -> Vec<String> {
    expected
        .named()
        .into_iter()
        .zip(found.named())
        .filter(|((_, expected), (_, found))| (expected - found).abs() > 1e-9 * expected.abs() + 0.5)
        .map(|((name, expected), (_, found))| format!("{name} {found} instead of {expected}"))
        .collect()
}

fn differences(
    case: &Case,
    golden: &Golden,
    graph: impl Fn(GraphQuery<'_>) -> Result<OperatorGraph, PerfModelError>,
) -> Vec<String> {
    let model = registry::find(&case.model).unwrap();
    let query = case.query(model, SystemSpec::by_name(&case.system).unwrap());
    let graph = graph(query);
    match (&case.answer, graph) {
        (Err(_), Err(_)) => Vec::new(),
        (Err(_), Ok(_)) if case.is_about_experts(model) => Vec::new(),
        (Err(reason), Ok(_)) => vec![format!("answered, though the reference says `{reason}`")],
        (Ok(_), Err(error)) => vec![format!("refused: {error}")],
        (Ok(answer), Ok(graph)) => {
            let scale = ours::DraftScale {
                layers: model.layers,
                drafted: case.drafted,
            };
            let mut differences = Vec::new();
            for (phase, list) in [
                (Phase::Context, answer.context),
                (Phase::Generation, answer.generation),
            ] {
                let found = ours::list(graph.phase(phase), phase, scale);
                differences.extend(list_differences(&golden.list(list), &found));
            }
            let mut sizes = ours::sizes(&graph, query);
            if WITHOUT_CACHE.contains(&model.family) {
                assert!(sizes.kept[0] > 0.0 && sizes.longest > 0.0);
                sizes.kept = answer.sizes.kept;
                sizes.longest = answer.sizes.longest;
            }
            differences.extend(size_differences(&answer.sizes, &sizes));
            differences
        }
    }
}

#[test]
fn every_operator_list_is_the_reference_s() {
    let golden = Golden::read(GRAPHS);
    let mut wrong: BTreeMap<ModelFamily, Vec<String>> = BTreeMap::new();
    for case in &golden.cases {
        let family = registry::find(&case.model).unwrap().family;
        let differences = differences(case, &golden, OperatorGraph::of);
        wrong.entry(family).or_default().extend(
            differences
                .into_iter()
                .map(|what| format!("  {case}:\n    {what}")),
        );
    }
    wrong.retain(|_, differences| !differences.is_empty());
    assert!(golden.cases.len() > 4000);
    let report: Vec<String> = wrong
        .iter()
        .map(|(family, all)| {
            let shown = &all[..all.len().min(SHOWN)];
            format!("{family:?}: {} differences\n{}", all.len(), shown.join("\n"))
        })
        .collect();
    assert!(report.is_empty(), "{}", report.join("\n"));
}

/// In searches experts exchange tokens by kernels of their own wherever those were measured.
#[test]
fn experts_exchange_tokens_where_the_reference_s_do() {
    let golden = Golden::read(EXCHANGES);
    let mut wrong = Vec::new();
    for case in &golden.cases {
        let system = SystemSpec::by_name(&case.system).unwrap();
        let database = PerfDatabase::embedded(system, case.backend, None)
            .unwrap()
            .with_exchange(ExchangePolicy::WhereMeasured);
        let found = differences(case, &golden, |query| database.graph(query));
        wrong.extend(found.into_iter().map(|what| format!("{case}:\n    {what}")));
    }
    assert!(golden.cases.len() > 100);
    assert!(wrong.is_empty(), "{} differ:\n{}", wrong.len(), wrong.join("\n"));
}
