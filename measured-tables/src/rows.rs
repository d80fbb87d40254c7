//! Reads columns of a parquet file; the only module that knows parquet and arrow.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::Path;

use anyhow::{Context as _, bail};
use arrow_array::cast::AsArray as _;
use arrow_array::types::{Float64Type, Int64Type};
use arrow_array::{Array, RecordBatch};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

/// Columns of a measurement file.
#[derive(Debug, Default)]
pub(crate) struct Rows {
    numbers: BTreeMap<&'static str, Vec<u32>>,
    texts: BTreeMap<&'static str, Vec<u32>>,
    words: Vec<String>,
    latencies: Vec<f64>,
}

/// The columns to read besides `latency`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Columns {
    /// Columns of counts.
    pub(crate) numbers: &'static [&'static str],
    /// Columns of names.
    pub(crate) texts: &'static [&'static str],
}

/// Columns that older files lack, with what stands for them.
const NUMBER_DEFAULTS: [(&str, u32); 1] = [("window_size", 0)];
const TEXT_DEFAULTS: [(&str, &str); 1] = [("backend", "")];

impl Rows {
    /// Reads `columns` and `latency` (milliseconds) of a file.
    pub(crate) fn read(path: &Path, columns: Columns) -> anyhow::Result<Self> {
        let context = || format!("reading {}", path.display());
        let builder = ParquetRecordBatchReaderBuilder::try_new(File::open(path).with_context(context)?)
            .with_context(context)?;
        let names = columns
            .numbers
            .iter()
            .chain(columns.texts)
            .chain(&["latency"])
            .copied();
        let mask = ProjectionMask::columns(builder.parquet_schema(), names);
        let reader = builder
            .with_projection(mask)
            .with_batch_size(1 << 16)
            .build()
            .with_context(context)?;
        let mut rows = Self::default();
        for batch in reader {
            rows.append(&batch.with_context(context)?, columns)
                .with_context(context)?;
        }
        Ok(rows)
    }

    /// Number of rows.
    pub(crate) fn len(&self) -> usize {
        self.latencies.len()
    }

    /// A count.
    pub(crate) fn number(&self, column: &str, row: usize) -> u32 {
        self.numbers[column][row]
    }

    /// A name.
    pub(crate) fn text(&self, column: &str, row: usize) -> &str {
        usize::try_from(self.texts[column][row])
            .ok()
            .and_then(|word| self.words.get(word))
            .map_or("", String::as_str)
    }

    /// Milliseconds.
    pub(crate) fn latency(&self, row: usize) -> f64 {
        self.latencies[row]
    }

    fn append(&mut self, batch: &RecordBatch, columns: Columns) -> anyhow::Result<()> {
        for name in columns.numbers {
            let values = match batch.column_by_name(name) {
                Some(column) => numbers(column).with_context(|| format!("column `{name}`"))?,
                None => vec![default_of(&NUMBER_DEFAULTS, name)?; batch.num_rows()],
            };
            self.numbers.entry(name).or_default().extend(values);
        }
        for name in columns.texts {
            let values = match batch.column_by_name(name) {
                Some(column) => self
                    .words_of(column)
                    .with_context(|| format!("column `{name}`"))?,
                None => vec![self.word(default_of(&TEXT_DEFAULTS, name)?)?; batch.num_rows()],
            };
            self.texts.entry(name).or_default().extend(values);
        }
        let latency = batch.column_by_name("latency").context("no column `latency`")?;
        let latency = latency
            .as_primitive_opt::<Float64Type>()
            .context("column `latency` is not of doubles")?;
        self.latencies.extend_from_slice(latency.values());
        Ok(())
    }

    fn words_of(&mut self, column: &dyn Array) -> anyhow::Result<Vec<u32>> {
        if let Some(texts) = column.as_string_opt::<i32>() {
            texts
                .iter()
                .map(|text| self.word(text.unwrap_or_default()))
                .collect()
        } else if let Some(texts) = column.as_string_opt::<i64>() {
            texts
                .iter()
                .map(|text| self.word(text.unwrap_or_default()))
                .collect()
        } else {
            bail!("it is of {}, not of text", column.data_type())
        }
    }

    fn word(&mut self, text: &str) -> anyhow::Result<u32> {
        let position = self
            .words
            .iter()
            .position(|word| word == text)
            .unwrap_or_else(|| {
                self.words.push(text.to_owned());
                self.words.len() - 1
            });
        Ok(u32::try_from(position)?)
    }
}

fn numbers(column: &dyn Array) -> anyhow::Result<Vec<u32>> {
    let values = column
        .as_primitive_opt::<Int64Type>()
        .with_context(|| format!("it is of {}, not of integers", column.data_type()))?;
    values
        .values()
        .iter()
        .map(|value| Ok(u32::try_from(*value)?))
        .collect()
}

fn default_of<T: Copy>(defaults: &[(&str, T)], name: &str) -> anyhow::Result<T> {
    let known = defaults
        .iter()
        .find(|(column, _)| *column == name)
        .map(|(_, value)| *value);
    known.with_context(|| format!("no column `{name}`"))
}
