//! The server side of the opening handshake (RFC 6455, section 4.2).
#![forbid(unsafe_code)]

use super::check::{accept_value, check};
use super::fault::RequestFault;
use super::head::{Collector, HeadStatus, RequestHead};
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
                response.write_accept(accept_value(request, response)?.as_ref(), out)?;
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
