//! What an event loop says to a stream, and what the stream says back.
#![forbid(unsafe_code)]

use crate::protocol::SendError;
use std::ops::BitOr;

/// What the event loop saw.
///
/// ```
/// use websocket_stream::Ready;
///
/// let ready = Ready { readable: true, ..Ready::NONE };
/// assert!(!ready.writable);
/// assert_eq!(ready | Ready::WRITABLE, Ready { closed: false, ..Ready::ALL });
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ready {
    /// Something can be received, or the stream has ended.
    pub readable: bool,
    /// Something can be sent.
    pub writable: bool,
    /// The peer has ended its sending direction, the connection has failed, or urgent data is there
    /// (`EPOLLRDHUP`, `EPOLLHUP`, `EPOLLERR`, `EPOLLPRI`): the stream is then received to its end, because
    /// an edge-triggered poller announces it only once. With a level-triggered one, wait for `EPOLLRDHUP` and
    /// `EPOLLPRI` only while [`Interest::readable`] is set.
    pub closed: bool,
}

impl Ready {
    /// Nothing: for a call because a deadline passed.
    pub const NONE: Self = Self { readable: false, writable: false, closed: false };
    /// Something can be received.
    pub const READABLE: Self = Self { readable: true, writable: false, closed: false };
    /// Something can be sent.
    pub const WRITABLE: Self = Self { readable: false, writable: true, closed: false };
    /// Anything may be: for loops that do not know, and for the first call. Receives until nothing is
    /// left, which costs a system call more than [`READABLE`](Self::READABLE).
    pub const ALL: Self = Self { readable: true, writable: true, closed: true };
}

/// What was seen at either time: for a stream that has not been called between.
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

/// What mio tells of a socket.
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
///     let interest = stream.drive(&mut scratch.at(now), Ready::from(event), |_, _| Ok(()))?;
/// #    let _ = interest;
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

/// What a stream wants of the event loop now.
///
/// ```
/// # use std::collections::VecDeque;
/// # use std::sync::Arc;
/// # use websocket_stream::transport::memory;
/// # use websocket_stream::{Config, Error, Limits, NonBlockingTransport, Role, Scratch};
/// use websocket_stream::{Interest, Ready, WebSocketStream};
/// # let limits = Limits { call_events: 1, ..Limits::default() };
/// # let config = Arc::new(Config { limits, ..Config::default() });
/// # let (a, mut peer) = memory::pair(4096);
/// # let mut stream = WebSocketStream::with_config(a, Role::Server, config)?;
/// # let (mut scratch, now) = (Scratch::new(), 0);
/// # peer.send(b"\x82\x81\0\0\0\0a\x82\x81\0\0\0\0b\x82\x81\0\0\0\0c")?;
///
/// // The keys of those that are called again when all that are ready have been called.
/// let mut later = VecDeque::new();
/// # let (key, mut heard) = (7, 0);
/// # let mut drive = |ready| -> std::io::Result<Interest> {
/// #     stream.drive(&mut scratch.at(now), ready, |_, _| {
/// #         heard += 1;
/// #         Ok(())
/// #     })
/// # };
/// let mut serve = |ready| -> Result<(), Error> {
///     let Interest { readable, writable, again, over, .. } = drive(ready)?;
///     if again {
///         later.push_back(key);
///     }
///     if over {
///         // Drop the stream; that closes its socket.
///     } else {
///         // Wait for `readable` and `writable`, if that has changed. An edge-triggered poller
///         // was told of both in the beginning.
/// #         let _ = (readable, writable);
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
// In one register.
#[repr(align(8))]
pub struct Interest {
    /// Call when something can be received.
    pub readable: bool,
    /// Call when something can be sent: bytes are unsent.
    pub writable: bool,
    /// Call again at once, after the others had their turn, with [`Ready::READABLE`]: there is more
    /// to do that no readiness will announce.
    pub again: bool,
    /// The connection is over: drop the stream. If `again` is set too, a call that only sends has met the
    /// failure: one more [`drive`](super::WebSocketStream::drive) before that gives what the peer had sent, and
    /// the end.
    pub over: bool,
    /// What the handler sent and the connection refused, if the handler returned that error. The call
    /// stopped behind that event, and `again` is set. Only [`drive`](super::WebSocketStream::drive) sets it.
    /// After [`SendError::Full`], you may wait until the stream is writable instead: what was received is kept.
    pub refused: Option<SendError>,
}

impl Interest {
    /// That of an open connection with nothing to send.
    pub(super) const TO_RECEIVE: Self =
        Self { readable: true, writable: false, again: false, over: false, refused: None };
}
