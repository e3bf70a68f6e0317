//! The client's side (RFC 6455, section 4.1).
#![forbid(unsafe_code)]

use super::head::{Answer, Head, places};
use super::response::check_headers;
use super::token::{is_field_value, is_token, list};
use super::{BuildError, ResponseFault, key};
use crate::Limits;
use alloc::{string::String, vec, vec::Vec};
use base64::Engine;
use core::fmt::Write;

/// What a client asks for.
///
/// ```
/// use websocket_stream::handshake::ClientRequest;
///
/// let request = ClientRequest::new("server.example.com", "/chat")
///     .subprotocol("chat")
///     .header("Origin", "http://example.com");
/// # let _ = request;
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub struct ClientRequest {
    host: String,
    target: String,
    subprotocols: Vec<String>,
    headers: Vec<(String, String)>,
}

impl ClientRequest {
    /// A request to a host, with its port where that is not the scheme's own, for a path and query.
    pub fn new(host: &str, target: &str) -> Self {
        Self { host: host.into(), target: target.into(), subprotocols: Vec::new(), headers: Vec::new() }
    }

    /// A subprotocol that the client would speak; the preferred ones first.
    pub fn subprotocol(mut self, name: &str) -> Self {
        self.subprotocols.push(name.into());
        self
    }

    /// A further header. Judged when the handshake begins.
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// HTTP Basic authentication (RFC 7617).
    pub fn basic_auth(self, user: &str, password: &str) -> Self {
        let mut pair = String::from(user);
        pair.push(':');
        pair.push_str(password);
        let mut value = String::from("Basic ");
        value.push_str(&base64::engine::general_purpose::STANDARD.encode(pair));
        self.header("Authorization", &value)
    }

    fn check(&self) -> Result<(), BuildError> {
        let visible = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic());
        if !visible(&self.host) || !visible(&self.target) || !self.target.starts_with('/') {
            return Err(BuildError::Target);
        }
        if !self.subprotocols.iter().all(|name| is_token(name.as_bytes())) {
            return Err(BuildError::Subprotocol);
        }
        if !self.headers.iter().all(|(_, value)| is_field_value(value.as_bytes())) {
            return Err(BuildError::Header);
        }
        check_headers(&self.headers)
    }
}

/// A request being sent and its response being received.
#[derive(Debug)]
pub struct ClientHandshake {
    request: ClientRequest,
    key: String,
    head: Head,
    done: Option<Result<(), ResponseFault>>,
}

impl ClientHandshake {
    /// A handshake with a nonce of 16 random bytes, fresh for each connection.
    ///
    /// # Errors
    ///
    /// [`BuildError`] where the request has something that could break out of its line, or that the
    /// handshake writes itself.
    pub fn new(request: ClientRequest, nonce: [u8; 16], limits: &Limits) -> Result<Self, BuildError> {
        request.check()?;
        Ok(Self { request, key: key::encode(nonce), head: Head::new(limits), done: None })
    }

    /// Writes the request.
    pub fn write_request(&self, out: &mut Vec<u8>) {
        let ClientRequest { host, target, subprotocols, headers } = &self.request;
        let mut head = String::new();
        // Writing into a string cannot fail.
        let _ = write!(
            head,
            "GET {target} HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Key: {}\r\nSec-WebSocket-Version: 13\r\n",
            self.key
        );
        if !subprotocols.is_empty() {
            let _ = write!(head, "Sec-WebSocket-Protocol: {}\r\n", subprotocols.join(", "));
        }
        for (name, value) in headers {
            let _ = write!(head, "{name}: {value}\r\n");
        }
        head.push_str("\r\n");
        out.extend_from_slice(head.as_bytes());
    }

    /// Takes received bytes up to the end of the head.
    ///
    /// # Errors
    ///
    /// Why the response opens no WebSocket; each further call says it again.
    pub fn receive(&mut self, bytes: &[u8]) -> Result<Answer, ResponseFault> {
        match self.done {
            None => {}
            Some(Ok(())) => return Ok(Answer::Complete(0)),
            Some(Err(fault)) => return Err(fault),
        }
        let result = match self.head.receive(bytes).map_err(ResponseFault::from) {
            Ok(Answer::Complete(used)) => self.parse().map(|()| Answer::Complete(used)),
            other => other,
        };
        match result {
            Ok(Answer::Partial) => {}
            Ok(Answer::Complete(_)) => self.done = Some(Ok(())),
            Err(fault) => self.done = Some(Err(fault)),
        }
        result
    }

    /// The subprotocol that the server chose.
    pub fn subprotocol(&self) -> Option<&str> {
        let value = self.head.single("Sec-WebSocket-Protocol")?;
        core::str::from_utf8(value).ok()
    }

    /// The response's headers, once it is whole, whatever its status.
    pub fn headers(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.head.headers()
    }

    fn parse(&mut self) -> Result<(), ResponseFault> {
        let bytes = self.head.as_bytes();
        let mut headers = vec![httparse::EMPTY_HEADER; self.head.max_headers];
        let mut response = httparse::Response::new(&mut headers);
        match response.parse(bytes) {
            Ok(httparse::Status::Complete(_)) => {}
            Err(httparse::Error::TooManyHeaders) => return Err(ResponseFault::TooLarge),
            Ok(httparse::Status::Partial) | Err(_) => return Err(ResponseFault::Malformed),
        }
        let (status, version) = (response.code.unwrap_or(0), response.version);
        let places = places(bytes, response.headers);
        self.head.keep(&places);
        if version != Some(1) {
            return Err(ResponseFault::Malformed);
        }
        self.check(status)
    }

    /// RFC 6455, section 4.1, the list at its end, in its order.
    fn check(&self, status: u16) -> Result<(), ResponseFault> {
        let head = &self.head;
        // "If the status code received from the server is not 101, the client handles the response
        // per HTTP procedures."
        if status != 101 {
            return Err(ResponseFault::Status(status));
        }
        if !head.has_token("Upgrade", "websocket") || !head.has_token("Connection", "Upgrade") {
            return Err(ResponseFault::NotUpgraded);
        }
        if head.single("Sec-WebSocket-Accept") != Some(key::accept(self.key.as_bytes()).as_bytes()) {
            return Err(ResponseFault::Accept);
        }
        // "this header field indicates the use of an extension that was not present in the client's
        // handshake"
        if head.values("Sec-WebSocket-Extensions").flat_map(list).next().is_some() {
            return Err(ResponseFault::Extension);
        }
        // "this header field indicates the use of a subprotocol that was not present in the client's
        // handshake"
        let mut chosen = head.values("Sec-WebSocket-Protocol");
        match (chosen.next(), chosen.next()) {
            (None, _) => Ok(()),
            (Some(one), None) if self.request.subprotocols.iter().any(|asked| asked.as_bytes() == one) => {
                Ok(())
            }
            _ => Err(ResponseFault::Subprotocol),
        }
    }
}
