//! From services to components.

use serde_json::{Map, Value, json};

use super::fields::{Fields, name_of, set_filled, set_some};
use super::{Converted, EXPERIMENTAL, SHARED_COMPONENT_FIELDS, SHARED_SPEC_FIELDS, SIDECAR};
use crate::dgd::document::{DocumentError, in_reading_order};
use crate::dgd::version::DgdVersion;
use crate::dgd::{GPU_RESOURCE, KIND, MAIN_CONTAINER};

const TARGET: DgdVersion = DgdVersion::V1beta1;

pub(super) fn convert(document: &Value) -> Result<Converted, DocumentError> {
    let mut notices = Vec::new();
    let mut top = Fields::of(document.clone(), "")?;
    top.take("apiVersion");
    top.take("kind");
    let mut converted = Map::new();
    converted.insert("apiVersion".to_owned(), DgdVersion::V1beta1.api_version().into());
    converted.insert("kind".to_owned(), KIND.into());
    top.carry(&["metadata"], &mut converted);
    if let Some(spec) = top.object("spec")? {
        converted.insert("spec".to_owned(), Value::Object(to_spec(spec, &mut notices)?));
    }
    top.done(TARGET)?;
    Ok(Converted {
        document: Value::Object(converted),
        notices,
    })
}

fn to_spec(mut spec: Fields, notices: &mut Vec<String>) -> Result<Map<String, Value>, DocumentError> {
    let mut converted = Map::new();
    spec.carry(&SHARED_SPEC_FIELDS, &mut converted);
    set_some(&mut converted, "env", spec.take("envs"));
    check_claims(&mut spec)?;
    if let Some(services) = spec.object("services")? {
        let paths = services.path("");
        let services = services.rest();
        let mut components = Vec::new();
        for (name, service) in in_reading_order(&services) {
            let service = Fields::of(service.clone(), format!("{paths}{name}"))?;
            components.push(Value::Object(component(name, service, notices)?));
        }
        converted.insert("components".to_owned(), Value::Array(components));
    }
    spec.done(TARGET)?;
    Ok(converted)
}

/// Claims that exist need no declaration in v1beta1, but it makes none.
fn check_claims(spec: &mut Fields) -> Result<(), DocumentError> {
    let path = spec.path("pvcs");
    for claim in spec.list("pvcs")?.unwrap_or_default() {
        if claim.get("create") == Some(&Value::Bool(true)) {
            let name = name_of(&claim).unwrap_or_default();
            return Err(DocumentError::new(
                format!("{path}[{name}].create"),
                format!("{TARGET} makes no claims"),
                "make the claim before, and set create to false",
            ));
        }
    }
    Ok(())
}

fn component(
    name: &str,
    mut service: Fields,
    notices: &mut Vec<String>,
) -> Result<Map<String, Value>, DocumentError> {
    let mut component = Map::new();
    component.insert("name".to_owned(), name.into());
    set_some(&mut component, "type", component_type(&mut service)?);
    service.carry(&SHARED_COMPONENT_FIELDS, &mut component);
    set_some(&mut component, "sharedMemorySize", shared_memory(&mut service)?);
    if let Some(mut adapter) = service.object("scalingAdapter")? {
        if adapter.is_on("enabled")? {
            component.insert("scalingAdapter".to_owned(), json!({}));
        }
        adapter.done(TARGET)?;
    }
    set_filled(&mut component, "experimental", experimental(&mut service)?);
    let mounts = mounts(&mut service)?;
    set_some(&mut component, "compilationCache", mounts.cache.clone());
    let sidecar = sidecar(&mut service)?;
    if sidecar.is_some() {
        component.insert("frontendSidecar".to_owned(), SIDECAR.into());
    }
    set_some(
        &mut component,
        "podTemplate",
        pod_template(&mut service, mounts, sidecar)?,
    );
    for (field, why) in [
        (
            "dynamoNamespace",
            "the deployment's namespace and name take its place",
        ),
        ("serviceName", "the service's key is its name"),
        ("autoscaling", "scaling adapters took its place"),
    ] {
        let path = service.path(field);
        if service.take(field).is_some() {
            notices.push(format!("{path} is left out, since it has no effect: {why}"));
        }
    }
    service.done(TARGET)?;
    Ok(component)
}

fn component_type(service: &mut Fields) -> Result<Option<Value>, DocumentError> {
    let path = service.path("subComponentType");
    let kind = service.text("componentType")?;
    let Some(sub) = service
        .text("subComponentType")?
        .filter(|sub| !sub.is_empty() && Some(sub) != kind.as_ref())
    else {
        return Ok(kind.map(Value::String));
    };
    if kind.as_deref() == Some("worker") && matches!(sub.as_str(), "prefill" | "decode") {
        return Ok(Some(Value::String(sub)));
    }
    Err(DocumentError::new(
        path,
        format!("{sub:?} has no counterpart in {TARGET}"),
        "only a componentType of worker may have one, prefill or decode",
    ))
}

