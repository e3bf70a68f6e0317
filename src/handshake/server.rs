//! The server side of the opening handshake (RFC 6455, section 4.2).
#![forbid(unsafe_code)]

use super::authority;
use super::extensions::Extensions;
use super::fault::RequestFault;
use super::head::{Collector, HeadStatus, Only, RequestHead};
use super::key::{accept_key, is_key};
use super::list::Elements;
use super::request::Request;
use super::response::{Response, ResponseError};
use crate::Limits;
use alloc::vec::Vec;
use core::fmt;

/// Receives a client's request and writes the answer.
///
/// Pass the bytes that arrive to [`receive`](Self::receive) until the request is complete. Then read the
/// [`request`](Self::request) and [`answer`](Self::answer) it, now or later. The connection is open once the
/// bytes of an [accepting](Response::accept) answer are sent.
///
/// A plain HTTP request is received too, and can be answered with a page. [`Request::is_upgrade`] returns
/// whether a request asks for a WebSocket.
///
/// ```
/// use websocket_stream::handshake::{HeadStatus, ServerHandshake};
/// use websocket_stream::{Limits, Response};
///
/// // The example of RFC 6455, section 1.2, then the first byte of a frame.
/// let bytes = b"GET /chat HTTP/1.1\r\n\
///     Host: server.example.com\r\n\
///     Upgrade: websocket\r\n\
///     Connection: Upgrade\r\n\
///     Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
///     Origin: http://example.com\r\n\
///     Sec-WebSocket-Protocol: chat, superchat\r\n\
///     Sec-WebSocket-Version: 13\r\n\r\n\x81";
///
/// let mut handshake = ServerHandshake::new(&Limits::default());
/// assert_eq!(handshake.receive(&bytes[..100]), Ok(HeadStatus::Partial));
/// assert_eq!(handshake.receive(&bytes[100..]), Ok(HeadStatus::Complete { used: bytes.len() - 101 }));
///
/// let mut out = Vec::new();
/// handshake.answer(&Response::accept().subprotocol("chat"), &mut out)?;
/// assert_eq!(
///     String::from_utf8_lossy(&out),
///     "HTTP/1.1 101 Switching Protocols\r\n\
///     Upgrade: websocket\r\n\
///     Connection: Upgrade\r\n\
///     Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\
///     Sec-WebSocket-Protocol: chat\r\n\r\n",
/// );
/// # Ok::<(), websocket_stream::handshake::ResponseError>(())
/// ```
pub struct ServerHandshake(State);

enum State {
    /// The head is incomplete.
    Receiving(Collector),
    /// The request is valid and is not answered yet.
    Received(RequestHead),
    /// The request is faulty and is not answered yet. The request is kept if its head could be parsed.
    Faulty { fault: RequestFault, request: Option<RequestHead> },
    /// The request was answered.
    Answered { verdict: Verdict, request: Option<RequestHead> },
}

/// The result of answering a request.
#[derive(Clone, Copy)]
pub(crate) enum Verdict {
    /// The connection opens once the answer is sent.
    Accepted,
    /// The program answered with a status other than 101.
    Refused {
        /// The status code.
        status: u16,
    },
    /// The answer reports a fault of the request.
    Faulty(RequestFault),
}

impl ServerHandshake {
    /// Creates a handshake that has not received anything.
    pub fn new(limits: &Limits) -> Self {
        Self(State::Receiving(Collector::new(limits, b"")))
    }

    /// Receives bytes of the request, up to its end.
    ///
    /// Calls after the end consume no bytes. A plain HTTP request can be complete too; see
    /// [`Request::is_upgrade`].
    ///
    /// # Errors
    ///
    /// [`RequestFault`], as soon as the bytes show it; later calls return it again.
    pub fn receive(&mut self, bytes: &[u8]) -> Result<HeadStatus, RequestFault> {
        let collector = match &mut self.0 {
            State::Receiving(collector) => collector,
            State::Faulty { fault, .. } | State::Answered { verdict: Verdict::Faulty(fault), .. } => {
                return Err(*fault);
            }
            State::Received(_) | State::Answered { .. } => return Ok(HeadStatus::Complete { used: 0 }),
        };
        let result = match collector.collect(bytes) {
            Ok(HeadStatus::Partial) => return Ok(HeadStatus::Partial),
            Ok(complete) => collector.parse_request().map(|request| (complete, request)),
            Err(fault) => Err(fault),
        };
        match result {
            Ok((complete, request)) => match check(&request) {
                Ok(()) => {
                    self.0 = State::Received(request);
                    Ok(complete)
                }
                Err(fault) => {
                    self.0 = State::Faulty { fault, request: Some(request) };
                    Err(fault)
                }
            },
            Err(fault) => {
                let fault = fault.into();
                self.0 = State::Faulty { fault, request: None };
                Err(fault)
            }
        }
    }

