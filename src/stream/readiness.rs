//! What an event loop reports to a stream, and what the stream wants of it.
#![forbid(unsafe_code)]

use crate::protocol::SendError;
use std::ops::BitOr;

/// Reports what the event loop saw.
///
/// ```
/// use websocket_stream::Ready;
///
/// let ready = Ready { readable: true, ..Ready::NONE };
/// assert!(!ready.writable);
/// assert_eq!(ready | Ready::WRITABLE, Ready { closed: false, ..Ready::UNKNOWN });
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ready {
    /// The stream can be received from, or has ended.
    pub readable: bool,
    /// The stream can be sent on.
    pub writable: bool,
    /// The peer has ended its sending direction, the connection has failed, or urgent data has arrived
    /// (`EPOLLRDHUP`, `EPOLLHUP`, `EPOLLERR`, `EPOLLPRI`).
    ///
    /// The call then receives until nothing is left, because an edge-triggered poller announces this only
    /// once. With a level-triggered one, wait for `EPOLLRDHUP` and `EPOLLPRI` only while
    /// [`Wants::read`] is set.
    pub closed: bool,
}

impl Ready {
    /// Nothing is ready: for a call because of a deadline.
    pub const NONE: Self = Self { readable: false, writable: false, closed: false };
    /// The stream can be received from.
    pub const READABLE: Self = Self { readable: true, writable: false, closed: false };
    /// The stream can be sent on.
    pub const WRITABLE: Self = Self { readable: false, writable: true, closed: false };
    /// Anything may be ready: for loops that do not know, and for the first call.
    ///
    /// The call receives until nothing is left: one system call more than with
    /// [`READABLE`](Self::READABLE).
    pub const UNKNOWN: Self = Self { readable: true, writable: true, closed: true };
}

/// Combines two reports, for a stream that was not called between them.
impl BitOr for Ready {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self {
            readable: self.readable || other.readable,
            writable: self.writable || other.writable,
            closed: self.closed || other.closed,
        }
    }
}

/// Converts what mio reports about a socket.
///
/// ```no_run
/// use mio::net::TcpStream;
/// use mio::{Events, Interest, Poll, Token};
/// use websocket_stream::{Ready, Scratch, WebSocketStream};
///
/// let (mut poll, mut events) = (Poll::new()?, Events::with_capacity(1024));
/// let mut socket = TcpStream::connect("127.0.0.1:9001".parse()?)?;
/// poll.registry().register(&mut socket, Token(0), Interest::READABLE | Interest::WRITABLE)?;
/// # let mut scratch = Scratch::new();
/// # let now = 0;
/// # let mut stream = WebSocketStream::client(socket)?; // an opening comes before it
/// poll.poll(&mut events, None)?;
/// for event in &events {
///     let wants = stream.drive(&mut scratch.at(now), Ready::from(event), |_, _| Ok(()))?;
/// #    let _ = wants;
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[cfg(feature = "mio")]
impl From<&mio::event::Event> for Ready {
    fn from(event: &mio::event::Event) -> Self {
        Self {
            readable: event.is_readable(),
            writable: event.is_writable(),
            closed: event.is_read_closed() || event.is_error() || event.is_priority(),
        }
    }
}

/// Reports what a stream wants of the event loop now.
///
/// ```
/// # use std::collections::VecDeque;
/// # use std::sync::Arc;
/// # use websocket_stream::transport::testing::memory;
/// # use websocket_stream::{Config, Error, Limits, NonBlockingTransport, Role, Scratch};
/// use websocket_stream::{Ready, Wants, WebSocketStream};
/// # let limits = Limits::default().call_events(1);
/// # let config = Arc::new(Config::default().limits(limits));
/// # let (a, mut peer) = memory::pair(4096);
/// # let mut stream = WebSocketStream::with_config(a, Role::Server, config)?;
/// # let (mut scratch, now) = (Scratch::new(), 0);
/// # peer.send(b"\x82\x81\0\0\0\0a\x82\x81\0\0\0\0b\x82\x81\0\0\0\0c")?;
///
/// // The keys of streams to call again after all ready ones.
/// let mut later = VecDeque::new();
/// # let (key, mut heard) = (7, 0);
/// # let mut drive = |ready| -> std::io::Result<Wants> {
/// #     stream.drive(&mut scratch.at(now), ready, |_, _| {
/// #         heard += 1;
/// #         Ok(())
/// #     })
/// # };
/// let mut serve = |ready| -> Result<(), Error> {
///     let Wants { read, write, again, closed, .. } = drive(ready)?;
///     if again {
///         later.push_back(key);
///     }
///     if closed {
///         // Drop the stream; that closes its socket.
///     } else {
///         // Wait for `read` and `write`, if that has changed. With an edge-triggered
///         // poller, both were registered in the beginning.
/// #         let _ = (read, write);
///     }
///     Ok(())
/// };
/// serve(Ready::READABLE)?;
/// # drop(serve);
/// # let mut turns = 0;
/// while let Some(key) = later.pop_front() {
/// #     let _ = key;
/// #     turns += 1;
/// #     if drive(Ready::READABLE)?.again {
/// #         later.push_back(key);
/// #     }
/// }
/// # assert_eq!((heard, turns), (3, 3));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[must_use]
#[non_exhaustive]
// In one register.
#[repr(align(8))]
pub struct Wants {
    /// Call when the stream can be received from.
    pub read: bool,
    /// Call when the stream can be sent on: bytes are unsent.
    pub write: bool,
    /// Call again with [`Ready::READABLE`] after the other ready streams: no readiness will announce the
    /// work that is left.
    pub again: bool,
    /// The connection is closed: drop the stream.
    ///
    /// If `again` is set too, a call that only sends has failed: one more
    /// [`drive`](super::WebSocketStream::drive) before dropping delivers what the peer had sent, and the end.
    pub closed: bool,
    /// Why the connection refused to send a message, if the handler returned that error.
    ///
    /// The call stopped behind that event, and `again` is set. Only
    /// [`drive`](super::WebSocketStream::drive) sets it. After [`SendError::Full`], you may wait until the
    /// stream is writable instead of calling again: unused input is kept.
    pub refused: Option<SendError>,
}

impl Wants {
    /// To receive, and nothing else: what an open connection without unsent bytes wants.
    pub const READ: Self = Self { read: true, write: false, again: false, closed: false, refused: None };
}
