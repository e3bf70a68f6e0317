//! The client side of the opening handshake (RFC 6455, section 4.1).
#![forbid(unsafe_code)]

use super::client_request::{ClientRequest, RequestError};
use super::extensions::Extensions;
use super::head::{Collector, Head, HeadFault, HeadStatus, Headers, Only, ResponseHead, Values};
use super::key::{KEY_LEN, accept_key, encode_nonce};
use super::list::Elements;
use crate::Limits;
use alloc::vec::Vec;
use core::fmt;

/// Writes a client's request, and parses the server's response.
///
/// Send the bytes from [`write_request`](Self::write_request), then pass what arrives to
/// [`receive`](Self::receive) until the response is complete. The connection is then open.
///
/// ```
/// use websocket_stream::handshake::{ClientHandshake, ResponseFault};
/// use websocket_stream::{ClientRequest, Limits};
///
/// let request = ClientRequest::new("example.com", "/chat");
/// // A fresh random nonce for each connection.
/// let nonce = *b"the sample nonce";
/// let mut handshake = ClientHandshake::new(request, nonce, &Limits::default())?;
///
/// let bytes = b"HTTP/1.1 307 Temporary Redirect\r\nLocation: /lobby\r\n\r\n";
/// let fault = ResponseFault::Refused { status: 307, used: bytes.len() };
/// assert_eq!(handshake.receive(bytes), Err(fault));
/// let response = handshake.response().ok_or("no response")?;
/// assert_eq!(response.header("location"), Some(&b"/lobby"[..]));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct ClientHandshake {
    request: ClientRequest,
    key: [u8; KEY_LEN],
    state: State,
}

enum State {
    /// The head of the final response is incomplete.
    Receiving(Collector),
    /// The server accepted the connection.
    Open(ResponseHead),
    /// The server did not. The response is kept if its head could be parsed.
    Failed { fault: ResponseFault, response: Option<ResponseHead> },
}

impl ClientHandshake {
    /// Creates a handshake that has not sent or received anything.
    ///
    /// "The nonce MUST be selected randomly for each connection" (RFC 6455, section 4.1, item 7).
    ///
    /// # Errors
    ///
    /// [`RequestError`] if part of the request is invalid.
    pub fn new(request: ClientRequest, nonce: [u8; 16], limits: &Limits) -> Result<Self, RequestError> {
        request.check()?;
        Ok(Self {
            request,
            key: encode_nonce(&nonce),
            state: State::Receiving(Collector::new(limits, b"HTTP/")),
        })
    }

    /// Appends the request to `out`. Each call appends the same bytes.
    pub fn write_request(&self, out: &mut Vec<u8>) {
        self.request.write(&self.key, out);
    }

    /// Consumes bytes of the response, up to its end. Once the response is complete, no more bytes are
    /// consumed.
    ///
    /// Interim responses (100 to 199, except 101) are skipped, and count towards the limits.
    ///
    /// # Errors
    ///
    /// [`ResponseFault`], as soon as the bytes show it. Later calls repeat it.
    pub fn receive(&mut self, bytes: &[u8]) -> Result<HeadStatus, ResponseFault> {
        let collector = match &mut self.state {
            State::Receiving(collector) => collector,
            State::Open(_) => return Ok(HeadStatus::Complete { used: 0 }),
            State::Failed { fault, .. } => return Err(fault.repeated()),
        };
        let (used, response) = match final_response(collector, bytes) {
            Ok(Some(found)) => found,
            Ok(None) => return Ok(HeadStatus::Partial),
            Err(fault) => {
                let fault = fault.into();
                self.state = State::Failed { fault, response: None };
                return Err(fault);
            }
        };
        match check(&response, &self.request, &self.key, used) {
            Ok(()) => {
                self.state = State::Open(response);
                Ok(HeadStatus::Complete { used })
            }
            Err(fault) => {
                self.state = State::Failed { fault, response: Some(response) };
                Err(fault)
            }
        }
    }

    /// Returns the bytes consumed so far of an incomplete response.
    #[cfg(feature = "std")]
    pub(crate) fn into_unused(self) -> Vec<u8> {
        match self.state {
            State::Receiving(collector) => collector.into_bytes(),
            State::Open(_) | State::Failed { .. } => Vec::new(),
        }
    }

