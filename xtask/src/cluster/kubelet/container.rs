//! Containers as processes: one after the other or side by side, again and again where the pod wants that.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::core::v1::{Container, Pod};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use tokio::process::{Child, Command};
use tokio::sync::{mpsc, watch};
use tokio::time::{sleep, timeout};

use super::container_root::{Bind, Launch, NOT_STARTED};
use super::images::{self, Images};
use super::objects::{NotYet, Objects};
use super::status::{Change, Ended, Note, Restarts};
use super::volumes::{self, Folders};
use super::{environment, now};

/// The running program itself, though its file may have been built anew, with other features, since it started.
const THIS_PROGRAM: &str = "/proc/self/exe";
/// How long to wait before something missing is looked for again.
const AGAIN: Duration = Duration::from_millis(500);
/// The first wait of a container that crashes, a twentieth of a kubelet's: nobody watches a test for minutes.
const FIRST_BACK_OFF: Duration = Duration::from_millis(500);
const LONGEST_BACK_OFF: Duration = Duration::from_secs(15);
/// What a shell and a kubelet add to a signal's number.
const SIGNALLED: i32 = 128;
/// What the kernel's own killing of a container ends it with.
const OUT_OF_MEMORY: i32 = SIGNALLED + 9;
/// How long a container of a pod that wants it lives until memory runs out.
const UNTIL_OUT_OF_MEMORY: Duration = Duration::from_millis(200);
/// Names the container that runs out of memory.
const OUT_OF_MEMORY_ANNOTATION: &str = "test.dgdr/oom";
/// How much of a log explains a failure, where the pod wants that.
const LAST_LINES: usize = 80;
const MOST_LAST_WORDS: usize = 4096;

/// How long a pod that is deleted may take; none while it is not.
pub(super) type Stop = watch::Receiver<Option<Duration>>;

/// What all containers of a pod work with.
#[derive(Clone)]
pub(super) struct Workshop {
    pub(super) pod: Arc<Pod>,
    pub(super) images: Arc<Images>,
    /// The pod's folder.
    pub(super) folder: PathBuf,
    pub(super) volumes: Arc<Folders>,
    pub(super) objects: Objects,
    pub(super) notes: mpsc::UnboundedSender<Note>,
    pub(super) stop: Stop,
}

/// Waits until the pod is to end.
pub(super) async fn stopped(stop: &mut Stop) -> Duration {
    match stop.wait_for(Option::is_some).await {
        Ok(grace) => grace.unwrap_or_default(),
        // Whoever started the pod is gone.
        Err(_) => Duration::ZERO,
    }
}

/// Where a run's output goes.
pub(super) fn log_file(folder: &Path, container: &str, times: i32) -> PathBuf {
    folder.join("logs").join(format!("{container}.{times}.log"))
}

/// What is there once a run's output is complete.
pub(super) fn end_of_log(log: &Path) -> PathBuf {
    log.with_extension("end")
}

impl Workshop {
    /// Runs a container until it will not run again; true when it did well.
    pub(super) async fn keep_running(mut self, container: &Container, restarts: Restarts) -> bool {
        let mut back_off = FIRST_BACK_OFF;
        let mut times = 0;
        loop {
            let Some(launch) = self.prepare(container, times).await else {
                return false;
            };
            let end = self.run_once(container, &launch, times).await;
            let stopping = self.stop.borrow().is_some();
            let again = match restarts {
                Restarts::Never => false,
                Restarts::OnFailure => end.exit_code != 0,
                Restarts::Always => true,
            };
            let over = stopping || !again;
            let well = end.exit_code == 0;
            self.tell(container, Change::Ended { end, over });
            if over {
                return well;
            }
            sleep_or_stop(back_off.min(AGAIN), &mut self.stop).await;
            self.tell(
                container,
                Change::Waiting {
                    reason: "CrashLoopBackOff",
                    message: format!(
                        "back-off {}s restarting failed container={} pod={}",
                        back_off.as_secs(),
                        container.name,
                        self.pod.metadata.name.as_deref().unwrap_or_default()
                    ),
                },
            );
            sleep_or_stop(back_off, &mut self.stop).await;
            back_off = (back_off * 2).min(LONGEST_BACK_OFF);
            times += 1;
        }
    }

