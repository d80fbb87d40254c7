//! The receiving half of HTTP/1.1, byte by byte as they arrive (RFC 9112).
//!
//! It hands out parts of a body while the bytes that hold them are the last that were read, so that each part has a
//! time of arrival of its own. A client library reads ahead of whoever consumes the body, and the times are lost.

/// Largest head of a response that is accepted.
const MOST_HEAD_BYTES: usize = 64 * 1024;
/// Most headers of a response.
const MOST_HEADERS: usize = 96;
/// Longest line that tells the size of a chunk, extensions included.
const MOST_SIZE_LINE: usize = 4096;

/// What a server does wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HttpError {
    /// No HTTP.
    #[error("the response is no HTTP/1.1")]
    Head,
    /// A head without end.
    #[error("the head of the response is larger than 64 KiB")]
    HeadTooLarge,
    /// A body in chunks that are none.
    #[error("the chunks of the response are malformed")]
    Chunk,
    /// More bytes than were announced.
    #[error("bytes follow behind the end of the response")]
    Surplus,
    /// The connection ended first.
    #[error("the connection was closed before the end of the response")]
    Truncated,
}

/// What the head of a response says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    /// Status code.
    pub status: u16,
    /// Whether the connection can be used again.
    pub keeps_alive: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Body {
    Length(u64),
    /// The line with the size of the next chunk.
    Size,
    /// Bytes left of a chunk.
    Chunk(u64),
    /// The end of line behind a chunk: how many bytes of it were seen.
    ChunkEnd(u8),
    /// Lines behind the last chunk.
    Trailer,
    UntilClose,
    Done,
}

/// Reads one response.
#[derive(Debug)]
pub struct ResponseReader {
    head: Option<Head>,
    body: Body,
    /// Bytes of the head, of a size line or of a trailer line.
    held: Vec<u8>,
}

impl Default for ResponseReader {
    fn default() -> Self {
        Self {
            head: None,
            body: Body::UntilClose,
            held: Vec::new(),
        }
    }
}

impl ResponseReader {
    /// What the head says, once it is there.
    pub const fn head(&self) -> Option<Head> {
        self.head
    }

    /// Whether the response is complete.
    pub fn is_done(&self) -> bool {
        self.head.is_some() && self.body == Body::Done
    }

    /// Takes the next bytes; `on_body` is called with the parts of the body among them.
    ///
    /// # Errors
    /// [`HttpError`] when they are no response; nothing more can then be read from the connection.
    pub fn feed(&mut self, bytes: &[u8], mut on_body: impl FnMut(&[u8])) -> Result<(), HttpError> {
        let mut rest = bytes;
        while self.head.is_none() {
            let held_before = self.held.len();
            self.held.extend_from_slice(rest);
            let Some((head, body, length)) = parse_head(&self.held)? else {
                return Ok(());
            };
            self.held.clear();
            rest = &rest[length - held_before..];
            // Interim responses come before the one that counts.
            if head.status >= 200 {
                self.head = Some(head);
                self.body = body;
            }
        }
        while !rest.is_empty() {
            rest = self.feed_body(rest, &mut on_body)?;
        }
        Ok(())
    }

    /// The server closed the connection.
    ///
    /// # Errors
    /// [`HttpError::Truncated`] when the response was not complete.
    pub fn close(&mut self) -> Result<(), HttpError> {
        if self.head.is_some() && matches!(self.body, Body::UntilClose | Body::Done) {
            self.body = Body::Done;
            return Ok(());
        }
        Err(HttpError::Truncated)
    }

