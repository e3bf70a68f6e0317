//! mio's streams as transports, with the system calls used for std's.
//!
//! With `poll(2)`, and on Windows, mio announces a socket again only after a call through `try_io` has
//! returned "would block". A stream does not make such a call after one that moved less than all (law 11), so
//! `try_io` is given a `WouldBlock` here. With epoll and kqueue this costs nothing.
#![forbid(unsafe_code)]

use super::NonBlockingTransport;
#[cfg(unix)]
use super::fd as calls;
#[cfg(windows)]
use super::winsock as calls;
use mio::net::TcpStream;
#[cfg(unix)]
use mio::net::UnixStream;
use std::io::{self, IoSlice};
use std::mem;

/// Returns the outcome that `try_io` is given after a call that moved less than all. It has no memory to
/// free, so it is forgotten, without the call that would drop it.
fn would_block() -> io::Result<()> {
    Err(io::ErrorKind::WouldBlock.into())
}

/// Returns what the calls are functions of.
#[cfg(unix)]
#[inline(always)]
fn socket<S: std::os::fd::AsFd>(stream: &S) -> std::os::fd::BorrowedFd<'_> {
    stream.as_fd()
}

/// Returns what the calls are functions of.
#[cfg(windows)]
#[inline(always)]
fn socket<S>(stream: &S) -> &S {
    stream
}

/// mio's streams are non-blocking from the start, except for those from `from_std`, whose caller has the duty
/// to make them so.
#[cfg(windows)]
fn set_nonblocking(_stream: &TcpStream) -> io::Result<()> {
    Ok(())
}

#[cfg(unix)]
use calls::{set_nodelay, set_nonblocking, shutdown_write};

#[cfg(windows)]
fn shutdown_write(stream: &TcpStream) -> io::Result<()> {
    calls::unless_gone(stream.shutdown(std::net::Shutdown::Write))
}

#[cfg(windows)]
fn set_nodelay(stream: &TcpStream) -> io::Result<()> {
    calls::unless_gone(stream.set_nodelay(true))
}

macro_rules! mio_transport {
    ($(#[$inline:meta] $stream:ty: $recv:path),+ $(,)?) => {$(
        impl NonBlockingTransport for $stream {
            fn set_nonblocking(&mut self) -> io::Result<()> {
                set_nonblocking(socket(self))
            }

            #[$inline]
            fn recv(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
                let room = buffer.len();
                let received = self.try_io(|| $recv(socket(self), buffer))?;
                if received < room {
                    mem::forget(self.try_io(would_block));
                }
                Ok(received)
            }

            #[$inline]
            fn send(&mut self, bytes: &[u8]) -> io::Result<usize> {
                let sent = self.try_io(|| calls::send(socket(self), bytes))?;
                if sent < bytes.len() {
                    mem::forget(self.try_io(would_block));
                }
                Ok(sent)
            }

            fn send_vectored(&mut self, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
                let sent = self.try_io(|| calls::send_vectored(socket(self), pieces))?;
                if sent < pieces.iter().fold(0, |all: usize, piece| all.saturating_add(piece.len())) {
                    mem::forget(self.try_io(would_block));
                }
                Ok(sent)
            }

            fn shutdown_write(&mut self) -> io::Result<()> {
                shutdown_write(socket(self))
            }

            fn set_nodelay(&mut self) -> io::Result<()> {
                set_nodelay(socket(self))
            }
        }
    )+};
}

mio_transport! {
    #[inline(always)] TcpStream: calls::recv,
}

#[cfg(unix)]
mio_transport! {
    // So that the calls of a type that has both sorts stay small.
    #[inline(never)] UnixStream: calls::recv_past_descriptors,
}
