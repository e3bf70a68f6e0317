//! A client's request, as a server sees it.
#![forbid(unsafe_code)]

use super::authority;
use super::extensions::Extensions;
use super::head::{Head, Headers, Only, Protocol, RequestHead, Values, Version};
use super::list::{Elements, Subprotocols};
use super::query::QueryPairs;
use core::fmt;

/// A client's request, borrowed from [`ServerHandshake::request`](super::ServerHandshake::request) or
/// [`ParsedHandshake::request`](super::ParsedHandshake::request).
///
/// Each lookup reads every header at most once. Names are case-insensitive.
///
/// ```
/// use websocket_stream::handshake::{ParsedHandshake, ParsedRequest};
/// use websocket_stream::{Limits, Request, Response};
///
/// fn decide(request: &Request<'_>) -> Response {
///     match (request.path(), request.header("Authorization")) {
///         ("/feed", Some(b"Bearer 31415926")) => Response::accept(),
///         ("/feed", _) => Response::new(401).header("WWW-Authenticate", "Bearer"),
///         _ => Response::new(404),
///     }
/// }
/// let request = ParsedRequest::http11("GET", "/feed").header("Host", "example.com");
/// let handshake = ParsedHandshake::new(&request, &Limits::default())?;
/// assert_eq!(decide(&handshake.request()).status(), 401);
/// # Ok::<(), websocket_stream::handshake::RequestFault>(())
/// ```
#[derive(Clone, Copy)]
pub struct Request<'a>(&'a RequestHead);

impl<'a> Request<'a> {
    pub(super) const fn new(head: &'a RequestHead) -> Self {
        Self(head)
    }

