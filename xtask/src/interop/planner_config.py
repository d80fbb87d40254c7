import tempfile
from pathlib import Path

import yaml
from dynamo.planner.config.planner_config import PlannerConfig

findings = Findings()
SCALING = ("enable_throughput_scaling", "enable_load_scaling")


def settings_of(documents):
    for document in documents:
        if document["kind"] == "ConfigMap" and "planner_config.json" in document["data"]:
            return document["data"]["planner_config.json"]
    return None


def same(written, taken):
    """Numbers and truth values may be written as texts, which the planner reads."""
    if written == taken or written is None:
        return True
    if isinstance(taken, bool):
        return taken == (str(written).lower() in ("true", "yes", "on", "1", "t", "y"))
    if isinstance(taken, (int, float)):
        return float(written) == taken
    # An empty object is filled with defaults.
    return written == {} and taken is not None


def look(run, text, documents):
    with tempfile.TemporaryDirectory() as mounted:
        path = Path(mounted) / "planner_config.json"
        path.write_text(text)
        config = PlannerConfig.from_config_arg(str(path))
    written = json.loads(text)
    for name, value in written.items():
        need(name in PlannerConfig.model_fields, f"{name} is no setting of the planner")
        taken = getattr(config, name)
        taken = getattr(taken, "value", taken)
        # With another aim than the SLA, the planner itself decides what it scales by.
        if name in SCALING and config.optimization_target != "sla":
            continue
        need(same(value, taken), f"{name} is {value!r} as written and {taken!r} as taken")
    need(config.scaling_enabled(), "the planner would scale nothing")
    # The planner's command line names the file that is mounted.
    planner = next(part for part in documents[-1]["spec"]["components"] if part["type"] == "planner")
    container = planner["podTemplate"]["spec"]["containers"][0]
    mounts = {mount["mountPath"] for mount in container["volumeMounts"]}
    argument = container["args"][container["args"].index("--config") + 1]
    need(str(Path(argument).parent) in mounts, f"{argument} is not mounted")
    need(config.profile_results_dir in mounts, f"{config.profile_results_dir} is not mounted")
    scaling = [word for word, on in (("throughput", config.enable_throughput_scaling), ("load", config.enable_load_scaling)) if on]
    return (
        f"{len(written)} settings taken: mode {config.mode}, target {config.optimization_target}, "
        f"scaling by {' and '.join(scaling)}"
    )


for run in question["runs"]:
    documents = list(yaml.safe_load_all((Path(run["directory"]) / "final_config.yaml").read_text()))
    text = settings_of(documents)
    if text is not None:
        findings.look(run["name"], lambda: look(run, text, documents))
answer(findings.list)