    fn feed_body<'a>(
        &mut self,
        bytes: &'a [u8],
        on_body: &mut impl FnMut(&[u8]),
    ) -> Result<&'a [u8], HttpError> {
        match self.body {
            Body::Done => Err(HttpError::Surplus),
            Body::UntilClose => {
                on_body(bytes);
                Ok(&[])
            }
            Body::Length(left) => {
                let (part, rest) = split(bytes, left);
                let left = left - count(part);
                self.body = if left == 0 { Body::Done } else { Body::Length(left) };
                on_body(part);
                Ok(rest)
            }
            Body::Chunk(left) => {
                let (part, rest) = split(bytes, left);
                let left = left - count(part);
                self.body = if left == 0 {
                    Body::ChunkEnd(0)
                } else {
                    Body::Chunk(left)
                };
                on_body(part);
                Ok(rest)
            }
            Body::ChunkEnd(seen) => {
                let expected = if seen == 0 { b'\r' } else { b'\n' };
                if bytes[0] != expected {
                    return Err(HttpError::Chunk);
                }
                self.body = if seen == 0 { Body::ChunkEnd(1) } else { Body::Size };
                Ok(&bytes[1..])
            }
            Body::Size | Body::Trailer => self.feed_line(bytes),
        }
    }

    fn feed_line<'a>(&mut self, bytes: &'a [u8]) -> Result<&'a [u8], HttpError> {
        let Some(end) = bytes.iter().position(|&byte| byte == b'\n') else {
            self.held.extend_from_slice(bytes);
            return if self.held.len() > MOST_SIZE_LINE {
                Err(HttpError::Chunk)
            } else {
                Ok(&[])
            };
        };
        self.held.extend_from_slice(&bytes[..end]);
        let line = self.held.strip_suffix(b"\r").unwrap_or(&self.held);
        self.body = match self.body {
            Body::Trailer if line.is_empty() => Body::Done,
            Body::Trailer => Body::Trailer,
            Body::Size
            | Body::Length(_)
            | Body::Chunk(_)
            | Body::ChunkEnd(_)
            | Body::UntilClose
            | Body::Done => match chunk_size(line)? {
                0 => Body::Trailer,
                size => Body::Chunk(size),
            },
        };
        self.held.clear();
        Ok(&bytes[end + 1..])
    }
}

fn parse_head(bytes: &[u8]) -> Result<Option<(Head, Body, usize)>, HttpError> {
    let mut headers = [httparse::EMPTY_HEADER; MOST_HEADERS];
    let mut response = httparse::Response::new(&mut headers);
    let parsed = response.parse(bytes).map_err(|_| HttpError::Head)?;
    let httparse::Status::Complete(length) = parsed else {
        return if bytes.len() > MOST_HEAD_BYTES {
            Err(HttpError::HeadTooLarge)
        } else {
            Ok(None)
        };
    };
    let status = response.code.ok_or(HttpError::Head)?;
    let mut keeps_alive = response.version == Some(1);
    let mut body = Body::UntilClose;
    for header in response.headers.iter() {
        let value = std::str::from_utf8(header.value).unwrap_or_default().trim();
        if header.name.eq_ignore_ascii_case("content-length") && body != Body::Size {
            body = match value.parse().map_err(|_| HttpError::Head)? {
                0 => Body::Done,
                length => Body::Length(length),
            };
        } else if header.name.eq_ignore_ascii_case("transfer-encoding") {
            // Nothing but chunks is asked for, and chunks outrank a length.
            body = Body::Size;
        } else if header.name.eq_ignore_ascii_case("connection") {
            keeps_alive = !value.eq_ignore_ascii_case("close")
                && (keeps_alive || value.eq_ignore_ascii_case("keep-alive"));
        }
    }
    if matches!(status, 204 | 304) {
        body = Body::Done;
    }
    let keeps_alive = keeps_alive && body != Body::UntilClose;
    Ok(Some((Head { status, keeps_alive }, body, length)))
}

fn chunk_size(line: &[u8]) -> Result<u64, HttpError> {
    let digits = line.split(|&byte| byte == b';').next().unwrap_or_default();
    let digits = std::str::from_utf8(digits).map_err(|_| HttpError::Chunk)?.trim();
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err(HttpError::Chunk);
    }
    u64::from_str_radix(digits, 16).map_err(|_| HttpError::Chunk)
}

fn split(bytes: &[u8], most: u64) -> (&[u8], &[u8]) {
    let at = usize::try_from(most).map_or(bytes.len(), |most| most.min(bytes.len()));
    bytes.split_at(at)
}

fn count(bytes: &[u8]) -> u64 {
    u64::try_from(bytes.len()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
