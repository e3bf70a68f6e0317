//! Stream sockets as transports: the system calls, for any type with a descriptor.
//!
//! This is the only module that calls libc. Each call is a function of a [`BorrowedFd`], whose descriptor is
//! open while it is borrowed. `descriptor_transport!` implements the trait for types that have [`AsFd`].
#![allow(unsafe_code)]

use super::NonBlockingTransport;
use std::ffi::c_int;
use std::io::{self, IoSlice, IoSliceMut};
use std::net::TcpStream;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;

/// The maximum number of pieces in one `sendmsg` (`IOV_MAX`); more fail with `EMSGSIZE`. On systems that are
/// not listed, POSIX's minimum, which illumos and AIX have.
const MAX_PIECES: usize = if cfg!(any(
    target_os = "linux",
    target_os = "android",
    target_os = "freebsd",
    target_os = "dragonfly",
    target_os = "netbsd",
    target_os = "openbsd",
    target_os = "haiku",
    target_vendor = "apple",
)) {
    1024
} else {
    16
};

/// The maximum number of bytes in one call on Apple's systems; more fail with `EINVAL`. Others move a part.
const MAX_BYTES: usize = c_int::MAX as usize;

/// Returns how many of `len` bytes one call is given.
#[inline(always)]
fn in_one_call(len: usize) -> usize {
    if cfg!(target_vendor = "apple") { len.min(MAX_BYTES) } else { len }
}

/// All holders of a socket, after `dup` or `fork`, share its mode, and any of them may clear it. This flag
/// keeps each call from blocking nevertheless.
#[cfg(not(target_os = "aix"))]
const RECV_FLAGS: c_int = libc::MSG_DONTWAIT;
#[cfg(target_os = "aix")]
const RECV_FLAGS: c_int = libc::MSG_NONBLOCK;

/// See [`RECV_FLAGS`]. Also, a peer that is gone raises no `SIGPIPE`.
#[cfg(not(any(target_vendor = "apple", target_os = "redox")))]
const SEND_FLAGS: c_int = RECV_FLAGS | libc::MSG_NOSIGNAL;

/// See [`RECV_FLAGS`]. On Apple's systems a socket option prevents `SIGPIPE`, set by [`set_nonblocking`].
/// Redox has neither the flag nor the option.
#[cfg(any(target_vendor = "apple", target_os = "redox"))]
const SEND_FLAGS: c_int = RECV_FLAGS;

/// Sets `O_NONBLOCK`, and keeps the other flags.
pub(super) fn set_nonblocking(fd: BorrowedFd<'_>) -> io::Result<()> {
    // SAFETY: F_GETFL takes no argument and touches no memory; `fd` is open while it is borrowed.
    let flags = checked(unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_GETFL) })?;
    if flags & libc::O_NONBLOCK == 0 {
        // SAFETY: F_SETFL takes an int and touches no memory; `fd` is open while it is borrowed.
        checked(unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_SETFL, flags | libc::O_NONBLOCK) })?;
    }
    #[cfg(target_vendor = "apple")]
    turn_on(fd, libc::SOL_SOCKET, libc::SO_NOSIGPIPE)?;
    Ok(())
}

#[inline]
pub(super) fn recv(fd: BorrowedFd<'_>, buffer: &mut [u8]) -> io::Result<usize> {
    transferred(|| {
        // SAFETY: the kernel writes at most `buffer.len()` bytes to `buffer`, which is borrowed for this call
        // alone; `fd` is open while it is borrowed.
        unsafe {
            let room = in_one_call(buffer.len());
            libc::recv(fd.as_raw_fd(), buffer.as_mut_ptr().cast(), room, RECV_FLAGS)
        }
    })
}

#[inline]
pub(super) fn send(fd: BorrowedFd<'_>, bytes: &[u8]) -> io::Result<usize> {
    transferred(|| {
        // SAFETY: the kernel reads at most `bytes.len()` bytes from `bytes`, which is borrowed during the
        // call; `fd` is open while it is borrowed.
        unsafe {
            let len = in_one_call(bytes.len());
            libc::send(fd.as_raw_fd(), bytes.as_ptr().cast(), len, SEND_FLAGS)
        }
    })
}

