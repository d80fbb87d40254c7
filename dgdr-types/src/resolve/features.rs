//! Features, and those that exclude each other.

use serde_json::Value;

use super::Resolver;
use super::reader::{Fault, shown};
use crate::planner_settings;
use crate::resolved::{Features, PlannerSettings};
use crate::spec::{FeaturesSpec, SwitchSpec};

/// The planner's setting that says how its curves are come by.
const SWEEPING_MODE: &str = "pre_deployment_sweeping_mode";

impl Resolver<'_> {
    pub(super) fn features(&mut self, given: FeaturesSpec) -> Features {
        let FeaturesSpec {
            planner,
            mocker,
            kv_router,
        } = given;
        let is_on = |switch: Option<SwitchSpec>| switch.and_then(|switch| switch.enabled).unwrap_or(false);
        let features = Features {
            planner: planner.map(PlannerSettings),
            mocker: is_on(mocker),
            kv_router: is_on(kv_router),
        };
        if let Some(planner) = &features.planner {
            self.check_planner(planner);
        }
        if features.mocker {
            self.check_mocker_has_curves(features.planner.as_ref());
        }
        features
    }

    /// What the planner itself would refuse, once everything is deployed.
    fn check_planner(&mut self, planner: &PlannerSettings) {
        let mut is_readable = true;
        for (written, value) in &planner.0 {
            let name = planner_settings::current_name(written);
            let is_older_predictor = name == "load_predictor" && value == planner_settings::OLDER_PREDICTOR.0;
            let setting = planner_settings::find(name).filter(|_| !is_older_predictor);
            if let Some(expected) = setting.and_then(|setting| setting.refuses(value)) {
                is_readable = false;
                let fault = Fault::new(
                    format!("must be {expected}, or the planner stops at start"),
                    "correct it, or remove the setting",
                );
                self.fault(
                    &format!("spec.features.planner.{written}"),
                    Some(shown(value)),
                    fault,
                );
            }
        }
        if !is_readable {
            return;
        }
        let current = planner_settings::in_current_names(&planner.0);
        for conflict in planner_settings::conflicts(&current) {
            let written = planner
                .0
                .keys()
                .find(|key| planner_settings::current_name(key) == conflict.setting);
            let name = written.map_or(conflict.setting, String::as_str);
            let fault = Fault::new(conflict.problem, conflict.fix);
            self.fault(&format!("spec.features.planner.{name}"), None, fault);
        }
    }

    /// Simulated engines live on curves; upstream refuses this too.
    fn check_mocker_has_curves(&mut self, planner: Option<&PlannerSettings>) {
        let Some(planner) = planner else {
            return;
        };
        for name in [SWEEPING_MODE.to_owned(), format!("planner_{SWEEPING_MODE}")] {
            let is_none = |mode: &&Value| mode.is_null() || mode.as_str() == Some("none");
            if let Some(mode) = planner.0.get(&name).filter(is_none) {
                let fault = Fault::new(
                    "must not be none with features.mocker, since simulated engines need the curves of a sweep",
                    "write \"rapid\", or remove the setting",
                );
                self.fault(&format!("spec.features.planner.{name}"), Some(shown(mode)), fault);
            }
        }
    }
}
