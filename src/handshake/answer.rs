//! The answer to a request that an HTTP stack has parsed, as data for that stack to send.
#![forbid(unsafe_code)]

use super::fields;
use super::head::Version;
use super::key::ACCEPT_LEN;
use super::response::{Framing, Response, ResponseError, UPGRADE_REQUIRED};
use alloc::vec::Vec;
use core::fmt;

/// The answer to a [`ParsedRequest`](super::ParsedRequest): a status, header lines and a body.
///
/// The header lines are those that a [`ServerHandshake`](super::ServerHandshake) writes, except the ones that
/// belong to the HTTP stack:
///
/// | header | in HTTP/1 | in HTTP/2 |
/// | --- | --- | --- |
/// | `Upgrade`, `Connection: Upgrade` | with status 101 and 426 | never |
/// | `Connection: close`, `Content-Length` | never | never |
/// | `Sec-WebSocket-Accept` | with status 101 | never |
///
/// The stack writes the length of the body, and omits the body in the response to a `HEAD` request. After a
/// refusal, the stack may keep the connection: the request has no unread body if it asked for a WebSocket.
///
/// In HTTP/2, the status of an accepting answer is 200. HTTP/2 has no `Upgrade`, which a 426 must have (RFC
/// 9110, section 7.8), so a 426 becomes a 400.
///
/// With the feature `http`, an answer converts into an `http::Response`.
///
/// ```
/// use websocket_stream::Response;
/// use websocket_stream::handshake::ParsedRequest;
///
/// // An HTTP stack that sends an answer in HTTP/1.1.
/// let request = ParsedRequest::http11("GET", "/").header("Host", "example.com");
/// let answer = request.refuse(&Response::new(503).header("Retry-After", "60").body("busy\n"))?;
/// let mut head = format!("HTTP/1.1 {}\r\n", answer.status());
/// for (name, value) in answer.headers() {
///     head += &format!("{name}: {}\r\n", String::from_utf8_lossy(value));
/// }
/// head += &format!("Content-Length: {}\r\n\r\n", answer.body().len());
/// assert_eq!(head, "HTTP/1.1 503\r\nRetry-After: 60\r\nContent-Length: 5\r\n\r\n");
/// # Ok::<(), websocket_stream::handshake::ResponseError>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Answer {
    status: u16,
    lines: Vec<u8>,
    body: Vec<u8>,
}

impl Answer {
    /// Creates an answer that opens the connection. The caller has checked that its choices were offered.
    pub(super) fn accepting(
        response: &Response,
        accept: Option<&[u8; ACCEPT_LEN]>,
    ) -> Result<Self, ResponseError> {
        let mut lines = Vec::new();
        response.write_accept_lines(response.accept_fields()?, accept, &mut lines);
        // "successful (2xx)" is the answer to CONNECT (RFC 9113, section 8.5).
        let status = if accept.is_some() { response.status() } else { 200 };
        Ok(Self { status, lines, body: Vec::new() })
    }

    /// Creates an answer that does not open the connection.
    pub(super) fn refusing(response: &Response, version: Version) -> Result<Self, ResponseError> {
        let (framing, status) = match (version.is_http2(), response.status()) {
            (true, UPGRADE_REQUIRED) => (Framing::Http2, 400),
            (true, status) => (Framing::Http2, status),
            (false, status) => (Framing::Http1, status),
        };
        let mut lines = Vec::new();
        response.write_refusal_lines(response.refusal_fields()?, framing, &mut lines);
        Ok(Self { status, lines, body: response.content().to_vec() })
    }

    /// Returns the status code.
    pub const fn status(&self) -> u16 {
        self.status
    }

    /// Returns the names and values of the header lines, in order.
    pub fn headers(&self) -> impl Iterator<Item = (&str, &[u8])> + Clone {
        fields::pairs(&self.lines)
    }

    /// Returns the body, which is empty in an accepting answer.
    pub fn body(&self) -> &[u8] {
        &self.body
    }

    /// Returns the body without copying it.
    pub fn into_body(self) -> Vec<u8> {
        self.body
    }
}

/// Omits headers and body, which may hold secrets.
impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Answer").field("status", &self.status).finish_non_exhaustive()
    }
}
