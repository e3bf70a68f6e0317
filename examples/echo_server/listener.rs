//! Where connections come from: a TCP address or the path of a Unix socket.

use std::fmt;
use std::io;
use std::net::TcpListener;
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

/// How many connections may wait to be accepted; the system may allow fewer.
const WAITING: i32 = 4096;

pub(crate) enum Listener {
    Tcp(TcpListener),
    Unix(UnixListener, PathBuf),
}

impl Listener {
    pub(crate) fn tcp(address: &str) -> Result<Self, String> {
        let listener = TcpListener::bind(address).map_err(|error| explain(address, &error))?;
        listener.set_nonblocking(true).map_err(|error| explain(address, &error))?;
        queue(&listener).map_err(|error| explain(address, &error))?;
        Ok(Self::Tcp(listener))
    }

    pub(crate) fn unix(path: &Path) -> Result<Self, String> {
        let name = path.display().to_string();
        let listener = UnixListener::bind(path).map_err(|error| explain(&name, &error))?;
        listener.set_nonblocking(true).map_err(|error| explain(&name, &error))?;
        queue(&listener).map_err(|error| explain(&name, &error))?;
        Ok(Self::Unix(listener, path.to_owned()))
    }

    /// The next connection that waits.
    pub(crate) fn accept(&self) -> io::Result<OwnedFd> {
        match self {
            Self::Tcp(listener) => listener.accept().map(|(stream, _)| stream.into()),
            Self::Unix(listener, _) => listener.accept().map(|(stream, _)| stream.into()),
        }
    }
}

/// Lets more connections wait to be accepted than std does: where thousands come at once, TCP makes
/// those for whom there is no place wait for seconds before they may try again.
fn queue(listener: &impl AsFd) -> io::Result<()> {
    Ok(rustix::net::listen(listener, WAITING)?)
}

fn explain(address: &str, error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::AddrInUse => format!("{address} is taken by another program: {error}"),
        _ => format!("cannot listen on {address}: {error}"),
    }
}

impl AsRawFd for Listener {
    fn as_raw_fd(&self) -> RawFd {
        match self {
            Self::Tcp(listener) => listener.as_raw_fd(),
            Self::Unix(listener, _) => listener.as_raw_fd(),
        }
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
            // Someone may have removed it before.
            let _ = std::fs::remove_file(path);
        }
    }
}
