//! The container that passes a profiler's results on: it watches the files and the end of the container beside it, and
//! keeps the ConfigMap `dgdr-output-<name>` as [`collection`] says.
//!
//! Files tell the progress and the pod tells the end: a profiler that is killed writes nothing any more. Whatever the API
//! server refuses for a while is tried again; only what stays refused, or a server that is away ten minutes after the
//! profiler ended, makes the collector fail, and with it the Job.

mod changes;
mod error;
mod files;
mod pod;
mod relay;
mod writer;

use std::convert::Infallible;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use clap::Args;
use dgdr_types::contract::environment;
use dgdr_types::names::DgdrName;
use kube::{Client, Config};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::collection::{self, Left};
use changes::{Changes, Hint};
pub use error::CollectError;
use files::{Directory, Snapshot};
use pod::Sight;
use relay::{Next, Persistence, Relay};
use writer::Writer;

/// How long the last write may take once the pod is being stopped: well below the grace period of a pod.
const LAST_WRITE: Duration = Duration::from_secs(5);

/// Whose results are passed on, and from where. A Job gives all but the first by the environment.
#[derive(Debug, Clone, Args)]
pub struct Arguments {
    /// The profiler's output directory.
    #[arg(long, value_name = "DIR", default_value = crate::profiling_job::OUTPUT_DIRECTORY)]
    pub output_dir: PathBuf,
    /// Name of the DGDR.
    #[arg(long, value_name = "NAME", env = environment::NAME, value_parser = name)]
    pub dgdr: DgdrName,
    /// Its namespace.
    #[arg(long, value_name = "NAMESPACE", env = environment::NAMESPACE)]
    pub namespace: String,
    /// Its UID.
    #[arg(long, value_name = "UID", env = environment::UID)]
    pub uid: String,
    /// Generation of the spec that is profiled.
    #[arg(long, value_name = "NUMBER", env = environment::GENERATION)]
    pub generation: Option<i64>,
    /// The pod in which the profiler runs.
    #[arg(long, value_name = "NAME", env = "HOSTNAME")]
    pub pod: String,
}

fn name(text: &str) -> Result<DgdrName, String> {
    DgdrName::new(text).map_err(|error| error.to_string())
}

/// Passes results on until the profiler's verdict is in the ConfigMap.
///
/// # Errors
/// [`CollectError`] when it could not be passed on.
pub async fn collect(arguments: &Arguments) -> Result<(), CollectError> {
    let terminate = signal(SignalKind::terminate()).map_err(CollectError::Signals)?;
    let client = client().await?;
    let (sender, pod) = watch::channel(Sight::default());
    let follow = pod::follow(
        client.clone(),
        arguments.namespace.clone(),
        arguments.pod.clone(),
        sender,
    );
    let mut collector = Collector {
        directory: Directory::new(arguments.output_dir.clone()),
        changes: Changes::of(&arguments.output_dir),
        seen: Snapshot::default(),
        relay: Relay::default(),
        writer: Writer::new(client, arguments),
        pod,
        following: tokio::spawn(follow),
        terminate,
    };
    let result = collector.run().await;
    collector.following.abort();
    result
}

/// A client that leaves retries and deadlines to us, who know what must not wait.
async fn client() -> Result<Client, CollectError> {
    let mut config = Config::infer().await.map_err(CollectError::NoAccess)?;
    config.default_retry = false;
    config.connect_timeout = Some(Duration::from_secs(10));
    config.read_timeout = Some(pod::SILENCE);
    Client::try_from(config).map_err(CollectError::Client)
}

struct Collector {
    directory: Directory,
    changes: Changes,
    seen: Snapshot,
    relay: Relay,
    writer: Writer,
    pod: watch::Receiver<Sight>,
    following: JoinHandle<Result<Infallible, CollectError>>,
    terminate: Signal,
}

impl Collector {
    async fn run(&mut self) -> Result<(), CollectError> {
        let mut hint = Hint::Changed;
        loop {
            self.look(hint).await?;
            hint = Hint::Changed;
            match self.relay.next(Instant::now()) {
                Next::Done => return Ok(()),
                Next::Write(entries) => {
                    tokio::select! {
                        result = self.writer.apply(&entries) => match result {
                            Ok(()) => self.relay.written(entries, Instant::now()),
                            Err(refusal) => {
                                tracing::warn!(error = %refusal.error, "the ConfigMap could not be written");
                                if self.relay.failed(refusal.kind, Instant::now()) == Persistence::GiveUp {
                                    return Err(refusal.error);
                                }
                            }
                        },
                        _ = self.terminate.recv() => return self.flush().await,
                    }
                }
                Next::Wait(until) => tokio::select! {
                    told = self.changes.next(until) => hint = told,
                    // The sender lives as long as the task below.
                    Ok(()) = self.pod.changed() => {}
                    ended = &mut self.following => return Err(end_of(ended)),
                    _ = self.terminate.recv() => return self.flush().await,
                },
            }
        }
    }

    /// Takes in what files and pod say now.
    async fn look(&mut self, hint: Hint) -> Result<(), CollectError> {
        let Sight { started, ended } = self.pod.borrow_and_update().clone();
        // A volume may hold files of an earlier run: until it is known when this one began, none is believed.
        let Some(started) = started else { return Ok(()) };
        let snapshot = self.directory.read(started).await?;
        if hint == Hint::Nothing && snapshot != self.seen {
            self.changes.distrust();
        }
        let now = Instant::now();
        if ended.is_some() {
            self.relay.end(now);
        }
        self.relay.see(
            collection::entries(&Left {
                status_text: &snapshot.status_text,
                result: snapshot.result(),
                ended,
            }),
            now,
        );
        self.seen = snapshot;
        Ok(())
    }

    /// Passes on what is known, once: the pod is being stopped.
    async fn flush(&mut self) -> Result<(), CollectError> {
        self.look(Hint::Changed).await?;
        if let Some(entries) = self.relay.untold() {
            let written = tokio::time::timeout(LAST_WRITE, self.writer.apply(&entries)).await;
            match written {
                Ok(Ok(())) => self.relay.written(entries, Instant::now()),
                Ok(Err(refusal)) => return Err(refusal.error),
                Err(_elapsed) => return Err(CollectError::Interrupted),
            }
        }
        match self.relay.next(Instant::now()) {
            Next::Done => Ok(()),
            Next::Write(_) | Next::Wait(_) => Err(CollectError::Interrupted),
        }
    }
}

fn end_of(ended: Result<Result<Infallible, CollectError>, tokio::task::JoinError>) -> CollectError {
    match ended {
        Ok(Err(error)) => error,
        Err(error) => CollectError::Task(error),
    }
}
