//! What the servers share: accepting.

use crate::sys;
use std::io::{self, ErrorKind};
use std::net::{TcpListener, TcpStream};

/// The listener's key in a poll.
pub const KEY: usize = usize::MAX;

/// Accepts all that wait, each non-blocking: for the servers with a loop of their own.
pub fn accept_all(
    listener: &TcpListener,
    mut take: impl FnMut(TcpStream) -> io::Result<()>,
) -> io::Result<()> {
    loop {
        match sys::accept(listener) {
            Ok(socket) => take(socket)?,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
            // The one connection that was to be accepted is gone already.
            Err(error) if error.kind() == ErrorKind::ConnectionAborted => {}
            Err(error) => return Err(error),
        }
    }
}

/// Accepts for ever: for the servers on tokio.
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
