//! Which of several operators acts: the one that holds a Lease, as Kubernetes' own controllers do it.
//!
//! Times are those of client-go: a lease lasts 15 s, its holder renews it every 2 s and stops acting when it could not for
//! 10 s. Others measure its age by their own clock, from when they saw it change, so that clocks may differ.

use std::time::{Duration, Instant};

use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta};
use kube::api::PostParams;
use kube::{Api, Client};
use tokio::sync::watch;
use tracing::{debug, info, warn};

/// Name of the lease.
pub const LEASE: &str = "dgdr-operator";
/// How long a lease lasts.
const LASTS: Duration = Duration::from_secs(15);
/// How long a holder acts without having renewed.
const RENEW_DEADLINE: Duration = Duration::from_secs(10);
/// Time between tries.
const RETRY: Duration = Duration::from_secs(2);

/// Another's lease as it was seen, and when by our own clock.
#[derive(Debug, Clone, PartialEq)]
struct Sighting {
    spec: LeaseSpec,
    since: Instant,
}

/// One candidate.
#[derive(Debug)]
pub struct Candidate {
    leases: Api<Lease>,
    identity: String,
    sighting: Option<Sighting>,
}

/// What a candidate should do about a lease.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Move {
    /// It is ours: say that we live.
    Renew,
    /// Nobody has it, or its holder is gone.
    Take,
    /// Another has it.
    Wait,
}

impl Candidate {
    /// A candidate of a name that no other has.
    pub fn new(client: Client, namespace: &str, identity: String) -> Self {
        Self {
            leases: Api::namespaced(client, namespace),
            identity,
            sighting: None,
        }
    }

    /// Waits until it leads, tells so, and goes on renewing. Ends when it could not renew in time, or when it is told to.
    pub async fn campaign(mut self, leads: watch::Sender<bool>, mut stop: watch::Receiver<bool>) {
        let mut renewed: Option<Instant> = None;
        loop {
            // A server that hangs must not keep a holder from noticing that its time is up.
            let left =
                RENEW_DEADLINE.saturating_sub(renewed.map_or(Duration::ZERO, |renewed| renewed.elapsed()));
            let started = Instant::now();
            match tokio::time::timeout(left, self.attempt()).await {
                Ok(Ok(true)) => {
                    if renewed.is_none() {
                        info!(identity = %self.identity, "this operator leads");
                        let _ = leads.send(true);
                    }
                    renewed = Some(started);
                }
                Ok(Ok(false)) if renewed.is_some() => {
                    warn!("another operator took the lease");
                    break;
                }
                Ok(Ok(false)) => {}
                Ok(Err(error)) => debug!(%error, "the lease could not be renewed"),
                Err(_elapsed) => debug!("the API server does not answer"),
            }
            if renewed.is_some_and(|renewed| renewed.elapsed() >= RENEW_DEADLINE) {
                warn!("the lease could not be renewed in time");
                break;
            }
            let stopped = tokio::select! {
                () = tokio::time::sleep(RETRY) => false,
                () = stopped(&mut stop) => true,
            };
            if stopped {
                // Another need not wait until it runs out.
                if renewed.is_some() {
                    self.release().await;
                }
                break;
            }
        }
        let _ = leads.send(false);
    }

    /// One try to hold the lease; true where it is held.
    async fn attempt(&mut self) -> Result<bool, kube::Error> {
        let Some(lease) = self.leases.get_opt(LEASE).await? else {
            let lease = Lease {
                metadata: ObjectMeta {
                    name: Some(LEASE.to_owned()),
                    ..ObjectMeta::default()
                },
                spec: Some(self.claim(None)),
            };
            return won(self.leases.create(&PostParams::default(), &lease).await);
        };
        let spec = lease.spec.clone().unwrap_or_default();
        match self.judge(&spec, Instant::now()) {
            Move::Wait => Ok(false),
            Move::Renew | Move::Take => {
                let claimed = Lease {
                    spec: Some(self.claim(Some(&spec))),
                    ..lease
                };
                won(self.leases.replace(LEASE, &PostParams::default(), &claimed).await)
            }
        }
    }

