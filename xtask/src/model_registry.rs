//! Writes `perf-model/data/models.json`: the checkpoints that the peer bundles, reduced to what the model reads.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context, bail, ensure};
use dgdr_perf_model::ModelSpec;

/// How the peer names a checkpoint's configuration file.
const CONFIG_SUFFIX: &str = "_config.json";
/// How the peer names ModelOpt's record beside it.
const HF_QUANT_SUFFIX: &str = "_hf_quant_config.json";

/// Reads `model_configs` of the unpacked peer and writes `target`, or compares with it when `check` is set.
pub(crate) fn run(model_configs: &Path, target: &Path, mode: Mode) -> anyhow::Result<()> {
    settle(target, &reduce(model_configs)?, mode)
}

/// Writes `text` to `target`, or compares the two.
pub(crate) fn settle(target: &Path, text: &str, mode: Mode) -> anyhow::Result<()> {
    match mode {
        Mode::Write => {
            fs::write(target, text).with_context(|| format!("cannot write {}", target.display()))?;
        }
        Mode::Check => {
            let committed =
                fs::read_to_string(target).with_context(|| format!("cannot read {}", target.display()))?;
            ensure!(
                committed == text,
                "{} is out of date; run `cargo xtask perf-data` without --check and commit the result",
                target.display()
            );
        }
    }
    Ok(())
}

/// Whether to write a file or to compare it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Write.
    Write,
    /// Compare, and fail on a difference.
    Check,
}

/// One line a checkpoint, by ascending name.
fn reduce(model_configs: &Path) -> anyhow::Result<String> {
    let mut models = BTreeMap::new();
    for entry in
        fs::read_dir(model_configs).with_context(|| format!("cannot list {}", model_configs.display()))?
    {
        let path = entry?.path();
        let file = path
            .file_name()
            .and_then(|name| name.to_str())
            .unwrap_or_default();
        let Some(stem) = file.strip_suffix(CONFIG_SUFFIX) else {
            continue;
        };
        if file.ends_with(HF_QUANT_SUFFIX) {
            continue;
        }
        let name = stem.replacen("--", "/", 1);
        let config = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        let beside = model_configs.join(format!("{stem}{HF_QUANT_SUFFIX}"));
        let hf_quant = beside.exists().then(|| fs::read_to_string(&beside)).transpose()?;
        let model = ModelSpec::from_config_json(&name, &config, hf_quant.as_deref())
            .with_context(|| format!("in {}", path.display()))?;
        models.insert(name, model);
    }
    if models.is_empty() {
        bail!("{} holds no *{CONFIG_SUFFIX}", model_configs.display());
    }
    let lines: Vec<String> = models
        .values()
        .map(serde_json::to_string)
        .collect::<Result<_, _>>()?;
    Ok(format!("[\n{}\n]\n", lines.join(",\n")))
}
