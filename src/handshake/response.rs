//! What a server answers.
#![forbid(unsafe_code)]

use super::token::{is_field_value, is_reserved, is_token};
use super::{BuildError, RequestFault};
use alloc::{string::String, vec::Vec};
use core::fmt::Write;

/// A server's answer to a request: the WebSocket, or a refusal.
///
/// ```
/// use websocket_stream::handshake::Response;
///
/// let yes = Response::accept().subprotocol("chat").header("Set-Cookie", "a=b");
/// let no = Response::refuse(403).body("text/plain", "not from here");
/// # let _ = (yes, no);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub struct Response {
    pub(super) status: u16,
    pub(super) subprotocol: Option<String>,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

impl Response {
    /// Opens the WebSocket: 101.
    pub fn accept() -> Self {
        Self { status: 101, subprotocol: None, headers: Vec::new(), body: Vec::new() }
    }

    /// Refuses it with an HTTP status from 200 to 599.
    pub fn refuse(status: u16) -> Self {
        Self { status, ..Self::accept() }
    }

    /// The subprotocol that the server chose: one that the client asked for.
    pub fn subprotocol(mut self, name: &str) -> Self {
        self.subprotocol = Some(name.into());
        self
    }

    /// A further header. Judged when the answer is written.
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// A refusal's body and its type.
    pub fn body(mut self, content_type: &str, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self.header("Content-Type", content_type)
    }

    /// Whether it opens the WebSocket.
    pub fn is_accept(&self) -> bool {
        self.status == 101
    }

    /// The answer to a faulty request.
    pub(super) fn to_fault(fault: RequestFault) -> Self {
        let response = Self::refuse(fault.status());
        match fault {
            RequestFault::Version | RequestFault::NotAnUpgrade => {
                response.header("Upgrade", "websocket").header("Sec-WebSocket-Version", "13")
            }
            RequestFault::Method => response.header("Allow", "GET"),
            _ => response,
        }
    }

    /// Whether the caller's headers can be sent.
    pub(super) fn check(&self) -> Result<(), BuildError> {
        if self.status != 101 && !(200..=599).contains(&self.status) {
            return Err(BuildError::Status);
        }
        check_headers(&self.headers)
    }

    pub(super) fn write(&self, accept: Option<&str>, out: &mut Vec<u8>) {
        let mut head = String::new();
        // Writing into a string cannot fail.
        let _ = write!(head, "HTTP/1.1 {} {}\r\n", self.status, phrase(self.status));
        if let Some(accept) = accept {
            let _ = write!(
                head,
                "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {accept}\r\n"
            );
            if let Some(subprotocol) = &self.subprotocol {
                let _ = write!(head, "Sec-WebSocket-Protocol: {subprotocol}\r\n");
            }
        } else {
            let _ = write!(head, "Connection: close\r\nContent-Length: {}\r\n", self.body.len());
        }
        for (name, value) in &self.headers {
            let _ = write!(head, "{name}: {value}\r\n");
        }
        head.push_str("\r\n");
        out.extend_from_slice(head.as_bytes());
        if accept.is_none() {
            out.extend_from_slice(&self.body);
        }
    }
}

/// Whether headers of the caller's can be sent beside the handshake's own.
pub(super) fn check_headers(headers: &[(String, String)]) -> Result<(), BuildError> {
    for (name, value) in headers {
        if !is_token(name.as_bytes()) || !is_field_value(value.as_bytes()) {
            return Err(BuildError::Header);
        }
        if is_reserved(name) {
            return Err(BuildError::ReservedHeader);
        }
    }
    Ok(())
}

const fn phrase(status: u16) -> &'static str {
    match status {
        101 => "Switching Protocols",
        200 => "OK",
        301 => "Moved Permanently",
        302 => "Found",
        307 => "Temporary Redirect",
        308 => "Permanent Redirect",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        426 => "Upgrade Required",
        429 => "Too Many Requests",
        431 => "Request Header Fields Too Large",
        500 => "Internal Server Error",
        503 => "Service Unavailable",
        505 => "HTTP Version Not Supported",
        _ => "Status",
    }
}
