//! The faults of a client's request, and the response to each.
#![forbid(unsafe_code)]

use super::head::HeadFault;
use super::response::Response;
use alloc::string::ToString;
use alloc::vec::Vec;
use core::fmt;

/// The reason why a client's request does not open a connection.
///
/// [`write_response`](Self::write_response) writes the response to a fault. Close the connection once the
/// response is sent.
///
/// ```
/// use websocket_stream::Limits;
/// use websocket_stream::handshake::{RequestFault, ServerHandshake};
///
/// let mut handshake = ServerHandshake::new(&Limits::default());
/// let fault = handshake.receive(b"GET / HTTP/1.1\r\n\r\n").unwrap_err();
/// assert_eq!((fault, fault.status()), (RequestFault::Host, 400));
/// let mut out = Vec::new();
/// fault.write_response(&mut out);
/// assert!(out.starts_with(b"HTTP/1.1 400 Bad Request\r\n"));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RequestFault {
    /// The bytes are not an HTTP request (400).
    ///
    /// A request that recipients may read differently is refused too: one with a bare line feed, a folded
    /// line or a NUL. So is one in HTTP/2 with a header of the connection, such as `Connection`.
    Malformed,
    /// The head exceeds a head limit of [`Limits`](crate::Limits) (431).
    TooLarge,
    /// The version is a version of HTTP other than HTTP/1.1 (505). A plain request may also be HTTP/1.0.
    HttpVersion,
    /// The request was accepted, but is not a WebSocket upgrade (426).
    ///
    /// [`ServerHandshake::receive`](super::ServerHandshake::receive) never returns this fault: a plain
    /// request is valid HTTP and can be answered with a page. A `ServerOpening` returns this fault after an
    /// accepting answer, and an `Upgrade` before an answer.
    NotAnUpgrade,
    /// The method is not `GET` (405).
    Method,
    /// The request target is neither a path nor an absolute URI (400).
    Target,
    /// `Host` is missing or invalid, or occurs more than once (400). A plain request in HTTP/1.0 needs none.
    Host,
    /// The length of the body cannot be determined (400).
    ///
    /// `Content-Length` is not one number, or `Transfer-Encoding` does not end with `chunked`, is combined
    /// with `Content-Length`, or is in a request in HTTP/1.0.
    BodyLength,
    /// `Connection` does not contain `Upgrade` (400).
    Connection,
    /// `Sec-WebSocket-Key` is missing, is not 16 bytes in base64, or occurs more than once (400).
    Key,
    /// `Sec-WebSocket-Version` is missing or not 13 (426, with the supported version).
    Version,
    /// `Sec-WebSocket-Version` occurs more than once (400).
    DoubledVersion,
    /// The request has a body or announces one (400).
    Body,
    /// `Origin` occurs more than once, or is not visible ASCII (400).
    Origin,
    /// `Sec-WebSocket-Protocol` is not a list of tokens (400).
    Subprotocols,
    /// `Sec-WebSocket-Extensions` does not follow its grammar (400).
    Extensions,
}

impl RequestFault {
    /// Returns the status code of the response.
    pub const fn status(self) -> u16 {
        match self {
            Self::Method => 405,
            Self::NotAnUpgrade | Self::Version => 426,
            Self::TooLarge => 431,
            Self::HttpVersion => 505,
            Self::Malformed
            | Self::Target
            | Self::Host
            | Self::BodyLength
            | Self::Connection
            | Self::Key
            | Self::DoubledVersion
            | Self::Body
            | Self::Origin
            | Self::Subprotocols
            | Self::Extensions => 400,
        }
    }

    /// Appends the complete response to `out`.
    pub fn write_response(self, out: &mut Vec<u8>) {
        let written = Response::from(self).write_refusal(true, out);
        debug_assert!(written.is_ok(), "{self:?}: {written:?}");
    }
}

/// Creates the response to a fault, which names the fault in a line of text.
impl From<RequestFault> for Response {
    fn from(fault: RequestFault) -> Self {
        let response = Self::new(fault.status()).text(fault.to_string());
        // "The origin server MUST generate an Allow header field in a 405 response" (RFC 9110,
        // section 15.5.6).
        if fault == RequestFault::Method { response.header("Allow", "GET") } else { response }
    }
}

impl From<HeadFault> for RequestFault {
    fn from(fault: HeadFault) -> Self {
        match fault {
            HeadFault::Malformed => Self::Malformed,
            HeadFault::TooLarge => Self::TooLarge,
            HeadFault::Version => Self::HttpVersion,
        }
    }
}

impl fmt::Display for RequestFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Malformed => "malformed HTTP request",
            Self::TooLarge => "request head too large",
            Self::HttpVersion => "HTTP version other than HTTP/1.1",
            Self::NotAnUpgrade => "no Upgrade header that names websocket",
            Self::Method => "method other than GET",
            Self::Target => "invalid request target",
            Self::Host => "missing, duplicate or invalid Host header",
            Self::BodyLength => "ambiguous length of the request body",
            Self::Connection => "no Connection header that contains Upgrade",
            Self::Key => "missing, duplicate or invalid Sec-WebSocket-Key",
            Self::Version => "Sec-WebSocket-Version other than 13",
            Self::DoubledVersion => "more than one Sec-WebSocket-Version",
            Self::Body => "body in a WebSocket handshake",
            Self::Origin => "duplicate or invalid Origin",
            Self::Subprotocols => "malformed Sec-WebSocket-Protocol",
            Self::Extensions => "malformed Sec-WebSocket-Extensions",
        })
    }
}

impl core::error::Error for RequestFault {}
