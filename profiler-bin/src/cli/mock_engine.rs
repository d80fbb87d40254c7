//! `mock-engine`: serves simulated tokens until it is stopped.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use dgdr_interpolation::npz;
use dgdr_mock_engine::timing::{Curves, Modelled};
use dgdr_mock_engine::{Engine, EngineLimits, Faults, Identity, MockError, Server, Timing, bind, serve};
use dgdr_perf_model::{KvCapacityQuery, ParallelMapping, WorkerRole};

use super::args::MockEngineArgs;
use super::printer::Printer;
use crate::artifacts::{DECODE_NPZ_FILE, PREFILL_NPZ_FILE};
use crate::error::ProfilerError;
use crate::estimate::{EstimateMode, EstimatePoint, Estimator};
use crate::exit_status::ExitStatus;
use crate::kernel_tables::KernelTables;

/// What Linux reports of a process that was killed for want of memory.
const KILLED: i32 = 137;

pub(super) fn run(arguments: &MockEngineArgs, printer: Printer) -> Result<ExitStatus, ProfilerError> {
    let (timing, kv_tokens) = timing(arguments)?;
    let blocks = kv_tokens.map(|tokens| u32::try_from(tokens / u64::from(arguments.block_size.max(1))));
    let limits = EngineLimits {
        kv_blocks: match (arguments.num_gpu_blocks, blocks) {
            (Some(blocks), _) => blocks,
            (None, Some(blocks)) => blocks.unwrap_or(u32::MAX).max(1),
            (None, None) => EngineLimits::default().kv_blocks,
        },
        block_size: arguments.block_size,
        max_num_seqs: arguments.max_num_seqs,
        max_num_batched_tokens: arguments.max_num_batched_tokens,
        chunked_prefill: !arguments.no_chunked_prefill,
        prefix_caching: !arguments.no_prefix_caching,
    };
    let faults = arguments
        .fault
        .iter()
        .try_fold(Faults::default(), |faults, fault| faults.with(fault))?;
    let identity = Identity {
        model: arguments.served_model_name.clone(),
        context_length: arguments.max_model_len,
    };
    let server = Server::new(Engine::start(timing, limits)?, identity, faults, out_of_memory);
    let address = SocketAddr::new(arguments.host, arguments.port);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let listener = bind(address).await?;
        let address = listener.local_addr().map_err(|source| MockError::System {
            what: "listen",
            source,
        })?;
        printer.note(format_args!("serving on http://{address}"));
        serve(listener, Arc::new(server)).await?;
        Ok(ExitStatus::Done)
    })
}

/// Ends as an engine does that asks for more memory than there is.
#[expect(
    clippy::exit,
    reason = "an engine that is out of memory ends at once, whatever else it does"
)]
fn out_of_memory() {
    Printer::new(super::printer::Verbosity::Normal).error("torch.OutOfMemoryError: CUDA out of memory", &[]);
    std::process::exit(KILLED);
}

/// Where times come from, and how many tokens the KV cache then holds.
fn timing(arguments: &MockEngineArgs) -> Result<(Timing, Option<u64>), ProfilerError> {
    if let Some(directory) = &arguments.curves {
        let curves = Curves {
            prefill: npz::read_prefill(&read(directory, PREFILL_NPZ_FILE)?)
                .map_err(|error| unreadable(directory, PREFILL_NPZ_FILE, &error))?,
            decode: npz::read_decode(&read(directory, DECODE_NPZ_FILE)?)
                .map_err(|error| unreadable(directory, DECODE_NPZ_FILE, &error))?,
        };
        let tokens = curves.decode.max_kv_tokens().get();
        return Ok((Timing::Steps(Box::new(curves)), Some(tokens)));
    }
    if arguments.model.is_some() {
        let engine = Estimator::new(KernelTables::new(&arguments.tables)).engine(&point(arguments))?;
        let capacity = engine.kv_capacity(KvCapacityQuery {
            max_num_tokens: arguments.max_num_batched_tokens,
            role: WorkerRole::Aggregated,
        })?;
        let copies = u64::from(engine.mapping().widths().attention_dp);
        let tokens = capacity.tokens.get().saturating_mul(copies);
        return Ok((Timing::Steps(Box::new(Modelled(engine))), Some(tokens)));
    }
    let ms = |argument, value: Option<f64>| {
        let problem = "say --ttft-ms and --itl-ms, --curves, or --model with --system and --backend";
        let value = value.and_then(|ms| Duration::try_from_secs_f64(ms / 1000.0).ok());
        value.ok_or_else(|| ProfilerError::Argument {
            argument,
            problem: problem.to_owned(),
        })
    };
    let timing = Timing::Fixed {
        ttft: ms("--ttft-ms", arguments.ttft_ms)?,
        itl: ms("--itl-ms", arguments.itl_ms)?,
    };
    Ok((timing, None))
}

/// The engine that is asked for, as a question to the performance model.
fn point(arguments: &MockEngineArgs) -> EstimatePoint {
    let widths = arguments.mapping.map(ParallelMapping::widths);
    EstimatePoint {
        model: arguments.model.clone(),
        model_config: arguments.model_config.clone(),
        system: arguments.system.clone(),
        backend: arguments.backend.clone(),
        mode: Some(EstimateMode::StaticCtx),
        isl: Some(1),
        tp: widths.map(|widths| widths.tp),
        pp: widths.map(|widths| widths.pp),
        attention_dp: widths.map(|widths| widths.attention_dp),
        moe_tp: widths.map(|widths| widths.moe_tp),
        moe_ep: widths.map(|widths| widths.moe_ep),
        ..EstimatePoint::default()
    }
}

fn read(directory: &Path, name: &str) -> Result<Vec<u8>, ProfilerError> {
    std::fs::read(directory.join(name)).map_err(|error| unreadable(directory, name, &error))
}

fn unreadable(directory: &Path, name: &str, error: &dyn std::error::Error) -> ProfilerError {
    ProfilerError::RunUnreadable {
        path: directory.join(name),
        problem: error.to_string(),
    }
}
