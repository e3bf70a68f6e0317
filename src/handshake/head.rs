//! The head of an HTTP message, collected as it arrives and parsed once it is complete.
//!
//! The collector searches for the empty line that ends a head, and reads each byte once. It rejects at once
//! what a parser must never repair: a line that does not end in CRLF, a NUL, and a first byte that cannot
//! begin a start line. All else is checked when the head is complete.
#![forbid(unsafe_code)]

use super::token::{is_token_byte, is_whitespace};
use crate::Limits;
use alloc::vec;
use alloc::vec::Vec;
use core::ops::Range;
use httparse::{EMPTY_HEADER, Error, Header, ParserConfig, Status};

/// The progress of a handshake after consuming bytes.
///
/// See the example of [`ServerHandshake`](super::ServerHandshake).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HeadStatus {
    /// The head is incomplete, and all bytes were consumed.
    Partial,
    /// The head is complete: it ends after the first `used` of the bytes passed last. The bytes after it
    /// belong to the connection's first frame.
    Complete {
        /// The number of bytes consumed.
        used: usize,
    },
}

/// The reason why bytes are not a valid head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum HeadFault {
    /// They break HTTP's grammar.
    Malformed,
    /// They exceed one of the limits.
    TooLarge,
    /// The version is well-formed, but neither HTTP/1.0 nor HTTP/1.1.
    Version,
}

/// Collects the bytes of a head until it is complete.
#[derive(Debug)]
pub(super) struct Collector {
    /// The maximum number of header lines.
    max_headers: usize,
    /// How the start line begins.
    start: &'static [u8],
    bytes: Vec<u8>,
    /// The number of bytes that the limit still allows.
    room: usize,
    /// The number of bytes collected of the current line.
    line: usize,
    /// The number of complete lines, not counting empty lines before the first.
    lines: usize,
    /// The number of bytes read. No result depends on it.
    #[cfg(test)]
    scanned: usize,
}

impl Collector {
    pub(super) fn new(limits: &Limits, start: &'static [u8]) -> Self {
        // Positions within a head are stored in 32 bits.
        let room = limits.head_bytes.min(u32::MAX as usize);
        Self {
            max_headers: limits.head_headers,
            start,
            bytes: Vec::new(),
            room,
            line: 0,
            lines: 0,
            #[cfg(test)]
            scanned: 0,
        }
    }

    /// Collects bytes up to the end of the head.
    pub(super) fn collect(&mut self, bytes: &[u8]) -> Result<HeadStatus, HeadFault> {
        let allowed = &bytes[..bytes.len().min(self.room)];
        let end = self.find_end(allowed)?;
        let taken = &allowed[..end.unwrap_or(allowed.len())];
        self.room -= taken.len();
        match end {
            Some(used) => {
                self.bytes.extend_from_slice(taken);
                Ok(HeadStatus::Complete { used })
            }
            // The end has not arrived, and the limit leaves no room for it.
            None if self.room == 0 => Err(HeadFault::TooLarge),
            None => {
                self.bytes.extend_from_slice(taken);
                Ok(HeadStatus::Partial)
            }
        }
    }

