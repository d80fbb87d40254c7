use std::fmt::Write as _;
use std::time::Duration;

use dgdr_types::contract::reason;
use dgdr_types::spec::{Choice as _, ConditionStatus, DgdrStatus, Open, Phase, ProfilingPhase};
use proptest::prelude::*;

use super::{
    Action, Deadlines, Decision, Deployment, GraphState, JobState, Object, Observation, Output, Timestamp,
    Trouble, TroubleSort, decide,
};

const NOW: Timestamp<'static> = Timestamp("2026-01-01T00:00:00Z");
const LATER: Timestamp<'static> = Timestamp("2026-01-02T00:00:00Z");

/// What is seen when nothing is there yet.
fn observation(status: &DgdrStatus) -> Observation<'_> {
    Observation {
        object: Object {
            generation: 1,
            status,
            auto_apply: true,
            job: "profile-my-model",
        },
        faults: None,
        missing: None,
        hardware: None,
        job: JobState::Absent,
        output: Output::Absent,
        deployment: Deployment::Absent,
        waited: Duration::ZERO,
        deadlines: Deadlines::default(),
        now: NOW,
    }
}

const NO_IMAGE: Trouble<'static> = Trouble {
    text: "pod p container profiler: ErrImagePull",
    sort: TroubleSort::Image,
};

fn present(state: GraphState) -> Deployment<'static> {
    Deployment::Present {
        state,
        replicas: 3,
        available: 2,
        trouble: None,
    }
}

const ACTIVE: JobState<'static> = JobState::Active { trouble: None };

fn in_phase(phase: Phase) -> DgdrStatus {
    DgdrStatus {
        phase: Some(phase),
        observed_generation: Some(1),
        dgd_name: Some("my-model-dgd".to_owned()),
        ..DgdrStatus::default()
    }
}

/// A decision in a line: phase, what is done, what is told, the conditions.
fn line(decision: &Decision) -> String {
    let mut text = format!("{}", decision.status.phase.unwrap());
    if let Some(phase) = decision.status.profiling_phase {
        write!(text, " ({phase})").unwrap();
    }
    for action in &decision.actions {
        write!(text, " +{action:?}").unwrap();
    }
    for event in &decision.events {
        write!(text, " !{}", event.reason).unwrap();
    }
    for condition in &decision.status.conditions {
        let mark = match condition.status {
            ConditionStatus::True => "yes",
            ConditionStatus::False | ConditionStatus::Unknown => "no",
        };
        write!(
            text,
            "\n      {} {mark} {}: {}",
            condition.kind, condition.reason, condition.message
        )
        .unwrap();
    }
    text
}

/// Everything that may be seen, by name.
#[expect(clippy::too_many_lines, reason = "one entry a sight")]
fn sights<'a>(base: Observation<'a>, manifest: &'a Open) -> Vec<(&'static str, Observation<'a>)> {
    let day = Duration::from_hours(24);
    vec![
        ("nothing", base),
        (
            "faults",
            Observation {
                faults: Some("spec.model is required"),
                ..base
            },
        ),
        (
            "missing claim",
            Observation {
                missing: Some("model cache PVC c not found in namespace n"),
                ..base
            },
        ),
        (
            "still missing",
            Observation {
                missing: Some("no GPU of h200_sxm is free"),
                waited: day,
                ..base
            },
        ),
        ("active", Observation { job: ACTIVE, ..base }),
        (
            "image cannot be pulled",
            Observation {
                job: JobState::Active {
                    trouble: Some(NO_IMAGE),
                },
                ..base
            },
        ),
        (
            "progress",
            Observation {
                job: ACTIVE,
                output: Output::Progress {
                    phase: ProfilingPhase::SweepingDecode,
                    message: "candidate 2/4",
                },
                ..base
            },
        ),
        (
            "job failed",
            Observation {
                job: JobState::Failed {
                    message: "BackoffLimitExceeded",
                },
                ..base
            },
        ),
        (
            "profiler failed",
            Observation {
                job: JobState::Complete,
                output: Output::Failed {
                    phase: Some(ProfilingPhase::SweepingDecode),
                    error: "no engine started",
                },
                ..base
            },
        ),
        (
            "complete without output",
            Observation {
                job: JobState::Complete,
                ..base
            },
        ),
        (
            "never an output",
            Observation {
                job: JobState::Complete,
                waited: day,
                ..base
            },
        ),
        (
            "unusable",
            Observation {
                job: JobState::Complete,
                output: Output::Unusable {
                    problem: "no DynamoGraphDeployment found in YAML content",
                },
                ..base
            },
        ),
        (
            "success",
            Observation {
                job: JobState::Complete,
                output: Output::Succeeded {
                    name: "my-model-dgd",
                    manifest,
                },
                ..base
            },
        ),
        (
            "pending graph",
            Observation {
                deployment: present(GraphState::Pending),
                ..base
            },
        ),
        (
            "pending graph for a day",
            Observation {
                deployment: present(GraphState::Pending),
                waited: day,
                ..base
            },
        ),
        (
            "failed graph",
            Observation {
                deployment: present(GraphState::Failed),
                ..base
            },
        ),
        (
            "serving graph",
            Observation {
                deployment: present(GraphState::Successful),
                ..base
            },
        ),
        (
            "refused graph",
            Observation {
                deployment: Deployment::Rejected {
                    message: "admission said no",
                },
                ..base
            },
        ),
        (
            "foreign graph",
            Observation {
                deployment: Deployment::Foreign { owner: "DGDR other" },
                ..base
            },
        ),
        (
            "graph of an earlier request",
            Observation {
                deployment: Deployment::Outdated,
                ..base
            },
        ),
        (
            "inline",
            Observation {
                job: JobState::Inline,
                ..base
            },
        ),
        (
            "inline with its result",
            Observation {
                job: JobState::Inline,
                output: Output::Succeeded {
                    name: "my-model-dgd",
                    manifest,
                },
                ..base
            },
        ),
        (
            "job of an earlier spec",
            Observation {
                job: JobState::Leftover,
                ..base
            },
        ),
        (
            "job refused",
            Observation {
                job: JobState::Rejected {
                    message: "Job.batch is invalid",
                },
                ..base
            },
        ),
    ]
}

