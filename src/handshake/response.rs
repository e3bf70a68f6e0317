//! A server's response, as the application builds it and as it goes on the wire.
#![forbid(unsafe_code)]

use super::fields::{self, FieldFault, Fields};
use super::key::ACCEPT_LEN;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;

const SWITCHING_PROTOCOLS: u16 = 101;
pub(super) const UPGRADE_REQUIRED: u16 = 426;

/// The sender of a response's head, which also decides how the message and the connection end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Framing {
    /// This crate, which closes the connection after a refusal.
    Own,
    /// An HTTP/1 stack, which adds `Content-Length` itself, and decides whether the connection continues.
    Http1,
    /// An HTTP/2 stack. "An endpoint MUST NOT generate an HTTP/2 message containing connection-specific
    /// header fields" (RFC 9113, section 8.2.2).
    Http2,
}

/// The response to a request: accepts or refuses the connection.
///
/// ```
/// use websocket_stream::Response;
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
    /// Accepts the connection: 101, Switching Protocols, which is sent as 200 in HTTP/2.
    pub fn accept() -> Self {
        Self::new(SWITCHING_PROTOCOLS)
    }

    /// Refuses the connection with 403, Forbidden: the response to an unacceptable origin in RFC 6455,
    /// section 4.2.2.
    pub fn forbidden() -> Self {
        Self::new(403)
    }

    /// Creates a response with this status, 200 to 599; 101 is [`accept`](Self::accept).
    ///
    /// A response other than 101 also gets `Connection: close`, because the connection must be closed after
    /// it, and `Content-Length`, except with 204 and 304. A 426 also gets the headers that it requires. If
    /// another HTTP stack sends the response, see [`Answer`](super::Answer) for its headers.
    pub fn new(status: u16) -> Self {
        Self { status, subprotocol: None, extensions: None, fields: Fields::default(), body: Vec::new() }
    }

    /// Chooses one of the subprotocols that the client offers, or none. Only with 101.
    ///
    /// Takes a name, or the result of [`Request::select_subprotocol`](super::Request::select_subprotocol).
    #[must_use]
    pub fn subprotocol<'a>(mut self, name: impl Into<Option<&'a str>>) -> Self {
        self.subprotocol = name.into().map(ToString::to_string);
        self
    }

    /// Chooses among the extensions that the client offers. Only with 101.
    ///
    /// The list is in the grammar of `Sec-WebSocket-Extensions`. This only negotiates the extensions; the
    /// caller must implement them.
    #[must_use]
    pub fn extensions(mut self, list: &str) -> Self {
        self.extensions = Some(list.to_string());
        self
    }

    /// Adds a header line. Existing lines with this name are kept.
    ///
    /// The handshake itself writes `Upgrade`, `Connection`, `Content-Length`, `Transfer-Encoding` and every
    /// header that begins with `Sec-WebSocket-`.
    #[must_use]
    pub fn header(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        self.fields.push(name, value.as_ref(), &[]);
        self
    }

    /// Sets the body. Not with 101, 204, 205 or 304, which have no body.
    #[must_use]
    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }

    /// Sets a line of text as the body.
    pub(super) fn text(self, line: String) -> Self {
        self.header("Content-Type", "text/plain; charset=utf-8").body(line + "\n")
    }

    /// Returns the status code.
    pub const fn status(&self) -> u16 {
        self.status
    }

    /// Returns whether this response opens the connection.
    pub const fn is_accept(&self) -> bool {
        self.status == SWITCHING_PROTOCOLS
    }

    /// Returns the chosen subprotocol.
    pub(super) fn chosen_subprotocol(&self) -> Option<&str> {
        self.subprotocol.as_deref()
    }

    /// Returns the chosen extensions.
    pub(crate) fn chosen_extensions(&self) -> Option<&str> {
        self.extensions.as_deref()
    }

    /// Appends a response that opens the connection. The caller has checked that its choices were offered.
    pub(super) fn write_accept(
        &self,
        accept: Option<&[u8; ACCEPT_LEN]>,
        out: &mut Vec<u8>,
    ) -> Result<(), ResponseError> {
        let fields = self.accept_fields()?;
        out.extend_from_slice(b"HTTP/1.1 101 Switching Protocols\r\n");
        self.write_accept_lines(fields, accept, out);
        out.extend_from_slice(b"\r\n");
        Ok(())
    }

    /// Returns the header lines of the application, if the response can open a connection.
    pub(super) fn accept_fields(&self) -> Result<&[u8], ResponseError> {
        let fields = self.fields.lines()?;
        if self.body.is_empty() { Ok(fields) } else { Err(ResponseError::Body) }
    }

    /// Appends the header lines of a response that opens the connection. Without an `accept`, they are those
    /// of HTTP/2.
    pub(super) fn write_accept_lines(
        &self,
        fields: &[u8],
        accept: Option<&[u8; ACCEPT_LEN]>,
        out: &mut Vec<u8>,
    ) {
        if let Some(accept) = accept {
            out.extend_from_slice(b"Upgrade: websocket\r\nConnection: Upgrade\r\n");
            fields::write(out, "Sec-WebSocket-Accept", accept);
        }
        if let Some(name) = &self.subprotocol {
            fields::write(out, "Sec-WebSocket-Protocol", name.as_bytes());
        }
        if let Some(list) = &self.extensions {
            fields::write(out, "Sec-WebSocket-Extensions", list.as_bytes());
        }
        out.extend_from_slice(fields);
    }

    /// Appends a response that does not open the connection. A response to a `HEAD` request is written
    /// without its body.
    pub(super) fn write_refusal(&self, with_body: bool, out: &mut Vec<u8>) -> Result<(), ResponseError> {
        let fields = self.refusal_fields()?;
        out.extend_from_slice(b"HTTP/1.1 ");
        out.extend_from_slice(self.status.to_string().as_bytes());
        out.push(b' ');
        out.extend_from_slice(reason(self.status).as_bytes());
        out.extend_from_slice(b"\r\n");
        self.write_refusal_lines(fields, Framing::Own, out);
        out.extend_from_slice(b"\r\n");
        if with_body {
            out.extend_from_slice(&self.body);
        }
        Ok(())
    }

    /// Returns the header lines of the application, if the response can refuse a connection.
    pub(super) fn refusal_fields(&self) -> Result<&[u8], ResponseError> {
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
        Ok(fields)
    }

    /// Appends the header lines of a response that does not open the connection.
    pub(super) fn write_refusal_lines(&self, fields: &[u8], framing: Framing, out: &mut Vec<u8>) {
        let is_426 = self.status == UPGRADE_REQUIRED;
        // "A server that sends a 426 (Upgrade Required) response MUST send an Upgrade header field" (RFC
        // 9110, section 7.8), and name the supported version (RFC 6455, section 4.4).
        if is_426 && framing != Framing::Http2 {
            out.extend_from_slice(b"Upgrade: websocket\r\n");
        }
        match framing {
            Framing::Own if is_426 => out.extend_from_slice(b"Connection: Upgrade, close\r\n"),
            Framing::Own => out.extend_from_slice(b"Connection: close\r\n"),
            Framing::Http1 if is_426 => out.extend_from_slice(b"Connection: Upgrade\r\n"),
            Framing::Http1 | Framing::Http2 => {}
        }
        if is_426 {
            out.extend_from_slice(b"Sec-WebSocket-Version: 13\r\n");
        }
        // "A server MUST NOT send a Content-Length header field in any response with a status code of 1xx
        // (Informational) or 204 (No Content)" (RFC 9110, section 8.6). In a 304 it would be the length of
        // the corresponding 200.
        if framing == Framing::Own && !matches!(self.status, 204 | 304) {
            fields::write(out, "Content-Length", self.body.len().to_string().as_bytes());
        }
        out.extend_from_slice(fields);
    }

    /// Returns the body.
    pub(crate) fn content(&self) -> &[u8] {
        &self.body
    }
}

