//! What can be wrong with a handshake: with the peer's head, or with what the caller wants to send.
#![forbid(unsafe_code)]

use core::fmt;

/// Why a request is no opening handshake.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RequestFault {
    /// It is not HTTP, or its headers contradict each other: 400.
    Malformed,
    /// It is larger than the limits, in bytes or in headers: 431.
    TooLarge,
    /// Its method is not GET: 405.
    Method,
    /// Its HTTP version is lower than 1.1: 505.
    HttpVersion,
    /// It does not ask to become a WebSocket: 426.
    NotAnUpgrade,
    /// It asks for another version of the protocol than 13: 426, naming 13.
    Version,
    /// It has no `Sec-WebSocket-Key` of 16 bytes in base64, or more than one: 400.
    Key,
    /// It has a body: 400.
    Body,
}

impl RequestFault {
    /// The HTTP status that answers it.
    pub const fn status(self) -> u16 {
        match self {
            Self::Malformed | Self::Key | Self::Body => 400,
            Self::TooLarge => 431,
            Self::Method => 405,
            Self::HttpVersion => 505,
            Self::NotAnUpgrade | Self::Version => 426,
        }
    }
}

impl fmt::Display for RequestFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Malformed => "the request is not well-formed HTTP",
            Self::TooLarge => "the request's head is over the limit",
            Self::Method => "a WebSocket is opened with GET",
            Self::HttpVersion => "a WebSocket is opened with HTTP/1.1",
            Self::NotAnUpgrade => "the request does not ask for a WebSocket",
            Self::Version => "the request asks for a WebSocket version other than 13",
            Self::Key => "the request has no valid Sec-WebSocket-Key",
            Self::Body => "an opening handshake has no body",
        })
    }
}

impl core::error::Error for RequestFault {}

/// Why a response does not open a WebSocket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ResponseFault {
    /// It is not HTTP.
    Malformed,
    /// It is larger than the limits.
    TooLarge,
    /// Its status is not 101: a redirect, a demand for authentication, a refusal. The response can be
    /// looked at.
    Status(u16),
    /// Its `Upgrade` or `Connection` does not say WebSocket.
    NotUpgraded,
    /// Its `Sec-WebSocket-Accept` does not fit the key that was sent.
    Accept,
    /// It chose a subprotocol that was not asked for.
    Subprotocol,
    /// It chose an extension that was not offered.
    Extension,
}

impl fmt::Display for ResponseFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed => f.write_str("the response is not well-formed HTTP"),
            Self::TooLarge => f.write_str("the response's head is over the limit"),
            Self::Status(status) => write!(f, "the server answered with status {status}"),
            Self::NotUpgraded => f.write_str("the server did not upgrade to a WebSocket"),
            Self::Accept => f.write_str("the server's Sec-WebSocket-Accept is wrong"),
            Self::Subprotocol => f.write_str("the server chose a subprotocol that was not asked for"),
            Self::Extension => f.write_str("the server chose an extension that was not offered"),
        }
    }
}

impl core::error::Error for ResponseFault {}

/// Why a request or a response cannot be sent as the caller wants it. Nothing was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum BuildError {
    /// A host or a path has a character that would break out of its line, or is empty.
    Target,
    /// A header's name is no token, or its value has a control character.
    Header,
    /// A header that the handshake writes itself.
    ReservedHeader,
    /// A subprotocol that is no token, or one that the client did not ask for.
    Subprotocol,
    /// A status that does not end an HTTP exchange.
    Status,
    /// There is no request to answer, or it was answered.
    NoRequest,
}

impl fmt::Display for BuildError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Target => "the host or the path is empty or has a forbidden character",
            Self::Header => "a header has a forbidden character",
            Self::ReservedHeader => "the handshake writes this header itself",
            Self::Subprotocol => "the subprotocol is no token, or was not asked for",
            Self::Status => "a refusal has a status from 200 to 599",
            Self::NoRequest => "there is no request to answer",
        })
    }
}

impl core::error::Error for BuildError {}
