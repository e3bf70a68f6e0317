//! Every limit and every timeout, with unit, default and reason.
#![forbid(unsafe_code)]
// Only streams use some of these items, and without `std` there are no streams.
#![cfg_attr(not(feature = "std"), allow(dead_code))]

#[cfg(feature = "deflate")]
use crate::deflate::Deflate;
use crate::setters::setters;
use alloc::sync::Arc;
use core::time::Duration;

/// One end of a connection.
///
/// ```
/// use websocket_stream::Role;
/// use websocket_stream::protocol::{Connection, Message, Output};
///
/// // Only a client masks what it sends, which takes the 4 bytes of the key.
/// let sent = |role| {
///     let mut output = Output::new();
///     Connection::new(role).send(Message::Text("Hello"), &mut output).map(|()| output.len())
/// };
/// assert_eq!((sent(Role::Server), sent(Role::Client)), (Ok(2 + 5), Ok(2 + 4 + 5)));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Role {
    /// The end that opened the connection. It masks every frame that it sends.
    Client,
    /// The end that accepted the connection. It sends unmasked frames.
    Server,
}

/// Bounds on the memory and the work of a connection.
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
    /// The bytes of an opening handshake's head: the first line and the headers. Default: 16 KiB, more than
    /// browsers send with many cookies. A server answers a larger head with status 431.
    pub head_bytes: usize,
    /// The number of headers in an opening handshake. Default: 100, common among servers.
    pub head_headers: usize,
    /// The payload bytes of a received frame, beside the limit of its [`message`](Self::message), which no
    /// frame can exceed. Default: `u64::MAX`, no limit of its own.
    pub frame: u64,
    /// The bytes of a received message, all fragments together. Default: 16 MiB. If you raise this limit and
    /// send replies of that size, raise [`unsent`](Self::unsent) too.
    pub message: usize,
    /// The fragments of a received message. Default: 262,144, for a message of 16 MiB in fragments of 64
    /// bytes. 0 counts as 1.
    pub fragments: u32,
    /// The bytes accepted for sending that the transport has not taken, control frames included. Default:
    /// 16 MiB + 128 KiB, for a message of 16 MiB and other unsent bytes. The last
    /// [`CONTROL_ROOM`](Self::CONTROL_ROOM) bytes are reserved for control frames. A limit below
    /// `CONTROL_ROOM` counts as `CONTROL_ROOM`.
    ///
    /// A message that does not fit is refused with [`SendError::Full`](crate::SendError::Full). A message
    /// longer than this limit less `CONTROL_ROOM` and 14 bytes for a header can never fit, and is refused
    /// with [`SendError::TooLong`](crate::SendError::TooLong).
    pub unsent: usize,
    /// When to stop receiving from a peer that does not take what is sent. Default:
    /// [`PauseReading::ServerOnly`].
    pub pause_reading: PauseReading,
    /// The bytes received in one call, after which other connections get their share. Default: 1 MiB +
    /// 64 KiB, for a large message and other bytes, which take about as long as 4,096 small messages. 0
    /// counts as 1.
    pub call_bytes: usize,
    /// The events delivered in one call, after which other connections get their share. Default: 4,096. 0
    /// counts as 1.
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
    /// The bytes of [`unsent`](Self::unsent) that are reserved for control frames, so that a Close frame
    /// always fits.
    ///
    /// The first half is for the pings and pongs that the program sends, the second half for one automatic
    /// pong and one Close frame. A control frame has at most 131 bytes: 2 of header, 4 of masking key and 125
    /// of payload. A pong and a Close frame can therefore have 262 bytes, 6 more than the second half. They
    /// still fit, because the first half always keeps at least 8 bytes free: a ping is accepted only with
    /// room for a header of 14 bytes, and its header has at most 6.
    pub const CONTROL_ROOM: usize = 512;

    /// The default limits.
    pub const DEFAULT: Self = Self {
        head_bytes: 16 << 10,
        head_headers: 100,
        frame: u64::MAX,
        message: 16 << 20,
        fragments: 1 << 18,
        unsent: (16 << 20) + (128 << 10),
        pause_reading: PauseReading::ServerOnly,
        call_bytes: (1 << 20) + (64 << 10),
        call_events: 4096,
    };

    /// Returns the maximum number of unsent bytes.
    #[inline]
    pub(crate) const fn unsent_bound(&self) -> usize {
        if self.unsent < Self::CONTROL_ROOM { Self::CONTROL_ROOM } else { self.unsent }
    }

    /// Returns the maximum number of unsent bytes when a message is accepted, including that message and its
    /// header.
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

