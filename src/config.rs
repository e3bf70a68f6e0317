//! Every limit and every timeout, with unit, default and reason.
#![forbid(unsafe_code)]
// Without `std` there is no stream, which alone uses some of what is here.
#![cfg_attr(not(feature = "std"), allow(dead_code))]

#[cfg(feature = "deflate")]
use crate::deflate::Deflate;
use crate::setters::setters;
use alloc::sync::Arc;
use core::time::Duration;

/// One end of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Role {
    /// The end that opened the connection. It masks what it sends.
    Client,
    /// The end that accepted the connection. It does not mask.
    Server,
}

/// Bounds on what a connection may cost.
///
/// ```
/// use websocket_stream::Limits;
///
/// let limits = Limits::default().message(64 << 10);
/// assert_eq!((limits.message, limits.fragments), (64 << 10, 262_144));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// Bytes of an opening handshake's head: request or response line and headers. 16 KiB, more than
    /// browsers send with many cookies. A server answers a larger head with status 431.
    pub head_bytes: usize,
    /// Headers in an opening handshake. 100, as in common servers.
    pub head_headers: usize,
    /// Payload bytes of a received frame. 16 MiB.
    pub frame: u64,
    /// Bytes of a received message, over all its fragments. 16 MiB. If replies are as long, raise
    /// [`unsent`](Self::unsent) too.
    pub message: usize,
    /// Fragments of a received message. 262,144: a message of 16 MiB in pieces of 64 bytes. 0 counts as 1.
    pub fragments: u32,
    /// Bytes accepted for sending that the transport has not taken, control frames included. 16 MiB and
    /// 128 KiB: a message of the largest size, and room for what is unsent beside it.
    /// [`CONTROL_ROOM`](Self::CONTROL_ROOM) bytes of it are reserved for control frames; a smaller number
    /// counts as that.
    ///
    /// A message that does not fit is refused with [`SendError::Full`](crate::SendError::Full). A message
    /// longer than this, less [`CONTROL_ROOM`](Self::CONTROL_ROOM) and 14 bytes for a header, never fits
    /// and is refused with [`SendError::TooLong`](crate::SendError::TooLong).
    pub unsent: usize,
    /// When a connection stops receiving because its peer does not take what is sent. By default a server
    /// stops and a client does not: see [`PauseReading`].
    pub pause_reading: PauseReading,
    /// Bytes received in one call before the call returns, so that other connections get their turn. 1 MiB
    /// and 64 KiB, a large message and what is beside it: it takes about as long as 4,096 small messages. 0
    /// counts as 1.
    pub call_bytes: usize,
    /// Events delivered in one call before the call returns. 4,096. 0 counts as 1.
    pub call_events: usize,
}

setters!(Limits {
    head_bytes: usize,
    head_headers: usize,
    frame: u64,
    message: usize,
    fragments: u32,
    unsent: usize,
    pause_reading: PauseReading,
    call_bytes: usize,
    call_events: usize,
});

impl Limits {
    /// Bytes of [`unsent`](Self::unsent) that only control frames may use: room for a pong, a ping and a
    /// Close frame, so that a Close frame always fits.
    ///
    /// A control frame has at most 131 bytes (2 of header, 4 of mask, 125 of payload). Pings may fill the
    /// first half. The second half is for one pong and one Close frame. Those two can have 262 bytes, six
    /// more than it: they fit because a ping is accepted into the first half only with room for the longest
    /// header, 14 bytes, while its header has at most 6.
    pub const CONTROL_ROOM: usize = 512;

    /// The defaults that the fields name.
    pub const DEFAULT: Self = Self {
        head_bytes: 16 << 10,
        head_headers: 100,
        frame: 16 << 20,
        message: 16 << 20,
        fragments: 1 << 18,
        unsent: (16 << 20) + (128 << 10),
        pause_reading: PauseReading::ServerOnly,
        call_bytes: (1 << 20) + (64 << 10),
        call_events: 4096,
    };

    /// Returns the most bytes that may be unsent.
    #[inline]
    pub(crate) const fn unsent_bound(&self) -> usize {
        if self.unsent < Self::CONTROL_ROOM { Self::CONTROL_ROOM } else { self.unsent }
    }