    /// Returns the request once it is complete, answered or not.
    ///
    /// Returns a faulty request only if its head could be parsed.
    pub fn request(&self) -> Option<Request<'_>> {
        match &self.0 {
            State::Receiving(_) => None,
            State::Received(request) => Some(request),
            State::Faulty { request, .. } | State::Answered { request, .. } => request.as_ref(),
        }
        .map(Request::new)
    }

    /// Appends the bytes of the answer to `out`.
    ///
    /// Unless the answer [accepts](Response::accept) the request, close the connection once the bytes are
    /// sent. A plain HTTP request or a faulty one can have any answer that does not accept it.
    /// `Response::from(fault)` is the response that [`RequestFault::write_response`] writes.
    ///
    /// # Errors
    ///
    /// [`ResponseError`] if the answer cannot be sent. Nothing was written; call this again with another one.
    pub fn answer(&mut self, response: &Response, out: &mut Vec<u8>) -> Result<(), ResponseError> {
        let verdict = match (&self.0, response.is_accept()) {
            (State::Receiving(_), _) => return Err(ResponseError::NoRequest),
            (State::Answered { .. }, _) => return Err(ResponseError::Answered),
            (State::Faulty { .. }, true) => return Err(ResponseError::Faulty),
            (State::Received(request), true) => {
                accept(request, response, out)?;
                Verdict::Accepted
            }
            (State::Received(_), false) => {
                response.write_refusal(self.wants_body(), out)?;
                Verdict::Refused { status: response.status() }
            }
            (State::Faulty { fault, .. }, false) => {
                response.write_refusal(self.wants_body(), out)?;
                Verdict::Faulty(*fault)
            }
        };
        self.decide(verdict);
        Ok(())
    }

    /// Returns whether the answer may have a body: "the server MUST NOT send content in the response" to HEAD
    /// (RFC 9110, section 9.3.2).
    fn wants_body(&self) -> bool {
        self.request().is_none_or(|request| request.method() != "HEAD")
    }

    /// Marks the request as answered, and keeps it.
    fn decide(&mut self, verdict: Verdict) {
        let request = match core::mem::replace(&mut self.0, State::Answered { verdict, request: None }) {
            State::Received(request) => Some(request),
            State::Faulty { request, .. } | State::Answered { request, .. } => request,
            State::Receiving(_) => None,
        };
        self.0 = State::Answered { verdict, request };
    }
}

/// Methods for an opening on a transport.
#[cfg(feature = "std")]
impl ServerHandshake {
    /// Returns whether the request is incomplete and no fault was found.
    pub(crate) fn is_receiving(&self) -> bool {
        matches!(self.0, State::Receiving(_))
    }

    /// Returns the result of the answer, or `None` if the request is not answered yet.
    pub(crate) fn verdict(&self) -> Option<Verdict> {
        match self.0 {
            State::Answered { verdict, .. } => Some(verdict),
            State::Receiving(_) | State::Received(_) | State::Faulty { .. } => None,
        }
    }

    /// Appends the answer for a fault.
    pub(crate) fn refuse(&mut self, fault: RequestFault, out: &mut Vec<u8>) {
        let written = Response::from(fault).write_refusal(self.wants_body(), out);
        debug_assert!(written.is_ok(), "{fault:?}: {written:?}");
        self.decide(Verdict::Faulty(fault));
    }

    /// Returns the bytes received of a request that is not answered.
    pub(crate) fn into_unused(self) -> Vec<u8> {
        match self.0 {
            State::Receiving(collector) => collector.into_bytes(),
            State::Received(request) | State::Faulty { request: Some(request), .. } => {
                request.head.into_bytes()
            }
            State::Faulty { request: None, .. } | State::Answered { .. } => Vec::new(),
        }
    }
}

/// Omits the headers, which may hold secrets.
impl fmt::Debug for ServerHandshake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state: &dyn fmt::Debug = match &self.0 {
            State::Receiving(_) => &"receiving",
            State::Received(_) => &"received",
            State::Faulty { fault, .. } => fault,
            State::Answered { verdict: Verdict::Accepted, .. } => &"accepted",
            State::Answered { verdict: Verdict::Refused { status }, .. } => status,
            State::Answered { verdict: Verdict::Faulty(fault), .. } => fault,
        };
        f.debug_struct("ServerHandshake").field("state", state).field("request", &self.request()).finish()
    }
}

/// Appends an accepting answer, if the client offered the subprotocol and the extensions that it chooses.
fn accept(head: &RequestHead, response: &Response, out: &mut Vec<u8>) -> Result<(), ResponseError> {
    let request = Request::new(head);
    if !request.is_upgrade() {
        return Err(ResponseError::NotAnUpgrade);
    }
    // "The value chosen MUST be derived from the client's handshake, specifically by selecting one of
    // the values from the |Sec-WebSocket-Protocol| field" (section 4.2.2, item 4).
    if let Some(chosen) = response.chosen_subprotocol()
        && !request.subprotocols().any(|offered| offered == chosen)
    {
        return Err(ResponseError::Subprotocol);
    }
    // "A server MUST NOT respond with any extension not requested by the client" (section 9).
    if let Some(list) = response.chosen_extensions() {
        let mut chosen = Extensions::parse(list.as_bytes()).map_err(|_| ResponseError::Extensions)?;
        if chosen.clone().next().is_none()
            || !chosen.all(|chosen| request.extensions().any(|offered| offered.name == chosen.name))
        {
            return Err(ResponseError::Extensions);
        }
    }
    let Only::One(key) = head.head.only("Sec-WebSocket-Key") else {
        return Err(ResponseError::Faulty);
    };
    response.write_accept(&accept_key(key), out)
}