fn shared_memory(service: &mut Fields) -> Result<Option<Value>, DocumentError> {
    let Some(mut memory) = service.object("sharedMemory")? else {
        return Ok(None);
    };
    let is_off = memory.is_on("disabled")?;
    let size = memory.take("size");
    memory.done(TARGET)?;
    Ok(if is_off { Some("0".into()) } else { size })
}

/// Features are on by their presence in v1beta1.
fn experimental(service: &mut Fields) -> Result<Map<String, Value>, DocumentError> {
    let mut experimental = Map::new();
    for feature in EXPERIMENTAL {
        let Some(mut given) = service.object(feature)? else {
            continue;
        };
        if given.is_on("enabled")? {
            let mut settings = given.rest();
            if let Some(Value::String(mode)) = settings.get_mut("mode") {
                *mode = match mode.as_str() {
                    "intraPod" => "IntraPod".to_owned(),
                    "interPod" => "InterPod".to_owned(),
                    other => other.to_owned(),
                };
            }
            experimental.insert(feature.to_owned(), Value::Object(settings));
        }
    }
    Ok(experimental)
}

/// Claims that a service mounts.
struct Mounted {
    mounts: Vec<Value>,
    volumes: Vec<Value>,
    cache: Option<Value>,
}

fn mounts(service: &mut Fields) -> Result<Mounted, DocumentError> {
    let path = service.path("volumeMounts");
    let mut found = Mounted {
        mounts: Vec::new(),
        volumes: Vec::new(),
        cache: None,
    };
    for (index, mount) in service
        .list("volumeMounts")?
        .unwrap_or_default()
        .into_iter()
        .enumerate()
    {
        let mut mount = Fields::of(mount, format!("{path}[{index}]"))?;
        let claim = mount.take("name").unwrap_or_default();
        let place = mount.take("mountPoint");
        let is_cache = mount.is_on("useAsCompilationCache")?;
        let path = mount.path("useAsCompilationCache");
        mount.done(TARGET)?;
        if is_cache {
            if found.cache.is_some() {
                return Err(DocumentError::new(
                    path,
                    format!("{TARGET} has one compilation cache"),
                    "mark one of them",
                ));
            }
            let mut cache = Map::new();
            cache.insert("pvcName".to_owned(), claim);
            set_some(&mut cache, "mountPath", place);
            found.cache = Some(Value::Object(cache));
            continue;
        }
        found
            .volumes
            .push(json!({"name": claim, "persistentVolumeClaim": {"claimName": claim}}));
        let mut native = Map::new();
        native.insert("name".to_owned(), claim);
        set_some(&mut native, "mountPath", place);
        found.mounts.push(Value::Object(native));
    }
    Ok(found)
}

/// The container that the short form stands for.
fn sidecar(service: &mut Fields) -> Result<Option<Value>, DocumentError> {
    let Some(mut short) = service.object("frontendSidecar")? else {
        return Ok(None);
    };
    let mut container = Map::new();
    container.insert("name".to_owned(), SIDECAR.into());
    short.carry(&["image", "args"], &mut container);
    set_some(&mut container, "env", short.take("envs"));
    if let Some(secret) = short.text("envFromSecret")? {
        container.insert("envFrom".to_owned(), json!([{"secretRef": {"name": secret}}]));
    }
    short.done(TARGET)?;
    Ok(Some(Value::Object(container)))
}

fn pod_template(
    service: &mut Fields,
    mounts: Mounted,
    sidecar: Option<Value>,
) -> Result<Option<Value>, DocumentError> {
    let metadata = service.object("extraPodMetadata")?.map(Fields::rest);
    let metadata = metadata.unwrap_or_default();
    let mut pod = match service.object("extraPodSpec")? {
        Some(pod) => pod,
        None => Fields::of(json!({}), service.path("extraPodSpec"))?,
    };
    let path_of_containers = pod.path("containers");
    let given = pod.object("mainContainer")?;
    let beside = pod.list("containers")?.unwrap_or_default();
    if beside
        .iter()
        .any(|container| name_of(container) == Some(MAIN_CONTAINER))
    {
        return Err(DocumentError::new(
            format!("{path_of_containers}[{MAIN_CONTAINER}]"),
            "is the name of the container that serves",
            "describe it in extraPodSpec.mainContainer",
        ));
    }
    let main = main_container(service, given, mounts.mounts)?;
    let mut volumes = pod.list("volumes")?.unwrap_or_default();
    for volume in mounts.volumes {
        if !volumes.iter().any(|known| name_of(known) == name_of(&volume)) {
            volumes.push(volume);
        }
    }
    let mut spec = pod.rest();
    if !volumes.is_empty() {
        spec.insert("volumes".to_owned(), Value::Array(volumes));
    }
    let has_main_only_by_name = main.len() == 1;
    if metadata.is_empty()
        && spec.is_empty()
        && has_main_only_by_name
        && beside.is_empty()
        && sidecar.is_none()
    {
        return Ok(None);
    }
    let mut containers = vec![Value::Object(main)];
    containers.extend(beside);
    containers.extend(sidecar);
    spec.insert("containers".to_owned(), Value::Array(containers));
    let mut template = Map::new();
    set_filled(&mut template, "metadata", metadata);
    template.insert("spec".to_owned(), Value::Object(spec));
    Ok(Some(Value::Object(template)))
}