    /// Returns the response, once it is complete.
    ///
    /// A refusal is also returned if it is valid HTTP, so that a redirect can be followed or a challenge
    /// answered.
    pub fn response(&self) -> Option<ReceivedResponse<'_>> {
        match &self.state {
            State::Receiving(_) => None,
            State::Open(response) => Some(response),
            State::Failed { response, .. } => response.as_ref(),
        }
        .map(ReceivedResponse)
    }

    /// Returns the subprotocol that the server chose, if the connection is open.
    pub fn subprotocol(&self) -> Option<&str> {
        let State::Open(response) = &self.state else {
            return None;
        };
        response.head.values("Sec-WebSocket-Protocol").next().and_then(|name| str::from_utf8(name).ok())
    }

    /// Returns the extensions that the server chose, if the connection is open. All of them were offered.
    pub fn extensions(&self) -> Option<Extensions<'_>> {
        let State::Open(response) = &self.state else {
            return None;
        };
        Some(Extensions::unchecked(response.head.values("Sec-WebSocket-Extensions")))
    }
}

/// Omits the headers, which may hold secrets.
impl fmt::Debug for ClientHandshake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state: &dyn fmt::Debug = match &self.state {
            State::Receiving(_) => &"receiving",
            State::Open(_) => &"open",
            State::Failed { fault, .. } => fault,
        };
        f.debug_struct("ClientHandshake").field("state", state).field("request", &self.request).finish()
    }
}

/// Collects heads up to the final response: "a client MUST be able to parse one or more 1xx responses
/// received prior to a final response" (RFC 9110, section 15.2).
fn final_response(
    collector: &mut Collector,
    bytes: &[u8],
) -> Result<Option<(usize, ResponseHead)>, HeadFault> {
    let mut at = 0;
    loop {
        let HeadStatus::Complete { used } = collector.collect(&bytes[at..])? else {
            return Ok(None);
        };
        at += used;
        let response = collector.parse_response()?;
        if !matches!(response.status, 100 | 102..=199) {
            return Ok(Some((at, response)));
        }
    }
}

/// Checks a response against the items of section 4.1.
fn check(
    response: &ResponseHead,
    request: &ClientRequest,
    key: &[u8; KEY_LEN],
    used: usize,
) -> Result<(), ResponseFault> {
    let head = &response.head;
    let require = |condition, fault| if condition { Ok(()) } else { Err(fault) };

    // 1. "If the status code received from the server is not 101, the client handles the response per
    // HTTP [RFC2616] procedures."
    require(response.status == 101, ResponseFault::Refused { status: response.status, used })?;
    require(response.is_1_1, ResponseFault::HttpVersion)?;
    // 2. "If the response lacks an |Upgrade| header field or the |Upgrade| header field contains a
    // value that is not an ASCII case-insensitive match for the value "websocket"".
    require(
        matches!(head.only("Upgrade"), Only::One(value) if value.eq_ignore_ascii_case(b"websocket")),
        ResponseFault::Upgrade,
    )?;
    // 3. "If the response lacks a |Connection| header field or the |Connection| header field doesn't
    // contain a token that is an ASCII case-insensitive match for the value "Upgrade"".
    require(Elements::new(head.values("Connection")).contain("upgrade"), ResponseFault::Connection)?;
    // 4. "If the response lacks a |Sec-WebSocket-Accept| header field or the |Sec-WebSocket-Accept|
    // contains a value other than the base64-encoded SHA-1 of the concatenation".
    require(head.only("Sec-WebSocket-Accept") == Only::One(&accept_key(key)), ResponseFault::Accept)?;
    // 5. "this header field indicates the use of an extension that was not present in the client's
    // handshake".
    let mut extensions = Extensions::over(head.values("Sec-WebSocket-Extensions"))
        .map_err(|_| ResponseFault::MalformedExtensions)?;
    require(extensions.all(|chosen| request.offers_extension(chosen.name)), ResponseFault::Extensions)?;
    // 6. "this header field indicates the use of a subprotocol that was not present in the client's
    // handshake". It "MUST NOT appear more than once in an HTTP response" (section 11.3.4).
    require(
        match head.only("Sec-WebSocket-Protocol") {
            Only::Absent => true,
            Only::One(name) => request.offers_subprotocol(name),
            Only::Several => false,
        },
        ResponseFault::Subprotocol,
    )
}

/// A server's response, borrowed from [`ClientHandshake::response`].
///
/// Each lookup reads every header at most once. Names are case-insensitive.
///
/// See the example of [`ClientHandshake`].
#[derive(Clone, Copy)]
pub struct ReceivedResponse<'a>(&'a ResponseHead);

