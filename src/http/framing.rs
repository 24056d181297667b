//! Where the requests of a connection begin and end, as far as its bytes say. actix does not tell
//! whether a part of a request waits in its buffers.
//!
//! Only timeouts follow from this: what is a valid request, actix decides.

/// A longer head is refused by actix.
const HEAD_LEN_MAX: usize = 128 * 1024;

const KEPT_CAPACITY: usize = 1024;

/// What the next byte belongs to.
#[derive(Debug)]
enum Part {
    /// A head, or the time before it.
    Head,
    /// A body, or a chunk with its end: bytes that are still to come, and what follows it.
    Body(u64, After),
    /// The line with the length of a chunk.
    ChunkLine,
    /// Lines after the last chunk, up to an empty one.
    Trailer,
    /// Nothing is known any more; actix refuses such a request.
    Unknown,
}

#[derive(Clone, Copy, Debug)]
enum After {
    Head,
    ChunkLine,
}

/// Follows the bytes of a connection.
#[derive(Debug)]
pub(super) struct Framing {
    part: Part,
    /// The head or the line that has begun.
    begun: Vec<u8>,
    /// Bytes of the line of a head that has begun, without its end.
    line_len: usize,
}

impl Default for Framing {
    fn default() -> Self {
        Self { part: Part::Head, begun: Vec::new(), line_len: 0 }
    }
}

impl Framing {
    /// Whether a request has begun whose last byte has not come.
    pub(super) fn is_within_request(&self) -> bool {
        match self.part {
            Part::Head => !self.begun.is_empty(),
            Part::Body(..) | Part::ChunkLine | Part::Trailer => true,
            Part::Unknown => false,
        }
    }

    pub(super) fn feed(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let used = match self.part {
                Part::Head => self.feed_head(bytes),
                Part::Body(left, after) => self.feed_body(bytes.len(), left, after),
                Part::ChunkLine | Part::Trailer => self.feed_line(bytes),
                Part::Unknown => return,
            };
            bytes = bytes.get(used..).unwrap_or_default();
        }
    }

    /// Uses the next line of a head.
    fn feed_head(&mut self, bytes: &[u8]) -> usize {
        let (line, is_whole) = first_line(bytes);
        self.line_len += line.iter().filter(|byte| !b"\r\n".contains(byte)).count();
        // Empty lines before a head are no part of it.
        if self.line_len == 0 && self.begun.is_empty() {
            return line.len();
        }
        self.begun.extend_from_slice(line);
        if self.begun.len() > HEAD_LEN_MAX {
            self.go_on_with(Part::Unknown);
        } else if is_whole && self.line_len == 0 {
            let body = body_of(&self.begun);
            self.go_on_with(body);
        } else if is_whole {
            self.line_len = 0;
        }
        line.len()
    }

    fn feed_body(&mut self, given: usize, left: u64, after: After) -> usize {
        let used = usize::try_from(left).unwrap_or(usize::MAX).min(given);
        self.part = match (left - used as u64, after) {
            (0, After::Head) => Part::Head,
            (0, After::ChunkLine) => Part::ChunkLine,
            (left, after) => Part::Body(left, after),
        };
        used
    }

    /// Uses the next line of a chunked body, between the chunks or after them.
    fn feed_line(&mut self, bytes: &[u8]) -> usize {
        let (line, is_whole) = first_line(bytes);
        self.begun.extend_from_slice(line);
        if self.begun.len() > HEAD_LEN_MAX {
            self.go_on_with(Part::Unknown);
        } else if is_whole {
            let next = match self.part {
                Part::ChunkLine => chunk_of(&self.begun),
                _ if self.begun.trim_ascii().is_empty() => Part::Head,
                _ => Part::Trailer,
            };
            self.go_on_with(next);
        }
        line.len()
    }

    fn go_on_with(&mut self, part: Part) {
        self.part = part;
        self.begun.clear();
        // An idle connection does not keep what a long head needed.
        self.begun.shrink_to(KEPT_CAPACITY);
        self.line_len = 0;
    }
}