#[test]
fn every_phase_and_everything_that_may_be_seen() {
    let manifest = Open::default();
    for phase in Phase::ALL {
        let status = in_phase(*phase);
        let mut text = String::new();
        for (name, seen) in sights(observation(&status), &manifest) {
            writeln!(text, "{name}\n   -> {}", line(&decide(&seen))).unwrap();
        }
        insta::assert_snapshot!(phase.name(), text);
    }
}

#[test]
fn from_nothing_to_serving() {
    let manifest = Open::default();
    let mut status = DgdrStatus::default();
    let mut seen = Vec::new();
    let steps: [(JobState<'_>, Output<'_>, Deployment<'_>); 6] = [
        (JobState::Absent, Output::Absent, Deployment::Absent),
        (ACTIVE, Output::Absent, Deployment::Absent),
        (
            ACTIVE,
            Output::Progress {
                phase: ProfilingPhase::SweepingPrefill,
                message: "1/4",
            },
            Deployment::Absent,
        ),
        (
            JobState::Complete,
            Output::Succeeded {
                name: "my-model-dgd",
                manifest: &manifest,
            },
            Deployment::Absent,
        ),
        (JobState::Complete, Output::Absent, Deployment::Absent),
        (
            JobState::Complete,
            Output::Absent,
            present(GraphState::Successful),
        ),
    ];
    for (job, output, deployment) in steps {
        let decision = decide(&Observation {
            job,
            output,
            deployment,
            ..observation(&status)
        });
        seen.push(line(&decision));
        status = decision.status;
    }
    insta::assert_snapshot!(seen.join("\n"));
}

#[test]
fn a_result_waits_until_it_is_asked_for() {
    let status = in_phase(Phase::Ready);
    let mut seen = observation(&status);
    seen.object.auto_apply = false;
    seen.object.generation = 2;
    let waiting = decide(&seen);
    assert_eq!(waiting.status.phase, Some(Phase::Ready));
    assert!(waiting.events.is_empty(), "{:?}", waiting.events);
    seen.object.auto_apply = true;
    assert_eq!(decide(&seen).status.phase, Some(Phase::Deploying));
}

#[test]
fn a_locked_spec_is_said_to_be_so_once() {
    let status = in_phase(Phase::Deployed);
    let changed = Observation {
        object: Object {
            generation: 2,
            status: &status,
            auto_apply: true,
            job: "profile-my-model",
        },
        deployment: present(GraphState::Successful),
        ..observation(&status)
    };
    let first = decide(&changed);
    assert_eq!(first.events[0].reason, "SpecChangeRejected");
    insta::assert_snapshot!(first.events[0].message);
    let object = Object {
        status: &first.status,
        ..changed.object
    };
    assert!(decide(&Observation { object, ..changed }).events.is_empty());
}

#[test]
fn a_changed_spec_begins_again_after_a_failure() {
    let failed = decide(&Observation {
        faults: Some("spec.model is required"),
        ..observation(&DgdrStatus::default())
    });
    let object = Object {
        generation: 2,
        status: &failed.status,
        auto_apply: true,
        job: "profile-my-model",
    };
    let again = decide(&Observation {
        object,
        ..observation(&failed.status)
    });
    assert_eq!(again.status.phase, Some(Phase::Pending));
    assert!(again.actions.contains(&Action::DeleteJob));
    let object = Object {
        generation: 1,
        ..object
    };
    let same = decide(&Observation {
        object,
        ..observation(&failed.status)
    });
    assert_eq!(same.status, failed.status);
    assert!(same.actions.is_empty() && same.events.is_empty());
}

#[test]
fn tools_know_what_to_wait_for() {
    let manifest = Open::default();
    for phase in Phase::ALL {
        let status = in_phase(*phase);
        for (name, seen) in sights(observation(&status), &manifest) {
            let after = decide(&seen).status;
            let said: Vec<&str> = after
                .conditions
                .iter()
                .map(|condition| condition.kind.as_str())
                .filter(|kind| ["Reconciling", "Stalled"].contains(kind))
                .collect();
            let expected = match after.phase.unwrap() {
                Phase::Pending | Phase::Profiling | Phase::Deploying => vec!["Reconciling"],
                Phase::Failed => vec!["Stalled"],
                Phase::Ready | Phase::Deployed => vec![],
            };
            assert_eq!(said, expected, "{phase} {name}");
        }
    }
}

#[test]
fn a_stuck_pod_is_told_once_whatever_is_said_of_it() {
    let status = in_phase(Phase::Deploying);
    let stuck = |text| Deployment::Present {
        state: GraphState::Pending,
        replicas: 1,
        available: 0,
        trouble: Some(Trouble { text, ..NO_IMAGE }),
    };
    let first = decide(&Observation {
        deployment: stuck(
            "pod p container main: ErrImagePull: not found; pod q container main: ErrImagePull",
        ),
        ..observation(&status)
    });
    assert_eq!(first.events.len(), 1);
    assert_eq!(first.events[0].reason, "ImagePullFailed");
    assert!(first.events[0].message.contains("pod q"));
    let again = decide(&Observation {
        deployment: stuck("pod p container main: ImagePullBackOff: Back-off pulling image"),
        ..observation(&first.status)
    });
    assert!(again.events.is_empty(), "{:?}", again.events);
}

#[test]
fn times_move_with_their_conditions_only() {
    let first = decide(&observation(&DgdrStatus::default()));
    let later = decide(&Observation {
        now: LATER,
        ..observation(&first.status)
    });
    assert_eq!(first.status, later.status);
    let running = decide(&Observation {
        now: LATER,
        job: ACTIVE,
        ..observation(&first.status)
    });
    let validation = |decision: &Decision| decision.status.conditions[1].last_transition_time.clone();
    assert_eq!(validation(&running), NOW.0);
}

fn outputs(manifest: &Open) -> Vec<Output<'_>> {
    vec![
        Output::Absent,
        Output::Progress {
            phase: ProfilingPhase::BuildingCurves,
            message: "curves",
        },
        Output::Failed {
            phase: None,
            error: "broken",
        },
        Output::Unusable { problem: "no YAML" },
        Output::Succeeded {
            name: "my-model-dgd",
            manifest,
        },
    ]
}

