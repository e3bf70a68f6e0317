//! Calls to a transport that may break the laws.
//!
//! The stream floor and TLS make these, so that a broken transport causes an error, never an endless loop or
//! bytes that do not exist. No error here allocates.
#![forbid(unsafe_code)]

use super::NonBlockingTransport;
use std::io::{self, ErrorKind, IoSlice};

/// The longest slice of which std makes an [`IoSlice`] everywhere: on Windows, it panics from 4 GiB on.
pub(crate) const LONGEST_SLICE: usize = if cfg!(windows) { 1 << 30 } else { usize::MAX / 2 };

/// The outcome of [`recv_checked`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RecvOutcome {
    /// This many bytes are at the start of the buffer; 0 only if the buffer is empty.
    Bytes(usize),
    /// The end of the stream.
    End,
    /// No bytes have arrived.
    WouldBlock,
}

/// Receives bytes that have arrived. An empty `buffer` receives none, without a call.
///
/// # Errors
///
/// `InvalidData` if the transport claims more bytes than the buffer has (law 4), else the transport's error.
#[inline(always)]
pub(crate) fn recv_checked<T: NonBlockingTransport + ?Sized>(
    transport: &mut T,
    buffer: &mut [u8],
) -> io::Result<RecvOutcome> {
    if buffer.is_empty() {
        return Ok(RecvOutcome::Bytes(0));
    }
    loop {
        match transport.recv(buffer) {
            Ok(n) if n > 0 && n <= buffer.len() => return Ok(RecvOutcome::Bytes(n)),
            outcome => match none_moved(outcome)? {
                NoneMoved::Zero => return Ok(RecvOutcome::End),
                NoneMoved::WouldBlock => return Ok(RecvOutcome::WouldBlock),
                NoneMoved::Interrupted => {}
            },
        }
    }
}

/// Sends bytes, and returns how many the transport accepted; 0 if it accepts none now, or `bytes` is empty.
///
/// # Errors
///
/// `WriteZero` if the transport returns `Ok(0)` (law 3), `InvalidData` if it claims to have accepted more
/// bytes than there are (law 4), else the transport's error.
#[inline(always)]
pub(crate) fn send_checked<T: NonBlockingTransport + ?Sized>(
    transport: &mut T,
    bytes: &[u8],
) -> io::Result<usize> {
    taken(bytes.len(), || transport.send(bytes))
}

