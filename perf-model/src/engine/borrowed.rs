//! Which measurements were taken on another engine, or another version of it.

use std::collections::BTreeMap;

use serde::Serialize;

use super::Engine;
use crate::efficiency::Subject;
use crate::graph::{GraphOperator, OperatorGraph, OperatorName, Phase};
use crate::tables::PerfDatabase;

/// Operators whose table was measured, in whole or in part, elsewhere.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Borrowed {
    /// The table.
    pub table: &'static str,
    /// Engines and versions that the rest of the table was taken from, for example `trtllm 1.3.0rc10`, the preferred one
    /// first.
    pub from: Vec<String>,
    /// Operators that read the table.
    pub operators: Vec<OperatorName>,
}

impl Engine {
    /// What was not measured on this very engine, by name of the table.
    ///
    /// Tables are merged row by row, the engine's own rows first, and do not record which row came from where: an
    /// operator here may still rest on the engine's own measurements.
    pub fn borrowed(&self) -> &[Borrowed] {
        &self.borrowed
    }
}

/// The borrowed tables of a graph.
pub(super) fn of_graph(database: &PerfDatabase, graph: &OperatorGraph) -> Vec<Borrowed> {
    let mut readers: BTreeMap<&'static str, Vec<OperatorName>> = BTreeMap::new();
    for phase in [Phase::Context, Phase::Generation] {
        for operator in graph.phase(phase) {
            let name = OperatorName {
                phase,
                operator: operator.operator,
            };
            read_by(operator, &mut |table| {
                let names = readers.entry(table).or_default();
                if !names.contains(&name) {
                    names.push(name);
                }
            });
        }
    }
    readers
        .into_iter()
        .map(|(table, operators)| Borrowed {
            table,
            from: database.donors(table),
            operators,
        })
        .filter(|borrowed| !borrowed.from.is_empty())
        .collect()
}

/// Gives `sink` the tables of an operator and of its parts.
fn read_by(operator: &GraphOperator, sink: &mut impl FnMut(&'static str)) {
    if let Some(subject) = Subject::of(&operator.work) {
        sink(subject.kind);
    }
    for part in operator.work.parts() {
        read_by(part, sink);
    }
}