/// The bytes up to the first line's end, and whether there is one.
fn first_line(bytes: &[u8]) -> (&[u8], bool) {
    match bytes.iter().position(|byte| *byte == b'\n') {
        Some(end) => (bytes.get(..=end).unwrap_or(bytes), true),
        None => (bytes, false),
    }
}

/// What follows a head.
fn body_of(head: &[u8]) -> Part {
    let mut length = 0;
    for line in head.split(|byte| *byte == b'\n').skip(1) {
        let Some(colon) = line.iter().position(|byte| *byte == b':') else { continue };
        let (name, value) = line.split_at(colon);
        let value = value.get(1..).unwrap_or_default().trim_ascii();
        if name.eq_ignore_ascii_case(b"transfer-encoding") && value.eq_ignore_ascii_case(b"chunked") {
            return Part::ChunkLine;
        }
        if name.eq_ignore_ascii_case(b"content-length") {
            let number = std::str::from_utf8(value).ok().and_then(|value| value.parse().ok());
            let Some(number) = number else { return Part::Unknown };
            length = number;
        }
    }
    if length == 0 { Part::Head } else { Part::Body(length, After::Head) }
}

/// What follows the line of a chunk.
fn chunk_of(line: &[u8]) -> Part {
    let digits: Vec<_> = line.iter().copied().take_while(u8::is_ascii_hexdigit).collect();
    let length = std::str::from_utf8(&digits).ok().and_then(|digits| u64::from_str_radix(digits, 16).ok());
    match length {
        Some(0) => Part::Trailer,
        // With the end of its line.
        Some(length) => Part::Body(length.saturating_add(2), After::ChunkLine),
        None => Part::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const GET: &str = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";
    const POST: &str = "POST / HTTP/1.1\r\nContent-Length: 5\r\n\r\na\r\n\r\n";
    const CHUNKED: &str = "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n\
                           3;x=y\r\n\r\n0\r\n1A\r\nabcdefghijklmnopqrstuvwxyz\r\n0\r\nA: b\r\n\r\n";
    const BARE: &str = "GET / HTTP/1.1\nHost: x\n\n";
    const EMPTY: &str = "POST / HTTP/1.1\r\nContent-Length: 0\r\n\r\n";

    proptest! {
        /// However the bytes are cut, a request is begun after its first byte and until its last.
        #[test]
        fn requests_are_followed(
            requests in prop::collection::vec(prop::sample::select(&[GET, POST, CHUNKED, BARE, EMPTY][..]), 1..6),
            cuts in prop::collection::vec(1_usize..40, 1..20),
            line_before in any::<bool>(),
        ) {
            let mut framing = Framing::default();
            let mut cuts = cuts.into_iter().cycle();
            for request in requests {
                if line_before {
                    framing.feed(b"\r\n");
                }
                prop_assert!(!framing.is_within_request());
                let mut rest = request.as_bytes();
                while !rest.is_empty() {
                    let (part, after) = rest.split_at(cuts.next().unwrap().min(rest.len()));
                    framing.feed(part);
                    prop_assert_eq!(framing.is_within_request(), !after.is_empty(), "{} bytes left", after.len());
                    rest = after;
                }
            }
        }

        #[test]
        fn any_bytes_are_taken(parts in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..200), 0..20)) {
            let mut framing = Framing::default();
            for part in parts {
                framing.feed(&part);
            }
        }
    }

    #[test]
    fn pipelined_requests_are_followed_in_one_piece() {
        let mut framing = Framing::default();
        framing.feed([GET, POST, CHUNKED, BARE, EMPTY, GET].concat().as_bytes());
        assert!(!framing.is_within_request());
        framing.feed(format!("{CHUNKED}G").as_bytes());
        assert!(framing.is_within_request());
    }

    #[test]
    fn what_is_no_request_is_left_to_actix() {
        for wrong in ["POST / HTTP/1.1\r\nContent-Length: x\r\n\r\n", &"x".repeat(HEAD_LEN_MAX + 1)] {
            let mut framing = Framing::default();
            framing.feed(wrong.as_bytes());
            assert!(!framing.is_within_request(), "{wrong:.60}");
        }
    }
}
