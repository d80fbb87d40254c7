//! What goes wrong, and does not matter.

use std::path::Path;

use super::Check;
use crate::cluster::kubelet::images::Image;

mod broken_profilers;
mod crashes;
mod leadership;
mod load;
mod outages;
mod proxy;
mod wave;

/// All checks of faults, in the order in which they run.
pub(super) const CHECKS: [Check; 7] = [
    Check {
        name: "crashes",
        meaning: "the operator is killed 200 times, and every request ends as it should",
        run: |bench, findings| Box::pin(crashes::check(bench, findings)),
    },
    Check {
        name: "mishaps",
        meaning: "calls are refused, lost and late and watches break off, and every request ends as it should",
        run: |bench, findings| Box::pin(outages::calls(bench, findings)),
    },
    Check {
        name: "duplicates",
        meaning: "three operators act at once, and nothing is made twice",
        run: |bench, findings| Box::pin(outages::duplicates(bench, findings)),
    },
    Check {
        name: "leadership",
        meaning: "of two operators one acts, and the other when that one is gone",
        run: |bench, findings| Box::pin(leadership::check(bench, findings)),
    },
    Check {
        name: "broken-profilers",
        meaning: "profilers that crash, hang, or write too little or too much fail with the cause",
        run: |bench, findings| Box::pin(broken_profilers::check(bench, findings)),
    },
    Check {
        name: "load",
        meaning: "many requests are quick, cheap, and cost nothing once they are settled",
        run: |bench, findings| Box::pin(load::check(bench, findings)),
    },
    Check {
        name: "outages",
        meaning: "API server and etcd crash, and every request ends as it should",
        run: |bench, findings| Box::pin(outages::control_plane(bench, findings)),
    },
];

/// Images that only these checks pull; what they hold is written to `folder`.
pub(super) fn images(folder: &Path) -> anyhow::Result<Vec<Image>> {
    broken_profilers::images(folder)
}
