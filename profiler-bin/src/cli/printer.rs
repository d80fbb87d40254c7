//! The only door to stdout and stderr: data goes to the first, everything else to the second.

use std::fmt::Display;
use std::io::{self, IsTerminal, Write};

/// How much is said on stderr.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verbosity {
    /// Errors only.
    Quiet,
    /// Results, warnings and notes.
    Normal,
    /// Also every step with its duration.
    Verbose,
}

/// Writes for one command.
#[derive(Debug, Clone, Copy)]
pub struct Printer {
    verbosity: Verbosity,
    colour: bool,
}

impl Printer {
    /// A printer of this verbosity; colour only on a terminal and never with `NO_COLOR`.
    pub fn new(verbosity: Verbosity) -> Self {
        let colour = io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty());
        Self { verbosity, colour }
    }

    /// Whether progress may be drawn: a terminal, not quiet, and `NO_PROGRESS` unset.
    pub fn draws_progress(self) -> bool {
        self.verbosity > Verbosity::Quiet
            && io::stderr().is_terminal()
            && std::env::var_os("NO_PROGRESS").is_none_or(|v| v.is_empty())
    }

    /// Data that the command was asked for.
    ///
    /// # Errors
    /// When stdout cannot be written, other than by a reader that closed its end.
    pub fn data(self, text: impl Display) -> io::Result<()> {
        let mut out = io::stdout().lock();
        match writeln!(out, "{text}").and_then(|()| out.flush()) {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            other => other,
        }
    }

    /// What the user should know: shown unless quiet.
    pub fn note(self, text: impl Display) {
        self.stderr(Verbosity::Normal, text);
    }

    /// What the user should not overlook: shown unless quiet.
    pub fn warning(self, text: impl Display) {
        let label = self.paint("warning", "33;1");
        self.stderr(Verbosity::Normal, format_args!("{label}: {text}"));
    }

    /// What went on inside: shown when verbose.
    pub fn detail(self, text: impl Display) {
        self.stderr(Verbosity::Verbose, text);
    }

    /// Why the command failed, always shown, with what to do about it.
    pub fn error(self, text: impl Display, hints: &[String]) {
        let label = self.paint("error", "31;1");
        self.stderr(Verbosity::Quiet, format_args!("{label}: {text}"));
        for hint in hints {
            let label = self.paint("hint", "36;1");
            self.stderr(Verbosity::Quiet, format_args!("  {label}: {hint}"));
        }
    }

    fn paint(self, text: &str, code: &str) -> String {
        if self.colour {
            format!("\u{1b}[{code}m{text}\u{1b}[0m")
        } else {
            text.to_owned()
        }
    }

    fn stderr(self, level: Verbosity, text: impl Display) {
        if self.verbosity >= level {
            // Nowhere is left to report a closed stderr to.
            let _closed = writeln!(io::stderr().lock(), "{text}");
        }
    }
}
