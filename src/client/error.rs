//! The reason why a client could not connect.

use super::connecting::FailedAttempt;
use super::proxy::ProxyError;
use super::url::UrlError;
use crate::handshake::RequestError;
use crate::stream::OpeningError;
use std::path::PathBuf;
use std::time::Duration;
use std::{fmt, io};

/// The reason why a client could not connect.
///
/// If no address could be connected to, the text names the host and, for each address, the reason.
///
/// ```
/// # use std::net::TcpListener;
/// use std::net::TcpStream;
/// use websocket_stream::client::{ConnectError, Connector, UrlError};
///
/// let connector = Connector::new().no_proxy();
/// let error = connector.connect("http://localhost/").unwrap_err();
/// assert!(matches!(error, ConnectError::Url(UrlError::Scheme)) && !error.can_retry());
///
/// # let listener = TcpListener::bind("127.0.0.1:0")?;
/// let socket = TcpStream::connect(listener.local_addr()?)?;
/// let closed = socket.local_addr()?; // a port that is in use, but does not listen
/// let error = connector.connect(format!("ws://{closed}/")).unwrap_err();
/// let ConnectError::Connect { attempts, .. } = &error else { panic!("{error}") };
/// assert_eq!(attempts[0].address, closed);
/// assert!(error.can_retry());
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub enum ConnectError {
    /// The URL is invalid.
    Url(UrlError),
    /// The request cannot be sent: for example, a header has a line break.
    Request(RequestError),
    /// There is no TLS configuration for a `wss` URL.
    ///
    /// The feature `rustls` is off; or the program has set none, and the feature `wss`, which makes one, is
    /// off.
    NoTls,
    /// No TLS configuration could be made, for example because the system has no trusted certificates.
    TlsConfig(String),
    /// The host's name could not be resolved.
    Resolve {
        /// The name.
        host: String,
        /// The system's error.
        error: io::Error,
    },
    /// No address of the host could be connected to.
    Connect {
        /// The host's name, or the proxy's if there is one.
        host: String,
        /// Each address that was tried, and the reason.
        attempts: Vec<FailedAttempt>,
    },
    /// The Unix socket could not be connected to.
    Unix {
        /// The path.
        path: PathBuf,
        /// The system's error.
        error: io::Error,
    },
    /// The proxy's URL is invalid, or the proxy has refused.
    Proxy {
        /// The proxy, without credentials, or `of the environment` if a variable's URL is invalid.
        proxy: String,
        /// The reason.
        error: ProxyError,
    },
    /// The transport failed while a proxy was opening a tunnel.
    Tunnel {
        /// The proxy, without credentials.
        proxy: String,
        /// The error; one of TLS if the proxy uses TLS.
        error: io::Error,
    },
    /// The opening handshake has failed, or before it the handshake of TLS.
    Opening {
        /// The reason. An error of TLS is [`OpeningError::System`]; `ConnectError::tls` returns it.
        error: OpeningError,
        /// The time after which the server wants to be asked again (`Retry-After`).
        retry_after: Option<Duration>,
    },
    /// There were too many redirects, one that leads to an invalid URL, or one from `wss` to `ws`.
    Redirect {
        /// The last location.
        location: String,
    },
    /// The time for all of it has passed.
    Timeout,
    /// Another call of the system failed, such as starting the thread that resolves names.
    System(io::Error),
}

impl ConnectError {
    /// Returns whether another attempt may succeed later.
    ///
    /// False if the URL, the request or a configuration is wrong, after a refusal that will be repeated
    /// (status 401, 403 or 404, for example), and for a certificate that is not trusted. Also false if the
    /// path of a Unix socket is too long, and on a system without Unix sockets.
    pub fn can_retry(&self) -> bool {
        match self {
            Self::Resolve { .. } | Self::Connect { .. } | Self::Timeout => true,
            Self::Unix { error, .. } => {
                !matches!(error.kind(), io::ErrorKind::InvalidInput | io::ErrorKind::Unsupported)
            }
            Self::System(error) => error.kind() != io::ErrorKind::InvalidInput,
            Self::Proxy { error, .. } => error.can_retry(),
            Self::Tunnel { error, .. } => error.kind() != io::ErrorKind::InvalidData,
            Self::Opening { error, .. } => error.can_retry(),
            Self::Url(_) | Self::Request(_) | Self::NoTls | Self::TlsConfig(_) | Self::Redirect { .. } => {
                false
            }
        }
    }

    /// Returns the status of the server's refusal, if it is one.
    pub fn status(&self) -> Option<u16> {
        match self {
            Self::Opening { error, .. } => error.status(),
            _ => None,
        }
    }

    /// Returns the error of TLS, with the server or with a proxy, if it is one.
    ///
    /// ```
    /// # fn explain(error: &websocket_stream::client::ConnectError) -> &'static str {
    /// use rustls::{CertificateError, Error};
    ///
    /// match error.tls() {
    ///     Some(Error::InvalidCertificate(CertificateError::UnknownIssuer)) => "unknown authority",
    ///     Some(Error::InvalidCertificate(CertificateError::ExpiredContext { .. })) => "expired",
    ///     Some(Error::InvalidCertificate(CertificateError::NotValidForNameContext { .. })) => {
    ///         "another name"
    ///     }
    ///     Some(_) => "another fault of TLS",
    ///     None => "not TLS",
    /// }
    /// # }
    /// ```
    #[cfg(feature = "rustls")]
    pub fn tls(&self) -> Option<&rustls::Error> {
        match self {
            Self::Opening { error: OpeningError::System(error), .. } | Self::Tunnel { error, .. } => {
                error.get_ref()?.downcast_ref()
            }
            _ => None,
        }
    }

    /// Returns the time after which the server wants to be asked again (`Retry-After`, if it is in seconds; a
    /// date is ignored).
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Opening { retry_after, .. } => *retry_after,
            _ => None,
        }
    }
}

impl From<UrlError> for ConnectError {
    fn from(error: UrlError) -> Self {
        Self::Url(error)
    }
}

impl fmt::Display for ConnectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Url(error) => error.fmt(f),
            Self::Request(error) => write!(f, "invalid request: {error}"),
            Self::NoTls => f.write_str("no TLS configuration for a wss URL"),
            Self::TlsConfig(reason) => write!(f, "no TLS configuration: {reason}"),
            Self::Resolve { host, error } => write!(f, "name resolution of {host}: {error}"),
            Self::Connect { host, attempts } if attempts.is_empty() => write!(f, "no address of {host}"),
            Self::Connect { host, attempts } => {
                write!(f, "no connection to {host}: ")?;
                for (index, attempt) in attempts.iter().enumerate() {
                    write!(f, "{}{attempt}", if index == 0 { "" } else { "; " })?;
                }
                Ok(())
            }
            Self::Unix { path, error } => write!(f, "no connection to {}: {error}", path.display()),
            Self::Proxy { proxy, error } => write!(f, "{error} ({proxy})"),
            Self::Tunnel { proxy, error } => write!(f, "transport error of the proxy {proxy}: {error}"),
            Self::Opening { error, .. } => error.fmt(f),
            Self::Redirect { location } => write!(f, "redirect not followed: {location}"),
            Self::Timeout => f.write_str("timeout: connecting"),
            Self::System(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for ConnectError {
    /// Returns the source of the wrapped error, because this error's text includes that of the wrapped error.
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Resolve { error, .. }
            | Self::Unix { error, .. }
            | Self::Tunnel { error, .. }
            | Self::System(error) => error.source(),
            Self::Opening { error, .. } => error.source(),
            _ => None,
        }
    }
}
