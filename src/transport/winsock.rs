//! Windows' sockets as transports, by std's calls.
//!
//! Each call is a function of a shared reference to a stream, which mio's streams also have.
#![forbid(unsafe_code)]

use super::NonBlockingTransport;
use std::io::{self, ErrorKind, IoSlice, Read, Write};
use std::net::{Shutdown, TcpStream};

/// The maximum number of pieces in one call. Windows has none, but Wine passes them to a `sendmsg`.
const MAX_PIECES: usize = 1024;

/// `WSAESHUTDOWN`: the sending direction has ended.
const ESHUTDOWN: i32 = 10058;

/// `WSAENOBUFS`: the system has not enough memory for all the bytes of a call.
const ENOBUFS: i32 = 10055;

/// A send that fails with [`ENOBUFS`] is tried again with this many bytes.
const SMALL: usize = 64 << 10;

#[inline]
pub(super) fn recv(mut stream: impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    uninterrupted(|| stream.read(buffer))
}

#[inline]
pub(super) fn send(mut stream: impl Write, bytes: &[u8]) -> io::Result<usize> {
    match uninterrupted(|| stream.write(bytes)) {
        Err(error) if is_too_much(&error) => match bytes.get(..SMALL) {
            Some(first) => uninterrupted(|| stream.write(first)),
            None => Err(error),
        },
        outcome => outcome,
    }
}

/// Sends the first [`MAX_PIECES`] of `pieces`; the others count as not accepted.
pub(super) fn send_vectored(mut stream: impl Write, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
    let pieces = &pieces[..pieces.len().min(MAX_PIECES)];
    match uninterrupted(|| stream.write_vectored(pieces)) {
        Err(error) if is_too_much(&error) => match pieces.iter().find(|piece| !piece.is_empty()) {
            Some(first) => send(stream, first),
            None => Err(error),
        },
        outcome => outcome,
    }
}

/// Returns the outcome of a shutdown, or of setting an option: if the connection was reset, no direction is
/// left to end and nothing to set.
pub(super) fn unless_gone(outcome: io::Result<()>) -> io::Result<()> {
    match outcome {
        Err(error) if is_gone(&error) => Ok(()),
        outcome => outcome,
    }
}

fn is_gone(error: &io::Error) -> bool {
    error.raw_os_error() == Some(ESHUTDOWN)
        || matches!(
            error.kind(),
            ErrorKind::NotConnected | ErrorKind::ConnectionReset | ErrorKind::ConnectionAborted
        )
}

fn is_too_much(error: &io::Error) -> bool {
    error.raw_os_error() == Some(ENOBUFS)
}

fn uninterrupted(mut call: impl FnMut() -> io::Result<usize>) -> io::Result<usize> {
    loop {
        match call() {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            outcome => return outcome,
        }
    }
}

impl NonBlockingTransport for TcpStream {
    fn set_nonblocking(&mut self) -> io::Result<()> {
        TcpStream::set_nonblocking(self, true)
    }

    #[inline(always)]
    fn recv(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        recv(self, buffer)
    }

    #[inline(always)]
    fn send(&mut self, bytes: &[u8]) -> io::Result<usize> {
        send(self, bytes)
    }

    fn send_vectored(&mut self, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
        send_vectored(self, pieces)
    }

    fn shutdown_write(&mut self) -> io::Result<()> {
        unless_gone(self.shutdown(Shutdown::Write))
    }

    fn set_nodelay(&mut self) -> io::Result<()> {
        unless_gone(TcpStream::set_nodelay(self, true))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A writer that refuses more than [`SMALL`] bytes at once, and is interrupted first.
    struct Tight {
        calls: Vec<usize>,
    }

    impl Write for Tight {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.calls.push(bytes.len());
            match bytes.len() {
                _ if self.calls.len() == 1 => Err(ErrorKind::Interrupted.into()),
                0..=SMALL => Ok(bytes.len()),
                _ => Err(io::Error::from_raw_os_error(ENOBUFS)),
            }
        }

        fn write_vectored(&mut self, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
            self.write(&vec![0; pieces.iter().map(|piece| piece.len()).sum()])
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn what_exceeds_the_memory_of_the_system_is_sent_in_part() {
        let bytes = vec![7; SMALL + 1];
        let mut tight = Tight { calls: Vec::new() };
        assert_eq!(send(&mut tight, &bytes).unwrap(), SMALL);
        assert_eq!(tight.calls, [SMALL + 1, SMALL + 1, SMALL]);
        let mut tight = Tight { calls: Vec::new() };
        let pieces = [&[][..], &[1, 2], &bytes].map(IoSlice::new);
        assert_eq!(send_vectored(&mut tight, &pieces).unwrap(), 2);
        assert_eq!(tight.calls, [SMALL + 3, SMALL + 3, 2]);
    }

    #[test]
    fn only_a_connection_that_is_gone_has_nothing_to_end() {
        for gone in [ESHUTDOWN, 10053, 10054, 10057] {
            assert!(unless_gone(Err(io::Error::from_raw_os_error(gone))).is_ok(), "{gone}");
        }
        let error = unless_gone(Err(io::Error::from_raw_os_error(10038))).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(10038));
    }
}
