use std::time::{Duration, Instant};

use proptest::prelude::*;

use super::{Entries, Failure, Next, Persistence, Relay, is_verdict};
use crate::collection::key;

fn progress(message: &str) -> Entries {
    [
        (key::PHASE.to_owned(), "SweepingDecode".to_owned()),
        (key::MESSAGE.to_owned(), message.to_owned()),
    ]
    .into()
}

fn verdict(status: &str) -> Entries {
    [
        (key::MESSAGE.to_owned(), "the end".to_owned()),
        (key::STATUS.to_owned(), status.to_owned()),
    ]
    .into()
}

const fn ms(count: u64) -> Duration {
    Duration::from_millis(count)
}

#[test]
fn progress_is_written_at_once_then_seldom_and_the_last_wins() {
    let start = Instant::now();
    let mut relay = Relay::default();
    assert_eq!(relay.next(start), Next::Wait(None));
    relay.see(Some(progress("1/4")), start);
    assert_eq!(relay.next(start), Next::Write(progress("1/4")));
    relay.written(progress("1/4"), start);
    assert_eq!(relay.next(start), Next::Wait(None), "nothing is written twice");
    relay.see(Some(progress("2/4")), start + ms(10));
    relay.see(Some(progress("3/4")), start + ms(20));
    assert_eq!(relay.next(start + ms(20)), Next::Wait(Some(start + ms(500))));
    assert_eq!(relay.next(start + ms(500)), Next::Write(progress("3/4")));
}

#[test]
fn the_end_is_never_delayed() {
    let start = Instant::now();
    let mut relay = Relay::default();
    relay.written(progress("1/4"), start);
    relay.see(Some(progress("2/4")), start);
    for _ in 0..9 {
        relay.failed(Failure::Transient(None), start);
    }
    relay.see(Some(verdict("success")), start + ms(1));
    assert_eq!(relay.next(start + ms(1)), Next::Write(verdict("success")));
    relay.written(verdict("success"), start + ms(2));
    assert_eq!(relay.next(start + ms(2)), Next::Done);
}

#[test]
fn a_failure_is_read_twice_unless_nobody_writes_any_more() {
    let start = Instant::now();
    let mut relay = Relay::default();
    relay.see(Some(verdict("failed")), start);
    assert_eq!(relay.next(start), Next::Wait(Some(start + ms(200))));
    let mut whole = verdict("failed");
    whole.insert(key::ERROR.to_owned(), "out of memory".to_owned());
    relay.see(Some(whole.clone()), start + ms(150));
    assert_eq!(relay.next(start + ms(200)), Next::Wait(Some(start + ms(350))));
    relay.see(None, start + ms(300));
    assert_eq!(relay.next(start + ms(350)), Next::Wait(Some(start + ms(500))));
    assert_eq!(relay.next(start + ms(500)), Next::Write(whole.clone()));
    relay.end(start + ms(301));
    assert_eq!(relay.next(start + ms(301)), Next::Write(whole));
}

#[test]
fn failed_writes_are_repeated_ever_later() {
    let start = Instant::now();
    let mut relay = Relay::default();
    relay.see(Some(progress("1/4")), start);
    let mut now = start;
    let mut waits = Vec::new();
    for _ in 0..8 {
        assert_eq!(relay.failed(Failure::Transient(None), now), Persistence::Retry);
        let Next::Wait(Some(due)) = relay.next(now) else {
            panic!("it waits")
        };
        waits.push(due.duration_since(now).as_millis());
        now = due;
        assert_eq!(relay.next(now), Next::Write(progress("1/4")));
    }
    assert_eq!(waits, [100, 200, 400, 800, 1600, 3200, 6400, 10_000]);
}

#[test]
fn the_server_says_when_to_come_back() {
    let start = Instant::now();
    let mut relay = Relay::default();
    relay.see(Some(progress("1/4")), start);
    relay.failed(Failure::Transient(Some(ms(3000))), start);
    assert_eq!(relay.next(start), Next::Wait(Some(start + ms(3000))));
    relay.failed(Failure::Transient(Some(ms(600_000))), start);
    assert_eq!(
        relay.next(start),
        Next::Wait(Some(start + ms(10_000))),
        "but not in which year"
    );
}

