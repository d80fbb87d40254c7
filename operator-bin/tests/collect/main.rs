//! The collector as its container runs it: the program, a directory, and an API server that misbehaves.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on fails")]

mod api;

use std::ffi::OsString;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use api::{Access, Answer, Api, Write};
use tempfile::TempDir;

/// How long anything may take before it is taken for hanging.
const PATIENCE: Duration = Duration::from_secs(30);
const RESULT: &str = "kind: DynamoGraphDeployment\n";

/// A status file as upstream's profiler writes it.
fn status(word: &str, message: &str) -> String {
    let phase = if word == "success" {
        "Done"
    } else {
        "SweepingDecode"
    };
    let error = if word == "failed" {
        "it''s broken: $HOME"
    } else {
        ""
    };
    format!(
        "error: '{error}'\nmessage: '{message}'\noutputs: {{}}\nphase: {phase}\nstatus: {word}\ntimestamp: '{}'\n",
        jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ")
    )
}

/// In place, as upstream's profiler writes.
fn write(directory: &Path, text: &str) {
    std::fs::write(directory.join("profiler_status.yaml"), text).unwrap();
}

/// The program, ended with the test.
struct Collector {
    child: Child,
    lines: Receiver<String>,
    log: String,
    directory: TempDir,
}

impl Collector {
    fn start(api: &Api) -> Self {
        let directory = tempfile::tempdir().unwrap();
        Self::start_in(api, directory)
    }

    fn start_in(api: &Api, directory: TempDir) -> Self {
        let output = directory.path().join("data");
        std::fs::create_dir_all(&output).unwrap();
        let kubeconfig = directory.path().join("kubeconfig");
        std::fs::write(&kubeconfig, api.kubeconfig()).unwrap();
        let mut child = Command::new(env!("CARGO_BIN_EXE_dgdr-operator"))
            .args(["collect", "--output-dir"])
            .arg(output)
            .env_clear()
            .envs([
                ("DGDR_NAME", "sla"),
                ("DGDR_NAMESPACE", "serving"),
                ("DGDR_UID", "0-1-2"),
                ("DGDR_GENERATION", "7"),
                ("HOSTNAME", "profile-sla-abcde"),
            ])
            .env("KUBECONFIG", kubeconfig)
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let (sender, lines) = mpsc::channel();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        std::thread::spawn(move || stderr.lines().try_for_each(|line| sender.send(line.unwrap())));
        Self {
            child,
            lines,
            log: String::new(),
            directory,
        }
    }

    fn write(&self, text: &str) {
        write(&self.directory.path().join("data"), text);
    }

    fn succeed(&self) {
        let output = self.directory.path().join("data");
        std::fs::write(output.join("final_config.yaml"), RESULT).unwrap();
        write(&output, &status("success", "Profiler completed successfully"));
    }

    fn signal(&self, name: &str) {
        let killed = Command::new("kill")
            .args([format!("-{name}"), self.child.id().to_string()])
            .status()
            .unwrap();
        assert!(killed.success());
    }

    /// Waits for a line of its log.
    fn wait_for_line(&mut self, part: &str) {
        loop {
            let line = self.lines.recv_timeout(PATIENCE).unwrap();
            self.log.push_str(&line);
            if line.contains(part) {
                return;
            }
        }
    }

    /// Its exit code, and what it logged.
    fn end(&mut self) -> (Option<i32>, String) {
        loop {
            match self.lines.recv_timeout(PATIENCE) {
                Ok(line) => self.log.push_str(&line),
                Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) => panic!("it does not end: {}", self.log),
            }
        }
        (self.child.wait().unwrap().code(), self.log.clone())
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        let _ended_already = self.child.kill();
        let _reaped = self.child.wait();
    }
}

