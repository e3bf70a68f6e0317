//! The address and the protocol of a proxy.

use super::error::ProxyError;
use crate::client::url::{self, UrlError};
use fluent_uri::Uri;
use std::fmt;
use std::str::FromStr;

/// A proxy, as in `http://user:password@proxy.example:3128`.
///
/// | scheme | proxy | default port |
/// | --- | --- | --- |
/// | `http`, or none | HTTP `CONNECT` | 1080 |
/// | `https` | HTTP `CONNECT`, over TLS | 443 |
/// | `socks5`, `socks5h` | SOCKS5; the proxy resolves names | 1080 |
///
/// The default ports are those of curl.
///
/// ```
/// use websocket_stream::client::{Connector, Proxy};
///
/// let proxy: Proxy = "socks5://user:secret@proxy.example".parse()?;
/// assert_eq!(proxy.to_string(), "socks5://proxy.example:1080"); // without credentials, for a log
/// let connector = Connector::new().proxy(proxy);
/// assert!("ftp://proxy.example".parse::<Proxy>().is_err());
/// # let _ = connector;
/// # Ok::<(), websocket_stream::client::ProxyError>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Proxy {
    pub(in crate::client) kind: Kind,
    pub(in crate::client) host: String,
    pub(in crate::client) port: u16,
    pub(super) credentials: Option<(String, String)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::client) enum Kind {
    Http,
    Https,
    Socks5,
}

impl FromStr for Proxy {
    type Err = ProxyError;

    fn from_str(text: &str) -> Result<Self, ProxyError> {
        let with_scheme = match text.contains("://") {
            true => text.to_owned(),
            false => format!("http://{text}"),
        };
        let uri = Uri::parse(with_scheme.as_str()).map_err(|_| ProxyError::Url)?;
        let (kind, default_port) = match uri.scheme().as_str().to_ascii_lowercase().as_str() {
            "http" => (Kind::Http, 1080),
            "https" => (Kind::Https, 443),
            "socks5" | "socks5h" => (Kind::Socks5, 1080),
            _ => return Err(ProxyError::Url),
        };
        let parts = || -> Result<_, UrlError> {
            let authority = uri.authority().ok_or(UrlError::Host)?;
            Ok((url::host_and_port(&authority)?, url::credentials(&authority)?))
        };
        let ((host, port), credentials) = parts().map_err(|_| ProxyError::Url)?;
        Ok(Self { kind, host, port: port.unwrap_or(default_port), credentials })
    }
}

/// Returns a host and a port, with brackets around an IPv6 address.
pub(super) fn host_with_port(host: &str, port: u16) -> String {
    match host.contains(':') {
        true => format!("[{host}]:{port}"),
        false => format!("{host}:{port}"),
    }
}

/// Prints the proxy without credentials.
impl fmt::Display for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = match self.kind {
            Kind::Http => "http",
            Kind::Https => "https",
            Kind::Socks5 => "socks5",
        };
        write!(f, "{scheme}://{}", host_with_port(&self.host, self.port))
    }
}

/// Prints the proxy without credentials.
impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Proxy({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proxy_has_a_scheme_a_host_and_a_port_or_their_defaults() {
        for (text, expected) in [
            ("proxy", "http://proxy:1080"),
            ("proxy:3128", "http://proxy:3128"),
            ("http://proxy:80/", "http://proxy:80"),
            ("HTTPS://proxy", "https://proxy:443"),
            ("socks5h://user:pw@[::1]:9050", "socks5://[::1]:9050"),
            ("user:p%40ss@proxy", "http://proxy:1080"),
        ] {
            assert_eq!(text.parse::<Proxy>().unwrap().to_string(), expected);
        }
        let proxy: Proxy = "user:p%40ss@proxy".parse().unwrap();
        assert_eq!(proxy.credentials, Some(("user".into(), "p@ss".into())));
        for text in ["", "socks4://a", "http://", "ftp://a", "http://a:0", "http://a b", "a\r\nb", "://a"] {
            assert_eq!(text.parse::<Proxy>(), Err(ProxyError::Url), "{text:?}");
        }
    }
}
