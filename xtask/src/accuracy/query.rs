//! What a measured run asks of each model.

use dgdr_perf_model::{GemmQuant, MappingWidths, ModelSpec, MoeQuant, PrecisionOverrides, registry};
use dgdr_sweep_planner::DisaggregatedCorrections;
use serde_json::{Value, json};

use super::silicon::{Run, Serving, Workers};
use crate::oracle::ours::Ours;
use crate::oracle::question::{Answer, Load, Mode, Platform, Question, Reply};

/// The arguments of upstream's `cli_estimate`, as its own InferenceX adapter chooses them: mixed steps take in one
/// prompt's worth of tokens. The engine's version is the one that was measured, whatever the run's was.
pub(crate) fn arguments(run: &Run) -> Value {
    let experts = has_experts(run);
    let formats = Formats::of(run);
    let mut arguments = json!({
        "model_path": run.known_model(),
        "system_name": run.system,
        "backend_name": run.backend,
        "isl": run.isl,
        "osl": run.osl,
        "gemm_quant_mode": formats.gemm,
        "moe_quant_mode": if experts { formats.moe } else { None },
    });
    match run.serving {
        Serving::Aggregated(workers) => {
            arguments["mode"] = "agg".into();
            put(&mut arguments, "", &workers, experts);
        }
        Serving::Disaggregated { prefill, decode, .. } => {
            arguments["mode"] = "disagg".into();
            for (prefix, workers) in [("prefill_", prefill), ("decode_", decode)] {
                put(&mut arguments, prefix, &workers, experts);
                arguments[format!("{prefix}num_workers")] = workers.count.into();
            }
        }
    }
    arguments
}

fn put(arguments: &mut Value, prefix: &str, workers: &Workers, experts: bool) {
    let mut set = |key: &str, value: u32| arguments[format!("{prefix}{key}")] = value.into();
    set("batch_size", workers.batch);
    set("tp_size", workers.tp);
    set("pp_size", workers.pp);
    set("attention_dp_size", workers.attention_dp);
    if experts {
        set("moe_tp_size", workers.moe_tp);
        set("moe_ep_size", workers.moe_ep);
    }
}

/// Formats that a run insists on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Formats<'a> {
    gemm: Option<&'a str>,
    moe: Option<&'a str>,
}

impl<'a> Formats<'a> {
    /// None where the run's precision is the checkpoint's own: the file's columns then name a class of formats (`fp8`)
    /// where the checkpoint has one of its kind (blocks of fp8, MXFP4), as upstream's adapter knows of some models.
    fn of(run: &'a Run) -> Self {
        if is_native(run) {
            return Self {
                gemm: None,
                moe: None,
            };
        }
        Self {
            gemm: run.gemm.as_deref(),
            moe: run.moe.as_deref(),
        }
    }
}

fn is_native(run: &Run) -> bool {
    let Some(model) = registry::find(run.known_model()) else {
        return false;
    };
    let (gemm, moe) = (model.quantization.gemm, model.quantization.moe);
    match run.precision.as_str() {
        "fp8" => matches!(
            gemm,
            Some(GemmQuant::Fp8 | GemmQuant::Fp8Static | GemmQuant::Fp8Block)
        ),
        "fp4" => gemm == Some(GemmQuant::Nvfp4) || moe == Some(MoeQuant::W4a16Mxfp4),
        "int4" => moe == Some(MoeQuant::Int4Wo),
        _ => false,
    }
}

fn has_experts(run: &Run) -> bool {
    registry::find(run.known_model()).is_some_and(ModelSpec::is_mixture_of_experts)
}

/// Our answer to the same question.
pub(crate) fn answer(ours: &Ours, run: &Run) -> Reply {
    let overrides = overrides(run)?;
    let platform = ours
        .platform(&run.system, &run.backend)
        .ok_or_else(|| format!("no tables for {}", run.system))?;
    let ask =
        |mode: Mode, workers: &Workers| ours.answer(&question(run, &platform, mode, workers), overrides);
    match run.serving {
        Serving::Aggregated(workers) => ask(Mode::Agg, &workers),
        Serving::Disaggregated { prefill, decode, .. } => {
            let factors = DisaggregatedCorrections::upstream();
            let prefill = ask(Mode::StaticCtx, &prefill)?;
            let decode = ask(Mode::StaticGen, &decode)?;
            Ok(Answer {
                ttft_ms: prefill
                    .ttft_ms
                    .map(|ttft| ttft * factors.prefill_latency * factors.ttft_queue),
                tpot_ms: decode.tpot_ms.map(|tpot| tpot * factors.decode_latency),
                ..decode
            })
        }
    }
}