#[test]
fn progress_and_result_arrive_and_the_config_map_goes_with_its_dgdr() {
    let api = Api::start();
    let mut collector = Collector::start(&api);
    collector.write(&status("running", "Benchmarking decode candidate 1/2"));
    api.wait_for(|write| write.message() == "Benchmarking decode candidate 1/2");
    collector.write(&status("running", "Benchmarking decode candidate 2/2"));
    api.wait_for(|write| write.message() == "Benchmarking decode candidate 2/2");
    collector.succeed();
    assert_eq!(
        collector.end().0,
        Some(0),
        "before the profiler's container has ended"
    );
    let writes = api.writes();
    let last = &writes.last().unwrap().object;
    assert_eq!(writes.len(), 3);
    assert!(
        writes
            .iter()
            .all(|write| write.query.contains("fieldManager=dynamo-operator-dgdr")
                && write.query.contains("force=true"))
    );
    assert_eq!(last["metadata"]["name"], "dgdr-output-sla");
    assert_eq!(last["metadata"]["labels"]["dgdr.nvidia.com/name"], "sla");
    assert_eq!(last["metadata"]["annotations"]["dgdr.nvidia.com/generation"], "7");
    assert_eq!(last["metadata"]["ownerReferences"][0]["uid"], "0-1-2");
    assert_eq!(last["data"]["profiler_status"], "success");
    assert_eq!(last["data"]["phase"], "Done");
    assert_eq!(last["data"]["final_config.yaml"], RESULT);
}

#[test]
fn a_flood_of_updates_makes_few_writes() {
    let api = Api::start();
    let mut collector = Collector::start(&api);
    let begin = Instant::now();
    let mut step = 0;
    while begin.elapsed() < Duration::from_secs(1) {
        step += 1;
        collector.write(&status("running", &format!("candidate {step}")));
    }
    api.wait_for(|write| write.message() == format!("candidate {step}"));
    collector.succeed();
    assert_eq!(collector.end().0, Some(0));
    let seconds = begin.elapsed().as_secs_f64();
    let writes = api.writes();
    assert!(
        dgdr_units::real(u64::try_from(writes.len()).unwrap()) <= 2.0 * seconds + 2.0,
        "{} writes in {seconds} s",
        writes.len()
    );
}

#[test]
fn faults_of_the_server_are_outlived() {
    let api = Api::start();
    api.answer_next([
        Answer::Status(429),
        Answer::Reset,
        Answer::Status(503),
        Answer::Status(403),
    ]);
    let mut collector = Collector::start(&api);
    collector.succeed();
    let (code, log) = collector.end();
    assert_eq!(code, Some(0), "{log}");
    assert_eq!(
        api.writes().last().unwrap().object["data"]["profiler_status"],
        "success"
    );
}

#[test]
fn a_server_that_comes_late_is_waited_for() {
    let api = Api::absent();
    let mut collector = Collector::start(&api);
    collector.succeed();
    collector.wait_for_line("the pod could not be read");
    api.come();
    let (code, log) = collector.end();
    assert_eq!(code, Some(0), "{log}");
}

#[test]
fn a_killed_profiler_is_a_failure_with_its_cause_also_where_watches_break() {
    let api = Api::start();
    api.access(Access::HalfWatch);
    let mut collector = Collector::start(&api);
    collector.write(&status("running", "Benchmarking decode candidate 1/2"));
    api.wait_for(|write| write.message() == "Benchmarking decode candidate 1/2");
    api.end_profiler(137, "OOMKilled");
    assert_eq!(collector.end().0, Some(0), "the failure was passed on");
    let last = &api.writes().pop().unwrap().object;
    assert_eq!(last["data"]["profiler_status"], "failed");
    assert_eq!(
        last["data"]["profiler_error"],
        "the profiler ended with exit code 137 (OOMKilled: give it more memory with \
         spec.overrides.profilingJob.template.spec.containers[profiler].resources) while it was running: Benchmarking \
         decode candidate 1/2"
    );
}

