//! Defaults and rules: from what was written to a [`ResolvedRequest`], or to all findings at once.

use std::num::NonZeroU32;

use dgdr_units::{Milliseconds, RequestsPerSecond, Tokens, floor_count};

use crate::contract::{defaults, rules};
use crate::error::DgdrError;
use crate::finding::Findings;
use crate::image::{ImageReference, RuntimeVersion};
use crate::parse::RawRequest;
use crate::resolved::{Assumed, Load, ResolvedRequest, Sla, Workload};
use crate::spec::{BackendChoice, DgdrSpec, SearchStrategy, SlaSpec, WorkloadSpec};
use envelope::Envelope;
use reader::{Fault, Report};

mod envelope;
mod features;
mod hardware;
mod model_cache;
mod overrides;
mod reader;

pub(crate) use reader::whole;

/// Checks a request and fills its defaults.
///
/// Findings come sorted by their place in the text; warnings and assumed defaults travel in the result.
///
/// # Errors
/// [`DgdrError::Invalid`] with every fault of the request.
pub fn resolve(request: &RawRequest) -> Result<ResolvedRequest, DgdrError> {
    let mut report = Report {
        positions: &request.positions,
        findings: Findings::default(),
    };
    let envelope = envelope::read(&request.document, &mut report);
    let mut resolver = Resolver {
        report,
        warnings: Vec::new(),
        assumed: Vec::new(),
    };
    let resolved = resolver.request(envelope);
    let mut findings = resolver.report.findings;
    match resolved {
        Some(resolved) if findings.is_empty() => Ok(ResolvedRequest {
            warnings: resolver.warnings,
            assumed: resolver.assumed,
            ..resolved
        }),
        Some(_) | None => {
            findings.sort();
            Err(DgdrError::Invalid(findings))
        }
    }
}

/// Collects what is wrong, doubtful and assumed. A method that returns none has reported why.
struct Resolver<'r> {
    report: Report<'r>,
    warnings: Vec<String>,
    assumed: Vec<Assumed>,
}

