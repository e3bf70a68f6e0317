//! Descriptors of streams and openings on sockets, to register with a poller.
#![forbid(unsafe_code)]

use super::{ClientOpening, ServerOpening, WebSocketStream};
use crate::transport::NonBlockingTransport;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};

macro_rules! descriptor {
    ($($on_transport:ident),+) => {$(
        /// Returns the transport's descriptor, to register with a poller.
        impl<T: NonBlockingTransport + AsFd> AsFd for $on_transport<T> {
            fn as_fd(&self) -> BorrowedFd<'_> {
                self.get_ref().as_fd()
            }
        }

        /// Returns the transport's descriptor, to register with a poller.
        impl<T: NonBlockingTransport + AsRawFd> AsRawFd for $on_transport<T> {
            fn as_raw_fd(&self) -> RawFd {
                self.get_ref().as_raw_fd()
            }
        }
    )+};
}

descriptor!(WebSocketStream, ServerOpening, ClientOpening);
