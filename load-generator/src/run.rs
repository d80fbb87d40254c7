//! Sends what was prepared, when it is due.

use std::collections::VecDeque;
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use nix::sys::resource::{Resource, UsageWho, getrlimit, getrusage, setrlimit};
use nix::sys::time::TimeValLike;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::arrivals::Arrivals;
use crate::connection::{Connection, Dialer};
use crate::endpoint::Endpoint;
use crate::error::LoadError;
use crate::prompt::PromptWriter;
use crate::request::{Request, Timing, perform};
use crate::sample::Sample;
use crate::workload::Prepared;

/// When and how prepared requests are sent.
#[derive(Debug, Clone, PartialEq)]
pub struct Schedule {
    /// When measured requests are sent. Warm-up is a closed loop.
    pub arrivals: Arrivals,
    /// What random arrivals are drawn from.
    pub seed: u64,
    /// How long an answer may take.
    pub timeout: Duration,
}

/// How far a run is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// Whether it still warms up.
    pub warms_up: bool,
    /// Requests that were answered.
    pub done: usize,
    /// All requests of this phase.
    pub total: usize,
}

/// What was measured.
#[derive(Debug, Clone, PartialEq)]
pub struct Run {
    /// What became of each measured request, in the order of the plan.
    pub samples: Vec<Sample>,
    /// What became of the warm-up.
    pub warmup: Vec<Sample>,
    /// Requests in flight of a closed loop.
    pub concurrency: Option<NonZeroU32>,
    /// Seconds from the start of the measured phase to its last answer.
    pub wall_s: f64,
    /// Seconds of processor time that this process took meanwhile.
    pub cpu_s: f64,
    /// Threads that serve the run.
    pub threads: usize,
}

/// Requests in flight of a warm-up before an open loop.
const WARMUP_CONCURRENCY: u32 = 8;
/// Connections that are opened ahead of an open loop; more are opened when they are needed.
const MOST_CONNECTIONS_AHEAD: usize = 64;

/// Sends the warm-up, then what is measured, and waits for all answers. `watch` is told of every answer.
///
/// The future runs on the caller's tokio runtime, which needs its I/O and time drivers.
///
/// # Errors
/// [`LoadError`] when nothing can be sent at all. A request that fails is a [`Sample`] that says so.
pub async fn run(
    endpoint: &Endpoint,
    prepared: Prepared,
    writer: Arc<PromptWriter>,
    schedule: &Schedule,
    watch: impl Fn(Progress) + Send + Sync + 'static,
) -> Result<Run, LoadError> {
    allow_many_connections();
    let concurrency = schedule.arrivals.concurrency();
    let times = schedule
        .arrivals
        .send_times(prepared.measured.len(), schedule.seed)?;
    let sender = Arc::new(Sender {
        dialer: Dialer::new(endpoint)?,
        idle: Mutex::default(),
        writer,
        timeout: schedule.timeout,
        watch: Box::new(watch),
    });
    let in_flight = concurrency.map_or(WARMUP_CONCURRENCY, NonZeroU32::get);
    let in_flight = usize::try_from(in_flight).unwrap_or(usize::MAX);
    let ahead = match &times {
        None => in_flight.min(prepared.measured.len().max(prepared.warmup.len())),
        Some(_) => prepared.measured.len().min(MOST_CONNECTIONS_AHEAD),
    };
    sender.connect(ahead).await?;
    let warmup = sender.clone().closed(prepared.warmup, in_flight, true).await;
    sender.connect(ahead).await?;

    let cpu_before = cpu_seconds();
    let started = Instant::now();
    let samples = match times {
        None => sender.closed(prepared.measured, in_flight, false).await,
        Some(times) => sender.open(prepared.measured, times).await?,
    };
    Ok(Run {
        samples,
        warmup,
        concurrency,
        wall_s: started.elapsed().as_secs_f64(),
        cpu_s: cpu_seconds() - cpu_before,
        threads: tokio::runtime::Handle::current().metrics().num_workers(),
    })
}

/// Processor time of this process so far, seconds.
fn cpu_seconds() -> f64 {
    getrusage(UsageWho::RUSAGE_SELF).map_or(0.0, |usage| {
        let microseconds = (usage.user_time() + usage.system_time()).num_microseconds();
        u64::try_from(microseconds).map_or(0.0, dgdr_units::real) / 1e6
    })
}

