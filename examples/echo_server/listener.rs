//! The source of connections: a TCP address or the path of a Unix socket.

use crate::socket::Socket;
use mio::event::Source;
use mio::net::{TcpListener, UnixListener};
use std::fmt;
use std::io;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

/// Connections that may wait to be accepted; the system may allow fewer.
const WAITING: i32 = 4096;

pub(crate) enum Listener {
    Tcp(TcpListener),
    Unix(UnixListener, PathBuf),
}

impl Listener {
    pub(crate) fn tcp(address: &str) -> Result<Self, String> {
        let listener = std::net::TcpListener::bind(address).map_err(|error| explain(address, &error))?;
        listener.set_nonblocking(true).map_err(|error| explain(address, &error))?;
        queue(&listener).map_err(|error| explain(address, &error))?;
        Ok(Self::Tcp(TcpListener::from_std(listener)))
    }

    pub(crate) fn unix(path: &Path) -> Result<Self, String> {
        let name = path.display().to_string();
        let listener = UnixListener::bind(path).map_err(|error| explain(&name, &error))?;
        queue(&listener).map_err(|error| explain(&name, &error))?;
        Ok(Self::Unix(listener, path.to_owned()))
    }

    /// Accepts the next waiting connection.
    pub(crate) fn accept(&self) -> io::Result<Socket> {
        match self {
            Self::Tcp(listener) => listener.accept().map(|(stream, _)| Socket::Tcp(stream)),
            Self::Unix(listener, _) => listener.accept().map(|(stream, _)| Socket::Unix(stream)),
        }
    }

    /// Returns the source to register with a poller.
    pub(crate) fn source(&mut self) -> &mut dyn Source {
        match self {
            Self::Tcp(listener) => listener,
            Self::Unix(listener, _) => listener,
        }
    }
}

/// Makes the accept queue longer than std does. If thousands of connections arrive at once, those that do not
/// fit must wait for seconds before TCP tries again.
fn queue(listener: &impl AsFd) -> io::Result<()> {
    Ok(rustix::net::listen(listener, WAITING)?)
}

fn explain(address: &str, error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::AddrInUse => format!("{address} is taken by another program: {error}"),
        _ => format!("cannot listen on {address}: {error}"),
    }
}

impl fmt::Display for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(listener) => match listener.local_addr() {
                Ok(address) => write!(f, "ws://{address}"),
                Err(error) => write!(f, "an unknown address: {error}"),
            },
            Self::Unix(_, path) => write!(f, "ws+unix://{}", path.display()),
        }
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        if let Self::Unix(_, path) = self {
            // It may have been removed already.
            let _ = std::fs::remove_file(path);
        }
    }
}