    fn tell(&self, container: &Container, change: Change) {
        // Nobody listens any more when the pod is gone.
        let _ = self.notes.send(Note {
            container: container.name.clone(),
            change,
        });
    }

    /// Waits until the container can start; none when its pod is to end first.
    async fn prepare(&mut self, container: &Container, times: i32) -> Option<Launch> {
        let mut pulls = 0;
        while self.stop.borrow().is_none() {
            let waiting = match self.launch(container, times).await {
                Ok(launch) => return Some(launch),
                Err(Obstacle::Image(message)) => {
                    pulls += 1;
                    // A kubelet names the failure first, and then that it will try again later.
                    let reason = if pulls == 1 {
                        "ErrImagePull"
                    } else {
                        "ImagePullBackOff"
                    };
                    let image = container.image.as_deref().unwrap_or_default();
                    let message = if pulls == 1 {
                        message
                    } else {
                        format!("Back-off pulling image \"{image}\": ErrImagePull: {message}")
                    };
                    (pulls <= 2).then_some(Change::Waiting { reason, message })
                }
                Err(Obstacle::Settings(missing)) => Some(Change::Waiting {
                    reason: "CreateContainerConfigError",
                    message: missing.to_string(),
                }),
            };
            if let Some(change) = waiting {
                self.tell(container, change);
            }
            sleep_or_stop(AGAIN, &mut self.stop).await;
        }
        None
    }

    async fn launch(&self, container: &Container, times: i32) -> Result<Launch, Obstacle> {
        let name = container.image.as_deref().unwrap_or_default();
        let image = self
            .images
            .pull(name)
            .ok_or_else(|| Obstacle::Image(images::pull_failure(name)))?;
        let variables = environment::of(&self.pod, container, &self.objects).await?;
        let expand_all = |words: &Option<Vec<String>>| -> Vec<String> {
            words
                .iter()
                .flatten()
                .map(|word| environment::expand(word, &variables))
                .collect()
        };
        let invocation = image
            .invocation(images::Command {
                command: &expand_all(&container.command),
                args: &expand_all(&container.args),
            })
            .ok_or_else(|| NotYet::new("no command specified"))?;
        let mut binds = volumes::binds(container, &self.volumes, |text| {
            environment::expand(text, &variables)
        })?;
        let last_words = self.folder.join(format!("{}.{times}.last-words", container.name));
        fs::write(&last_words, "").map_err(NotYet::from)?;
        binds.push(Bind {
            source: last_words.clone(),
            target: container
                .termination_message_path
                .as_deref()
                .unwrap_or("/dev/termination-log")
                .into(),
        });
        let root = self.folder.join(format!("{}.root", container.name));
        fs::create_dir_all(&root).map_err(NotYet::from)?;
        Ok(Launch {
            root,
            binds,
            invocation,
            variables: BTreeMap::clone(&variables),
            folder: container.working_dir.as_deref().unwrap_or("/").into(),
            last_words,
        })
    }

    /// Runs the container once.
    async fn run_once(&mut self, container: &Container, launch: &Launch, times: i32) -> Ended {
        let started = now();
        let uid = self.pod.metadata.uid.as_deref().unwrap_or_default();
        let id = format!("process://{uid}/{}/{times}", container.name);
        let log = log_file(&self.folder, &container.name, times);
        let ended = |exit_code, reason, message| Ended {
            exit_code,
            reason,
            message,
            started: started.clone(),
            id: id.clone(),
        };
        let mut process = match self.spawn(container, launch, &log) {
            Ok(process) => process,
            Err(error) => {
                let _ = fs::write(end_of_log(&log), "");
                return ended(SIGNALLED, "StartError", error.to_string());
            }
        };
        self.tell(
            container,
            Change::Running {
                times,
                id: id.clone(),
            },
        );
        let (status, out_of_memory) = self.wait(container, &mut process).await;
        drop(process);
        let _ = fs::write(end_of_log(&log), "");
        let exit_code = status.map_or(SIGNALLED, exit_code);
        let words = last_words(container, launch, &log, exit_code);
        if exit_code != 0 && words.starts_with(NOT_STARTED) {
            return ended(SIGNALLED, "StartError", words);
        }
        let reason = match exit_code {
            0 => "Completed",
            OUT_OF_MEMORY if out_of_memory => "OOMKilled",
            _ => "Error",
        };
        ended(exit_code, reason, words)
    }

