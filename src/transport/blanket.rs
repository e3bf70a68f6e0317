//! References to transports and boxed transports are transports.
#![forbid(unsafe_code)]

use super::NonBlockingTransport;
use std::io::{self, IoSlice};

/// Forwards every method: a default would hide what the inner transport overrides.
macro_rules! forwarding_transport {
    ($($holder:ty),+) => {$(
        impl<T: NonBlockingTransport + ?Sized> NonBlockingTransport for $holder {
            #[inline]
            fn set_nonblocking(&mut self) -> io::Result<()> {
                (**self).set_nonblocking()
            }

            #[inline]
            fn recv(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
                (**self).recv(buffer)
            }

            #[inline]
            fn send(&mut self, bytes: &[u8]) -> io::Result<usize> {
                (**self).send(bytes)
            }

            #[inline]
            fn send_vectored(&mut self, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
                (**self).send_vectored(pieces)
            }

            #[inline]
            fn shutdown_write(&mut self) -> io::Result<()> {
                (**self).shutdown_write()
            }

            #[inline]
            fn set_nodelay(&mut self) -> io::Result<()> {
                (**self).set_nodelay()
            }

            #[inline]
            fn holds_input(&self) -> bool {
                (**self).holds_input()
            }

            #[inline]
            fn wants_write(&self) -> bool {
                (**self).wants_write()
            }

            #[inline]
            fn flush(&mut self) -> io::Result<()> {
                (**self).flush()
            }
        }
    )+};
}

forwarding_transport!(&mut T, Box<T>);
