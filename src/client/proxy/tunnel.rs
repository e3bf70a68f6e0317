//! A tunnel that a proxy opens.

use super::connect::Connect;
use super::error::ProxyError;
use super::setting::{Kind, Proxy, host_with_port};
use super::socks5::Socks5;
use std::fmt;
use std::net::IpAddr;

/// The opening of a tunnel through a proxy, without I/O: bytes in, bytes out.
///
/// [`Connector`](crate::client::Connector) does this itself; `Tunnel` is for other transports.
///
/// ```
/// use websocket_stream::client::Tunnel;
///
/// let mut tunnel = Tunnel::new(&"http://proxy.example:3128".parse()?, "example.com", 443)?;
/// assert!(tunnel.unsent().starts_with(b"CONNECT example.com:443 HTTP/1.1\r\n"));
/// tunnel.sent(tunnel.unsent().len());
/// assert_eq!(tunnel.receive(b"HTTP/1.1 200 OK\r\n")?, None);
/// assert_eq!(tunnel.receive(b"\r\nbehind")?, Some(2)); // the rest belongs to the server
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Tunnel {
    protocol: Protocol,
    /// Bytes to send; the first `sent` are sent.
    out: Vec<u8>,
    sent: usize,
}

enum Protocol {
    Http(Connect),
    Socks(Socks5),
}

impl Tunnel {
    /// Begins to open a tunnel to a host: a name, which the proxy resolves, or an address without brackets.
    ///
    /// # Errors
    ///
    /// [`ProxyError::Host`] if the host is neither a name nor an address; [`ProxyError::TooLong`], from
    /// SOCKS5 only.
    pub fn new(proxy: &Proxy, host: &str, port: u16) -> Result<Self, ProxyError> {
        if !is_name(host) && host.parse::<IpAddr>().is_err() {
            return Err(ProxyError::Host);
        }
        let mut out = Vec::new();
        let credentials = proxy.credentials.as_ref();
        let protocol = match proxy.kind {
            Kind::Socks5 => Protocol::Socks(Socks5::new(host, port, credentials, &mut out)?),
            Kind::Http | Kind::Https => {
                Protocol::Http(Connect::new(&host_with_port(host, port), credentials, &mut out))
            }
        };
        Ok(Self { protocol, out, sent: 0 })
    }

    /// Returns the bytes to send to the proxy, if any.
    pub fn unsent(&self) -> &[u8] {
        &self.out[self.sent..]
    }

    /// Removes the first `n` of the [`unsent`](Self::unsent) bytes, at most all of them.
    pub fn sent(&mut self, n: usize) {
        self.sent = self.sent.saturating_add(n).min(self.out.len());
    }

    /// Uses bytes of the proxy's answer. Returns `None` until the tunnel is open, then the number of these
    /// bytes that belong to the answer. There may be new bytes to send after each call.
    ///
    /// # Errors
    ///
    /// The reason why the proxy opens no tunnel; drop the tunnel.
    pub fn receive(&mut self, bytes: &[u8]) -> Result<Option<usize>, ProxyError> {
        match &mut self.protocol {
            Protocol::Http(connect) => connect.receive(bytes),
            Protocol::Socks(socks) => socks.receive(bytes, &mut self.out),
        }
    }
}

/// Returns whether a text can be the name of a host ("reg-name" of RFC 3986, section 3.2.2).
fn is_name(host: &str) -> bool {
    let may_be = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~%!$&'()*+,;=".contains(&byte);
    !host.is_empty() && host.bytes().all(may_be)
}

/// Prints no bytes, which contain the credentials.
impl fmt::Debug for Tunnel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tunnel").field("unsent", &self.unsent().len()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_are_not_printed_and_a_host_cannot_add_headers() {
        for proxy in ["http://user:hunter2@p", "socks5://user:hunter2@p"] {
            let proxy = proxy.parse().unwrap();
            let tunnel = Tunnel::new(&proxy, "a", 80).unwrap();
            assert_eq!(format!("{tunnel:?}"), format!("Tunnel {{ unsent: {}, .. }}", tunnel.unsent().len()));
            for host in ["", "a\r\nX: y", "a b", "[::1]", "a:80", "a/b", "\u{e4}"] {
                assert_eq!(Tunnel::new(&proxy, host, 80).unwrap_err(), ProxyError::Host, "{host:?}");
            }
            for host in ["::1", "10.0.0.1", "a-b.example", "a_b", "a%C3%A4"] {
                Tunnel::new(&proxy, host, 80).unwrap();
            }
        }
    }
}
