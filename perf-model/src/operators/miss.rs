//! Why an operator has no cost.

use std::sync::Arc;

use crate::SystemSpec;
use crate::tables::{Directory, Grid, PackedFile, TableError};

/// An operator that the measurements do not cover.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OperatorMiss {
    /// Nothing was measured for the operator in this format or shape.
    #[error("{operator} with {wanted} was not measured on {measured_on}; measured: {available}")]
    NotMeasured {
        /// The table.
        operator: &'static str,
        /// What was asked for.
        wanted: String,
        /// System, engine and version.
        measured_on: String,
        /// What exists, column by column.
        available: String,
    },
    /// The shape is too far from every measured one to be extrapolated.
    #[error(
        "{operator} with {wanted} is too far from everything measured on {measured_on} to be extrapolated"
    )]
    OutOfReach {
        /// The table.
        operator: &'static str,
        /// What was asked for.
        wanted: String,
        /// System, engine and version.
        measured_on: String,
    },
    /// The tables cannot be read.
    #[error(transparent)]
    Table(#[from] TableError),
}

/// Key columns of names, besides the formats.
const TEXT_COLUMNS: [&str; 7] = [
    "op_name",
    "architecture",
    "kernel",
    "distribution",
    "kernel_source",
    "comm_backend",
    "phase",
];

impl OperatorMiss {
    /// Whether measurements are lacking, rather than unreadable.
    pub(crate) const fn is_gap(&self) -> bool {
        match self {
            Self::NotMeasured { .. } | Self::OutOfReach { .. } => true,
            Self::Table(_) => false,
        }
    }
}

/// Tables with the system and engine on which they were measured.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Measured<'a> {
    pub(crate) system: &'static SystemSpec,
    pub(crate) file: &'a PackedFile,
}

impl Measured<'_> {
    /// How error messages name the tables.
    pub(super) fn label(&self) -> String {
        let header = self.file.header();
        format!("{} {} {}", header.system, header.backend, header.version)
    }

    pub(super) fn directory(&self, operator: &'static str) -> Result<&Directory, OperatorMiss> {
        self.file
            .directory(operator)?
            .ok_or_else(|| OperatorMiss::NotMeasured {
                operator,
                wanted: "any shape".to_owned(),
                measured_on: self.label(),
                available: "nothing".to_owned(),
            })
    }

    /// The slice of a table whose key is `words`; none where it has no such slice.
    pub(super) fn grid(
        &self,
        operator: &'static str,
        words: &[&str],
    ) -> Result<Option<Arc<Grid>>, OperatorMiss> {
        let directory = self.directory(operator)?;
        let key: Option<Vec<u32>> = words.iter().map(|word| directory.word(word)).collect();
        let Some(slice) = key.and_then(|key| directory.find(&key)) else {
            return Ok(None);
        };
        Ok(Some(self.file.grid(directory, slice)?))
    }

    pub(crate) fn not_measured(&self, operator: &'static str, wanted: String) -> OperatorMiss {
        let available = match self.file.directory(operator) {
            Ok(Some(directory)) => available(directory),
            Ok(None) => "nothing".to_owned(),
            Err(error) => return error.into(),
        };
        OperatorMiss::NotMeasured {
            operator,
            wanted,
            measured_on: self.label(),
            available,
        }
    }
}

/// The distinct values of each key column.
fn available(directory: &Directory) -> String {
    let columns = directory.columns().iter().enumerate().map(|(column, name)| {
        let mut values: Vec<u32> = (0..directory.slices())
            .map(|slice| directory.key(slice)[column])
            .collect();
        values.sort_unstable();
        values.dedup();
        let shown: Vec<String> = values
            .into_iter()
            .map(|value| {
                let text = match name.as_str() {
                    "lane" => usize::try_from(value)
                        .ok()
                        .and_then(|lane| directory.lanes().get(lane).cloned()),
                    name if name.ends_with("dtype") || TEXT_COLUMNS.contains(&name) => {
                        directory.text(value).map(str::to_owned)
                    }
                    _ => None,
                };
                text.unwrap_or_else(|| value.to_string())
            })
            .collect();
        format!("{name} {}", shown.join("|"))
    });
    columns.collect::<Vec<_>>().join(", ")
}
