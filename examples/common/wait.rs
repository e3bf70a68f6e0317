//! Waiting for a client's stream, and for an input beside it, with `poll(2)` or `WSAPoll`.

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fd::{AsFd, BorrowedFd};
use std::io::{self, ErrorKind};
use websocket_stream::client::Transport;
use websocket_stream::{Ready, WebSocketStream};

/// Waits until the socket or the input is ready, or for `timeout` milliseconds. Returns what is ready.
pub(crate) fn wait(
    stream: &WebSocketStream<Transport>,
    input: Option<BorrowedFd<'_>>,
    timeout: Option<u64>,
) -> io::Result<(Ready, bool)> {
    let wants = stream.wants();
    let mut flags = PollFlags::empty();
    flags.set(PollFlags::IN, wants.read);
    flags.set(PollFlags::OUT, wants.write);
    let socket = stream.as_fd();
    let mut fds = vec![PollFd::from_borrowed_fd(socket, flags)];
    fds.extend(input.map(|input| PollFd::from_borrowed_fd(input, PollFlags::IN)));
    let timeout = timeout.map(|millis| Timespec {
        tv_sec: i64::try_from(millis / 1000).unwrap_or(i64::MAX),
        tv_nsec: (millis % 1000 * 1_000_000) as _,
    });
    match poll(&mut fds, timeout.as_ref()) {
        Err(error) if io::Error::from(error).kind() != ErrorKind::Interrupted => return Err(error.into()),
        _ => {}
    }
    let found = fds[0].revents();
    let ready = Ready {
        // On Windows, `IN` has two bits, of which one is reported.
        readable: found.intersects(PollFlags::IN),
        writable: found.intersects(PollFlags::OUT),
        closed: found.intersects(PollFlags::ERR | PollFlags::HUP),
    };
    Ok((ready, fds.get(1).is_some_and(|input| !input.revents().is_empty())))
}
