//! Which pages may open a connection (RFC 6455, section 10.2).
#![forbid(unsafe_code)]

use super::authority;
use super::request::Request;
use super::response::Response;

/// Which pages may open a connection.
///
/// Browsers let any page open a WebSocket to any server, and send the user's cookies with the
/// request: the rule that keeps pages from reading other sites' answers does not hold here. A server
/// that knows its users by a cookie must therefore look at the `Origin`, or any page that a user
/// visits can talk to it in the user's name (cross-site WebSocket hijacking). The answer to a page
/// that may not is [`Response::forbidden`](super::Response::forbidden).
///
/// Only browsers send an `Origin`, and they always do. A request without one comes from another
/// kind of program, which could write there what it likes, and is let in by every policy: this
/// protects users of browsers and is no authentication.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum OriginPolicy<'a> {
    /// Pages of any site. Right where a connection gives nothing that its sender was not given.
    Any,
    /// Pages of the same host and port that the request is for.
    ///
    /// Behind a proxy this needs the original `Host`. The scheme is not compared, as a server behind
    /// one does not know its own.
    #[default]
    Same,
    /// Pages of these origins, written as browsers write them: `https://example.com`, with a port
    /// only where it is not the scheme's own, and without a path. Letters compare in any case.
    /// `null` is what pages send that have no origin to tell.
    List(&'a [&'a str]),
}

impl OriginPolicy<'_> {
    /// The answer to a request: [`Response::accept`] to one that may have its connection, else
    /// [`Response::forbidden`]. Add to it what is to be chosen, such as a subprotocol.
    ///
    /// ```
    /// use websocket_stream::handshake::{HeadLimits, OriginPolicy, ServerHandshake};
    ///
    /// let mut handshake = ServerHandshake::new(HeadLimits::default());
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

    /// Whether a request may have its connection.
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
                list.iter().any(|allowed| allowed.as_bytes().eq_ignore_ascii_case(origin))
            }
        }
    }
}

/// Whether an origin has this authority, where each may leave out the port of the origin's scheme.
fn is_same(origin: &str, authority: &str) -> bool {
    let Some((scheme, page)) = origin.split_once("://") else {
        return false;
    };
    let default_port = match scheme {
        _ if scheme.eq_ignore_ascii_case("https") => 443,
        _ if scheme.eq_ignore_ascii_case("http") => 80,
        _ => return false,
    };
    let (Some(page), Some(server)) = (authority::split(page), authority::split(authority)) else {
        return false;
    };
    page.0.eq_ignore_ascii_case(server.0)
        && page.1.unwrap_or(default_port) == server.1.unwrap_or(default_port)
}

#[cfg(test)]
mod tests {
    use super::is_same;

    #[test]
    fn the_same_host_and_port_are_the_same_however_the_port_is_written() {
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
    fn another_host_port_or_form_is_not_the_same() {
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
