"""Writes the operators and the memory that aiconfigurator 0.12.0 gives workers whose experts exchange tokens by kernels
of their own, as its searches choose them.

usage: exchanges.py OUTPUT.gz

The lines are those of graphs.py; a case's formats are those with which the worker was described.
"""

import gzip
import json
import logging
import sys

from aiconfigurator.sdk.task_v2 import Task
from aiconfigurator_core.sdk import engine, perf_database
from aiconfigurator_core.sdk.backends.factory import get_backend
from aiconfigurator_core.sdk.models import get_model
from graphs import Writer, memory

# Systems, engines and models whose exchanges were measured, and one each of which they were not.
SUBJECTS = [
    ("h200_sxm", "sglang", "deepseek-ai/DeepSeek-V3"),
    ("h200_sxm", "trtllm", "deepseek-ai/DeepSeek-V3"),
    ("h200_sxm", "trtllm", "deepseek-ai/DeepSeek-V3.2"),
    ("h200_sxm", "trtllm", "MiniMaxAI/MiniMax-M2.5"),
    ("h200_sxm", "vllm", "deepseek-ai/DeepSeek-V3"),
    ("h200_sxm", "vllm", "Qwen/Qwen3-235B-A22B-FP8"),
    ("h200_sxm", "sglang", "Qwen/Qwen3-235B-A22B-FP8"),
    ("b200_sxm", "trtllm", "deepseek-ai/DeepSeek-V3"),
    ("b200_sxm", "trtllm", "deepseek-ai/DeepSeek-V3.2"),
    ("b200_sxm", "trtllm", "Qwen/Qwen3-235B-A22B-FP8"),
    ("b200_sxm", "sglang", "deepseek-ai/DeepSeek-V3"),
    ("b200_sxm", "vllm", "deepseek-ai/DeepSeek-V3"),
    ("gb200", "trtllm", "deepseek-ai/DeepSeek-V3"),
    ("gb200", "sglang", "deepseek-ai/DeepSeek-V3"),
]
# tp, pp, attention dp, moe tp, moe ep, cp
MAPPINGS = [
    (1, 1, 8, 1, 8, 1),
    (8, 1, 1, 1, 8, 1),
    (2, 1, 4, 1, 8, 1),
    (1, 1, 4, 1, 4, 1),
    (1, 1, 1, 1, 8, 8),
    (1, 1, 16, 1, 16, 1),
    (2, 1, 16, 1, 32, 1),
    (1, 1, 64, 1, 64, 1),
    (1, 1, 16, 2, 8, 1),
]


def main(output):
    logging.disable(logging.CRITICAL)
    writer = Writer()
    for system, backend, name in SUBJECTS:
        version = perf_database.resolve_query_version(system, backend, "current")
        database = perf_database.get_database(system, backend, version)
        task = Task(
            serving_mode="agg", model_path=name, system_name=system, backend_name=backend, total_gpus=64
        )
        for mapping in MAPPINGS:
            who = f"{system} {backend} {name} {' '.join(map(str, mapping))} 0"
            try:
                config = task.build_model_config(role="agg", parallel=mapping)
                model = get_model(name, config, backend)
                spec = json.loads(
                    engine.build_engine_spec_json(
                        model,
                        model_path=name,
                        system=system,
                        backend=backend,
                        backend_version=database.version,
                        kv_block_size=None,
                        systems_path=None,
                        nextn=0,
                        database=database,
                    )
                )
            except Exception as error:
                writer.cases.append(f"refuse {who} {type(error).__name__}: {' '.join(str(error).split())}")
                continue
            formats = [
                getattr(config, key).name
                for key in ("gemm_quant_mode", "moe_quant_mode", "kvcache_quant_mode", "fmha_quant_mode")
            ]
            lists = [str(writer.list(spec[phase])) for phase in ("context_ops", "generation_ops")]
            words = [who, *formats, *lists, *memory(model, get_backend(backend), database)]
            writer.cases.append(f"case {' '.join(words)}")
        print(system, backend, name, file=sys.stderr, flush=True)
    text = "\n".join([*writer.ops.lines(), *writer.lists.lines(), *writer.cases]) + "\n"
    with open(output, "wb") as raw, gzip.GzipFile("", "wb", 9, raw, mtime=0) as file:
        file.write(text.encode())


if __name__ == "__main__":
    main(*sys.argv[1:])
