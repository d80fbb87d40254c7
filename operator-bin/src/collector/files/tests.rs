use std::fs;
use std::os::unix::fs::symlink;

use jiff::Timestamp;

use super::{Found, look};

const SUCCESS: &str = "status: success\ntimestamp: '2026-11-24T10:00:05Z'\nmessage: done\nphase: Done\n";

fn start() -> Timestamp {
    "2026-11-24T10:00:05.9Z".parse().unwrap()
}

#[test]
fn the_result_is_read_once_the_status_says_that_it_is_there() {
    let scratch = tempfile::tempdir().unwrap();
    let root = scratch.path();
    assert_eq!(look(root, start()).status_text, "");
    fs::write(root.join("final_config.yaml"), "kind: DynamoGraphDeployment\n").unwrap();
    let running = SUCCESS.replace("success", "running");
    fs::write(root.join("profiler_status.yaml"), &running).unwrap();
    let snapshot = look(root, start());
    assert_eq!(snapshot.status_text, running);
    assert_eq!(snapshot.result(), Found::Nothing);
    fs::write(root.join("profiler_status.yaml"), SUCCESS).unwrap();
    let snapshot = look(root, start());
    assert_eq!(snapshot.result(), Found::Text("kind: DynamoGraphDeployment\n"));
}

#[test]
fn an_earlier_run_on_the_same_volume_says_nothing() {
    let scratch = tempfile::tempdir().unwrap();
    let root = scratch.path();
    fs::write(root.join("final_config.yaml"), "kind: DynamoGraphDeployment\n").unwrap();
    fs::write(root.join("profiler_status.yaml"), SUCCESS).unwrap();
    let later = "2026-11-24T10:00:06Z".parse().unwrap();
    let snapshot = look(root, later);
    assert_eq!(
        (snapshot.status_text.as_str(), snapshot.result()),
        ("", Found::Nothing)
    );
    // A file that does not tell its time has that of its last change.
    fs::write(root.join("profiler_status.yaml"), "status: running\n").unwrap();
    assert_eq!(look(root, later).status_text, "status: running\n");
    let tomorrow = Timestamp::now() + jiff::SignedDuration::from_hours(24);
    assert_eq!(look(root, tomorrow).status_text, "");
}

#[test]
fn links_pipes_and_folders_are_not_passed_on() {
    let scratch = tempfile::tempdir().unwrap();
    let root = scratch.path();
    fs::write(root.join("token"), "secret").unwrap();
    fs::write(root.join("profiler_status.yaml"), SUCCESS).unwrap();
    let result = root.join("final_config.yaml");
    symlink(root.join("token"), &result).unwrap();
    assert_eq!(
        look(root, start()).result(),
        Found::Unusable {
            problem: "it is a link"
        }
    );
    fs::remove_file(&result).unwrap();
    fs::create_dir(&result).unwrap();
    assert_eq!(
        look(root, start()).result(),
        Found::Unusable {
            problem: "it is no plain file"
        }
    );
    fs::remove_dir(&result).unwrap();
    rustix::fs::mkfifoat(rustix::fs::CWD, &result, 0o600.into()).unwrap();
    assert_eq!(
        look(root, start()).result(),
        Found::Unusable {
            problem: "it is no plain file"
        }
    );
    fs::remove_file(root.join("profiler_status.yaml")).unwrap();
    symlink(root.join("token"), root.join("profiler_status.yaml")).unwrap();
    assert_eq!(look(root, start()).status_text, "");
}

#[test]
fn no_more_is_read_than_a_config_map_holds() {
    let scratch = tempfile::tempdir().unwrap();
    let root = scratch.path();
    fs::write(root.join("profiler_status.yaml"), SUCCESS).unwrap();
    let result = fs::File::create(root.join("final_config.yaml")).unwrap();
    result.set_len(1 << 40).unwrap();
    assert_eq!(look(root, start()).result(), Found::TooLarge { bytes: 1 << 40 });
    fs::write(root.join("final_config.yaml"), [0xff, 0xfe]).unwrap();
    assert_eq!(
        look(root, start()).result(),
        Found::Unusable {
            problem: "it is no UTF-8 text"
        }
    );
}
