//! A name that is resolved on a thread of its own.

use std::io::{self, Read};
use std::net::{SocketAddr, ToSocketAddrs};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::sync::mpsc::{self, Receiver, TryRecvError};
use std::thread;

/// A name that is being resolved. Dropping it does not wait for the thread.
#[derive(Debug)]
pub(super) struct Resolving {
    result: Receiver<io::Result<Vec<SocketAddr>>>,
    /// Becomes readable when the result is there: the thread drops the other end.
    ready: UnixStream,
}

impl Resolving {
    pub(super) fn start(host: &str, port: u16) -> io::Result<Self> {
        let (sender, result) = mpsc::sync_channel(1);
        let (ready, done) = UnixStream::pair()?;
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
}

impl AsFd for Resolving {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.ready.as_fd()
    }
}
