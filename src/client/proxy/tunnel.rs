//! A tunnel that a proxy opens.

use super::connect::Connect;
use super::error::ProxyError;
use super::setting::{Kind, Proxy};
use super::socks5::Socks5;

/// A tunnel that is being opened.
#[derive(Debug)]
pub(in crate::client) struct Tunnel {
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
    /// Begins to open a tunnel to a host.
    pub(in crate::client) fn new(proxy: &Proxy, host: &str, port: u16) -> Result<Self, ProxyError> {
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

    pub(in crate::client) fn unsent(&self) -> &[u8] {
        &self.out[self.sent..]
    }

    pub(in crate::client) fn sent(&mut self, n: usize) {
        self.sent += n;
    }

    /// Uses bytes of the answer. Returns the number of bytes that belong to it, when the tunnel is open.
    pub(in crate::client) fn receive(&mut self, bytes: &[u8]) -> Result<Option<usize>, ProxyError> {
        match &mut self.protocol {
            Protocol::Http(connect) => connect.receive(bytes),
            Protocol::Socks(socks) => socks.receive(bytes, &mut self.out),
        }
    }
}
