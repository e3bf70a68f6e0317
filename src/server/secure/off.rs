//! Every connection is plain.

use crate::server::socket::Stream;
use std::io;

pub(in crate::server) type Socket = Stream;

/// There is none.
#[derive(Debug)]
pub(in crate::server) enum TlsState {}

/// Whether the connections of a listener use TLS.
#[derive(Debug, Clone, Default)]
pub(in crate::server) struct Secure(());

impl Secure {
    /// Makes a connection that was accepted.
    pub(in crate::server) fn begin(&self, stream: Stream, _proxied: bool) -> io::Result<Socket> {
        Ok(stream)
    }
}

/// For a connection that was opened elsewhere.
impl From<mio::net::TcpStream> for Socket {
    fn from(stream: mio::net::TcpStream) -> Self {
        Self::Tcp(stream)
    }
}

impl Socket {
    pub(in crate::server) fn tls_state(&self) -> Option<&TlsState> {
        None
    }

    /// Continues after the header of the PROXY protocol, with the bytes received after it.
    pub(in crate::server) fn after_proxy_header(self, received: Vec<u8>) -> io::Result<(Self, Vec<u8>)> {
        Ok((self, received))
    }
}