    /// Returns the most bytes that may be unsent, headers included, together with a message that is
    /// accepted.
    #[inline]
    pub(crate) const fn data_bound(&self) -> usize {
        self.unsent_bound() - Self::CONTROL_ROOM
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// When a connection stops receiving because its peer does not take what is sent.
///
/// The transport then holds up a peer that sends requests and does not take the replies. A server that
/// replies to each message with at most one message never gets [`SendError::Full`](crate::SendError::Full)
/// if [`Limits::unsent`] is at least 66 KiB more than its longest reply and it pauses above 64 KiB or less.
/// By default this holds for replies of up to 16 MiB.
///
/// If both ends pause, **each can wait for the other forever**: both send much, and neither receives
/// before its own bytes are taken. So let only one end pause, or set
/// [`Timeouts::write`] or [`Timeouts::idle`]. While a connection is paused, the idle time counts from the
/// last byte that the peer took.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum PauseReading {
    /// A server pauses while more than 64 KiB are unsent, or more than half of what [`Limits::unsent`]
    /// leaves for messages (all of it but [`Limits::CONTROL_ROOM`]) if that is less. A client never pauses.
    #[default]
    ServerOnly,
    /// Neither end pauses.
    Never,
    /// Either end pauses while more than this many bytes are unsent. Replies are also sent whenever this
    /// many bytes are gathered, so a number below a few KiB costs system calls.
    Above(usize),
}

impl PauseReading {
    /// Returns the unsent bytes above which an end pauses; `None` if it never does.
    pub(crate) fn above(self, role: Role, limits: &Limits) -> Option<usize> {
        match (self, role) {
            (Self::ServerOnly, Role::Server) => Some((64 << 10).min(limits.data_bound() / 2)),
            (Self::ServerOnly, Role::Client) | (Self::Never, _) => None,
            (Self::Above(bytes), _) => Some(bytes),
        }
    }
}

/// How long things may take.
///
/// `None` switches a timeout off, and so does a time of more than 24 days (2^31 ms). Times count in whole
/// milliseconds, rounded up.
///
/// ```
/// use std::time::Duration;
/// use websocket_stream::Timeouts;
///
/// let timeouts = Timeouts::default()
///     .ping_interval(Duration::from_secs(20))
///     .idle(Duration::from_secs(60))
///     .close(None);
/// assert_eq!(timeouts.opening, Some(Duration::from_secs(10)));
/// # let _ = timeouts;
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Timeouts {
    /// The opening handshake, from its first call. 10 s.
    pub opening: Option<Duration>,
    /// Time without a byte from the peer after which a ping is sent. It only sends pings: set
    /// [`idle`](Self::idle) to disconnect a peer that does not answer. Off.
    pub ping_interval: Option<Duration>,
    /// Time without a byte from the peer after which the connection ends. Any byte counts, not only a
    /// pong; while the connection [pauses reading](PauseReading), any byte that the peer takes counts. Off.
    pub idle: Option<Duration>,
    /// From the first Close frame, in either direction, to the end of the stream; and from a peer's end of
    /// stream until it has taken what was unsent. It counts from when the Close frame is queued, so a slow
    /// peer with much to take before it may need more. 5 s.
    pub close: Option<Duration>,
    /// Time in which the peer takes none of the bytes that are unsent. Then the connection is closed with
    /// code 1008, behind what was accepted, within [`close`](Self::close). Off.
    ///
    /// Streams measure it, because only they know what their transport takes.
    pub write: Option<Duration>,
}

setters!(Timeouts {
    opening: Option<Duration>,
    ping_interval: Option<Duration>,
    idle: Option<Duration>,
    close: Option<Duration>,
    write: Option<Duration>,
});

impl Timeouts {
    /// The defaults that the fields name.
    pub const DEFAULT: Self = Self {
        opening: Some(Duration::from_secs(10)),
        ping_interval: None,
        idle: None,
        close: Some(Duration::from_secs(5)),
        write: None,
    };

