//! `profile_sla.log`: what happened, line by line, with the time of each.

use std::fmt::{Display, Write};

use super::directory::{OutputDirectory, WriteError};
use crate::cli::printer::Printer;

/// Collects the lines of one run; verbose runs show them as they come.
#[derive(Debug)]
pub struct RunLog {
    printer: Printer,
    lines: String,
}

impl RunLog {
    /// An empty log.
    pub const fn new(printer: Printer) -> Self {
        Self {
            printer,
            lines: String::new(),
        }
    }

    /// The printer of the run.
    pub const fn printer(&self) -> Printer {
        self.printer
    }

    /// Something that was done.
    pub fn info(&mut self, text: impl Display) {
        self.keep("INFO", &text);
        self.printer.detail(text);
    }

    /// Something that the user should not overlook.
    pub fn warn(&mut self, text: impl Display) {
        self.keep("WARNING", &text);
        self.printer.warning(text);
    }

    /// Why the run failed; shown by the caller.
    pub fn error(&mut self, text: impl Display) {
        self.keep("ERROR", &text);
    }

    /// Writes what was collected so far.
    ///
    /// # Errors
    /// [`WriteError`] when the file cannot be written.
    pub fn write(&self, directory: &OutputDirectory) -> Result<(), WriteError> {
        directory
            .write(super::LOG_FILE, self.lines.as_bytes())
            .map(|_| ())
    }

    fn keep(&mut self, level: &str, text: &impl Display) {
        let time = jiff::Timestamp::now().strftime("%Y-%m-%d %H:%M:%S%.3f");
        // Writing to a String cannot fail.
        let _infallible = writeln!(self.lines, "{time} {level} {text}");
    }
}
