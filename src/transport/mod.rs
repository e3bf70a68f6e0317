//! Floor 2: what carries the bytes. [`NonBlockingTransport`] and its implementations.
//!
//! On Unix these are std's `TcpStream` and `UnixStream`, an `OwnedFd` or `BorrowedFd` of a stream socket, and
//! mio's streams (feature `mio`); everywhere, what lends or owns a transport. For tests there are a pair
//! in [`memory`], a [`scripted`] one and one that is [`faulty`]. [`laws`] checks that a transport
//! keeps the laws.

mod blanket;
mod checked;
pub mod faulty;
#[cfg(unix)]
mod fd;
pub mod laws;
pub mod memory;
#[cfg(all(unix, feature = "mio"))]
mod mio;
pub mod scripted;

pub(crate) use checked::{Received, flush_checked, recv_checked, send_checked, send_vectored_checked};

use std::io::{self, IoSlice};

/// A stream of bytes, in both directions, that never blocks.
///
/// The methods are not named `read` and `write`, so that they do not collide with those of
/// [`std::io::Read`] and [`std::io::Write`] on the same type.
///
/// # Laws
///
/// [`laws::check`] puts an implementation through them.
///
/// 1. **Nothing blocks.** What cannot be done at once gives an error of kind
///    [`WouldBlock`](io::ErrorKind::WouldBlock), and nothing was done.
/// 2. **`Ok(0)` from [`recv`](Self::recv)** into a buffer that is not empty is the end of the
///    stream, and it stays so.
/// 3. **`Ok(0)` from [`send`](Self::send)** of bytes that are not empty is forbidden: it tells the
///    caller neither to wait nor to give up. Callers treat it as an error of kind
///    [`WriteZero`](io::ErrorKind::WriteZero).
/// 4. **`Ok(n)` never exceeds what was given.** Callers refuse more, with an error of kind
///    [`InvalidData`](io::ErrorKind::InvalidData).
/// 5. **Interruptions are retried inside**: [`Interrupted`](io::ErrorKind::Interrupted) never comes
///    out.
/// 6. **Order and bytes are kept**, whatever the sizes of the pieces, and nothing fails while both
///    ends are there.
/// 7. **[`shutdown_write`](Self::shutdown_write) ends one direction only**: bytes already accepted
///    still reach the peer, and the peer's still arrive. A second call changes nothing. Sending
///    after it gives an error other than `WouldBlock`, at the latest once the transport's poller was
///    turned.
/// 8. **No signal is raised** when the peer is gone: sending gives an error, such as one of kind
///    [`BrokenPipe`](io::ErrorKind::BrokenPipe), at the latest once the system has noticed.
///    Receiving gives what had arrived, and then the end or an error.
/// 9. **Nothing is nothing.** An empty buffer takes no bytes, and sending no bytes sends none: both
///    give `Ok(0)` or `WouldBlock`, and neither says that the stream has ended.
/// 10. **It says what it holds.** Where [`holds_input`](Self::holds_input) says so, the next `recv`
///     does not give `WouldBlock`; where [`wants_write`](Self::wants_write) denies it,
///     [`flush`](Self::flush) has nothing to do and gives `Ok`; and after a `flush` that gave `Ok` it
///     denies it.
/// 11. **Less than all means no more now.** A `recv` that fills only a part of its buffer has taken
///     all that had arrived, except the end or what `holds_input` tells; a send, of at most 1,024
///     pieces, that takes only a part takes no more until the transport is said to be writable. Callers
///     rely on it: they wait then, without the call that would block. (Bytes may arrive, and be taken by
///     the peer, between two calls: the suite names this law if there was more most times that it
///     looked.) Two transports cannot keep it. A Unix socket stops a `recv` behind a passed descriptor, and only
///     Linux says so. TCP stops a `recv` at urgent data. No WebSocket sends either.
///     A poller announces urgent data as a priority event (`EPOLLPRI`); pass it on as
///     [`Ready::closed`](crate::Ready::closed), and the stream is received to its end.
/// 12. **It is announced again.** After a call that moved less than all or gave `WouldBlock`, the poller
///     announces the transport as soon as more can be moved, without a further call. Some pollers do so
///     only after a call that would block (mio with `poll(2)` and on Windows, tokio): a transport for such
///     a poller re-arms it by itself. [`laws::check_polled`] holds a transport and its poller to it.
pub trait NonBlockingTransport {
    /// Puts the transport into non-blocking mode (`O_NONBLOCK` on a descriptor).
    ///
    /// # Errors
    ///
    /// The system's, with its errno.
    fn set_nonblocking(&mut self) -> io::Result<()>;

    /// Takes bytes that have arrived into `buffer`; `Ok(0)` is the end of the stream.
    ///
    /// # Errors
    ///
    /// `WouldBlock` where nothing is there, else the system's.
    fn recv(&mut self, buffer: &mut [u8]) -> io::Result<usize>;

    /// Gives bytes to the transport, which may take only the first of them.
    ///
    /// # Errors
    ///
    /// `WouldBlock` where it takes none now, else the system's.
    fn send(&mut self, bytes: &[u8]) -> io::Result<usize>;

    /// Gives several pieces at once, in order, as if they were one. Where it is not overridden, with
    /// [`send`](Self::send), piece by piece.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send).
    fn send_vectored(&mut self, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
        let mut taken: usize = 0;
        for piece in pieces.iter().filter(|piece| !piece.is_empty()) {
            match self.send(piece) {
                Ok(n) if n == piece.len() => taken = taken.saturating_add(n),
                Ok(n) => return Ok(taken.saturating_add(n)),
                // What was taken is told first: law 11. The next call meets the error again.
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
    /// The system's. A transport that is already disconnected is no error.
    fn shutdown_write(&mut self) -> io::Result<()>;

    /// Asks that small pieces are sent at once (`TCP_NODELAY`). Transports that know no delay do
    /// nothing.
    ///
    /// # Errors
    ///
    /// The system's.
    fn set_nodelay(&mut self) -> io::Result<()> {
        Ok(())
    }

    /// Whether bytes are inside that no readiness of the descriptor will announce: what a TLS
    /// transport has decrypted and not yet handed out.
    fn holds_input(&self) -> bool {
        false
    }

    /// Whether the transport itself waits to be writable: a TLS transport with records that the
    /// socket has not taken, or in the middle of a handshake.
    fn wants_write(&self) -> bool {
        false
    }

    /// Sends what is held inside (see [`wants_write`](Self::wants_write)).
    ///
    /// # Errors
    ///
    /// `WouldBlock` where some of it is left, else the system's.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
