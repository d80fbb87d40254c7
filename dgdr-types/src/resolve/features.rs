//! Features, and those that exclude each other.

use serde_json::Value;

use super::Resolver;
use super::reader::{Fault, shown};
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
        if features.mocker {
            self.check_mocker_has_curves(features.planner.as_ref());
        }
        features
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
