//! From a resolved request to the question that a run answers.

use std::path::PathBuf;

use dgdr_perf_model::Backend;
use dgdr_render::DgdOverride;
use dgdr_sweep_planner::{Candidates, Goal, Load, Picking, Serving, Sla, Workload, candidates};
use dgdr_types::{BackendChoice, OptimizationType, ResolvedRequest, SearchStrategy};
use dgdr_units::{Gpus, Tokens};

use super::comparison::{EngineTables, problems};
use super::options::ProfileOptions;
use super::question::Question;
use crate::error::ProfilerError;
use crate::hardware::{Hardware, HardwareWish, LocalSystem};
use crate::model_source::{ModelOrigin, ModelQuery, find_model};

/// A question and where its model was found.
#[derive(Debug)]
pub struct Understood {
    /// The question.
    pub question: Question,
    /// Where the model was found.
    pub origin: ModelOrigin,
    /// Whether its configuration names code that comes with the checkpoint.
    pub ships_code: bool,
}

/// The question of a request.
///
/// # Errors
/// [`ProfilerError`] for what cannot be done, an unknown model or unknown hardware.
pub fn question(request: &ResolvedRequest, options: &ProfileOptions) -> Result<Understood, ProfilerError> {
    refuse_unsupported(request)?;
    dgd_override(request)?;
    let wanted = &request.hardware;
    let wish = HardwareWish {
        system: wanted.gpu_sku.map(dgdr_types::GpuSku::name),
        tables: Some(&options.tables),
        gpus_per_node: wanted.gpus_per_node,
        total_gpus: wanted.total_gpus,
        memory_mib: wanted.vram_mib,
    };
    let is_open = wish.system.is_none() || wish.gpus_per_node.is_none() || wish.total_gpus.is_none();
    let local = if is_open { LocalSystem::find() } else { None };
    let hardware = Hardware::resolve(wish, local)?;
    let query = ModelQuery::named(&request.model)
        .with_config(options.model_config.as_deref())
        .with_local(
            request
                .model_cache
                .as_ref()
                .and_then(dgdr_types::ModelCache::model_path)
                .map(PathBuf::from),
        );
    let found = find_model(&query)?;
    let (picking, serving) = picking(request, hardware.total_gpus)?;
    let question = Question {
        transfer: options.transfer,
        model: found.spec,
        hardware,
        backends: backends(request.backend),
        workload: Workload::new(narrow(request.workload.isl), narrow(request.workload.osl))?,
        goal: goal(request),
        picking,
        serving,
        max_gpus_per_engine: wanted.max_gpus_per_engine.map(|gpus| Gpus::new(gpus.get())),
        space: options.space,
    };
    Ok(Understood {
        question,
        origin: found.origin,
        ships_code: found.ships_code,
    })
}

/// What would be tried, per engine, without trying it.
///
/// # Errors
/// As [`question`], and why no engine could be studied.
pub fn dry_run(
    request: &ResolvedRequest,
    options: &ProfileOptions,
) -> Result<(Question, Vec<(Backend, Candidates)>), ProfilerError> {
    let understood = question(request, options)?;
    let tried = problems(&understood.question, engine_tables(request, options))?
        .into_iter()
        .map(|problem| (problem.backend, candidates(&problem)))
        .collect();
    Ok((understood.question, tried))
}

/// The tables that a request and its options ask for.
pub(super) fn engine_tables<'a>(
    request: &'a ResolvedRequest,
    options: &'a ProfileOptions,
) -> EngineTables<'a> {
    EngineTables {
        source: &options.tables,
        version: request.aic_backend_version.as_deref(),
        threads: options.threads,
    }
}

fn refuse_unsupported(request: &ResolvedRequest) -> Result<(), ProfilerError> {
    if request.search_strategy == SearchStrategy::Thorough {
        return Err(ProfilerError::Unsupported {
            field: "spec.searchStrategy",
            value: "thorough".to_owned(),
            why: "needs real engines, which this version cannot start; use rapid, which simulates them",
        });
    }
    Ok(())
}

/// The part of the deployment that the request gives, as far as it can be checked before anything is generated.
///
/// # Errors
/// [`ProfilerError::Render`] with everything that is wrong with it.
pub(super) fn dgd_override(request: &ResolvedRequest) -> Result<Option<DgdOverride>, ProfilerError> {
    let Some(given) = &request.overrides.dgd else {
        return Ok(None);
    };
    let checked = DgdOverride::parse(given).and_then(|part| {
        part.check_names(&backends(request.backend))?;
        Ok(Some(part))
    });
    checked.map_err(|problems| ProfilerError::Render(problems.into()))
}

fn backends(choice: BackendChoice) -> Vec<Backend> {
    match choice {
        BackendChoice::Auto => Backend::ALL.to_vec(),
        BackendChoice::Vllm => vec![Backend::Vllm],
        BackendChoice::Sglang => vec![Backend::Sglang],
        BackendChoice::Trtllm => vec![Backend::Trtllm],
    }
}

/// A direction of optimisation replaces targets that nobody set.
fn goal(request: &ResolvedRequest) -> Goal {
    let nobody_set_targets = request.is_assumed("spec.sla.ttft") && request.is_assumed("spec.sla.itl");
    match (request.optimization_type, nobody_set_targets) {
        (Some(OptimizationType::Throughput), true) => Goal::Throughput,
        (Some(OptimizationType::Latency), true) => Goal::Latency,
        (Some(_) | None, _) => Goal::Sla(match request.sla {
            dgdr_types::Sla::TokenLatency { ttft, itl } => Sla::TokenLatency { ttft, itl },
            dgdr_types::Sla::RequestLatency(latency) => Sla::RequestLatency(latency),
        }),
    }
}

/// A planner scales one worker of each role; a load is matched; else the GPUs are used as well as can be.
fn picking(request: &ResolvedRequest, total_gpus: Gpus) -> Result<(Picking, Serving), ProfilerError> {
    if let Some(planner) = &request.features.planner {
        let is_aggregated = planner.get("mode").and_then(|mode| mode.as_str()) == Some("agg");
        let serving = if is_aggregated || total_gpus < Gpus::new(2) {
            Serving::Aggregated
        } else {
            Serving::Disaggregated
        };
        return Ok((Picking::Autoscale, serving));
    }
    let picking = match request.load {
        dgdr_types::Load::None => Picking::BestThroughput,
        dgdr_types::Load::Concurrency(requests) => Picking::LoadMatch(Load::Concurrency(requests)),
        dgdr_types::Load::RequestRate(rate) => Picking::LoadMatch(Load::rate(rate)?),
    };
    Ok((picking, Serving::Both))
}

/// Lengths beyond what any model takes saturate and are refused by the planner's own checks.
fn narrow(tokens: Tokens) -> u32 {
    u32::try_from(tokens.get()).unwrap_or(u32::MAX)
}
