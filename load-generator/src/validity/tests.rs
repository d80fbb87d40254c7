use super::*;
use crate::answer::Usage;
use crate::sample::Chunk;

/// A run without fault: 100 requests, four at a time.
fn sound() -> Run {
    let sample = |index: usize| {
        let start = real(u64::try_from(index).expect("small")) * 10.0;
        Sample {
            index,
            isl: 100,
            osl: 3,
            intended_ms: start,
            sent_ms: start + 0.1,
            counts_from_intended: false,
            head_ms: Some(start + 1.0),
            chunks: [20.0, 25.0, 30.0]
                .map(|ms| Chunk {
                    at_ms: start + ms,
                    tokens: 1,
                })
                .to_vec(),
            end_ms: start + 30.0,
            usage: Some(Usage {
                prompt_tokens: 111,
                completion_tokens: 3,
                cached_tokens: Some(0),
            }),
            server_timing: None,
            counted_by: CountedBy::ServerSum,
            reused_connection: true,
            failure: None,
        }
    };
    Run {
        samples: (0..100).map(sample).collect(),
        warmup: (0..4).map(sample).collect(),
        concurrency: NonZeroU32::new(4),
        wall_s: 1.0,
        cpu_s: 0.1,
        threads: 1,
    }
}

use std::num::NonZeroU32;

fn said(run: &Run) -> Vec<String> {
    let reasons = reasons(run, KvReuse::Fresh, &Limits::default());
    reasons.iter().map(ToString::to_string).collect()
}

#[test]
fn a_sound_run_is_trusted() {
    assert_eq!(said(&sound()), Vec::<String>::new());
}

/// What is said when each sample is damaged in one way.
#[track_caller]
fn damaged(damage: impl Fn(&mut Sample), beginning: &str) {
    let mut run = sound();
    run.samples.iter_mut().for_each(damage);
    let said = said(&run);
    assert!(said.len() == 1 && said[0].starts_with(beginning), "{said:?}");
}

#[test]
fn each_fault_of_samples_is_told() {
    damaged(
        |sample| sample.osl = 4,
        "100 of 100 answers are not as long as asked (3.0 tokens instead of 4.0",
    );
    damaged(|sample| sample.isl = 200, "prompts are -89 to -89 tokens longer");
    damaged(
        |sample| sample.isl -= u32::try_from(sample.index).expect("small"),
        "prompts are 11 to 110 tokens longer",
    );
    damaged(
        |sample| sample.counted_by = CountedBy::Chunks,
        "the server tells no usage",
    );
    damaged(
        |sample| sample.sent_ms += 5.0,
        "requests were sent up to 5.1 ms late",
    );
    damaged(
        |sample| {
            if let Some(usage) = &mut sample.usage {
                usage.cached_tokens = Some(100);
            }
        },
        "90 % of all prompt tokens were cached already",
    );
    damaged(
        |sample| {
            let slower = 1.0 + real(u64::try_from(sample.index).expect("small")) / 100.0;
            for chunk in &mut sample.chunks {
                chunk.at_ms = sample.sent_ms + 20.0 * slower + (chunk.at_ms - sample.intended_ms - 20.0);
            }
        },
        "TTFT changed by +",
    );
}

#[test]
fn failures_of_requests_warm_up_and_client_are_told() {
    let timeout = Some(Failure::Timeout { seconds: 3 });
    let mut run = sound();
    run.samples[3].failure.clone_from(&timeout);
    assert_eq!(said(&run), Vec::<String>::new(), "one of a hundred is let pass");
    run.samples[4].failure.clone_from(&timeout);
    assert_eq!(
        said(&run),
        ["2 of 100 requests failed, most often: no complete answer after 3 s"]
    );
    run = sound();
    run.warmup[0].failure.clone_from(&timeout);
    assert_eq!(
        said(&run),
        ["1 of 4 warm-up requests failed, most often: no complete answer after 3 s"]
    );
    run = sound();
    run.cpu_s = 0.9;
    assert_eq!(
        said(&run),
        ["this client used 90 % of its processor time: what it measures is itself, use more cores"]
    );
    run = sound();
    for sample in &mut run.samples {
        sample.failure.clone_from(&timeout);
    }
    assert_eq!(
        said(&run).last().map(String::as_str),
        Some("no request was answered")
    );
}

#[test]
fn a_cache_that_was_warmed_on_purpose_is_no_fault() {
    let mut run = sound();
    for usage in run.samples.iter_mut().filter_map(|sample| sample.usage.as_mut()) {
        usage.cached_tokens = Some(96);
    }
    assert_eq!(reasons(&run, KvReuse::Warmed, &Limits::default()), []);
}

#[test]
fn a_single_burst_is_not_asked_to_be_steady() {
    let mut run = sound();
    run.concurrency = NonZeroU32::new(100);
    for (index, sample) in (0_u32..).zip(&mut run.samples) {
        for chunk in &mut sample.chunks {
            chunk.at_ms += f64::from(index) * 10.0;
        }
    }
    assert_eq!(said(&run), Vec::<String>::new());
}
