from pathlib import Path

import yaml
from dynamo.planner.config.defaults import SubComponentType
from dynamo.planner.errors import SubComponentNotFoundError
from dynamo.planner.monitoring.dgd_services import get_component_from_type_or_name
from dynamo.profiler.utils.config import Config, get_component_name_by_type, get_main_container
from dynamo.profiler.utils.config_modifiers import CONFIG_MODIFIERS
from dynamo.profiler.utils.dgd_materialization import DGDMaterializationPurpose, materialize_dgd

findings = Findings()
WORKERS = ("worker", "prefill", "decode")


def role(deployment, wanted):
    try:
        return get_component_from_type_or_name(deployment, wanted).name
    except SubComponentNotFoundError:
        return None


def gpus(component):
    """GPUs of one replica, as the operator counts them."""
    container = component["podTemplate"]["spec"]["containers"][0]
    limits = (container.get("resources") or {}).get("limits") or {}
    return int(limits.get("nvidia.com/gpu", 0)) * (component.get("multinode") or {}).get("nodeCount", 1)


def overridden(override, deployment):
    """What the older version of the API says of its services must have arrived in the components."""
    components = {component["name"]: component for component in deployment["spec"]["components"]}
    for name, service in ((override or {}).get("spec") or {}).get("services", {}).items():
        component = components[name]
        container = component["podTemplate"]["spec"]["containers"][0]
        wanted = service["extraPodSpec"]["mainContainer"]
        need(component["sharedMemorySize"] == service["sharedMemory"]["size"], f"{name} lost its shared memory")
        need(container["workingDir"] == wanted["workingDir"], f"{name} lost its folder")
        # Arguments are appended, and what the deployment needs itself stays.
        need(container["args"][-len(wanted["args"]) :] == wanted["args"], f"{name} lost arguments")
        need("--model-path" in container["args"], f"{name} lost the generated arguments")


def look(run):
    documents = list(yaml.safe_load_all((Path(run["directory"]) / "final_config.yaml").read_text()))
    deployment = documents[-1]
    need(deployment["kind"] == "DynamoGraphDeployment", f"the last document is a {deployment['kind']}")
    config = Config.model_validate(deployment)
    need(config.model_dump() == deployment, "upstream's model loses something of the deployment")
    overridden(run["override"], deployment)
    for component in config.spec.components:
        get_main_container(component)
    # The tolerations of the profiling Job and the flag for code of the checkpoint are put where they belong.
    taint = {"key": "gpu", "operator": "Exists"}
    backend = run["backend"]
    framework = deployment["spec"].get("backendFramework")
    need(run["mocked"] or framework == backend, f"backendFramework is {framework}")
    changed = materialize_dgd(
        documents,
        purpose=DGDMaterializationPurpose.FINAL_OUTPUT,
        tolerations=[taint],
        runtime_backend=backend,
        trust_remote_code=True,
    )[-1]
    workers = [part for part in changed["spec"]["components"] if part["type"] in WORKERS]
    need(workers, "upstream finds no worker")
    for worker in workers:
        spec = worker["podTemplate"]["spec"]
        need(taint in spec.get("tolerations", []), f"{worker['name']} got no toleration")
        if backend in ("vllm", "sglang") and not run["mocked"]:
            need("--trust-remote-code" in spec["containers"][0]["args"], f"{worker['name']} got no flag")
    path = run["model"]
    if not run["mocked"]:
        name, path = CONFIG_MODIFIERS[backend].get_model_name(deployment)
        need(name == run["model"], f"upstream reads the served model as {name!r}, not {run['model']!r}")
    roles = {wanted.value: role(deployment, wanted) for wanted in (SubComponentType.PREFILL, SubComponentType.DECODE)}
    need(roles["decode"] is not None, "the planner finds nothing that decodes")
    if roles["prefill"] is not None:
        named = get_component_name_by_type(config, backend, SubComponentType.PREFILL)
        need(named == roles["prefill"], f"planner and profiler disagree on prefill: {roles['prefill']}, {named}")
    used = sum(gpus(worker) * worker.get("replicas", 1) for worker in workers)
    need(used <= run["total_gpus"], f"{used} GPUs of {run['total_gpus']}")
    return f"{', '.join(f'{wanted} {found}' for wanted, found in roles.items() if found)}; {used} GPUs; model {path}"


for run in question["runs"]:
    findings.look(run["name"], lambda: look(run))
answer(findings.list)
