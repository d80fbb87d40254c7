//! What one event of a streamed answer says.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

/// What one event says.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct AnswerEvent<'a> {
    /// New text, thoughts and arguments of tools included.
    pub text: Cow<'a, str>,
    /// New tokens by number, where the server tells them.
    pub token_ids: Vec<u32>,
    /// Whether the answer ends with this event, and why.
    pub finish_reason: Option<Cow<'a, str>>,
    /// What was used so far, at the end or with every event.
    pub usage: Option<Usage>,
    /// The times that the server itself took.
    pub timing: Option<ServerTiming>,
    /// What the server says went wrong.
    pub error: Option<String>,
}

/// The times that a server says it took: Dynamo's frontend tells them when a request's `nvext.extra_fields` holds
/// `timing`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct ServerTiming {
    /// From the arrival of the request to the first token, ms.
    pub ttft_ms: f64,
    /// From the arrival of the request to the last token, ms.
    pub total_time_ms: f64,
}

/// What a request used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Usage {
    /// Tokens of the prompt, as the server counts them (with those of a chat template).
    pub prompt_tokens: u32,
    /// Tokens of the answer so far.
    pub completion_tokens: u32,
    /// Tokens of the prompt that were cached already, where told.
    pub cached_tokens: Option<u32>,
}

#[derive(Deserialize)]
struct Wire<'a> {
    #[serde(default, borrow)]
    choices: Vec<WireChoice<'a>>,
    usage: Option<WireUsage>,
    error: Option<serde_json::Value>,
    nvext: Option<WireExtensions>,
}

#[derive(Deserialize)]
struct WireExtensions {
    timing: Option<serde_json::Value>,
}

#[derive(Deserialize)]
struct WireChoice<'a> {
    #[serde(borrow)]
    delta: Option<WireDelta<'a>>,
    #[serde(borrow)]
    text: Option<Cow<'a, str>>,
    #[serde(borrow)]
    finish_reason: Option<Cow<'a, str>>,
    token_ids: Option<Vec<u32>>,
}

#[derive(Deserialize)]
struct WireDelta<'a> {
    #[serde(borrow)]
    content: Option<Cow<'a, str>>,
    #[serde(borrow)]
    reasoning_content: Option<Cow<'a, str>>,
    #[serde(borrow)]
    reasoning: Option<Cow<'a, str>>,
    #[serde(default)]
    tool_calls: Vec<WireToolCall>,
}

#[derive(Deserialize)]
struct WireToolCall {
    function: Option<WireFunction>,
}

#[derive(Deserialize)]
struct WireFunction {
    name: Option<String>,
    arguments: Option<String>,
}

#[derive(Deserialize)]
struct WireUsage {
    #[serde(default)]
    prompt_tokens: u32,
    #[serde(default)]
    completion_tokens: u32,
    prompt_tokens_details: Option<WireDetails>,
}

#[derive(Deserialize)]
struct WireDetails {
    cached_tokens: Option<u32>,
}

/// Reads the data of an event; none for `[DONE]`.
///
/// # Errors
/// What is wrong with it, when it is no event of an answer.
pub fn parse(data: &[u8]) -> Result<Option<AnswerEvent<'_>>, String> {
    if data.trim_ascii() == b"[DONE]" {
        return Ok(None);
    }
    let wire: Wire<'_> = serde_json::from_slice(data).map_err(|error| error.to_string())?;
    let mut event = AnswerEvent {
        usage: wire.usage.map(usage),
        error: wire.error.map(|error| said(&error)),
        // Times that are told in another form are not told.
        timing: wire
            .nvext
            .and_then(|nvext| serde_json::from_value(nvext.timing?).ok()),
        ..AnswerEvent::default()
    };
    for choice in wire.choices {
        if let Some(text) = choice.text {
            append(&mut event.text, text);
        }
        if let Some(delta) = choice.delta {
            for text in [delta.content, delta.reasoning_content, delta.reasoning]
                .into_iter()
                .flatten()
            {
                append(&mut event.text, text);
            }
            for call in delta.tool_calls.into_iter().filter_map(|call| call.function) {
                for text in [call.name, call.arguments].into_iter().flatten() {
                    append(&mut event.text, text.into());
                }
            }
        }
        event.token_ids.extend(choice.token_ids.into_iter().flatten());
        event.finish_reason = event.finish_reason.or(choice.finish_reason);
    }
    Ok(Some(event))
}

