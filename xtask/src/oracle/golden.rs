//! The committed sample of upstream's answers, which `perf-model/tests/oracle_goldens.rs` holds us to without Python.

use std::path::Path;

use anyhow::Context as _;
use serde::Serialize;

use super::compare::Row;
use super::question::{Fit, Mode};

/// Where it is committed.
const PATH: &str = "perf-model/tests/data/oracle.csv";
/// What it is drawn from.
pub(crate) const SEED: u64 = 20_260_801;
/// How many questions are drawn; those that upstream answers are kept, about two thirds.
pub(crate) const ROWS: usize = 900;

#[derive(Debug, Serialize)]
struct Line<'a> {
    model: &'a str,
    system: &'a str,
    backend: &'a str,
    version: &'a str,
    mode: Mode,
    tp: u32,
    pp: u32,
    attention_dp: u32,
    moe_tp: u32,
    moe_ep: u32,
    batch: u32,
    isl: u32,
    osl: u32,
    prefix: u32,
    context_tokens: u32,
    nextn: u32,
    nextn_accepted: f64,
    ttft_ms: Option<f64>,
    tpot_ms: Option<f64>,
    memory_gib: Option<f64>,
    fit: Fit,
}

/// Writes the rows that upstream answers.
pub(crate) fn write(root: &Path, rows: &[Row]) -> anyhow::Result<usize> {
    let path = root.join(PATH);
    let mut writer =
        csv::Writer::from_path(&path).with_context(|| format!("cannot write {}", path.display()))?;
    let mut written = 0;
    for row in rows {
        let Ok(answer) = &row.upstream else { continue };
        let question = &row.question;
        writer.serialize(Line {
            model: &question.model,
            system: question.platform.system,
            backend: question.platform.backend.name(),
            version: &question.platform.version,
            mode: question.mode,
            tp: question.mapping.tp,
            pp: question.mapping.pp,
            attention_dp: question.mapping.attention_dp,
            moe_tp: question.mapping.moe_tp,
            moe_ep: question.mapping.moe_ep,
            batch: question.load.batch,
            isl: question.load.isl,
            osl: question.load.osl,
            prefix: question.load.prefix,
            context_tokens: question.load.context_tokens,
            nextn: question.load.nextn,
            nextn_accepted: question.load.nextn_accepted,
            ttft_ms: answer.ttft_ms.map(nine_digits),
            tpot_ms: answer.tpot_ms.map(nine_digits),
            memory_gib: answer.memory_gib.map(nine_digits),
            fit: answer.fit,
        })?;
        written += 1;
    }
    writer.flush()?;
    Ok(written)
}

/// Nine significant digits are more than the tests ask for.
fn nine_digits(value: f64) -> f64 {
    format!("{value:.8e}").parse().unwrap_or(value)
}

#[cfg(test)]
mod tests {
    use super::nine_digits;

    #[test]
    fn nine_digits_are_kept() {
        assert_eq!(nine_digits(1_234.567_891_234).to_string(), "1234.56789");
        assert_eq!(nine_digits(0.000_123_456_789_87).to_string(), "0.00012345679");
    }
}