fn question(run: &Run, platform: &Platform, mode: Mode, workers: &Workers) -> Question {
    let experts = has_experts(run);
    let expert_width = |width: u32| if experts { width } else { 1 };
    Question {
        model: run.known_model().to_owned(),
        platform: platform.clone(),
        mode,
        mapping: MappingWidths {
            tp: workers.tp,
            pp: workers.pp,
            attention_dp: workers.attention_dp,
            moe_tp: expert_width(workers.moe_tp),
            moe_ep: expert_width(workers.moe_ep),
            cp: 1,
        },
        load: Load {
            batch: workers.batch,
            isl: run.isl,
            osl: run.osl,
            prefix: 0,
            context_tokens: run.isl,
            nextn: 0,
            nextn_accepted: 0.0,
        },
        experts,
    }
}

fn overrides(run: &Run) -> Result<PrecisionOverrides, String> {
    let formats = Formats::of(run);
    let gemm = formats.gemm.map(|name| {
        GemmQuant::from_name(name).ok_or_else(|| format!("gemm_quant_mode `{name}` is not known"))
    });
    let moe = formats
        .moe
        .map(|name| MoeQuant::from_name(name).ok_or_else(|| format!("moe_quant_mode `{name}` is not known")));
    Ok(PrecisionOverrides {
        gemm: gemm.transpose()?,
        moe: moe.transpose()?,
        ..PrecisionOverrides::default()
    })
}

#[cfg(test)]
mod tests {
    use super::super::silicon::Runs;
    use super::super::silicon::tests::SAMPLE;
    use super::*;

    #[test]
    fn upstream_is_asked_as_its_own_adapter_asks() {
        let runs = Runs::parse(SAMPLE, 1).unwrap().open;
        let aggregated = arguments(&runs[0]);
        assert_eq!(aggregated["model_path"], "meta-llama/Meta-Llama-3.1-70B");
        assert_eq!(aggregated["batch_size"], 64);
        assert_eq!(aggregated["gemm_quant_mode"], "fp8");
        // A dense model has no widths of experts, and the mixed step is left to upstream.
        assert!(aggregated.get("moe_tp_size").is_none());
        assert!(aggregated.get("ctx_tokens").is_none());
        let disaggregated = arguments(&runs[2]);
        assert_eq!(disaggregated["prefill_num_workers"], 3);
        assert_eq!(disaggregated["decode_batch_size"], 8);
    }

    #[test]
    fn a_checkpoint_runs_in_its_own_formats_where_the_run_says_no_other() {
        let mut run = Runs::parse(SAMPLE, 1).unwrap().open.remove(0);
        assert_eq!(Formats::of(&run).gemm, Some("fp8"));
        run.model = "deepseek-ai/DeepSeek-R1".to_owned();
        assert_eq!(Formats::of(&run).gemm, None);
        run.precision = "fp4".to_owned();
        run.gemm = Some("nvfp4".to_owned());
        assert_eq!(Formats::of(&run).gemm, Some("nvfp4"));
        run.moe = Some("nvfp4".to_owned());
        assert_eq!(overrides(&run).unwrap().moe, Some(MoeQuant::Nvfp4));
        run.model = "openai/gpt-oss-120b".to_owned();
        assert_eq!(overrides(&run), Ok(PrecisionOverrides::default()));
        assert_eq!(arguments(&run)["moe_quant_mode"], Value::Null);
    }

    #[test]
    fn our_answer_to_a_disaggregated_run_is_of_both_roles() {
        let ours = Ours::read().unwrap();
        let runs = Runs::parse(SAMPLE, 1).unwrap().open;
        let answers: Vec<Answer> = runs.iter().map(|run| answer(&ours, run).unwrap()).collect();
        assert!(
            answers
                .iter()
                .all(|answer| answer.ttft_ms.is_some() && answer.tpot_ms.is_some())
        );
        // Runs two and three differ in their batches.
        assert!(answers[1].ttft_ms < answers[2].ttft_ms);
        assert!(answers[1].tpot_ms > answers[2].tpot_ms);
    }
}