    /// Finds the end of the head in the bytes that follow the collected ones.
    fn find_end(&mut self, bytes: &[u8]) -> Result<Option<usize>, HeadFault> {
        let mut at = 0;
        while let Some(&first) = bytes.get(at) {
            if self.lines == 0 && self.line == 0 && !is_token_byte(first) && first != b'\r' {
                return Err(HeadFault::Malformed);
            }
            let rest = &bytes[at..];
            if self.lines == 0 && !self.may_begin(rest) {
                return Err(HeadFault::Malformed);
            }
            let found = rest.iter().position(|&byte| byte == b'\n' || byte == 0);
            #[cfg(test)]
            {
                self.scanned += found.map_or(rest.len(), |index| index + 1);
            }
            let Some(index) = found else {
                self.line += rest.len();
                break;
            };
            let before = match index.checked_sub(1) {
                Some(before) => rest.get(before),
                None if self.line > 0 => self.bytes.last(),
                None => None,
            };
            // A NUL, or a bare LF: "a recipient MAY recognize a single LF as a line terminator" (RFC 9112,
            // section 2.2), but a difference between two recipients allows request smuggling.
            if rest[index] == 0 || before != Some(&b'\r') {
                return Err(HeadFault::Malformed);
            }
            let is_empty = self.line + index == 1;
            self.line = 0;
            at += index + 1;
            // "a server that is expecting to receive and parse a request-line SHOULD ignore at least
            // one empty line (CRLF) received prior to the request-line" (RFC 9112, section 2.2).
            match self.lines {
                0 if is_empty => {}
                _ if is_empty => return Ok(Some(at)),
                lines if lines > self.max_headers => return Err(HeadFault::TooLarge),
                _ => self.lines += 1,
            }
        }
        Ok(None)
    }

    /// Returns whether a line can be the start line, as far as it has arrived. `rest` are its bytes that were
    /// not collected yet. A peer that speaks another protocol may never send the end of a head.
    fn may_begin(&self, rest: &[u8]) -> bool {
        let collected = &self.bytes[self.bytes.len() - self.line..];
        let mut line = collected.iter().chain(rest).peekable();
        // An empty line before the start line, perhaps.
        line.peek() == Some(&&b'\r') || line.zip(self.start).all(|(byte, expected)| byte == expected)
    }

    /// Returns the bytes collected of an incomplete head.
    #[cfg(feature = "std")]
    pub(super) fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    /// Takes the head's bytes and its number of header lines. The collector is empty afterwards, but the
    /// bytes still count towards its limit.
    fn take(&mut self) -> (Vec<u8>, usize) {
        self.line = 0;
        let lines = core::mem::take(&mut self.lines);
        (core::mem::take(&mut self.bytes), lines.saturating_sub(1))
    }

    /// Parses the complete head of a request, and leaves the collector empty.
    pub(super) fn parse_request(&mut self) -> Result<RequestHead, HeadFault> {
        let (bytes, headers) = self.take();
        let mut headers = vec![EMPTY_HEADER; headers];
        let mut request = httparse::Request::new(&mut headers);
        // "request-line = method SP request-target SP HTTP-version" (RFC 9112, section 3).
        whole(request.parse(&bytes), &bytes, |line| line.splitn(3, |&byte| byte == b' ').nth(2))?;
        let method = Span::of(request.method.unwrap_or_default().as_bytes(), &bytes);
        let target = Span::of(request.path.unwrap_or_default().as_bytes(), &bytes);
        let version = if request.version == Some(1) { Version::Http11 } else { Version::Http10 };
        let fields = spans(request.headers, &bytes);
        Ok(RequestHead { method, target, version, head: Head { bytes, fields } })
    }

    /// Parses the complete head of a response, and leaves the collector empty for the next response.
    pub(super) fn parse_response(&mut self) -> Result<ResponseHead, HeadFault> {
        let (mut bytes, headers) = self.take();
        let mut headers = vec![EMPTY_HEADER; headers];
        let mut response = httparse::Response::new(&mut headers);
        let mut parsed = response.parse(&bytes);
        // "A user agent that receives an obs-fold in a response message ... MUST replace each received
        // obs-fold with one or more SP octets prior to interpreting the field value" (RFC 9112, section 5.2).
        // Old servers and proxies fold lines in refusals; no WebSocket server folds the lines of a 101.
        let is_folded = parsed == Err(Error::HeaderName) && response.code != Some(101);
        if is_folded {
            let mut config = ParserConfig::default();
            config.allow_obsolete_multiline_headers_in_responses(true);
            parsed = config.parse_response(&mut response, &bytes);
        }
        // "status-line = HTTP-version SP status-code SP [ reason-phrase ]" (RFC 9112, section 4).
        whole(parsed, &bytes, |line| {
            let end = line.iter().position(|&byte| byte == b' ')?;
            line.get(..end)
        })?;
        let status = response.code.unwrap_or_default();
        let reason = Span::of(response.reason.unwrap_or_default().as_bytes(), &bytes);
        let is_1_1 = response.version == Some(1);
        let fields = spans(response.headers, &bytes);
        if is_folded {
            for field in &fields {
                unfold(bytes.get_mut(field.value.range()).unwrap_or_default());
            }
        }
        Ok(ResponseHead { status, reason, is_1_1, head: Head { bytes, fields } })
    }
}

