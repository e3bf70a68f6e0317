//! A request that an HTTP stack has parsed (RFC 6455, section 4.2, and RFC 8441).
//!
//! Its head is written again as bytes of HTTP/1, and passes through the collector and the parser of a request
//! that arrives as bytes: the same code applies the limits, the grammar and the rules.
#![forbid(unsafe_code)]

use super::answer::Answer;
use super::check::{accept_value, check};
use super::fault::RequestFault;
use super::fields::is_value;
use super::head::{Collector, HeadFault, Protocol, RequestHead, Version};
use super::request::Request;
use super::response::{Response, ResponseError};
use super::token::is_token;
use crate::Limits;
use alloc::borrow::Cow;
use alloc::vec::Vec;
use core::fmt;

/// A request as another HTTP stack has parsed it, for a [`ParsedHandshake`].
///
/// Nothing is judged before: a name, a value or a target that could break out of its line makes the request
/// [`Malformed`](RequestFault::Malformed).
///
/// With the feature `http`, it can be created from an `http::Request`.
///
/// See the example of [`ParsedHandshake`].
#[derive(Clone)]
pub struct ParsedRequest<'a> {
    method: &'a str,
    target: Cow<'a, str>,
    version: Version,
    /// The `:authority` of HTTP/2.
    authority: Option<&'a str>,
    headers: Vec<(&'a str, &'a [u8])>,
}

impl<'a> ParsedRequest<'a> {
    /// Creates a request in HTTP/1.0, which can be a plain request but not a WebSocket upgrade.
    pub fn http10(method: &'a str, target: impl Into<Cow<'a, str>>) -> Self {
        Self::new(Version::Http10, method, target.into(), None)
    }

    /// Creates a request in HTTP/1.1, from its method and its request target, such as `/chat?room=1`.
    pub fn http11(method: &'a str, target: impl Into<Cow<'a, str>>) -> Self {
        Self::new(Version::Http11, method, target.into(), None)
    }

    /// Creates a request in HTTP/2 or HTTP/3, from its pseudo-header fields.
    ///
    /// They are `:method`, `:authority`, `:path` and, in an extended CONNECT (RFC 8441), `:protocol`. An
    /// ordinary CONNECT has no path: pass an empty one.
    ///
    /// ```
    /// use websocket_stream::handshake::{ParsedHandshake, ParsedRequest};
    /// use websocket_stream::{Limits, Response};
    ///
    /// // The example of RFC 8441, section 5.1.
    /// let request = ParsedRequest::http2("CONNECT", "server.example.com", "/chat", "websocket")
    ///     .header("sec-websocket-protocol", "chat, superchat")
    ///     .header("sec-websocket-version", "13")
    ///     .header("origin", "http://www.example.com");
    /// let handshake = ParsedHandshake::new(&request, &Limits::default())?;
    /// assert_eq!(handshake.request().host(), Some("server.example.com"));
    ///
    /// let answer = handshake.answer(&Response::accept().subprotocol("chat"))?;
    /// assert_eq!(answer.status(), 200);
    /// assert!(answer.headers().eq([("Sec-WebSocket-Protocol", &b"chat"[..])]));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn http2(
        method: &'a str,
        authority: impl Into<Option<&'a str>>,
        path: &'a str,
        protocol: impl Into<Option<&'a str>>,
    ) -> Self {
        // A value of the "Upgrade Token Registry" (RFC 8441, section 4): "Recipients SHOULD use
        // case-insensitive comparison when matching each protocol-name" (RFC 9110, section 7.8).
        let protocol = protocol.into().map(|protocol| match protocol.eq_ignore_ascii_case("websocket") {
            true => Protocol::WebSocket,
            false => Protocol::Other,
        });
        let authority = authority.into();
        // "The ":scheme" and ":path" pseudo-header fields MUST be omitted" and the authority is the target
        // (RFC 9113, section 8.5).
        let is_tunnel = method == "CONNECT" && path.is_empty() && protocol.is_none();
        let target = if is_tunnel { authority.unwrap_or_default() } else { path };
        Self::new(Version::Http2(protocol), method, target.into(), authority)
    }

    fn new(version: Version, method: &'a str, target: Cow<'a, str>, authority: Option<&'a str>) -> Self {
        Self { method, target, version, authority, headers: Vec::new() }
    }

    /// Adds a header line.
    #[must_use]
    pub fn header(mut self, name: &'a str, value: &'a (impl AsRef<[u8]> + ?Sized)) -> Self {
        self.headers.push((name, value.as_ref()));
        self
    }

    /// Adds header lines, in order.
    #[must_use]
    pub fn headers(mut self, headers: impl IntoIterator<Item = (&'a str, &'a [u8])>) -> Self {
        self.headers.extend(headers);
        self
    }

    /// Returns an answer that does not open the connection, for this request's version of HTTP.
    ///
    /// # Errors
    ///
    /// [`ResponseError`] if the response cannot be sent, or accepts the connection; see
    /// [`ParsedHandshake::answer`].
    pub fn refuse(&self, response: &Response) -> Result<Answer, ResponseError> {
        Answer::refusing(response, self.version)
    }

    /// Writes the head in HTTP/1, and parses it.
    fn parse(&self, limits: &Limits) -> Result<RequestHead, HeadFault> {
        let mut collector = Collector::new(limits, b"");
        let mut write = |parts: &[&[u8]]| parts.iter().try_for_each(|part| collector.collect(part).map(drop));

        // "request-line = method SP request-target SP HTTP-version" (RFC 9112, section 3).
        let breaks_out = |byte: u8| byte.is_ascii_control() || byte == b' ';
        if !is_token(self.method.as_bytes()) || self.target.bytes().any(breaks_out) {
            return Err(HeadFault::Malformed);
        }
        let version: &[u8] =
            if self.version == Version::Http10 { b" HTTP/1.0\r\n" } else { b" HTTP/1.1\r\n" };
        write(&[self.method.as_bytes(), b" ", self.target.as_bytes(), version])?;

        let mut line = |name: &str, value: &[u8]| match is_token(name.as_bytes()) && is_value(value) {
            true => write(&[name.as_bytes(), b": ", value, b"\r\n"]),
            false => Err(HeadFault::Malformed),
        };
        // To "generate a Host header field (which might be necessary to construct an HTTP/1.1 request)", it
        // "MUST use the value from the ":authority" pseudo-header field". A request with a Host that differs
        // from it keeps both lines, and is refused for that (RFC 9113, section 8.3.1).
        let mut authority = self.authority;
        if let Some(authority) = authority {
            line("Host", authority.as_bytes())?;
        }
        for &(name, value) in &self.headers {
            let repeats = |authority: &mut &str| {
                name.eq_ignore_ascii_case("Host") && value.eq_ignore_ascii_case(authority.as_bytes())
            };
            if authority.take_if(repeats).is_none() {
                line(name, value)?;
            }
        }
        write(&[b"\r\n"])?;
        Ok(RequestHead { version: self.version, ..collector.parse_request()? })
    }
}