impl<'a> ReceivedResponse<'a> {
    const fn head(&self) -> &'a Head {
        &self.0.head
    }

    /// Returns the status code; 101 means that the connection is open.
    pub const fn status(&self) -> u16 {
        self.0.status
    }

    /// Returns the reason phrase after the status code, which is often empty.
    pub fn reason(&self) -> &'a str {
        self.head().text(self.0.reason)
    }

    /// Returns the value of the first header line with this name.
    pub fn header(&self, name: &str) -> Option<&'a [u8]> {
        self.headers().find(|(other, _)| other.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    /// Returns the values of all header lines with this name, in order.
    pub fn values(&self, name: &'a str) -> Values<'a> {
        self.head().values(name)
    }

    /// Returns all header lines, in order.
    pub fn headers(&self) -> Headers<'a> {
        self.head().headers()
    }
}

/// Omits the headers, which may hold secrets.
impl fmt::Debug for ReceivedResponse<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReceivedResponse").field("status", &self.status()).finish_non_exhaustive()
    }
}

/// The reason why a server's response does not open the connection.
///
/// See the example of [`ClientHandshake`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ResponseFault {
    /// The server responded with a status other than 101: a redirect, a challenge or a refusal.
    ///
    /// The server is not at fault. [`response`](ClientHandshake::response) returns its response.
    Refused {
        /// The status code.
        status: u16,
        /// How many of the bytes passed last belong to the head of the response; its body follows them. 0 if
        /// the fault is repeated.
        used: usize,
    },
    /// The server accepted the request before all of it was sent. Only a stream can detect this.
    Early,
    /// The bytes are not an HTTP response, or a header line of a 101 is folded.
    Malformed,
    /// The heads of this and any interim responses exceed a head limit of [`Limits`](crate::Limits).
    TooLarge,
    /// The version is a version of HTTP other than HTTP/1.1. A refusal may also be HTTP/1.0.
    HttpVersion,
    /// `Upgrade` is not `websocket`.
    Upgrade,
    /// `Connection` does not contain `Upgrade`.
    Connection,
    /// `Sec-WebSocket-Accept` does not match the key that was sent.
    Accept,
    /// The server chose an extension that was not offered, or chose one twice.
    Extensions,
    /// The server chose an illegal parameter of an extension.
    ExtensionParams,
    /// The server's `permessage-deflate` lacks `server_no_context_takeover`, which was requested.
    ///
    /// Tornado responds in this way. A `receive_window` of `WindowBits::MAX` (in `deflate::Deflate`) does not
    /// request it.
    ContextTakeover,
    /// The server's `permessage-deflate` lacks a `server_max_window_bits` as small as requested.
    WindowBits,
    /// `Sec-WebSocket-Extensions` does not follow its grammar.
    MalformedExtensions,
    /// The server chose a subprotocol that was not offered, or more than one.
    Subprotocol,
}

impl ResponseFault {
    /// Returns the fault for a call that consumes no bytes.
    pub(crate) const fn repeated(self) -> Self {
        match self {
            Self::Refused { status, .. } => Self::Refused { status, used: 0 },
            other => other,
        }
    }
}

impl From<HeadFault> for ResponseFault {
    fn from(fault: HeadFault) -> Self {
        match fault {
            HeadFault::Malformed => Self::Malformed,
            HeadFault::TooLarge => Self::TooLarge,
            HeadFault::Version => Self::HttpVersion,
        }
    }
}

impl fmt::Display for ResponseFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Refused { status, .. } => {
                return write!(f, "opening handshake refused with status {status}");
            }
            Self::Early => "response before the whole request was sent",
            Self::Malformed => "malformed HTTP response",
            Self::TooLarge => "response head over the limits",
            Self::HttpVersion => "response that is not HTTP/1.1",
            Self::Upgrade => "response without Upgrade: websocket",
            Self::Connection => "response without Connection: Upgrade",
            Self::Accept => "Sec-WebSocket-Accept that does not match the key",
            Self::Extensions => "extension in the response that was not offered, or was chosen twice",
            Self::ExtensionParams => "illegal extension parameter in the response",
            Self::ContextTakeover => "missing server_no_context_takeover in the response",
            Self::WindowBits => "missing or too large server_max_window_bits in the response",
            Self::MalformedExtensions => "malformed Sec-WebSocket-Extensions header in the response",
            Self::Subprotocol => "subprotocol in the response that was not offered, or more than one",
        })
    }
}

impl core::error::Error for ResponseFault {}
