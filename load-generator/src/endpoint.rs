//! Where an engine is reached, and how it is asked.

use std::fmt::{self, Display, Formatter};

use serde_json::{Map, Value, json};

use crate::error::LoadError;
use crate::prompt::Prompt;

/// Which of OpenAI's protocols is spoken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Api {
    /// `/v1/chat/completions`: the engine's chat template wraps the prompt.
    #[default]
    Chat,
    /// `/v1/completions`: the prompt is taken as it is, also as token numbers.
    Completions,
}

impl Api {
    const fn path(self) -> &'static str {
        match self {
            Self::Chat => "/v1/chat/completions",
            Self::Completions => "/v1/completions",
        }
    }
}

/// An engine's address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    host: String,
    port: u16,
    tls: bool,
    prefix: String,
}

impl Endpoint {
    /// Reads `http[s]://host[:port][/prefix][/v1[/…]]`; without a scheme it is http.
    ///
    /// # Errors
    /// [`LoadError::Url`] for anything else.
    pub fn parse(url: &str) -> Result<Self, LoadError> {
        let wrong = |problem: &str| LoadError::Url {
            url: url.to_owned(),
            problem: problem.to_owned(),
        };
        let whole = if url.contains("://") {
            url.to_owned()
        } else {
            format!("http://{url}")
        };
        let uri: http::Uri = whole
            .parse()
            .map_err(|error: http::uri::InvalidUri| wrong(&error.to_string()))?;
        let tls = match uri.scheme_str() {
            Some("http") => false,
            Some("https") => true,
            _ => return Err(wrong("the scheme is neither http nor https")),
        };
        if uri.query().is_some() {
            return Err(wrong("a query belongs to no endpoint"));
        }
        let host = uri
            .host()
            .filter(|host| !host.is_empty())
            .ok_or_else(|| wrong("it names no host"))?;
        let path = uri.path();
        let prefix = path.find("/v1").map_or(path, |at| &path[..at]);
        Ok(Self {
            host: host.trim_matches(['[', ']']).to_owned(),
            port: uri.port_u16().unwrap_or(if tls { 443 } else { 80 }),
            tls,
            prefix: prefix.trim_end_matches('/').to_owned(),
        })
    }

    /// Name or address of the host.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Port.
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// Whether it speaks TLS.
    pub const fn is_tls(&self) -> bool {
        self.tls
    }

    /// The path of a resource below the endpoint.
    pub fn path(&self, resource: &str) -> String {
        format!("{}{resource}", self.prefix)
    }

    /// Host and port as an HTTP header and as messages write them.
    pub fn authority(&self) -> String {
        if self.host.contains(':') {
            format!("[{}]:{}", self.host, self.port)
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }
}

impl Display for Endpoint {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let scheme = if self.tls { "https" } else { "http" };
        write!(f, "{scheme}://{}{}", self.authority(), self.prefix)
    }
}

/// An engine and how it is asked.
#[derive(Debug, Clone)]
pub struct Target {
    /// Where it is.
    pub endpoint: Endpoint,
    /// Which protocol it speaks.
    pub api: Api,
    /// Name of the model, as it serves it.
    pub model: String,
    /// Sent as `Authorization: Bearer …`.
    pub api_key: Option<String>,
    /// Fields that are added to every request, or replace what it holds.
    pub extra: Map<String, Value>,
}

impl Target {
    /// The bytes of a request for an answer of exactly `osl` tokens.
    ///
    /// # Errors
    /// [`LoadError::Plan`] for token numbers in a chat.
    pub fn request(&self, prompt: &Prompt, osl: u32) -> Result<Vec<u8>, LoadError> {
        let mut body = json!({
            "model": self.model,
            "stream": true,
            "stream_options": {"include_usage": true},
            "max_tokens": osl,
            "min_tokens": osl,
            "ignore_eos": true,
        });
        match (self.api, prompt) {
            (Api::Chat, Prompt::Text(text)) => body["messages"] = json!([{"role": "user", "content": text}]),
            (Api::Completions, Prompt::Text(text)) => body["prompt"] = json!(text),
            (Api::Completions, Prompt::Ids(ids)) => body["prompt"] = json!(ids),
            (Api::Chat, Prompt::Ids(_)) => {
                return Err(LoadError::Plan {
                    field: "prompts",
                    problem: "a chat takes text, not token numbers: use completions".to_owned(),
                });
            }
        }
        for (key, value) in &self.extra {
            body[key] = value.clone();
        }
        Ok(self.post(self.api.path(), &body))
    }

    /// The bytes of a POST of JSON.
    fn post(&self, resource: &str, body: &Value) -> Vec<u8> {
        let body = body.to_string();
        let authorization = self.api_key.as_ref();
        let authorization =
            authorization.map_or(String::new(), |key| format!("Authorization: Bearer {key}\r\n"));
        let request = format!(
            "POST {} HTTP/1.1\r\nHost: {}\r\nContent-Type: application/json\r\nAccept: text/event-stream\r\n\
             User-Agent: dgdr-profiler\r\nContent-Length: {}\r\n{authorization}\r\n{body}",
            self.endpoint.path(resource),
            self.endpoint.authority(),
            body.len(),
        );
        request.into_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_as_people_write_them() {
        for (url, printed, path) in [
            ("localhost:8000", "http://localhost:8000", "/v1/models"),
            ("http://h", "http://h:80", "/v1/models"),
            ("https://h/llm/v1/", "https://h:443/llm", "/llm/v1/models"),
            (
                "http://[::1]:9/v1/chat/completions",
                "http://[::1]:9",
                "/v1/models",
            ),
        ] {
            let endpoint = Endpoint::parse(url).expect("an endpoint");
            assert_eq!(endpoint.to_string(), printed);
            assert_eq!(endpoint.path("/v1/models"), path);
        }
        for url in ["", "ftp://h", "http://", "http://h?x=1", "not a url"] {
            assert!(Endpoint::parse(url).is_err(), "{url}");
        }
    }

    #[test]
    fn requests_ask_for_exact_lengths_and_take_extra_fields() {
        let mut target = Target {
            endpoint: Endpoint::parse("http://h:1").expect("an endpoint"),
            api: Api::Completions,
            model: "m".to_owned(),
            api_key: Some("k".to_owned()),
            extra: Map::new(),
        };
        target.extra.insert("ignore_eos".to_owned(), json!(false));
        let request = target.request(&Prompt::Ids(vec![5, 6]), 7).expect("a request");
        let request = String::from_utf8(request).expect("text");
        let (head, body) = request.split_once("\r\n\r\n").expect("a head");
        assert!(
            head.starts_with("POST /v1/completions HTTP/1.1\r\nHost: h:1\r\n"),
            "{head}"
        );
        assert!(head.contains("Authorization: Bearer k"), "{head}");
        assert!(
            head.ends_with(&format!(
                "\r\nContent-Length: {}\r\nAuthorization: Bearer k",
                body.len()
            )),
            "{head}"
        );
        let body: Value = serde_json::from_str(body).expect("JSON");
        assert_eq!(body["prompt"], json!([5, 6]));
        assert_eq!((&body["max_tokens"], &body["min_tokens"]), (&json!(7), &json!(7)));
        assert_eq!(body["ignore_eos"], json!(false));
        target.api = Api::Chat;
        assert!(target.request(&Prompt::Ids(vec![5]), 7).is_err());
    }
}