/// Replaces each obs-fold in a value with spaces: "obs-fold = OWS CRLF RWS" (RFC 9112, section 5.2).
fn unfold(value: &mut [u8]) {
    let may_fold = |byte| is_whitespace(byte) || matches!(byte, b'\r' | b'\n');
    for run in value.chunk_by_mut(|&a, &b| may_fold(a) && may_fold(b)) {
        if run.contains(&b'\n') {
            run.fill(b' ');
        }
    }
}

/// Checks that the parser ends the head where the collector does. `version` finds the HTTP-version in a start
/// line.
fn whole(
    parsed: httparse::Result<usize>,
    bytes: &[u8],
    version: impl FnOnce(&[u8]) -> Option<&[u8]>,
) -> Result<(), HeadFault> {
    match parsed {
        Ok(Status::Complete(size)) if size == bytes.len() => Ok(()),
        // The parser reports this for any text in the version's place other than HTTP/1.0 and HTTP/1.1.
        // HTTP/1.2 is refused too: "SHOULD process the message as if it was in the highest minor version"
        // (RFC 9110, section 6.2) is about a version that does not exist.
        Err(Error::Version) if version(start_line(bytes)).is_some_and(is_version) => Err(HeadFault::Version),
        _ => Err(HeadFault::Malformed),
    }
}

/// Returns the first line that is not empty, without its line end.
fn start_line(head: &[u8]) -> &[u8] {
    let mut lines = head.split(|&byte| byte == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line));
    lines.find(|line| !line.is_empty()).unwrap_or_default()
}

/// Returns whether this is an HTTP version: "HTTP-version = HTTP-name "/" DIGIT "." DIGIT", and "HTTP-version
/// is case-sensitive" (RFC 9112, section 2.3).
fn is_version(text: &[u8]) -> bool {
    matches!(text, [b'H', b'T', b'T', b'P', b'/', b'0'..=b'9', b'.', b'0'..=b'9'])
}

fn spans(headers: &[Header<'_>], bytes: &[u8]) -> Vec<Field> {
    let field = |header: &Header<'_>| Field {
        name: Span::of(header.name.as_bytes(), bytes),
        value: Span::of(header.value, bytes),
    };
    headers.iter().map(field).collect()
}

/// A range within a head's bytes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Span {
    start: u32,
    end: u32,
}

impl Span {
    /// Returns the range of `part`, which is a part of `whole`.
    fn of(part: &[u8], whole: &[u8]) -> Self {
        let start = part.as_ptr().addr().wrapping_sub(whole.as_ptr().addr());
        match (u32::try_from(start), u32::try_from(start.wrapping_add(part.len()))) {
            (Ok(start), Ok(end)) if end as usize <= whole.len() => Self { start, end },
            // An empty part may lie outside.
            _ => Self { start: 0, end: 0 },
        }
    }

    const fn range(self) -> Range<usize> {
        self.start as usize..self.end as usize
    }
}

#[derive(Debug, Clone, Copy)]
struct Field {
    name: Span,
    value: Span,
}

/// A parsed head: its bytes, and the ranges of its headers.
#[derive(Debug)]
pub(super) struct Head {
    bytes: Vec<u8>,
    fields: Vec<Field>,
}

