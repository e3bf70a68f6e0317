//! The request that a client sends (RFC 6455, section 4.1).
#![forbid(unsafe_code)]

use super::authority;
use super::extensions::Extensions;
use super::fields::{self, FieldFault, Fields};
use super::key::KEY_LEN;
use super::token::is_token;
use super::uri;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use core::fmt;

/// What a client asks for. What it may not ask is refused by
/// [`ClientHandshake::new`](super::ClientHandshake::new), before anything is sent.
///
/// ```
/// use websocket_stream::handshake::ClientRequest;
///
/// let request = ClientRequest::new("example.com:8080", "/chat?room=1")
///     .subprotocol("v2.chat")
///     .subprotocol("v1.chat")
///     .basic_auth("Aladdin", "open sesame")
///     .header("User-Agent", "example");
/// # let _ = request;
/// ```
#[derive(Clone)]
pub struct ClientRequest {
    host: String,
    path: String,
    origin: Option<String>,
    /// The offered names, with commas between them.
    subprotocols: String,
    extensions: Option<String>,
    fields: Fields,
    /// The first thing that is wrong beside the headers.
    fault: Option<RequestError>,
}

impl ClientRequest {
    /// Asks a host, such as `example.com`, `example.com:8080` or `[::1]:8080`, for a path with or
    /// without a query, such as `/chat?room=1`. An empty path is `/`.
    ///
    /// Neither is encoded here: a host name that is not ASCII must be given in its ASCII form
    /// (Punycode), and characters that may not stand in a path or a query (RFC 3986, sections 3.3 and 3.4)
    /// percent-encoded. Leave the port out if it is the scheme's own: 80, with TLS 443.
    ///
    /// The zone of an IPv6 address, as in `[fe80::1%eth0]`, is left out: it means nothing to the server.
    pub fn new(host: &str, path: &str) -> Self {
        // The resource name begins with a slash "if the path component is empty" (section 3).
        let slash = if path.is_empty() || path.starts_with('?') { "/" } else { "" };
        // "an HTTP client, proxy, or other intermediary MUST remove any ZoneID attached to an outgoing URI, as
        // it has only local significance" (RFC 6874, section 4).
        let (before, behind) = authority::without_zone(host);
        Self {
            host: format!("{before}{behind}"),
            path: format!("{slash}{path}"),
            origin: None,
            subprotocols: String::new(),
            extensions: None,
            fields: Fields::default(),
            fault: None,
        }
    }

    /// Adds a header line. Those of the same name are not replaced.
    ///
    /// The handshake itself writes `Host`, `Origin`, `Upgrade`, `Connection`, `Content-Length`,
    /// `Transfer-Encoding` and all that begin with `Sec-WebSocket-`.
    #[must_use]
    pub fn header(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        self.fields.push(name, value.as_ref(), &["Host", "Origin"]);
        self
    }

    /// Says on behalf of which origin the client connects, as browsers do.
    #[must_use]
    pub fn origin(mut self, origin: &str) -> Self {
        self.origin = Some(origin.to_string());
        self
    }

    /// Offers a subprotocol. Those that are preferred come first.
    #[must_use]
    pub fn subprotocol(mut self, name: &str) -> Self {
        // "The elements that comprise this value MUST be non-empty strings with characters in the
        // range U+0021 to U+007E not including separator characters ... and MUST all be unique".
        if !is_token(name.as_bytes()) || self.offers_subprotocol(name.as_bytes()) {
            self.fault.get_or_insert(RequestError::Subprotocol);
        } else {
            let comma = if self.subprotocols.is_empty() { "" } else { ", " };
            self.subprotocols.push_str(comma);
            self.subprotocols.push_str(name);
        }
        self
    }

    /// Offers extensions, in the grammar of `Sec-WebSocket-Extensions`.
    ///
    /// This only negotiates: who calls it is who gives the frames the meaning that is agreed on.
    #[must_use]
    pub fn extensions(mut self, list: &str) -> Self {
        self.extensions = Some(list.to_string());
        self
    }

    /// Offers more extensions, less preferred.
    #[cfg(feature = "deflate")]
    pub(crate) fn more_extensions(self, list: &str) -> Self {
        match &self.extensions {
            Some(before) => {
                let both = format!("{before}, {list}");
                self.extensions(&both)
            }
            None => self.extensions(list),
        }
    }

