import base64
import http.client
import os
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import yaml
from dynamo.mocker.args import parse_args
from dynamo.mocker.utils.planner_profiler_perf_data_converter import convert_profile_results_to_npz, is_mocker_format_npz

findings = Findings()
HERE = Path.cwd()
MODEL, NAME = HERE / "model", "interop"
WORDS = 2048
REQUESTS, TOKENS = 5, 24
PATIENCE = 120


def make_model():
    """A tokenizer of whole words: a prompt of n words is n tokens, and every id that the mocker draws is a word."""
    MODEL.mkdir(exist_ok=True)
    vocabulary = {"<end>": 0, "<unknown>": 1} | {f"w{index}": index for index in range(2, WORDS)}
    ends = [{"id": 0, "content": "<end>", "single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}]
    write("tokenizer.json", {
        "version": "1.0", "truncation": None, "padding": None, "added_tokens": ends, "normalizer": None,
        "pre_tokenizer": {"type": "WhitespaceSplit"}, "post_processor": None, "decoder": None,
        "model": {"type": "WordLevel", "vocab": vocabulary, "unk_token": "<unknown>"},
    })
    write("tokenizer_config.json", {
        "tokenizer_class": "PreTrainedTokenizerFast", "eos_token": "<end>", "unk_token": "<unknown>",
        "model_max_length": 131072,
        "chat_template": "{% for message in messages %}{{ message['content'] }}{% endfor %}",
    })
    write("config.json", {
        "architectures": ["Qwen3ForCausalLM"], "model_type": "qwen3", "hidden_size": 64, "intermediate_size": 128,
        "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 16,
        "max_position_embeddings": 131072, "vocab_size": WORDS, "eos_token_id": 0, "bos_token_id": 0,
        "torch_dtype": "bfloat16", "tie_word_embeddings": True, "hidden_act": "silu", "rms_norm_eps": 1e-6,
        "rope_theta": 1000000,
    })
    write("generation_config.json", {"eos_token_id": 0, "bos_token_id": 0})


def write(name, value):
    (MODEL / name).write_text(json.dumps(value))


def free_port():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]


class Deployment:
    """A frontend and mockers that talk over loopback only; its processes end with it."""

    def __init__(self, folder, workers):
        self.folder, self.workers, self.started, self.port = folder, workers, [], free_port()

    def __enter__(self):
        self.folder.mkdir(parents=True, exist_ok=True)
        local = dict.fromkeys(
            ("TCP_RPC", "TCP_RESPONSE_STREAM", "EVENT_PLANE", "HTTP_RPC", "SYSTEM"), "127.0.0.1"
        )
        self.environment = os.environ | {f"DYN_{name}_HOST": host for name, host in local.items()} | {
            "DYN_DISCOVERY_BACKEND": "file", "DYN_FILE_KV": str(self.folder / "registry"),
            "DYN_REQUEST_PLANE": "tcp", "DYN_RESPONSE_PLANE": "tcp", "DYN_EVENT_PLANE": "zmq",
            # Publishers of events listen on every interface unless they connect to a broker. None has to be there.
            "DYN_ZMQ_BROKER_URL": "xsub=tcp://127.0.0.1:15555 , xpub=tcp://127.0.0.1:15556",
        }
        try:
            self.start("frontend", ["-m", "dynamo.frontend", "--http-host", "127.0.0.1", "--http-port", str(self.port)])
            for index, arguments in enumerate(self.workers):
                self.start(f"worker-{index}", arguments)
            self.wait()
        except BaseException:
            self.__exit__()
            raise
        return self

    def start(self, name, arguments):
        with open(self.folder / f"{name}.log", "w") as log:
            process = subprocess.Popen(
                [sys.executable, *arguments], env=self.environment, cwd=self.folder, stdout=log, stderr=log
            )
        self.started.append((name, process))

    def wait(self):
        """A model is listed once all its workers are there."""
        last = time.monotonic() + PATIENCE
        while time.monotonic() < last:
            for name, process in self.started:
                if process.poll() is not None:
                    log = (self.folder / f"{name}.log").read_text()[-600:]
                    raise RuntimeError(f"{name} ended with {process.returncode}: {log}")
            try:
                link = http.client.HTTPConnection("127.0.0.1", self.port, timeout=2)
                link.request("GET", "/v1/models")
                if any(model["id"] == NAME for model in json.load(link.getresponse())["data"]):
                    return
            except OSError:
                pass
            time.sleep(0.1)
        raise RuntimeError(f"no model is served after {PATIENCE} s")

    def __exit__(self, *_):
        for _, process in self.started:
            process.terminate()
        for _, process in self.started:
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def ask(self, isl, salt, osl=TOKENS):
        """Times of the tokens of one request, milliseconds after it was sent; a new connection each time, since delayed
        acknowledgements on an older one hold back the first tokens."""
        words = " ".join(f"w{2 + (salt * 7919 + index * 31) % (WORDS - 2)}" for index in range(isl))
        body = json.dumps({
            "model": NAME, "messages": [{"role": "user", "content": words}], "max_tokens": osl, "min_tokens": osl,
            "ignore_eos": True, "stream": True, "stream_options": {"include_usage": True},
        }).encode()
        head = (
            f"POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1:{self.port}\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
        ).encode()
        times, pending, usage = [], b"", None
        with socket.create_connection(("127.0.0.1", self.port), timeout=60) as link:
            link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            start = time.perf_counter()
            link.sendall(head + body)
            while chunk := link.recv(65536):
                if hasattr(socket, "TCP_QUICKACK"):
                    link.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)
                now = (time.perf_counter() - start) * 1000
                *lines, pending = (pending + chunk).split(b"\n")
                for line in lines:
                    if not line.startswith(b"data: {"):
                        continue
                    event = json.loads(line[6:])
                    usage = event.get("usage") or usage
                    if any(choice["delta"].get("content") for choice in event.get("choices", [])):
                        times.append(now)
        need(len(times) == osl, f"{len(times)} tokens arrived instead of {osl}")
        need(usage is None or usage["prompt_tokens"] == isl, f"the prompt has {usage} instead of {isl} tokens")
        return times