/// When to stop receiving from a peer that does not take what is sent.
///
/// A peer that sends requests and does not take the replies is then slowed down by the transport. A server
/// that sends at most one reply per message never gets [`SendError::Full`](crate::SendError::Full) if it
/// pauses above 64 KiB or less, and [`Limits::unsent`] is at least 66 KiB more than its longest reply. The
/// defaults allow replies of up to 16 MiB.
///
/// If both ends pause, **each can wait for the other forever**: neither receives until the peer has taken
/// its bytes. Let only one end pause, or set [`Timeouts::write`] or [`Timeouts::idle`]. While a connection is
/// paused, the idle time counts from the last byte that the peer took.
///
/// ```
/// use websocket_stream::{Config, Limits, PauseReading, Ready, Scratch, testing};
///
/// let limits = Limits::default().pause_reading(PauseReading::Above(8 << 10));
/// let config = Config::default().limits(limits).into();
/// let (mut server, mut client) = testing::open_pair_with(4096, config, Default::default())?;
/// let mut scratch = Scratch::new();
/// // The client sends a request, and does not take an earlier reply of 64 KiB.
/// server.send(&mut scratch.at(0), &vec![7; 64 << 10])?;
/// client.send(&mut scratch.at(0), "next")?;
/// let wants = server.drive(&mut scratch.at(0), Ready::READABLE, |_, _| panic!("paused"))?;
/// assert!(wants.write && !wants.read);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum PauseReading {
    /// A server pauses while more than 64 KiB are unsent, or more than half of the bytes that
    /// [`Limits::unsent`] allows for messages, if that is less. A client never pauses.
    #[default]
    ServerOnly,
    /// Neither a server nor a client pauses.
    Never,
    /// A server or a client pauses while more than this number of bytes is unsent. Replies are also sent
    /// each time this number of bytes is gathered, so a number below a few KiB costs system calls.
    Above(usize),
}

impl PauseReading {
    /// Returns the number of unsent bytes above which this role pauses, or `None` if it never pauses.
    pub(crate) fn above(self, role: Role, limits: &Limits) -> Option<usize> {
        match (self, role) {
            (Self::ServerOnly, Role::Server) => Some((64 << 10).min(limits.data_bound() / 2)),
            (Self::ServerOnly, Role::Client) | (Self::Never, _) => None,
            (Self::Above(bytes), _) => Some(bytes),
        }
    }
}

/// The timeouts of a connection.
///
/// `None` switches a timeout off, and so does a timeout of more than 24 days. Timeouts are rounded
/// up to whole milliseconds.
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
    /// The time for the opening handshake, from its first call. Default: 10 s.
    pub opening: Option<Duration>,
    /// The time without a byte from the peer after which a ping is sent. This only sends pings: set
    /// [`idle`](Self::idle) to disconnect a peer that does not answer. Default: off.
    pub ping_interval: Option<Duration>,
    /// The time without a byte from the peer after which the connection ends. Any byte counts, not only
    /// those of a pong. While the connection [pauses reading](PauseReading), a byte that the peer takes
    /// counts too. Default: off.
    pub idle: Option<Duration>,
    /// The time from the first Close frame, in either direction, to the end of the stream. If the peer ends
    /// the stream first, the time in which it must take the unsent bytes. Default: 5 s.
    ///
    /// For a Close frame that this end sends, the time counts from when the frame is queued. A slow peer that
    /// must first take many other bytes may need more time.
    pub close: Option<Duration>,
    /// The time in which the peer takes none of the unsent bytes, after which the connection is closed.
    /// Default: off.
    ///
    /// The Close frame has code 1008 and follows the accepted messages; [`close`](Self::close) limits the
    /// time to send them. Only a stream applies this timeout, because only a stream has a transport. It does
    /// not see what the transport has taken and keeps: the system's buffer, and 64 KiB of records with TLS.
    /// For a peer that is gone, set [`idle`](Self::idle), too.
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
    /// The default timeouts.
    pub const DEFAULT: Self = Self {
        opening: Some(Duration::from_secs(10)),
        ping_interval: None,
        idle: None,
        close: Some(Duration::from_secs(5)),
        write: None,
    };

    /// The default timeouts of a `server::Server`, for other servers as well: a ping after two minutes of
    /// silence, the end after three, and a peer that takes nothing for half a minute is disconnected.
    pub const SERVER: Self = Self {
        ping_interval: Some(Duration::from_secs(120)),
        idle: Some(Duration::from_secs(180)),
        write: Some(Duration::from_secs(30)),
        ..Self::DEFAULT
    };

    /// All timeouts off.
    pub const OFF: Self = Self { opening: None, ping_interval: None, idle: None, close: None, write: None };
}

