//! The compression settings of a caller.
#![forbid(unsafe_code)]

use crate::setters::setters;
use core::time::Duration;

/// Compression settings: what this end offers, accepts and does.
///
/// ```
/// use websocket_stream::deflate::{Deflate, WindowBits};
///
/// // For 100,000 connections: no window is kept between messages.
/// let many = Deflate::default();
/// assert_eq!((many.send_window, many.receive_window), (None, None));
///
/// // For a few connections with repetitive messages: each end may refer to its last 4 KiB.
/// let bits = WindowBits::new(12).ok_or("12 is from 8 to 15")?;
/// let few = Deflate::default().send_window(bits).receive_window(bits);
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
/// Only a `receive_window` of [`WindowBits::MAX`] works with these peers, because it requests nothing. A
/// smaller window does not: a client that does not offer `client_max_window_bits`, such as an old Safari,
/// cannot be asked for a smaller window, and is asked for `client_no_context_takeover` instead.
///
/// A client can meet such a server too. Tornado responds without the `server_no_context_takeover` that was
/// requested, and the opening handshake fails with
/// [`ResponseFault::ContextTakeover`](crate::handshake::ResponseFault::ContextTakeover).
///
/// A window of [`WindowBits::MAX`] uses up to 32 KiB for each connection that receives compressed messages.
///
/// ```
/// use websocket_stream::deflate::{Deflate, WindowBits};
///
/// let bare: [(&str, Option<&str>); 0] = [];
/// let answer = |receive| Deflate::default().receive_window(receive).accept([bare]).map(|it| it.to_string());
/// let small = Some(WindowBits::new(12).ok_or("12 is from 8 to 15")?);
/// for receive in [None, small] {
///     assert!(answer(receive).is_some_and(|answer| answer.contains("client_no_context_takeover")));
/// }
/// assert!(answer(Some(WindowBits::MAX)).is_some_and(|answer| !answer.contains("client_")));
/// # Ok::<(), &str>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Deflate {
    /// The window of earlier messages to which this end's messages may refer ("context takeover", RFC 7692,
    /// section 7.1.1). None by default: each message is compressed by itself.
    ///
    /// The [module](super) lists the memory that windows need.
    pub send_window: Option<WindowBits>,
    /// The window of earlier messages to which the peer's messages may refer. None by default, which some
    /// [peers](Self#peers-that-keep-their-context) ignore.
    pub receive_window: Option<WindowBits>,
    /// The compression level, from 1 (fast) to 9 (small). 5 by default, within 3% of the size at level 6.
    ///
    /// A level is zlib's, or for [short messages](super#short-messages) the number of earlier occurrences
    /// that are compared: 1 at level 1, 12 at level 5, 1,024 at level 9.
    pub level: u8,
    /// The minimum size of a message to compress, in bytes; 128 by default. Smaller messages rarely shrink,
    /// unless the peer's window already contains them.
    pub threshold: usize,
    /// Time without compressing after which a connection frees its send window; its next message is
    /// compressed by itself. 60 s by default.
    pub drop_window_after: Option<Duration>,
}

setters!(Deflate {
    send_window: Option<WindowBits>,
    receive_window: Option<WindowBits>,
    level: u8,
    threshold: usize,
    drop_window_after: Option<Duration>,
});

/// The size of a window as a power of two, from 8 (256 bytes) to 15 (32 KiB).
///
/// ```
/// use websocket_stream::deflate::WindowBits;
///
/// let bits = WindowBits::new(12).ok_or("12 is from 8 to 15")?;
/// assert_eq!((bits.get(), bits.size()), (12, 4096));
/// assert_eq!((WindowBits::MIN.size(), WindowBits::MAX.size()), (256, 32 << 10));
/// assert_eq!(WindowBits::new(16), None);
/// # Ok::<(), &str>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct WindowBits(u8);

impl Deflate {
    /// The defaults that the fields document.
    pub const DEFAULT: Self = Self {
        send_window: None,
        receive_window: None,
        level: 5,
        threshold: 128,
        drop_window_after: Some(Duration::from_secs(60)),
    };
}

impl Default for Deflate {
    fn default() -> Self {
        Self::DEFAULT
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
