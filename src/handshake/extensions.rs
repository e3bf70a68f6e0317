//! The extensions that a handshake offers or chooses (RFC 6455, section 9.1).
//!
//! ```text
//! extension-list  = 1#extension
//! extension       = extension-token *( ";" extension-param )
//! extension-param = token [ "=" (token | quoted-string) ]
//! ```
//!
//! The parser does not allocate and reads each byte a fixed number of times. The header may span several
//! lines. Whitespace is allowed around every token, and list elements may be empty. So may the whole list:
//! the grammar does not allow this, but an empty list requests nothing. All other violations of the grammar
//! fail the handshake: "the recipient of such malformed data MUST immediately _Fail the WebSocket
//! Connection_".
#![forbid(unsafe_code)]

use super::head::Values;
use super::token::{is_token_byte, is_whitespace};
use core::fmt;

/// A `Sec-WebSocket-Extensions` header that does not follow its grammar.
///
/// ```
/// use websocket_stream::handshake::{Extensions, MalformedExtensions};
///
/// assert_eq!(Extensions::parse(b"permessage-deflate; =10").err(), Some(MalformedExtensions));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct MalformedExtensions;

impl fmt::Display for MalformedExtensions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("malformed list of extensions")
    }
}

impl core::error::Error for MalformedExtensions {}

/// The extensions of a handshake, in order. In an offer, this is the client's order of preference.
///
/// ```
/// use websocket_stream::handshake::Extensions;
///
/// let offers = Extensions::parse(b"permessage-deflate; client_max_window_bits; x=\"10\", bar")?;
/// let names: Vec<_> = offers.clone().map(|extension| extension.name).collect();
/// assert_eq!(names, ["permessage-deflate", "bar"]);
/// let params: Vec<_> = offers.flat_map(|extension| extension.params()).collect();
/// assert_eq!(params, [("client_max_window_bits", None), ("x", Some("10"))]);
/// # Ok::<(), websocket_stream::handshake::MalformedExtensions>(())
/// ```
#[derive(Debug, Clone)]
pub struct Extensions<'a> {
    lines: Values<'a>,
    rest: Cursor<'a>,
}

/// One extension of a list.
///
/// See the example of [`Extensions`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Extension<'a> {
    /// The registered name.
    pub name: &'a str,
    /// The bytes after the name: empty, or a `;` and the rest.
    params: &'a [u8],
}

impl<'a> Extension<'a> {
    /// Returns the parameters in order, each with its value if it has one. Duplicates are kept.
    ///
    /// The value of a quoted string has no quotes, but keeps its backslashes. No token contains a backslash,
    /// so a value with one never equals a value that an extension defines.
    pub const fn params(&self) -> Params<'a> {
        Params(Cursor(self.params))
    }
}

/// The parameters of an [`Extension`].
///
/// See the example of [`Extensions`].
#[derive(Debug, Clone)]
pub struct Params<'a>(Cursor<'a>);

impl<'a> Iterator for Params<'a> {
    type Item = (&'a str, Option<&'a str>);

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.eat(b';') { self.0.param().ok() } else { None }
    }
}

impl<'a> Extensions<'a> {
    /// Parses one value of the header.
    ///
    /// # Errors
    ///
    /// [`MalformedExtensions`] if any part of the value violates the grammar.
    pub fn parse(value: &'a [u8]) -> Result<Self, MalformedExtensions> {
        Self::over(Values::of_one(value))
    }

    /// Parses all lines of the header.
    pub(super) fn over(lines: Values<'a>) -> Result<Self, MalformedExtensions> {
        let extensions = Self::unchecked(lines);
        let mut check = extensions.clone();
        while check.parse_next()?.is_some() {}
        Ok(extensions)
    }

    /// Iterates over lines that were checked before. Ends at a violation of the grammar.
    pub(super) const fn unchecked(lines: Values<'a>) -> Self {
        Self { lines, rest: Cursor(&[]) }
    }

    fn parse_next(&mut self) -> Result<Option<Extension<'a>>, MalformedExtensions> {
        loop {
            if let Some(extension) = self.rest.extension()? {
                return Ok(Some(extension));
            }
            match self.lines.next() {
                Some(line) => self.rest = Cursor(line),
                None => return Ok(None),
            }
        }
    }
}

impl<'a> Iterator for Extensions<'a> {
    type Item = Extension<'a>;

    fn next(&mut self) -> Option<Extension<'a>> {
        self.parse_next().ok().flatten()
    }
}

/// The rest of a value. A step that fails consumes nothing, so repeating it fails again.
#[derive(Debug, Clone, Copy)]
struct Cursor<'a>(&'a [u8]);

