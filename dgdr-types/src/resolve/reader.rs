//! From value tree to wire types, with a finding for every field that does not fit.

use std::collections::BTreeMap;

use dgdr_units::floor_count;
use serde_json::{Map, Value};

use crate::finding::{Finding, Findings, Position, nearest};
use crate::parse::kind_of;
use crate::spec::{
    BackendChoice, Choice, DgdrSpec, FeaturesSpec, HardwareSpec, ModelCacheSpec, Open, OptimizationType,
    OverridesSpec, SearchStrategy, SlaSpec, SwitchSpec, WorkloadSpec,
};
use crate::yaml::join;

/// Where findings go, and what is known about places.
pub(super) struct Report<'r> {
    pub(super) positions: &'r BTreeMap<String, Position>,
    pub(super) findings: Findings,
}

impl Report<'_> {
    /// Adds a fault of the field at `path`.
    pub(super) fn fault(&mut self, path: &str, value: Option<String>, fault: Fault) {
        self.findings.push(Finding {
            path: path.to_owned(),
            position: self.positions.get(path).copied(),
            value,
            rule: fault.rule,
            fix: fault.fix,
        });
    }
}

/// A broken rule and its remedy.
pub(super) struct Fault {
    pub(super) rule: String,
    pub(super) fix: String,
}

impl Fault {
    pub(super) fn new(rule: impl Into<String>, fix: impl Into<String>) -> Self {
        Self {
            rule: rule.into(),
            fix: fix.into(),
        }
    }
}

/// A type that a field can hold.
pub(super) trait Field: Sized {
    /// The value, or what is wrong with it; faults of its parts go into the report.
    fn read(value: &Value, path: &str, report: &mut Report<'_>) -> Result<Self, Fault>;
}

/// The field at `path`; unset fields and null are none, and so are fields that do not fit.
pub(super) fn read_field<T: Field>(value: Option<&Value>, path: &str, report: &mut Report<'_>) -> Option<T> {
    let value = value.filter(|value| !value.is_null())?;
    match T::read(value, path, report) {
        Ok(read) => Some(read),
        Err(fault) => {
            report.fault(path, Some(shown(value)), fault);
            None
        }
    }
}

/// A value as a finding shows it: scalars in full, the rest by kind.
pub(super) fn shown(value: &Value) -> String {
    match value {
        Value::String(text) => format!("{text:?}"),
        Value::Bool(_) | Value::Number(_) => value.to_string(),
        Value::Null | Value::Array(_) | Value::Object(_) => kind_of(value).to_owned(),
    }
}

/// Takes the fields of one object by name; what nobody asked for is unknown.
pub(super) struct ObjectReader<'o, 'r> {
    fields: &'o Map<String, Value>,
    path: &'o str,
    asked: Vec<&'static str>,
    report: &'o mut Report<'r>,
}

impl<'o, 'r> ObjectReader<'o, 'r> {
    pub(super) fn new(value: &'o Value, path: &'o str, report: &'o mut Report<'r>) -> Result<Self, Fault> {
        let fields = value
            .as_object()
            .ok_or_else(|| Fault::new("must be an object", "write its fields below it, indented"))?;
        Ok(Self {
            fields,
            path,
            asked: Vec::new(),
            report,
        })
    }

    /// The field of this name.
    pub(super) fn take<T: Field>(&mut self, name: &'static str) -> Option<T> {
        self.asked.push(name);
        read_field(self.fields.get(name), &join(self.path, name), self.report)
    }