/// What an answer that is no stream says went wrong: its message, or its beginning.
pub fn complaint(body: &[u8]) -> String {
    /// Enough to see what it is.
    const MOST_CHARS: usize = 300;
    let message = serde_json::from_slice::<serde_json::Value>(body)
        .ok()
        .map(|body| {
            let error = body.get("error").unwrap_or(&body);
            said(error)
        });
    let text = message.unwrap_or_else(|| String::from_utf8_lossy(body).into_owned());
    text.trim().chars().take(MOST_CHARS).collect()
}

fn said(error: &serde_json::Value) -> String {
    let message = error
        .get("message")
        .or_else(|| error.get("detail"))
        .unwrap_or(error);
    message
        .as_str()
        .map_or_else(|| message.to_string(), str::to_owned)
}

fn append<'a>(text: &mut Cow<'a, str>, more: Cow<'a, str>) {
    if text.is_empty() {
        *text = more;
    } else {
        text.to_mut().push_str(&more);
    }
}

fn usage(wire: WireUsage) -> Usage {
    Usage {
        prompt_tokens: wire.prompt_tokens,
        completion_tokens: wire.completion_tokens,
        cached_tokens: wire
            .prompt_tokens_details
            .and_then(|details| details.cached_tokens),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(data: &str) -> AnswerEvent<'_> {
        parse(data.as_bytes()).expect("an event").expect("not the end")
    }

    #[test]
    fn text_is_found_wherever_servers_put_it() {
        for (data, text) in [
            (
                r#"{"choices":[{"index":0,"delta":{"role":"assistant","content":""}}]}"#,
                "",
            ),
            (
                r#"{"choices":[{"delta":{"content":" a\n"},"finish_reason":null}]}"#,
                " a\n",
            ),
            (
                r#"{"choices":[{"delta":{"reasoning_content":"so","content":null}}]}"#,
                "so",
            ),
            (r#"{"choices":[{"text":" b"}]}"#, " b"),
            (
                r#"{"choices":[{"delta":{"tool_calls":[{"function":{"name":"f","arguments":"{}"}}]}}]}"#,
                "f{}",
            ),
            (r#"{"choices":[]}"#, ""),
        ] {
            assert_eq!(event(data).text, text, "{data}");
        }
    }

    #[test]
    fn usage_end_and_errors_are_told() {
        let last = r#"{"choices":[],"usage":{"prompt_tokens":11,"completion_tokens":5,"prompt_tokens_details":{"cached_tokens":8}}}"#;
        let expected = Usage {
            prompt_tokens: 11,
            completion_tokens: 5,
            cached_tokens: Some(8),
        };
        assert_eq!(event(last).usage, Some(expected));
        let end = event(r#"{"choices":[{"delta":{},"finish_reason":"length","token_ids":[7,8]}]}"#);
        assert_eq!(
            (end.finish_reason.as_deref(), end.token_ids),
            (Some("length"), vec![7, 8])
        );
        assert_eq!(parse(b" [DONE]"), Ok(None));
        let timed = event(r#"{"choices":[],"nvext":{"timing":{"ttft_ms":5.5,"total_time_ms":20.0,"x":1}}}"#);
        assert_eq!(
            timed.timing.map(|timing| timing.ttft_ms.to_bits()),
            Some(5.5_f64.to_bits())
        );
        let failed = event(r#"{"error":{"message":"out of memory","code":500}}"#);
        assert_eq!(failed.error.as_deref(), Some("out of memory"));
        assert!(parse(b"<html>").is_err());
    }

    #[test]
    fn complaints_are_short_and_say_the_message() {
        assert_eq!(
            complaint(br#"{"error":{"message":"no such model"}}"#),
            "no such model"
        );
        assert_eq!(complaint(br#"{"detail":"busy"}"#), "busy");
        assert_eq!(complaint(b"  plain  "), "plain");
        assert_eq!(complaint(&[b'x'; 5000]).len(), 300);
    }
}
