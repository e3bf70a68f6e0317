//! A WebSocket's URL: `ws`, `wss` and `ws+unix` (RFC 6455, section 3).

use fluent_uri::component::Authority;
use fluent_uri::{Uri, UriRef};
use std::convert::Infallible;
use std::fmt;
use std::net::Ipv6Addr;
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// A WebSocket's URL.
///
/// | scheme | connection |
/// | --- | --- |
/// | `ws` | TCP, port 80 unless the URL has one |
/// | `wss` | TLS, port 443 unless the URL has one |
/// | `ws+unix` | a Unix socket: `ws+unix:///path/of/socket:/path?query` |
///
/// The zone of a link-local IPv6 address (`%eth0`) has no place in a URL; pass the address to
/// [`Connector::addresses`](super::Connector::addresses).
///
/// User and password (`wss://user:password@host/`) become Basic credentials. Characters other than those of
/// RFC 3986 must be percent-encoded. A URL with a fragment is refused, because "fragment identifiers are
/// meaningless in the context of WebSocket URIs and MUST NOT be used on these URIs".
///
/// ```
/// use websocket_stream::client::Url;
///
/// let url: Url = "wss://user:p%40ss@[2001:db8::1]:8443/chat?room=1".parse()?;
/// assert_eq!((url.host(), url.port()), ("2001:db8::1", 8443));
/// assert_eq!(url.target(), "/chat?room=1");
/// assert_eq!(url.credentials(), Some(("user", "p@ss")));
/// assert_eq!(url.to_string(), "wss://[2001:db8::1]:8443/chat?room=1"); // without credentials
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Url {
    place: Place,
    /// Path and query.
    target: String,
    credentials: Option<(String, String)>,
}

/// Where the server is.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Place {
    Host {
        secure: bool,
        /// A name or an address, without brackets.
        host: String,
        /// The value of `Host`: the host with brackets and without the default port.
        authority: String,
        port: u16,
    },
    Unix(PathBuf),
}

/// The reason why a text is not a WebSocket's URL.
///
/// ```
/// use websocket_stream::client::{Url, UrlError};
///
/// let check = |url| Url::try_from(url).err();
/// assert_eq!(check("ftp://example.com/"), Some(UrlError::Scheme));
/// assert_eq!(check("ws://example.com/#top"), Some(UrlError::Fragment));
/// assert_eq!(check("ws://example.com:0/"), Some(UrlError::Port));
/// assert_eq!(check("ws://example.com/two words"), Some(UrlError::Syntax));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum UrlError {
    /// The text does not follow the grammar of RFC 3986, such as one with a space.
    Syntax,
    /// The scheme is not `ws`, `wss` or `ws+unix`.
    Scheme,
    /// There is no host, or it is an address of a future kind, or TLS has no such name.
    Host,
    /// The port is not a number from 1 to 65,535.
    Port,
    /// The URL has a fragment.
    Fragment,
    /// The user name or the password is not UTF-8 after percent-decoding.
    Credentials,
    /// The URL of a Unix socket has no absolute path, or has a host.
    SocketPath,
}

impl Url {
    /// Returns whether the connection uses TLS.
    pub fn is_secure(&self) -> bool {
        matches!(self.place, Place::Host { secure: true, .. })
    }

    /// Returns the host's name or address, without brackets; `localhost` for a Unix socket.
    pub fn host(&self) -> &str {
        match &self.place {
            Place::Host { host, .. } => host,
            Place::Unix(_) => "localhost",
        }
    }

    /// Returns the port, explicit or the scheme's; 0 for a Unix socket.
    pub fn port(&self) -> u16 {
        match &self.place {
            Place::Host { port, .. } => *port,
            Place::Unix(_) => 0,
        }
    }

    /// Returns the path of the Unix socket, if it is one.
    pub fn unix_path(&self) -> Option<&Path> {
        match &self.place {
            Place::Unix(path) => Some(path),
            Place::Host { .. } => None,
        }
    }

    /// Returns the host, and the port unless it is the scheme's: the value of the header `Host`.
    pub fn authority(&self) -> &str {
        match &self.place {
            Place::Host { authority, .. } => authority,
            Place::Unix(_) => "localhost",
        }
    }

    /// Returns path and query, percent-encoded: the request's target.
    pub fn target(&self) -> &str {
        &self.target
    }

    /// Returns user name and password, decoded.
    pub fn credentials(&self) -> Option<(&str, &str)> {
        self.credentials.as_ref().map(|(user, password)| (user.as_str(), password.as_str()))
    }

