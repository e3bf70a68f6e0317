//! The server's side (RFC 6455, section 4.2).
#![forbid(unsafe_code)]

use super::head::{Answer, Head, place, places};
use super::{BuildError, RequestFault, Response, key, token};
use crate::Limits;
use alloc::{vec, vec::Vec};
use core::ops::Range;

/// A request being received, looked at, and answered.
///
/// ```
/// use websocket_stream::Limits;
/// use websocket_stream::handshake::{Answer, Response, ServerHandshake};
///
/// let mut handshake = ServerHandshake::new(&Limits::default());
/// let head = b"GET /chat?room=1 HTTP/1.1\r\nHost: server.example.com\r\nUpgrade: websocket\r\n\
///     Connection: keep-alive, Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
///     Sec-WebSocket-Version: 13\r\n\r\n";
/// assert_eq!(handshake.receive(head)?, Answer::Complete(head.len()));
/// let request = handshake.request().unwrap();
/// assert_eq!((request.path(), request.query()), ("/chat", Some("room=1")));
///
/// let mut out = Vec::new();
/// handshake.answer(&Response::accept(), &mut out).unwrap();
/// assert!(out.starts_with(b"HTTP/1.1 101 "));
/// # Ok::<(), websocket_stream::handshake::RequestFault>(())
/// ```
#[derive(Debug)]
pub struct ServerHandshake {
    head: Head,
    state: State,
}

#[derive(Debug)]
enum State {
    Receiving,
    Received { target: Range<usize> },
    Failed(RequestFault),
    Answered,
}

impl ServerHandshake {
    /// A handshake within the limits of [`Limits::head_bytes`] and [`Limits::head_headers`].
    pub fn new(limits: &Limits) -> Self {
        Self { head: Head::new(limits), state: State::Receiving }
    }

    /// Takes received bytes up to the end of the head.
    ///
    /// # Errors
    ///
    /// What is wrong with the request; [`refusal`](Self::refusal) writes the answer to it. Each
    /// further call says it again.
    pub fn receive(&mut self, bytes: &[u8]) -> Result<Answer, RequestFault> {
        match self.state {
            State::Receiving => {}
            State::Failed(fault) => return Err(fault),
            State::Received { .. } | State::Answered => return Ok(Answer::Complete(0)),
        }
        let result = self.head.receive(bytes).map_err(RequestFault::from);
        let result = match result {
            Ok(Answer::Complete(used)) => self.parse().map(|target| {
                self.state = State::Received { target };
                Answer::Complete(used)
            }),
            other => other,
        };
        if let Err(fault) = result {
            self.state = State::Failed(fault);
        }
        result
    }