impl Default for Timeouts {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// The longest timeout in milliseconds: 24 days. The age of a time is known up to 2^31 ms, which is longer by
/// 20 hours, so that a call may be late.
const LONGEST: u32 = 24 * 24 * 60 * 60 * 1000;

/// Returns a timeout in milliseconds, rounded up, or `None` if it is off.
#[inline]
pub(crate) fn millis(timeout: Option<Duration>) -> Option<u32> {
    let timeout = timeout?;
    let millis = u64::from(timeout.subsec_nanos().div_ceil(1_000_000));
    let millis = timeout.as_secs().saturating_mul(1000).saturating_add(millis);
    u32::try_from(millis).ok().filter(|&millis| millis <= LONGEST)
}

/// The limits, timeouts and options of a connection.
///
/// Create a configuration once, and share it: each connection holds only a pointer. The default
/// configuration is never allocated.
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
    /// The bounds on memory and work.
    pub limits: Limits,
    /// The timeouts.
    pub timeouts: Timeouts,
    /// Compression, if the peer agrees to it. Default: off.
    #[cfg(feature = "deflate")]
    pub deflate: Option<Deflate>,
    /// Delivers messages in chunks as they arrive, instead of buffering them. Default: off.
    ///
    /// This is for uploads that do not fit in memory. Each chunk is an [`Event::Chunk`](crate::Event::Chunk),
    /// lent from the buffer in which it was received or inflated. A message has at least one chunk; the first
    /// and the last chunk are marked, and can be the same. The boundaries between chunks have no meaning:
    /// they depend on which bytes arrived together. Text is split only between characters.
    ///
    /// Text that is not UTF-8 fails the connection when it arrives, possibly after chunks of the message were
    /// delivered. A handler that acts on a message before its last chunk must be able to undo the action.
    ///
    /// The [`Limits`] apply to the whole message: raise `message` for larger ones, which costs no memory
    /// here. An unfinished message takes a few hundred bytes of memory. A compressed one also
    /// takes an inflater of 48 KiB and, after its first chunk, a window of 32 KiB.
    ///
    /// ```
    /// use std::sync::Arc;
    /// use websocket_stream::transport::testing::memory;
    /// use websocket_stream::{Config, Event, Limits, Ready, Role, Scratch, WebSocketStream};
    ///
    /// // Files of any size. No more of a file is in memory than one call receives.
    /// let limits = Limits::default().message(usize::MAX);
    /// let config = Arc::new(Config::default().streaming(true).limits(limits));
    ///
    /// let (a, b) = memory::pair(16 << 10); // the size of the socket's buffer
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
    /// Returns whether any call can make the deadline of a connection earlier, because an unused window of
    /// the compression is dropped; see
    /// [`try_drive_for_changes`](crate::WebSocketStream::try_drive_for_changes).
    pub fn drops_windows(&self) -> bool {
        #[cfg(feature = "deflate")]
        let drops = self.deflate.as_ref().is_some_and(|deflate| deflate.drop_window_after.is_some());
        #[cfg(not(feature = "deflate"))]
        let drops = false;
        drops
    }

    /// Returns the payload size, in bytes, from which no frame is delivered as a whole message.
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

/// A configuration that connections share, or the default, which is not allocated.
#[derive(Debug, Clone, Default)]
pub(crate) struct SharedConfig(Option<Arc<Config>>);

impl SharedConfig {
    #[inline]
    pub(crate) fn get(&self) -> &Config {
        self.0.as_deref().unwrap_or(&DEFAULT)
    }

    /// Returns whether both are one object, and not only equal.
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