proptest! {
    /// Whatever is seen: the same sight settles after a few decisions, and then nothing is written or told any more.
    #[test]
    fn every_sight_settles(
        phase in prop::sample::select(Phase::ALL.to_vec()),
        job in prop::sample::select(vec![
            JobState::Absent, JobState::Inline, JobState::Leftover, JobState::Rejected { message: "no" }, ACTIVE,
            JobState::Complete, JobState::Failed { message: "x" },
        ]),
        output in 0_usize..5,
        deployment in prop::sample::select(vec![
            Deployment::Absent, present(GraphState::Pending), present(GraphState::Successful), present(GraphState::Failed),
            Deployment::Rejected { message: "no" }, Deployment::Foreign { owner: "DGDR other" }, Deployment::Outdated,
        ]),
        generation in 1_i64..3,
        auto_apply: bool,
        faults in prop::sample::select(vec![None, Some("wrong")]),
        missing in prop::sample::select(vec![None, Some("no PVC")]),
        hours in 0_u64..50,
    ) {
        let manifest = Open::default();
        let mut status = in_phase(phase);
        let mut quiet = false;
        for _ in 0..8 {
            let seen = Observation {
                object: Object { generation, status: &status, auto_apply, job: "profile-my-model" },
                faults, missing, job, output: outputs(&manifest)[output], deployment,
                waited: Duration::from_hours(hours),
                ..observation(&status)
            };
            let decision = decide(&seen);
            prop_assert_eq!(&decision, &decide(&seen));
            prop_assert_eq!(decision.status.observed_generation, Some(generation));
            let succeeded = &decision.status.conditions[0];
            prop_assert_eq!(succeeded.kind.as_str(), "Succeeded");
            if decision.status.phase == Some(Phase::Failed) {
                prop_assert!(succeeded.reason != reason::PENDING);
            }
            quiet = decision.status == status && decision.events.is_empty();
            status = decision.status;
            if quiet { break; }
        }
        prop_assert!(quiet, "{:?}", status);
    }
}
