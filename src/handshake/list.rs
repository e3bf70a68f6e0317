//! Comma-separated lists (RFC 2616, section 2, the `#rule` that RFC 6455 uses).
#![forbid(unsafe_code)]

use super::head::Values;
use super::token::{as_token, is_token, is_whitespace};

/// The elements of a list that may continue over several header lines.
///
/// Whitespace around elements is removed and empty elements are skipped: "null elements are allowed, but do
/// not contribute".
#[derive(Debug, Clone)]
pub(super) struct Elements<'a> {
    lines: Values<'a>,
    rest: Option<&'a [u8]>,
}

impl<'a> Elements<'a> {
    /// Creates an iterator over the elements of all lines of a header.
    pub(super) const fn new(lines: Values<'a>) -> Self {
        Self { lines, rest: None }
    }

    /// Returns whether one element is this token. Letter case is ignored.
    pub(super) fn contain(mut self, token: &str) -> bool {
        self.any(|element| element.eq_ignore_ascii_case(token.as_bytes()))
    }
}

impl<'a> Iterator for Elements<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        loop {
            let line = match self.rest.take() {
                Some(rest) => rest,
                None => self.lines.next()?,
            };
            let element = match line.iter().position(|&byte| byte == b',') {
                Some(comma) => {
                    self.rest = Some(&line[comma + 1..]);
                    trim(&line[..comma])
                }
                None => trim(line),
            };
            if !element.is_empty() {
                return Some(element);
            }
        }
    }
}

/// The subprotocols that a client offers, in its order of preference (RFC 6455, section 4.1, item 10).
///
/// Names are case-sensitive. Created by [`Request::subprotocols`](super::Request::subprotocols).
///
/// ```
/// use websocket_stream::Limits;
/// use websocket_stream::handshake::{ParsedHandshake, ParsedRequest};
///
/// let request = ParsedRequest::http11("GET", "/")
///     .header("Host", "example.com")
///     .header("Sec-WebSocket-Protocol", "chat.v1, chat.v3")
///     .header("Sec-WebSocket-Protocol", "soap");
/// let handshake = ParsedHandshake::new(&request, &Limits::default())?;
/// let newest = handshake.request().subprotocols().filter(|name| name.starts_with("chat.v")).max();
/// assert_eq!(newest, Some("chat.v3"));
/// # Ok::<(), websocket_stream::handshake::RequestFault>(())
/// ```
#[derive(Debug, Clone)]
pub struct Subprotocols<'a>(Elements<'a>);

impl<'a> Subprotocols<'a> {
    /// Creates an iterator over the names in the lines of a header.
    pub(super) const fn new(lines: Values<'a>) -> Self {
        Self(Elements::new(lines))
    }

    /// Returns whether each element is a token.
    pub(super) fn are_well_formed(mut self) -> bool {
        self.0.all(is_token)
    }
}

impl<'a> Iterator for Subprotocols<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        self.0.find_map(as_token)
    }
}

/// Removes surrounding whitespace.
fn trim(bytes: &[u8]) -> &[u8] {
    let start = bytes.iter().position(|&byte| !is_whitespace(byte)).unwrap_or(bytes.len());
    let end = bytes.iter().rposition(|&byte| !is_whitespace(byte)).map_or(start, |last| last + 1);
    &bytes[start..end]
}

#[cfg(test)]
mod tests {
    use super::*;
    use quickcheck::QuickCheck;

    fn elements(value: &[u8]) -> Vec<&[u8]> {
        Elements::new(Values::of_one(value)).collect()
    }

    #[test]
    fn elements_are_split_at_commas_without_whitespace_and_empty_ones() {
        fn prop(pieces: Vec<u8>) -> bool {
            let value: Vec<u8> = pieces.iter().map(|byte| b", \tab"[usize::from(byte % 5)]).collect();
            let text = String::from_utf8(value.clone()).unwrap();
            let expected: Vec<&[u8]> = text
                .split(',')
                .map(|piece| piece.trim_matches([' ', '\t']).as_bytes())
                .filter(|piece| !piece.is_empty())
                .collect();
            elements(&value) == expected
        }
        QuickCheck::new().tests(2_000).quickcheck(prop as fn(Vec<u8>) -> bool);
    }
}