#[test]
fn a_role_that_may_only_get_the_pod_is_enough() {
    let api = Api::start();
    api.access(Access::GetOnly);
    let mut collector = Collector::start(&api);
    collector.write("status: runn");
    api.end_profiler(1, "Error");
    assert_eq!(collector.end().0, Some(0));
    assert_eq!(
        api.writes().len(),
        1,
        "half a file says nothing while it may be completed"
    );
    assert_eq!(api.writes()[0].object["data"]["profiler_status"], "failed");
}

#[test]
fn a_failure_of_the_profiler_is_told_in_its_own_words() {
    let api = Api::start();
    let mut collector = Collector::start(&api);
    collector.write("status: failed\n");
    collector.write(&status("failed", "Profiler failed with exception: RuntimeError"));
    assert_eq!(collector.end().0, Some(0));
    let writes = api.writes();
    assert_eq!(writes.len(), 1);
    assert_eq!(writes[0].object["data"]["profiler_error"], "it's broken: $HOME");
    assert_eq!(writes[0].object["data"]["phase"], "SweepingDecode");
}

#[test]
fn a_stopped_pod_passes_on_what_is_known() {
    let api = Api::start();
    let mut collector = Collector::start(&api);
    collector.write(&status("running", "one"));
    api.wait_for(|write| write.message() == "one");
    collector.write(&status("running", "two"));
    collector.signal("TERM");
    let (code, log) = collector.end();
    assert_eq!(code, Some(5), "{log}");
    assert!(log.contains("stopped before the profiler's verdict"), "{log}");
    assert_eq!(api.writes().last().map(Write::message).as_deref(), Some("two"));
}

#[test]
fn results_of_an_earlier_run_on_the_same_volume_are_not_passed_on() {
    let directory = tempfile::tempdir().unwrap();
    let output = directory.path().join("data");
    std::fs::create_dir(&output).unwrap();
    std::fs::write(output.join("final_config.yaml"), "kind: Stale\n").unwrap();
    let earlier = status("success", "Profiler completed successfully");
    let year = jiff::Timestamp::now().strftime("%Y").to_string();
    write(&output, &earlier.replace(&format!("'{year}"), "'2020"));
    let api = Api::start();
    let mut collector = Collector::start_in(&api, directory);
    api.wait_for_watch();
    api.end_profiler(1, "Error");
    assert_eq!(collector.end().0, Some(0));
    let data: Vec<String> = api
        .writes()
        .iter()
        .map(|write| write.object["data"].to_string())
        .collect();
    assert!(data.iter().all(|data| !data.contains("Stale")), "{data:?}");
    assert!(
        data.last().unwrap().contains("it wrote no profiler_status.yaml"),
        "{data:?}"
    );
}

#[test]
fn our_own_profiler_is_followed_to_its_result() {
    let api = Api::start();
    let mut collector = Collector::start(&api);
    let output = collector.directory.path().join("data");
    let config = serde_json::json!({
        "model": "Qwen/Qwen3-32B", "backend": "vllm", "image": "nvcr.io/nvidia/ai-dynamo/dynamo-planner:1.6.1",
        "hardware": {"gpuSku": "h200_sxm", "numGpusPerNode": 8, "totalGpus": 8},
    });
    let arguments = ["dgdr-profiler", "-q", "profile", "--no-plots", "--config"].map(OsString::from);
    let values = [
        config.to_string().into(),
        "--output-dir".into(),
        output.clone().into(),
    ];
    let ended = dgdr_profiler::cli::run(arguments.into_iter().chain(values));
    assert_eq!(ended, dgdr_profiler::ExitStatus::Done);
    let (code, log) = collector.end();
    assert_eq!(code, Some(0), "{log}");
    let last = &api.writes().pop().unwrap().object;
    let written = std::fs::read_to_string(output.join("final_config.yaml")).unwrap();
    assert_eq!(last["data"]["final_config.yaml"], written);
    assert_eq!(last["data"]["phase"], "Done");
}
