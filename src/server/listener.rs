//! The sources of connections: TCP addresses and paths of Unix sockets.
#![forbid(unsafe_code)]

use super::socket::Socket;
use mio::event::Source;
use mio::net::TcpListener;
#[cfg(unix)]
use mio::net::UnixListener;
use socket2::{Domain, Protocol, SockAddr, SockRef, Type};
use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
#[cfg(unix)]
use std::path::{Path, PathBuf};
#[cfg(unix)]
use std::sync::Arc;

/// The connections that may wait to be accepted; the system may allow fewer. std allows 128: if thousands
/// arrive at once, those that do not fit wait for seconds before TCP tries again.
const BACKLOG: i32 = 4096;

#[derive(Debug)]
pub(super) enum Listener {
    Tcp(TcpListener),
    #[cfg(unix)]
    Unix(UnixListener, Arc<UnixPath>),
}

/// Removes the socket's file when it is no longer listened on.
#[cfg(unix)]
#[derive(Debug)]
pub(super) struct UnixPath(PathBuf);

#[cfg(unix)]
impl Drop for UnixPath {
    fn drop(&mut self) {
        // It may have been removed already.
        let _ = std::fs::remove_file(&self.0);
    }
}

impl Listener {
    /// Listens on the first of the addresses that can be used.
    pub(super) fn tcp(addresses: impl ToSocketAddrs) -> io::Result<Self> {
        let mut result = Err(io::Error::new(io::ErrorKind::InvalidInput, "no address"));
        for address in addresses.to_socket_addrs()? {
            result = listen(address, false);
            if result.is_ok() {
                break;
            }
        }
        Ok(Self::Tcp(result?))
    }

    pub(super) fn from_tcp(listener: std::net::TcpListener) -> io::Result<Self> {
        listener.set_nonblocking(true)?;
        Ok(Self::Tcp(TcpListener::from_std(listener)))
    }

    #[cfg(unix)]
    pub(super) fn unix(path: &Path) -> io::Result<Self> {
        let socket = socket2::Socket::new(Domain::UNIX, Type::STREAM, None)?;
        socket.bind(&SockAddr::unix(path)?)?;
        let path = Arc::new(UnixPath(path.to_owned()));
        socket.listen(BACKLOG)?;
        socket.set_nonblocking(true)?;
        Ok(Self::Unix(UnixListener::from_std(socket.into()), path))
    }

    /// Makes a listener on the same address for another thread.
    ///
    /// The system spreads new connections over TCP listeners that share a port. If it cannot, and for
    /// Unix sockets, the threads accept from one queue.
    pub(super) fn for_another_thread(&self) -> io::Result<Self> {
        match self {
            Self::Tcp(listener) => {
                if let Ok(listener) = share_port(listener) {
                    return Ok(Self::Tcp(listener));
                }
                let copy = SockRef::from(listener).try_clone()?;
                Ok(Self::Tcp(TcpListener::from_std(copy.into())))
            }
            #[cfg(unix)]
            Self::Unix(listener, path) => {
                let copy = SockRef::from(listener).try_clone()?;
                Ok(Self::Unix(UnixListener::from_std(copy.into()), Arc::clone(path)))
            }
        }
    }

    pub(super) fn local_addr(&self) -> Option<SocketAddr> {
        match self {
            Self::Tcp(listener) => listener.local_addr().ok(),
            #[cfg(unix)]
            Self::Unix(..) => None,
        }
    }

    /// Accepts the next waiting connection, with the client's address.
    pub(super) fn accept(&self) -> io::Result<(Socket, Option<IpAddr>)> {
        match self {
            Self::Tcp(listener) => {
                let (stream, address) = listener.accept()?;
                Ok((Socket::Tcp(stream), Some(address.ip())))
            }
            #[cfg(unix)]
            Self::Unix(listener, _) => Ok((Socket::Unix(listener.accept()?.0), None)),
        }
    }

    pub(super) fn source(&mut self) -> &mut dyn Source {
        match self {
            Self::Tcp(listener) => listener,
            #[cfg(unix)]
            Self::Unix(listener, _) => listener,
        }
    }
}

fn listen(address: SocketAddr, shares: bool) -> io::Result<TcpListener> {
    let socket = socket2::Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    // On Unix, a restart need not wait for the connections of its predecessor. On Windows, the option would
    // allow another program to take the port.
    #[cfg(unix)]
    socket.set_reuse_address(true)?;
    #[cfg(any(target_os = "linux", target_os = "android"))]
    socket.set_reuse_port(shares)?;
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    let _ = shares;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    socket.set_nonblocking(true)?;
    Ok(TcpListener::from_std(socket.into()))
}

/// Listens on a port again, on a system that spreads new connections over the listeners of a port.
#[cfg(any(target_os = "linux", target_os = "android"))]
fn share_port(listener: &TcpListener) -> io::Result<TcpListener> {
    SockRef::from(listener).set_reuse_port(true)?;
    listen(listener.local_addr()?, true)
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn share_port(_listener: &TcpListener) -> io::Result<TcpListener> {
    Err(io::ErrorKind::Unsupported.into())
}
