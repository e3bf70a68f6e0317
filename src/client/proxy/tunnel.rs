//! A tunnel that a proxy opens.

use super::connect::Connect;
use super::error::ProxyError;
use super::setting::{Kind, Proxy};
use super::socks5::Socks5;

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
#[derive(Debug)]
pub struct Tunnel {
    protocol: Protocol,
    /// Bytes to send; the first `sent` are sent.
    out: Vec<u8>,
    sent: usize,
}

#[derive(Debug)]
enum Protocol {
    Http(Connect),
    Socks(Socks5),
}

impl Tunnel {
    /// Begins to open a tunnel to a host: a name, which the proxy resolves, or an address without brackets.
    ///
    /// # Errors
    ///
    /// [`ProxyError::TooLong`], from SOCKS5 only.
    pub fn new(proxy: &Proxy, host: &str, port: u16) -> Result<Self, ProxyError> {
        let mut out = Vec::new();
        let credentials = proxy.credentials.as_ref();
        let protocol = match proxy.kind {
            Kind::Socks5 => Protocol::Socks(Socks5::new(host, port, credentials, &mut out)?),
            Kind::Http | Kind::Https => {
                let authority = match host.contains(':') {
                    true => format!("[{host}]:{port}"),
                    false => format!("{host}:{port}"),
                };
                Protocol::Http(Connect::new(&authority, credentials, &mut out))
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
