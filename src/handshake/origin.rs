//! The pages that may open a connection (RFC 6455, section 10.2).
#![forbid(unsafe_code)]

use super::authority;
use super::request::Request;
use super::response::Response;

/// Decides which pages may open a connection.
///
/// Browsers let any page open a WebSocket to any server, and send the user's cookies with the request: the
/// same-origin policy does not apply. A server that identifies users by a cookie must therefore check the
/// `Origin`. Otherwise any page that a user visits can act in the user's name (cross-site WebSocket
/// hijacking). The response to a page that may not connect is
/// [`Response::forbidden`](super::Response::forbidden).
///
/// Browsers always send an `Origin`. A request without one is from another kind of program, which could send
/// any value, so every policy allows it. The policy protects users of browsers; it does not authenticate
/// clients.
///
/// ```
/// use websocket_stream::handshake::{ParsedHandshake, ParsedRequest};
/// use websocket_stream::{Limits, OriginPolicy};
///
/// let request = ParsedRequest::http11("GET", "/")
///     .header("Host", "api.example.com")
///     .header("Origin", "https://www.example.com");
/// let handshake = ParsedHandshake::new(&request, &Limits::default())?;
/// assert!(!OriginPolicy::Same.allows(&handshake.request()));
/// assert!(OriginPolicy::List(&["https://www.example.com"]).allows(&handshake.request()));
/// # Ok::<(), websocket_stream::handshake::RequestFault>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum OriginPolicy<'a> {
    /// Pages of any site. Suitable if a connection reveals nothing that depends on the user.
    Any,
    /// Pages with the host and port that the request is addressed to.
    ///
    /// Behind a proxy, this needs the original `Host`. The scheme is not compared, because a server behind a
    /// proxy does not know its own.
    #[default]
    Same,
    /// Pages of these origins, such as `https://example.com` or `http://localhost:8080`. The scheme is the
    /// page's: `https`, not `wss`.
    ///
    /// Letter case, a default port and a trailing `/` are ignored. An entry with a path matches nothing,
    /// because an origin has no path. `null` matches pages that have no origin. A list from a file can be
    /// kept for the whole program with `Vec::leak` and `String::leak`.
    List(&'a [&'a str]),
}

impl OriginPolicy<'_> {
    /// Responds to a request: with [`Response::accept`] if it is allowed, else with [`Response::forbidden`].
    ///
    /// Add choices, such as a subprotocol, to the response.
    ///
    /// ```
    /// use websocket_stream::handshake::ServerHandshake;
    /// use websocket_stream::{Limits, OriginPolicy};
    ///
    /// let mut handshake = ServerHandshake::new(&Limits::default());
    /// handshake.receive(
    ///     b"GET / HTTP/1.1\r\nHost: example.com\r\nOrigin: https://evil.example\r\n\
    ///     Upgrade: websocket\r\nConnection: Upgrade\r\n\
    ///     Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n",
    /// )?;
    /// let request = handshake.request().expect("the request is whole");
    /// assert!(OriginPolicy::Any.answer(&request).is_accept());
    /// assert!(!OriginPolicy::Same.answer(&request).is_accept());
    /// # Ok::<(), websocket_stream::handshake::RequestFault>(())
    /// ```
    pub fn answer(&self, request: &Request<'_>) -> Response {
        if self.allows(request) { Response::accept() } else { Response::forbidden() }
    }

    /// Returns whether a request may open a connection.
    pub fn allows(&self, request: &Request<'_>) -> bool {
        let mut origins = request.values("Origin");
        match (self, origins.next(), origins.next()) {
            (Self::Any, ..) | (_, None, _) => true,
            (_, Some(_), Some(_)) => false,
            (Self::Same, Some(origin), None) => match (str::from_utf8(origin), request.host()) {
                (Ok(origin), Some(host)) => is_same(origin, host),
                _ => false,
            },
            (Self::List(list), Some(origin), None) => {
                str::from_utf8(origin).is_ok_and(|origin| list.iter().any(|listed| is_origin(listed, origin)))
            }
        }
    }
}

/// Returns whether an origin has this authority. Either may omit the default port of the origin's scheme.
fn is_same(origin: &str, authority: &str) -> bool {
    let Some((scheme, page)) = origin.split_once("://") else {
        return false;
    };
    let is_page = ["http", "https"].iter().any(|page| page.eq_ignore_ascii_case(scheme));
    is_page && default_port(scheme).is_some_and(|port| is_authority(page, authority, port))
}

/// Returns whether two texts are the same origin: "If the two origins are scheme/host/port triples, return
/// true if, and only if, the two origins have identical schemes, hosts, and ports" (RFC 6454, section 5).
fn is_origin(listed: &str, origin: &str) -> bool {
    let split = |text| {
        let (scheme, authority) = str::split_once(text, "://")?;
        Some((scheme, authority.strip_suffix('/').unwrap_or(authority)))
    };
    let (Some((scheme, listed)), Some((other, origin))) = (split(listed), split(origin)) else {
        return listed.eq_ignore_ascii_case(origin);
    };
    scheme.eq_ignore_ascii_case(other)
        && match default_port(scheme) {
            Some(port) => is_authority(listed, origin, port),
            None => listed.eq_ignore_ascii_case(origin),
        }
}

/// Returns whether two authorities have the same host and port. Either may omit the default port.
fn is_authority(one: &str, other: &str, default_port: u16) -> bool {
    let (Some(one), Some(other)) = (authority::split(one), authority::split(other)) else {
        return false;
    };
    one.0.eq_ignore_ascii_case(other.0) && one.1.unwrap_or(default_port) == other.1.unwrap_or(default_port)
}

/// Returns the default port of a scheme.
fn default_port(scheme: &str) -> Option<u16> {
    let ports = [("http", 80), ("https", 443), ("ws", 80), ("wss", 443)];
    ports.iter().find(|(name, _)| name.eq_ignore_ascii_case(scheme)).map(|&(_, port)| port)
}

#[cfg(test)]
mod tests {
    use super::is_same;

    #[test]
    fn origins_with_the_same_host_and_port_match_however_the_port_is_written() {
        for (origin, host) in [
            ("https://example.com", "example.com"),
            ("https://example.com", "EXAMPLE.com:443"),
            ("http://example.com", "example.com:80"),
            ("http://example.com:8080", "example.com:8080"),
            ("https://[::1]:9000", "[::1]:9000"),
        ] {
            assert!(is_same(origin, host), "{origin} {host}");
        }
    }

    #[test]
    fn another_host_port_or_form_does_not_match() {
        for (origin, host) in [
            ("https://example.com", "example.org"),
            ("https://example.com", "www.example.com"),
            ("https://example.com.evil.org", "example.com"),
            ("https://evil.org/example.com", "example.com"),
            ("https://evil.org#example.com", "example.com"),
            ("https://example.com@evil.org", "evil.org"),
            ("https://example.com:444", "example.com"),
            ("https://example.com", "example.com:80"),
            ("http://example.com:80", "example.com:443"),
            ("chrome-extension://example.com", "example.com"),
            ("null", "null"),
            ("", ""),
            ("example.com", "example.com"),
            ("https://", ""),
        ] {
            assert!(!is_same(origin, host), "{origin} {host}");
        }
    }
}
