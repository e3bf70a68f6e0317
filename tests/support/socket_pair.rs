//! Two connected sockets: over TCP, or of any kind.
#![allow(dead_code, reason = "each test uses some of it")]

use std::io;
use std::net::{TcpListener, TcpStream};

#[cfg(unix)]
pub(crate) use std::os::unix::net::UnixStream as Socket;

#[cfg(not(unix))]
pub(crate) use std::net::TcpStream as Socket;

/// Returns the connecting end and the accepted one.
pub(crate) fn tcp_pair() -> io::Result<(TcpStream, TcpStream)> {
    let listener = TcpListener::bind(("127.0.0.1", 0))?;
    let connecting = TcpStream::connect(listener.local_addr()?)?;
    Ok((connecting, listener.accept()?.0))
}

/// Returns a pair of Unix sockets where std has them, else of TCP.
#[cfg(unix)]
pub(crate) fn socket_pair() -> io::Result<(Socket, Socket)> {
    Socket::pair()
}

#[cfg(not(unix))]
pub(crate) fn socket_pair() -> io::Result<(Socket, Socket)> {
    let (one, other) = tcp_pair()?;
    one.set_nodelay(true)?;
    other.set_nodelay(true)?;
    Ok((one, other))
}
