//! From components to services.

use serde_json::{Map, Value, json};

use super::fields::{Fields, name_of, set_filled, set_some};
use super::{Converted, EXPERIMENTAL, SHARED_COMPONENT_FIELDS, SHARED_SPEC_FIELDS, SIDECAR};
use crate::dgd::document::DocumentError;
use crate::dgd::version::DgdVersion;
use crate::dgd::{GPU_RESOURCE, KIND, MAIN_CONTAINER};

const TARGET: DgdVersion = DgdVersion::V1alpha1;

pub(super) fn convert(document: &Value) -> Result<Converted, DocumentError> {
    let mut top = Fields::of(document.clone(), "")?;
    top.take("apiVersion");
    top.take("kind");
    let mut converted = Map::new();
    converted.insert("apiVersion".to_owned(), DgdVersion::V1alpha1.api_version().into());
    converted.insert("kind".to_owned(), KIND.into());
    top.carry(&["metadata"], &mut converted);
    if let Some(spec) = top.object("spec")? {
        converted.insert("spec".to_owned(), Value::Object(to_spec(spec)?));
    }
    top.done(TARGET)?;
    Ok(Converted {
        document: Value::Object(converted),
        notices: Vec::new(),
    })
}

fn to_spec(mut spec: Fields) -> Result<Map<String, Value>, DocumentError> {
    let mut converted = Map::new();
    spec.carry(&SHARED_SPEC_FIELDS, &mut converted);
    set_some(&mut converted, "envs", spec.take("env"));
    let path = spec.path("components");
    if let Some(components) = spec.list("components")? {
        let mut services = Map::new();
        let mut claims = Map::new();
        for (index, component) in components.into_iter().enumerate() {
            let mut component = Fields::of(component, format!("{path}[{index}]"))?;
            let Some(name) = component.text("name")? else {
                return Err(DocumentError::new(
                    format!("{path}[{index}].name"),
                    "is missing",
                    "name the component",
                ));
            };
            let component = Fields::of(Value::Object(component.rest()), format!("{path}[{name}]"))?;
            if services.contains_key(&name) {
                return Err(DocumentError::new(
                    format!("{path}[{name}]"),
                    "stands there twice",
                    "give each component a name of its own",
                ));
            }
            services.insert(name, Value::Object(service(component, &mut claims)?));
        }
        converted.insert("services".to_owned(), Value::Object(services));
        if !claims.is_empty() {
            let claims = claims.into_iter().map(|(_, claim)| claim).collect();
            converted.insert("pvcs".to_owned(), Value::Array(claims));
        }
    }
    spec.done(TARGET)?;
    Ok(converted)
}

fn service(
    mut component: Fields,
    claims: &mut Map<String, Value>,
) -> Result<Map<String, Value>, DocumentError> {
    let mut service = Map::new();
    if let Some(kind) = component.text("type")? {
        if matches!(kind.as_str(), "prefill" | "decode") {
            service.insert("componentType".to_owned(), "worker".into());
            service.insert("subComponentType".to_owned(), kind.into());
        } else {
            service.insert("componentType".to_owned(), kind.into());
        }
    }
    component.carry(&SHARED_COMPONENT_FIELDS, &mut service);
    if let Some(size) = component.take("sharedMemorySize") {
        let is_off = size == "0" || size == 0;
        let memory = if is_off {
            json!({"disabled": true})
        } else {
            json!({"size": size})
        };
        service.insert("sharedMemory".to_owned(), memory);
    }
    if let Some(mut adapter) = component.object("scalingAdapter")? {
        // Upstream's profiler writes the switch of v1alpha1 here, and the cluster drops it: presence is what counts.
        if adapter.take("enabled") == Some(Value::Bool(false)) {
            return Err(DocumentError::new(
                adapter.path("enabled"),
                "does not switch it off in v1beta1",
                "remove scalingAdapter",
            ));
        }
        adapter.done(TARGET)?;
        service.insert("scalingAdapter".to_owned(), json!({"enabled": true}));
    }
    if let Some(experimental) = component.object("experimental")? {
        features(experimental, &mut service)?;
    }
    if let Some(mut cache) = component.object("compilationCache")? {
        let claim = cache.text("pvcName")?.unwrap_or_default();
        let mut mount = Map::new();
        mount.insert("name".to_owned(), claim.as_str().into());
        set_some(&mut mount, "mountPoint", cache.take("mountPath"));
        mount.insert("useAsCompilationCache".to_owned(), true.into());
        cache.done(TARGET)?;
        service.insert("volumeMounts".to_owned(), json!([mount]));
        let declared = json!({"name": claim, "create": false});
        claims.insert(claim, declared);
    }
    let path_of_sidecar = component.path("frontendSidecar");
    let sidecar = component.text("frontendSidecar")?;
    let mut pod = Pod::of(component.object("podTemplate")?)?;
    if let Some(name) = sidecar {
        let short = pod.take_sidecar(&name, &path_of_sidecar)?;
        service.insert("frontendSidecar".to_owned(), Value::Object(short));
    }
    pod.write(&mut service)?;
    component.done(TARGET)?;
    Ok(service)
}

