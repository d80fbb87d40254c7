//! Writes `perf-model/data/efficiency.json`: what share of the speed of light the packed kernels reach.

use std::borrow::Cow;

use anyhow::Context as _;
use dgdr_measured_tables::Pack;
use dgdr_perf_model::efficiency::Lesson;
use dgdr_perf_model::tables::PackedFile;
use dgdr_perf_model::{Backend, PerfDatabase, SystemSpec};

/// Learns from all packs; one line a curve.
pub(crate) fn text(systems: &[&str], packs: &[Pack]) -> anyhow::Result<String> {
    let mut lesson = Lesson::new();
    for system in systems {
        let described =
            SystemSpec::by_name(system).with_context(|| format!("no system is called {system}"))?;
        for backend in Backend::ALL {
            let files = [file(packs, system, backend.name())?, file(packs, system, "nccl")?];
            lesson.observe(&PerfDatabase::of_files(described, backend, files));
        }
    }
    let lines = lesson
        .learn()
        .curves()
        .iter()
        .map(serde_json::to_string)
        .collect::<Result<Vec<_>, _>>()?;
    Ok(format!("[\n{}\n]\n", lines.join(",\n")))
}

fn file(packs: &[Pack], system: &str, backend: &str) -> anyhow::Result<PackedFile> {
    let name = format!("{system}-{backend}.dgdrperf");
    let pack = packs
        .iter()
        .find(|pack| pack.name == name)
        .with_context(|| format!("{name} was not packed"))?;
    Ok(PackedFile::parse(&name, Cow::Owned(pack.bytes.clone()))?)
}