/// Receives from a socket that may be a Unix socket.
///
/// A descriptor that the peer passes ends a receive early, so this continues after it. The descriptor is not
/// accepted, and the system closes it. Linux reports that there was one; on other systems, the next call
/// receives the rest.
#[inline]
pub(super) fn recv_past_descriptors(fd: BorrowedFd<'_>, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    loop {
        let room = in_one_call(buffer.len() - filled);
        let mut piece = IoSliceMut::new(&mut buffer[filled..][..room]);
        // SAFETY: a `msghdr` consists of integers and pointers, for which zero is valid: no address, no room
        // for ancillary data, no pieces. Some systems give it private fields, which rules out a literal.
        let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
        // The documentation of `IoSliceMut` guarantees the layout of `iovec`.
        message.msg_iov = (&raw mut piece).cast();
        message.msg_iovlen = 1;
        let received = transferred(|| {
            // SAFETY: `message` names one piece, a slice that is borrowed for this iteration alone, and the
            // kernel writes at most its length; `fd` is open while it is borrowed.
            unsafe { libc::recvmsg(fd.as_raw_fd(), &raw mut message, RECV_FLAGS) }
        });
        let n = match received {
            // Report the bytes received first. The next call returns the error again.
            Err(_) if filled > 0 => 0,
            received => received?,
        };
        filled += n;
        let was_passed = message.msg_flags & libc::MSG_CTRUNC != 0;
        if n == 0 || !was_passed || filled == buffer.len() {
            return Ok(filled);
        }
    }
}

/// Sends the first [`MAX_PIECES`] of `pieces`, on Apple's systems at most [`MAX_BYTES`] of them. The others
/// count as not accepted.
pub(super) fn send_vectored(fd: BorrowedFd<'_>, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
    let pieces = if cfg!(target_vendor = "apple") { within(pieces, MAX_BYTES) } else { pieces };
    if cfg!(target_vendor = "apple")
        && let [whole] = pieces
    {
        return send(fd, whole);
    }
    // SAFETY: a `msghdr` consists of integers and pointers, for which zero is valid: no address, no ancillary
    // data, no pieces. Some systems give it private fields, which rules out a literal.
    let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
    // The documentation of `IoSlice` guarantees the layout of `iovec`. The kernel only reads the list.
    message.msg_iov = pieces.as_ptr().cast_mut().cast();
    message.msg_iovlen = pieces.len().min(MAX_PIECES) as _;
    transferred(|| {
        // SAFETY: `message` names at most `pieces.len()` pieces, slices that are borrowed during the call and
        // only read; `fd` is open while it is borrowed.
        unsafe { libc::sendmsg(fd.as_raw_fd(), &raw const message, SEND_FLAGS) }
    })
}

/// Returns the first pieces: as many as have at most `most` bytes together, but at least one.
fn within<'a, 'b>(pieces: &'a [IoSlice<'b>], most: usize) -> &'a [IoSlice<'b>] {
    let mut left = most;
    let fitting = pieces.iter().take_while(|piece| {
        let fits = piece.len() <= left;
        left = left.saturating_sub(piece.len());
        fits
    });
    &pieces[..fitting.count().max(1).min(pieces.len())]
}

pub(super) fn shutdown_write(fd: BorrowedFd<'_>) -> io::Result<()> {
    // SAFETY: the arguments are two integers; `fd` is open while it is borrowed.
    match checked(unsafe { libc::shutdown(fd.as_raw_fd(), libc::SHUT_WR) }) {
        // The peer has reset the connection, so no direction is left to end. Linux returns the first, FreeBSD
        // the second, other BSDs and Apple's systems the third: the arguments of the call are valid.
        Err(error)
            if matches!(error.raw_os_error(), Some(libc::ENOTCONN | libc::ECONNRESET | libc::EINVAL)) =>
        {
            Ok(())
        }
        outcome => outcome.map(drop),
    }
}

/// Sets `TCP_NODELAY`, if the socket is a TCP socket.
pub(super) fn set_nodelay(fd: BorrowedFd<'_>) -> io::Result<()> {
    match turn_on(fd, libc::IPPROTO_TCP, libc::TCP_NODELAY) {
        // Unix sockets reject TCP's options with one of these: Linux with the first, others with the second
        // or third. Some systems also return the third for a closed connection.
        Err(error)
            if matches!(error.raw_os_error(), Some(libc::EOPNOTSUPP | libc::ENOPROTOOPT | libc::EINVAL)) =>
        {
            Ok(())
        }
        outcome => outcome,
    }
}

