//! Why a model's description could not be had.

use std::path::PathBuf;

use dgdr_perf_model::{PerfModelError, registry};

/// Why a model's description could not be had, and what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ModelSourceError {
    /// A file could not be read.
    #[error("cannot read the model description {}: {source}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A description that is not one of a model we understand.
    #[error(transparent)]
    Description(#[from] PerfModelError),
    /// The name cannot be a hub name.
    #[error(
        "model `{model}` is neither a directory with a config.json nor a hub name of the form owner/name{}",
        suggest(model)
    )]
    NotAName {
        /// The name.
        model: String,
    },
    /// The hub must not be asked, and its cache does not know the model.
    #[error(
        "model `{model}` is not known by name, and HF_HUB_OFFLINE forbids asking the hub{}; give its config.json with \
         --model-config",
        suggest(model)
    )]
    Offline {
        /// The name.
        model: String,
    },
    /// The hub has no such model.
    #[error(
        "model `{model}` does not exist at {endpoint}{}; check the name, or give its config.json with --model-config",
        suggest(model)
    )]
    NotFound {
        /// The name.
        model: String,
        /// The hub.
        endpoint: String,
    },
    /// The hub wants to know who asks.
    #[error(
        "model `{model}` is gated or private at {endpoint}: accept its licence there and set HF_TOKEN to a token that may \
         read it, or give its config.json with --model-config"
    )]
    Forbidden {
        /// The name.
        model: String,
        /// The hub.
        endpoint: String,
    },
    /// The hub could not be reached, or answered nonsense.
    #[error(
        "model `{model}` is not known by name, and {endpoint} could not be asked: {problem}{}; check the network or \
         HF_ENDPOINT, or give its config.json with --model-config",
        suggest(model)
    )]
    Unreachable {
        /// The name.
        model: String,
        /// The hub.
        endpoint: String,
        /// Why.
        problem: String,
    },
}

/// Known names like this one, as a half-sentence.
fn suggest(model: &str) -> String {
    let known = registry::nearest(model);
    if known.is_empty() {
        String::new()
    } else {
        format!(" (known by name: {})", known.join(", "))
    }
}
