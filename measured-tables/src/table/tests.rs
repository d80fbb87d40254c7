use std::collections::BTreeSet;
use std::fs::File;
use std::path::PathBuf;
use std::sync::Arc;

use arrow_array::{ArrayRef, Float64Array, Int64Array, RecordBatch, StringArray};
use dgdr_perf_model::SystemSpec;
use parquet::arrow::ArrowWriter;

use super::{Table, TableSpec, engine_tables};
use crate::lanes::Policy;
use crate::sources::Source;

/// A measurement file of one row, removed when dropped.
struct Measurements(PathBuf);

impl Drop for Measurements {
    fn drop(&mut self) {
        // A file that cannot be removed is no reason to fail a test.
        let _ = std::fs::remove_file(&self.0);
    }
}

impl Measurements {
    fn write(name: &str, texts: &[(&str, &str)], numbers: &[(&str, i64)], reals: &[(&str, f64)]) -> Self {
        let text = |value: &str| Arc::new(StringArray::from(vec![value.to_owned()])) as ArrayRef;
        let number = |value: i64| Arc::new(Int64Array::from(vec![value])) as ArrayRef;
        let real = |value: f64| Arc::new(Float64Array::from(vec![value])) as ArrayRef;
        let columns = texts
            .iter()
            .map(|(name, value)| (*name, text(value)))
            .chain(numbers.iter().map(|(name, value)| (*name, number(*value))))
            .chain(reals.iter().map(|(name, value)| (*name, real(*value))));
        let batch = RecordBatch::try_from_iter(columns).unwrap();
        let path = std::env::temp_dir().join(format!("dgdr-table-{name}-{}.parquet", std::process::id()));
        let mut writer = ArrowWriter::try_new(File::create(&path).unwrap(), batch.schema(), None).unwrap();
        writer.write(&batch).unwrap();
        writer.close().unwrap();
        Self(path)
    }

    fn source(&self, label: &str) -> Source {
        Source {
            label: label.to_owned(),
            path: self.0.clone(),
            kernels: None,
            own: true,
        }
    }
}

/// Forms of the exchange's table whose file has this name.
fn forms(file: &str) -> Vec<&'static TableSpec> {
    engine_tables()
        .filter(|spec| spec.name == "moe_a2a" && spec.file == file)
        .collect()
}

#[test]
fn forms_of_one_table_are_neighbours_and_agree_on_its_keys() {
    let specs: Vec<&TableSpec> = engine_tables().collect();
    let mut seen = BTreeSet::new();
    for forms in specs.chunk_by(|a, b| a.name == b.name) {
        assert!(seen.insert(forms[0].name), "{} comes twice", forms[0].name);
        for form in forms {
            assert_eq!(form.columns, forms[0].columns);
            assert_eq!(form.axes, forms[0].axes);
            assert_eq!(form.grouped, forms[0].grouped);
            assert_eq!(form.ordered, forms[0].ordered);
        }
    }
}

#[test]
fn files_of_two_forms_make_one_table_and_the_first_measurement_stands() {
    let current = Measurements::write(
        "current",
        &[
            ("kernel_source", "deepep"),
            ("comm_backend", "deepep_ht"),
            ("phase", "dispatch"),
            ("comm_dtype", "default"),
        ],
        &[
            ("ep_size", 8),
            ("node_num", 1),
            ("hidden_size", 7168),
            ("topk", 8),
            ("num_experts", 256),
            ("num_tokens", 64),
            ("sms", 20),
        ],
        &[("latency", 30.0)],
    );
    let older = Measurements::write(
        "older",
        &[("kernel_source", "deepep")],
        &[
            ("node_num", 1),
            ("hidden_size", 7168),
            ("num_topk", 8),
            ("num_experts", 256),
            ("num_token", 64),
            ("dispatch_sms", 20),
            ("combine_sms", 24),
        ],
        &[
            ("dispatch_transmit_us", 40.0),
            ("dispatch_notify_us", 1.0),
            ("combine_transmit_us", 50.0),
            ("combine_notify_us", 2.0),
        ],
    );
    let mut files = Vec::new();
    for (name, measurements) in [
        ("moe_a2a_perf.parquet", &current),
        ("wideep_deepep_normal_perf.parquet", &older),
    ] {
        files.extend(
            forms(name)
                .into_iter()
                .map(|form| (form, measurements.source(name))),
        );
    }
    assert_eq!(files.len(), 3);
    let system = SystemSpec::by_name("h200_sxm").unwrap();
    let table = Table::merge(&files, system, &Policy::Alphabetical)
        .unwrap()
        .unwrap();
    let word = |text: &str| u32::try_from(table.words.iter().position(|word| word == text).unwrap()).unwrap();
    let slice = |phase| {
        let key = vec![
            word("deepep_ht"),
            word(phase),
            word("default"),
            8,
            1,
            7168,
            8,
            256,
        ];
        table.slices[&key].points.clone()
    };
    let [dispatch, combine] = ["dispatch", "combine"].map(slice);
    assert_eq!(dispatch.keys().collect::<Vec<_>>(), [&vec![20, 64]]);
    assert!((dispatch[&vec![20, 64]] - 0.030).abs() < 1e-12);
    assert_eq!(combine.keys().collect::<Vec<_>>(), [&vec![24, 64]]);
    assert!((combine[&vec![24, 64]] - 0.052).abs() < 1e-12);
    assert_eq!(
        table.sources,
        ["moe_a2a_perf.parquet", "wideep_deepep_normal_perf.parquet"]
    );
}

#[test]
fn a_file_without_latencies_is_refused() {
    let empty = Measurements::write(
        "empty",
        &[("kernel_source", "deepep")],
        &[
            ("node_num", 1),
            ("hidden_size", 7168),
            ("num_topk", 8),
            ("num_experts", 256),
            ("num_token", 64),
        ],
        &[],
    );
    let files: Vec<_> = forms("wideep_deepep_ll_perf.parquet")
        .into_iter()
        .map(|form| (form, empty.source("sglang 1")))
        .collect();
    let system = SystemSpec::by_name("h200_sxm").unwrap();
    let refused = Table::merge(&files, system, &Policy::Alphabetical);
    assert!(format!("{:#}", refused.unwrap_err()).contains("no column `latency`"));
}
