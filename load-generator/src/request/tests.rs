use super::*;

/// What a listener makes of a body whose parts arrive a millisecond apart.
fn listen(parts: &[&str], status: u16) -> (Vec<u32>, CountedBy, Option<Failure>) {
    let epoch = Instant::now();
    let mut listener = Listener::default();
    for (ms, part) in (0..).zip(parts) {
        listener.take(epoch + Duration::from_millis(ms), part.as_bytes());
    }
    let (chunks, counted_by) = listener.count(epoch, None);
    let tokens = chunks.iter().map(|chunk| chunk.tokens).collect();
    (tokens, counted_by, listener.failure(status))
}

const ROLE: &str = "data: {\"choices\":[{\"delta\":{\"role\":\"assistant\",\"content\":\"\"}}]}\n\n";
const WORD: &str = "data: {\"choices\":[{\"delta\":{\"content\":\" a\"}}]}\n\n";
const END: &str = "data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"length\"}]}\n\n";
const DONE: &str = "data: [DONE]\n\n";

fn usage(tokens: u32) -> String {
    format!("data: {{\"choices\":[],\"usage\":{{\"prompt_tokens\":1,\"completion_tokens\":{tokens}}}}}\n\n")
}

#[test]
fn a_role_alone_is_no_token() {
    assert_eq!(
        listen(&[ROLE, WORD, WORD, END, DONE], 200),
        (vec![1, 1], CountedBy::Chunks, None)
    );
}

#[test]
fn the_servers_sum_is_spread_over_the_events() {
    let counted = |events: usize, tokens: u32| {
        let usage = usage(tokens);
        let mut parts = vec![WORD; events];
        parts.extend([END, usage.as_str(), DONE]);
        let (counts, by, failure) = listen(&parts, 200);
        assert_eq!((by, failure), (CountedBy::ServerSum, None));
        counts
    };
    assert_eq!(counted(3, 3), [1, 1, 1]);
    assert_eq!(counted(3, 7), [2, 2, 3]);
    assert_eq!(counted(2, 1), [0, 1]);
}

#[test]
fn a_running_count_tells_each_events_tokens() {
    let with_count = |tokens: u32| {
        format!(
            "data: {{\"choices\":[{{\"text\":\" a\"}}],\"usage\":{{\"prompt_tokens\":1,\"completion_tokens\":{tokens}}}}}\n\n"
        )
    };
    let parts = [with_count(1), with_count(4), usage(4), END.to_owned()];
    let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
    assert_eq!(listen(&parts, 200), (vec![1, 3], CountedBy::ServerEach, None));
    let ids = "data: {\"choices\":[{\"text\":\"\",\"token_ids\":[5,6]}]}\n\n";
    assert_eq!(listen(&[ids, END], 200), (vec![2], CountedBy::ServerEach, None));
}

#[test]
fn what_went_wrong_is_told_apart() {
    let failure = |parts: &[&str], status| listen(parts, status).2.expect("a failure").to_string();
    assert_eq!(
        failure(&["{\"error\":{\"message\":\"busy\"}}"], 503),
        "status 503: busy"
    );
    assert_eq!(
        failure(&[WORD], 200),
        "the answer was cut off: the stream ended without finish_reason and [DONE]"
    );
    assert_eq!(failure(&[END, DONE], 200), "the answer holds no token");
    assert_eq!(
        failure(&[WORD, "data: {\"error\":\"boom\"}\n\n"], 200),
        "error in the stream: boom"
    );
    assert!(failure(&["data: <b>\n\n"], 200).starts_with("malformed answer: "));
    assert!(failure(&["{\"choices\":[]}"], 200).starts_with("malformed answer: no event: "));
}
