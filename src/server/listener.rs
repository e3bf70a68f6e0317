//! The sources of connections: TCP addresses and paths of Unix sockets.
#![forbid(unsafe_code)]

use super::secure::{Secure, Socket};
use super::socket::Stream;
use mio::event::Source;
use mio::net::TcpListener;
#[cfg(unix)]
use mio::net::UnixListener;
use socket2::{Domain, Protocol, SockRef, Type};
use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
#[cfg(unix)]
use std::path::{Path, PathBuf};
#[cfg(unix)]
use std::sync::Arc;

/// The connections that may wait to be accepted; the system may allow fewer. std allows 128: if thousands
/// arrive at once, those that do not fit wait for seconds before TCP tries again.
const BACKLOG: i32 = 4096;

/// A source of connections, and whether they use TLS.
#[derive(Debug)]
pub(super) struct Listener {
    kind: Kind,
    pub(super) secure: Secure,
}

#[derive(Debug)]
enum Kind {
    Tcp(TcpListener),
    /// A socket that other processes may accept from.
    Inherited(TcpListener),
    #[cfg(unix)]
    Unix(UnixListener, Arc<UnixPath>),
}

/// Removes the socket's file when it is no longer listened on, unless another server has made its own there.
#[cfg(unix)]
#[derive(Debug)]
pub(super) struct UnixPath {
    path: PathBuf,
    /// The file's device and number.
    file: io::Result<(u64, u64)>,
}

#[cfg(unix)]
impl UnixPath {
    fn new(path: &Path) -> Self {
        Self { path: path.to_owned(), file: identity(path) }
    }
}

#[cfg(unix)]
impl Drop for UnixPath {
    fn drop(&mut self) {
        // It may have been removed already.
        if let (Ok(file), Ok(own)) = (identity(&self.path), &self.file)
            && file == *own
        {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

#[cfg(unix)]
fn identity(path: &Path) -> io::Result<(u64, u64)> {
    use std::os::unix::fs::MetadataExt;
    let file = std::fs::symlink_metadata(path)?;
    Ok((file.dev(), file.ino()))
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
        Ok(Kind::Tcp(result?).into())
    }

    pub(super) fn from_tcp(listener: std::net::TcpListener) -> io::Result<Self> {
        listener.set_nonblocking(true)?;
        Ok(Kind::Inherited(TcpListener::from_std(listener)).into())
    }

    #[cfg(unix)]
    pub(super) fn unix(path: &Path) -> io::Result<Self> {
        let socket = socket2::Socket::new(Domain::UNIX, Type::STREAM, None)?;
        socket.bind(&socket2::SockAddr::unix(path)?)?;
        let path = Arc::new(UnixPath::new(path));
        socket.listen(BACKLOG)?;
        socket.set_nonblocking(true)?;
        Ok(Kind::Unix(UnixListener::from_std(socket.into()), path).into())
    }

    /// Makes a listener on the same address for another thread.
    ///
    /// The system spreads new connections over TCP listeners that share a port. If it cannot, and for
    /// Unix sockets, the threads accept from one queue; also for an inherited socket, because what waits in
    /// a queue of its own would be lost with the thread, though the next process could accept it.
    pub(super) fn for_another_thread(&self) -> io::Result<Self> {
        let copy =
            |listener| io::Result::Ok(TcpListener::from_std(SockRef::from(listener).try_clone()?.into()));
        let kind = match &self.kind {
            Kind::Tcp(listener) => Kind::Tcp(share_port(listener).or_else(|_| copy(listener))?),
            Kind::Inherited(listener) => Kind::Inherited(copy(listener)?),
            #[cfg(unix)]
            Kind::Unix(listener, path) => {
                let copy = SockRef::from(listener).try_clone()?;
                Kind::Unix(UnixListener::from_std(copy.into()), Arc::clone(path))
            }
        };
        Ok(Self { kind, secure: self.secure.clone() })
    }

    pub(super) fn local_addr(&self) -> Option<SocketAddr> {
        match &self.kind {
            Kind::Tcp(listener) | Kind::Inherited(listener) => listener.local_addr().ok(),
            #[cfg(unix)]
            Kind::Unix(..) => None,
        }
    }

    /// Accepts the next waiting connection, with the client's address. `proxied` connections begin with a
    /// header of the PROXY protocol.
    pub(super) fn accept(&self, proxied: bool) -> io::Result<(Socket, Option<IpAddr>)> {
        let (stream, ip) = match &self.kind {
            Kind::Tcp(listener) | Kind::Inherited(listener) => {
                let (stream, address) = listener.accept().map_err(of_this_connection)?;
                (Stream::Tcp(stream), Some(address.ip()))
            }
            #[cfg(unix)]
            Kind::Unix(listener, _) => (Stream::Unix(listener.accept()?.0), None),
        };
        // Without TLS for want of a usable configuration, only this connection is lost.
        let socket = self.secure.begin(stream, proxied).map_err(|_| io::ErrorKind::ConnectionAborted)?;
        Ok((socket, ip))
    }

    pub(super) fn source(&mut self) -> &mut dyn Source {
        match &mut self.kind {
            Kind::Tcp(listener) | Kind::Inherited(listener) => listener,
            #[cfg(unix)]
            Kind::Unix(listener, _) => listener,
        }
    }
}

/// Returns `ConnectionAborted` if only this connection is lost, because the peer has already reset it.
///
/// Windows says so. On Apple's systems, the connection can be accepted, but has no address: mio reports that
/// without an errno.
fn of_this_connection(error: io::Error) -> io::Error {
    match error.kind() {
        io::ErrorKind::ConnectionReset => io::ErrorKind::ConnectionAborted.into(),
        io::ErrorKind::InvalidInput if error.raw_os_error().is_none() => {
            io::ErrorKind::ConnectionAborted.into()
        }
        _ => error,
    }
}

impl From<Kind> for Listener {
    fn from(kind: Kind) -> Self {
        Self { kind, secure: Secure::default() }
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
