//! Traces in Mooncake's form: one JSON object a line.
//!
//! `{"timestamp": 27482, "input_length": 6955, "output_length": 52, "hash_ids": [46, 47, …]}`: milliseconds after the
//! start, tokens, and the blocks of 512 tokens of which the prompt consists. Requests that share leading blocks share
//! that prefix (github.com/kvcache-ai/Mooncake, `FAST25-release/traces`).

use std::time::Duration;

use serde::Deserialize;

use crate::error::LoadError;

/// Tokens of one block of `hash_ids`.
pub const BLOCK_TOKENS: u32 = 512;

/// One request of a trace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TraceRequest {
    /// When it is sent, after the start.
    pub at: Duration,
    /// Tokens of the prompt.
    pub isl: u32,
    /// Tokens of the answer.
    pub osl: u32,
    /// Names of the blocks of [`BLOCK_TOKENS`] of the prompt; empty when nothing is shared.
    pub blocks: Vec<u64>,
}

#[derive(Deserialize)]
struct Line {
    timestamp: f64,
    input_length: u32,
    output_length: u32,
    #[serde(default)]
    hash_ids: Vec<u64>,
}

/// Reads a trace; requests are ordered by time, those of one time as they stand.
///
/// # Errors
/// [`LoadError::Trace`] with the first line that is no request; an empty trace is one.
pub fn parse(text: &str) -> Result<Vec<TraceRequest>, LoadError> {
    let lines = text
        .lines()
        .enumerate()
        .filter(|(_, line)| !line.trim().is_empty());
    let mut requests = lines
        .map(|(index, line)| {
            request(line).map_err(|problem| LoadError::Trace {
                line: index + 1,
                problem,
            })
        })
        .collect::<Result<Vec<_>, _>>()?;
    if requests.is_empty() {
        return Err(LoadError::Trace {
            line: 1,
            problem: "the trace is empty: give a file with one JSON object a line".to_owned(),
        });
    }
    requests.sort_by_key(|request| request.at);
    Ok(requests)
}

fn request(line: &str) -> Result<TraceRequest, String> {
    let line: Line = serde_json::from_str(line).map_err(|error| error.to_string())?;
    if line.input_length == 0 || line.output_length == 0 {
        return Err("input_length and output_length are at least 1".to_owned());
    }
    let at = Duration::try_from_secs_f64(line.timestamp / 1000.0)
        .map_err(|error| format!("timestamp {}: {error}", line.timestamp))?;
    Ok(TraceRequest {
        at,
        isl: line.input_length,
        osl: line.output_length,
        blocks: line.hash_ids,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_read_and_ordered() {
        let text = r#"{"timestamp": 3000, "input_length": 600, "output_length": 52, "hash_ids": [46, 47]}

{"timestamp": 27.5, "input_length": 20, "output_length": 1}
"#;
        let requests = parse(text).expect("a trace");
        assert_eq!(requests[0].at, Duration::from_micros(27_500));
        assert_eq!((requests[0].isl, requests[0].osl), (20, 1));
        assert_eq!(requests[1].blocks, [46, 47]);
    }

    #[test]
    fn the_line_that_is_no_request_is_named() {
        for (text, line) in [
            ("", 1),
            (
                "{\"timestamp\": 1, \"input_length\": 1, \"output_length\": 1}\n{}",
                2,
            ),
            (
                "{\"timestamp\": -1, \"input_length\": 1, \"output_length\": 1}",
                1,
            ),
            ("{\"timestamp\": 1, \"input_length\": 0, \"output_length\": 1}", 1),
        ] {
            let error = parse(text).expect_err("no trace").to_string();
            assert!(error.starts_with(&format!("trace line {line}: ")), "{error}");
        }
    }
}
