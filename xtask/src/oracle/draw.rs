//! Questions drawn from a seed: the same seed gives the same questions on every machine.

use dgdr_perf_model::quant::ComputeRate;
use dgdr_perf_model::{GemmQuant, MappingWidths, ModelFamily, ModelSpec, SystemSpec};

use crate::dice::Dice;

use super::question::{Load, Mode, Platform, Question};

/// GPUs of a worker and how often each number is drawn.
const GPUS: [(u32, u32); 7] = [(1, 2), (2, 2), (4, 4), (8, 8), (16, 3), (32, 2), (64, 1)];
/// Lengths that people ask for.
const LENGTHS: [u32; 9] = [128, 512, 1024, 2048, 4000, 4096, 8192, 16_384, 32_768];
/// Prompt tokens of a mixed step that engines are configured with.
const STEPS: [u32; 6] = [512, 2048, 4096, 8192, 16_384, 32_768];
/// Prompts of one prefill step hold at most this many tokens together.
const MOST_STEP_TOKENS: u32 = 131_072;

/// One of the values, each as often as its weight says.
fn weighted(dice: &mut Dice, all: &[(u32, u32)]) -> u32 {
    let total: u32 = all.iter().map(|(_, weight)| weight).sum();
    let mut rest = dice.up_to(total.saturating_sub(1));
    for (value, weight) in all {
        if rest < *weight {
            return *value;
        }
        rest -= weight;
    }
    1
}

/// A number from 1 to below `1 << bits`: every order of magnitude is as likely as the others.
fn of_any_size(dice: &mut Dice, bits: u32) -> u32 {
    let least = 1 << dice.up_to(bits.saturating_sub(1));
    least + dice.up_to(least - 1)
}

/// Draws `rows` questions; every model comes as often as the others.
pub(crate) fn questions(
    seed: u64,
    rows: usize,
    models: &[&ModelSpec],
    platforms: &[Platform],
) -> Vec<Question> {
    let mut dice = Dice::new(seed);
    let mut drawn = Vec::with_capacity(rows);
    while drawn.len() < rows {
        for model in models.iter().take(rows - drawn.len()) {
            let (Some(platform), Some(mode)) = (platform(&mut dice, model, platforms), dice.pick(&Mode::ALL))
            else {
                return drawn;
            };
            let experts = has_experts(model);
            drawn.push(Question {
                model: model.name.clone(),
                platform: platform.clone(),
                mode: *mode,
                mapping: mapping(&mut dice, model, experts),
                load: load(&mut dice, *mode),
                experts,
            });
        }
        if models.is_empty() {
            break;
        }
    }
    drawn
}

/// Upstream asks for the widths of the experts by architecture, even where a checkpoint of it has none.
fn has_experts(model: &ModelSpec) -> bool {
    model.is_mixture_of_experts() || model.family == ModelFamily::Gemma4
}

/// A system and engine. Those without tensor cores for the checkpoint's format, which refuse it, are drawn less often.
fn platform<'a>(dice: &mut Dice, model: &ModelSpec, platforms: &'a [Platform]) -> Option<&'a Platform> {
    let first = dice.pick(platforms)?;
    let second = dice.pick(platforms)?;
    let lacking = SystemSpec::by_name(first.system).is_some_and(|system| {
        match model.quantization.gemm.map(GemmQuant::rate) {
            Some(ComputeRate::Fp8) => system.fp8_flops.is_none(),
            Some(ComputeRate::Fp4) | None => system.fp4_flops.is_none(),
            Some(ComputeRate::Bfloat16 | ComputeRate::Int8) => false,
        }
    });
    Some(if lacking { second } else { first })
}

/// Widths of a worker: attention and experts always cover the same GPUs.
fn mapping(dice: &mut Dice, model: &ModelSpec, experts: bool) -> MappingWidths {
    let gpus = weighted(dice, &GPUS);
    let pp = if dice.percent(15) {
        divisor(dice, gpus.min(8))
    } else {
        1
    };
    let stage = gpus / pp;
    if !experts {
        // Heads are rarely split over more than a node.
        let tp = if dice.percent(80) {
            stage.min(8)
        } else {
            divisor(dice, stage.min(8))
        };
        let attention_dp = if dice.percent(20) { stage / tp } else { 1 };
        return MappingWidths {
            tp,
            pp,
            attention_dp,
            moe_tp: 1,
            moe_ep: 1,
            cp: 1,
        };
    }
    let (tp, moe_tp) = match dice.up_to(5) {
        // One kind each: TP, TEP, DEP.
        0 => (stage, stage),
        1 => (stage, 1),
        2 => (1, 1),
        // Experts or attention in two ways at once.
        3 => (stage, divisor(dice, stage)),
        4 => (divisor(dice, stage), 1),
        _ => (divisor(dice, stage), divisor(dice, stage)),
    };
    let moe_tp = if model.is_mixture_of_experts() {
        moe_tp
    } else {
        stage
    };
    MappingWidths {
        tp,
        pp,
        attention_dp: stage / tp,
        moe_tp,
        moe_ep: stage / moe_tp,
        cp: 1,
    }
}

/// A power of two that divides a power of two.
fn divisor(dice: &mut Dice, of: u32) -> u32 {
    1 << dice.up_to(of.ilog2())
}

fn load(dice: &mut Dice, mode: Mode) -> Load {
    let isl = if dice.percent(50) {
        dice.pick(&LENGTHS).copied().unwrap_or(1024)
    } else {
        of_any_size(dice, 16)
    };
    let (batch, osl) = match mode {
        Mode::StaticCtx => (of_any_size(dice, 6).min((MOST_STEP_TOKENS / isl).max(1)), 1),
        Mode::StaticGen | Mode::Agg => (of_any_size(dice, 10), 1 + of_any_size(dice, 11)),
    };
    let prefix = if mode != Mode::StaticGen && dice.percent(35) {
        dice.up_to(isl - 1)
    } else {
        0
    };
    let context_tokens = if dice.percent(40) {
        isl
    } else {
        dice.pick(&STEPS).copied().unwrap_or(isl)
    };
    let nextn = if dice.percent(20) { 1 + dice.up_to(2) } else { 0 };
    Load {
        batch,
        isl,
        osl,
        prefix,
        context_tokens,
        nextn,
        nextn_accepted: f64::from(dice.up_to(nextn * 10)) / 10.0,
    }
}

#[cfg(test)]
mod tests;
