//! A client's side of the opening handshake (RFC 6455, section 4.1).
#![forbid(unsafe_code)]

use super::client_request::{ClientRequest, RequestError};
use super::extensions::Extensions;
use super::head::{Collector, Head, HeadFault, HeadLimits, Headers, Only, Received, ResponseHead, Values};
use super::key::{KEY_LEN, accept_key, encode_nonce};
use super::list::Elements;
use alloc::vec::Vec;
use core::fmt;

/// Makes the bytes of a client's request, and takes the server's response to it.
///
/// Send what [`write_request`](Self::write_request) writes, then give what arrives
/// ([`receive`](Self::receive)) until the response is complete: the connection is open then.
///
/// ```
/// use websocket_stream::handshake::{ClientHandshake, ClientRequest, HeadLimits, ResponseFault};
///
/// let request = ClientRequest::new("example.com", "/chat");
/// // A fresh random nonce for each connection.
/// let nonce = *b"the sample nonce";
/// let mut handshake = ClientHandshake::new(request, nonce, HeadLimits::default())?;
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
    /// The head of the final response is not whole.
    Receiving(Collector),
    /// The server has opened the connection.
    Open(ResponseHead),
    /// It has not. The response is there if its head could be parsed.
    Failed { fault: ResponseFault, response: Option<ResponseHead> },
}

impl ClientHandshake {
    /// A handshake that has sent and received nothing.
    ///
    /// "The nonce MUST be selected randomly for each connection" (RFC 6455, section 4.1, item 7).
    ///
    /// # Errors
    ///
    /// [`RequestError`] where something in the request may not be sent.
    pub fn new(request: ClientRequest, nonce: [u8; 16], limits: HeadLimits) -> Result<Self, RequestError> {
        request.check()?;
        Ok(Self { request, key: encode_nonce(&nonce), state: State::Receiving(Collector::new(limits)) })
    }

    /// Appends the request to `out`, the same each time.
    pub fn write_request(&self, out: &mut Vec<u8>) {
        self.request.write(&self.key, out);
    }

    /// Takes bytes of the response, up to its end. Once it is complete, takes none.
    ///
    /// Interim responses (100 to 199, but 101) are passed over, within the same limits.
    ///
    /// # Errors
    ///
    /// [`ResponseFault`], as soon as it shows; it stays, and later calls repeat it.
    pub fn receive(&mut self, bytes: &[u8]) -> Result<Received, ResponseFault> {
        let collector = match &mut self.state {
            State::Receiving(collector) => collector,
            State::Open(_) => return Ok(Received::Complete { used: 0 }),
            State::Failed { fault, .. } => return Err(fault.repeated()),
        };
        let (used, response) = match final_response(collector, bytes) {
            Ok(Some(found)) => found,
            Ok(None) => return Ok(Received::Partial),
            Err(fault) => {
                let fault = fault.into();
                self.state = State::Failed { fault, response: None };
                return Err(fault);
            }
        };
        match check(&response, &self.request, &self.key, used) {
            Ok(()) => {
                self.state = State::Open(response);
                Ok(Received::Complete { used })
            }
            Err(fault) => {
                self.state = State::Failed { fault, response: Some(response) };
                Err(fault)
            }
        }
    }

    /// The bytes that it took of a response that is not whole.
    #[cfg(feature = "std")]
    pub(crate) fn into_unused(self) -> Vec<u8> {
        match self.state {
            State::Receiving(collector) => collector.into_bytes(),
            State::Open(_) | State::Failed { .. } => Vec::new(),
        }
    }

    /// The response, once it is complete. A failed one too, if it is HTTP at all, so that a redirect
    /// can be followed or a challenge answered.
    pub fn response(&self) -> Option<ReceivedResponse<'_>> {
        match &self.state {
            State::Receiving(_) => None,
            State::Open(response) => Some(response),
            State::Failed { response, .. } => response.as_ref(),
        }
        .map(ReceivedResponse)
    }

    /// The subprotocol that the server has chosen, when the connection is open.
    pub fn subprotocol(&self) -> Option<&str> {
        let State::Open(response) = &self.state else {
            return None;
        };
        response.head.values("Sec-WebSocket-Protocol").next().and_then(|name| str::from_utf8(name).ok())
    }

    /// The extensions that the server has chosen, when the connection is open; all were offered.
    pub fn extensions(&self) -> Option<Extensions<'_>> {
        let State::Open(response) = &self.state else {
            return None;
        };
        Some(Extensions::unchecked(response.head.values("Sec-WebSocket-Extensions")))
    }
}

/// Without the headers, which may hold secrets.
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