def median_latencies(deployment, isl):
    deployment.ask(16, 99)
    measured = [deployment.ask(isl, salt) for salt in range(REQUESTS)]
    ttft = float(np.median([times[0] for times in measured]))
    itl = float(np.median([(times[-1] - times[0]) / (TOKENS - 1) for times in measured]))
    return ttft, itl


def loaded_latency(deployment):
    """Time between tokens of requests that are all answered at once."""
    load = question["load"]
    osl = load["osl"]
    with ThreadPoolExecutor(load["requests"]) as clients:
        answers = list(clients.map(lambda salt: deployment.ask(load["isl"], 100 + salt, osl), range(load["requests"])))
    first, last = osl // 3, osl - 20
    return float(np.median([(times[last] - times[first]) / (last - first) for times in answers]))


def judge(run, measured, what, expected_ttft):
    ttft, itl = measured
    text = (
        f"TTFT {ttft:.1f} ms where {what} has {expected_ttft:.1f}, ITL {itl:.2f} ms where the curve has "
        f"{run['alone_itl_ms']:.2f}"
    )
    low, high = expected_ttft * (1 - question["bound"]), expected_ttft * (1 + question["bound"]) + question["overhead_ms"]
    need(low <= ttft <= high, text)
    need(abs(itl / run["alone_itl_ms"] - 1) <= question["bound"], text)
    return text


def convert(run):
    table = HERE / f"{run['name']}.npz"
    convert_profile_results_to_npz(run["directory"], table)
    need(is_mocker_format_npz(table), "upstream's converter makes no table of its own format")
    with np.load(table) as read:
        for name in read.files:
            need(np.isfinite(read[name]).all() and (read[name] >= 0).all(), f"{name} is not finite throughout")
        lost = float((read["prefill_ttft_ms"] < 1).mean())
    return (
        f"TTFT at {run['isl']} tokens {fitted(run, table):.0f} ms where the curve has {run['ttft_ms']:.0f}, "
        f"nothing on {lost:.0%} of the lengths"
    )


