//! Reads columns of a parquet file; the only module that knows parquet and arrow.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::Path;

use anyhow::{Context as _, bail, ensure};
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
    reals: BTreeMap<&'static str, Vec<f64>>,
    count: usize,
}

/// The columns to read besides latencies.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Columns {
    /// Columns of counts.
    pub(crate) numbers: &'static [&'static str],
    /// Columns of names.
    pub(crate) texts: &'static [&'static str],
}

/// Columns of latencies. Files of collectives that have two halves have no single one.
const LATENCIES: [&str; 7] = [
    LATENCY,
    "dispatch_transmit_us",
    "dispatch_notify_us",
    "combine_transmit_us",
    "combine_notify_us",
    "dispatch_avg_t_us",
    "combine_avg_t_us",
];

const LATENCY: &str = "latency";

/// Columns that older files lack, with what stands for them.
const NUMBER_DEFAULTS: [(&str, u32); 1] = [("window_size", 0)];
const TEXT_DEFAULTS: [(&str, &str); 1] = [("backend", "")];

impl Rows {
    /// Reads `columns` and the latencies of a file.
    pub(crate) fn read(path: &Path, columns: Columns) -> anyhow::Result<Self> {
        let context = || format!("reading {}", path.display());
        let builder = ParquetRecordBatchReaderBuilder::try_new(File::open(path).with_context(context)?)
            .with_context(context)?;
        let names = columns
            .numbers
            .iter()
            .chain(columns.texts)
            .chain(&LATENCIES)
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
        self.count
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

    /// The latency, in the unit of the file; not a number where it has none.
    pub(crate) fn latency(&self, row: usize) -> f64 {
        self.real(LATENCY, row)
    }

    /// One of several latencies, in the unit of the file; not a number where it has none.
    pub(crate) fn real(&self, column: &str, row: usize) -> f64 {
        self.reals
            .get(column)
            .and_then(|values| values.get(row))
            .copied()
            .unwrap_or(f64::NAN)
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
        for name in LATENCIES {
            let Some(column) = batch.column_by_name(name) else {
                continue;
            };
            let values = column
                .as_primitive_opt::<Float64Type>()
                .with_context(|| format!("column `{name}` is not of doubles"))?;
            self.reals
                .entry(name)
                .or_default()
                .extend_from_slice(values.values());
        }
        ensure!(!self.reals.is_empty(), "no column `{LATENCY}`");
        self.count += batch.num_rows();
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
