//! Waiting for descriptors, for the blocking conveniences.

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fd::BorrowedFd;
use std::io::{self, ErrorKind};
use std::time::{Duration, Instant};

/// A descriptor to wait for; on Windows, a socket.
///
/// See the example of [`Dial`](super::Dial).
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct Watch<'a> {
    /// The descriptor. On Windows, a `BorrowedSocket`.
    pub fd: BorrowedFd<'a>,
    /// Whether to wait until it is readable.
    pub read: bool,
    /// Whether to wait until it is writable.
    pub write: bool,
}

/// Returns the milliseconds since a time.
pub(super) fn millis_since(start: Instant) -> u64 {
    u64::try_from(start.elapsed().as_millis()).unwrap_or(u64::MAX)
}

/// Returns milliseconds, rounded up.
pub(super) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX)
}

/// The longest wait, in milliseconds: some systems refuse one of a month.
const LONGEST: u64 = 24 * 60 * 60 * 1000;

/// Waits until a descriptor is ready, for `timeout` milliseconds, or for a day.
pub(super) fn wait(watches: &[Watch<'_>], timeout: Option<u64>) -> io::Result<()> {
    let mut fds: Vec<_> = watches
        .iter()
        .map(|watch| {
            let mut flags = PollFlags::empty();
            flags.set(PollFlags::IN, watch.read);
            flags.set(PollFlags::OUT, watch.write);
            PollFd::from_borrowed_fd(watch.fd, flags)
        })
        .collect();
    let timeout = timeout.map(|timeout| timeout.min(LONGEST)).map(|timeout| Timespec {
        tv_sec: (timeout / 1000) as _,
        tv_nsec: (timeout % 1000 * 1_000_000) as _,
    });
    match poll(&mut fds, timeout.as_ref()) {
        Ok(_) => Ok(()),
        Err(error) if io::Error::from(error).kind() == ErrorKind::Interrupted => Ok(()),
        Err(error) => Err(error.into()),
    }
}
