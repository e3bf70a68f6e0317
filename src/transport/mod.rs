//! Floor 2: transports. [`NonBlockingTransport`] and its implementations.
//!
//! On Unix these are std's `TcpStream` and `UnixStream`, an `OwnedFd` or `BorrowedFd` of a stream socket, and
//! mio's streams (feature `mio`). On Windows they are std's and mio's `TcpStream`. On every platform, a
//! `&mut` reference to a transport and a `Box` of one are transports too. [`testing`] has transports for
//! tests, and [`testing::laws`] checks that a transport keeps the laws.
//!
//! # Windows
//!
//! A single call has no flag like `MSG_DONTWAIT`. So while a socket is in use, nothing may make it blocking
//! again. A mio stream from `from_std` must already be non-blocking. After a reset, Windows drops the bytes
//! that had arrived and were not received.

mod blanket;
mod checked;
#[cfg(unix)]
mod fd;
#[cfg(all(any(unix, windows), feature = "mio"))]
mod mio;
pub mod testing;
#[cfg(windows)]
mod winsock;

pub(crate) use checked::{
    LONGEST_SLICE, RecvOutcome, flush_checked, recv_checked, send_checked, send_vectored_checked,
};

use std::io::{self, IoSlice};

/// A bidirectional byte stream that never blocks.
///
/// The methods are not named `read` and `write`, so that they do not collide with those of [`std::io::Read`]
/// and [`std::io::Write`] on the same type. Only `flush` is in both: with both traits in scope, call
/// `Write::flush(&mut stream)`.
///
/// ```
/// use std::io;
/// use websocket_stream::transport::testing::memory;
/// use websocket_stream::{ClientOpening, ClientRequest, NonBlockingTransport, Progress, Scratch};
///
/// /// Counts the bytes that another transport sends.
/// struct Counted<T> {
///     inner: T,
///     sent: usize,
/// }
///
/// impl<T: NonBlockingTransport> NonBlockingTransport for Counted<T> {
///     fn send(&mut self, bytes: &[u8]) -> io::Result<usize> {
///         self.inner.send(bytes).inspect(|n| self.sent += n)
///     }
///     // The other three required methods call those of `inner`.
/// #     fn set_nonblocking(&mut self) -> io::Result<()> { self.inner.set_nonblocking() }
/// #     fn recv(&mut self, buffer: &mut [u8]) -> io::Result<usize> { self.inner.recv(buffer) }
/// #     fn shutdown_write(&mut self) -> io::Result<()> { self.inner.shutdown_write() }
/// }
///
/// let (a, b) = memory::pair(4096);
/// let counted = Counted { inner: a, sent: 0 };
/// let mut client = ClientOpening::new(counted, ClientRequest::new("localhost", "/"))?;
/// assert!(matches!(client.advance(&mut Scratch::new().at(0))?, Progress::Pending(_)));
/// assert_eq!(client.get_ref().sent, b.unread());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Laws
///
/// [`testing::laws::check`] tests an implementation against them.
///
/// 1. **Nothing blocks.** An operation that cannot be done at once returns an error of kind
///    [`WouldBlock`](io::ErrorKind::WouldBlock) and has no effect.
/// 2. **`Ok(0)` from [`recv`](Self::recv)** into a buffer that is not empty is the end of the stream. It is
///    permanent.
/// 3. **`Ok(0)` from [`send`](Self::send)** of bytes that are not empty is forbidden: the caller could
///    neither wait nor give up. Callers treat it as an error of kind [`WriteZero`](io::ErrorKind::WriteZero).
/// 4. **`Ok(n)` never exceeds the length of the argument.** Callers treat a larger `n` as an error of kind
///    [`InvalidData`](io::ErrorKind::InvalidData).
/// 5. **Interruptions are retried inside**: no method returns [`Interrupted`](io::ErrorKind::Interrupted).
/// 6. **Order and bytes are kept**, whatever the sizes of the pieces, and no call fails while both ends are
///    open.
/// 7. **[`shutdown_write`](Self::shutdown_write) ends one direction only**: bytes already accepted still
///    reach the peer, and the peer's bytes still arrive. A second call has no effect. Sending afterwards
///    returns an error other than `WouldBlock`, at the latest once the transport's poller has run.
/// 8. **No signal is raised** if the peer is gone: sending returns an error, such as one of kind
///    [`BrokenPipe`](io::ErrorKind::BrokenPipe), at the latest once the system has noticed. Receiving returns
///    the bytes that had arrived, then the end or an error.
/// 9. **Empty buffers have no effect.** An empty buffer receives no bytes, and an empty send sends none: both
///    return `Ok(0)` or `WouldBlock`, and neither means the end of the stream.
/// 10. **It reports what it holds.** If [`holds_input`](Self::holds_input) returns true, the next `recv` does
///     not return `WouldBlock`. If [`wants_write`](Self::wants_write) returns false, [`flush`](Self::flush)
///     has nothing to do and returns `Ok`. After a `flush` that returned `Ok`, `wants_write` returns false.
/// 11. **Less than all means no more now.** A `recv` that fills only part of its buffer has taken all that
///     had arrived, except for the end of the stream, unless `holds_input` returns true. A send of at most
///     1,024 pieces that takes only part of them takes no more until the transport is announced as writable.
///     Callers rely on this: they wait without first making a call that would block. (Bytes may arrive, or be
///     taken by the peer, between two calls, so the suite reports this law only if there was more in most of
///     its attempts.) Two transports cannot keep it: a Unix socket stops a `recv` at a passed descriptor,
///     which only Linux reports, and TCP stops a `recv` at urgent data. No WebSocket peer sends either. A
///     poller announces urgent data as a priority event (`EPOLLPRI`); pass it on as
///     [`Ready::closed`](crate::Ready::closed), and the stream is received to its end.
/// 12. **It is announced again.** After a call that moved less than all or returned `WouldBlock`, the poller
///     announces the transport as soon as more can be moved, without a further call. Some pollers do so only
///     after a call that returned `WouldBlock` (mio with `poll(2)` and on Windows, tokio): a transport for
///     such a poller must re-arm itself. [`testing::laws::check_polled`] tests a transport together with its
///     poller.
pub trait NonBlockingTransport {
    /// Puts the transport into non-blocking mode (`O_NONBLOCK` on a descriptor, `FIONBIO` on Windows).
    ///
    /// # Errors
    ///
    /// The system's error, with its errno.
    fn set_nonblocking(&mut self) -> io::Result<()>;