    /// Names a user to the server with a password (RFC 7617), which only TLS keeps secret. The name
    /// has no colon.
    #[must_use]
    pub fn basic_auth(mut self, user: &str, password: &str) -> Self {
        // "a user-id containing a colon character is invalid"; "the user-id and password MUST NOT
        // contain any control characters" (RFC 7617, section 2).
        if user.contains(':') || user.chars().chain(password.chars()).any(char::is_control) {
            self.fault.get_or_insert(RequestError::Credentials);
            return self;
        }
        let credentials = STANDARD.encode(format!("{user}:{password}"));
        self.header("Authorization", format!("Basic {credentials}"))
    }

    /// Whether this subprotocol is offered.
    pub(super) fn offers_subprotocol(&self, name: &[u8]) -> bool {
        !name.is_empty() && self.subprotocols.split(", ").any(|offered| offered.as_bytes() == name)
    }

    /// Whether this extension is offered.
    pub(super) fn offers_extension(&self, name: &str) -> bool {
        let offered = self.extensions.as_deref().unwrap_or_default();
        Extensions::parse(offered.as_bytes())
            .is_ok_and(|mut offered| offered.any(|offered| offered.name == name))
    }

    /// Judges everything that was given.
    pub(super) fn check(&self) -> Result<(), RequestError> {
        self.fault.map_or(Ok(()), Err)?;
        authority::split(&self.host).ok_or(RequestError::Host)?;
        if !self.path.starts_with('/') || !uri::is_path_and_query(&self.path) {
            return Err(RequestError::Path);
        }
        if self.origin.as_ref().is_some_and(|origin| !fields::is_value(origin.as_bytes())) {
            return Err(RequestError::HeaderValue);
        }
        if let Some(list) = &self.extensions {
            let mut parsed = Extensions::parse(list.as_bytes()).map_err(|_| RequestError::Extensions)?;
            parsed.next().ok_or(RequestError::Extensions)?;
        }
        self.fields.lines()?;
        Ok(())
    }

    /// Appends the request, which was found to be in order.
    pub(super) fn write(&self, key: &[u8; KEY_LEN], out: &mut Vec<u8>) {
        for part in ["GET ", &self.path, " HTTP/1.1\r\nHost: ", &self.host] {
            out.extend_from_slice(part.as_bytes());
        }
        out.extend_from_slice(b"\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n");
        fields::write(out, "Sec-WebSocket-Key", key);
        fields::write(out, "Sec-WebSocket-Version", b"13");
        if let Some(origin) = &self.origin {
            fields::write(out, "Origin", origin.as_bytes());
        }
        if !self.subprotocols.is_empty() {
            fields::write(out, "Sec-WebSocket-Protocol", self.subprotocols.as_bytes());
        }
        if let Some(list) = &self.extensions {
            fields::write(out, "Sec-WebSocket-Extensions", list.as_bytes());
        }
        out.extend_from_slice(self.fields.lines().unwrap_or_default());
        out.extend_from_slice(b"\r\n");
    }
}

/// Without the headers, which may hold secrets.
impl fmt::Debug for ClientRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientRequest")
            .field("host", &self.host)
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}

/// Why a [`ClientRequest`] cannot be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RequestError {
    /// The host is not a valid name or address, with or without a port.
    Host,
    /// The path does not begin with `/`, has a fragment, or has a character that must be percent-encoded,
    /// such as a space, `"` or `|`, or a `%` without two hexadecimal digits.
    Path,
    /// The name of a header is no token.
    HeaderName,
    /// The value of a header has a control character.
    HeaderValue,
    /// A header is one that the handshake writes itself.
    HeaderOwned,
    /// A subprotocol is no token, or is offered twice.
    Subprotocol,
    /// The extensions do not follow their grammar.
    Extensions,
    /// The user's name has a colon, or the name or the password a control character.
    Credentials,
}

impl From<FieldFault> for RequestError {
    fn from(fault: FieldFault) -> Self {
        match fault {
            FieldFault::Name => Self::HeaderName,
            FieldFault::Value => Self::HeaderValue,
            FieldFault::Owned => Self::HeaderOwned,
        }
    }
}

impl fmt::Display for RequestError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Host => "the host is not an ASCII name or a valid address, with or without a port",
            Self::Path => "the path does not begin with / or has a character that is not percent-encoded",
            Self::HeaderName => "the name of a header is no token",
            Self::HeaderValue => "the value of a header has a control character, such as a line break",
            Self::HeaderOwned => "a header is one that the handshake writes itself",
            Self::Subprotocol => "a subprotocol is no token, or is offered twice",
            Self::Extensions => "the extensions do not follow the grammar of RFC 6455, section 9.1",
            Self::Credentials => "the user's name has a colon, or the credentials a control character",
        })
    }
}

impl core::error::Error for RequestError {}
