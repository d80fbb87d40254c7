//! What a run found out, as files.

use dgdr_types::ResolvedRequest;

use super::answer::Answer;
use super::curve_files::write_curves;
use super::options::{Pictures, ProfileOptions};
use super::pictures::{PictureInput, draw};
use super::runner_up::RunnerUp;
use super::sensitivity::Sensitivity;
use crate::artifacts::{
    DECODE_JSON_FILE, DEPLOYMENT_FILE, OutputDirectory, PARETO_FILE, PREFILL_JSON_FILE, RECORD_FILE, Record,
    RecordInput, Timings, pareto_csv,
};
use crate::error::ProfilerError;
use crate::report::{REPORT_FILE, RunFiles, page};

/// Everything that a run found out.
pub(super) struct Results<'a> {
    /// The request.
    pub(super) request: &'a ResolvedRequest,
    /// How the run is made.
    pub(super) options: &'a ProfileOptions,
    /// What the request comes to.
    pub(super) answer: &'a Answer,
    /// What came second.
    pub(super) runner_up: Option<&'a RunnerUp>,
    /// What would be picked if the request asked for a little less or more.
    pub(super) sensitivity: &'a [Sensitivity],
}

impl Results<'_> {
    /// Curves, pictures and fronts.
    ///
    /// # Errors
    /// [`ProfilerError`] for what cannot be encoded or written.
    pub(super) fn write_data(&self, directory: &OutputDirectory) -> Result<(), ProfilerError> {
        write_curves(directory, &self.answer.curves, &self.answer.curve_files)?;
        if self.options.pictures == Pictures::Draw {
            self.write_pictures(directory)?;
        }
        let fronts = pareto_csv(&self.answer.comparison.studies).map_err(|error| ProfilerError::Encode {
            what: PARETO_FILE,
            problem: error.to_string(),
        })?;
        directory.write(PARETO_FILE, &fronts)?;
        Ok(())
    }

    /// All pictures under all their names.
    fn write_pictures(&self, directory: &OutputDirectory) -> Result<(), ProfilerError> {
        let pictures = draw(PictureInput {
            question: &self.answer.question,
            comparison: &self.answer.comparison,
            pick: &self.answer.pick,
            runner_up: self.runner_up,
            curves: &self.answer.curves,
            price: self.options.price,
        })?;
        for picture in pictures {
            for name in picture.names {
                directory.write(name, &picture.png)?;
            }
        }
        Ok(())
    }

    /// The record, the report, and last the deployment, so that whoever waits for it finds everything else.
    ///
    /// # Errors
    /// [`ProfilerError`] for what cannot be encoded or written.
    pub(super) fn write_record(
        &self,
        directory: &OutputDirectory,
        timings: &Timings,
    ) -> Result<(), ProfilerError> {
        let record = Record::new(&RecordInput {
            request: self.request,
            question: &self.answer.question,
            studies: &self.answer.comparison.studies,
            chosen: self.answer.comparison.chosen,
            failed_points: &self.answer.curves.failed,
            runner_up: self.runner_up,
            sensitivity: self.sensitivity,
            price: self.options.price,
            warnings: &self.answer.warnings,
            timings,
        })
        .to_json()?;
        directory.write(RECORD_FILE, &record)?;
        let file = |name: &str| {
            self.answer
                .curve_files
                .get(name)
                .map_or(&[][..], String::as_bytes)
        };
        let report = page(
            RunFiles {
                directory: directory.path(),
                record: &record,
                prefill: file(PREFILL_JSON_FILE),
                decode: file(DECODE_JSON_FILE),
                deployment: &self.answer.deployment,
            },
            None,
        )?;
        directory.write(REPORT_FILE, report.as_bytes())?;
        directory.write(DEPLOYMENT_FILE, self.answer.deployment.as_bytes())?;
        Ok(())
    }
}