    fn spawn(&self, container: &Container, launch: &Launch, log: &Path) -> anyhow::Result<Group> {
        if let Some(folder) = log.parent() {
            fs::create_dir_all(folder)?;
        }
        let output = File::create(log)?;
        let description = self.folder.join(format!("{}.json", container.name));
        fs::write(&description, serde_json::to_vec(launch)?)?;
        let child = Command::new(THIS_PROGRAM)
            .args(["cluster", "container"])
            .arg(&description)
            .env_clear()
            .stdin(Stdio::null())
            .stdout(output.try_clone()?)
            .stderr(output)
            .process_group(0)
            .spawn()?;
        let id = child.id().and_then(|id| i32::try_from(id).ok());
        Ok(Group {
            first: child,
            id: id.map(Pid::from_raw),
        })
    }

    /// Waits for the end, or brings it about; true when memory ran out.
    async fn wait(
        &mut self,
        container: &Container,
        process: &mut Group,
    ) -> (std::io::Result<ExitStatus>, bool) {
        let annotations = self.pod.metadata.annotations.as_ref();
        let thirsty = annotations.and_then(|annotations| annotations.get(OUT_OF_MEMORY_ANNOTATION));
        if thirsty.is_some_and(|name| *name == container.name) {
            if let Ok(status) = timeout(UNTIL_OUT_OF_MEMORY, process.first.wait()).await {
                return (status, false);
            }
            process.signal(Signal::SIGKILL);
            return (process.first.wait().await, true);
        }
        tokio::select! {
            status = process.first.wait() => return (status, false),
            grace = stopped(&mut self.stop) => {
                process.signal(Signal::SIGTERM);
                if let Ok(status) = timeout(grace, process.first.wait()).await {
                    return (status, false);
                }
            }
        }
        process.signal(Signal::SIGKILL);
        (process.first.wait().await, false)
    }
}

async fn sleep_or_stop(duration: Duration, stop: &mut Stop) {
    tokio::select! {
        () = sleep(duration) => {}
        _ = stopped(stop) => {}
    }
}

/// Why a container cannot start.
enum Obstacle {
    Image(String),
    Settings(NotYet),
}

impl From<NotYet> for Obstacle {
    fn from(missing: NotYet) -> Self {
        Self::Settings(missing)
    }
}

/// A process with all that it started; all of them end with it.
struct Group {
    first: Child,
    /// Known also when the first process has ended and others live on.
    id: Option<Pid>,
}

impl Group {
    fn signal(&self, signal: Signal) {
        if let Some(id) = self.id {
            // All of them may have ended just now.
            let _ = killpg(id, signal);
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.signal(Signal::SIGKILL);
    }
}

fn exit_code(status: ExitStatus) -> i32 {
    status
        .code()
        .unwrap_or_else(|| SIGNALLED + status.signal().unwrap_or_default())
}

/// The termination message: what the container wrote there, or the end of its log where the pod wants that.
fn last_words(container: &Container, launch: &Launch, log: &Path, exit_code: i32) -> String {
    let words = read_end(&launch.last_words);
    let falls_back = container.termination_message_policy.as_deref() == Some("FallbackToLogsOnError");
    if !words.is_empty() || exit_code == 0 || !falls_back {
        return words;
    }
    let text = read_end(log);
    let lines: Vec<&str> = text.lines().collect();
    let from = lines.len().saturating_sub(LAST_LINES);
    lines.get(from..).unwrap_or_default().join("\n")
}

fn read_end(path: &Path) -> String {
    let bytes = fs::read(path).unwrap_or_default();
    let from = bytes.len().saturating_sub(MOST_LAST_WORDS);
    String::from_utf8_lossy(bytes.get(from..).unwrap_or_default()).into_owned()
}
