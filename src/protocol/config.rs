//! What a caller sets for a connection, and who it is.
#![forbid(unsafe_code)]

use crate::Limits;
#[cfg(feature = "deflate")]
use crate::deflate::Deflate;
use alloc::sync::Arc;
#[cfg(not(feature = "deflate"))]
use core::convert::Infallible as Deflate;

/// Which end of the connection this is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Role {
    /// The end that opened the connection. It masks what it sends.
    Client,
    /// The end that accepted it. It does not mask.
    Server,
}

/// How long things may take, in milliseconds. `None` switches a deadline off, and so does more than 24
/// days (2^31 ms).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deadlines {
    /// The opening handshake, from its first call. 10 s.
    pub handshake: Option<u32>,
    /// Silence after which a ping is sent. Off.
    pub ping: Option<u32>,
    /// Silence after which the connection is given up. Any byte that arrives is life, not only a
    /// pong; while the connection [pauses reading](crate::PauseReading), any byte that the peer takes. Off.
    pub silence: Option<u32>,
    /// From the first Close frame, in either direction, to the end of the stream; and from a peer's
    /// end of stream until it has taken what was unsent. It counts from when that Close frame is
    /// queued: a slow peer with much before it may want more. 5 s.
    pub close: Option<u32>,
    /// How long bytes may be unsent without the peer taking a single one. Then the connection is
    /// closed with 1008, behind what was accepted, within [`close`](Self::close). Off.
    ///
    /// Counted by streams, which know what their transport takes.
    pub unsent: Option<u32>,
}

impl Deadlines {
    /// The defaults that the fields name.
    pub const DEFAULT: Self =
        Self { handshake: Some(10_000), ping: None, silence: None, close: Some(5_000), unsent: None };
}

impl Default for Deadlines {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// Limits and deadlines of a connection.
///
/// Made once and shared: a connection holds one pointer to it, and none at all to the default.
///
/// ```
/// use std::sync::Arc;
/// use websocket_stream::{Config, Limits};
///
/// let config = Arc::new(Config { limits: Limits { message: 4096, ..Limits::default() }, ..Config::default() });
/// # let _ = config;
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Config {
    /// What the connection may cost.
    pub limits: Limits,
    /// How long things may take.
    pub deadlines: Deadlines,
    /// How messages are compressed, where the peer agrees. Off; without the feature `deflate` there is
    /// nothing else.
    pub deflate: Option<Deflate>,
    /// Messages are told in parts as they come, each an [`Event::Part`](super::Event::Part), and never
    /// whole: for uploads that nobody wants in memory. Off.
    ///
    /// Parts are lent from where they were received, or inflated, and nothing is gathered. Where a
    /// message is cut means nothing: that depends on what arrived together. A message has at least one
    /// part; its first and its last one say so, and may be the same. Text is cut between characters: what
    /// is not UTF-8 fails the connection when it comes, behind parts that were told. Whoever acts on a
    /// message before its last part must be able to undo it.
    ///
    /// Within the [`Limits`], also for the message over all its parts: raise `message` and `frame` for
    /// larger ones, which costs no memory here. While a message is unfinished, a connection holds some
    /// hundred bytes for it; of a compressed one, from its first byte on, an inflater of 48 KiB, and from
    /// its second part on a window of 32 KiB.
    ///
    /// ```
    /// use std::sync::Arc;
    /// use websocket_stream::transport::memory;
    /// use websocket_stream::{Config, Event, Limits, Ready, Role, Scratch, WebSocketStream};
    ///
    /// // Files of any size, of which no more is in memory than one call receives.
    /// let limits = Limits { message: usize::MAX, frame: u64::MAX, ..Limits::default() };
    /// let config = Arc::new(Config { in_parts: true, limits, ..Config::default() });
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
    ///         if let Event::Part(part) = event {
    ///             size += part.as_bytes().len(); // or write it to a file
    ///             is_whole = part.is_last();
    ///         }
    ///         Ok(())
    ///     })?;
    ///     assert!(server.held() < 1024);
    ///     client.flush(&mut scratch.at(0))?;
    /// }
    /// assert_eq!((size, server.held()), (1 << 20, 0));
    /// # Ok::<(), websocket_stream::Error>(())
    /// ```
    pub in_parts: bool,
}

impl Config {
    /// A frame with fewer bytes of payload can be a message that is told whole.
    #[inline]
    pub(crate) fn whole_bound(&self) -> u64 {
        let Limits { frame, message, .. } = self.limits;
        if self.in_parts { 0 } else { frame.min(message as u64).saturating_add(1) }
    }
}

static DEFAULT: Config =
    Config { limits: Limits::DEFAULT, deadlines: Deadlines::DEFAULT, deflate: None, in_parts: false };

/// A configuration that is shared, or the default one, which costs nothing.
#[derive(Debug, Clone, Default)]
pub(crate) struct SharedConfig(Option<Arc<Config>>);

impl SharedConfig {
    #[inline]
    pub(crate) fn get(&self) -> &Config {
        self.0.as_deref().unwrap_or(&DEFAULT)
    }

    /// Whether both are one and the same, not only equal.
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
