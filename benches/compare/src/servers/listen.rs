//! Accepting connections, shared by the servers.

use crate::sys;
use std::io::{self, ErrorKind};
use std::net::{TcpListener, TcpStream};

/// The listener's key in a poll.
pub const KEY: usize = usize::MAX;

/// Accepts all waiting connections as non-blocking sockets, for the servers with their own loop.
pub fn accept_all(
    listener: &TcpListener,
    mut take: impl FnMut(TcpStream) -> io::Result<()>,
) -> io::Result<()> {
    loop {
        match sys::accept(listener) {
            Ok(socket) => take(socket)?,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
            // The connection to accept has already closed.
            Err(error) if error.kind() == ErrorKind::ConnectionAborted => {}
            Err(error) => return Err(error),
        }
    }
}

/// Accepts forever, for the servers on tokio.
pub async fn accept_each(
    listener: TcpListener,
    mut serve: impl FnMut(tokio::net::TcpStream),
) -> io::Result<()> {
    listener.set_nonblocking(true)?;
    let listener = tokio::net::TcpListener::from_std(listener)?;
    loop {
        let (socket, _) = listener.accept().await?;
        socket.set_nodelay(true)?;
        serve(socket);
    }
}