    /// Reports every field that was not taken.
    pub(super) fn finish(self) {
        for name in self
            .fields
            .keys()
            .filter(|name| !self.asked.contains(&name.as_str()))
        {
            let fix = nearest(name, self.asked.iter().copied()).map_or_else(
                || format!("remove it, or use one of {}", self.asked.join(", ")),
                |known| format!("did you mean `{known}`?"),
            );
            self.report
                .fault(&join(self.path, name), None, Fault::new("unknown field", fix));
        }
    }
}

impl Field for String {
    fn read(value: &Value, _: &str, _: &mut Report<'_>) -> Result<Self, Fault> {
        match value {
            Value::String(text) if !text.trim().is_empty() => Ok(text.clone()),
            Value::String(_) => Err(Fault::new(
                "must not be empty",
                "give a value or remove the field",
            )),
            Value::Bool(_) | Value::Number(_) => {
                Err(Fault::new("must be a text", "put the value in double quotes"))
            }
            Value::Null | Value::Array(_) | Value::Object(_) => {
                Err(Fault::new("must be a text", "write one value"))
            }
        }
    }
}

impl Field for bool {
    fn read(value: &Value, _: &str, _: &mut Report<'_>) -> Result<Self, Fault> {
        value
            .as_bool()
            .ok_or_else(|| Fault::new("must be a boolean", "write true or false, without quotes"))
    }
}

impl Field for f64 {
    fn read(value: &Value, _: &str, _: &mut Report<'_>) -> Result<Self, Fault> {
        value
            .as_f64()
            .ok_or_else(|| Fault::new("must be a number", "write digits, without quotes or unit"))
    }
}

impl Field for i32 {
    fn read(value: &Value, _: &str, _: &mut Report<'_>) -> Result<Self, Fault> {
        let whole = whole(value).ok_or_else(|| {
            Fault::new(
                "must be a whole number",
                "write digits, without point, quotes or unit",
            )
        })?;
        Self::try_from(whole)
            .map_err(|_| Fault::new(format!("must be at most {}", Self::MAX), "write a smaller number"))
    }
}

/// A whole number, also where it is written with a zero fraction (`8.0`), as JSON writers of other languages do.
pub(crate) fn whole(value: &Value) -> Option<i64> {
    if let Some(whole) = value.as_i64() {
        return Some(whole);
    }
    let real = value.as_f64()?;
    let magnitude = i64::try_from(floor_count(real.abs())).ok()?;
    (real.fract().abs() < f64::MIN_POSITIVE).then_some(if real < 0.0 { -magnitude } else { magnitude })
}

impl Field for Open {
    fn read(value: &Value, _: &str, _: &mut Report<'_>) -> Result<Self, Fault> {
        value
            .as_object()
            .cloned()
            .ok_or_else(|| Fault::new("must be an object", "write its fields below it, indented"))
    }
}

fn read_choice<T: Choice>(value: &Value) -> Result<T, Fault> {
    let names: Vec<&str> = T::ALL.iter().map(|choice| choice.name()).collect();
    let text = value.as_str().unwrap_or_default();
    T::from_name(text).ok_or_else(|| {
        let fix = nearest(text, names.iter().copied()).map_or_else(
            || "write one of them".to_owned(),
            |name| format!("did you mean `{name}`?"),
        );
        Fault::new(format!("must be one of {}", names.join(", ")), fix)
    })
}

/// Reads fields with a fixed set of values.
macro_rules! choice_fields {
    ($($choice:ty),+) => {
        $(impl Field for $choice {
            fn read(value: &Value, _: &str, _: &mut Report<'_>) -> Result<Self, Fault> {
                read_choice(value)
            }
        })+
    };
}

choice_fields!(BackendChoice, SearchStrategy, OptimizationType);

/// A text that may be empty.
struct AnyText(String);

impl Field for AnyText {
    fn read(value: &Value, path: &str, report: &mut Report<'_>) -> Result<Self, Fault> {
        if let Value::String(text) = value {
            return Ok(Self(text.clone()));
        }
        String::read(value, path, report).map(Self)
    }
}

impl Field for ModelCacheSpec {
    fn read(value: &Value, path: &str, report: &mut Report<'_>) -> Result<Self, Fault> {
        let mut reader = ObjectReader::new(value, path, report)?;
        let read = Self {
            pvc_name: reader.take("pvcName"),
            // Templates leave it empty to say that the volume is a Hugging Face cache, as upstream takes it.
            pvc_model_path: reader
                .take("pvcModelPath")
                .map(|AnyText(text)| text)
                .filter(|text| !text.trim().is_empty()),
            pvc_mount_path: reader.take("pvcMountPath"),
        };
        reader.finish();
        Ok(read)
    }
}

/// Reads objects field by field: `field = "nameOnTheWire"`.
macro_rules! object_fields {
    ($($object:ident { $($field:ident = $name:literal),+ $(,)? })+) => {
        $(impl Field for $object {
            fn read(value: &Value, path: &str, report: &mut Report<'_>) -> Result<Self, Fault> {
                let mut reader = ObjectReader::new(value, path, report)?;
                let read = Self { $($field: reader.take($name)),+ };
                reader.finish();
                Ok(read)
            }
        })+
    };
}

object_fields! {
    DgdrSpec {
        model = "model",
        backend = "backend",
        image = "image",
        runtime_version_override = "runtimeVersionOverride",
        aic_backend_version = "aicBackendVersion",
        model_cache = "modelCache",
        hardware = "hardware",
        workload = "workload",
        sla = "sla",
        overrides = "overrides",
        features = "features",
        search_strategy = "searchStrategy",
        auto_apply = "autoApply",
    }
    HardwareSpec {
        gpu_sku = "gpuSku",
        vram_mb = "vramMb",
        total_gpus = "totalGpus",
        num_gpus_per_node = "numGpusPerNode",
        max_num_gpus_per_engine = "maxNumGpusPerEngine",
        interconnect = "interconnect",
        rdma = "rdma",
    }
    WorkloadSpec { isl = "isl", osl = "osl", concurrency = "concurrency", request_rate = "requestRate" }
    SlaSpec { ttft = "ttft", itl = "itl", e2e_latency = "e2eLatency", optimization_type = "optimizationType" }
    OverridesSpec { profiling_job = "profilingJob", dgd = "dgd", trust_remote_code = "trustRemoteCode" }
    FeaturesSpec { planner = "planner", mocker = "mocker", kv_router = "kvRouter" }
    SwitchSpec { enabled = "enabled" }
}
