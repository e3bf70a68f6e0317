//! The pairs of a query in the form that browsers write (`application/x-www-form-urlencoded`).
#![forbid(unsafe_code)]

use alloc::borrow::Cow;
use alloc::string::String;
use alloc::vec::Vec;

/// The name and value pairs of a query, in order. Created by
/// [`Request::query_pairs`](super::Request::query_pairs).
///
/// The form is that of the [URL standard](https://url.spec.whatwg.org/#urlencoded-parsing): pairs are
/// separated by `&`, name and value by the first `=`; `+` is a space, and `%` begins an escape. Empty pairs
/// are skipped. A pair without `=` has an empty value. An invalid escape is kept as it is, and bytes that are
/// not UTF-8 become U+FFFD.
///
/// ```
/// use websocket_stream::Limits;
/// use websocket_stream::handshake::{ParsedHandshake, ParsedRequest};
///
/// let target = "/?tag=a&tag=b%26c&verbose";
/// let request = ParsedRequest::http11("GET", target).header("Host", "example.com");
/// let handshake = ParsedHandshake::new(&request, &Limits::default())?;
/// let pairs = handshake.request().query_pairs();
/// let tags = pairs.clone().filter(|(name, _)| name == "tag").map(|(_, value)| value);
/// assert!(tags.eq(["a", "b&c"]));
/// assert!(pairs.clone().any(|(name, value)| name == "verbose" && value.is_empty()));
/// # Ok::<(), websocket_stream::handshake::RequestFault>(())
/// ```
#[derive(Debug, Clone)]
pub struct QueryPairs<'a> {
    rest: &'a str,
}

impl<'a> QueryPairs<'a> {
    pub(super) const fn new(query: &'a str) -> Self {
        Self { rest: query }
    }
}

impl<'a> Iterator for QueryPairs<'a> {
    type Item = (Cow<'a, str>, Cow<'a, str>);

    fn next(&mut self) -> Option<Self::Item> {
        while !self.rest.is_empty() {
            let (pair, rest) = self.rest.split_once('&').unwrap_or((self.rest, ""));
            self.rest = rest;
            if !pair.is_empty() {
                let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
                return Some((decode(name), decode(value)));
            }
        }
        None
    }
}

/// Decodes a name or a value. Borrows the text if there is nothing to decode.
fn decode(text: &str) -> Cow<'_, str> {
    if !text.contains(['+', '%']) {
        return Cow::Borrowed(text);
    }
    let mut decoded = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, behind @ ..] = rest {
        rest = behind;
        decoded.push(match (first, behind) {
            (b'+', _) => b' ',
            (b'%', [high, low, behind @ ..]) => match (digit(*high), digit(*low)) {
                (Some(high), Some(low)) => {
                    rest = behind;
                    high << 4 | low
                }
                _ => b'%',
            },
            _ => *first,
        });
    }
    match String::from_utf8(decoded) {
        Ok(text) => Cow::Owned(text),
        Err(error) => Cow::Owned(String::from_utf8_lossy(error.as_bytes()).into_owned()),
    }
}

/// Returns the value of a hexadecimal digit.
fn digit(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).and_then(|value| u8::try_from(value).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_that_needs_no_decoding_is_borrowed() {
        let pairs: Vec<_> = QueryPairs::new("room=1&a%20b=c").collect();
        assert!(matches!(pairs[0], (Cow::Borrowed("room"), Cow::Borrowed("1"))));
        assert!(matches!((&pairs[1].0, &pairs[1].1), (Cow::Owned(_), Cow::Borrowed("c"))));
    }
}