/// Every connection is a file, and the usual limit is 1024.
fn allow_many_connections() {
    if let Ok((_, most)) = getrlimit(Resource::RLIMIT_NOFILE) {
        // Where that is not allowed, connections fail and say so.
        let _as_before = setrlimit(Resource::RLIMIT_NOFILE, most, most);
    }
}

/// What all requests of a run share.
struct Sender {
    dialer: Dialer,
    idle: Mutex<Vec<Connection>>,
    writer: Arc<PromptWriter>,
    timeout: Duration,
    watch: Box<dyn Fn(Progress) + Send + Sync>,
}

impl Sender {
    /// Opens connections until this many are idle.
    async fn connect(&self, count: usize) -> Result<(), LoadError> {
        let missing = count.saturating_sub(self.idle().len());
        for _ in 0..missing {
            let connection = self.dialer.open().await.map_err(|error| LoadError::Connect {
                address: self.dialer.authority(),
                problem: error.to_string(),
            })?;
            self.idle().push(connection);
        }
        Ok(())
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<Connection>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn send(&self, request: &Request, timing: Timing) -> Sample {
        let connection = self.idle().pop();
        let tools = (&self.dialer, self.writer.counter());
        let (sample, connection) = perform(request, timing, connection, tools).await;
        self.idle().extend(connection);
        sample
    }

    /// A closed loop: each of its places sends its next request when its last is answered.
    async fn closed(self: Arc<Self>, requests: Vec<Request>, places: usize, warms_up: bool) -> Vec<Sample> {
        let total = requests.len();
        let waiting = Arc::new(Mutex::new(VecDeque::from(requests)));
        let done = Arc::new(AtomicUsize::new(0));
        let epoch = Instant::now();
        let mut running = JoinSet::new();
        for _ in 0..places.min(total) {
            let (sender, waiting, done) = (self.clone(), waiting.clone(), done.clone());
            running.spawn(async move {
                let mut samples = Vec::new();
                let mut intended = epoch;
                loop {
                    let next = waiting.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
                    let Some(request) = next else {
                        return samples;
                    };
                    let timing = Timing {
                        epoch,
                        intended,
                        counts_from_intended: false,
                        timeout: sender.timeout,
                    };
                    let sample = sender.send(&request, timing).await;
                    intended =
                        epoch + Duration::try_from_secs_f64(sample.end_ms / 1000.0).unwrap_or_default();
                    samples.push(sample);
                    sender.tell(warms_up, &done, total);
                }
            });
        }
        in_order(running.join_all().await.concat())
    }

    /// An open loop: a thread of its own keeps time, because timers of the runtime are too coarse.
    async fn open(
        self: Arc<Self>,
        requests: Vec<Request>,
        times: Vec<Duration>,
    ) -> Result<Vec<Sample>, LoadError> {
        let total = requests.len();
        let done = Arc::new(AtomicUsize::new(0));
        let (due, mut are_due) = mpsc::unbounded_channel();
        let epoch = Instant::now();
        let clock = std::thread::Builder::new()
            .name("arrivals".to_owned())
            .spawn(move || {
                for (request, time) in requests.into_iter().zip(times) {
                    let intended = epoch + time;
                    std::thread::sleep(intended.saturating_duration_since(Instant::now()));
                    if due.send((request, intended)).is_err() {
                        return;
                    }
                }
            })
            .map_err(|source| LoadError::System {
                what: "start a thread",
                source,
            })?;
        let mut running = JoinSet::new();
        while let Some((request, intended)) = are_due.recv().await {
            let (sender, done) = (self.clone(), done.clone());
            running.spawn(async move {
                let timing = Timing {
                    epoch,
                    intended,
                    counts_from_intended: true,
                    timeout: sender.timeout,
                };
                let sample = sender.send(&request, timing).await;
                sender.tell(false, &done, total);
                sample
            });
        }
        let samples = running.join_all().await;
        // All requests were taken over, so the clock has nothing left to do.
        let _ended = clock.join();
        Ok(in_order(samples))
    }

    fn tell(&self, warms_up: bool, done: &AtomicUsize, total: usize) {
        let done = done.fetch_add(1, Ordering::Relaxed) + 1;
        (self.watch)(Progress {
            warms_up,
            done,
            total,
        });
    }
}

fn in_order(mut samples: Vec<Sample>) -> Vec<Sample> {
    samples.sort_by_key(|sample| sample.index);
    samples
}