    /// The request, once it is whole and right.
    pub fn request(&self) -> Option<Request<'_>> {
        match &self.state {
            State::Received { target } => {
                let target = self.head.as_bytes().get(target.clone())?;
                Some(Request { head: &self.head, target: core::str::from_utf8(target).ok()? })
            }
            _ => None,
        }
    }

    /// Writes the caller's answer.
    ///
    /// # Errors
    ///
    /// [`BuildError`] where it cannot be sent as it is; nothing was written, and another answer can be
    /// given.
    pub fn answer(&mut self, response: &Response, out: &mut Vec<u8>) -> Result<(), BuildError> {
        let request = self.request().ok_or(BuildError::NoRequest)?;
        response.check()?;
        let accept = (response.status == 101).then(|| {
            let key = self.head.single("Sec-WebSocket-Key").unwrap_or_default();
            key::accept(key)
        });
        if let Some(chosen) = &response.subprotocol
            && !request.subprotocols().any(|asked| asked == chosen)
        {
            return Err(BuildError::Subprotocol);
        }
        response.write(accept.as_deref(), out);
        self.state = State::Answered;
        Ok(())
    }

    /// Writes the answer to a faulty request.
    pub fn refusal(fault: RequestFault, out: &mut Vec<u8>) {
        Response::to_fault(fault).write(None, out);
    }

    fn parse(&mut self) -> Result<Range<usize>, RequestFault> {
        let bytes = self.head.as_bytes();
        let mut headers = vec![httparse::EMPTY_HEADER; self.head.max_headers];
        let mut request = httparse::Request::new(&mut headers);
        match request.parse(bytes) {
            Ok(httparse::Status::Complete(_)) => {}
            Err(httparse::Error::TooManyHeaders) => return Err(RequestFault::TooLarge),
            // "The handshake consists of an HTTP Upgrade request"
            Ok(httparse::Status::Partial) | Err(_) => return Err(RequestFault::Malformed),
        }
        let (method, version) = (request.method, request.version);
        let target = place(bytes, request.path.unwrap_or_default().as_bytes());
        let get = method == Some("GET");
        let places = places(bytes, request.headers);
        self.head.keep(&places);
        self.check(get, version == Some(1), target)
    }

    /// RFC 6455, section 4.2.1, in its order.
    fn check(&self, get: bool, http11: bool, target: Range<usize>) -> Result<Range<usize>, RequestFault> {
        let head = &self.head;
        if !get {
            return Err(RequestFault::Method);
        }
        if !http11 {
            return Err(RequestFault::HttpVersion);
        }
        let body = head.values("Content-Length").any(|len| len != b"0");
        if body || head.values("Transfer-Encoding").next().is_some() {
            return Err(RequestFault::Body);
        }
        if head.single("Host").is_none() {
            return Err(RequestFault::Malformed);
        }
        let path = head.as_bytes().get(target.clone()).unwrap_or_default();
        let schemes: [&[u8]; 4] = [b"ws://", b"wss://", b"http://", b"https://"];
        if !path.starts_with(b"/") && !schemes.iter().any(|scheme| path.starts_with(scheme)) {
            return Err(RequestFault::Malformed);
        }
        if !head.has_token("Upgrade", "websocket") || !head.has_token("Connection", "Upgrade") {
            return Err(RequestFault::NotAnUpgrade);
        }
        let mut versions = head.values("Sec-WebSocket-Version");
        match (versions.next(), versions.next()) {
            (Some(b"13"), None) => {}
            (_, Some(_)) => return Err(RequestFault::Malformed),
            _ => return Err(RequestFault::Version),
        }
        match head.single("Sec-WebSocket-Key") {
            Some(value) if key::is_valid(value) => Ok(target),
            _ => Err(RequestFault::Key),
        }
    }
}

/// A request to open a WebSocket, for the server to decide on.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    head: &'a Head,
    target: &'a str,
}

impl<'a> Request<'a> {
    /// The request target as it came: path and query, or an absolute URI.
    pub fn target(&self) -> &'a str {
        self.target
    }

    /// The path, without the query.
    pub fn path(&self) -> &'a str {
        let origin = match self.target.split_once("://") {
            Some((_, rest)) if !self.target.starts_with('/') => rest.find('/').map_or("/", |at| &rest[at..]),
            _ => self.target,
        };
        origin.split_once('?').map_or(origin, |(path, _)| path)
    }

    /// The query, without its question mark.
    pub fn query(&self) -> Option<&'a str> {
        self.target.split_once('?').map(|(_, query)| query)
    }

    /// The value of the first header with this name; names do not mind case.
    pub fn header(&self, name: &str) -> Option<&'a [u8]> {
        self.head.headers().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    /// All headers, in their order.
    pub fn headers(&self) -> impl Iterator<Item = (&'a str, &'a [u8])> {
        self.head.headers()
    }

    /// The host that was asked for.
    pub fn host(&self) -> Option<&'a str> {
        self.text("Host")
    }

    /// Where the page comes from that opens the WebSocket; browsers always say it. A server that
    /// trusts its users' cookies must look at it: any page may open a WebSocket to any server.
    pub fn origin(&self) -> Option<&'a str> {
        self.text("Origin")
    }

    /// The subprotocols that the client would speak, the preferred ones first.
    pub fn subprotocols(&self) -> impl Iterator<Item = &'a str> {
        self.head
            .values("Sec-WebSocket-Protocol")
            .flat_map(token::list)
            .filter_map(|name| core::str::from_utf8(name).ok())
    }

    /// The extensions that the client offers: the raw values of all such headers.
    pub fn extensions(&self) -> impl Iterator<Item = &'a [u8]> {
        self.head.values("Sec-WebSocket-Extensions")
    }

    fn text(&self, name: &str) -> Option<&'a str> {
        self.header(name).and_then(|value| core::str::from_utf8(value).ok())
    }
}