    /// Returns the URL that a redirect names, absolute or relative to this URL. `http` counts as `ws`, and
    /// `https` as `wss`.
    ///
    /// # Errors
    ///
    /// [`UrlError`] if the result is not a WebSocket's URL.
    pub fn join(&self, location: &str) -> Result<Self, UrlError> {
        // "If the Location value provided in a 3xx response does not have a fragment component, ..." (RFC
        // 9110, section 10.2.2): one that has a fragment is for browsers.
        let location = location.split('#').next().unwrap_or_default();
        let location = UriRef::parse(location).map_err(|_| UrlError::Syntax)?;
        let base = match self.unix_path() {
            // A relative location changes only the path.
            Some(_) => format!("ws://localhost{}", self.target),
            None => self.to_string(),
        };
        let base = Uri::parse(base).map_err(|_| UrlError::Syntax)?;
        let joined = location.resolve_against(&base).map_err(|_| UrlError::Syntax)?;
        let scheme = joined.scheme().as_str().to_ascii_lowercase();
        let rest = &joined.as_str()[scheme.len()..];
        let url: Self = match scheme.as_str() {
            "http" | "ws" => format!("ws{rest}").parse()?,
            "https" | "wss" => format!("wss{rest}").parse()?,
            _ => return Err(UrlError::Scheme),
        };
        // A location with a host leads to it (RFC 3986, section 4.2).
        match self.unix_path() {
            Some(_) if !location.has_scheme() && !location.has_authority() => {
                Ok(Self { place: self.place.clone(), ..url })
            }
            _ => Ok(url),
        }
    }

    /// Returns whether both have the same scheme, host and port, so that credentials for one are for both.
    pub(super) fn has_same_origin(&self, other: &Self) -> bool {
        match (&self.place, &other.place) {
            (
                Place::Host { secure, host, port, .. },
                Place::Host { secure: other_secure, host: other_host, port: other_port, .. },
            ) => secure == other_secure && port == other_port && host.eq_ignore_ascii_case(other_host),
            (place, other) => place == other,
        }
    }

    /// Adds the credentials of another URL of the same origin, unless this one has its own.
    pub(super) fn with_credentials_of(mut self, other: &Self) -> Self {
        if self.credentials.is_none() && self.has_same_origin(other) {
            self.credentials.clone_from(&other.credentials);
        }
        self
    }

    fn unix(uri: &Uri<&str>) -> Result<Self, UrlError> {
        if uri.authority().is_some_and(|authority| !authority.as_str().is_empty()) {
            return Err(UrlError::SocketPath);
        }
        let (path, target) = uri.path().as_str().split_once(':').unwrap_or((uri.path().as_str(), "/"));
        if !target.starts_with('/') {
            return Err(UrlError::SocketPath);
        }
        let path = fluent_uri::pct_enc::EStr::<fluent_uri::pct_enc::encoder::Path>::new(path)
            .and_then(|path| path.decode().to_string().ok())
            .filter(|path| path.starts_with('/') && path.len() > 1 && !path.contains('\0'))
            .ok_or(UrlError::SocketPath)?;
        Ok(Self {
            place: Place::Unix(PathBuf::from(path.as_ref())),
            target: with_query(target, uri),
            credentials: None,
        })
    }
}

fn with_query(path: &str, uri: &Uri<&str>) -> String {
    let path = if path.is_empty() { "/" } else { path };
    match uri.query() {
        Some(query) => format!("{path}?{query}"),
        None => path.to_owned(),
    }
}

/// Returns user name and password.
pub(super) fn credentials(authority: &Authority<'_>) -> Result<Option<(String, String)>, UrlError> {
    let Some(info) = authority.userinfo() else { return Ok(None) };
    let (user, password) = info.split_once(':').unwrap_or((info, fluent_uri::pct_enc::EStr::EMPTY));
    let decode = |text: &fluent_uri::pct_enc::EStr<_>| match text.decode().to_string() {
        Ok(text) => Ok(text.into_owned()),
        Err(_) => Err(UrlError::Credentials),
    };
    Ok(Some((decode(user)?, decode(password)?)))
}

/// Returns the host without brackets, and the port if there is one.
pub(super) fn host_and_port(authority: &Authority<'_>) -> Result<(String, Option<u16>), UrlError> {
    let host = authority.host();
    if host.is_empty() {
        return Err(UrlError::Host);
    }
    let port = match authority.port_to_u16().map_err(|_| UrlError::Port)? {
        Some(0) => return Err(UrlError::Port),
        port => port,
    };
    let host = match host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
        // Not an address of a future version.
        Some(address) if address.parse::<Ipv6Addr>().is_ok() => address,
        Some(_) => return Err(UrlError::Host),
        None => host,
    };
    Ok((host.to_owned(), port))
}