    const fn head(&self) -> &'a Head {
        &self.0.head
    }

    /// Returns the method: `GET` in a handshake over HTTP/1.1, `CONNECT` in one over HTTP/2.
    pub fn method(&self) -> &'a str {
        self.head().text(self.0.method)
    }

    /// Returns the requested path, from its `/` on, percent-encoded as it was sent.
    ///
    /// In a faulty or plain request, returns the whole target if it has no path, such as `*`.
    pub fn path(&self) -> &'a str {
        self.target().path
    }

    /// Returns the text after the first `?` of the request target.
    pub fn query(&self) -> Option<&'a str> {
        self.target().query
    }

    /// Returns the name and value pairs of the query, decoded, in order.
    ///
    /// ```
    /// # use websocket_stream::Limits;
    /// # use websocket_stream::handshake::ServerHandshake;
    /// # let mut handshake = ServerHandshake::new(&Limits::default());
    /// # handshake.receive(
    /// #     b"GET /chat?room=1&name=Ann+Lee%21 HTTP/1.1\r\nHost: a\r\n\
    /// #     Upgrade: websocket\r\nConnection: Upgrade\r\n\
    /// #     Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n",
    /// # )?;
    /// # let request = handshake.request().ok_or("no request")?;
    /// assert_eq!(request.query(), Some("room=1&name=Ann+Lee%21"));
    /// let name = request.query_pairs().find(|(name, _)| name == "name").map(|(_, value)| value);
    /// assert_eq!(name.as_deref(), Some("Ann Lee!"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn query_pairs(&self) -> QueryPairs<'a> {
        QueryPairs::new(self.query().unwrap_or_default())
    }

    /// Returns the host that the client addresses, with the port if there is one.
    ///
    /// In a faulty request, returns `None` if there is not exactly one valid host. The host is the value of
    /// the `Host` header, unless the request target is a whole URI: then a server "MUST ignore the received
    /// Host header field" (RFC 9112, section 3.2.2).
    pub fn host(&self) -> Option<&'a str> {
        let host = match (self.target().authority, self.head().only("Host")) {
            (Some(authority), _) => authority,
            (None, Only::One(value)) => str::from_utf8(value).ok()?,
            (None, _) => return None,
        };
        authority::split(host).map(|_| host)
    }

    /// Returns the origin of the page whose script opens the connection, such as `https://example.com`.
    ///
    /// Browsers always send it; other clients may omit it. An [`OriginPolicy`](super::OriginPolicy) decides
    /// whether it may connect.
    pub fn origin(&self) -> Option<&'a str> {
        self.header("Origin").and_then(|value| str::from_utf8(value).ok())
    }

    /// Returns the subprotocols that the client offers, in its order of preference.
    pub fn subprotocols(&self) -> Subprotocols<'a> {
        Subprotocols::new(self.head().values("Sec-WebSocket-Protocol"))
    }

    /// Returns the first of these subprotocols that the client offers.
    ///
    /// The server's order decides. Reads the offers once for each name.
    ///
    /// ```
    /// # use websocket_stream::handshake::ServerHandshake;
    /// # use websocket_stream::{Limits, Response};
    /// # let mut handshake = ServerHandshake::new(&Limits::default());
    /// # handshake.receive(
    /// #     b"GET / HTTP/1.1\r\nHost: a\r\nSec-WebSocket-Protocol: v1.chat, v2.chat\r\n\
    /// #     Upgrade: websocket\r\nConnection: Upgrade\r\n\
    /// #     Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n",
    /// # )?;
    /// # let request = handshake.request().ok_or("no request")?;
    /// // The client offers v1.chat, v2.chat.
    /// let supported = ["v3.chat", "v2.chat", "v1.chat"];
    /// let selected = request.select_subprotocol(&supported);
    /// assert_eq!(selected, Some("v2.chat"));
    /// let response = Response::accept().subprotocol(selected);
    ///
    /// // For the client's order, search in what it offers:
    /// let preferred = request.subprotocols().find(|name| supported.contains(name));
    /// assert_eq!(preferred, Some("v1.chat"));
    /// # let _ = response;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn select_subprotocol(&self, supported: &[&str]) -> Option<&'a str> {
        supported.iter().find_map(|name| self.subprotocols().find(|offered| offered == name))
    }

    /// Returns the extensions that the client offers, in its order of preference.
    pub fn extensions(&self) -> Extensions<'a> {
        Extensions::unchecked(self.head().values("Sec-WebSocket-Extensions"))
    }

    /// Returns the value of the first header line with this name.
    pub fn header(&self, name: &str) -> Option<&'a [u8]> {
        self.headers().find(|(other, _)| other.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    /// Returns the values of all header lines with this name, in order.
    pub fn values(&self, name: &'a str) -> Values<'a> {
        self.head().values(name)
    }

    /// Returns whether the request asks for a WebSocket connection.
    ///
    /// Such a request has an `Upgrade` header that names `websocket`, or in HTTP/2 a `:protocol` that is
    /// `websocket`; a plain page or a health check does not.
    pub fn is_upgrade(&self) -> bool {
        match self.0.version {
            Version::Http10 | Version::Http11 => {
                Elements::new(self.head().values("Upgrade")).contain("websocket")
            }
            // "it MUST have a value of "websocket" to initiate a WebSocket connection on an HTTP/2 stream"
            // (RFC 8441, section 5).
            Version::Http2(protocol) => protocol == Some(Protocol::WebSocket),
        }
    }

    /// Returns the request as it arrived, including the final empty line.
    ///
    /// For a [`ParsedRequest`](super::ParsedRequest), returns the head written again in HTTP/1: a request in
    /// HTTP/2 has the line `Host` for its `:authority`, and no `:protocol`.
    pub fn as_bytes(&self) -> &'a [u8] {
        self.head().as_bytes()
    }

    /// Returns all header lines, in order.
    pub fn headers(&self) -> Headers<'a> {
        self.head().headers()
    }

    /// Returns whether the request target has one of the four forms (RFC 9112, section 3.2).
    pub(super) fn has_valid_target(&self) -> bool {
        let text = self.head().text(self.0.target);
        match self.method() {
            // "authority-form = uri-host ":" port". An extended CONNECT has a path: "the :scheme and :path
            // pseudo-header fields of the target URI ... MUST also be included" (RFC 8441, section 4).
            "CONNECT" if !matches!(self.0.version, Version::Http2(Some(_))) => {
                authority::split(text).is_some_and(|(_, port)| port.is_some())
            }
            // "asterisk-form = "*"".
            "OPTIONS" if text == "*" => true,
            // The `:path` in HTTP/2 "includes the path and query parts of the target URI" (RFC 9113, section
            // 8.3.1). An absolute URI would hide the `:authority`.
            _ if self.0.version.is_http2() => text.starts_with('/') && self.target().is_valid(),
            // "origin-form = absolute-path [ "?" query ]", "absolute-form = absolute-URI".
            _ => self.target().is_valid() || is_foreign(text),
        }
    }

    /// Splits the request target into its parts.
    pub(super) fn target(&self) -> Target<'a> {
        Target::split(self.head().text(self.0.target))
    }
}

