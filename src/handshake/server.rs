//! A server's side of the opening handshake (RFC 6455, section 4.2).
#![forbid(unsafe_code)]

use super::authority;
use super::extensions::Extensions;
use super::fault::RequestFault;
use super::head::{Collector, HeadLimits, Only, Received, RequestHead};
use super::key::{accept_key, is_key};
use super::list::Elements;
use super::request::Request;
use super::response::{Response, ResponseError};
use alloc::vec::Vec;
use core::fmt;

/// Receives a client's request, lends it to the application, and writes the bytes of the answer.
///
/// Pass what arrives to [`receive`](Self::receive) until the request is complete, look at it
/// ([`request`](Self::request)), at once or later, and answer it ([`answer`](Self::answer)). The
/// connection is open when the bytes of an [accepting](Response::accept) answer are written.
///
/// A request that asks for no WebSocket is complete, too, and can be answered with a page:
/// [`Request::is_upgrade`] tells them apart.
///
/// ```
/// use websocket_stream::handshake::{HeadLimits, Received, Response, ServerHandshake};
///
/// // The example of RFC 6455, section 1.2, and the first byte of a frame behind it.
/// let bytes = b"GET /chat HTTP/1.1\r\n\
///     Host: server.example.com\r\n\
///     Upgrade: websocket\r\n\
///     Connection: Upgrade\r\n\
///     Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
///     Origin: http://example.com\r\n\
///     Sec-WebSocket-Protocol: chat, superchat\r\n\
///     Sec-WebSocket-Version: 13\r\n\r\n\x81";
///
/// let mut handshake = ServerHandshake::new(HeadLimits::default());
/// assert_eq!(handshake.receive(&bytes[..100]), Ok(Received::Partial));
/// assert_eq!(handshake.receive(&bytes[100..]), Ok(Received::Complete { used: bytes.len() - 101 }));
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
    /// The head is not complete.
    Receiving(Collector),
    /// The request waits for its answer. It is well-formed, and if it asks for a WebSocket, it does so
    /// correctly.
    Asked(RequestHead),
    /// The request is faulty and waits for its answer. It is there if its head could be parsed.
    Faulty { fault: RequestFault, request: Option<RequestHead> },
    /// The request was answered.
    Answered { verdict: Verdict, request: Option<RequestHead> },
}

/// What the answer to a request has decided.
#[derive(Clone, Copy)]
pub(crate) enum Verdict {
    /// The connection opens once the answer is sent.
    Accepted,
    /// The application has answered with another status than 101.
    Refused {
        /// The status.
        status: u16,
    },
    /// The answer reports a fault of the request.
    Faulty(RequestFault),
}

impl ServerHandshake {
    /// Makes a handshake that has received nothing.
    pub fn new(limits: HeadLimits) -> Self {
        Self(State::Receiving(Collector::new(limits)))
    }

