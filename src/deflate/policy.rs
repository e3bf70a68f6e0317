//! What a caller wants of compression.
#![forbid(unsafe_code)]

/// Whether and how messages are compressed: what this end offers, accepts and does.
///
/// ```
/// use websocket_stream::deflate::{Deflate, Takeover, WindowBits};
///
/// // For 100,000 connections: nothing is kept between two messages.
/// let many = Deflate::default();
/// assert_eq!((many.send, many.receive), (Takeover::No, Takeover::No));
///
/// // For a few that repeat themselves: either end may refer to its last 4 KiB.
/// let bits = WindowBits::new(12).ok_or("12 is from 8 to 15")?;
/// let few = Deflate { send: Takeover::UpTo(bits), receive: Takeover::UpTo(bits), ..Deflate::default() };
/// # let _ = few;
/// # Ok::<(), &str>(())
/// ```
///
/// # Peers that keep their context
///
/// By default, a server asks its clients for `client_no_context_takeover`. Some do not comply: Tornado,
/// Mojolicious and old Safaris go on to refer to earlier messages. The second message of such a client
/// cannot be inflated, and the connection ends with 1007
/// ([`Fault::InvalidDeflate`](crate::Fault::InvalidDeflate)).
///
/// Only `receive: Takeover::FULL`, a window of 15 bits, serves these peers, for it asks nothing of them. A
/// smaller window does not: a client that does not offer `client_max_window_bits`, as old Safaris do not,
/// cannot be asked for one, and is asked for `client_no_context_takeover` instead.
/// A client can meet such a server, too: Tornado answers without the `server_no_context_takeover` that it is
/// asked for, and the opening fails with
/// [`ResponseFault::ContextTakeover`](crate::handshake::ResponseFault::ContextTakeover).
///
/// [`FULL`](Takeover::FULL) holds up to 32 KiB for each connection that receives compressed messages.
///
/// ```
/// use websocket_stream::deflate::{Deflate, Takeover, WindowBits};
///
/// let bare: [(&str, Option<&str>); 0] = [];
/// let answer = |receive| Deflate { receive, ..Deflate::default() }.accept([bare]).map(|it| it.to_string());
/// let small = Takeover::UpTo(WindowBits::new(12).ok_or("12 is from 8 to 15")?);
/// for receive in [Takeover::No, small] {
///     assert!(answer(receive).is_some_and(|answer| answer.contains("client_no_context_takeover")));
/// }
/// assert!(answer(Takeover::FULL).is_some_and(|answer| !answer.contains("client_")));
/// # Ok::<(), &str>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Deflate {
    /// What this end remembers of the messages that it sends. Not at all: each is compressed alone.
    pub send: Takeover,
    /// What the peer may have this end remember of the messages that it receives. Nothing, which some
    /// [peers](Self#peers-that-keep-their-context) do not observe.
    pub receive: Takeover,
    /// How hard to try, from 1 (fast) to 9 (small). 5, which comes within 3% of the size that 6 gives.
    pub level: u8,
    /// The bytes of the smallest message that is worth compressing; those below are sent as they are.
    /// 128, below which little is won but where the peer's window already has it.
    pub threshold: usize,
    /// Milliseconds in which nothing is compressed, after which a connection gives back its memory for
    /// compressing with takeover; its next message is compressed alone. 60,000.
    pub idle: Option<u32>,
}

/// Whether one end's messages may refer to those before them ("context takeover", RFC 7692, section
/// 7.1.1). What that costs stands in the [module](super).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Takeover {
    /// Each message stands alone.
    No,
    /// They may, within a window of at most this size.
    UpTo(WindowBits),
}

/// The size of a window as a power of two: from 8 (256 bytes) to 15 (32 KiB).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct WindowBits(u8);

impl Deflate {
    /// The defaults that the fields name.
    pub const DEFAULT: Self =
        Self { send: Takeover::No, receive: Takeover::No, level: 5, threshold: 128, idle: Some(60_000) };
}

impl Default for Deflate {
    fn default() -> Self {
        Self::DEFAULT
    }
}

impl Takeover {
    /// The largest window that there is.
    pub const FULL: Self = Self::UpTo(WindowBits::MAX);

    /// The window, where there is one.
    pub(super) const fn bits(self) -> Option<WindowBits> {
        match self {
            Self::No => None,
            Self::UpTo(bits) => Some(bits),
        }
    }
}

impl WindowBits {
    /// 256 bytes.
    pub const MIN: Self = Self(8);
    /// 32 KiB: the most, and what holds where nothing else is agreed on.
    pub const MAX: Self = Self(15);

    /// 512 bytes: the least that zlib can compress within.
    pub(super) const NINE: Self = Self(9);

    /// From 8 to 15; nothing for another number.
    pub const fn new(bits: u8) -> Option<Self> {
        if bits >= Self::MIN.0 && bits <= Self::MAX.0 { Some(Self(bits)) } else { None }
    }

    /// The smallest window that has so many bytes, or the largest one.
    pub(crate) fn of(len: usize) -> Self {
        (Self::MIN.0..Self::MAX.0).map(Self).find(|bits| bits.size() >= len).unwrap_or(Self::MAX)
    }

    /// The power of two.
    pub const fn get(self) -> u8 {
        self.0
    }

    /// The window's size in bytes.
    pub const fn size(self) -> usize {
        1 << self.0
    }

    /// Reads a parameter's value: "a decimal integer value without leading zeroes between 8 to 15"
    /// (RFC 7692, section 7.1.2.1).
    pub(super) fn parse(value: &str) -> Option<Self> {
        match value.as_bytes() {
            [digit @ b'0'..=b'9'] => Self::new(digit - b'0'),
            [b'1', digit @ b'0'..=b'9'] => Self::new(10 + digit - b'0'),
            _ => None,
        }
    }
}
