//! An engine and a load for it.

use std::num::NonZeroU32;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use dgdr_load_generator::arrivals::Arrivals;
use dgdr_load_generator::lengths::Lengths;
use dgdr_load_generator::{
    Api, Endpoint, KvReuse, LoadError, PromptWriter, Run, Schedule, Shapes, Target, Workload, run,
};
use dgdr_mock_engine::{Engine, EngineLimits, Faults, Identity, Server, Timing, bind, serve};

/// How late threads of this machine wake up at the moment.
#[derive(Debug)]
pub(crate) struct Unrest {
    is_watched: Arc<AtomicBool>,
    watcher: std::thread::JoinHandle<f64>,
}

impl Unrest {
    /// Begins to watch.
    pub(crate) fn watch() -> Self {
        let is_watched = Arc::new(AtomicBool::new(true));
        let goes_on = is_watched.clone();
        let watcher = std::thread::spawn(move || {
            let (mut late, mut wakes) = (0.0, 0.0);
            while goes_on.load(Ordering::Relaxed) || wakes < 1.0 {
                let slept = Instant::now();
                std::thread::sleep(ms(1));
                late += slept.elapsed().as_secs_f64() * 1000.0 - 1.0;
                wakes += 1.0;
            }
            late / wakes
        });
        Self { is_watched, watcher }
    }

    /// Mean lateness since then, ms.
    pub(crate) fn late_ms(self) -> f64 {
        self.is_watched.store(false, Ordering::Relaxed);
        self.watcher.join().expect("a watcher")
    }
}

/// Measurements of time are made one after the other.
pub(crate) fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Milliseconds.
pub(crate) const fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// Starts an engine on a free port, on threads of its own; it serves as long as the process lives.
pub(crate) fn engine(timing: Timing, limits: EngineLimits, faults: Faults) -> Endpoint {
    let engine = Engine::start(timing, limits).expect("an engine");
    let identity = Identity {
        model: "mock".to_owned(),
        context_length: 100_000,
    };
    let server = Arc::new(Server::new(engine, identity, faults, || ()));
    let (tell, told) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime");
        runtime.block_on(async move {
            let listener = bind(([127, 0, 0, 1], 0).into()).await.expect("a port");
            tell.send(listener.local_addr().expect("an address"))
                .expect("a listener");
            serve(listener, server).await.expect("service");
        });
    });
    Endpoint::parse(&told.recv().expect("an address").to_string()).expect("an endpoint")
}

/// An ideal engine of fixed times.
pub(crate) fn paced(ttft: Duration, itl: Duration) -> Endpoint {
    let limits = EngineLimits {
        max_num_seqs: 1024,
        kv_blocks: 1_000_000,
        ..EngineLimits::default()
    };
    engine(Timing::Fixed { ttft, itl }, limits, Faults::default())
}

/// A load.
#[derive(Debug, Clone)]
pub(crate) struct Load {
    pub(crate) api: Api,
    pub(crate) isl: u32,
    pub(crate) osl: u32,
    pub(crate) requests: usize,
    pub(crate) warmup: usize,
    pub(crate) arrivals: Arrivals,
    pub(crate) kv_reuse: KvReuse,
    pub(crate) timeout: Duration,
}

impl Load {
    pub(crate) fn closed(concurrency: u32, requests: usize) -> Self {
        Self {
            api: Api::Chat,
            isl: 50,
            osl: 20,
            requests,
            warmup: 0,
            arrivals: Arrivals::Closed {
                concurrency: NonZeroU32::new(concurrency).expect("a concurrency"),
            },
            kv_reuse: KvReuse::Fresh,
            timeout: ms(60_000),
        }
    }

    /// Sends it.
    pub(crate) fn send(&self, endpoint: &Endpoint) -> Result<Run, LoadError> {
        let writer = match self.api {
            Api::Chat => PromptWriter::Common,
            Api::Completions => PromptWriter::Ids { vocabulary: 30_000 },
        };
        let mut extra = serde_json::Map::new();
        extra.insert(
            "nvext".to_owned(),
            serde_json::json!({"extra_fields": ["timing"]}),
        );
        let target = Target {
            endpoint: endpoint.clone(),
            api: self.api,
            model: "mock".to_owned(),
            api_key: None,
            extra,
        };
        let workload = Workload {
            shapes: Shapes::Drawn {
                isl: Lengths::Fixed(self.isl),
                osl: Lengths::Fixed(self.osl),
            },
            requests: self.requests,
            warmup: self.warmup,
            kv_reuse: self.kv_reuse,
            seed: 1,
        };
        let schedule = Schedule {
            arrivals: self.arrivals.clone(),
            seed: 1,
            timeout: self.timeout,
        };
        let prepared = workload.prepare(&target, &writer)?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime");
        runtime.block_on(run(endpoint, prepared, Arc::new(writer), &schedule, |_| ()))
    }
}