/// Omits the headers, which may hold secrets.
impl fmt::Debug for ParsedRequest<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ParsedRequest")
            .field("method", &self.method)
            .field("target", &self.target)
            .field("authority", &self.authority)
            .finish_non_exhaustive()
    }
}

/// Judges a request that another HTTP stack has parsed, and answers it.
///
/// The rules are those of [`ServerHandshake`](super::ServerHandshake), which receives bytes. For HTTP/2, they
/// are changed as RFC 8441 describes: the request is an extended CONNECT, without `Upgrade`, `Connection` and
/// `Sec-WebSocket-Key`.
///
/// ```
/// use websocket_stream::handshake::{ParsedHandshake, ParsedRequest, RequestFault};
/// use websocket_stream::{Limits, OriginPolicy, Response};
///
/// let request = ParsedRequest::http11("GET", "/chat?room=1").headers([
///     ("host", &b"example.com"[..]),
///     ("upgrade", b"websocket"),
///     ("connection", b"Upgrade"),
///     ("sec-websocket-key", b"dGhlIHNhbXBsZSBub25jZQ=="),
///     ("sec-websocket-version", b"13"),
/// ]);
/// let handshake = ParsedHandshake::new(&request, &Limits::default())?;
/// let view = handshake.request();
/// assert!(view.is_upgrade() && view.path() == "/chat" && OriginPolicy::Same.allows(&view));
///
/// let answer = handshake.answer(&Response::accept())?;
/// assert_eq!(answer.status(), 101);
/// let accept = answer.headers().find(|(name, _)| *name == "Sec-WebSocket-Accept");
/// assert_eq!(accept.map(|(_, value)| value), Some(&b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo="[..]));
///
/// // A fault is answered too.
/// let request = request.header("host", "example.org");
/// let fault = ParsedHandshake::new(&request, &Limits::default()).unwrap_err();
/// assert_eq!(fault, RequestFault::Host);
/// assert_eq!(request.refuse(&fault.into())?.status(), 400);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct ParsedHandshake(RequestHead);

impl ParsedHandshake {
    /// Judges a request. A plain HTTP request is valid too; see [`Request::is_upgrade`].
    ///
    /// The head limits of [`Limits`] count the bytes and lines of the head as it would be in HTTP/1.
    ///
    /// # Errors
    ///
    /// [`RequestFault`]; `Response::from(fault)` is the response to
    /// [`refuse`](ParsedRequest::refuse) the request with.
    pub fn new(request: &ParsedRequest<'_>, limits: &Limits) -> Result<Self, RequestFault> {
        let head = request.parse(limits)?;
        check(&head)?;
        Ok(Self(head))
    }

    /// Returns the request.
    pub const fn request(&self) -> Request<'_> {
        Request::new(&self.0)
    }

    /// Returns the answer as data, for the HTTP stack to send.
    ///
    /// The connection is open once an [accepting](Response::accept) answer is sent.
    ///
    /// # Errors
    ///
    /// [`ResponseError`] if the answer cannot be sent; call this again with another one.
    pub fn answer(&self, response: &Response) -> Result<Answer, ResponseError> {
        match response.is_accept() {
            true => Answer::accepting(response, accept_value(&self.0, response)?.as_ref()),
            false => Answer::refusing(response, self.0.version),
        }
    }
}

/// Omits the headers, which may hold secrets.
impl fmt::Debug for ParsedHandshake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ParsedHandshake").field(&self.request()).finish()
    }
}
