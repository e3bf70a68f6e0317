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

/// How long things may take, in milliseconds. `None` switches a deadline off.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deadlines {
    /// The opening handshake, from its first call. 10 s.
    pub handshake: Option<u32>,
    /// Silence after which a ping is sent. Off.
    pub ping: Option<u32>,
    /// Silence after which the connection is given up. Any byte that arrives is life, not only a
    /// pong. Off.
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
    /// How messages are compressed, where the peer agrees. Not at all; without the feature `deflate`
    /// there is nothing else.
    pub deflate: Option<Deflate>,
}

static DEFAULT: Config = Config { limits: Limits::DEFAULT, deadlines: Deadlines::DEFAULT, deflate: None };

/// A configuration that is shared, or the default one, which costs nothing.
#[derive(Debug, Clone, Default)]
pub(crate) struct SharedConfig(Option<Arc<Config>>);

impl SharedConfig {
    #[inline]
    pub(crate) fn get(&self) -> &Config {
        self.0.as_deref().unwrap_or(&DEFAULT)
    }
}

impl From<Arc<Config>> for SharedConfig {
    fn from(config: Arc<Config>) -> Self {
        Self(Some(config))
    }
}
