//! Settings that cannot stand together: with any of these the planner stops at start.

use serde_json::{Map, Value};

use super::{flag, number};

/// Settings that cannot stand together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conflict {
    /// The setting to change, by its name of today.
    pub setting: &'static str,
    /// What is wrong.
    pub problem: String,
    /// What to do.
    pub fix: &'static str,
}

/// What stops the planner, of settings by their names of today whose values are taken one by one.
pub fn conflicts(settings: &Map<String, Value>) -> Vec<Conflict> {
    let read = Read(settings);
    [
        read.nothing_scales(),
        read.thresholds_are_missing(),
        read.slow_loop_is_faster(),
        read.no_global_planner(),
        read.no_power_limit(),
        read.no_square(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

struct Read<'a>(&'a Map<String, Value>);

impl Read<'_> {
    fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name)?.as_str()
    }

    fn flag(&self, name: &str, default: bool) -> bool {
        self.0.get(name).and_then(flag).unwrap_or(default)
    }

    fn number(&self, name: &str) -> Option<f64> {
        self.0.get(name).and_then(number)
    }

    fn aims_at_sla(&self) -> bool {
        self.text("optimization_target") == Some("sla")
    }

    /// Only an aim at an SLA lets both kinds of scaling be switched off.
    fn nothing_scales(&self) -> Option<Conflict> {
        let throughput = self.flag("enable_throughput_scaling", true);
        let load = self.flag("enable_load_scaling", false);
        (self.aims_at_sla() && !throughput && !load).then(|| Conflict {
            setting: "enable_throughput_scaling",
            problem: "a planner must scale by throughput or by load, and neither is enabled".to_owned(),
            fix: "set it or enable_load_scaling to true, or remove features.planner",
        })
    }

    fn thresholds_are_missing(&self) -> Option<Conflict> {
        if self.text("optimization_target") != Some("load") {
            return None;
        }
        let mode = self.text("mode").unwrap_or("disagg");
        let pair = |role: &[&str], upper: &str, lower: &str| {
            let is_met = self
                .number(upper)
                .zip(self.number(lower))
                .is_some_and(|(up, down)| up > down);
            (role.contains(&mode) && !is_met).then(|| {
                format!("load is scaled between {lower} and a greater {upper}, and both must be given")
            })
        };
        let prefill = pair(
            &["disagg", "prefill"],
            "prefill_scale_up_queue_tokens",
            "prefill_scale_down_queue_tokens",
        );
        let decode = || {
            pair(
                &["disagg", "decode", "agg"],
                "decode_scale_up_kv_rate",
                "decode_scale_down_kv_rate",
            )
        };
        prefill.or_else(decode).map(|problem| Conflict {
            setting: "optimization_target",
            problem,
            fix: "give both, or choose another target",
        })
    }

    fn slow_loop_is_faster(&self) -> Option<Conflict> {
        let scales_throughput = self.aims_at_sla() && self.flag("enable_throughput_scaling", true);
        let slow = self
            .number("throughput_adjustment_interval_seconds")
            .unwrap_or(180.0);
        let fast = self.number("load_adjustment_interval_seconds").unwrap_or(5.0);
        let is_wrong = slow <= 0.0 || self.flag("enable_load_scaling", false) && fast >= slow;
        (scales_throughput && is_wrong).then(|| Conflict {
            setting: "throughput_adjustment_interval_seconds",
            problem: format!("{slow} s must be above 0 and above load_adjustment_interval_seconds, {fast} s"),
            fix: "lengthen it, or shorten the other",
        })
    }

    fn no_global_planner(&self) -> Option<Conflict> {
        let is_alone = self.text("global_planner_namespace").is_none_or(str::is_empty);
        (self.text("environment") == Some("global-planner") && is_alone).then(|| Conflict {
            setting: "environment",
            problem: "a global planner is asked for, and global_planner_namespace does not say where it is"
                .to_owned(),
            fix: "give global_planner_namespace",
        })
    }

    fn no_power_limit(&self) -> Option<Conflict> {
        if !self.flag("enable_power_awareness", false) {
            return None;
        }
        let environment = self.text("environment").unwrap_or("kubernetes");
        let fits = self.number("total_gpu_power_limit").is_some()
            && environment == "kubernetes"
            && self.text("mode") != Some("agg");
        (!fits).then(|| Conflict {
            setting: "enable_power_awareness",
            problem: "needs total_gpu_power_limit, environment kubernetes and another mode than agg"
                .to_owned(),
            fix: "give total_gpu_power_limit, or remove it",
        })
    }

    fn no_square(&self) -> Option<Conflict> {
        let size = self.number("fpm_sample_bucket_size")?;
        (size > 0.0 && size.sqrt().fract() != 0.0).then(|| Conflict {
            setting: "fpm_sample_bucket_size",
            problem: format!("{size} must be the square of a whole number"),
            fix: "write for example 16",
        })
    }
}