#[test]
fn an_absent_server_is_waited_for_until_ten_minutes_after_the_end() {
    let start = Instant::now();
    let hours = start + Duration::from_hours(2);
    let mut relay = Relay::default();
    relay.see(Some(progress("1/4")), start);
    assert_eq!(relay.failed(Failure::Transient(None), hours), Persistence::Retry);
    relay.end(hours);
    relay.see(Some(verdict("failed")), hours);
    let nearly = hours + Duration::from_secs(599);
    assert_eq!(relay.failed(Failure::Transient(None), nearly), Persistence::Retry);
    let over = hours + Duration::from_mins(10);
    assert_eq!(relay.failed(Failure::Transient(None), over), Persistence::GiveUp);
}

#[test]
fn a_refusal_is_borne_for_a_minute() {
    let start = Instant::now();
    let mut relay = Relay::default();
    relay.see(Some(progress("1/4")), start);
    assert_eq!(relay.failed(Failure::Refused, start), Persistence::Retry);
    assert_eq!(
        relay.failed(Failure::Refused, start + Duration::from_secs(59)),
        Persistence::Retry
    );
    relay.failed(Failure::Transient(None), start + Duration::from_mins(1));
    assert_eq!(
        relay.failed(Failure::Refused, start + Duration::from_secs(61)),
        Persistence::Retry,
        "another answer in between begins the minute anew"
    );
    assert_eq!(
        relay.failed(Failure::Refused, start + Duration::from_secs(121)),
        Persistence::GiveUp
    );
}

#[derive(Debug, Clone)]
enum Happening {
    See(Option<Entries>),
    Time(u64),
    End,
    Failing(bool),
}

fn happening() -> impl Strategy<Value = Happening> {
    prop_oneof![
        (0_u8..5).prop_map(|step| Happening::See(Some(progress(&step.to_string())))),
        Just(Happening::See(None)),
        prop_oneof![Just("success"), Just("failed")].prop_map(|status| Happening::See(Some(verdict(status)))),
        (0_u64..2000).prop_map(Happening::Time),
        Just(Happening::End),
        any::<bool>().prop_map(Happening::Failing),
    ]
}

proptest! {
    /// However files, pod and server behave: progress is written at most twice a second, nothing twice in a row, and in the
    /// end what was said last is told.
    #[test]
    fn writes_are_seldom_and_the_last_word_is_told(happenings in prop::collection::vec(happening(), 1..60)) {
        let mut now = Instant::now();
        let mut relay = Relay::default();
        let mut is_failing = false;
        let mut told: Vec<(Instant, Entries)> = Vec::new();
        let mut last = None;
        for happening in happenings.into_iter().chain([Happening::Failing(false), Happening::Time(60_000)]) {
            let mut until = now;
            match happening {
                Happening::See(entries) => {
                    last = entries.clone().or(last);
                    relay.see(entries, now);
                }
                Happening::Time(passed) => until = now + ms(passed),
                Happening::End => relay.end(now),
                Happening::Failing(failing) => is_failing = failing,
            }
            loop {
                match relay.next(now) {
                    Next::Write(entries) if is_failing => {
                        relay.failed(Failure::Transient(None), now);
                        prop_assert!(entries == *last.as_ref().unwrap());
                    }
                    Next::Write(entries) => {
                        told.push((now, entries.clone()));
                        relay.written(entries, now);
                    }
                    Next::Wait(Some(due)) if due <= until => now = due,
                    Next::Wait(_) | Next::Done => break,
                }
            }
            now = now.max(until);
        }
        prop_assert_eq!(told.last().map(|(_, entries)| entries), last.as_ref());
        for pair in told.windows(2) {
            prop_assert_ne!(&pair[0].1, &pair[1].1);
            if !is_verdict(&pair[1].1) {
                prop_assert!(pair[1].0.duration_since(pair[0].0) >= ms(500));
            }
        }
    }
}
