//! Where a model's description comes from: a file, a directory, the built-in registry, or the Hugging Face hub.
//!
//! Known names never touch the network.

mod error;
mod hub;

use std::fs;
use std::path::{Path, PathBuf};

use dgdr_perf_model::{ModelSpec, registry};
use serde::Serialize;
use serde_json::Value;

pub use error::ModelSourceError;
pub use hub::HubSettings;

/// The file that describes a checkpoint.
const CONFIG_FILE: &str = "config.json";
/// The file that holds a model's tokenizer.
const TOKENIZER_FILE: &str = "tokenizer.json";
/// The file that ModelOpt writes its quantization into.
const QUANT_CONFIG_FILE: &str = "hf_quant_config.json";

/// Which model is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelQuery<'a> {
    name: &'a str,
    config: Option<&'a Path>,
    local: Option<PathBuf>,
    hub: Option<HubSettings>,
}

impl<'a> ModelQuery<'a> {
    /// A model by its hub name, or by the path of a directory that holds it.
    pub const fn named(name: &'a str) -> Self {
        Self {
            name,
            config: None,
            local: None,
            hub: None,
        }
    }

    /// The same model, described by this file or directory.
    #[must_use]
    pub fn with_config(self, config: Option<&'a Path>) -> Self {
        Self { config, ..self }
    }

    /// The same model, looked for in this directory (a mounted model cache) before anywhere else but `--model-config`.
    #[must_use]
    pub fn with_local(self, local: Option<PathBuf>) -> Self {
        Self { local, ..self }
    }

    /// The same model, with these hub settings instead of the environment's.
    #[must_use]
    pub fn with_hub(self, hub: HubSettings) -> Self {
        Self {
            hub: Some(hub),
            ..self
        }
    }
}

/// A model's description and where it was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundModel {
    /// The description.
    pub spec: ModelSpec,
    /// Where it was found.
    pub origin: ModelOrigin,
    /// Whether its configuration names code that comes with the checkpoint. The registry does not say.
    pub ships_code: bool,
}

/// Where a model's description was found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ModelOrigin {
    /// A file.
    File(PathBuf),
    /// The built-in registry.
    Registry,
    /// The Hugging Face hub (or its cache on this machine).
    Hub {
        /// The endpoint.
        endpoint: String,
    },
}

/// Whether a model is described by what comes with this program, so that finding it asks nobody.
pub fn is_built_in(name: &str) -> bool {
    registry::find(name).is_some()
}

/// Whether a name can only be that of a model on the hub, and of no file: `owner/model`, of letters, digits, `-`, `_` and
/// inner dots.
pub fn is_hub_name(name: &str) -> bool {
    let is_part = |part: &str| {
        !part.is_empty()
            && !part.starts_with('.')
            && part
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
    };
    name.split_once('/')
        .is_some_and(|(owner, model)| is_part(owner) && is_part(model))
}

/// The tokenizer of a model by its hub name, from the cache or over the network.
///
/// # Errors
/// [`ModelSourceError`] with what to do.
pub fn tokenizer_file(model: &str) -> Result<PathBuf, ModelSourceError> {
    HubSettings::from_environment().tokenizer(model)
}

/// Finds a model: an explicit configuration, then a local directory, then the registry, then the hub.
///
/// # Errors
/// [`ModelSourceError`] with what to do.
pub fn find_model(query: &ModelQuery<'_>) -> Result<FoundModel, ModelSourceError> {
    if let Some(path) = query.config {
        let file = if path.is_dir() {
            path.join(CONFIG_FILE)
        } else {
            path.to_owned()
        };
        return from_file(query.name, &file);
    }
    if let Some(directory) = &query.local
        && let Some(found) = from_directory(query.name, directory)
    {
        return found;
    }
    if let Some(found) = from_directory(query.name, Path::new(query.name)) {
        return found;
    }
    if let Some(spec) = registry::find(query.name) {
        return Ok(FoundModel {
            spec: spec.clone(),
            origin: ModelOrigin::Registry,
            ships_code: false,
        });
    }
    let hub = query.hub.clone().unwrap_or_else(HubSettings::from_environment);
    let texts = hub.fetch(query.name)?;
    Ok(FoundModel {
        spec: ModelSpec::from_config_json(query.name, &texts.config, texts.quant_config.as_deref())?,
        origin: ModelOrigin::Hub {
            endpoint: hub.endpoint,
        },
        ships_code: ships_code(&texts.config),
    })
}

/// The model in a directory; none when the directory holds no configuration.
fn from_directory(name: &str, directory: &Path) -> Option<Result<FoundModel, ModelSourceError>> {
    let file = directory.join(CONFIG_FILE);
    file.is_file().then(|| from_file(name, &file))
}

fn from_file(name: &str, file: &Path) -> Result<FoundModel, ModelSourceError> {
    let read = |path: &Path| {
        fs::read_to_string(path).map_err(|source| ModelSourceError::Unreadable {
            path: path.to_owned(),
            source,
        })
    };
    let config = read(file)?;
    let quant_file = file.with_file_name(QUANT_CONFIG_FILE);
    let quant_config = if quant_file.is_file() {
        Some(read(&quant_file)?)
    } else {
        None
    };
    Ok(FoundModel {
        spec: ModelSpec::from_config_json(name, &config, quant_config.as_deref())?,
        origin: ModelOrigin::File(file.to_owned()),
        ships_code: ships_code(&config),
    })
}

/// `auto_map` names the classes that a checkpoint brings along; nested parts may have one of their own.
fn ships_code(config: &str) -> bool {
    fn names_code(value: &Value) -> bool {
        value.get("auto_map").is_some_and(|map| !map.is_null())
            || value
                .as_object()
                .is_some_and(|fields| fields.values().any(names_code))
    }
    serde_json::from_str(config).is_ok_and(|config: Value| names_code(&config))
}

#[cfg(test)]
mod tests;