    /// Receives bytes that have arrived into `buffer`; `Ok(0)` is the end of the stream.
    ///
    /// # Errors
    ///
    /// `WouldBlock` if no bytes have arrived, else the system's error.
    fn recv(&mut self, buffer: &mut [u8]) -> io::Result<usize>;

    /// Sends bytes, of which the transport may accept only the first.
    ///
    /// # Errors
    ///
    /// `WouldBlock` if the transport accepts none now, else the system's error.
    fn send(&mut self, bytes: &[u8]) -> io::Result<usize>;

    /// Sends several pieces, in order, as if they were one.
    ///
    /// By default, sends piece by piece with [`send`](Self::send).
    ///
    /// # Errors
    ///
    /// See [`send`](Self::send).
    fn send_vectored(&mut self, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
        let mut taken: usize = 0;
        for piece in pieces.iter().filter(|piece| !piece.is_empty()) {
            match self.send(piece) {
                Ok(n) if n == piece.len() => taken = taken.saturating_add(n),
                Ok(n) => return Ok(taken.saturating_add(n)),
                // Report the bytes taken first (law 11). The next call returns the error again.
                Err(_) if taken > 0 => break,
                Err(error) => return Err(error),
            }
        }
        Ok(taken)
    }

    /// Ends the sending direction; the peer reads what was sent, then the end of the stream.
    ///
    /// # Errors
    ///
    /// The system's error. A transport that is already disconnected is not an error.
    fn shutdown_write(&mut self) -> io::Result<()>;

    /// Requests that small pieces are sent at once (`TCP_NODELAY`).
    ///
    /// Transports that never delay do nothing.
    ///
    /// # Errors
    ///
    /// The system's error.
    fn set_nodelay(&mut self) -> io::Result<()> {
        Ok(())
    }

    /// Returns whether it holds input that the poller will not announce.
    ///
    /// A TLS transport, for example, may hold decrypted bytes that were not yet received. A `recv` that stops
    /// early although it holds input counts as 64 KiB of the bytes that a call of a stream receives
    /// ([`Limits::call_bytes`](crate::Limits::call_bytes)), because it may have been much work.
    fn holds_input(&self) -> bool {
        false
    }

    /// Returns whether the transport itself waits to become writable.
    ///
    /// A TLS transport, for example, may hold records that the socket has not taken, or be in the middle of a
    /// handshake.
    fn wants_write(&self) -> bool {
        false
    }

    /// Sends the bytes held inside (see [`wants_write`](Self::wants_write)).
    ///
    /// # Errors
    ///
    /// `WouldBlock` if some of them are left, else the system's error.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
