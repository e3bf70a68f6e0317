//! The sockets: mio's, TCP or Unix, with the library's own system calls.
//!
//! With the feature `mio`, mio's sockets are transports themselves. The examples with this file do not use
//! it, so that they need no feature.

use mio::event::Source;
use mio::net::{TcpStream, UnixStream};
use mio::{Interest, Registry, Token};
use std::io::{self, ErrorKind, IoSlice};
use std::os::fd::{AsFd, BorrowedFd};
use websocket_stream::NonBlockingTransport;

/// Readable and writable, and urgent data if the system supports that: a receive stops early at urgent data.
#[cfg(any(target_os = "linux", target_os = "android"))]
pub(crate) const INTERESTS: Interest = Interest::READABLE.add(Interest::WRITABLE).add(Interest::PRIORITY);
#[cfg(not(any(target_os = "linux", target_os = "android")))]
pub(crate) const INTERESTS: Interest = Interest::READABLE.add(Interest::WRITABLE);

#[derive(Debug)]
pub(crate) enum Socket {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl Socket {
    fn try_io<R>(&self, call: impl FnOnce() -> io::Result<R>) -> io::Result<R> {
        match self {
            Self::Tcp(stream) => stream.try_io(call),
            Self::Unix(stream) => stream.try_io(call),
        }
    }

    /// Makes a call that moves bytes. Some of mio's pollers report a socket again only after a call that
    /// would block. The library makes no such call after one that moved fewer bytes than requested, so this
    /// function makes one.
    fn moved(
        &self,
        most: usize,
        call: impl FnOnce(BorrowedFd<'_>) -> io::Result<usize>,
    ) -> io::Result<usize> {
        let moved = self.try_io(|| call(self.as_fd()))?;
        if moved < most {
            let _ = self.try_io(|| Err::<(), _>(ErrorKind::WouldBlock.into()));
        }
        Ok(moved)
    }

    fn source(&mut self) -> &mut dyn Source {
        match self {
            Self::Tcp(stream) => stream,
            Self::Unix(stream) => stream,
        }
    }
}

impl NonBlockingTransport for Socket {
    fn set_nonblocking(&mut self) -> io::Result<()> {
        self.as_fd().set_nonblocking()
    }

    fn recv(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.moved(buffer.len(), |mut fd| fd.recv(buffer))
    }

    fn send(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.moved(bytes.len(), |mut fd| fd.send(bytes))
    }

    fn send_vectored(&mut self, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
        let most = pieces.iter().map(|piece| piece.len()).sum();
        self.moved(most, |mut fd| fd.send_vectored(pieces))
    }

    fn shutdown_write(&mut self) -> io::Result<()> {
        self.as_fd().shutdown_write()
    }

    fn set_nodelay(&mut self) -> io::Result<()> {
        self.as_fd().set_nodelay()
    }
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Tcp(stream) => stream.as_fd(),
            Self::Unix(stream) => stream.as_fd(),
        }
    }
}

impl Source for Socket {
    fn register(&mut self, registry: &Registry, token: Token, interests: Interest) -> io::Result<()> {
        self.source().register(registry, token, interests)
    }

    fn reregister(&mut self, registry: &Registry, token: Token, interests: Interest) -> io::Result<()> {
        self.source().reregister(registry, token, interests)
    }

    fn deregister(&mut self, registry: &Registry) -> io::Result<()> {
        self.source().deregister(registry)
    }
}
