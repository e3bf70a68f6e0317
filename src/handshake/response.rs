//! A server's answer, as the application gives it and as it goes on the wire.
#![forbid(unsafe_code)]

use super::fields::{self, FieldFault, Fields};
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;

const SWITCHING_PROTOCOLS: u16 = 101;

/// The answer to a request: to open the connection, or not to.
///
/// ```
/// use websocket_stream::handshake::Response;
///
/// let open = Response::accept().subprotocol("chat").header("Set-Cookie", "seen=1");
/// let elsewhere = Response::new(307).header("Location", "wss://example.com/chat");
/// let page = Response::new(200).header("Content-Type", "text/plain").body("up\n");
/// # let _ = (open, elsewhere, page);
/// ```
#[derive(Clone)]
pub struct Response {
    status: u16,
    subprotocol: Option<String>,
    extensions: Option<String>,
    fields: Fields,
    body: Vec<u8>,
}

impl Response {
    /// Opens the connection: 101, Switching Protocols.
    pub fn accept() -> Self {
        Self::new(SWITCHING_PROTOCOLS)
    }

    /// 403, Forbidden: what RFC 6455, section 4.2.2 has a server answer to an origin that it does not
    /// let in.
    pub fn forbidden() -> Self {
        Self::new(403)
    }

    /// A response of this status, 200 to 599. [`accept`](Self::accept) is the same as 101.
    ///
    /// `Content-Length` and `Connection: close` are added: after any response but 101 the connection
    /// is to be closed. So are the headers that a 426 must have.
    pub fn new(status: u16) -> Self {
        Self { status, subprotocol: None, extensions: None, fields: Fields::default(), body: Vec::new() }
    }

    /// Chooses one of the subprotocols that the client offers, or none: takes a name, or what
    /// [`Request::select_subprotocol`](super::Request::select_subprotocol) returns. Only with 101.
    #[must_use]
    pub fn subprotocol<'a>(mut self, name: impl Into<Option<&'a str>>) -> Self {
        self.subprotocol = name.into().map(ToString::to_string);
        self
    }

    /// Answers the client's offer of extensions, in the grammar of `Sec-WebSocket-Extensions`, with
    /// extensions that the client offers. Only with 101.
    ///
    /// This only negotiates: who calls it is who gives the frames the meaning that was agreed on.
    #[must_use]
    pub fn extensions(mut self, list: &str) -> Self {
        self.extensions = Some(list.to_string());
        self
    }

    /// Adds a header line. Those of the same name are not replaced.
    ///
    /// The handshake itself writes `Upgrade`, `Connection`, `Content-Length`, `Transfer-Encoding` and
    /// all that begin with `Sec-WebSocket-`.
    #[must_use]
    pub fn header(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        self.fields.push(name, value.as_ref(), &[]);
        self
    }

    /// Sets the body. Not with 101, 204, 205 and 304, which have none.
    #[must_use]
    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }

    /// Sets a line of text as the body.
    pub(super) fn text(self, line: String) -> Self {
        self.header("Content-Type", "text/plain; charset=utf-8").body(line + "\n")
    }

    /// The status code.
    pub const fn status(&self) -> u16 {
        self.status
    }

    /// Whether this opens the connection.
    pub const fn is_accept(&self) -> bool {
        self.status == SWITCHING_PROTOCOLS
    }

    /// The subprotocol that is chosen.
    pub(super) fn chosen_subprotocol(&self) -> Option<&str> {
        self.subprotocol.as_deref()
    }

    /// The extensions that are chosen.
    pub(crate) fn chosen_extensions(&self) -> Option<&str> {
        self.extensions.as_deref()
    }

    /// Appends the response that opens the connection. Whether the choices in it were offered was
    /// judged before.
    pub(super) fn write_accept(&self, accept: &[u8], out: &mut Vec<u8>) -> Result<(), ResponseError> {
        let fields = self.fields.lines()?;
        if !self.body.is_empty() {
            return Err(ResponseError::Body);
        }
        out.extend_from_slice(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n",
        );
        fields::write(out, "Sec-WebSocket-Accept", accept);
        if let Some(name) = &self.subprotocol {
            fields::write(out, "Sec-WebSocket-Protocol", name.as_bytes());
        }
        if let Some(list) = &self.extensions {
            fields::write(out, "Sec-WebSocket-Extensions", list.as_bytes());
        }
        out.extend_from_slice(fields);
        out.extend_from_slice(b"\r\n");
        Ok(())
    }

    /// Appends a response that does not open the connection, with its body or, to a `HEAD` request,
    /// without it.
    pub(super) fn write_refusal(&self, with_body: bool, out: &mut Vec<u8>) -> Result<(), ResponseError> {
        let fields = self.fields.lines()?;
        if !(200..=599).contains(&self.status) {
            return Err(ResponseError::Status);
        }
        if self.subprotocol.is_some() {
            return Err(ResponseError::Subprotocol);
        }
        if self.extensions.is_some() {
            return Err(ResponseError::Extensions);
        }
        if matches!(self.status, 204 | 205 | 304) && !self.body.is_empty() {
            return Err(ResponseError::Body);
        }
        out.extend_from_slice(b"HTTP/1.1 ");
        out.extend_from_slice(self.status.to_string().as_bytes());
        out.push(b' ');
        out.extend_from_slice(reason(self.status).as_bytes());
        out.extend_from_slice(b"\r\n");
        // "A server that sends a 426 (Upgrade Required) response MUST send an Upgrade header field" (RFC
        // 9110, section 7.8), and the version that is spoken (RFC 6455, section 4.4).
        if self.status == 426 {
            out.extend_from_slice(
                b"Upgrade: websocket\r\nConnection: Upgrade, close\r\nSec-WebSocket-Version: 13\r\n",
            );
        } else {
            out.extend_from_slice(b"Connection: close\r\n");
        }
        // "A server MUST NOT send a Content-Length header field in any response with a status code of
        // 1xx (Informational) or 204 (No Content)" (RFC 9110, section 8.6); in a 304 it would be that
        // of a 200.
        if !matches!(self.status, 204 | 304) {
            fields::write(out, "Content-Length", self.body.len().to_string().as_bytes());
        }
        out.extend_from_slice(fields);
        out.extend_from_slice(b"\r\n");
        if with_body {
            out.extend_from_slice(&self.body);
        }
        Ok(())
    }
}

