import asyncio
import math
import shutil
import tempfile
from pathlib import Path

from dynamo.common.forward_pass_metrics import ForwardPassMetrics, QueuedRequestMetrics, ScheduledRequestMetrics
from dynamo.mocker.utils.planner_profiler_perf_data_converter import is_profile_results_dir
from dynamo.planner.config.defaults import SubComponentType
from dynamo.planner.config.planner_config import PlannerConfig
from dynamo.planner.core.perf_model import DecodeRegressionModel, PlannerEnginePerfModel, PrefillRegressionModel
from dynamo.planner.core.types import EngineCapabilities
from dynamo.planner.monitoring.perf_metrics import fetch_pre_deployment_metrics
from dynamo.planner.monitoring.worker_info import WorkerInfo

findings = Findings()


def metrics(directory, role):
    """What the planner itself calls at its start, with files as the only source."""
    return asyncio.run(
        fetch_pre_deployment_metrics(
            runtime=None,
            namespace="interop",
            worker_info=WorkerInfo(),
            profile_results_dir=str(directory),
            component_type=role,
        )
    )


def regressions(prefill, decode):
    """The planner's own linear fits, as it makes them by default."""
    for model, observed in ((PrefillRegressionModel(64), prefill), (DecodeRegressionModel(64), decode)):
        model.load_benchmark_fpms(observed)
        need(model.has_sufficient_data(), f"{type(model).__name__}: {model.num_observations} points are not enough")
        need(model._ensure_fitted(), f"{type(model).__name__} refuses the fit: latency must grow with load")


def model(role, observed, isl, max_kv_tokens):
    """The model that the planner scales by."""
    config = PlannerConfig(namespace="interop", mode=role, environment="virtual", model_name="interop")
    limits = EngineCapabilities(
        num_gpu=1, max_num_batched_tokens=2 * isl, max_num_seqs=2048, max_kv_tokens=max_kv_tokens
    )
    built = PlannerEnginePerfModel(worker_type=role, config=config, capabilities=limits)
    built.load_benchmark_fpms(observed)
    need(built.has_sufficient_data(), f"the planner's {role} model is not ready: {built._engine_diagnostics()}")
    return built


def capacity(built, run):
    found = built.find_engine_capacity_rps(isl=run["isl"], osl=run["osl"], ttft_sla_ms=None, itl_sla_ms=None)
    need(found is not None and math.isfinite(found.rps) and found.rps > 0, f"no capacity: {found}")
    return found.rps


def near(what, theirs_ms, ours_ms, bound):
    distance = theirs_ms / ours_ms - 1
    need(abs(distance) <= bound, f"{what}: the planner says {theirs_ms:.2f} ms, the curve {ours_ms:.2f} ({distance:+.0%})")
    return f"{distance:+.0%}"


def look(directory, run):
    need(is_profile_results_dir(directory), "this is no folder of results to upstream")
    prefill, decode = metrics(directory, SubComponentType.PREFILL), metrics(directory, SubComponentType.DECODE)
    for observed in prefill + decode:
        need(math.isfinite(observed.wall_time) and observed.wall_time > 0, "a time is not positive")
    regressions(prefill, decode)
    read = json.loads((Path(run["directory"]) / "decode_raw_data.json").read_text())
    max_kv_tokens = read["max_kv_tokens"]
    prefill = model("prefill", prefill, run["isl"], max_kv_tokens)
    decode = model("decode", decode, run["isl"], max_kv_tokens)
    rates = capacity(prefill, run), capacity(decode, run)
    queue = ForwardPassMetrics(queued_requests=QueuedRequestMetrics(num_prefill_requests=1, sum_prefill_tokens=run["isl"]))
    theirs = prefill.estimate_queued_prefill_time([queue], max_num_batched_tokens=2 * run["isl"], add_next_request=False)
    need(theirs is not None, "the planner cannot tell a time to first token")
    far = [near(f"TTFT at {run['isl']} tokens", theirs * 1000, run["ttft_ms"], question["ttft_bound"])]
    for usage, context, itl_ms in run["decode"]:
        tokens = round(usage * max_kv_tokens)
        batch = ScheduledRequestMetrics(num_decode_requests=max(1, round(tokens / context)), sum_decode_kv_tokens=tokens)
        theirs = decode.estimate_scheduled_decode_itl([ForwardPassMetrics(scheduled_requests=batch)], add_next_request=False)
        need(theirs is not None, "the planner cannot tell a time between tokens")
        far.append(near(f"ITL at {usage:.0%} of the cache", theirs * 1000, itl_ms, question["itl_bound"]))
    return f"TTFT {far[0]}, ITL {' '.join(far[1:])} from our curves; {rates[0]:.2f} and {rates[1]:.2f} requests/s"


for run in question["runs"]:
    directory = Path(run["directory"])
    findings.look(f"{run['name']}, npz", lambda: look(directory, run))
    # A cluster mounts the JSON files alone.
    with tempfile.TemporaryDirectory() as mounted:
        for name in ("prefill_raw_data.json", "decode_raw_data.json"):
            shutil.copy(directory / name, mounted)
        findings.look(f"{run['name']}, JSON", lambda: look(Path(mounted), run))
answer(findings.list)
