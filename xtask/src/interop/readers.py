from pathlib import Path

import numpy as np
import pandas as pd
import yaml
from dynamo.profiler.utils.dgdr_v1beta1_types import ProfilingPhase
from dynamo.profiler.utils.profiler_status import STATUS_FILE_NAME, ProfilerStatus

PREFILL = ["prefill_isl", "prefill_ttft", "prefill_thpt_per_gpu"]
DECODE = ["x_kv_usage", "y_context_length", "z_itl", "z_thpt_per_gpu"]
findings = Findings()


def arrays(path, names):
    with np.load(path, allow_pickle=False) as read:
        read = {name: read[name] for name in read.files}
    need(set(names) <= set(read), f"{path} lacks {sorted(set(names) - set(read))}")
    lengths = {name: read[name].shape for name in names}
    need(len(set(lengths.values())) == 1 and len(lengths[names[0]]) == 1, f"shapes differ: {lengths}")
    for name in names:
        array = read[name]
        need(array.dtype.kind in "if", f"{name} is of {array.dtype}")
        need(array.dtype.isnative, f"{name} is of foreign byte order")
        need(np.isfinite(array).all() and (array > 0).all(), f"{name} is not positive throughout")
    return read


def npz(directory):
    prefill = arrays(directory / "selected_prefill_interpolation/raw_data.npz", PREFILL)
    decode = arrays(directory / "selected_decode_interpolation/raw_data.npz", DECODE)
    need(prefill["prefill_isl"].dtype == np.int64, f"prefill_isl is of {prefill['prefill_isl'].dtype}")
    need((np.diff(prefill["prefill_isl"]) > 0).all(), "prefill_isl does not grow")
    need(decode["max_kv_tokens"].shape == (1,), f"max_kv_tokens is of shape {decode['max_kv_tokens'].shape}")
    need(decode["max_kv_tokens"].dtype == np.int64, f"max_kv_tokens is of {decode['max_kv_tokens'].dtype}")
    need((decode["x_kv_usage"] <= 1).all(), "x_kv_usage leaves 0..1")
    for points in (prefill["prefill_isl"], decode["z_itl"]):
        need(5 <= len(points) <= 64, f"{len(points)} points: the planner wants 5 and keeps 64")
    return prefill, decode


def same(directory, prefill, decode):
    read = {
        "prefill": json.loads((directory / "prefill_raw_data.json").read_text()),
        "decode": json.loads((directory / "decode_raw_data.json").read_text()),
    }
    need(type(read["decode"]["max_kv_tokens"]) is int, "max_kv_tokens is no whole number in JSON")
    need(read["decode"]["max_kv_tokens"] == decode["max_kv_tokens"][0], "max_kv_tokens differs in JSON")
    for part, names, archive in (("prefill", PREFILL, prefill), ("decode", DECODE, decode)):
        for name in names:
            need(np.array_equal(np.array(read[part][name]), archive[name]), f"{name} differs in JSON")


def fronts(directory):
    frame = pd.read_csv(directory / "pareto.csv")
    need(len(frame) > 0, "pareto.csv has no row")
    need(not frame.columns.duplicated().any(), "a column has two names")
    for column in frame.columns:
        if column.startswith(("tokens_per_s", "ttft", "tpot", "request_latency", "concurrency", "gpus")):
            need(pd.api.types.is_numeric_dtype(frame[column]), f"{column} is of {frame[column].dtype}")
            need((frame[column] > 0).all(), f"{column} is not positive throughout")
    need(frame["meets_sla"].dtype == bool, f"meets_sla is of {frame['meets_sla'].dtype}")
    return frame


def status(directory):
    """What the container beside the profiler tells the cluster."""
    text = (directory / STATUS_FILE_NAME).read_text()
    read = yaml.safe_load(text)
    need(ProfilerStatus(read["status"]) is ProfilerStatus.SUCCESS, f"the status is {read['status']}")
    need(ProfilingPhase(read["phase"]) is ProfilingPhase.Done, f"the phase is {read['phase']}")
    need(isinstance(read["timestamp"], str), "the time is no text")
    need((directory / read["outputs"]["final_config"]).exists(), "the deployment is not where the status says")
    # It is read line by line, not as YAML.
    for name in ("status", "phase", "message"):
        need(f"\n{name}: {read[name]}\n" in f"\n{text}", f"{name} is not alone on a line")


def look(directory):
    status(directory)
    prefill, decode = npz(directory)
    same(directory, prefill, decode)
    frame = fronts(directory)
    return f"{len(prefill['prefill_isl'])} + {len(decode['z_itl'])} points, JSON alike, {len(frame)} rows of fronts"


for run in question["runs"]:
    findings.look(run["name"], lambda: look(Path(run["directory"])))
answer(findings.list)
