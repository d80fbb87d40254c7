//! A container's variables, from all the places that a pod may name.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{Container, EnvVarSource, ObjectFieldSelector, Pod};

use super::objects::{Keys, NotYet, Objects};

/// What every image sets.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Reads all variables of a container.
pub(super) async fn of(
    pod: &Pod,
    container: &Container,
    objects: &Objects,
) -> Result<BTreeMap<String, String>, NotYet> {
    let mut variables = BTreeMap::from([
        ("HOME".to_owned(), "/".to_owned()),
        (
            "HOSTNAME".to_owned(),
            pod.metadata.name.clone().unwrap_or_default(),
        ),
        ("PATH".to_owned(), PATH.to_owned()),
    ]);
    variables.extend(objects.service_variables());
    for source in container.env_from.iter().flatten() {
        let prefix = source.prefix.as_deref().unwrap_or_default();
        let mut keys = Keys::new();
        if let Some(map) = &source.config_map_ref {
            keys.extend(
                objects
                    .config_map(&map.name, map.optional.unwrap_or_default().into())
                    .await?,
            );
        }
        if let Some(secret) = &source.secret_ref {
            keys.extend(
                objects
                    .secret(&secret.name, secret.optional.unwrap_or_default().into())
                    .await?,
            );
        }
        variables.extend(keys.into_iter().map(|(key, value)| {
            (
                format!("{prefix}{key}"),
                String::from_utf8_lossy(&value).into_owned(),
            )
        }));
    }
    for variable in container.env.iter().flatten() {
        let value = match (&variable.value, &variable.value_from) {
            (Some(value), _) => Some(expand(value, &variables)),
            (None, Some(source)) => from_source(pod, source, objects).await?,
            (None, None) => Some(String::new()),
        };
        if let Some(value) = value {
            variables.insert(variable.name.clone(), value);
        }
    }
    Ok(variables)
}

async fn from_source(pod: &Pod, source: &EnvVarSource, objects: &Objects) -> Result<Option<String>, NotYet> {
    if let Some(field) = &source.field_ref {
        return Ok(Some(field_of(pod, field)));
    }
    let (keys, key, optional, place) = if let Some(map) = &source.config_map_key_ref {
        let optional = map.optional.unwrap_or_default();
        let keys = objects.config_map(&map.name, optional.into()).await?;
        (keys, &map.key, optional, objects.place("ConfigMap", &map.name))
    } else if let Some(secret) = &source.secret_key_ref {
        let optional = secret.optional.unwrap_or_default();
        let keys = objects.secret(&secret.name, optional.into()).await?;
        (keys, &secret.key, optional, objects.place("Secret", &secret.name))
    } else {
        return Err(NotYet::new("the test kubelet knows no such source of a variable"));
    };
    match keys.get(key) {
        Some(value) => Ok(Some(String::from_utf8_lossy(value).into_owned())),
        None if optional => Ok(None),
        None => Err(NotYet::new(&format!("couldn't find key {key} in {place}"))),
    }
}

/// A field of the pod, as the downward API gives it.
pub(super) fn field_of(pod: &Pod, field: &ObjectFieldSelector) -> String {
    let spec = pod.spec.as_ref();
    let found = match field.field_path.as_str() {
        "metadata.name" => pod.metadata.name.clone(),
        "metadata.namespace" => pod.metadata.namespace.clone(),
        "metadata.uid" => pod.metadata.uid.clone(),
        "spec.nodeName" => spec.and_then(|spec| spec.node_name.clone()),
        "spec.serviceAccountName" => spec.and_then(|spec| spec.service_account_name.clone()),
        "status.hostIP" | "status.podIP" | "status.hostIPs" | "status.podIPs" => Some("127.0.0.1".to_owned()),
        path => keyed(path, "metadata.labels", pod.metadata.labels.as_ref())
            .or_else(|| keyed(path, "metadata.annotations", pod.metadata.annotations.as_ref())),
    };
    found.unwrap_or_default()
}

/// One entry of a map, or all as lines.
fn keyed(path: &str, map: &str, entries: Option<&BTreeMap<String, String>>) -> Option<String> {
    let rest = path.strip_prefix(map)?;
    if rest.is_empty() {
        let lines: Vec<String> = entries
            .into_iter()
            .flatten()
            .map(|(key, value)| format!("{key}={value:?}"))
            .collect();
        return Some(lines.join("\n"));
    }
    let key = rest.strip_prefix("['")?.strip_suffix("']")?;
    entries?.get(key).cloned()
}

/// Replaces `$(NAME)` by the variable, where there is one; `$$` is a dollar sign.
pub(super) fn expand(text: &str, variables: &BTreeMap<String, String>) -> String {
    let mut expanded = String::new();
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        let (before, from) = rest.split_at(at);
        expanded.push_str(before);
        let reference = from
            .strip_prefix("$(")
            .and_then(|inner| inner.split_once(')'))
            .and_then(|(name, after)| Some((variables.get(name)?, after)));
        if let Some((value, after)) = reference {
            expanded.push_str(value);
            rest = after;
        } else {
            let escaped = from.strip_prefix("$$");
            expanded.push('$');
            rest = escaped.or_else(|| from.strip_prefix('$')).unwrap_or_default();
        }
    }
    expanded.push_str(rest);
    expanded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_are_expanded_as_a_kubelet_does() {
        let variables = BTreeMap::from([("A".to_owned(), "x".to_owned())]);
        for (text, expected) in [
            ("$(A)/b", "x/b"),
            ("$(B)/b", "$(B)/b"),
            ("$$(A)", "$(A)"),
            ("$A $", "$A $"),
            ("$(A", "$(A"),
            ("a$(A)$(A)", "axx"),
        ] {
            assert_eq!(expand(text, &variables), expected, "{text}");
        }
    }

    #[test]
    fn fields_of_the_pod_are_found() {
        let pod: Pod = serde_json::from_value(serde_json::json!({
            "metadata": { "name": "p", "labels": { "a/b": "c" } },
            "spec": { "nodeName": "n", "containers": [] },
        }))
        .unwrap();
        let value = |path: &str| {
            field_of(
                &pod,
                &ObjectFieldSelector {
                    field_path: path.to_owned(),
                    ..ObjectFieldSelector::default()
                },
            )
        };
        assert_eq!(value("metadata.name"), "p");
        assert_eq!(value("metadata.labels['a/b']"), "c");
        assert_eq!(value("metadata.labels"), "a/b=\"c\"");
        assert_eq!(value("spec.nodeName"), "n");
        assert_eq!(value("metadata.annotations['none']"), "");
    }
}
