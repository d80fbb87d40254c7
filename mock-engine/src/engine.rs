//! A simulated engine on the real clock.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::mpsc as wakers;

use crate::batched::Batched;
use crate::core::{Core, EngineLimits, Load, NewRequest, Token};
use crate::error::MockError;
use crate::paced::Paced;
use crate::timing::Timing;

/// How long a stalled engine sleeps before it looks whether it still is.
const STALL_PAUSE: Duration = Duration::from_millis(20);

/// A simulated engine that runs on a thread of its own until it is dropped.
#[derive(Debug)]
pub struct Engine {
    commands: mpsc::Sender<Command>,
    next_id: AtomicU64,
    shared: Arc<Shared>,
    limits: EngineLimits,
    started: Instant,
}

/// What the thread tells.
#[derive(Debug, Default)]
struct Shared {
    load: Mutex<Load>,
    is_stalled: AtomicBool,
}

#[derive(Debug)]
enum Command {
    Serve(Instant, NewRequest, wakers::UnboundedSender<Token>),
    Cancel(u64),
}

/// A request that is served: dropped before its end it is cancelled.
#[derive(Debug)]
pub struct Served {
    id: u64,
    tokens: wakers::UnboundedReceiver<Token>,
    commands: mpsc::Sender<Command>,
    arrived: Duration,
}

impl Served {
    /// The next token; none behind the last.
    pub async fn token(&mut self) -> Option<Token> {
        self.tokens.recv().await
    }

    /// The next token, if it is there, for whoever polls.
    pub fn poll_token(&mut self, context: &mut std::task::Context<'_>) -> std::task::Poll<Option<Token>> {
        self.tokens.poll_recv(context)
    }

    /// When the request arrived, since the engine's start.
    pub const fn arrived(&self) -> Duration {
        self.arrived
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        // An engine that is gone has nothing left to cancel.
        let _gone = self.commands.send(Command::Cancel(self.id));
    }
}

impl Engine {
    /// Starts an engine.
    ///
    /// # Errors
    /// [`MockError::Setting`] for limits that make no engine; [`MockError::System`] when there is no thread to be had.
    pub fn start(timing: Timing, limits: EngineLimits) -> Result<Self, MockError> {
        let limits = limits.check()?;
        let core: Box<dyn Core> = match timing {
            Timing::Fixed { ttft, itl } => Box::new(Paced::new(ttft, itl, limits)),
            Timing::Steps(model) => Box::new(Batched::new(model, limits)),
        };
        let (commands, to_do) = mpsc::channel();
        let shared = Arc::new(Shared::default());
        let started = Instant::now();
        let clockwork = Clockwork {
            core,
            to_do,
            shared: shared.clone(),
            started,
            listeners: BTreeMap::new(),
        };
        std::thread::Builder::new()
            .name("mock-engine".to_owned())
            .spawn(move || clockwork.run())
            .map_err(|source| MockError::System {
                what: "start a thread",
                source,
            })?;
        Ok(Self {
            commands,
            next_id: AtomicU64::new(1),
            shared,
            limits,
            started,
        })
    }

    /// Serves a request; none when it can never fit into the KV cache.
    pub fn serve(&self, prompt_tokens: u32, prefix_blocks: Vec<u64>, output_tokens: u32) -> Option<Served> {
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        let request = NewRequest {
            id,
            prompt_tokens,
            prefix_blocks,
            output_tokens,
        };
        if u64::from(request.tokens()) > self.limits.kv_tokens() {
            return None;
        }
        let now = Instant::now();
        let (sender, tokens) = wakers::unbounded_channel();
        // The thread ends only when this is dropped.
        let _running = self.commands.send(Command::Serve(now, request, sender));
        Some(Served {
            id,
            tokens,
            commands: self.commands.clone(),
            arrived: now.saturating_duration_since(self.started),
        })
    }

    /// What it has to do at the moment.
    pub fn load(&self) -> Load {
        *self.shared.load.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What bounds it.
    pub const fn limits(&self) -> EngineLimits {
        self.limits
    }

    /// Stops giving tokens, or goes on.
    pub fn stall(&self, is_stalled: bool) {
        self.shared.is_stalled.store(is_stalled, Ordering::Relaxed);
    }
}

/// The engine's thread.
struct Clockwork {
    core: Box<dyn Core>,
    to_do: mpsc::Receiver<Command>,
    shared: Arc<Shared>,
    started: Instant,
    listeners: BTreeMap<u64, wakers::UnboundedSender<Token>>,
}

impl Clockwork {
    fn run(mut self) {
        let mut tokens = Vec::new();
        loop {
            let command = match self.core.due() {
                Some(due) => {
                    let left = (self.started + due).saturating_duration_since(Instant::now());
                    match self.to_do.recv_timeout(left) {
                        Ok(command) => Some(command),
                        Err(RecvTimeoutError::Timeout) => None,
                        Err(RecvTimeoutError::Disconnected) => return,
                    }
                }
                None => match self.to_do.recv() {
                    Ok(command) => Some(command),
                    Err(mpsc::RecvError) => return,
                },
            };
            match command {
                Some(command) => self.obey(command),
                None if self.shared.is_stalled.load(Ordering::Relaxed) => std::thread::sleep(STALL_PAUSE),
                None => self.go_on(&mut tokens),
            }
        }
    }

    fn obey(&mut self, command: Command) {
        match command {
            Command::Serve(at, request, listener) => {
                self.listeners.insert(request.id, listener);
                self.core
                    .arrive(at.saturating_duration_since(self.started), request);
            }
            Command::Cancel(id) => {
                self.listeners.remove(&id);
                self.core.cancel(id);
            }
        }
        self.tell();
    }

    fn go_on(&mut self, tokens: &mut Vec<Token>) {
        self.core.advance(tokens);
        for token in tokens.drain(..) {
            if let Some(listener) = self.listeners.get(&token.id) {
                // Whoever no longer listens cancels, too.
                let _gone = listener.send(token);
            }
            if token.is_last {
                self.listeners.remove(&token.id);
            }
        }
        self.tell();
    }

    fn tell(&self) {
        *self.shared.load.lock().unwrap_or_else(PoisonError::into_inner) = self.core.load();
    }
}