    /// Receives bytes of the request, up to its end. Once it is complete, uses no more bytes.
    ///
    /// A request that asks for no WebSocket is complete like any other; see [`Request::is_upgrade`].
    ///
    /// # Errors
    ///
    /// [`RequestFault`], as soon as it is found; later calls repeat it.
    pub fn receive(&mut self, bytes: &[u8]) -> Result<Received, RequestFault> {
        let collector = match &mut self.0 {
            State::Receiving(collector) => collector,
            State::Faulty { fault, .. } | State::Answered { verdict: Verdict::Faulty(fault), .. } => {
                return Err(*fault);
            }
            State::Asked(_) | State::Answered { .. } => return Ok(Received::Complete { used: 0 }),
        };
        let result = match collector.collect(bytes) {
            Ok(Received::Partial) => return Ok(Received::Partial),
            Ok(complete) => collector.parse_request().map(|request| (complete, request)),
            Err(fault) => Err(fault),
        };
        match result {
            Ok((complete, request)) => match check(&request) {
                Ok(()) => {
                    self.0 = State::Asked(request);
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

    /// Lends the request once it is complete, answered or not. Lends a faulty one if its head could be
    /// parsed.
    pub fn request(&self) -> Option<Request<'_>> {
        match &self.0 {
            State::Receiving(_) => None,
            State::Asked(request) => Some(request),
            State::Faulty { request, .. } | State::Answered { request, .. } => request.as_ref(),
        }
        .map(Request::new)
    }

    /// Appends the answer's bytes to `out`. After any other than an [accepting](Response::accept)
    /// one, close the connection once they are sent.
    ///
    /// A request that asks for no WebSocket, or is faulty, can have any answer but an accepting one;
    /// `Response::from(fault)` is the response that [`RequestFault::write_response`] writes.
    ///
    /// # Errors
    ///
    /// [`ResponseError`]: nothing was written, and another answer can be given.
    pub fn answer(&mut self, response: &Response, out: &mut Vec<u8>) -> Result<(), ResponseError> {
        let verdict = match (&self.0, response.is_accept()) {
            (State::Receiving(_), _) => return Err(ResponseError::NoRequest),
            (State::Answered { .. }, _) => return Err(ResponseError::Answered),
            (State::Faulty { .. }, true) => return Err(ResponseError::Faulty),
            (State::Asked(request), true) => {
                accept(request, response, out)?;
                Verdict::Accepted
            }
            (State::Asked(_), false) => {
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

    /// Whether an answer to the request may have a body: "the server MUST NOT send content in the response"
    /// to HEAD (RFC 9110, section 9.3.2).
    fn wants_body(&self) -> bool {
        self.request().is_none_or(|request| request.method() != "HEAD")
    }

    fn decide(&mut self, verdict: Verdict) {
        let request = match core::mem::replace(&mut self.0, State::Answered { verdict, request: None }) {
            State::Asked(request) => Some(request),
            State::Faulty { request, .. } | State::Answered { request, .. } => request,
            State::Receiving(_) => None,
        };
        self.0 = State::Answered { verdict, request };
    }
}

/// What an opening on a transport asks.
#[cfg(feature = "std")]
impl ServerHandshake {
    /// Whether the request is neither complete nor faulty yet.
    pub(crate) fn is_receiving(&self) -> bool {
        matches!(self.0, State::Receiving(_))
    }

    /// What was decided about the request. `None` until it is answered.
    pub(crate) fn verdict(&self) -> Option<Verdict> {
        match self.0 {
            State::Answered { verdict, .. } => Some(verdict),
            State::Receiving(_) | State::Asked(_) | State::Faulty { .. } => None,
        }
    }

    /// Appends the answer that reports a fault.
    pub(crate) fn refuse(&mut self, fault: RequestFault, out: &mut Vec<u8>) {
        let written = Response::from(fault).write_refusal(self.wants_body(), out);
        debug_assert!(written.is_ok(), "{fault:?}: {written:?}");
        self.decide(Verdict::Faulty(fault));
    }

    /// The bytes received of a request that is not answered.
    pub(crate) fn into_unused(self) -> Vec<u8> {
        match self.0 {
            State::Receiving(collector) => collector.into_bytes(),
            State::Asked(request) | State::Faulty { request: Some(request), .. } => request.head.into_bytes(),
            State::Faulty { request: None, .. } | State::Answered { .. } => Vec::new(),
        }
    }
}

/// Prints no headers, which may hold secrets.
impl fmt::Debug for ServerHandshake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state: &dyn fmt::Debug = match &self.0 {
            State::Receiving(_) => &"receiving",
            State::Asked(_) => &"asked",
            State::Faulty { fault, .. } => fault,
            State::Answered { verdict: Verdict::Accepted, .. } => &"accepted",
            State::Answered { verdict: Verdict::Refused { status }, .. } => status,
            State::Answered { verdict: Verdict::Faulty(fault), .. } => fault,
        };
        f.debug_struct("ServerHandshake").field("state", state).field("request", &self.request()).finish()
    }
}

/// Appends the answer that opens the connection, if the client has offered all that it chooses.
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

/// Judges a request: first what every HTTP server has to refuse, then how it asks for a WebSocket
/// connection (section 4.2.1). A request that does not ask for one is valid.
fn check(request: &RequestHead) -> Result<(), RequestFault> {
    let head = &request.head;
    let view = Request::new(request);
    let require = |condition, fault| if condition { Ok(()) } else { Err(fault) };

    require(view.has_valid_target(), RequestFault::Target)?;
    // A server must answer 400 "to any HTTP/1.1 request message that lacks a Host header field and to any
    // request message that contains more than one Host header field line or a Host header field with an
    // invalid field value" (RFC 9112, section 3.2). Old load balancers check the health in HTTP/1.0, without.
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
    // A proxy that sees the message differently would read a body as frames, or a frame as a body.
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

/// Whether all recipients find the same end of the request's body (RFC 9112, sections 6.1 and 6.3).
fn has_one_length(request: &RequestHead) -> bool {
    let head = &request.head;
    let mut lengths = head.values("Content-Length");
    let length = lengths.next();
    // "If a message is received without Transfer-Encoding and with an invalid Content-Length header field, then
    // the message framing is invalid". Lines that repeat the number are harmless.
    let is_number = |value: &[u8]| !value.is_empty() && value.iter().all(u8::is_ascii_digit);
    if length.is_some_and(|value| !is_number(value) || lengths.any(|other| other != value)) {
        return false;
    }
    if head.only("Transfer-Encoding") == Only::Absent {
        return true;
    }
    // "If a Transfer-Encoding header field is present in a request and the chunked transfer coding is not the
    // final encoding, the message body length cannot be determined reliably". In HTTP/1.0, or beside a
    // Content-Length, the header may be an attempt at request smuggling.
    let is_chunked = |coding: &[u8]| coding.eq_ignore_ascii_case(b"chunked");
    let mut codings =
        Elements::new(head.values("Transfer-Encoding")).skip_while(|coding| !is_chunked(coding));
    length.is_none() && request.is_1_1 && codings.next().is_some() && codings.next().is_none()
}