/// Sends several pieces as if they were one.
///
/// # Errors
///
/// See [`send_checked`].
#[inline]
pub(crate) fn send_vectored_checked<T: NonBlockingTransport + ?Sized>(
    transport: &mut T,
    pieces: &[IoSlice<'_>],
) -> io::Result<usize> {
    // The list may contain one slice often enough for the sum to overflow.
    let total = pieces.iter().fold(0, |sum: usize, piece| sum.saturating_add(piece.len()));
    taken(total, || transport.send_vectored(pieces))
}

/// Flushes what the transport holds, if anything. `WouldBlock` is not an error.
///
/// # Errors
///
/// The transport's error.
#[inline]
pub(crate) fn flush_checked<T: NonBlockingTransport + ?Sized>(transport: &mut T) -> io::Result<()> {
    if transport.wants_write()
        && let Err(error) = transport.flush()
        && error.kind() != ErrorKind::WouldBlock
    {
        return Err(error);
    }
    Ok(())
}

#[inline(always)]
fn taken(given: usize, mut call: impl FnMut() -> io::Result<usize>) -> io::Result<usize> {
    if given == 0 {
        return Ok(0);
    }
    loop {
        match call() {
            Ok(n) if n > 0 && n <= given => return Ok(n),
            outcome => match none_moved(outcome)? {
                NoneMoved::Zero => return Err(ErrorKind::WriteZero.into()),
                NoneMoved::WouldBlock => return Ok(0),
                NoneMoved::Interrupted => {}
            },
        }
    }
}

/// The reason why a call moved no bytes.
enum NoneMoved {
    /// It returned `Ok(0)`.
    Zero,
    WouldBlock,
    /// The call must be repeated.
    Interrupted,
}

/// Handles unusual outcomes: no bytes, more than there are, or an error.
#[cold]
#[inline(never)]
fn none_moved(outcome: io::Result<usize>) -> io::Result<NoneMoved> {
    match outcome {
        Ok(0) => Ok(NoneMoved::Zero),
        Ok(_) => Err(ErrorKind::InvalidData.into()),
        Err(error) => match error.kind() {
            ErrorKind::WouldBlock => Ok(NoneMoved::WouldBlock),
            ErrorKind::Interrupted => Ok(NoneMoved::Interrupted),
            _ => Err(error),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns its outcomes one by one, whatever the call.
    struct Unlawful(Vec<io::Result<usize>>);

    impl Unlawful {
        fn new<const N: usize>(outcomes: [Result<usize, ErrorKind>; N]) -> Self {
            Unlawful(outcomes.into_iter().rev().map(|outcome| outcome.map_err(io::Error::from)).collect())
        }
    }

    impl NonBlockingTransport for Unlawful {
        fn set_nonblocking(&mut self) -> io::Result<()> {
            Ok(())
        }

        fn recv(&mut self, _: &mut [u8]) -> io::Result<usize> {
            self.0.pop().unwrap()
        }

        fn send(&mut self, _: &[u8]) -> io::Result<usize> {
            self.0.pop().unwrap()
        }

        fn shutdown_write(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn received(outcome: Result<usize, ErrorKind>) -> Result<RecvOutcome, ErrorKind> {
        recv_checked(&mut Unlawful::new([outcome]), &mut [0; 4]).map_err(|error| error.kind())
    }

    #[test]
    fn bytes_the_end_and_no_bytes_are_distinguished() {
        assert_eq!(received(Ok(1)), Ok(RecvOutcome::Bytes(1)));
        assert_eq!(received(Ok(4)), Ok(RecvOutcome::Bytes(4)));
        assert_eq!(received(Ok(0)), Ok(RecvOutcome::End));
        assert_eq!(received(Err(ErrorKind::WouldBlock)), Ok(RecvOutcome::WouldBlock));
        assert_eq!(received(Err(ErrorKind::ConnectionReset)), Err(ErrorKind::ConnectionReset));
    }

    #[test]
    fn a_claim_of_more_bytes_than_the_buffer_has_is_refused() {
        assert_eq!(received(Ok(5)), Err(ErrorKind::InvalidData));
        assert_eq!(received(Ok(usize::MAX)), Err(ErrorKind::InvalidData));
    }

    #[test]
    fn an_empty_buffer_is_not_the_end_of_the_stream() {
        let mut unasked = Unlawful::new([Ok(0)]);
        assert_eq!(recv_checked(&mut unasked, &mut []).unwrap(), RecvOutcome::Bytes(0));
        assert_eq!(unasked.0.len(), 1);
    }

    /// Sends 4 bytes with both methods, which must agree.
    fn sent<const N: usize>(outcomes: [Result<usize, ErrorKind>; N]) -> Result<usize, ErrorKind> {
        let mut single = Unlawful::new(outcomes);
        let mut vectored = Unlawful::new(outcomes);
        let pieces = [IoSlice::new(b"a"), IoSlice::new(b""), IoSlice::new(b"bcd")];
        let outcome = send_checked(&mut single, b"abcd").map_err(|error| error.kind());
        let same = send_vectored_checked(&mut vectored, &pieces).map_err(|error| error.kind());
        assert_eq!(outcome, same);
        assert_eq!((single.0.len(), vectored.0.len()), (0, 0));
        outcome
    }

    #[test]
    fn a_send_that_returns_zero_is_an_error_and_one_that_would_block_is_not() {
        assert_eq!(sent([Ok(3)]), Ok(3));
        assert_eq!(sent([Ok(4)]), Ok(4));
        assert_eq!(sent([Ok(0)]), Err(ErrorKind::WriteZero));
        assert_eq!(sent([Ok(5)]), Err(ErrorKind::InvalidData));
        assert_eq!(sent([Err(ErrorKind::WouldBlock)]), Ok(0));
        assert_eq!(sent([Err(ErrorKind::BrokenPipe)]), Err(ErrorKind::BrokenPipe));
    }

    #[test]
    fn an_interruption_that_is_returned_is_retried() {
        let interrupted = Err(ErrorKind::Interrupted);
        assert_eq!(sent([interrupted, interrupted, Ok(2)]), Ok(2));
        let mut transport = Unlawful::new([interrupted, Ok(1)]);
        assert_eq!(recv_checked(&mut transport, &mut [0; 4]).unwrap(), RecvOutcome::Bytes(1));
    }

    #[test]
    fn sending_nothing_makes_no_call() {
        let mut unasked = Unlawful::new([]);
        assert_eq!(send_checked(&mut unasked, &[]).unwrap(), 0);
        assert_eq!(send_vectored_checked(&mut unasked, &[]).unwrap(), 0);
        assert_eq!(send_vectored_checked(&mut unasked, &[IoSlice::new(&[])]).unwrap(), 0);
    }
}