/// The serving container: what the service says in fields of its own, under what the container says itself. Variables
/// and mounts add up, as in upstream's operator.
fn main_container(
    service: &mut Fields,
    given: Option<Fields>,
    mounts: Vec<Value>,
) -> Result<Map<String, Value>, DocumentError> {
    let mut main = match given {
        Some(main) => main,
        None => Fields::of(json!({}), service.path("extraPodSpec.mainContainer"))?,
    };
    main.take("name");
    let env = merged_env(
        service.list("envs")?.unwrap_or_default(),
        main.list("env")?.unwrap_or_default(),
    );
    let secret = service.text("envFromSecret")?;
    let mut env_from = main.list("envFrom")?.unwrap_or_default();
    if let Some(secret) = secret
        && !env_from.iter().any(|source| secret_of(source) == Some(&secret))
    {
        env_from.insert(0, json!({"secretRef": {"name": secret}}));
    }
    let resources = resources(service, main.object("resources")?)?;
    let mounts = merged_mounts(main.list("volumeMounts")?.unwrap_or_default(), mounts, &main)?;
    let probes = ["livenessProbe", "readinessProbe"].map(|probe| {
        let of_service = service.take(probe);
        (probe, main.take(probe).or(of_service))
    });
    let mut container = main.rest();
    container.insert("name".to_owned(), MAIN_CONTAINER.into());
    for (field, items) in [("env", env), ("envFrom", env_from), ("volumeMounts", mounts)] {
        if !items.is_empty() {
            container.insert(field.to_owned(), Value::Array(items));
        }
    }
    set_filled(&mut container, "resources", resources);
    for (probe, value) in probes {
        set_some(&mut container, probe, value);
    }
    Ok(container)
}

/// Mounts of the container and those of the service; the same mount may stand in both.
fn merged_mounts(
    mut mounts: Vec<Value>,
    of_service: Vec<Value>,
    main: &Fields,
) -> Result<Vec<Value>, DocumentError> {
    for mount in of_service {
        let place = mount.get("mountPath");
        match mounts.iter().find(|known| known.get("mountPath") == place) {
            None => mounts.push(mount),
            Some(known) if name_of(known) == name_of(&mount) => {}
            Some(_) => {
                return Err(DocumentError::new(
                    main.path("volumeMounts"),
                    format!("{} is mounted twice", place.unwrap_or(&Value::Null)),
                    "mount one volume there",
                ));
            }
        }
    }
    Ok(mounts)
}

/// The secret of a source of variables.
fn secret_of(source: &Value) -> Option<&str> {
    source.get("secretRef")?.get("name")?.as_str()
}

fn merged_env(mut variables: Vec<Value>, over: Vec<Value>) -> Vec<Value> {
    for variable in over {
        match variables
            .iter_mut()
            .find(|known| name_of(known) == name_of(&variable))
        {
            Some(known) => *known = variable,
            None => variables.push(variable),
        }
    }
    variables
}

fn resources(service: &mut Fields, over: Option<Fields>) -> Result<Map<String, Value>, DocumentError> {
    let mut native = Map::new();
    if let Some(mut resources) = service.object("resources")? {
        resources.carry(&["claims"], &mut native);
        for kind in ["limits", "requests"] {
            if let Some(quantities) = resources.object(kind)? {
                set_filled(&mut native, kind, quantities_of(quantities)?);
            }
        }
        resources.done(TARGET)?;
    }
    for (field, value) in over.map(Fields::rest).unwrap_or_default() {
        match (native.get_mut(&field), value) {
            (Some(Value::Object(known)), Value::Object(more)) => known.extend(more),
            (_, value) => {
                native.insert(field, value);
            }
        }
    }
    Ok(native)
}

/// Quantities by resource name.
fn quantities_of(mut quantities: Fields) -> Result<Map<String, Value>, DocumentError> {
    let mut native = Map::new();
    quantities.carry(&["cpu", "memory"], &mut native);
    let device = quantities
        .text("gpuType")?
        .unwrap_or_else(|| GPU_RESOURCE.to_owned());
    set_some(&mut native, &device, quantities.take("gpu"));
    if let Some(custom) = quantities.object("custom")? {
        native.extend(custom.rest());
    }
    quantities.done(TARGET)?;
    Ok(native)
}
