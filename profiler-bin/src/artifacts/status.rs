//! `profiler_status.yaml`: how a Job's other containers follow a run. Keys and values are upstream's contract.

use dgdr_types::contract::file;
use dgdr_types::spec::ProfilingPhase;
use serde::Serialize;

use super::directory::{OutputDirectory, WriteError};

/// The file's name.
pub const STATUS_FILE: &str = file::STATUS;

/// Upstream's message of a phase. A simulation sweeps all roles at once, so both sweeps read alike.
pub const fn message(phase: ProfilingPhase) -> &'static str {
    match phase {
        ProfilingPhase::Initializing => "Profiler job started",
        ProfilingPhase::SweepingPrefill | ProfilingPhase::SweepingDecode => {
            "Sweeping parallelization strategies"
        }
        ProfilingPhase::SelectingConfig => "Filtering results and selecting cost-efficient configuration",
        ProfilingPhase::BuildingCurves => "Building interpolation curves for planner integration",
        ProfilingPhase::GeneratingDgd => "Packaging data and generating final DGD YAML",
        ProfilingPhase::Done => "Profiler completed successfully",
    }
}

/// What a status file says.
#[derive(Debug, Serialize)]
struct Content<'a> {
    status: &'static str,
    timestamp: String,
    message: &'a str,
    error: &'a str,
    outputs: Outputs<'a>,
    phase: ProfilingPhase,
}

#[derive(Debug, Serialize)]
struct Outputs<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    final_config: Option<&'a str>,
}

/// The status file of one run, rewritten at every step; of a run without files, only its text.
#[derive(Debug)]
pub struct StatusFile<'a> {
    directory: Option<&'a OutputDirectory>,
    step: ProfilingPhase,
    text: String,
}

impl<'a> StatusFile<'a> {
    /// The status of a run into this directory; nothing is written yet.
    pub const fn new(directory: &'a OutputDirectory) -> Self {
        Self {
            directory: Some(directory),
            step: ProfilingPhase::Initializing,
            text: String::new(),
        }
    }

    /// The status of a run without files.
    pub const fn unwritten() -> Self {
        Self {
            directory: None,
            step: ProfilingPhase::Initializing,
            text: String::new(),
        }
    }

    /// The text of the file as it is now; empty before the first step.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// A step begins.
    ///
    /// # Errors
    /// [`WriteError`] when the file cannot be written.
    pub fn enter(&mut self, step: ProfilingPhase) -> Result<(), WriteError> {
        self.step = step;
        let (status, final_config) = match step {
            ProfilingPhase::Done => ("success", Some(super::DEPLOYMENT_FILE)),
            ProfilingPhase::Initializing
            | ProfilingPhase::SweepingPrefill
            | ProfilingPhase::SweepingDecode
            | ProfilingPhase::SelectingConfig
            | ProfilingPhase::BuildingCurves
            | ProfilingPhase::GeneratingDgd => ("running", None),
        };
        self.write(&Content {
            status,
            timestamp: now(),
            message: message(step),
            error: "",
            outputs: Outputs { final_config },
            phase: step,
        })
    }

    /// The run failed in its current step.
    ///
    /// # Errors
    /// [`WriteError`] when the file cannot be written.
    pub fn fail(&mut self, error: &str) -> Result<(), WriteError> {
        let message = match self.step {
            ProfilingPhase::Initializing => "Config validation failed",
            ProfilingPhase::SweepingPrefill
            | ProfilingPhase::SweepingDecode
            | ProfilingPhase::SelectingConfig
            | ProfilingPhase::BuildingCurves
            | ProfilingPhase::GeneratingDgd
            | ProfilingPhase::Done => "Profiler failed",
        };
        self.write(&Content {
            status: "failed",
            timestamp: now(),
            message,
            error,
            outputs: Outputs { final_config: None },
            phase: self.step,
        })
    }

    fn write(&mut self, content: &Content<'_>) -> Result<(), WriteError> {
        self.text = serde_saphyr::to_string(content).map_err(|error| WriteError {
            path: STATUS_FILE.into(),
            source: std::io::Error::other(error.to_string()),
        })?;
        if let Some(directory) = self.directory {
            directory.write(STATUS_FILE, self.text.as_bytes())?;
        }
        Ok(())
    }
}

/// UTC to the second.
fn now() -> String {
    jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

#[cfg(test)]
mod tests {
    use super::{OutputDirectory, ProfilingPhase, STATUS_FILE, StatusFile};

    fn read(directory: &OutputDirectory) -> serde_json::Value {
        let text = std::fs::read_to_string(directory.path().join(STATUS_FILE)).unwrap();
        serde_saphyr::from_str(&text).unwrap()
    }

    #[test]
    fn a_run_is_told_in_upstreams_words() {
        let scratch = tempfile::tempdir().unwrap();
        let directory = OutputDirectory::create(scratch.path()).unwrap();
        let mut status = StatusFile::new(&directory);
        status.enter(ProfilingPhase::BuildingCurves).unwrap();
        let running = read(&directory);
        assert_eq!(running["status"], "running");
        assert_eq!(running["phase"], "BuildingCurves");
        assert_eq!(
            running["message"],
            "Building interpolation curves for planner integration"
        );
        status.enter(ProfilingPhase::Done).unwrap();
        let done = read(&directory);
        assert_eq!(done["status"], "success");
        assert_eq!(done["outputs"]["final_config"], "final_config.yaml");
    }

    #[test]
    fn a_run_without_files_has_the_same_text() {
        let scratch = tempfile::tempdir().unwrap();
        let directory = OutputDirectory::create(scratch.path()).unwrap();
        let (mut written, mut unwritten) = (StatusFile::new(&directory), StatusFile::unwritten());
        assert_eq!(unwritten.text(), "");
        for status in [&mut written, &mut unwritten] {
            status.enter(ProfilingPhase::SelectingConfig).unwrap();
            status.fail("nothing fits").unwrap();
        }
        let untimed = |text: &str| -> Vec<String> {
            let lines = text.lines().filter(|line| !line.starts_with("timestamp"));
            lines.map(str::to_owned).collect()
        };
        assert_eq!(untimed(written.text()), untimed(unwritten.text()));
        assert_eq!(
            std::fs::read_to_string(scratch.path().join(STATUS_FILE)).unwrap(),
            written.text()
        );
    }

    #[test]
    fn a_failure_keeps_the_step_and_any_text() {
        let scratch = tempfile::tempdir().unwrap();
        let directory = OutputDirectory::create(scratch.path()).unwrap();
        let mut status = StatusFile::new(&directory);
        status.enter(ProfilingPhase::SweepingPrefill).unwrap();
        let trap = "it's \"broken\": $HOME\n  - second: line\\";
        status.fail(trap).unwrap();
        let failed = read(&directory);
        assert_eq!(failed["status"], "failed");
        assert_eq!(failed["phase"], "SweepingPrefill");
        assert_eq!(failed["error"], trap);
    }
}