/// Checks a request: first what every HTTP server must refuse, then the request for a WebSocket (section
/// 4.2.1). A plain HTTP request is valid.
fn check(request: &RequestHead) -> Result<(), RequestFault> {
    let head = &request.head;
    let view = Request::new(request);
    let require = |condition, fault| if condition { Ok(()) } else { Err(fault) };

    require(view.has_valid_target(), RequestFault::Target)?;
    // A server must answer 400 "to any HTTP/1.1 request message that lacks a Host header field and to any
    // request message that contains more than one Host header field line or a Host header field with an
    // invalid field value" (RFC 9112, section 3.2). The health checks of old load balancers are in HTTP/1.0,
    // without a Host.
    require(
        match head.only("Host") {
            Only::One(value) => str::from_utf8(value).is_ok_and(|host| authority::split(host).is_some()),
            Only::Absent => !request.is_1_1,
            Only::Several => false,
        },
        RequestFault::Host,
    )?;
    require(has_one_length(request), RequestFault::BodyLength)?;

    // "An |Upgrade| header field containing the value "websocket", treated as an ASCII
    // case-insensitive value."
    if !view.is_upgrade() {
        return Ok(());
    }
    // "An HTTP/1.1 or higher GET request".
    require(request.is_1_1, RequestFault::HttpVersion)?;
    require(view.method() == "GET", RequestFault::Method)?;
    // "including a "Request-URI" that should be interpreted as a /resource name/".
    require(view.target().is_valid(), RequestFault::Target)?;
    // "A |Connection| header field that includes the token "Upgrade", treated as an ASCII
    // case-insensitive value."
    require(Elements::new(head.values("Connection")).contain("upgrade"), RequestFault::Connection)?;
    // A proxy that finds another end of the message would read a body as frames, or a frame as a body.
    require(
        head.only("Transfer-Encoding") == Only::Absent
            && head.values("Content-Length").all(|length| length == b"0"),
        RequestFault::Body,
    )?;
    // "A |Sec-WebSocket-Key| header field with a base64-encoded (see Section 4 of [RFC4648]) value
    // that, when decoded, is 16 bytes in length." It "MUST NOT appear more than once in an HTTP
    // request" (section 11.3.1).
    require(matches!(head.only("Sec-WebSocket-Key"), Only::One(key) if is_key(key)), RequestFault::Key)?;
    // "A |Sec-WebSocket-Version| header field, with a value of 13", which "MUST NOT appear more than
    // once in an HTTP request" (section 11.3.5).
    match head.only("Sec-WebSocket-Version") {
        Only::One(b"13") => {}
        Only::Several => return Err(RequestFault::DoubledVersion),
        Only::One(_) | Only::Absent => return Err(RequestFault::Version),
    }
    // "the user agent MUST NOT include more than one Origin header field" (RFC 6454, section 7.3).
    require(
        match head.only("Origin") {
            Only::Absent => true,
            Only::One(value) => value.iter().all(|&byte| byte.is_ascii_graphic() || byte == b' '),
            Only::Several => false,
        },
        RequestFault::Origin,
    )?;
    // "any violations of the ABNF grammar specified for the components of the handshake".
    require(view.subprotocols().are_well_formed(), RequestFault::Subprotocols)?;
    // "the recipient of such malformed data MUST immediately Fail the WebSocket Connection" (9.1).
    require(Extensions::over(head.values("Sec-WebSocket-Extensions")).is_ok(), RequestFault::Extensions)
}

/// Returns whether the end of the request's body is unambiguous (RFC 9112, sections 6.1 and 6.3).
fn has_one_length(request: &RequestHead) -> bool {
    let head = &request.head;
    let mut lengths = head.values("Content-Length");
    let length = lengths.next();
    // "If a message is received without Transfer-Encoding and with an invalid Content-Length header field,
    // then the message framing is invalid". Lines that repeat the number are harmless.
    let is_number = |value: &[u8]| !value.is_empty() && value.iter().all(u8::is_ascii_digit);
    if length.is_some_and(|value| !is_number(value) || lengths.any(|other| other != value)) {
        return false;
    }
    if head.only("Transfer-Encoding") == Only::Absent {
        return true;
    }
    // "If a Transfer-Encoding header field is present in a request and the chunked transfer coding is not the
    // final encoding, the message body length cannot be determined reliably". In HTTP/1.0, or together with a
    // Content-Length, the header may be an attempt at request smuggling.
    let is_chunked = |coding: &[u8]| coding.eq_ignore_ascii_case(b"chunked");
    let mut codings =
        Elements::new(head.values("Transfer-Encoding")).skip_while(|coding| !is_chunked(coding));
    length.is_none() && request.is_1_1 && codings.next().is_some() && codings.next().is_none()
}