    fn judge(&mut self, spec: &LeaseSpec, now: Instant) -> Move {
        let holder = spec.holder_identity.as_deref().unwrap_or_default();
        if holder == self.identity {
            return Move::Renew;
        }
        if holder.is_empty() {
            return Move::Take;
        }
        if self.sighting.as_ref().is_none_or(|known| known.spec != *spec) {
            self.sighting = Some(Sighting {
                spec: spec.clone(),
                since: now,
            });
        }
        let lasts = spec
            .lease_duration_seconds
            .and_then(|seconds| u64::try_from(seconds).ok());
        let lasts = lasts.map_or(LASTS, Duration::from_secs);
        let is_over = self
            .sighting
            .as_ref()
            .is_some_and(|known| now.duration_since(known.since) > lasts);
        if is_over { Move::Take } else { Move::Wait }
    }

    fn claim(&self, before: Option<&LeaseSpec>) -> LeaseSpec {
        let now = MicroTime(Timestamp::now());
        let ours = before.filter(|spec| spec.holder_identity.as_deref() == Some(self.identity.as_str()));
        let transitions = before.map_or(0, |spec| spec.lease_transitions.unwrap_or_default());
        LeaseSpec {
            holder_identity: Some(self.identity.clone()),
            lease_duration_seconds: i32::try_from(LASTS.as_secs()).ok(),
            acquire_time: ours
                .and_then(|spec| spec.acquire_time.clone())
                .or_else(|| Some(now.clone())),
            renew_time: Some(now),
            lease_transitions: Some(transitions + i32::from(before.is_some() && ours.is_none())),
            ..LeaseSpec::default()
        }
    }

    async fn release(&self) {
        let Ok(Some(lease)) = self.leases.get_opt(LEASE).await else {
            return;
        };
        let spec = lease.spec.clone().unwrap_or_default();
        if spec.holder_identity.as_deref() != Some(self.identity.as_str()) {
            return;
        }
        let free = Lease {
            spec: Some(LeaseSpec {
                holder_identity: Some(String::new()),
                lease_duration_seconds: Some(1),
                ..spec
            }),
            ..lease
        };
        if let Err(error) = self.leases.replace(LEASE, &PostParams::default(), &free).await {
            debug!(%error, "the lease could not be released");
        }
    }
}

async fn stopped(stop: &mut watch::Receiver<bool>) {
    let _ = stop.wait_for(|stop| *stop).await;
}

/// A lost race is no error.
fn won<K>(answer: Result<K, kube::Error>) -> Result<bool, kube::Error> {
    match answer {
        Ok(_) => Ok(true),
        Err(kube::Error::Api(status)) if status.code == 409 => Ok(false),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use k8s_openapi::api::coordination::v1::LeaseSpec;
    use kube::Config;

    use super::{Candidate, Move};

    fn candidate() -> Candidate {
        let config = Config::new("http://127.0.0.1:1".parse().unwrap());
        let client = kube::Client::try_from(config).unwrap();
        Candidate::new(client, "n", "me".to_owned())
    }

    fn held_by(holder: &str, transitions: i32) -> LeaseSpec {
        LeaseSpec {
            holder_identity: Some(holder.to_owned()),
            lease_duration_seconds: Some(15),
            lease_transitions: Some(transitions),
            ..LeaseSpec::default()
        }
    }

    #[tokio::test]
    async fn a_lease_is_taken_when_its_holder_says_nothing_for_its_length() {
        let mut me = candidate();
        let start = Instant::now();
        let after = |seconds| start + Duration::from_secs(seconds);
        assert_eq!(me.judge(&held_by("", 0), start), Move::Take);
        assert_eq!(me.judge(&held_by("me", 0), start), Move::Renew);
        assert_eq!(me.judge(&held_by("other", 0), start), Move::Wait);
        assert_eq!(me.judge(&held_by("other", 0), after(14)), Move::Wait);
        assert_eq!(
            me.judge(&held_by("other", 1), after(14)),
            Move::Wait,
            "it said something"
        );
        assert_eq!(me.judge(&held_by("other", 1), after(20)), Move::Wait);
        assert_eq!(me.judge(&held_by("other", 1), after(30)), Move::Take);
    }

    #[tokio::test]
    async fn changes_of_hands_are_counted() {
        let me = candidate();
        let taken = me.claim(Some(&held_by("other", 3)));
        assert_eq!(taken.lease_transitions, Some(4));
        let renewed = me.claim(Some(&taken));
        assert_eq!(renewed.lease_transitions, Some(4));
        assert_eq!(renewed.acquire_time, taken.acquire_time);
    }
}
