//! The reason why a proxy cannot be used, or does not open a tunnel.

use crate::handshake::ResponseFault;
use crate::stream::OpeningError;
use std::fmt;

/// The reason why a proxy cannot be used, or does not open a tunnel.
///
/// ```
/// use websocket_stream::client::{ProxyError, Tunnel};
///
/// let mut tunnel = Tunnel::new(&"proxy.example:3128".parse()?, "example.com", 443)?;
/// let answer = b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n";
/// let error = tunnel.receive(answer).unwrap_err();
/// assert!(matches!(error, ProxyError::Refused { status: 407, .. }));
/// assert!(!error.can_retry());
/// # Ok::<(), ProxyError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ProxyError {
    /// The proxy's URL is invalid, or its scheme is not one of [`Proxy`](crate::client::Proxy)'s.
    Url,
    /// The host is neither a name nor an address, or TLS has no such name.
    Host,
    /// The host name, the user name or the password has more than 255 bytes, which SOCKS5 cannot express.
    TooLong,
    /// The proxy has refused to connect: 407 if it requires other credentials.
    Refused {
        /// The status code.
        status: u16,
        /// The reason phrase, often empty.
        reason: String,
    },
    /// The answer is not HTTP.
    NotHttp,
    /// The answer's head is longer than 16 KiB, or has more than 100 headers.
    TooLarge,
    /// The answer is not SOCKS5.
    NotSocks5,
    /// The SOCKS5 proxy requires credentials, or another method of authentication.
    SocksMethod,
    /// The SOCKS5 proxy has refused the credentials.
    SocksCredentials,
    /// The SOCKS5 proxy has refused to connect, or could not.
    Socks {
        /// The code of RFC 1928, section 6.
        code: u8,
    },
    /// The proxy ended the connection before its answer was complete.
    EndOfStream,
}

impl ProxyError {
    /// Returns whether another attempt may succeed later.
    pub fn can_retry(&self) -> bool {
        match self {
            Self::Refused { status, .. } => {
                // As a server's refusal.
                OpeningError::Response(ResponseFault::Refused { status: *status, used: 0 }).can_retry()
            }
            // General failure, network or host unreachable, refused, expired.
            Self::Socks { code } => matches!(code, 1 | 3..=6),
            Self::EndOfStream => true,
            _ => false,
        }
    }
}

impl fmt::Display for ProxyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Url => "invalid proxy URL",
            Self::Host => "invalid host name",
            Self::TooLong => "host name or credentials longer than 255 bytes",
            Self::Refused { status, reason } if reason.is_empty() => {
                return write!(f, "proxy refusal: {status}");
            }
            Self::Refused { status, reason } => return write!(f, "proxy refusal: {status} {reason}"),
            Self::NotHttp => "not an HTTP proxy",
            Self::TooLarge => "proxy answer too large",
            Self::NotSocks5 => "not a SOCKS5 proxy",
            Self::SocksMethod => "no authentication method in common with the SOCKS5 proxy",
            Self::SocksCredentials => "credentials refused by the SOCKS5 proxy",
            Self::Socks { code } => match code {
                1 => "SOCKS5 proxy error: general failure",
                2 => "SOCKS5 proxy error: connection not allowed",
                3 => "SOCKS5 proxy error: network unreachable",
                4 => "SOCKS5 proxy error: host unreachable",
                5 => "SOCKS5 proxy error: connection refused",
                6 => "SOCKS5 proxy error: time to live expired",
                7 => "SOCKS5 proxy error: command not supported",
                8 => "SOCKS5 proxy error: address type not supported",
                _ => return write!(f, "SOCKS5 proxy error: code {code}"),
            },
            Self::EndOfStream => "end of stream in the proxy's answer",
        })
    }
}

impl std::error::Error for ProxyError {}