impl Head {
    /// Returns all the bytes.
    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    #[cfg(feature = "std")]
    pub(super) fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    /// Returns the bytes of a range.
    pub(super) fn get(&self, span: Span) -> &[u8] {
        self.bytes.get(span.range()).unwrap_or_default()
    }

    /// Returns the text of a range that the parser found to be text.
    pub(super) fn text(&self, span: Span) -> &str {
        str::from_utf8(self.get(span)).unwrap_or_default()
    }

    /// Returns all header lines.
    pub(super) fn headers(&self) -> Headers<'_> {
        Headers { head: self, fields: self.fields.iter() }
    }

    /// Returns the values of the header lines with this name.
    pub(super) fn values<'a>(&'a self, name: &'a str) -> Values<'a> {
        Values(Source::Head { headers: self.headers(), name })
    }

    /// Returns the value of a header that may appear only once.
    pub(super) fn only<'a>(&'a self, name: &'a str) -> Only<'a> {
        let mut values = self.values(name);
        match (values.next(), values.next()) {
            (None, _) => Only::Absent,
            (Some(value), None) => Only::One(value),
            (Some(_), Some(_)) => Only::Several,
        }
    }
}

/// The value of a header that may appear only once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Only<'a> {
    Absent,
    One(&'a [u8]),
    Several,
}

/// The version of HTTP in which a request arrived.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Version {
    Http10,
    Http11,
    /// HTTP/2 or later, with the `:protocol` of an extended CONNECT (RFC 8441, section 4).
    Http2(Option<Protocol>),
}

impl Version {
    pub(super) const fn is_http2(self) -> bool {
        matches!(self, Self::Http2(_))
    }
}

/// The protocol that an extended CONNECT asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Protocol {
    WebSocket,
    Other,
}

/// The head of a request.
#[derive(Debug)]
pub(super) struct RequestHead {
    pub(super) method: Span,
    pub(super) target: Span,
    pub(super) version: Version,
    pub(super) head: Head,
}

/// The head of a response.
#[derive(Debug)]
pub(super) struct ResponseHead {
    pub(super) status: u16,
    pub(super) reason: Span,
    pub(super) is_1_1: bool,
    pub(super) head: Head,
}

/// The header lines of a head, in order.
///
/// Names are as they were sent; compare them without regard to case. Values have no surrounding whitespace.
/// If a value in a response was folded over several lines, it is joined with spaces.
///
/// ```
/// use websocket_stream::Limits;
/// use websocket_stream::handshake::{ParsedHandshake, ParsedRequest};
///
/// let request = ParsedRequest::http11("GET", "/").header("Host", "localhost").header("X-Trace", "7");
/// let handshake = ParsedHandshake::new(&request, &Limits::default())?;
/// let log: Vec<_> = handshake
///     .request()
///     .headers()
///     .map(|(name, value)| format!("{name}: {}", String::from_utf8_lossy(value)))
///     .collect();
/// assert_eq!(log, ["Host: localhost", "X-Trace: 7"]);
/// # Ok::<(), websocket_stream::handshake::RequestFault>(())
/// ```
#[derive(Debug, Clone)]
pub struct Headers<'a> {
    head: &'a Head,
    fields: core::slice::Iter<'a, Field>,
}

impl<'a> Iterator for Headers<'a> {
    type Item = (&'a str, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        self.fields.next().map(|field| (self.head.text(field.name), self.head.get(field.value)))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.fields.size_hint()
    }
}

impl ExactSizeIterator for Headers<'_> {}

/// The values of all header lines with one name, in order, without surrounding whitespace.
///
/// ```
/// use websocket_stream::Limits;
/// use websocket_stream::handshake::{ParsedHandshake, ParsedRequest};
///
/// // HTTP/2 may send each cookie in a line of its own.
/// let request = ParsedRequest::http2("GET", "example.com", "/", None)
///     .header("cookie", "seen=1")
///     .header("cookie", "session=31415926");
/// let handshake = ParsedHandshake::new(&request, &Limits::default())?;
/// let session = handshake.request().values("Cookie").find_map(|line| line.strip_prefix(b"session="));
/// assert_eq!(session, Some(&b"31415926"[..]));
/// # Ok::<(), websocket_stream::handshake::RequestFault>(())
/// ```
#[derive(Debug, Clone)]
pub struct Values<'a>(Source<'a>);