/// Sets a socket option to 1.
fn turn_on(fd: BorrowedFd<'_>, level: c_int, option: c_int) -> io::Result<()> {
    let on: c_int = 1;
    let size = (c_int::BITS / 8) as libc::socklen_t;
    // SAFETY: the kernel reads `size` bytes from `on`, which has that size and outlives the call; `fd` is
    // open while it is borrowed.
    checked(unsafe { libc::setsockopt(fd.as_raw_fd(), level, option, (&raw const on).cast(), size) })?;
    Ok(())
}

/// Returns the result of a call, or its errno as an error.
fn checked(returned: c_int) -> io::Result<c_int> {
    if returned < 0 { Err(io::Error::last_os_error()) } else { Ok(returned) }
}

/// Returns the number of bytes that a call moved, or its errno as an error. Retries interrupted calls.
#[inline]
fn transferred(mut call: impl FnMut() -> libc::ssize_t) -> io::Result<usize> {
    loop {
        match usize::try_from(call()) {
            Ok(n) => return Ok(n),
            Err(_) => unless_interrupted()?,
        }
    }
}

/// Returns the errno as an error, unless the call was interrupted.
#[cold]
#[inline(never)]
fn unless_interrupted() -> io::Result<()> {
    let error = io::Error::last_os_error();
    if error.kind() == io::ErrorKind::Interrupted { Ok(()) } else { Err(error) }
}

