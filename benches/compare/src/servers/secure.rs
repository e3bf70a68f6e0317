//! TLS for each kind of server: what makes the stream of an accepted socket.

use crate::tls;
use rustls::{ServerConnection, StreamOwned};
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsAcceptor;
use websocket_stream::tls::TlsStream;

/// Returns what makes this library's TLS streams.
pub fn unbuffered() -> io::Result<impl Fn(TcpStream) -> io::Result<TlsStream<TcpStream>>> {
    let config = tls::server()?;
    Ok(move |socket| TlsStream::server(socket, Arc::clone(&config)).map_err(io::Error::other))
}

/// Returns what makes rustls' own streams on any socket.
pub fn buffered<S: Read + Write>() -> io::Result<impl Fn(S) -> io::Result<StreamOwned<ServerConnection, S>>> {
    let config = tls::server()?;
    Ok(move |socket| {
        let connection = ServerConnection::new(Arc::clone(&config)).map_err(io::Error::other)?;
        Ok(StreamOwned::new(connection, socket))
    })
}

/// What makes the stream of an accepted socket on tokio.
pub trait Accept: Clone + Send + 'static {
    type Stream: AsyncRead + AsyncWrite + Send + Unpin + 'static;

    fn accept(self, socket: tokio::net::TcpStream) -> impl Future<Output = io::Result<Self::Stream>> + Send;
}

/// No TLS.
#[derive(Clone)]
pub struct Plain;

impl Accept for Plain {
    type Stream = tokio::net::TcpStream;

    async fn accept(self, socket: tokio::net::TcpStream) -> io::Result<Self::Stream> {
        Ok(socket)
    }
}

impl Accept for TlsAcceptor {
    type Stream = tokio_rustls::server::TlsStream<tokio::net::TcpStream>;

    async fn accept(self, socket: tokio::net::TcpStream) -> io::Result<Self::Stream> {
        TlsAcceptor::accept(&self, socket).await
    }
}

/// Returns what makes TLS streams on tokio.
pub fn acceptor() -> io::Result<TlsAcceptor> {
    tls::server().map(TlsAcceptor::from)
}
