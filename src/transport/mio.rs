//! mio's streams as transports, with the system calls used for std's.
//!
//! With `poll(2)`, and on Windows, mio announces a socket again only after a call through `try_io` has
//! returned "would block". A stream does not make such a call after one that moved less than all (law 11), so
//! `try_io` is given a `WouldBlock` here. With epoll and kqueue this costs nothing.
#![forbid(unsafe_code)]

use super::{NonBlockingTransport, fd};
use mio::net::{TcpStream, UnixStream};
use std::io::{self, IoSlice};
use std::mem;
use std::os::fd::AsFd;

/// Returns the outcome that `try_io` is given after a call that moved less than all. It has no memory to
/// free, so it is forgotten, without the call that would drop it.
fn would_block() -> io::Result<()> {
    Err(io::ErrorKind::WouldBlock.into())
}

macro_rules! mio_transport {
    ($(#[$inline:meta] $stream:ty: $recv:path),+ $(,)?) => {$(
        impl NonBlockingTransport for $stream {
            fn set_nonblocking(&mut self) -> io::Result<()> {
                fd::set_nonblocking(self.as_fd())
            }

            #[$inline]
            fn recv(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
                let room = buffer.len();
                let received = self.try_io(|| $recv(self.as_fd(), buffer))?;
                if received < room {
                    mem::forget(self.try_io(would_block));
                }
                Ok(received)
            }

            #[$inline]
            fn send(&mut self, bytes: &[u8]) -> io::Result<usize> {
                let sent = self.try_io(|| fd::send(self.as_fd(), bytes))?;
                if sent < bytes.len() {
                    mem::forget(self.try_io(would_block));
                }
                Ok(sent)
            }

            fn send_vectored(&mut self, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
                let sent = self.try_io(|| fd::send_vectored(self.as_fd(), pieces))?;
                if sent < pieces.iter().fold(0, |all: usize, piece| all.saturating_add(piece.len())) {
                    mem::forget(self.try_io(would_block));
                }
                Ok(sent)
            }

            fn shutdown_write(&mut self) -> io::Result<()> {
                fd::shutdown_write(self.as_fd())
            }

            fn set_nodelay(&mut self) -> io::Result<()> {
                fd::set_nodelay(self.as_fd())
            }
        }
    )+};
}

mio_transport! {
    #[inline(always)] TcpStream: fd::recv,
    // So that the calls of a type that has both sorts stay small.
    #[inline(never)] UnixStream: fd::recv_past_descriptors,
}
