//! The Hugging Face hub, through its own client and its own environment variables.

use std::path::PathBuf;

use hf_hub::api::sync::{ApiBuilder, ApiError, ApiRepo};
use hf_hub::{Cache, Repo};

use super::error::ModelSourceError;
use super::{CONFIG_FILE, QUANT_CONFIG_FILE};

/// The hub's own address.
const DEFAULT_ENDPOINT: &str = "https://huggingface.co";

/// How the hub is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HubSettings {
    /// Address of the hub.
    pub endpoint: String,
    /// Who asks.
    pub token: Option<String>,
    /// Where downloads are kept; the hub client's own place by default.
    pub cache: Option<PathBuf>,
    /// Whether only the cache may be asked.
    pub offline: bool,
}

/// A checkpoint's description, as text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ConfigTexts {
    /// `config.json`.
    pub(super) config: String,
    /// `hf_quant_config.json`, where the checkpoint has one.
    pub(super) quant_config: Option<String>,
}

impl HubSettings {
    /// What `HF_ENDPOINT`, `HF_TOKEN`, `HF_HOME` and `HF_HUB_OFFLINE` say.
    pub fn from_environment() -> Self {
        let text = |name| {
            std::env::var(name)
                .ok()
                .filter(|value: &String| !value.is_empty())
        };
        Self {
            endpoint: text("HF_ENDPOINT").map_or_else(
                || DEFAULT_ENDPOINT.to_owned(),
                |url| url.trim_end_matches('/').to_owned(),
            ),
            token: text("HF_TOKEN").or_else(|| text("HUGGING_FACE_HUB_TOKEN")),
            cache: text("HF_HOME").map(|home| PathBuf::from(home).join("hub")),
            offline: text("HF_HUB_OFFLINE").is_some_and(|value| {
                matches!(value.to_ascii_lowercase().as_str(), "1" | "true" | "yes" | "on")
            }),
        }
    }

    /// The description of a checkpoint, from the cache or over the network.
    ///
    /// # Errors
    /// [`ModelSourceError`] that tells a wrong name, a missing licence and a missing network apart.
    pub(super) fn fetch(&self, model: &str) -> Result<ConfigTexts, ModelSourceError> {
        if model.split('/').count() != 2 || model.split('/').any(str::is_empty) {
            return Err(ModelSourceError::NotAName {
                model: model.to_owned(),
            });
        }
        let cache = self.cache.clone().map_or_else(Cache::default, Cache::new);
        let cached = cache.model(model.to_owned());
        if self.offline {
            let path = cached.get(CONFIG_FILE).ok_or_else(|| ModelSourceError::Offline {
                model: model.to_owned(),
            })?;
            let quant_config = cached.get(QUANT_CONFIG_FILE).map(read).transpose()?;
            return Ok(ConfigTexts {
                config: read(path)?,
                quant_config,
            });
        }
        let mut builder = ApiBuilder::from_cache(cache)
            .with_endpoint(self.endpoint.clone())
            .with_progress(false);
        if self.token.is_some() {
            builder = builder.with_token(self.token.clone());
        }
        let api = builder.build().map_err(|error| self.explain(model, &error))?;
        let repo = api.repo(Repo::model(model.to_owned()));
        let config = read(
            repo.get(CONFIG_FILE)
                .map_err(|error| self.explain(model, &error))?,
        )?;
        let quant_config = self.optional(&repo, model)?;
        Ok(ConfigTexts { config, quant_config })
    }

    /// Most checkpoints have no separate quantization file: that it is missing is an answer.
    fn optional(&self, repo: &ApiRepo, model: &str) -> Result<Option<String>, ModelSourceError> {
        match repo.get(QUANT_CONFIG_FILE) {
            Ok(path) => read(path).map(Some),
            Err(error) => match self.explain(model, &error) {
                ModelSourceError::NotFound { .. } => Ok(None),
                other => Err(other),
            },
        }
    }

    fn explain(&self, model: &str, error: &ApiError) -> ModelSourceError {
        let (model, endpoint) = (model.to_owned(), self.endpoint.clone());
        match status(error) {
            Some(401 | 403) => ModelSourceError::Forbidden { model, endpoint },
            Some(404) => ModelSourceError::NotFound { model, endpoint },
            Some(_) | None => ModelSourceError::Unreachable {
                model,
                endpoint,
                problem: error.to_string(),
            },
        }
    }
}

/// The HTTP status that the hub refused with, if it answered at all.
fn status(error: &ApiError) -> Option<u16> {
    match error {
        ApiError::RequestError(request) => match request.as_ref() {
            ureq::Error::StatusCode(code) => Some(*code),
            _ => None,
        },
        ApiError::TooManyRetries(inner) => status(inner),
        _ => None,
    }
}

fn read(path: PathBuf) -> Result<String, ModelSourceError> {
    std::fs::read_to_string(&path).map_err(|source| ModelSourceError::Unreadable { path, source })
}