/// Without headers and body, which may hold secrets.
impl fmt::Debug for Response {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Response")
            .field("status", &self.status)
            .field("subprotocol", &self.subprotocol)
            .field("extensions", &self.extensions)
            .finish_non_exhaustive()
    }
}

/// What is written behind a status code. Clients do not read it.
const fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        201 => "Created",
        202 => "Accepted",
        204 => "No Content",
        301 => "Moved Permanently",
        302 => "Found",
        303 => "See Other",
        304 => "Not Modified",
        307 => "Temporary Redirect",
        308 => "Permanent Redirect",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        408 => "Request Timeout",
        409 => "Conflict",
        410 => "Gone",
        421 => "Misdirected Request",
        426 => "Upgrade Required",
        429 => "Too Many Requests",
        431 => "Request Header Fields Too Large",
        500 => "Internal Server Error",
        501 => "Not Implemented",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        505 => "HTTP Version Not Supported",
        _ => "",
    }
}

/// Why a [`Response`] cannot be given. Nothing of it was written, and another one still can be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ResponseError {
    /// The request has not arrived.
    NoRequest,
    /// The request was answered before.
    Answered,
    /// The request is at fault, so that the connection cannot be opened.
    Faulty,
    /// The request does not ask for a WebSocket, so it cannot be accepted.
    NotAnUpgrade,
    /// The status code is neither 101 nor 200 to 599.
    Status,
    /// The name of a header is no token.
    HeaderName,
    /// The value of a header has a control character.
    HeaderValue,
    /// A header is one that the handshake writes itself.
    HeaderOwned,
    /// The subprotocol is none that the client offers, or is chosen without a 101.
    Subprotocol,
    /// The extensions are malformed, are not offered by the client, or are chosen without a 101.
    Extensions,
    /// The status is one that has no body.
    Body,
}

impl From<FieldFault> for ResponseError {
    fn from(fault: FieldFault) -> Self {
        match fault {
            FieldFault::Name => Self::HeaderName,
            FieldFault::Value => Self::HeaderValue,
            FieldFault::Owned => Self::HeaderOwned,
        }
    }
}

impl fmt::Display for ResponseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoRequest => "the request has not arrived in full, so it cannot be answered yet",
            Self::Answered => "the request was answered before",
            Self::Faulty => "the request is at fault: answer it with another status than 101",
            Self::NotAnUpgrade => "an accepting response to a request that asks for no WebSocket",
            Self::Status => "the status of a response is 101 or 200 to 599",
            Self::HeaderName => "the name of a header is no token",
            Self::HeaderValue => "the value of a header has a control character, such as a line break",
            Self::HeaderOwned => "a header is one that the handshake writes itself",
            Self::Subprotocol => "choose a subprotocol, with a 101, that the client offers",
            Self::Extensions => "choose extensions, with a 101, that the client offers",
            Self::Body => "responses of this status have no body",
        })
    }
}

impl core::error::Error for ResponseError {}
