//! mio's streams as transports, by the same system calls as std's.
//!
//! Each call that may block goes through mio's `try_io`: where mio polls by `poll(2)`, it arms the
//! registration again there; with epoll and kqueue it costs nothing.
#![forbid(unsafe_code)]

use super::{NonBlockingTransport, fd};
use mio::net::{TcpStream, UnixStream};
use std::io::{self, IoSlice};
use std::os::fd::AsFd;

macro_rules! mio_transport {
    ($($stream:ty),+) => {$(
        impl NonBlockingTransport for $stream {
            fn set_nonblocking(&mut self) -> io::Result<()> {
                fd::set_nonblocking(self.as_fd())
            }

            fn recv(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
                self.try_io(|| fd::recv(self.as_fd(), buffer))
            }

            fn send(&mut self, bytes: &[u8]) -> io::Result<usize> {
                self.try_io(|| fd::send(self.as_fd(), bytes))
            }

            fn send_vectored(&mut self, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
                self.try_io(|| fd::send_vectored(self.as_fd(), pieces))
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

mio_transport!(TcpStream, UnixStream);