impl Resolver<'_> {
    fn request(&mut self, envelope: Envelope) -> Option<ResolvedRequest> {
        let Envelope {
            name,
            namespace,
            spec,
        } = envelope;
        let DgdrSpec {
            model,
            backend,
            image,
            runtime_version_override,
            aic_backend_version,
            model_cache,
            hardware,
            workload,
            sla,
            overrides,
            features,
            search_strategy,
            auto_apply,
        } = spec;
        let model = self.model(model);
        let backend = self.or_default("spec.backend", backend, BackendChoice::Auto);
        let search_strategy = self.or_default("spec.searchStrategy", search_strategy, SearchStrategy::Rapid);
        self.check_strategy(search_strategy, backend);
        let image = self.image(image);
        let runtime_version_override = self.runtime_version(runtime_version_override);
        self.check_version_is_known(image.as_ref(), runtime_version_override);
        let model_cache = model_cache.and_then(|cache| self.model_cache(cache));
        self.check_location(model.as_deref(), model_cache.as_ref());
        let hardware = self.hardware(hardware.unwrap_or_default());
        let (workload, load) = self.workload(workload.unwrap_or_default());
        let optimization_type = sla.as_ref().and_then(|sla| sla.optimization_type);
        let sla = self.sla(sla.unwrap_or_default());
        let auto_apply = self.or_default("spec.autoApply", auto_apply, true);
        let features = self.features(features.unwrap_or_default());
        let overrides = self.overrides(overrides.unwrap_or_default());
        // Everything has been looked at by here: leaving early must not hide a fault.
        Some(ResolvedRequest {
            name,
            namespace,
            model: model?,
            backend,
            aic_backend_version,
            image,
            runtime_version_override,
            model_cache,
            hardware,
            workload: workload?,
            load,
            sla: sla?,
            optimization_type,
            search_strategy,
            auto_apply,
            features,
            overrides,
            warnings: Vec::new(),
            assumed: Vec::new(),
        })
    }

    fn fault(&mut self, path: &str, value: Option<String>, fault: Fault) {
        self.report.fault(path, value, fault);
    }

    /// The given value, or the default, noted as assumed.
    fn or_default<T: ToString>(&mut self, path: &'static str, given: Option<T>, default: T) -> T {
        given.unwrap_or_else(|| {
            self.assumed.push(Assumed {
                path,
                value: default.to_string(),
            });
            default
        })
    }

    /// Whether a field was given, be it with a faulty value.
    fn has_fault_at(&self, path: &str) -> bool {
        self.report
            .findings
            .as_slice()
            .iter()
            .any(|finding| finding.path == path)
    }

    fn model(&mut self, given: Option<String>) -> Option<String> {
        let Some(model) = given else {
            if !self.has_fault_at("spec.model") && !self.has_fault_at("spec") {
                let fix = "name the model, for example \"Qwen/Qwen3-32B\"";
                self.fault("spec.model", None, Fault::new("is required", fix));
            }
            return None;
        };
        let is_readable = !model
            .chars()
            .any(|character| character.is_whitespace() || character.is_control());
        if !is_readable {
            let fix = "give a Hugging Face id such as \"Qwen/Qwen3-32B\", or an absolute path";
            self.fault(
                "spec.model",
                Some(format!("{model:?}")),
                Fault::new("must not contain spaces", fix),
            );
            return None;
        }
        Some(model)
    }

    fn check_strategy(&mut self, strategy: SearchStrategy, backend: BackendChoice) {
        if strategy == SearchStrategy::Thorough && backend == BackendChoice::Auto {
            let fault = Fault::new(
                rules::MEASURED_BACKEND.message,
                "set spec.backend to a specific backend (sglang, trtllm, or vllm)",
            );
            self.fault("spec.searchStrategy", Some("\"thorough\"".to_owned()), fault);
        }
    }

    fn image(&mut self, given: Option<String>) -> Option<ImageReference> {
        let text = given?;
        match text.parse() {
            Ok(image) => Some(image),
            Err(error) => {
                let fix = "write registry/repository:tag, for example \
                           nvcr.io/nvidia/ai-dynamo/dynamo-planner:1.2.3";
                self.fault(
                    "spec.image",
                    Some(format!("{text:?}")),
                    Fault::new(format!("is no image reference: {error}"), fix),
                );
                None
            }
        }
    }

    fn runtime_version(&mut self, given: Option<String>) -> Option<RuntimeVersion> {
        let text = given?;
        let parsed = text.parse().ok();
        if parsed.is_none() {
            let fault = Fault::new(
                "must be a version x.y.z, each of at most four digits without leading zeros",
                "write for example \"1.2.3\"",
            );
            self.fault("spec.runtimeVersionOverride", Some(format!("{text:?}")), fault);
        }
        parsed
    }

    /// Upstream's admission webhook refuses such a request; a file can still be profiled.
    fn check_version_is_known(&mut self, image: Option<&ImageReference>, given: Option<RuntimeVersion>) {
        let Some(image) = image.filter(|image| image.tagged_version().is_none()) else {
            return;
        };
        if given.is_none() && !self.has_fault_at("spec.runtimeVersionOverride") {
            self.warnings.push(format!(
                "spec.runtimeVersionOverride: the tag of {image} states no version; a cluster asks for the override then"
            ));
        }
    }

    fn workload(&mut self, given: WorkloadSpec) -> (Option<Workload>, Load) {
        let WorkloadSpec {
            isl,
            osl,
            concurrency,
            request_rate,
        } = given;
        let isl = self.tokens("spec.workload.isl", isl, defaults::ISL);
        let osl = self.tokens("spec.workload.osl", osl, defaults::OSL);
        if concurrency.is_some() && request_rate.is_some() {
            let fault = Fault::new(
                rules::ONE_LOAD.message,
                "remove spec.workload.concurrency or spec.workload.requestRate",
            );
            self.fault("spec.workload", None, fault);
        }
        let load = match (concurrency, request_rate) {
            (Some(requests), _) => self.concurrency(requests).map(Load::Concurrency),
            (None, Some(rate)) => self
                .positive("spec.workload.requestRate", rate)
                .and_then(|rate| RequestsPerSecond::new(rate).ok())
                .map(Load::RequestRate),
            (None, None) => None,
        };
        let workload = isl.zip(osl).map(|(isl, osl)| Workload { isl, osl });
        (workload, load.unwrap_or(Load::None))
    }

    fn tokens(&mut self, path: &'static str, given: Option<i32>, default: u32) -> Option<Tokens> {
        let Some(given) = given else {
            return Some(Tokens::new(u64::from(self.or_default(path, None, default))));
        };
        self.count(path, given)
            .map(|tokens| Tokens::new(u64::from(tokens.get())))
    }

    fn count(&mut self, path: &str, given: i32) -> Option<NonZeroU32> {
        let count = u32::try_from(given).ok().and_then(NonZeroU32::new);
        if count.is_none() {
            let fault = Fault::new(
                "must be at least 1",
                "write a positive whole number, or remove the field",
            );
            self.fault(path, Some(given.to_string()), fault);
        }
        count
    }

    /// Requests in flight; upstream's schema takes fractions, which round up so that the load is carried.
    fn concurrency(&mut self, given: f64) -> Option<NonZeroU32> {
        let path = "spec.workload.concurrency";
        let given = self.positive(path, given)?;
        let Some(requests) = u32::try_from(floor_count(given.ceil()))
            .ok()
            .and_then(NonZeroU32::new)
        else {
            let fault = Fault::new(format!("must be at most {}", u32::MAX), "write a smaller number");
            self.fault(path, Some(given.to_string()), fault);
            return None;
        };
        if given.fract() > 0.0 {
            self.warnings
                .push(format!("{path}: {given} is rounded up to {requests}"));
        }
        Some(requests)
    }

    fn positive(&mut self, path: &str, given: f64) -> Option<f64> {
        if given.is_finite() && given > 0.0 {
            return Some(given);
        }
        self.fault(
            path,
            Some(given.to_string()),
            Fault::new("must be above 0", "write a positive number"),
        );
        None
    }

    fn sla(&mut self, given: SlaSpec) -> Option<Sla> {
        let SlaSpec {
            ttft,
            itl,
            e2e_latency,
            optimization_type: _,
        } = given;
        if e2e_latency.is_some() && (ttft.is_some() || itl.is_some()) {
            let fault = Fault::new(
                rules::ONE_TARGET.message,
                "remove spec.sla.e2eLatency, or both spec.sla.ttft and spec.sla.itl",
            );
            self.fault("spec.sla", None, fault);
        }
        if let Some(latency) = e2e_latency {
            return self
                .latency("spec.sla.e2eLatency", latency)
                .map(Sla::RequestLatency);
        }
        match (ttft, itl) {
            (Some(ttft), None) => self.warnings.push(format!(
                "spec.sla.itl: ttft and itl belong together; only ttft ({ttft} ms) is set, so itl takes its default of \
                 {} ms",
                defaults::ITL_MS
            )),
            (None, Some(itl)) => self.warnings.push(format!(
                "spec.sla.ttft: ttft and itl belong together; only itl ({itl} ms) is set, so ttft takes its default of \
                 {} ms",
                defaults::TTFT_MS
            )),
            (Some(_), Some(_)) | (None, None) => {}
        }
        let ttft = self.or_default("spec.sla.ttft", ttft, defaults::TTFT_MS);
        let itl = self.or_default("spec.sla.itl", itl, defaults::ITL_MS);
        let ttft = self.latency("spec.sla.ttft", ttft);
        let itl = self.latency("spec.sla.itl", itl);
        ttft.zip(itl).map(|(ttft, itl)| Sla::TokenLatency { ttft, itl })
    }

    fn latency(&mut self, path: &str, given: f64) -> Option<Milliseconds> {
        self.positive(path, given)
            .and_then(|latency| Milliseconds::new(latency).ok())
    }
}

#[cfg(test)]
mod tests;