/// Omits headers and body, which may hold secrets.
impl fmt::Debug for Response {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Response")
            .field("status", &self.status)
            .field("subprotocol", &self.subprotocol)
            .field("extensions", &self.extensions)
            .finish_non_exhaustive()
    }
}

/// Returns the reason phrase for a status code. Clients ignore it.
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

/// The reason why a [`Response`] cannot be sent. Nothing was written, and another response can be sent.
///
/// ```
/// use websocket_stream::Response;
/// use websocket_stream::handshake::{ParsedRequest, ResponseError};
///
/// let request = ParsedRequest::http11("GET", "/").header("Host", "example.com");
/// let refuse = |response| request.refuse(&response).err();
/// assert_eq!(refuse(Response::new(99)), Some(ResponseError::Status));
/// let response = Response::new(404).header("Content-Length", "0");
/// assert_eq!(refuse(response), Some(ResponseError::HeaderOwned));
/// assert_eq!(refuse(Response::new(404)), None);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ResponseError {
    /// The request has not fully arrived.
    NoRequest,
    /// The request has already been answered.
    Answered,
    /// The request is faulty, so the connection cannot be opened.
    Faulty,
    /// The request is not a WebSocket upgrade, so it cannot be accepted.
    NotAnUpgrade,
    /// The status code is neither 101 nor 200 to 599.
    Status,
    /// A header name is not a token.
    HeaderName,
    /// A header value contains a control character.
    HeaderValue,
    /// The handshake itself writes this header.
    HeaderOwned,
    /// The subprotocol was not offered by the client, or the status is not 101.
    Subprotocol,
    /// The extensions are malformed or were not offered by the client, or the status is not 101.
    Extensions,
    /// A response with this status has no body.
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
            Self::NoRequest => "response before the request has fully arrived",
            Self::Answered => "second response to a request",
            Self::Faulty => "status 101 for a faulty request",
            Self::NotAnUpgrade => "status 101 for a request that is not a WebSocket upgrade",
            Self::Status => "status other than 101 and 200 to 599",
            Self::HeaderName => "header name that is not a token",
            Self::HeaderValue => "control character in a header value",
            Self::HeaderOwned => "header that the handshake writes itself",
            Self::Subprotocol => "subprotocol that was not offered, or without status 101",
            Self::Extensions => "extensions that are malformed, not offered, or without status 101",
            Self::Body => "body in a response whose status allows none",
        })
    }
}

impl core::error::Error for ResponseError {}
