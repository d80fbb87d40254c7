"""Writes the operators and the memory that aiconfigurator-core 0.12.0 gives every model of our registry.

usage: graphs.py MODELS.json OUTPUT.gz

A line starts with what it is:
  op     KIND NAME TIMES [FIELD=VALUE]... [FIELD:LIST]     numbered from 0; LIST is a list of operators
  list   OP...                                             numbered from 0
  case   SYSTEM BACKEND MODEL TP PP DP MOE_TP MOE_EP CP DRAFTED GEMM MOE KV FMHA CONTEXT GENERATION MEMORY...
  refuse SYSTEM BACKEND MODEL TP PP DP MOE_TP MOE_EP CP DRAFTED REASON
Fields at their usual value are left out (see USUAL). MEMORY, all in bytes: weights; activations of 4096 tokens without
drafts; what a sequence of 1, 100 and 5000 tokens keeps; and the longest sequence that fits in 20 GiB.
"""

import gzip
import json
import logging
import sys

from aiconfigurator_core.sdk import engine, perf_database
from aiconfigurator_core.sdk.backends.factory import get_backend
from aiconfigurator_core.sdk.config_builders import apply_nextn, build_model_config
from aiconfigurator_core.sdk.models import get_model
from aiconfigurator_core.sdk.utils import HuggingFaceDownloadError

SYSTEMS = ["h200_sxm", "b200_sxm"]
BACKENDS = ["trtllm", "sglang", "vllm"]
# tp, pp, attention dp, moe tp, moe ep, cp, drafted tokens
MAPPINGS = [
    (1, 1, 1, 1, 1, 1, 0),
    (8, 1, 1, 1, 8, 1, 0),
    (1, 1, 8, 1, 8, 1, 0),
    (8, 1, 1, 8, 1, 1, 0),
    (4, 2, 1, 2, 2, 1, 0),
    (2, 1, 4, 1, 8, 1, 0),
    (4, 2, 1, 1, 4, 1, 2),
    (1, 1, 1, 1, 4, 4, 0),
]
# What says nothing: defaults, and what follows from engine and system.
LEFT_OUT = {
    "name",
    "scale_factor",
    "lane_order",
    "sms",
    "comm_quant",
    "quant",
    "flavor",
    "backend",
    "moe_backend",
}
USUAL = {
    "seq_split": 1,
    "cp_size": 1,
    "attn_cp_size": 1,
    "scale_num_tokens": 1,
    "low_precision_input": False,
    "below_grid_sol": False,
    "window_size": 0,
    "use_qk_norm": False,
    "attn_ar_modeled": False,
    "enable_eplb": False,
    "full_frac": 1.0,
    "draft_tokens": 0,
    "is_gated": True,
}
GIB = 1 << 30


class Numbered:
    """Lines that are written once and named by their number."""

    def __init__(self, kind):
        self.kind = kind
        self.numbers = {}

    def number(self, text):
        return self.numbers.setdefault(text, len(self.numbers))

    def lines(self):
        return [f"{self.kind} {text}" for text in self.numbers]


def number_text(value):
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return repr(value) if isinstance(value, float) else str(value)


class Writer:
    def __init__(self):
        self.ops = Numbered("op")
        self.lists = Numbered("list")
        self.cases = []

    def op(self, op):
        ((kind, fields),) = op.items()
        words = [kind, fields["name"], number_text(fields.get("scale_factor", 1))]
        for field, value in fields.items():
            if field in LEFT_OUT or USUAL.get(field, ...) == value:
                continue
            if isinstance(value, list) and value and isinstance(value[0], dict):
                words.append(f"{field}:{self.list(value)}")
            elif isinstance(value, dict) and all(isinstance(part, dict) for part in value.values()):
                words.append(f"{field}:{self.list([value])}")
            elif isinstance(value, dict):
                words.append(f"{field}={','.join(f'{key}:{part}' for key, part in sorted(value.items()))}")
            elif isinstance(value, bool):
                words.append(f"{field}={int(value)}")
            else:
                words.append(f"{field}={number_text(value)}")
        return self.ops.number(" ".join(words))

    def list(self, ops):
        return self.lists.number(" ".join(str(self.op(op)) for op in ops))


def model_of(name, backend, mapping):
    tp, pp, dp, moe_tp, moe_ep, cp, drafted = mapping
    config = build_model_config(
        tp_size=tp, pp_size=pp, attention_dp_size=dp, moe_tp_size=moe_tp, moe_ep_size=moe_ep
    )
    config.cp_size = cp
    apply_nextn(config, drafted)
    return get_model(name, config, backend)


def memory(model, backend, database):
    usage = backend._get_memory_usage(
        model, database, 1, 1, 4096, 0, num_tokens=4096, max_seq_len=5000, mtp_activation_scaling=False
    )
    numbers = [usage["weights"] * GIB, usage["activations"] * GIB]
    numbers += [model.get_kvcache_bytes_per_sequence(tokens) for tokens in (1, 100, 5000)]
    return [number_text(float(number)) for number in numbers] + [
        str(model.get_kvcache_max_tokens(20.0 * GIB))
    ]


def main(models, output):
    logging.disable(logging.WARNING)
    names = sorted(model["name"] for model in json.load(open(models)))
    writer = Writer()
    for system in SYSTEMS:
        for backend in BACKENDS:
            version = perf_database.resolve_query_version(system, backend, "current")
            database = perf_database.get_database(system, backend, version)
            for name in names:
                for mapping in MAPPINGS:
                    who = f"{system} {backend} {name} {' '.join(map(str, mapping))}"
                    try:
                        model = model_of(name, backend, mapping)
                    except HuggingFaceDownloadError:
                        break
                    except Exception as error:
                        writer.cases.append(f"refuse {who} {type(error).__name__}: {' '.join(str(error).split())}")
                        continue
                    spec = json.loads(
                        engine.build_engine_spec_json(
                            model,
                            model_path=name,
                            system=system,
                            backend=backend,
                            backend_version=database.version,
                            kv_block_size=None,
                            systems_path=None,
                            nextn=model.config.nextn,
                            database=database,
                        )
                    )
                    formats = [
                        spec["engine"][key]
                        for key in ("weight_dtype", "moe_dtype", "kv_cache_dtype", "activation_dtype")
                    ]
                    lists = [str(writer.list(spec[phase])) for phase in ("context_ops", "generation_ops")]
                    words = [who, *map(str, formats), *lists, *memory(model, get_backend(backend), database)]
                    writer.cases.append(f"case {' '.join(words)}")
    text = "\n".join([*writer.ops.lines(), *writer.lists.lines(), *writer.cases]) + "\n"
    with open(output, "wb") as raw, gzip.GzipFile("", "wb", 9, raw, mtime=0) as file:
        file.write(text.encode())


if __name__ == "__main__":
    main(*sys.argv[1:])
