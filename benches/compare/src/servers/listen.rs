//! What the servers with a loop of their own share: accepting.

use crate::sys;
use std::io::{self, ErrorKind};
use std::net::{TcpListener, TcpStream};

/// The listener's key in a poll.
pub const KEY: usize = usize::MAX;

/// Accepts all that wait, each non-blocking.
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