macro_rules! descriptor_transport {
    ($($(#[$doc:meta])* $stream:ty: $recv:ident),+ $(,)?) => {$(
        $(#[$doc])*
        impl NonBlockingTransport for $stream {
            fn set_nonblocking(&mut self) -> io::Result<()> {
                set_nonblocking(self.as_fd())
            }

            #[inline(always)]
            fn recv(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
                $recv(self.as_fd(), buffer)
            }

            #[inline(always)]
            fn send(&mut self, bytes: &[u8]) -> io::Result<usize> {
                send(self.as_fd(), bytes)
            }

            fn send_vectored(&mut self, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
                send_vectored(self.as_fd(), pieces)
            }

            fn shutdown_write(&mut self) -> io::Result<()> {
                shutdown_write(self.as_fd())
            }

            fn set_nodelay(&mut self) -> io::Result<()> {
                set_nodelay(self.as_fd())
            }
        }
    )+};
}

descriptor_transport! {
    TcpStream: recv,
    UnixStream: recv_past_descriptors,
    /// A stream socket, TCP or Unix. Other descriptors fail with `ENOTSOCK`.
    OwnedFd: recv_past_descriptors,
    /// The descriptor of a stream socket that another type owns, such as a type of a runtime or poller. Wrap
    /// that type, and forward to its `as_fd()`.
    BorrowedFd<'_>: recv_past_descriptors,
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::ErrorKind;
    use std::mem::MaybeUninit;

    fn flags(fd: BorrowedFd<'_>) -> c_int {
        // SAFETY: F_GETFL touches no memory; `fd` is open.
        checked(unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_GETFL) }).unwrap()
    }

    #[test]
    fn set_nonblocking_keeps_the_other_flags() {
        let (mut stream, _peer) = UnixStream::pair().unwrap();
        let before = flags(stream.as_fd()) | libc::O_APPEND;
        // SAFETY: F_SETFL touches no memory; the descriptor is open.
        checked(unsafe { libc::fcntl(stream.as_raw_fd(), libc::F_SETFL, before) }).unwrap();
        assert_eq!(before & libc::O_NONBLOCK, 0);
        for _ in 0..2 {
            NonBlockingTransport::set_nonblocking(&mut stream).unwrap();
            assert_eq!(flags(stream.as_fd()), before | libc::O_NONBLOCK);
        }
    }

    #[test]
    fn calls_do_not_block_if_another_holder_of_the_socket_has_cleared_the_mode() {
        let (mut stream, _peer) = UnixStream::pair().unwrap();
        stream.set_nonblocking(false).unwrap();
        assert_eq!(stream.recv(&mut [0]).unwrap_err().kind(), ErrorKind::WouldBlock);
        let full = loop {
            if let Err(error) = NonBlockingTransport::send(&mut stream, &[7; 4096]) {
                break error;
            }
        };
        assert_eq!(full.kind(), ErrorKind::WouldBlock);
        assert_eq!(stream.send_vectored(&[IoSlice::new(&[7])]).unwrap_err().kind(), ErrorKind::WouldBlock);
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn an_interrupted_call_is_retried_and_other_errors_keep_their_errno() {
        let mut calls = 0;
        let outcome = transferred(|| {
            calls += 1;
            let errno = if calls < 3 { libc::EINTR } else { libc::ENOBUFS };
            // SAFETY: errno belongs to the calling thread.
            unsafe { *libc::__errno_location() = errno };
            -1
        });
        assert_eq!((outcome.unwrap_err().raw_os_error(), calls), (Some(libc::ENOBUFS), 3));
    }

    #[test]
    fn the_first_pieces_have_at_most_the_bytes_of_one_call() {
        let pieces = [3, 4, 5].map(|len| IoSlice::new(&[7; 5][..len]));
        for (most, fitting) in [(0, 1), (2, 1), (3, 1), (6, 1), (7, 2), (11, 2), (12, 3), (usize::MAX, 3)] {
            assert_eq!(within(&pieces, most).len(), fitting, "{most}");
        }
        assert_eq!(within(&[], 5).len(), 0);
    }

    /// Returns whether `SIGPIPE` is pending for this thread.
    fn sigpipe_is_pending() -> bool {
        let mut set = MaybeUninit::<libc::sigset_t>::zeroed();
        // SAFETY: `set` is writable, and zeroed bytes are a valid set of signals.
        unsafe {
            assert_eq!(libc::sigpending(set.as_mut_ptr()), 0);
            libc::sigismember(set.as_ptr(), libc::SIGPIPE) == 1
        }
    }

    #[test]
    fn a_peer_that_is_gone_raises_no_signal() {
        // The signal is blocked in a separate thread, and stays pending until that thread ends.
        std::thread::spawn(|| {
            let mut set = MaybeUninit::<libc::sigset_t>::zeroed();
            // SAFETY: `set` is writable, and is emptied before use.
            unsafe {
                libc::sigemptyset(set.as_mut_ptr());
                libc::sigaddset(set.as_mut_ptr(), libc::SIGPIPE);
                let changed = libc::pthread_sigmask(libc::SIG_BLOCK, set.as_ptr(), std::ptr::null_mut());
                assert_eq!(changed, 0);
            }
            let (mut stream, peer) = UnixStream::pair().unwrap();
            drop(peer);
            let single = NonBlockingTransport::send(&mut stream, &[1]);
            let vectored = stream.send_vectored(&[IoSlice::new(&[1])]);
            assert_eq!(single.unwrap_err().raw_os_error(), Some(libc::EPIPE));
            assert_eq!(vectored.unwrap_err().raw_os_error(), Some(libc::EPIPE));
            assert!(!sigpipe_is_pending());
            // This test would have noticed a signal.
            // SAFETY: one byte is read from a slice of one byte; the descriptor is open.
            assert_eq!(unsafe { libc::send(stream.as_raw_fd(), [1u8].as_ptr().cast(), 1, 0) }, -1);
            assert!(sigpipe_is_pending());
        })
        .join()
        .unwrap();
    }

    #[test]
    fn a_descriptor_that_is_not_a_socket_returns_its_errno() {
        let (reader, _writer) = io::pipe().unwrap();
        let mut pipe = OwnedFd::from(reader);
        let errnos = [
            pipe.recv(&mut [0]).map(drop),
            pipe.send(&[0]).map(drop),
            pipe.send_vectored(&[IoSlice::new(&[0])]).map(drop),
            pipe.shutdown_write(),
            pipe.set_nodelay(),
        ]
        .map(|outcome| outcome.unwrap_err().raw_os_error());
        assert_eq!(errnos, [Some(libc::ENOTSOCK); 5]);
    }
}