impl FromStr for Url {
    type Err = UrlError;

    fn from_str(text: &str) -> Result<Self, UrlError> {
        let uri = Uri::parse(text).map_err(|_| UrlError::Syntax)?;
        let secure = match uri.scheme().as_str() {
            scheme if scheme.eq_ignore_ascii_case("ws") => false,
            scheme if scheme.eq_ignore_ascii_case("wss") => true,
            scheme if scheme.eq_ignore_ascii_case("ws+unix") => {
                return if uri.has_fragment() { Err(UrlError::Fragment) } else { Self::unix(&uri) };
            }
            _ => return Err(UrlError::Scheme),
        };
        if uri.has_fragment() {
            return Err(UrlError::Fragment);
        }
        let authority = uri.authority().ok_or(UrlError::Host)?;
        let (host, explicit) = host_and_port(&authority)?;
        let default = if secure { 443 } else { 80 };
        let port = explicit.unwrap_or(default);
        let with_brackets = authority.host();
        let authority_text = match port == default {
            true => with_brackets.to_owned(),
            false => format!("{with_brackets}:{port}"),
        };
        Ok(Self {
            place: Place::Host { secure, host, authority: authority_text, port },
            target: with_query(uri.path().as_str(), &uri),
            credentials: credentials(&authority)?,
        })
    }
}

impl TryFrom<&str> for Url {
    type Error = UrlError;

    fn try_from(text: &str) -> Result<Self, UrlError> {
        text.parse()
    }
}

impl TryFrom<&String> for Url {
    type Error = UrlError;

    fn try_from(text: &String) -> Result<Self, UrlError> {
        text.parse()
    }
}

impl TryFrom<String> for Url {
    type Error = UrlError;

    fn try_from(text: String) -> Result<Self, UrlError> {
        text.parse()
    }
}

impl TryFrom<&Url> for Url {
    type Error = UrlError;

    fn try_from(url: &Url) -> Result<Self, UrlError> {
        Ok(url.clone())
    }
}

impl From<Infallible> for UrlError {
    fn from(never: Infallible) -> Self {
        match never {}
    }
}

/// Prints the URL without credentials.
impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.place {
            Place::Host { secure, authority, .. } => {
                write!(f, "ws{}://{authority}{}", if *secure { "s" } else { "" }, self.target)
            }
            Place::Unix(path) => write!(f, "ws+unix://{}:{}", path.display(), self.target),
        }
    }
}

/// Prints the URL without credentials.
impl fmt::Debug for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Url({self})")
    }
}

impl fmt::Display for UrlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Syntax => "invalid URL",
            Self::Scheme => "URL scheme other than ws, wss and ws+unix",
            Self::Host => "URL without a host that can be used",
            Self::Port => "invalid port in the URL",
            Self::Fragment => "fragment in the URL",
            Self::Credentials => "credentials in the URL that are not UTF-8",
            Self::SocketPath => "URL of a Unix socket without an absolute path",
        })
    }
}

