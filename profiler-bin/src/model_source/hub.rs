//! The Hugging Face hub, through its own client and its own environment variables.

use std::path::PathBuf;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use hf_hub::api::sync::{ApiBuilder, ApiError};
use hf_hub::{Cache, Repo};

use super::error::ModelSourceError;
use super::{CONFIG_FILE, QUANT_CONFIG_FILE, TOKENIZER_FILE};

/// How long the hub may take over two small files.
const PATIENCE: Duration = Duration::from_secs(30);
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
        let cache = Cache::new(self.cache.clone().unwrap_or_else(usual_cache));
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
        // The hub's client has no time limit of its own; a thread that never hears back ends with the process.
        let (sender, receiver) = mpsc::channel();
        let (settings, name) = (self.clone(), model.to_owned());
        thread::spawn(move || sender.send(settings.download(&name, cache)));
        receiver.recv_timeout(PATIENCE).unwrap_or_else(|_| {
            Err(self.unreachable(model, format!("no answer within {} s", PATIENCE.as_secs())))
        })
    }

    /// The tokenizer of a checkpoint, in the cache.
    ///
    /// # Errors
    /// As [`Self::fetch`].
    pub(super) fn tokenizer(&self, model: &str) -> Result<PathBuf, ModelSourceError> {
        let cache = self.cache.clone().map_or_else(Cache::default, Cache::new);
        if let Some(path) = cache.model(model.to_owned()).get(TOKENIZER_FILE) {
            return Ok(path);
        }
        if self.offline {
            return Err(ModelSourceError::Offline {
                model: model.to_owned(),
            });
        }
        let token = self.token.clone().or_else(|| cache.token());
        let fetched = ApiBuilder::from_cache(cache)
            .with_endpoint(self.endpoint.clone())
            .with_progress(false)
            .with_token(token)
            .build()
            .and_then(|api| api.repo(Repo::model(model.to_owned())).get(TOKENIZER_FILE));
        fetched.map_err(|error| self.told(model, error.into()))
    }

    /// Downloads into the cache, or, where that cannot be written, into a directory that is removed again.
    fn download(&self, model: &str, cache: Cache) -> Result<ConfigTexts, ModelSourceError> {
        let token = self.token.clone().or_else(|| cache.token());
        match self.download_into(model, cache, token.clone()) {
            Err(Fetch::Cache(_)) => {
                let passing = tempfile::tempdir().map_err(|error| {
                    self.unreachable(model, format!("no directory can be written: {error}"))
                })?;
                self.download_into(model, Cache::new(passing.path().to_owned()), token)
                    .map_err(|error| self.told(model, error))
            }
            other => other.map_err(|error| self.told(model, error)),
        }
    }

    fn download_into(&self, model: &str, cache: Cache, token: Option<String>) -> Result<ConfigTexts, Fetch> {
        let api = ApiBuilder::from_cache(cache)
            .with_endpoint(self.endpoint.clone())
            .with_progress(false)
            .with_token(token)
            .build()?;
        let repo = api.repo(Repo::model(model.to_owned()));
        let config = read(repo.get(CONFIG_FILE)?)?;
        let quant_config = match repo.get(QUANT_CONFIG_FILE) {
            Ok(path) => Some(read(path)?),
            // Most checkpoints have no separate quantization file: that it is missing is an answer.
            Err(error) if status(&error) == Some(404) => None,
            Err(error) => return Err(error.into()),
        };
        Ok(ConfigTexts { config, quant_config })
    }

    fn told(&self, model: &str, error: Fetch) -> ModelSourceError {
        let (owner, endpoint) = (model.to_owned(), self.endpoint.clone());
        match error {
            Fetch::Source(error) => error,
            Fetch::Cache(error) => self.unreachable(model, error.to_string()),
            Fetch::Hub(error) => match status(&error) {
                Some(401 | 403) => ModelSourceError::Forbidden {
                    model: owner,
                    endpoint,
                },
                Some(404) => ModelSourceError::NotFound {
                    model: owner,
                    endpoint,
                },
                Some(_) | None => self.unreachable(model, error.to_string()),
            },
        }
    }

    fn unreachable(&self, model: &str, problem: String) -> ModelSourceError {
        ModelSourceError::Unreachable {
            model: model.to_owned(),
            endpoint: self.endpoint.clone(),
            problem,
        }
    }
}

/// Where the hub's own client keeps downloads; a place that passes where the user has no home, as in a container with
/// nothing but this program.
fn usual_cache() -> PathBuf {
    std::env::home_dir()
        .filter(|home| home.is_absolute())
        .map_or_else(std::env::temp_dir, |home| home.join(".cache"))
        .join("huggingface/hub")
}

/// Why a download failed.
enum Fetch {
    /// The cache could not be written.
    Cache(std::io::Error),
    /// The hub refused or did not answer.
    Hub(ApiError),
    /// What was downloaded could not be read.
    Source(ModelSourceError),
}

impl From<ApiError> for Fetch {
    fn from(error: ApiError) -> Self {
        if let ApiError::IoError(error) = error {
            Self::Cache(error)
        } else {
            Self::Hub(error)
        }
    }
}

impl From<ModelSourceError> for Fetch {
    fn from(error: ModelSourceError) -> Self {
        Self::Source(error)
    }
}

/// The HTTP status that the hub refused with, if it answered at all.
fn status(error: &ApiError) -> Option<u16> {
    if let ApiError::TooManyRetries(inner) = error {
        return status(inner);
    }
    let ApiError::RequestError(request) = error else {
        return None;
    };
    let ureq::Error::StatusCode(code) = request.as_ref() else {
        return None;
    };
    Some(*code)
}

fn read(path: PathBuf) -> Result<String, ModelSourceError> {
    std::fs::read_to_string(&path).map_err(|source| ModelSourceError::Unreadable { path, source })
}
