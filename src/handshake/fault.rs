//! What is wrong with a client's request, and the response that reports it.
#![forbid(unsafe_code)]

use super::head::HeadFault;
use super::response::Response;
use alloc::string::ToString;
use alloc::vec::Vec;
use core::fmt;

/// Why a request opens no WebSocket connection.
///
/// Each fault has a complete response ([`write_response`](Self::write_response)); close the connection
/// after it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RequestFault {
    /// The bytes are no HTTP request, or one that not all recipients read the same way: a bare line
    /// feed, a folded line, a NUL (400).
    Malformed,
    /// The head passes one of the head [`Limits`](crate::Limits) (431).
    TooLarge,
    /// The version is a version of HTTP other than HTTP/1.1 (505). In a request that asks for no upgrade,
    /// HTTP/1.0 is allowed.
    HttpVersion,
    /// The request asks for no upgrade to WebSocket, and was to be accepted nonetheless (426).
    ///
    /// [`ServerHandshake::receive`](super::ServerHandshake::receive) never returns it: such a request is
    /// valid HTTP and can be answered with a page. A `ServerOpening` reports it after an accepting answer.
    NotAnUpgrade,
    /// The method is not `GET` (405).
    Method,
    /// The request target is neither a path nor an absolute URI (400).
    Target,
    /// There is not exactly one valid `Host` (400). A request in HTTP/1.0 that asks for no upgrade needs none.
    Host,
    /// The length of the body cannot be determined: `Content-Length` is not one number, or
    /// `Transfer-Encoding` does not end with `chunked`, stands beside `Content-Length` or in HTTP/1.0 (400).
    BodyLength,
    /// `Connection` does not contain `Upgrade` (400).
    Connection,
    /// There is not exactly one `Sec-WebSocket-Key` of 16 bytes in base64 (400).
    Key,
    /// `Sec-WebSocket-Version` is missing or not 13 (426, with the version that is spoken).
    Version,
    /// `Sec-WebSocket-Version` is there more than once (400).
    DoubledVersion,
    /// The request has a body or says that it has (400).
    Body,
    /// `Origin` is there more than once, or is not visible ASCII (400).
    Origin,
    /// `Sec-WebSocket-Protocol` is no list of tokens (400).
    Subprotocols,
    /// `Sec-WebSocket-Extensions` does not follow its grammar (400).
    Extensions,
}

impl RequestFault {
    /// The status code of its response.
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

    /// Appends its complete response to `out`.
    pub fn write_response(self, out: &mut Vec<u8>) {
        let written = Response::from(self).write_refusal(true, out);
        debug_assert!(written.is_ok(), "{self:?}: {written:?}");
    }
}

/// The response that tells a client of its fault, in a line of text.
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
