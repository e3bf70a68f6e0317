//! The stream of an upgraded request: the socket itself if it can be had, else what hyper has.

use crate::tokio::delegate_stream;
use ::tokio::net::TcpStream;
use hyper::upgrade::{Parts, Upgraded};
use hyper_util::rt::TokioIo;
use hyper_util::server::conn::auto;

/// The stream of an upgraded request.
///
/// See the example of [`WebSocketUpgrade`](super::WebSocketUpgrade).
#[derive(Debug)]
#[non_exhaustive]
pub enum UpgradedStream {
    /// The socket, without hyper.
    Tcp(TcpStream),
    /// Another stream, such as TLS, or one of many over HTTP/2. Hidden, so that a program does not depend on
    /// the version of hyper-util.
    #[doc(hidden)]
    Other(TokioIo<Upgraded>),
}

impl UpgradedStream {
    /// Takes the stream out of hyper, with the bytes that were received after the request.
    pub(super) fn new(upgraded: Upgraded) -> (Self, Vec<u8>) {
        // `axum::serve` and hyper-util's server have a layer of their own.
        let upgraded = match auto::upgrade::downcast::<TokioIo<TcpStream>>(upgraded) {
            Ok(parts) => return (Self::Tcp(parts.io.into_inner()), parts.read_buf.to_vec()),
            Err(upgraded) => upgraded,
        };
        match upgraded.downcast::<TokioIo<TcpStream>>() {
            Ok(Parts { io, read_buf, .. }) => (Self::Tcp(io.into_inner()), read_buf.to_vec()),
            // It returns those bytes itself.
            Err(upgraded) => (Self::Other(TokioIo::new(upgraded)), Vec::new()),
        }
    }
}

delegate_stream!(UpgradedStream { Tcp, Other });