impl<'a> Cursor<'a> {
    /// Takes bytes while they fulfil a condition.
    fn take_while(&mut self, condition: impl Fn(u8) -> bool) -> &'a [u8] {
        let end = self.0.iter().position(|&byte| !condition(byte)).unwrap_or(self.0.len());
        let (taken, rest) = self.0.split_at(end);
        self.0 = rest;
        taken
    }

    /// Takes whitespace, then this byte if it is next.
    fn eat(&mut self, byte: u8) -> bool {
        self.take_while(is_whitespace);
        match self.0.split_first() {
            Some((&first, rest)) if first == byte => {
                self.0 = rest;
                true
            }
            _ => false,
        }
    }

    /// Takes whitespace, then a token.
    fn token(&mut self) -> Result<&'a str, MalformedExtensions> {
        self.take_while(is_whitespace);
        text(self.take_while(is_token_byte))
    }

    /// Takes the text from an opening quote up to the closing one: "when using the quoted-string syntax
    /// variant, the value after quoted-string unescaping MUST conform to the 'token' ABNF".
    fn quoted(&mut self) -> Result<&'a str, MalformedExtensions> {
        let mut end = 0;
        loop {
            match self.0[end..] {
                [b'"', ref rest @ ..] => {
                    let value = text(&self.0[..end]);
                    self.0 = rest;
                    return value;
                }
                [b'\\', escaped, ..] if is_token_byte(escaped) => end += 2,
                [byte, ..] if is_token_byte(byte) => end += 1,
                _ => return Err(MalformedExtensions),
            }
        }
    }

    /// Takes a parameter, after its `;`.
    fn param(&mut self) -> Result<(&'a str, Option<&'a str>), MalformedExtensions> {
        let name = self.token()?;
        let value = match self.eat(b'=') {
            false => None,
            true if self.eat(b'"') => Some(self.quoted()?),
            true => Some(self.token()?),
        };
        Ok((name, value))
    }

    /// Takes an extension with its parameters and the comma after it, or `None` at the end of the value.
    fn extension(&mut self) -> Result<Option<Extension<'a>>, MalformedExtensions> {
        let before = *self;
        let extension = self.element();
        if extension.is_err() {
            *self = before;
        }
        extension
    }

    fn element(&mut self) -> Result<Option<Extension<'a>>, MalformedExtensions> {
        while self.eat(b',') {}
        if self.0.is_empty() {
            return Ok(None);
        }
        let name = self.token()?;
        let start = self.0;
        while self.eat(b';') {
            self.param()?;
        }
        let params = &start[..start.len() - self.0.len()];
        // The search for a `;` has already skipped whitespace.
        if self.0.is_empty() || self.eat(b',') {
            Ok(Some(Extension { name, params }))
        } else {
            Err(MalformedExtensions)
        }
    }
}

