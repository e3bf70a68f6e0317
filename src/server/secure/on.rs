//! A connection with or without TLS.

use crate::server::socket::Stream;
use crate::tls::{SharedServerConfig, TlsStream};
use crate::transport::NonBlockingTransport;
use mio::event::Source;
use mio::{Interest, Registry, Token};
pub(in crate::server) use rustls::CommonState as TlsState;
use std::io::{self, IoSlice};

/// A connection of a server.
#[derive(Debug)]
pub(in crate::server) enum Socket {
    Plain(Stream),
    Tls(Box<TlsStream<Stream>>),
    /// TLS that begins after the header of the PROXY protocol.
    Later(Box<(Stream, SharedServerConfig)>),
}

/// Whether the connections of a listener use TLS.
#[derive(Debug, Clone, Default)]
pub(in crate::server) struct Secure(pub(in crate::server) Option<SharedServerConfig>);

impl Secure {
    /// Makes a connection that was accepted.
    pub(in crate::server) fn begin(&self, stream: Stream, proxied: bool) -> io::Result<Socket> {
        match &self.0 {
            None => Ok(Socket::Plain(stream)),
            Some(config) if proxied => Ok(Socket::Later(Box::new((stream, config.clone())))),
            Some(config) => Socket::tls(stream, config, &[]),
        }
    }
}

/// For a connection that was opened elsewhere.
impl From<mio::net::TcpStream> for Socket {
    fn from(stream: mio::net::TcpStream) -> Self {
        Self::Plain(Stream::Tcp(stream))
    }
}

impl Socket {
    fn tls(stream: Stream, config: &SharedServerConfig, received: &[u8]) -> io::Result<Self> {
        let stream = TlsStream::server(stream, config.current()).map_err(io::Error::other)?;
        Ok(Self::Tls(Box::new(stream.with_received(received))))
    }

    /// Continues after the header of the PROXY protocol, with the bytes received after it.
    pub(in crate::server) fn after_proxy_header(self, received: Vec<u8>) -> io::Result<(Self, Vec<u8>)> {
        match self {
            Self::Later(later) => {
                let (stream, config) = *later;
                Ok((Self::tls(stream, &config, &received)?, Vec::new()))
            }
            socket => Ok((socket, received)),
        }
    }

    /// Returns what TLS has negotiated.
    pub(in crate::server) fn tls_state(&self) -> Option<&TlsState> {
        match self {
            Self::Tls(stream) => Some(stream.common_state()),
            Self::Plain(_) | Self::Later(_) => None,
        }
    }

    fn source(&mut self) -> &mut Stream {
        match self {
            Self::Plain(stream) => stream,
            Self::Tls(stream) => stream.get_mut(),
            Self::Later(later) => &mut later.0,
        }
    }
}

/// Calls a method of the transport that there is.
macro_rules! each {
    ($socket:expr, $stream:ident => $call:expr) => {
        match $socket {
            Socket::Plain($stream) => $call,
            Socket::Tls($stream) => $call,
            Socket::Later(later) => {
                let $stream = &mut later.0;
                $call
            }
        }
    };
}

/// The calls of TLS, which are not inlined into the code for plain connections.
impl Socket {
    #[inline(never)]
    fn recv_secure(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        each!(self, stream => stream.recv(buffer))
    }

    #[inline(never)]
    fn send_secure(&mut self, bytes: &[u8]) -> io::Result<usize> {
        each!(self, stream => stream.send(bytes))
    }

    #[inline(never)]
    fn send_vectored_secure(&mut self, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
        each!(self, stream => stream.send_vectored(pieces))
    }

    #[inline(never)]
    fn holds_input_secure(&self) -> bool {
        matches!(self, Self::Tls(stream) if stream.holds_input())
    }

    #[inline(never)]
    fn wants_write_secure(&self) -> bool {
        matches!(self, Self::Tls(stream) if stream.wants_write())
    }
}

impl NonBlockingTransport for Socket {
    fn set_nonblocking(&mut self) -> io::Result<()> {
        each!(self, stream => stream.set_nonblocking())
    }

    #[inline(always)]
    fn recv(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(stream) => stream.recv(buffer),
            secure => secure.recv_secure(buffer),
        }
    }

    #[inline(always)]
    fn send(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(stream) => stream.send(bytes),
            secure => secure.send_secure(bytes),
        }
    }

    #[inline]
    fn send_vectored(&mut self, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
        match self {
            Self::Plain(stream) => stream.send_vectored(pieces),
            secure => secure.send_vectored_secure(pieces),
        }
    }

    fn shutdown_write(&mut self) -> io::Result<()> {
        each!(self, stream => stream.shutdown_write())
    }

    fn set_nodelay(&mut self) -> io::Result<()> {
        each!(self, stream => stream.set_nodelay())
    }

    #[inline(always)]
    fn holds_input(&self) -> bool {
        !matches!(self, Self::Plain(_)) && self.holds_input_secure()
    }

    #[inline(always)]
    fn wants_write(&self) -> bool {
        !matches!(self, Self::Plain(_)) && self.wants_write_secure()
    }

    fn flush(&mut self) -> io::Result<()> {
        each!(self, stream => stream.flush())
    }
}

impl Source for Socket {
    fn register(&mut self, registry: &Registry, token: Token, interests: Interest) -> io::Result<()> {
        self.source().register(registry, token, interests)
    }

    fn reregister(&mut self, registry: &Registry, token: Token, interests: Interest) -> io::Result<()> {
        self.source().reregister(registry, token, interests)
    }

    fn deregister(&mut self, registry: &Registry) -> io::Result<()> {
        self.source().deregister(registry)
    }
}