    /// No timeouts at all.
    pub const OFF: Self = Self { opening: None, ping_interval: None, idle: None, close: None, write: None };
}

impl Default for Timeouts {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// Returns a timeout in milliseconds, rounded up; `None` if it is off.
#[inline]
pub(crate) fn millis(timeout: Option<Duration>) -> Option<u32> {
    let timeout = timeout?;
    let millis = u64::from(timeout.subsec_nanos().div_ceil(1_000_000));
    let millis = timeout.as_secs().saturating_mul(1000).saturating_add(millis);
    u32::try_from(millis).ok().filter(|&millis| millis <= 1 << 31)
}

/// Limits, timeouts and options of a connection.
///
/// Made once and shared: a connection holds one pointer to it, and none to the default.
///
/// ```
/// use std::sync::Arc;
/// use std::time::Duration;
/// use websocket_stream::{Config, Limits, Timeouts};
///
/// let config = Config::default()
///     .limits(Limits::default().message(4096))
///     .timeouts(Timeouts::default().idle(Duration::from_secs(60)));
/// let config = Arc::new(config);
/// # let _ = config;
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Config {
    /// What a connection may cost.
    pub limits: Limits,
    /// How long things may take.
    pub timeouts: Timeouts,
    /// How messages are compressed if the peer agrees. Off.
    #[cfg(feature = "deflate")]
    pub deflate: Option<Deflate>,
    /// Whether messages are delivered in chunks as they arrive, each an
    /// [`Event::Chunk`](crate::Event::Chunk), instead of being buffered: for uploads that do not fit in
    /// memory. Off.
    ///
    /// A chunk is lent from where it was received or inflated. Where a message is split into chunks has no
    /// meaning: it depends on what arrived together. A message has at least one chunk; the first and the
    /// last one are marked, and may be the same. Text is split between characters. Text that is not UTF-8
    /// fails the connection when it arrives, after chunks that were delivered, so a handler that acts on a
    /// message before its last chunk must be able to undo that.
    ///
    /// The [`Limits`] hold for the message over all its chunks: raise `message` and `frame` for larger
    /// messages, which costs no memory here. An unfinished message costs a few hundred bytes; a compressed
    /// one also costs an inflater of 48 KiB, and from its second chunk on a window of 32 KiB.
    ///
    /// ```
    /// use std::sync::Arc;
    /// use websocket_stream::transport::testing::memory;
    /// use websocket_stream::{Config, Event, Limits, Ready, Role, Scratch, WebSocketStream};
    ///
    /// // Files of any size, of which no more is in memory than one call receives.
    /// let limits = Limits::default().message(usize::MAX).frame(u64::MAX);
    /// let config = Arc::new(Config::default().streaming(true).limits(limits));
    ///
    /// let (a, b) = memory::pair(16 << 10); // as much as fits the socket's buffer
    /// let mut server = WebSocketStream::with_config(a, Role::Server, config)?;
    /// let mut client = WebSocketStream::client(b)?;
    /// let mut scratch = Scratch::new();
    ///
    /// client.send(&mut scratch.at(0), &vec![7; 1 << 20])?;
    /// let (mut size, mut is_whole) = (0, false);
    /// while !is_whole {
    ///     server.drive(&mut scratch.at(0), Ready::READABLE, |event, _| {
    ///         if let Event::Chunk(chunk) = event {
    ///             size += chunk.as_bytes().len(); // or write it to a file
    ///             is_whole = chunk.is_last();
    ///         }
    ///         Ok(())
    ///     })?;
    ///     assert!(server.heap_bytes() < 1024);
    ///     client.flush(&mut scratch.at(0))?;
    /// }
    /// assert_eq!((size, server.heap_bytes()), (1 << 20, 0));
    /// # Ok::<(), websocket_stream::Error>(())
    /// ```
    pub streaming: bool,
}

setters!(Config {
    limits: Limits,
    timeouts: Timeouts,
    #[cfg(feature = "deflate")]
    deflate: Option<Deflate>,
    streaming: bool,
});

impl Config {
    /// Returns the payload size from which a frame is not delivered as a whole message.
    #[inline]
    pub(crate) fn whole_bound(&self) -> u64 {
        let Limits { frame, message, .. } = self.limits;
        if self.streaming { 0 } else { frame.min(message as u64).saturating_add(1) }
    }
}

static DEFAULT: Config = Config {
    limits: Limits::DEFAULT,
    timeouts: Timeouts::DEFAULT,
    #[cfg(feature = "deflate")]
    deflate: None,
    streaming: false,
};

/// A configuration that connections share, or the default, which costs nothing.
#[derive(Debug, Clone, Default)]
pub(crate) struct SharedConfig(Option<Arc<Config>>);

impl SharedConfig {
    #[inline]
    pub(crate) fn get(&self) -> &Config {
        self.0.as_deref().unwrap_or(&DEFAULT)
    }

    /// Whether both are the same object, not only equal.
    #[inline]
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        self.0.as_ref().map(Arc::as_ptr) == other.0.as_ref().map(Arc::as_ptr)
    }
}

impl From<Arc<Config>> for SharedConfig {
    fn from(config: Arc<Config>) -> Self {
        Self(Some(config))
    }
}
