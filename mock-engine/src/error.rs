//! Why a simulated engine cannot serve.

/// Why a simulated engine cannot serve.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MockError {
    /// A setting that makes no engine.
    #[error("{field}: {problem}")]
    Setting {
        /// The setting.
        field: &'static str,
        /// What is wrong and what to do.
        problem: String,
    },
    /// A fault that is none.
    #[error("fault `{fault}`: {problem}")]
    Fault {
        /// As it was written.
        fault: String,
        /// What is wrong and what to do.
        problem: String,
    },
    /// The system refused.
    #[error("{what}: {source}")]
    System {
        /// What was tried.
        what: &'static str,
        /// What the system says.
        source: std::io::Error,
    },
}