/// Converts the bytes of a token, escaped or not, to a string. Fails if there are none.
fn text(bytes: &[u8]) -> Result<&str, MalformedExtensions> {
    match str::from_utf8(bytes) {
        Ok(text) if !text.is_empty() => Ok(text),
        _ => Err(MalformedExtensions),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use quickcheck::QuickCheck;

    type Parsed<'a> = Vec<(&'a str, Vec<(&'a str, Option<&'a str>)>)>;

    fn parse(value: &str) -> Result<Parsed<'_>, MalformedExtensions> {
        let extensions = Extensions::parse(value.as_bytes())?;
        Ok(extensions.map(|extension| (extension.name, extension.params().collect())).collect())
    }

    #[test]
    fn the_rfcs_examples_parse() {
        assert_eq!(parse("foo"), Ok(vec![("foo", vec![])]));
        assert_eq!(parse("bar; baz=2"), Ok(vec![("bar", vec![("baz", Some("2"))])]));
        assert_eq!(
            parse("deflate-stream,mux; max-channels=4; flow-control, deflate-stream"),
            Ok(vec![
                ("deflate-stream", vec![]),
                ("mux", vec![("max-channels", Some("4")), ("flow-control", None)]),
                ("deflate-stream", vec![]),
            ])
        );
        assert_eq!(parse("private-extension"), Ok(vec![("private-extension", vec![])]));
    }

    #[test]
    fn browsers_offers_parse() {
        assert_eq!(
            parse("permessage-deflate; client_max_window_bits, x-webkit-deflate-frame"),
            Ok(vec![
                ("permessage-deflate", vec![("client_max_window_bits", None)]),
                ("x-webkit-deflate-frame", vec![]),
            ])
        );
    }

    #[test]
    fn whitespace_and_empty_elements_do_not_matter() {
        let expected = Ok(vec![("a", vec![("b", Some("c")), ("d", None)]), ("e", vec![])]);
        assert_eq!(parse("a;b=c;d,e"), expected);
        assert_eq!(parse(" ,, a\t;\tb = c ; d ,\t, e , ,"), expected);
        assert_eq!(parse("a;b=\"c\";d,e"), expected);
        for nothing in ["", " ", ",", " , \t,, "] {
            assert_eq!(parse(nothing), Ok(vec![]), "{nothing:?}");
        }
    }

    #[test]
    fn violations_of_the_grammar_are_malformed() {
        for wrong in [
            ",;",
            ";",
            "a;",
            "a;;b",
            "a; ,b",
            "a b",
            "a=b",
            "a;=b",
            "a;b=",
            "a;b==c",
            "a;b=,c",
            "a;b c",
            "a;b=c d",
            "a;b=\"",
            "a;b=\"c",
            "a;b=\"c\\",
            "a;b=\"\"",
            "a;b=\"c d\"",
            "a;b=\"c\\ d\"",
            "a;b=\"c\"d",
            "\"a\"",
            "a;\"b\"",
            "a;b=\"c,d\"",
            "a;b=\"c\\\"\"",
            "a/b",
            "a;b=c\u{e4}",
            "\u{e4}",
            "a;b='c'\0",
            "a,b;",
        ] {
            assert_eq!(parse(wrong), Err(MalformedExtensions), "{wrong:?}");
        }
    }

    #[test]
    fn an_extension_may_have_any_token_as_its_name() {
        for name in ["constructor", "__proto__", "toString", "0", "!#$%&'*+-.^_`|~"] {
            assert_eq!(parse(name), Ok(vec![(name, vec![])]));
        }
    }

    #[test]
    fn an_escaped_value_keeps_its_backslash_and_so_is_not_a_token() {
        assert_eq!(parse("a;b=\"1\\5\""), Ok(vec![("a", vec![("b", Some("1\\5"))])]));
    }

    #[test]
    fn duplicate_parameters_are_kept() {
        assert_eq!(
            parse("a;b;b=1;b=2"),
            Ok(vec![("a", vec![("b", None), ("b", Some("1")), ("b", Some("2"))])])
        );
    }

    /// Parses by splitting, for values without quotes.
    fn naive(value: &str) -> Result<Parsed<'_>, MalformedExtensions> {
        let trim = |piece: &'_ str| piece.trim_matches([' ', '\t']).len();
        let token = |piece| {
            let piece: &str = piece;
            let piece = piece.trim_matches([' ', '\t']);
            let ok = !piece.is_empty() && piece.bytes().all(|byte| b"ab01".contains(&byte));
            if ok { Ok(piece) } else { Err(MalformedExtensions) }
        };
        let param = |piece: &'_ str| -> Result<_, MalformedExtensions> {
            match piece.split_once('=') {
                Some((name, value)) => Ok((name.len(), Some(value.len()))),
                None => Ok((piece.len(), None)),
            }
        };
        let mut list = Vec::new();
        for element in value.split(',').filter(|element| trim(element) > 0) {
            let mut pieces = element.split(';');
            let name = token(pieces.next().unwrap())?;
            let mut params = Vec::new();
            for piece in pieces {
                let (name, value) = param(piece)?;
                let value = value.map(|len| token(&piece[piece.len() - len..])).transpose()?;
                params.push((token(&piece[..name])?, value));
            }
            list.push((name, params));
        }
        Ok(list)
    }

    #[test]
    fn the_parser_agrees_with_one_that_splits() {
        fn prop(bytes: Vec<u8>) -> bool {
            // Letters appear twice as often, so that more of the values are well-formed.
            let value: String =
                bytes.iter().map(|byte| char::from(b"aabb01ab ,;=;\t"[usize::from(byte % 14)])).collect();
            parse(&value) == naive(&value)
        }
        QuickCheck::new().tests(10_000).quickcheck(prop as fn(Vec<u8>) -> bool);
    }

    #[test]
    fn parsing_any_bytes_ends_and_a_malformed_value_ends_at_its_fault() {
        fn prop(bytes: Vec<u8>) -> bool {
            let noise: Vec<u8> = bytes.iter().map(|byte| b"a;=\"\\, \xFF"[usize::from(byte % 8)]).collect();
            let all = Extensions::unchecked(Values::of_one(&noise));
            let elements = all.clone().map(|extension| 1 + extension.params().count()).sum::<usize>();
            elements <= noise.len()
                && Extensions::parse(&noise).is_err() == all.clone().parse_to_end().is_err()
        }
        QuickCheck::new().tests(10_000).quickcheck(prop as fn(Vec<u8>) -> bool);
    }

    impl Extensions<'_> {
        /// Parses to the end, and once more after a fault, which must repeat.
        fn parse_to_end(mut self) -> Result<(), MalformedExtensions> {
            loop {
                match self.parse_next() {
                    Ok(Some(_)) => {}
                    Ok(None) => return Ok(()),
                    Err(fault) => {
                        assert_eq!(self.parse_next(), Err(fault));
                        return Err(fault);
                    }
                }
            }
        }
    }
}