impl std::error::Error for UrlError {}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Url, UrlError> {
        text.parse()
    }

    #[test]
    fn ports_hosts_and_targets_are_those_of_the_url() {
        for (text, secure, host, port, authority, target) in [
            ("ws://a", false, "a", 80, "a", "/"),
            ("WS://A:80?x=1", false, "A", 80, "A", "/?x=1"),
            ("ws://a:443/b//c/../d", false, "a", 443, "a:443", "/b//c/../d"),
            ("wss://a:443/", true, "a", 443, "a", "/"),
            ("wss://a:", true, "a", 443, "a", "/"),
            ("wss://10.0.0.1:65535/?", true, "10.0.0.1", 65535, "10.0.0.1:65535", "/?"),
            ("ws://[::1]:8080/%20", false, "::1", 8080, "[::1]:8080", "/%20"),
            ("ws://user@a/", false, "a", 80, "a", "/"),
            ("ws://a_b/", false, "a_b", 80, "a_b", "/"),
        ] {
            let url = parse(text).unwrap();
            let found = (url.is_secure(), url.host(), url.port(), url.authority(), url.target());
            assert_eq!(found, (secure, host, port, authority, target), "{text}");
        }
    }

    #[test]
    fn other_texts_are_refused() {
        use UrlError::*;
        for (text, expected) in [
            ("", Syntax),
            ("a", Syntax),
            ("//a", Syntax),
            ("http://a", Scheme),
            ("wsss://a", Scheme),
            ("file:///etc/passwd", Scheme),
            ("ws:a", Host),
            ("ws:/a", Host),
            ("ws://", Host),
            ("ws:///a", Host),
            ("ws://:80", Host),
            ("ws://user@", Host),
            ("ws://a:0", Port),
            ("ws://a:65536", Port),
            ("ws://a:99999999999999999999", Port),
            ("ws://a:-1", Syntax),
            ("ws://a:80:80", Syntax),
            ("ws://a/#", Fragment),
            ("ws://a#b", Fragment),
            ("ws+unix:///a#b", Fragment),
            ("ws://a b", Syntax),
            ("ws://a/ b", Syntax),
            (" ws://a", Syntax),
            ("ws://a\r\nX: y", Syntax),
            ("ws://a/\r\nX: y", Syntax),
            ("ws://a/\0", Syntax),
            ("ws://a\\b", Syntax),
            ("ws://a/%", Syntax),
            ("ws://a/%zz", Syntax),
            ("ws://\u{e4}", Syntax),
            ("ws://a/\u{e4}", Syntax),
            ("ws://[::1", Syntax),
            ("ws://[nonsense]", Syntax),
            ("ws://::1", Syntax),
            ("ws://%ff@a", Credentials),
            ("ws+unix://host/a", SocketPath),
            ("ws+unix:a", SocketPath),
            ("ws+unix:///", SocketPath),
            ("ws+unix:///%00", SocketPath),
            ("ws+unix:///a:b", SocketPath),
            ("ws://[v1.example]/", Host),
        ] {
            assert_eq!(parse(text), Err(expected), "{text:?}");
        }
    }

    #[test]
    fn a_unix_socket_has_a_path_of_its_own() {
        let url = parse("ws+unix:///run/a%20b.sock:/chat?x=1").unwrap();
        assert_eq!(url.unix_path(), Some(Path::new("/run/a b.sock")));
        assert_eq!((url.target(), url.authority(), url.is_secure()), ("/chat?x=1", "localhost", false));
        assert_eq!(parse("ws+unix:///run/a").unwrap().target(), "/");
    }

    #[test]
    fn credentials_are_decoded_and_never_printed() {
        let url = parse("ws://us%3Aer:p%40ss%3A:@a/").unwrap();
        assert_eq!(url.credentials(), Some(("us:er", "p@ss::")));
        assert_eq!(format!("{url} {url:?}"), "ws://a/ Url(ws://a/)");
        assert_eq!(parse("ws://user@a/").unwrap().credentials(), Some(("user", "")));
    }

    #[test]
    fn a_location_is_absolute_or_relative() {
        let base = parse("wss://user:pass@a:8443/b/c?d").unwrap();
        for (location, expected) in [
            ("/x", Ok("wss://a:8443/x")),
            ("x?y", Ok("wss://a:8443/b/x?y")),
            ("../x#fragment", Ok("wss://a:8443/x")),
            ("//b/x", Ok("wss://b/x")),
            ("https://b/", Ok("wss://b/")),
            ("HTTP://b", Ok("ws://b/")),
            ("ws://b:81", Ok("ws://b:81/")),
            ("", Ok("wss://a:8443/b/c?d")),
            ("ftp://b/", Err(UrlError::Scheme)),
            ("ws+unix:///etc/passwd", Err(UrlError::Scheme)),
            ("javascript:x", Err(UrlError::Scheme)),
            ("/a b", Err(UrlError::Syntax)),
            ("http://", Err(UrlError::Host)),
        ] {
            let joined = base.join(location).map(|url| url.to_string());
            assert_eq!(joined.as_deref().map_err(|error| *error), expected, "{location}");
        }
    }

    #[test]
    fn a_location_is_relative_to_the_path_on_a_unix_socket() {
        let base = parse("ws+unix:///socket:/chat/a?b").unwrap();
        for (location, expected) in [("b", "/chat/b"), ("?x", "/chat/a?x"), ("/x", "/x"), ("..", "/")] {
            let joined = base.join(location).unwrap();
            assert_eq!((joined.target(), joined.unix_path()), (expected, base.unix_path()), "{location}");
        }
        for (location, expected) in [("ws://a/", "ws://a/"), ("//a:81/x", "ws://a:81/x")] {
            let joined = base.join(location).unwrap();
            assert_eq!(joined.to_string(), expected, "{location}");
            // It receives no credentials.
            assert!(!joined.has_same_origin(&base), "{location}");
        }
        assert_eq!(base.join("///x"), Err(UrlError::Host));
    }

    #[test]
    fn the_origin_is_scheme_host_and_port() {
        let base = parse("wss://a/").unwrap();
        for (other, same) in
            [("wss://A:443/x", true), ("ws://a:443/", false), ("wss://a:444/", false), ("wss://b/", false)]
        {
            assert_eq!(base.has_same_origin(&parse(other).unwrap()), same, "{other}");
        }
    }
}