/// Omits the headers, which may hold secrets.
impl fmt::Debug for Request<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Request")
            .field("method", &self.method())
            .field("path", &self.path())
            .field("host", &self.host())
            .finish_non_exhaustive()
    }
}

/// A request target (RFC 9112, section 3.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Target<'a> {
    /// The authority, if the target is in absolute form.
    authority: Option<&'a str>,
    path: &'a str,
    query: Option<&'a str>,
}

impl<'a> Target<'a> {
    fn split(target: &'a str) -> Self {
        let (authority, rest) = match absolute(target) {
            Some(rest) => {
                let end = rest.find(['/', '?']).unwrap_or(rest.len());
                (Some(&rest[..end]), &rest[end..])
            }
            None => (None, target),
        };
        let (path, query) = match rest.split_once('?') {
            Some((path, query)) => (path, Some(query)),
            None => (rest, None),
        };
        let path = if path.is_empty() && authority.is_some() { "/" } else { path };
        Self { authority, path, query }
    }

    /// Returns whether a handshake may request this target: a resource name, which is a path with an optional
    /// query, or an absolute URI that has one (RFC 6455, section 4.2.1, item 1).
    pub(super) fn is_valid(&self) -> bool {
        self.path.starts_with('/')
            && is_visible(self.path)
            && self.query.is_none_or(is_visible)
            && self.authority.is_none_or(|authority| authority::split(authority).is_some())
    }
}

/// Returns the text after the `://` of an absolute URI.
fn absolute(target: &str) -> Option<&str> {
    let (scheme, rest) = target.split_once("://")?;
    is_known(scheme).then_some(rest)
}

fn is_known(scheme: &str) -> bool {
    ["http", "https", "ws", "wss"].iter().any(|known| known.eq_ignore_ascii_case(scheme))
}

/// Returns whether this is an absolute URI with a scheme whose grammar is not known here: "scheme = ALPHA *(
/// ALPHA / DIGIT / "+" / "-" / "." )" (RFC 3986, section 3.1).
fn is_foreign(target: &str) -> bool {
    target.split_once("://").is_some_and(|(scheme, rest)| {
        let may_stand = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.');
        scheme.starts_with(|first: char| first.is_ascii_alphabetic())
            && scheme.bytes().all(may_stand)
            && !is_known(scheme)
            && is_visible(rest)
    })
}

/// Returns whether text has only visible ASCII characters and no `#`: "Fragment identifiers are meaningless
/// in the context of WebSocket URIs" (RFC 6455, section 3).
///
/// RFC 3986 requires percent-encoding of some other characters too, but browsers do not encode `[`, `]`, `\`,
/// `^`, a backquote, `{`, `|`, `}` or an invalid `%` in a query.
fn is_visible(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'#')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(target: &str) -> (Option<&str>, &str, Option<&str>) {
        let Target { authority, path, query } = Target::split(target);
        (authority, path, query)
    }

    #[test]
    fn a_target_is_split_into_authority_path_and_query() {
        for (target, parts) in [
            ("/", (None, "/", None)),
            ("/chat", (None, "/chat", None)),
            ("/chat?", (None, "/chat", Some(""))),
            ("/a/b?c=/d?e", (None, "/a/b", Some("c=/d?e"))),
            ("//a/b", (None, "//a/b", None)),
            ("/a://b", (None, "/a://b", None)),
            ("http://example.com", (Some("example.com"), "/", None)),
            ("ws://example.com:81/chat?x", (Some("example.com:81"), "/chat", Some("x"))),
            ("HTTPS://[::1]?x", (Some("[::1]"), "/", Some("x"))),
        ] {
            assert_eq!(split(target), parts, "{target}");
            assert!(Target::split(target).is_valid(), "{target}");
        }
    }

    #[test]
    fn other_forms_and_characters_are_not_valid() {
        for target in [
            "*",
            "example.com:443",
            "chat",
            "?x",
            "ftp://a/b",
            "http:///a",
            "http://u@a/b",
            "http://a:b/c",
            "/a#b",
            "/a?b#c",
            "/\u{e4}",
            "/a?\u{e4}",
            "ws:/a",
        ] {
            assert!(!Target::split(target).is_valid(), "{target}");
        }
    }
}
