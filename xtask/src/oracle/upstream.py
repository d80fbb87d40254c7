"""Answers questions with aiconfigurator: one JSON line in, one JSON line out.

A question is the keyword arguments of `cli_estimate`; an answer is either `{"Ok": {...}}` or `{"Err": "why"}`.
"""

import functools
import json
import logging
import math
import pathlib
import sys

answers = sys.stdout
sys.stdout = sys.stderr  # the library may print
logging.disable(logging.CRITICAL)

import aiconfigurator_core  # noqa: E402
from aiconfigurator.cli.api import cli_estimate  # noqa: E402
from aiconfigurator_core.sdk import common, perf_database  # noqa: E402

# Some checkpoints have a bundled configuration but are not listed, so that they would be looked up on the network.
CONFIG = "_config.json"
for file in (pathlib.Path(aiconfigurator_core.__file__).parent / "model_configs").glob(f"*{CONFIG}"):
    common.DefaultHFModels.add(file.name.removesuffix(CONFIG).replace("--", "/", 1))


def number(value):
    """A positive finite number, or nothing."""
    if value is None:
        return None
    value = float(value)
    return value if math.isfinite(value) and value > 0.0 else None


def verdict(summary):
    if summary is None:
        return "fits"
    if summary.check_oom():
        return "out_of_memory"
    return "kv_out_of_memory" if summary.check_kv_cache_oom() else "fits"


@functools.cache
def version(system, backend):
    """Looked up once: a question without a version would have it looked up each time."""
    return perf_database.resolve_query_version(system, backend, "current")


STEPS = {"mix_step": "mixed", "genonly_step": "decode"}


def operators(result):
    """Milliseconds by operator, as far as the result says."""
    found = {}
    if result.per_ops_data:
        for step, short in STEPS.items():
            for name, ms in result.per_ops_data.get(step, {}).items():
                found[f"{short} {name.removesuffix(' (scaled)')}"] = float(ms)
    elif result.summary is not None:
        found.update(result.summary.get_context_latency_dict() or {})
        found.update(result.summary.get_generation_latency_dict() or {})
    return {name: float(ms) for name, ms in found.items()}


def answer(question):
    try:
        if "backend_version" not in question:
            question["backend_version"] = version(question["system_name"], question["backend_name"])
        result = cli_estimate(**question)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # the Rust core's panics are not Exceptions
        text = " ".join(str(error).split())
        if text.startswith("OOM:"):
            nothing = {"ttft_ms": None, "tpot_ms": None, "memory_gib": None, "formats": "", "operators": {}}
            return {"Ok": {**nothing, "fit": "out_of_memory"}}
        return {"Err": f"{type(error).__name__}: {text}"}
    raw = result.raw
    return {
        "Ok": {
            "ttft_ms": number(result.ttft),
            "tpot_ms": number(result.tpot),
            "memory_gib": number(raw.get("memory")),
            "fit": verdict(result.summary),
            "formats": "/".join(str(raw.get(key)) for key in ("gemm", "kvcache", "fmha", "moe")),
            "operators": operators(result),
        }
    }


for line in sys.stdin:
    answers.write(json.dumps(answer(json.loads(line))) + "\n")
