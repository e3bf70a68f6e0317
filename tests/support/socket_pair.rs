//! Two connected sockets: Unix sockets where std has them, else a TCP connection.

use std::io;

#[cfg(unix)]
pub(crate) use std::os::unix::net::UnixStream as Socket;

#[cfg(not(unix))]
pub(crate) use std::net::TcpStream as Socket;

#[cfg(unix)]
pub(crate) fn socket_pair() -> io::Result<(Socket, Socket)> {
    Socket::pair()
}

#[cfg(not(unix))]
pub(crate) fn socket_pair() -> io::Result<(Socket, Socket)> {
    let listener = std::net::TcpListener::bind(("127.0.0.1", 0))?;
    let connecting = Socket::connect(listener.local_addr()?)?;
    connecting.set_nodelay(true)?;
    let accepted = listener.accept()?.0;
    accepted.set_nodelay(true)?;
    Ok((connecting, accepted))
}
