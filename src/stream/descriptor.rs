//! Descriptors of streams and openings on sockets, to register with a poller. On Windows, their sockets.
#![forbid(unsafe_code)]

use super::{ClientOpening, ServerOpening, WebSocketStream};
use crate::transport::NonBlockingTransport;
#[cfg(unix)]
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
#[cfg(windows)]
use std::os::windows::io::{AsRawSocket, AsSocket, BorrowedSocket, RawSocket};

macro_rules! descriptor {
    ($($on_transport:ident: $lends:ident $lend:ident $lent:ty, $tells:ident $tell:ident $raw:ty;)+) => {$(
        /// Returns the transport's descriptor, to register with a poller.
        impl<T: NonBlockingTransport + $lends> $lends for $on_transport<T> {
            fn $lend(&self) -> $lent {
                self.get_ref().$lend()
            }
        }

        /// Returns the transport's descriptor, to register with a poller.
        impl<T: NonBlockingTransport + $tells> $tells for $on_transport<T> {
            fn $tell(&self) -> $raw {
                self.get_ref().$tell()
            }
        }
    )+};
}

#[cfg(unix)]
descriptor! {
    WebSocketStream: AsFd as_fd BorrowedFd<'_>, AsRawFd as_raw_fd RawFd;
    ServerOpening: AsFd as_fd BorrowedFd<'_>, AsRawFd as_raw_fd RawFd;
    ClientOpening: AsFd as_fd BorrowedFd<'_>, AsRawFd as_raw_fd RawFd;
}

#[cfg(windows)]
descriptor! {
    WebSocketStream: AsSocket as_socket BorrowedSocket<'_>, AsRawSocket as_raw_socket RawSocket;
    ServerOpening: AsSocket as_socket BorrowedSocket<'_>, AsRawSocket as_raw_socket RawSocket;
    ClientOpening: AsSocket as_socket BorrowedSocket<'_>, AsRawSocket as_raw_socket RawSocket;
}