/// Collects heads up to that of the final response: "a client MUST be able to parse one or more 1xx
/// responses received prior to a final response" (RFC 9110, section 15.2).
fn final_response(
    collector: &mut Collector,
    bytes: &[u8],
) -> Result<Option<(usize, ResponseHead)>, HeadFault> {
    let mut at = 0;
    loop {
        let Received::Complete { used } = collector.collect(&bytes[at..])? else {
            return Ok(None);
        };
        at += used;
        let response = collector.parse_response()?;
        if !matches!(response.status, 100 | 102..=199) {
            return Ok(Some((at, response)));
        }
    }
}

/// Judges a response, by the items of section 4.1.
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

/// A server's response, lent by [`ClientHandshake::response`].
///
/// Every look-up reads each header once at most. Names are compared without regard to case.
#[derive(Clone, Copy)]
pub struct ReceivedResponse<'a>(&'a ResponseHead);

impl<'a> ReceivedResponse<'a> {
    const fn head(&self) -> &'a Head {
        &self.0.head
    }

    /// The status code: 101 where the connection is open.
    pub const fn status(&self) -> u16 {
        self.0.status
    }

    /// What stands behind the status code; often nothing.
    pub fn reason(&self) -> &'a str {
        self.head().text(self.0.reason)
    }

    /// The value of the first header line of this name.
    pub fn header(&self, name: &str) -> Option<&'a [u8]> {
        self.headers().find(|(other, _)| other.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    /// The values of all header lines of this name, in order.
    pub fn values(&self, name: &'a str) -> Values<'a> {
        self.head().values(name)
    }

    /// All header lines, in order.
    pub fn headers(&self) -> Headers<'a> {
        self.head().headers()
    }
}

/// Without the headers, which may hold secrets.
impl fmt::Debug for ReceivedResponse<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReceivedResponse").field("status", &self.status()).finish_non_exhaustive()
    }
}

/// Why a server's response opens no connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ResponseFault {
    /// The server answers with another status than 101: it wants the client to go elsewhere, or to
    /// say who it is, or it does not want it at all. That is no fault of the server's;
    /// [`response`](ClientHandshake::response) lends what it says.
    Refused {
        /// The status code.
        status: u16,
        /// How many of the bytes given last are the response's head: its body begins behind them. 0
        /// where the fault is repeated.
        used: usize,
    },
    /// The server accepts a request of which not all was sent. Only a stream can tell.
    Early,
    /// The bytes are not an HTTP response, or a header line of a 101 is folded.
    Malformed,
    /// The head, with those of interim responses, passes one of the [`HeadLimits`].
    TooLarge,
    /// The version is a version of HTTP other than HTTP/1.1. A refusal may be HTTP/1.0.
    HttpVersion,
    /// `Upgrade` is not `websocket`.
    Upgrade,
    /// `Connection` does not contain `Upgrade`.
    Connection,
    /// `Sec-WebSocket-Accept` does not answer the key that was sent.
    Accept,
    /// The server has chosen an extension that was not offered, or one twice.
    Extensions,
    /// The server has chosen an illegal parameter of an extension.
    ExtensionParams,
    /// The server's `permessage-deflate` lacks `server_no_context_takeover`, which was asked for.
    ///
    /// Tornado answers so. `receive: Takeover::FULL` in `deflate::Deflate` does not ask for it.
    ContextTakeover,
    /// The server's `permessage-deflate` lacks a `server_max_window_bits` as small as was asked for.
    WindowBits,
    /// `Sec-WebSocket-Extensions` does not follow its grammar.
    MalformedExtensions,
    /// The server has chosen a subprotocol that was not offered, or more than one.
    Subprotocol,
}

impl ResponseFault {
    /// The fault for a call that took no bytes.
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
                return write!(f, "the server answered the opening handshake with status {status}");
            }
            Self::Early => "the server has accepted the opening handshake before all of it was sent",
            Self::Malformed => "the server's response is not well-formed HTTP",
            Self::TooLarge => "the head of the server's response is too large",
            Self::HttpVersion => "the server's response is not HTTP/1.1",
            Self::Upgrade => "the server's response has no Upgrade: websocket",
            Self::Connection => "the server's response has no Connection: Upgrade",
            Self::Accept => "the server's Sec-WebSocket-Accept does not answer the key that was sent",
            Self::Extensions => "the server has chosen an extension that was not offered, or one twice",
            Self::ExtensionParams => "the server has chosen an illegal parameter of an extension",
            Self::ContextTakeover => "the server's permessage-deflate lacks server_no_context_takeover",
            Self::WindowBits => "the server's permessage-deflate lacks a small enough server_max_window_bits",
            Self::MalformedExtensions => "the server's Sec-WebSocket-Extensions header is malformed",
            Self::Subprotocol => "the server has not chosen one of the subprotocols that were offered",
        })
    }
}

impl core::error::Error for ResponseFault {}
