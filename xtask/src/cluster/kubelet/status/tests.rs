use super::*;

fn pod(spec: &Value) -> Pod {
    serde_json::from_value(json!({ "metadata": { "name": "p" }, "spec": spec })).unwrap()
}

fn job_pod() -> Pod {
    pod(&json!({
        "restartPolicy": "Never",
        "initContainers": [{ "name": "init" }, { "name": "proxy", "restartPolicy": "Always" }],
        "containers": [{ "name": "profiler" }, { "name": "sidecar" }],
    }))
}

fn ledger(pod: &Pod) -> Ledger {
    Ledger::of(pod.spec.as_ref().unwrap())
}

fn runs(container: &str) -> Note {
    let change = Change::Running {
        times: 0,
        id: "process://1".to_owned(),
    };
    note(container, change)
}

fn ends(container: &str, exit_code: i32) -> Note {
    let end = Ended {
        exit_code,
        reason: "Error",
        message: String::new(),
        started: now(),
        id: "process://1".to_owned(),
    };
    note(container, Change::Ended { end, over: true })
}

fn note(container: &str, change: Change) -> Note {
    Note {
        container: container.to_owned(),
        change,
    }
}

fn phase_after(notes: &[Note]) -> Value {
    let pod = job_pod();
    let mut ledger = ledger(&pod);
    for note in notes {
        ledger.enter(note.clone());
    }
    ledger.patch(&pod)["status"]["phase"].take()
}

#[test]
fn phases_follow_the_containers() {
    let started = [ends("init", 0), runs("proxy"), runs("profiler")];
    assert_eq!(phase_after(&[]), "Pending");
    assert_eq!(phase_after(&[runs("init")]), "Pending");
    assert_eq!(phase_after(&[ends("init", 1)]), "Failed");
    assert_eq!(phase_after(&started), "Pending");
    let both = [&started[..], &[runs("sidecar")]].concat();
    assert_eq!(phase_after(&both), "Running");
    let one = [&both[..], &[ends("profiler", 0)]].concat();
    assert_eq!(phase_after(&one), "Running");
    // The proxy still runs: it counts neither for nor against the pod.
    assert_eq!(
        phase_after(&[&one[..], &[ends("sidecar", 0)]].concat()),
        "Succeeded"
    );
    assert_eq!(phase_after(&[&one[..], &[ends("sidecar", 3)]].concat()), "Failed");
}

#[test]
fn a_restarted_container_keeps_its_last_end() {
    let pod = pod(&json!({ "containers": [{ "name": "c" }] }));
    let mut ledger = ledger(&pod);
    ledger.enter(runs("c"));
    let crash = ends("c", 2);
    let Change::Ended { end, .. } = crash.change else {
        unreachable!()
    };
    ledger.enter(note("c", Change::Ended { end, over: false }));
    ledger.enter(note(
        "c",
        Change::Waiting {
            reason: "CrashLoopBackOff",
            message: "back-off".to_owned(),
        },
    ));
    let status = ledger.patch(&pod)["status"].take();
    assert_eq!(status["phase"], "Running");
    let container = &status["containerStatuses"][0];
    assert_eq!(container["state"]["waiting"]["reason"], "CrashLoopBackOff");
    assert_eq!(container["lastState"]["terminated"]["exitCode"], 2);
    assert_eq!(container["ready"], false);
}

#[test]
fn conditions_say_which_container_is_missing() {
    let pod = job_pod();
    let mut ledger = ledger(&pod);
    for note in [ends("init", 0), runs("proxy"), runs("profiler")] {
        ledger.enter(note);
    }
    let status = ledger.patch(&pod)["status"].take();
    let messages: Vec<(&Value, &Value, &Value)> = status["conditions"]
        .as_array()
        .unwrap()
        .iter()
        .map(|condition| (&condition["type"], &condition["status"], &condition["message"]))
        .collect();
    let unready = json!("containers with unready status: [sidecar]");
    assert_eq!(
        messages,
        [
            (&json!("Initialized"), &json!("True"), &Value::Null),
            (&json!("ContainersReady"), &json!("False"), &unready),
            (&json!("Ready"), &json!("False"), &unready),
        ]
    );
}

#[test]
fn a_pod_that_took_too_long_failed_whatever_its_containers_did() {
    let pod = job_pod();
    let mut ledger = ledger(&pod);
    ledger.enter(ends("init", 0));
    ledger.verdict = Some(Verdict {
        reason: "DeadlineExceeded",
        message: "too long".to_owned(),
    });
    let status = ledger.patch(&pod)["status"].take();
    assert_eq!(
        (&status["phase"], &status["reason"]),
        (&json!("Failed"), &json!("DeadlineExceeded"))
    );
}
