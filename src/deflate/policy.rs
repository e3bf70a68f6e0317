//! The compression settings of a caller.
#![forbid(unsafe_code)]

/// Compression settings: what this end offers, accepts and does.
///
/// ```
/// use websocket_stream::deflate::{Deflate, Takeover, WindowBits};
///
/// // For 100,000 connections: no history is kept between messages.
/// let many = Deflate::default();
/// assert_eq!((many.send, many.receive), (Takeover::No, Takeover::No));
///
/// // For a few connections with repetitive messages: each end may refer to its last 4 KiB.
/// let bits = WindowBits::new(12).ok_or("12 is from 8 to 15")?;
/// let few = Deflate { send: Takeover::UpTo(bits), receive: Takeover::UpTo(bits), ..Deflate::default() };
/// # let _ = few;
/// # Ok::<(), &str>(())
/// ```
///
/// # Peers that keep their context
///
/// By default, a server asks its clients for `client_no_context_takeover`. Some do not comply: Tornado,
/// Mojolicious and old versions of Safari still refer to earlier messages. The second message of such a
/// client cannot be inflated, and the connection ends with 1007
/// ([`Fault::InvalidDeflate`](crate::Fault::InvalidDeflate)).
///
/// Only `receive: Takeover::FULL`, a window of 15 bits, works with these peers, because it requests nothing.
/// A smaller window does not: a client that does not offer `client_max_window_bits`, such as an old Safari,
/// cannot be asked for one, and is asked for `client_no_context_takeover` instead.
///
/// A client can meet such a server too. Tornado responds without the `server_no_context_takeover` that was
/// requested, and the opening handshake fails with
/// [`ResponseFault::ContextTakeover`](crate::handshake::ResponseFault::ContextTakeover).
///
/// [`FULL`](Takeover::FULL) uses up to 32 KiB for each connection that receives compressed messages.
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
    /// Context takeover for the messages that this end sends. `No` by default: each is compressed alone.
    pub send: Takeover,
    /// Context takeover for the messages that this end receives. `No` by default, which some
    /// [peers](Self#peers-that-keep-their-context) ignore.
    pub receive: Takeover,
    /// The compression level, from 1 (fast) to 9 (small). 5 by default, within 3% of the size at level 6.
    pub level: u8,
    /// The minimum size of a message to compress, in bytes; 128 by default. Smaller messages rarely shrink,
    /// unless the peer's window already contains them.
    pub threshold: usize,
    /// Milliseconds without compressing after which a connection frees its sending window; its next message
    /// is compressed alone. 60,000 by default.
    pub idle: Option<u32>,
}

/// Whether messages may refer to earlier ones ("context takeover", RFC 7692, section 7.1.1).
///
/// The [module](super) lists the memory that this needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Takeover {
    /// Each message is compressed alone.
    No,
    /// Messages may refer to earlier ones, within a window of at most this size.
    UpTo(WindowBits),
}

/// The size of a window as a power of two, from 8 (256 bytes) to 15 (32 KiB).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct WindowBits(u8);

impl Deflate {
    /// The defaults that the fields document.
    pub const DEFAULT: Self =
        Self { send: Takeover::No, receive: Takeover::No, level: 5, threshold: 128, idle: Some(60_000) };
}

impl Default for Deflate {
    fn default() -> Self {
        Self::DEFAULT
    }
}

impl Takeover {
    /// The largest window.
    pub const FULL: Self = Self::UpTo(WindowBits::MAX);

    /// Returns the window, if there is one.
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
    /// 32 KiB: the maximum, and the value if nothing else is negotiated.
    pub const MAX: Self = Self(15);

    /// 512 bytes: the smallest window that zlib can compress with.
    pub(super) const NINE: Self = Self(9);

    /// Returns the window bits for a number from 8 to 15, or `None` for other numbers.
    pub const fn new(bits: u8) -> Option<Self> {
        if bits >= Self::MIN.0 && bits <= Self::MAX.0 { Some(Self(bits)) } else { None }
    }

    /// Returns the smallest window of at least `len` bytes, or the largest window.
    pub(crate) fn of(len: usize) -> Self {
        (Self::MIN.0..Self::MAX.0).map(Self).find(|bits| bits.size() >= len).unwrap_or(Self::MAX)
    }

    /// Returns the power of two.
    pub const fn get(self) -> u8 {
        self.0
    }

    /// Returns the window's size in bytes.
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