/// Features are switched by a field in v1alpha1.
fn features(mut experimental: Fields, service: &mut Map<String, Value>) -> Result<(), DocumentError> {
    for feature in EXPERIMENTAL {
        let Some(settings) = experimental.object(feature)? else {
            continue;
        };
        let mut settings = settings.rest();
        if let Some(Value::String(mode)) = settings.get_mut("mode") {
            *mode = match mode.as_str() {
                "IntraPod" => "intraPod".to_owned(),
                "InterPod" => "interPod".to_owned(),
                other => other.to_owned(),
            };
        }
        settings.entry("enabled").or_insert(Value::Bool(true));
        service.insert(feature.to_owned(), Value::Object(settings));
    }
    experimental.done(TARGET)
}

/// A pod template, taken apart.
struct Pod {
    metadata: Map<String, Value>,
    spec: Map<String, Value>,
    main: Option<Fields>,
    beside: Vec<Value>,
}

impl Pod {
    fn of(template: Option<Fields>) -> Result<Self, DocumentError> {
        let mut pod = Self {
            metadata: Map::new(),
            spec: Map::new(),
            main: None,
            beside: Vec::new(),
        };
        let Some(mut template) = template else {
            return Ok(pod);
        };
        if let Some(mut metadata) = template.object("metadata")? {
            metadata.carry(&["labels", "annotations"], &mut pod.metadata);
            metadata.done(TARGET)?;
        }
        if let Some(mut spec) = template.object("spec")? {
            let path = spec.path("containers");
            for container in spec.list("containers")?.unwrap_or_default() {
                if name_of(&container) == Some(MAIN_CONTAINER) {
                    pod.main = Some(Fields::of(container, format!("{path}[{MAIN_CONTAINER}]"))?);
                } else {
                    pod.beside.push(container);
                }
            }
            pod.spec = spec.rest();
        }
        template.done(TARGET)?;
        Ok(pod)
    }

    /// The short form of the frontend that runs beside the container that serves.
    fn take_sidecar(&mut self, name: &str, path: &str) -> Result<Map<String, Value>, DocumentError> {
        let place = self
            .beside
            .iter()
            .position(|container| name_of(container) == Some(name))
            .filter(|_| name == SIDECAR);
        let Some(place) = place else {
            return Err(DocumentError::new(
                path,
                format!("{name:?} has no counterpart in {TARGET}"),
                format!("name the container {SIDECAR}"),
            ));
        };
        let mut container = Fields::of(self.beside.remove(place), format!("{path} ({SIDECAR})"))?;
        container.take("name");
        let mut short = Map::new();
        container.carry(&["image", "args"], &mut short);
        set_some(&mut short, "envs", container.take("env"));
        if let Some(env_from) = container.take("envFrom") {
            let secret = bare_secret(&env_from).ok_or_else(|| {
                DocumentError::new(
                    container.path("envFrom"),
                    format!("{TARGET} takes one required secret"),
                    "name one secret, without other fields",
                )
            })?;
            short.insert("envFromSecret".to_owned(), secret.into());
        }
        container.done(TARGET)?;
        Ok(short)
    }

    /// Writes it in the fields of a service.
    fn write(self, service: &mut Map<String, Value>) -> Result<(), DocumentError> {
        let mut pod = self.spec;
        if let Some(main) = self.main {
            set_filled(&mut pod, "mainContainer", write_main(main, service)?);
        }
        if !self.beside.is_empty() {
            pod.insert("containers".to_owned(), Value::Array(self.beside));
        }
        set_filled(service, "extraPodMetadata", self.metadata);
        set_filled(service, "extraPodSpec", pod);
        Ok(())
    }
}

/// Writes the serving container in the fields of a service; returns what stays with the container.
fn write_main(
    mut main: Fields,
    service: &mut Map<String, Value>,
) -> Result<Map<String, Value>, DocumentError> {
    main.take("name");
    if let Some(resources) = main.object("resources")? {
        set_filled(service, "resources", to_resources(resources)?);
    }
    set_some(service, "envs", main.take("env"));
    main.carry(&["livenessProbe", "readinessProbe"], service);
    let env_from = main.take("envFrom");
    let secret = env_from.as_ref().and_then(bare_secret).map(Value::from);
    let mut rest = main.rest();
    match secret {
        Some(secret) => {
            service.insert("envFromSecret".to_owned(), secret);
        }
        None => set_some(&mut rest, "envFrom", env_from),
    }
    Ok(rest)
}

/// The secret of a list that holds one required secret and nothing else.
fn bare_secret(env_from: &Value) -> Option<String> {
    let [source] = env_from.as_array()?.as_slice() else {
        return None;
    };
    let name = source.get("secretRef")?.get("name")?.as_str()?;
    (*source == json!({"secretRef": {"name": name}})).then(|| name.to_owned())
}

fn to_resources(mut native: Fields) -> Result<Map<String, Value>, DocumentError> {
    let mut resources = Map::new();
    native.carry(&["claims"], &mut resources);
    for kind in ["limits", "requests"] {
        let Some(quantities) = native.object(kind)? else {
            continue;
        };
        let mut written = Map::new();
        let mut custom = Map::new();
        for (resource, quantity) in quantities.rest() {
            // v1alpha1 takes quantities as texts only.
            let quantity = if quantity.is_number() {
                Value::String(quantity.to_string())
            } else {
                quantity
            };
            match resource.as_str() {
                "cpu" | "memory" => written.insert(resource, quantity),
                GPU_RESOURCE => written.insert("gpu".to_owned(), quantity),
                _ => custom.insert(resource, quantity),
            };
        }
        set_filled(&mut written, "custom", custom);
        set_filled(&mut resources, kind, written);
    }
    native.done(TARGET)?;
    Ok(resources)
}