def fitted(run, table):
    """What the straight line that upstream makes of the curve says, milliseconds."""
    with np.load(table) as read:
        return float(np.interp(run["isl"], read["prefill_isl"], read["prefill_ttft_ms"]))


def command_lines(run, folder):
    """The workers as they are deployed, with paths of the container made paths of this machine."""
    documents = list(yaml.safe_load_all((Path(run["directory"]) / "final_config.yaml").read_text()))
    maps = {document["metadata"]["name"]: document for document in documents if document["kind"] == "ConfigMap"}
    lines = []
    for component in documents[-1]["spec"]["components"]:
        spec = component["podTemplate"]["spec"]
        container = spec["containers"][0]
        arguments = list(container["args"])
        if "dynamo.mocker" not in arguments:
            continue
        for mount in container.get("volumeMounts", []):
            volume = next(volume for volume in spec["volumes"] if volume["name"] == mount["name"])
            if "configMap" not in volume:
                continue
            mounted = folder / component["name"] / mount["name"]
            unpack(maps[volume["configMap"]["name"]], mounted)
            arguments = [argument.replace(mount["mountPath"], str(mounted)) for argument in arguments]
        for flag, value in (("--model-path", str(MODEL)), ("--model-name", NAME)):
            arguments[arguments.index(flag) + 1] = value
        lines.append(arguments)
    return lines


def unpack(config_map, folder):
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in (config_map.get("data") or {}).items():
        (folder / name).write_text(text)
    for name, text in (config_map.get("binaryData") or {}).items():
        (folder / name).write_bytes(base64.b64decode(text))


def parse(lines):
    need(lines, "no mocker is deployed")
    for arguments in lines:
        parse_args(arguments[arguments.index("dynamo.mocker") + 1 :])
    return f"{len(lines)} command lines"


def serve(run, name, lines, what, expected_ttft):
    with Deployment(HERE / name, lines) as deployment:
        measured = median_latencies(deployment, run["isl"])
        # What a folder's curves became on their way, the planner's check tells.
        loaded = loaded_latency(deployment) if run["mocked"] else None
    text = judge(run, measured, what, expected_ttft)
    if loaded is not None:
        text += f", {loaded:.2f} for {run['loaded_itl_ms']:.2f} under load"
        need(abs(loaded / run["loaded_itl_ms"] - 1) <= question["loaded_bound"], text)
    return text


def folder_lines(run, data):
    """One aggregated worker with the curves as a folder; as many tokens at once as the prompt has."""
    return [[
        "-m", "dynamo.mocker", "--model-path", str(MODEL), "--model-name", NAME, "--engine-type", run["engine"],
        "--no-enable-prefix-caching", "--max-num-batched-tokens", str(2 * run["isl"]), "--planner-profile-data", str(data),
    ]]


make_model()
for run in question["runs"]:
    findings.look(f"{run['name']}, converted", lambda: convert(run))
for run in question["runs"]:
    if run["mocked"]:
        lines = command_lines(run, HERE / run["name"])
        findings.look(f"{run['name']}, parsed", lambda: parse(lines))
        findings.look(f"{run['name']}, served", lambda: serve(run, run["name"], lines, "the curve", run["ttft_ms"]))
plain = next(run for run in question["runs"] if not run["mocked"])
mounted = HERE / "JSON"
mounted.mkdir(exist_ok=True)
for name in ("prefill_raw_data.json", "decode_raw_data.json"):
    (mounted / name).write_bytes((Path(plain["directory"]) / name).read_bytes())
for form, data in (("npz", plain["directory"]), ("JSON", mounted)):
    lines = folder_lines(plain, data)
    findings.look(
        f"{plain['name']}, {form} folder served",
        lambda: serve(plain, f"folder-{form}", lines, "upstream's line", fitted(plain, HERE / f"{plain['name']}.npz")),
    )
answer(findings.list)
