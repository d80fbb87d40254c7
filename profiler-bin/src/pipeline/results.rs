//! What a run found out, as files.

use std::collections::BTreeMap;

use dgdr_sweep_planner::Configuration;
use dgdr_types::ResolvedRequest;

use super::comparison::Comparison;
use super::curve_files::write_curves;
use super::curves::Curves;
use super::options::{Pictures, ProfileOptions};
use super::pictures::{PictureInput, draw};
use super::question::Question;
use super::runner_up::RunnerUp;
use super::sensitivity::Sensitivity;
use super::stage::Stage;
use crate::artifacts::{
    DECODE_JSON_FILE, DEPLOYMENT_FILE, PARETO_FILE, PREFILL_JSON_FILE, RECORD_FILE, Record, RecordInput,
    Timings, pareto_csv,
};
use crate::error::ProfilerError;
use crate::report::{REPORT_FILE, RunFiles, page};

/// Everything that a run found out.
pub(super) struct Results<'a> {
    /// The request.
    pub(super) request: &'a ResolvedRequest,
    /// How the run is made.
    pub(super) options: &'a ProfileOptions,
    /// The question.
    pub(super) question: &'a Question,
    /// All engines that were compared.
    pub(super) comparison: &'a Comparison,
    /// What was picked.
    pub(super) pick: &'a Configuration,
    /// What came second.
    pub(super) runner_up: Option<&'a RunnerUp>,
    /// What would be picked if the request asked for a little less or more.
    pub(super) sensitivity: &'a [Sensitivity],
    /// The picked engines in depth.
    pub(super) curves: &'a Curves,
    /// The same as JSON by file name.
    pub(super) curve_files: &'a BTreeMap<&'static str, String>,
    /// The deployment as YAML.
    pub(super) deployment: &'a str,
    /// What the user should know.
    pub(super) warnings: &'a [String],
}

impl Results<'_> {
    /// Curves, pictures and fronts.
    ///
    /// # Errors
    /// [`ProfilerError`] for what cannot be encoded or written.
    pub(super) fn write_data(&self, stage: &Stage<'_, '_>) -> Result<(), ProfilerError> {
        write_curves(stage, self.curves, self.curve_files)?;
        if self.options.pictures == Pictures::Draw {
            self.write_pictures(stage)?;
        }
        let fronts = pareto_csv(&self.comparison.studies).map_err(|error| ProfilerError::Encode {
            what: PARETO_FILE,
            problem: error.to_string(),
        })?;
        stage.write(PARETO_FILE, &fronts)
    }

    /// All pictures under all their names.
    fn write_pictures(&self, stage: &Stage<'_, '_>) -> Result<(), ProfilerError> {
        let pictures = draw(PictureInput {
            question: self.question,
            comparison: self.comparison,
            pick: self.pick,
            runner_up: self.runner_up,
            curves: self.curves,
            price: self.options.price,
        })?;
        for picture in pictures {
            for name in picture.names {
                stage.write(name, &picture.png)?;
            }
        }
        Ok(())
    }

    /// The record, the report, and last the deployment, so that whoever waits for it finds everything else.
    ///
    /// # Errors
    /// [`ProfilerError`] for what cannot be encoded or written.
    pub(super) fn write_record(&self, stage: &Stage<'_, '_>, timings: &Timings) -> Result<(), ProfilerError> {
        let record = Record::new(&RecordInput {
            request: self.request,
            question: self.question,
            studies: &self.comparison.studies,
            chosen: self.comparison.chosen,
            failed_points: &self.curves.failed,
            runner_up: self.runner_up,
            sensitivity: self.sensitivity,
            price: self.options.price,
            warnings: self.warnings,
            timings,
        })
        .to_json()?;
        stage.write(RECORD_FILE, &record)?;
        let file = |name: &str| self.curve_files.get(name).map_or(&[][..], String::as_bytes);
        let report = page(
            RunFiles {
                directory: stage.directory.path(),
                record: &record,
                prefill: file(PREFILL_JSON_FILE),
                decode: file(DECODE_JSON_FILE),
                deployment: self.deployment,
            },
            None,
        )?;
        stage.write(REPORT_FILE, report.as_bytes())?;
        stage.write(DEPLOYMENT_FILE, self.deployment.as_bytes())
    }
}