#[derive(Debug, Clone)]
enum Source<'a> {
    Head { headers: Headers<'a>, name: &'a str },
    One(Option<&'a [u8]>),
}

impl<'a> Values<'a> {
    /// Creates an iterator over one value that is not from a head.
    pub(super) const fn of_one(value: &'a [u8]) -> Self {
        Self(Source::One(Some(value)))
    }
}

impl<'a> Iterator for Values<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        match &mut self.0 {
            Source::One(value) => value.take(),
            Source::Head { headers: Headers { head, fields }, name } => fields
                .find(|field| head.get(field.name).eq_ignore_ascii_case(name.as_bytes()))
                .map(|field| head.get(field.value)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use quickcheck::QuickCheck;

    /// A head of exactly `size` bytes, in lines of up to 1,000.
    fn head_of(size: usize) -> Vec<u8> {
        let mut head = b"GET / HTTP/1.1\r\n".to_vec();
        while head.len() + 2 < size {
            let value = (size - 2 - head.len()).min(1000).saturating_sub(b"a: \r\n".len());
            head.extend([b"a: ".as_slice(), &vec![b'x'; value], b"\r\n"].concat());
        }
        head.extend(b"\r\n");
        assert_eq!(head.len(), size);
        head
    }

    fn collector(bytes: usize) -> Collector {
        Collector::new(&Limits::default().head_bytes(bytes), b"")
    }

    #[test]
    fn each_byte_of_a_head_that_arrives_bytewise_is_read_once() {
        let head = head_of(64 * 1024);
        let mut collector = collector(head.len());
        for (index, byte) in head.iter().enumerate() {
            assert_eq!(collector.scanned, index);
            let last = index + 1 == head.len();
            let expected = if last { HeadStatus::Complete { used: 1 } } else { HeadStatus::Partial };
            assert_eq!(collector.collect(&[*byte]), Ok(expected));
        }
        assert_eq!(collector.scanned, head.len());
        assert_eq!(collector.parse_request().unwrap().head.headers().len(), 66);
    }

    #[test]
    fn a_head_at_the_limit_is_accepted_and_a_longer_one_refused_once_it_reaches_the_limit() {
        let head = head_of(4096);
        assert_eq!(collector(4096).collect(&head), Ok(HeadStatus::Complete { used: 4096 }));
        assert_eq!(collector(4095).collect(&head), Err(HeadFault::TooLarge));
        let mut bytewise = collector(4095);
        for byte in &head[..4094] {
            assert_eq!(bytewise.collect(&[*byte]), Ok(HeadStatus::Partial));
        }
        assert_eq!(bytewise.collect(&head[4094..4095]), Err(HeadFault::TooLarge));
    }

    #[test]
    fn no_more_is_held_than_the_limit_allows() {
        let mut collector = collector(1000);
        let line = [b'a'; 999];
        assert_eq!(collector.collect(&line), Ok(HeadStatus::Partial));
        assert_eq!(collector.collect(&vec![b'a'; 1 << 20]), Err(HeadFault::TooLarge));
        assert_eq!(collector.bytes.len(), 999);
        assert_eq!(collector.scanned, 1000);
    }

    #[test]
    fn a_header_too_many_is_refused_at_the_end_of_its_line() {
        let limits = &Limits::default().head_headers(2);
        let mut collector = Collector::new(limits, b"");
        assert_eq!(collector.collect(b"GET / HTTP/1.1\r\na: 1\r\nb: 2\r\nc: 3\r"), Ok(HeadStatus::Partial));
        assert_eq!(collector.collect(b"\n"), Err(HeadFault::TooLarge));
        let mut collector = Collector::new(limits, b"");
        let head = b"GET / HTTP/1.1\r\na: 1\r\nb: 2\r\n\r\n";
        assert_eq!(collector.collect(head), Ok(HeadStatus::Complete { used: head.len() }));
        assert_eq!(collector.parse_request().unwrap().head.headers().len(), 2);
    }

    #[test]
    fn empty_lines_before_the_request_are_passed_over() {
        let mut collector = collector(1000);
        let head = b"\r\n\r\n\r\nGET /a HTTP/1.1\r\na: 1\r\n\r\n";
        assert_eq!(collector.collect(head), Ok(HeadStatus::Complete { used: head.len() }));
        let request = collector.parse_request().unwrap();
        assert_eq!(request.head.text(request.target), "/a");
        assert_eq!(request.head.headers().collect::<Vec<_>>(), [("a", &b"1"[..])]);
    }

    #[test]
    fn a_byte_that_cannot_begin_a_start_line_is_refused_at_once() {
        for first in (0..=u8::MAX).filter(|&byte| !is_token_byte(byte) && byte != b'\r') {
            assert_eq!(collector(1000).collect(&[first]), Err(HeadFault::Malformed), "{first}");
            assert_eq!(collector(1000).collect(&[b'\r', b'\n', first]), Err(HeadFault::Malformed), "{first}");
        }
    }

    #[test]
    fn a_bare_line_feed_and_a_nul_are_refused_at_once() {
        let head = b"GET / HTTP/1.1\r\na: 1\r\nb: 2\r\n\r\n";
        for at in 1..head.len() {
            for byte in [b'\n', 0] {
                let is_line_end = head[at - 1] == b'\r' && byte == b'\n';
                let mut bytes = head[..at].to_vec();
                bytes.push(byte);
                let refused = collector(1000).collect(&bytes) == Err(HeadFault::Malformed);
                assert_eq!(refused, !is_line_end, "{byte} at {at}");
            }
        }
    }

    #[test]
    fn a_value_has_no_whitespace_around_it_and_may_be_empty() {
        let mut collector = collector(1000);
        collector.collect(b"GET / HTTP/1.1\r\na:\r\nb: \t \r\nC:\t x y \t\r\nd:\xE4\r\n\r\n").unwrap();
        let request = collector.parse_request().unwrap();
        let expected: [(&str, &[u8]); 4] = [("a", b""), ("b", b""), ("C", b"x y"), ("d", b"\xE4")];
        assert_eq!(request.head.headers().collect::<Vec<_>>(), expected);
        assert_eq!(request.head.only("c"), Only::One(b"x y"));
        assert_eq!(request.head.only("x"), Only::Absent);
    }

    #[test]
    fn the_collector_finds_the_end_that_a_search_finds() {
        fn prop(noise: Vec<u8>, splits: Vec<u8>) -> bool {
            let pieces: [&[u8]; 6] = [b"a", b"\r\n", b": ", b"\r\n\r\n", b"\r", b"bc"];
            let bytes: Vec<u8> =
                noise.iter().flat_map(|byte| pieces[usize::from(byte % 6)]).copied().collect();
            let bytes = [b"G".as_slice(), &bytes].concat();
            let end = bytes.windows(4).position(|window| window == b"\r\n\r\n").map(|at| at + 4);
            let mut collector = collector(1 << 20);
            let (mut at, mut splits) = (0, splits.into_iter());
            while at < bytes.len() {
                let size = splits.next().map_or(bytes.len(), |split| usize::from(split % 8));
                let piece = &bytes[at..bytes.len().min(at + size)];
                match collector.collect(piece) {
                    Ok(HeadStatus::Partial) => at += piece.len(),
                    Ok(HeadStatus::Complete { used }) => return Some(at + used) == end,
                    Err(_) => return false,
                }
            }
            end.is_none()
        }
        QuickCheck::new().tests(5_000).quickcheck(prop as fn(Vec<u8>, Vec<u8>) -> bool);
    }
}
