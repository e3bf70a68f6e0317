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

/// The request of a client.
///
/// [`ClientHandshake::new`](super::ClientHandshake::new) rejects an invalid request before anything is sent.
///
/// ```
/// use websocket_stream::ClientRequest;
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
    /// The offered names, separated by commas.
    subprotocols: String,
    extensions: Option<String>,
    fields: Fields,
    /// The first fault outside the headers.
    fault: Option<RequestError>,
}

impl ClientRequest {
    /// Creates a request to a host for a path, with or without a query.
    ///
    /// The host is a name or address with an optional port, such as `example.com`, `example.com:8080` or
    /// `[::1]:8080`. A path with a query is, for example, `/chat?room=1`; an empty path means `/`.
    ///
    /// Neither is encoded here. Pass a host name that is not ASCII in its ASCII form (Punycode), and
    /// percent-encode characters that are not allowed in a path or query (RFC 3986, sections 3.3 and 3.4).
    /// Omit the port if it is the scheme's default: 80, or 443 with TLS.
    ///
    /// The zone of an IPv6 address, as in `[fe80::1%eth0]`, is removed: it has no meaning for the server.
    pub fn new(host: &str, path: &str) -> Self {
        // The resource name has a slash "if the path component is empty" (section 3).
        let slash = if path.is_empty() || path.starts_with('?') { "/" } else { "" };
        // "an HTTP client, proxy, or other intermediary MUST remove any ZoneID attached to an outgoing URI,
        // as it has only local significance" (RFC 6874, section 4).
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

    /// Adds a header line. Existing lines with this name are kept.
    ///
    /// The handshake itself writes `Host`, `Origin`, `Upgrade`, `Connection`, `Content-Length`,
    /// `Transfer-Encoding` and every header that begins with `Sec-WebSocket-`.
    #[must_use]
    pub fn header(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        self.fields.push(name, value.as_ref(), &["Host", "Origin"]);
        self
    }

    /// Sets the origin on whose behalf the client connects, as browsers do.
    #[must_use]
    pub fn origin(mut self, origin: &str) -> Self {
        self.origin = Some(origin.to_string());
        self
    }

    /// Offers a subprotocol. Offer preferred subprotocols first.
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
    /// This only negotiates the extensions; the caller must implement them.
    #[must_use]
    pub fn extensions(mut self, list: &str) -> Self {
        self.extensions = Some(list.to_string());
        self
    }

    /// Offers further extensions, with lower preference.
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

    /// Sets a user name and password (RFC 7617).
    ///
    /// Only TLS keeps the password secret. The name must not contain a colon.
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

    /// Returns whether this subprotocol is offered.
    pub(super) fn offers_subprotocol(&self, name: &[u8]) -> bool {
        !name.is_empty() && self.subprotocols.split(", ").any(|offered| offered.as_bytes() == name)
    }

    /// Returns whether this extension is offered.
    pub(super) fn offers_extension(&self, name: &str) -> bool {
        let offered = self.extensions.as_deref().unwrap_or_default();
        Extensions::parse(offered.as_bytes())
            .is_ok_and(|mut offered| offered.any(|offered| offered.name == name))
    }

    /// Checks the whole request.
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

    /// Appends the request, which must be valid.
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

/// Omits the headers, which may hold secrets.
impl fmt::Debug for ClientRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientRequest")
            .field("host", &self.host)
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}

/// The reason why a [`ClientRequest`] cannot be sent.
///
/// ```
/// use websocket_stream::handshake::{ClientHandshake, RequestError};
/// use websocket_stream::{ClientRequest, Limits};
///
/// let check = |request| ClientHandshake::new(request, [0; 16], &Limits::default()).err();
/// assert_eq!(check(ClientRequest::new("localhost", "/two words")), Some(RequestError::Path));
/// let request = ClientRequest::new("localhost", "/").header("X-User", "Ann\r\nX-Admin: yes");
/// assert_eq!(check(request), Some(RequestError::HeaderValue));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RequestError {
    /// The host is not a valid name or address, with or without a port.
    Host,
    /// The path does not begin with `/`, has a fragment, has a `%` without two hexadecimal digits, or has a
    /// character that must be percent-encoded, such as a space, `"` or `|`.
    Path,
    /// A header name is not a token.
    HeaderName,
    /// A header value contains a control character.
    HeaderValue,
    /// The handshake itself writes this header.
    HeaderOwned,
    /// A subprotocol is not a token, or is offered twice.
    Subprotocol,
    /// The list of extensions is malformed or empty.
    Extensions,
    /// The user name contains a colon, or the name or password a control character.
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
            Self::Host => "invalid host name, address or port",
            Self::Path => "path without a leading / or with a character that must be percent-encoded",
            Self::HeaderName => "header name that is not a token",
            Self::HeaderValue => "control character in a header value",
            Self::HeaderOwned => "header that the handshake writes itself",
            Self::Subprotocol => "subprotocol that is not a token, or is offered twice",
            Self::Extensions => "malformed or empty list of extensions",
            Self::Credentials => "colon in the user name, or control character in the credentials",
        })
    }
}

impl core::error::Error for RequestError {}
