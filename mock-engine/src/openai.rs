//! OpenAI's protocol, as far as load is sent by it.

use serde::Deserialize;
use serde_json::{Value, json};

/// A request for a chat or a completion.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Asked {
    pub(crate) model: Option<String>,
    #[serde(default)]
    messages: Vec<Message>,
    prompt: Option<PromptAsked>,
    max_tokens: Option<u32>,
    max_completion_tokens: Option<u32>,
    #[serde(default)]
    pub(crate) stream: bool,
    #[serde(default)]
    pub(crate) stream_options: StreamOptions,
    nvext: Option<Extensions>,
}

#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(default)]
pub(crate) struct StreamOptions {
    pub(crate) include_usage: bool,
    pub(crate) continuous_usage_stats: bool,
}

#[derive(Debug, Clone, Deserialize)]
struct Extensions {
    #[serde(default)]
    extra_fields: Vec<String>,
}

#[derive(Debug, Clone, Deserialize)]
struct Message {
    #[serde(default)]
    content: Value,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
enum PromptAsked {
    Text(String),
    Ids(Vec<u32>),
}

/// What a prompt is to the engine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Reading {
    pub(crate) tokens: u32,
    /// Names of its full blocks.
    pub(crate) blocks: Vec<u64>,
}

/// Tokens that the chat template of a real model adds, about.
pub(crate) const TEMPLATE_TOKENS: u32 = 11;
/// Answers without a wish.
const DEFAULT_OUTPUT_TOKENS: u32 = 16;
/// Words of an answer: each one token in common vocabularies.
const WORDS: [&str; 8] = [" the", " time", " of", " day", " and", " all", " that", " is"];

impl Asked {
    /// Tokens that are asked for.
    pub(crate) fn output_tokens(&self) -> u32 {
        self.max_completion_tokens
            .or(self.max_tokens)
            .unwrap_or(DEFAULT_OUTPUT_TOKENS)
            .max(1)
    }

    /// Whether the engine's own times are asked for, as Dynamo's frontend is asked for them.
    pub(crate) fn wants_timing(&self) -> bool {
        let extensions = self.nvext.as_ref();
        extensions.is_some_and(|nvext| nvext.extra_fields.iter().any(|field| field == "timing"))
    }

    /// Counts the prompt (a word is a token) and names its full blocks.
    pub(crate) fn read(&self, block_size: u32) -> Reading {
        let mut names = BlockNames::new(block_size);
        match &self.prompt {
            Some(PromptAsked::Ids(ids)) => ids.iter().for_each(|id| names.token(&id.to_le_bytes())),
            Some(PromptAsked::Text(text)) => names.words(text),
            None => {
                for message in &self.messages {
                    match &message.content {
                        Value::String(text) => names.words(text),
                        Value::Array(parts) => {
                            let texts = parts.iter().filter_map(|part| part.get("text")?.as_str());
                            texts.for_each(|text| names.words(text));
                        }
                        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => {}
                    }
                }
            }
        }
        let template = if self.prompt.is_some() { 0 } else { TEMPLATE_TOKENS };
        Reading {
            tokens: names.tokens.saturating_add(template).max(1),
            blocks: names.blocks,
        }
    }
}

/// Names blocks by all that comes before their end (FNV-1a).
struct BlockNames {
    block_size: u32,
    tokens: u32,
    state: u64,
    blocks: Vec<u64>,
}

impl BlockNames {
    const fn new(block_size: u32) -> Self {
        Self {
            block_size,
            tokens: 0,
            state: 0xCBF2_9CE4_8422_2325,
            blocks: Vec::new(),
        }
    }

    fn token(&mut self, bytes: &[u8]) {
        for byte in bytes.iter().chain(b" ") {
            self.state = (self.state ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01B3);
        }
        self.tokens += 1;
        if self.tokens.is_multiple_of(self.block_size) {
            self.blocks.push(self.state);
        }
    }

    fn words(&mut self, text: &str) {
        text.split_whitespace()
            .for_each(|word| self.token(word.as_bytes()));
    }
}

/// Whether a chat or a completion is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Chat,
    Completion,
}

/// Writes the answer to one request.
#[derive(Debug, Clone)]
pub(crate) struct Writer {
    kind: Kind,
    /// What every event begins with.
    opening: String,
    /// What an answer in one piece begins with.
    whole: Value,
    prompt_tokens: u32,
}

impl Writer {
    pub(crate) fn new(kind: Kind, model: &str, id: u64, prompt_tokens: u32) -> Self {
        let (name, object) = match kind {
            Kind::Chat => ("chatcmpl", "chat.completion"),
            Kind::Completion => ("cmpl", "text_completion"),
        };
        let id = format!("{name}-{id}");
        let chunk = if kind == Kind::Chat { ".chunk" } else { "" };
        let model_text = json!(model);
        Self {
            kind,
            opening: format!(
                "data: {{\"id\":\"{id}\",\"object\":\"{object}{chunk}\",\"created\":0,\"model\":{model_text},\"choices\":["
            ),
            whole: json!({"id": id, "object": object, "created": 0, "model": model}),
            prompt_tokens,
        }
    }

