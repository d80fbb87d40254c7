//! Why load cannot be sent at all. What happens to a single request is data, see [`crate::Failure`].

use std::path::PathBuf;

/// Why a run cannot start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LoadError {
    /// A URL that names no server.
    #[error("`{url}`: {problem}; write it like http://127.0.0.1:8000")]
    Url {
        /// As it was given.
        url: String,
        /// What is wrong.
        problem: String,
    },
    /// A value that the plan cannot hold.
    #[error("{field}: {problem}")]
    Plan {
        /// The field.
        field: &'static str,
        /// What is wrong and what to do.
        problem: String,
    },
    /// A line of a trace that is no request.
    #[error("trace line {line}: {problem}")]
    Trace {
        /// Counted from 1.
        line: usize,
        /// What is wrong.
        problem: String,
    },
    /// A tokenizer that cannot be used.
    #[error("tokenizer {}: {problem}", path.display())]
    Tokenizer {
        /// The file.
        path: PathBuf,
        /// What is wrong and what to do.
        problem: String,
    },
    /// Nobody answers.
    #[error("cannot connect to {address}: {problem}; does the engine run, and is the port right?")]
    Connect {
        /// Host and port.
        address: String,
        /// What the system says.
        problem: String,
    },
    /// No certificate authorities are known.
    #[error("https: {0}")]
    Tls(#[from] rustls::Error),
    /// The system refused.
    #[error("{what}: {source}")]
    System {
        /// What was tried.
        what: &'static str,
        /// What the system says.
        source: std::io::Error,
    },
}
