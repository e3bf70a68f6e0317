//! A name that is resolved on a thread of its own.

use rustix::fd::{AsFd, BorrowedFd};
use std::io::{self, Read};
use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::mpsc::{self, Receiver, TryRecvError};
use std::thread;

/// One of two sockets that are connected with each other.
#[cfg(unix)]
type Socket = std::os::unix::net::UnixStream;
#[cfg(not(unix))]
type Socket = std::net::TcpStream;

/// A name that is being resolved. Dropping it does not wait for the thread.
#[derive(Debug)]
pub(super) struct Resolving {
    result: Receiver<io::Result<Vec<SocketAddr>>>,
    /// Becomes readable when the result is there: the thread drops the other end.
    ready: Socket,
}

impl Resolving {
    pub(super) fn start(host: &str, port: u16) -> io::Result<Self> {
        let (sender, result) = mpsc::sync_channel(1);
        let (ready, done) = pair()?;
        ready.set_nonblocking(true)?;
        let host = host.to_owned();
        thread::Builder::new().name("websocket-resolver".to_owned()).spawn(move || {
            let addresses = (host.as_str(), port).to_socket_addrs().map(Iterator::collect);
            // Fails only if nobody waits any more.
            let _ = sender.send(addresses);
            drop(done);
        })?;
        Ok(Self { result, ready })
    }

    /// Returns the addresses once they are there.
    pub(super) fn poll(&mut self) -> Option<io::Result<Vec<SocketAddr>>> {
        // Nothing is ever sent: it is drained for pollers that report it again.
        let _ = (&self.ready).read(&mut [0]);
        match self.result.try_recv() {
            Ok(result) => Some(result),
            Err(TryRecvError::Empty) => None,
            Err(TryRecvError::Disconnected) => Some(Err(io::Error::other("panic of the resolver"))),
        }
    }

    pub(super) fn as_fd(&self) -> BorrowedFd<'_> {
        self.ready.as_fd()
    }
}

#[cfg(unix)]
fn pair() -> io::Result<(Socket, Socket)> {
    Socket::pair()
}

/// std has no pairs of sockets here, so this is a connection to a listener of its own. Another program of
/// this machine may connect first.
#[cfg(not(unix))]
fn pair() -> io::Result<(Socket, Socket)> {
    let listener = std::net::TcpListener::bind((std::net::Ipv4Addr::LOCALHOST, 0))?;
    let near = Socket::connect(listener.local_addr()?)?;
    let address = near.local_addr()?;
    loop {
        let (far, from) = listener.accept()?;
        if from == address {
            return Ok((near, far));
        }
    }
}