    /// The event of the n-th token, counted from 0. Written by hand: it is the bulk of the engine's work.
    pub(crate) fn token(&self, number: u32, usage: Option<Value>) -> Vec<u8> {
        let word = word(number);
        let body = match self.kind {
            Kind::Chat if number == 0 => {
                format!("\"delta\":{{\"role\":\"assistant\",\"content\":\"{word}\"}}")
            }
            Kind::Chat => format!("\"delta\":{{\"content\":\"{word}\"}}"),
            Kind::Completion => format!("\"text\":\"{word}\""),
        };
        let choice = format!("{{\"index\":0,{body},\"finish_reason\":null}}");
        self.event(&choice, usage, None)
    }

    /// The events behind the last token.
    pub(crate) fn end(&self, usage: Option<Value>, timing: Option<Value>) -> Vec<u8> {
        let choice = match self.kind {
            Kind::Chat => "{\"index\":0,\"delta\":{},\"finish_reason\":\"length\"}",
            Kind::Completion => "{\"index\":0,\"text\":\"\",\"finish_reason\":\"length\"}",
        };
        let mut events = self.event(choice, None, None);
        if usage.is_some() || timing.is_some() {
            events.extend(self.event("", usage, timing));
        }
        events.extend_from_slice(b"data: [DONE]\n\n");
        events
    }

    /// The whole answer at once.
    pub(crate) fn whole(&self, tokens: u32, usage: &Value) -> Value {
        let text: String = (0..tokens).map(word).collect();
        let choice = match self.kind {
            Kind::Chat => {
                json!({"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "length"})
            }
            Kind::Completion => json!({"index": 0, "text": text, "finish_reason": "length"}),
        };
        let mut answer = self.whole.clone();
        answer["choices"] = json!([choice]);
        answer["usage"] = usage.clone();
        answer
    }

    /// What was used after so many tokens.
    pub(crate) fn usage(&self, tokens: u32, cached: u32) -> Value {
        json!({
            "prompt_tokens": self.prompt_tokens,
            "completion_tokens": tokens,
            "total_tokens": self.prompt_tokens.saturating_add(tokens),
            "prompt_tokens_details": {"cached_tokens": cached},
        })
    }

    fn event(&self, choices: &str, usage: Option<Value>, timing: Option<Value>) -> Vec<u8> {
        let usage = usage.map_or(String::new(), |usage| format!(",\"usage\":{usage}"));
        let timing = timing.map_or(String::new(), |timing| {
            format!(",\"nvext\":{{\"timing\":{timing}}}")
        });
        format!("{}{choices}]{usage}{timing}}}\n\n", self.opening).into_bytes()
    }
}

fn word(number: u32) -> &'static str {
    let index = usize::try_from(number).unwrap_or(0) % WORDS.len();
    WORDS[index]
}

/// An error as OpenAI's servers tell it.
pub(crate) fn error(code: u16, message: &str) -> Value {
    json!({"error": {"message": message, "type": "error", "code": code}})
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(body: Value) -> Asked {
        serde_json::from_value(body).expect("a request")
    }

    #[test]
    fn prompts_are_counted_and_share_the_names_of_equal_beginnings() {
        let chat = |text: &str| asked(json!({"messages": [{"role": "user", "content": text}]})).read(2);
        let one = chat(" a b c d");
        assert_eq!((one.tokens, one.blocks.len()), (15, 2));
        let other = chat(" a b c x");
        assert_eq!(one.blocks[0], other.blocks[0]);
        assert_ne!(one.blocks[1], other.blocks[1]);
        assert_eq!(asked(json!({"prompt": [5, 6, 7]})).read(2).tokens, 3);
        let parts = asked(json!({"messages": [{"content": [{"type": "text", "text": "a b"}]}]}));
        assert_eq!(parts.read(2).tokens, 13);
    }

    #[test]
    fn every_event_is_json_of_the_protocol() {
        for kind in [Kind::Chat, Kind::Completion] {
            let writer = Writer::new(kind, "m \"quoted\"", 7, 5);
            let mut stream = writer.token(0, None);
            stream.extend(writer.token(1, Some(writer.usage(2, 0))));
            stream.extend(writer.end(Some(writer.usage(2, 4)), Some(json!({"ttft_ms": 1.5}))));
            let text = String::from_utf8(stream).expect("text");
            let events: Vec<&str> = text.split_terminator("\n\n").collect();
            assert_eq!((events.len(), events[4]), (5, "data: [DONE]"));
            let events: Vec<Value> = events[..4]
                .iter()
                .map(|event| serde_json::from_str(event.strip_prefix("data: ").expect("data")).expect("JSON"))
                .collect();
            assert!(
                events.iter().all(|event| event["model"] == "m \"quoted\""),
                "{events:?}"
            );
            assert_eq!(events[1]["usage"]["completion_tokens"], 2);
            assert_eq!(events[2]["choices"][0]["finish_reason"], "length");
            assert_eq!(events[3]["choices"], json!([]));
            assert_eq!(events[3]["nvext"]["timing"]["ttft_ms"], 1.5);
            assert_eq!(events[3]["usage"]["prompt_tokens_details"]["cached_tokens"], 4);
            let whole = writer.whole(2, &writer.usage(2, 0));
            assert_eq!(whole["usage"]["total_tokens"], 7);
        }
    }

    #[test]
    fn the_newer_name_of_the_length_comes_first() {
        assert_eq!(
            asked(json!({"max_tokens": 5, "max_completion_tokens": 7})).output_tokens(),
            7
        );
        assert_eq!(asked(json!({"max_tokens": 0})).output_tokens(), 1);
        assert_eq!(asked(json!({})).output_tokens(), 16);
        assert!(asked(json!({"nvext": {"extra_fields": ["timing"]}})).wants_timing());
    }
}
