//! What an event loop reports to a stream, and what the stream wants from the event loop.
#![forbid(unsafe_code)]

use crate::protocol::SendError;
use std::ops::BitOr;

/// The readiness of a stream, as the event loop reports it.
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
    /// The transport has bytes to receive, or its stream has ended.
    pub readable: bool,
    /// The transport can take bytes.
    pub writable: bool,
    /// The peer has ended its sending direction, the connection has failed, or urgent data has arrived
    /// (`EPOLLRDHUP`, `EPOLLHUP`, `EPOLLERR`, `EPOLLPRI`).
    ///
    /// The call then receives until nothing is left, because an edge-triggered poller announces these events
    /// only once. With a level-triggered poller, wait for `EPOLLRDHUP` and `EPOLLPRI` only while
    /// [`Wants::read`] is set.
    pub closed: bool,
}

impl Ready {
    /// Nothing is ready: for a call at a deadline.
    pub const NONE: Self = Self { readable: false, writable: false, closed: false };
    /// The transport has bytes to receive, or its stream has ended.
    pub const READABLE: Self = Self { readable: true, writable: false, closed: false };
    /// The transport can take bytes.
    pub const WRITABLE: Self = Self { readable: false, writable: true, closed: false };
    /// Anything may be ready: for the first call, and for event loops that cannot distinguish.
    ///
    /// The call receives until nothing is left, which takes one system call more than
    /// [`READABLE`](Self::READABLE).
    pub const UNKNOWN: Self = Self { readable: true, writable: true, closed: true };
}

/// Combines two reports, if the stream was not called between them.
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

/// Converts mio's report on a socket.
///
/// ```no_run
/// use mio::net::TcpStream;
/// use mio::{Events, Interest, Poll, Token};
/// use websocket_stream::{Ready, Scratch, WebSocketStream};
///
/// let (mut poll, mut events) = (Poll::new()?, Events::with_capacity(1024));
/// let mut socket = TcpStream::connect("127.0.0.1:9001".parse()?)?;
/// // On Linux, add `Interest::PRIORITY`: a receive stops early at urgent data.
/// poll.registry().register(&mut socket, Token(0), Interest::READABLE | Interest::WRITABLE)?;
/// # let mut scratch = Scratch::new();
/// # let now = 0;
/// # let mut stream = WebSocketStream::client(socket)?; // after an opening handshake
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

/// What a stream wants from the event loop now.
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
/// // The keys of the streams to call again, after all ready ones.
/// let mut later = VecDeque::new();
/// # let (key, mut events) = (7, 0);
/// # let mut drive = |ready| -> std::io::Result<Wants> {
/// #     stream.drive(&mut scratch.at(now), ready, |_, _| {
/// #         events += 1;
/// #         Ok(())
/// #     })
/// # };
/// let mut serve = |ready| -> Result<(), Error> {
///     let Wants { read, write, again, closed, .. } = drive(ready)?;
///     if again {
///         later.push_back(key);
///     }
///     if closed {
///         // Drop the stream, which closes its socket.
///     } else {
///         // If `read` or `write` has changed, update the poller. An edge-triggered
///         // poller needs no update: register both directions once.
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
/// # assert_eq!((events, turns), (3, 3));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[must_use]
#[non_exhaustive]
// Fits in one register.
#[repr(align(8))]
pub struct Wants {
    /// Call when the transport is readable.
    pub read: bool,
    /// Call when the transport is writable: bytes are unsent.
    pub write: bool,
    /// Call again with [`Ready::READABLE`], after the other ready streams: the poller does not announce the
    /// remaining work.
    pub again: bool,
    /// The connection is closed: drop the stream.
    ///
    /// If `again` is set too, a call that only sends has failed: before you drop the stream, one more
    /// [`drive`](super::WebSocketStream::drive) delivers the peer's remaining messages and the end.
    pub closed: bool,
    /// The error of a refused send, if the handler returned that error.
    ///
    /// Only [`drive`](super::WebSocketStream::drive) sets this. The call stopped after that event, and
    /// `again` is set. After [`SendError::Full`], you may wait until the stream is writable instead of
    /// calling again: unused input is kept.
    pub refused: Option<SendError>,
}

impl Wants {
    /// Only `read` is set: what an open connection without unsent bytes wants.
    pub const READ: Self = Self { read: true, write: false, again: false, closed: false, refused: None };
}
