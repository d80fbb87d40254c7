use super::*;
use proptest::prelude::*;

/// A prompt token takes 1 ms, a decode step 10 ms.
struct Plain;

impl StepModel for Plain {
    fn step_ms(&self, work: &StepWork) -> f64 {
        let prompt: u32 = work.prefills.iter().map(|prefill| prefill.new_tokens).sum();
        f64::from(prompt) + if work.decodes > 0 { 10.0 } else { 0.0 }
    }
}

const fn limits() -> EngineLimits {
    EngineLimits {
        kv_blocks: 100,
        block_size: 10,
        max_num_seqs: 4,
        max_num_batched_tokens: 50,
        chunked_prefill: true,
        prefix_caching: true,
    }
}

const fn request(id: u64, prompt_tokens: u32, output_tokens: u32) -> NewRequest {
    NewRequest {
        id,
        prompt_tokens,
        prefix_blocks: Vec::new(),
        output_tokens,
    }
}

fn run(limits: EngineLimits, requests: Vec<NewRequest>) -> (Vec<(u64, u128)>, Batched) {
    let mut engine = Batched::new(Box::new(Plain), limits);
    for request in requests {
        engine.arrive(Duration::ZERO, request);
    }
    let mut tokens = Vec::new();
    while engine.due().is_some() {
        engine.advance(&mut tokens);
    }
    (
        tokens
            .iter()
            .map(|token| (token.id, token.at.as_millis()))
            .collect(),
        engine,
    )
}

#[test]
fn a_request_alone_is_prefilled_and_decoded() {
    let (tokens, engine) = run(limits(), vec![request(1, 20, 3)]);
    assert_eq!(tokens, [(1, 20), (1, 30), (1, 40)]);
    assert_eq!(engine.load(), Load::default());
}

#[test]
fn chunks_of_a_prompt_share_steps_with_decoding() {
    // 20 alone; 50 of the second beside one decode is 49 + 10; its last 11 beside another is 11 + 10.
    let (tokens, _) = run(limits(), vec![request(1, 20, 4), request(2, 60, 1)]);
    assert_eq!(tokens, [(1, 20), (1, 79), (1, 100), (2, 100), (1, 110)]);
}

#[test]
fn without_chunks_prompts_go_first_and_whole() {
    let whole = EngineLimits {
        chunked_prefill: false,
        ..limits()
    };
    let (tokens, _) = run(whole, vec![request(1, 20, 3), request(2, 40, 2)]);
    assert_eq!(tokens, [(1, 20), (2, 60), (1, 70), (2, 70), (1, 80)]);
}

#[test]
fn cached_prefixes_are_not_computed_again() {
    let with_prefix = |id| NewRequest {
        prefix_blocks: vec![7, 8],
        ..request(id, 20, 1)
    };
    let serially = EngineLimits {
        max_num_seqs: 1,
        ..limits()
    };
    let (tokens, _) = run(serially, vec![with_prefix(1), with_prefix(2)]);
    assert_eq!(
        tokens,
        [(1, 20), (2, 21)],
        "only the last token of the prompt is computed"
    );
    let cold = EngineLimits {
        prefix_caching: false,
        ..serially
    };
    assert_eq!(
        run(cold, vec![with_prefix(1), with_prefix(2)]).0,
        [(1, 20), (2, 40)]
    );
}

#[test]
fn who_finds_no_block_for_the_next_token_displaces_the_last() {
    let small = EngineLimits {
        kv_blocks: 4,
        ..limits()
    };
    let (tokens, engine) = run(small, vec![request(1, 15, 12), request(2, 15, 12)]);
    assert!(engine.load().preemptions > 0);
    assert_eq!(tokens.len(), 24, "everything is answered all the same");
}

proptest! {
    #[test]
    fn every_request_is_answered_in_full_and_in_order(
        shapes in prop::collection::vec((1_u32..120, 1_u32..40), 1..12),
        blocks in 20_u32..60,
        chunked_prefill in any::<bool>(),
        max_num_seqs in 1_u32..6,
    ) {
        let limits = EngineLimits { kv_blocks: blocks, chunked_prefill, max_num_seqs, ..limits() };
        let requests: Vec<NewRequest> = (0..).zip(&shapes).map(|(id, (isl, osl))| NewRequest {
            prefix_blocks: (0..u64::from(isl / 10)).collect(),
            ..request(id, *isl, *osl)
        }).collect();
        let (tokens, engine) = run(limits, requests);
        prop_assert!(tokens.is_sorted_by_key(|(_, at)| *at));
        for (id, (_, osl)) in (0..).zip(&shapes) {
            let answered = tokens.iter().filter(|(of, _)| *of == id).count();
            prop_assert_eq!(answered, usize::try_from(*osl).expect("small"));
        }
        prop_assert_eq!((engine.load().running, engine.load().waiting, engine.load().used_blocks), (0, 0, 0));
    }
}
