//! Server-sent events, byte by byte as they arrive.
//!
//! The grammar is that of the HTML standard, section 9.2.6: lines end with LF, CR or CRLF, a blank line ends an event,
//! `data` lines of one event are joined by LF, other fields and comments are of no interest here.

/// Takes bytes in any portions and gives whole events.
#[derive(Debug, Default)]
pub struct SseParser {
    line: Vec<u8>,
    data: Vec<u8>,
    has_data: bool,
    /// The last byte was a CR: a LF right behind belongs to it.
    after_cr: bool,
}

impl SseParser {
    /// Takes the next bytes; `on_event` is called with the data of each event that they complete.
    pub fn feed(&mut self, bytes: &[u8], mut on_event: impl FnMut(&[u8])) {
        let mut rest = bytes;
        while let Some(&first) = rest.first() {
            if self.after_cr && first == b'\n' {
                self.after_cr = false;
                rest = &rest[1..];
                continue;
            }
            self.after_cr = false;
            let Some(end) = rest.iter().position(|&byte| byte == b'\n' || byte == b'\r') else {
                self.line.extend_from_slice(rest);
                return;
            };
            self.after_cr = rest[end] == b'\r';
            if self.line.is_empty() {
                // Nearly always a whole line arrives at once, and nothing is copied.
                self.take_line(&rest[..end], &mut on_event);
            } else {
                let mut line = std::mem::take(&mut self.line);
                line.extend_from_slice(&rest[..end]);
                self.take_line(&line, &mut on_event);
                line.clear();
                self.line = line;
            }
            rest = &rest[end + 1..];
        }
    }

    fn take_line(&mut self, line: &[u8], on_event: &mut impl FnMut(&[u8])) {
        if line.is_empty() {
            if self.has_data {
                on_event(&self.data);
            }
            self.data.clear();
            self.has_data = false;
        } else if let Some(value) = line.strip_prefix(b"data") {
            let value = match value {
                [] => value,
                [b':', b' ', value @ ..] | [b':', value @ ..] => value,
                // Another field, whose name begins like this one.
                _ => return,
            };
            if self.has_data {
                self.data.push(b'\n');
            }
            self.data.extend_from_slice(value);
            self.has_data = true;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn events(portions: &[&[u8]]) -> Vec<String> {
        let mut parser = SseParser::default();
        let mut events = Vec::new();
        for portion in portions {
            parser.feed(portion, |data| {
                events.push(String::from_utf8_lossy(data).into_owned());
            });
        }
        events
    }

    #[test]
    fn fields_and_comments_other_than_data_are_passed_over() {
        let text = b": ping\nevent: x\nid: 1\ndatabase: no\ndata: a\ndata:b\n\ndata\n\n\ndata: unfinished";
        assert_eq!(events(&[text]), ["a\nb", ""]);
    }

    proptest! {
        #[test]
        fn portions_do_not_matter(
            texts in prop::collection::vec("[a-z {}\":]{0,12}", 1..8),
            ending in prop::sample::select(vec!["\n", "\r", "\r\n"]),
            cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..10),
        ) {
            let events_of_texts: Vec<String> =
                texts.iter().map(|text| format!("data: {text}{ending}{ending}")).collect();
            let stream = events_of_texts.concat();
            let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(stream.len() + 1)).collect();
            cuts.extend([0, stream.len()]);
            cuts.sort_unstable();
            let portions: Vec<&[u8]> =
                cuts.windows(2).map(|pair| &stream.as_bytes()[pair[0]..pair[1]]).collect();
            prop_assert_eq!(events(&portions), texts);
        }
    }
}
