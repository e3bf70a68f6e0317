//! Every bound of the library, in one place.
#![forbid(unsafe_code)]

/// What a connection may cost at the most. Shared by all connections that have the same.
///
/// ```
/// use websocket_stream::Limits;
///
/// let limits = Limits { message: 64 * 1024, ..Limits::default() };
/// assert_eq!(limits.fragments, 262_144);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of an opening handshake's head: request or response line and headers. 16 KiB, more than
    /// browsers send with many cookies; a server answers a larger one with 431.
    pub head_bytes: usize,
    /// Headers in an opening handshake. 100, as common servers have it.
    pub head_headers: usize,
    /// Bytes of one received frame's payload. 16 MiB.
    pub frame: u64,
    /// Bytes of one received message, over all its fragments. 16 MiB. Raise [`unsent`](Self::unsent) with it if
    /// replies are as long.
    pub message: usize,
    /// Fragments of one received message. 262,144: a message of 16 MiB in pieces of 64 bytes. 0 counts
    /// as 1.
    pub fragments: u32,
    /// Bytes accepted for sending that the transport has not taken, control frames included. 16 MiB
    /// and 128 KiB: one largest message, and room for what is unsent beside it. Of it,
    /// [`CONTROL_ROOM`](Self::CONTROL_ROOM) is for control frames only, and always there: less counts
    /// as that.
    ///
    /// What does not fit is refused with [`SendError::Full`](crate::SendError::Full) and stays the
    /// caller's. So this also bounds a message that is sent whole: one that is longer than this, less
    /// [`CONTROL_ROOM`](Self::CONTROL_ROOM) and 14 bytes for a header, never fits and is refused with
    /// [`SendError::TooLong`](crate::SendError::TooLong).
    pub unsent: usize,
    /// When a connection stops receiving because its peer does not take what is sent. By default a
    /// server does so, and a client does not: see [`PauseReading`].
    pub pause_reading: PauseReading,
    /// Bytes received in one call before the call returns, so that other connections get their turn.
    /// 1 MiB and 64 KiB: a large message and what is beside it, which takes about as long as
    /// [`call_events`](Self::call_events) small ones. 0 counts as 1.
    pub call_bytes: usize,
    /// Events given out in one call before the call returns. 4,096; 0 counts as 1.
    pub call_events: usize,
}

impl Limits {
    /// The part of [`unsent`](Self::unsent) that only control frames may use: room for the pending
    /// pong, a ping and the closing frame, so that a closing frame always gets its place.
    ///
    /// A control frame is at most 131 bytes (2 of header, 4 of mask, 125 of payload). Pings may fill
    /// the first half; the second half is for one pong and one Close frame. Those two can be 262 bytes,
    /// six more than it: they fit because a ping is let into the first half with room for the longest
    /// header, 14 bytes, where it has at most 6.
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

    /// The most bytes that may be unsent.
    #[inline]
    pub(crate) const fn unsent_bound(&self) -> usize {
        if self.unsent < Self::CONTROL_ROOM { Self::CONTROL_ROOM } else { self.unsent }
    }

    /// The most bytes that may be unsent, headers included, with a message that is accepted.
    #[inline]
    pub(crate) const fn data_bound(&self) -> usize {
        self.unsent_bound() - Self::CONTROL_ROOM
    }
}

/// When a connection stops receiving because its peer does not take what is sent.
///
/// A peer that asks and does not take the answers is then held up by its own transport. A server that
/// answers each message with at most one message is never refused a reply
/// ([`SendError::Full`](crate::SendError::Full)) as long as [`Limits::unsent`] is at least 66 KiB more than its
/// longest reply and it pauses above 64 KiB or less. By default this holds for replies of up to 16 MiB.
///
/// If both ends pause, **each can wait for the other for ever**: both send much, and neither receives
/// before its own bytes are taken. So only one end should pause, or
/// [`Deadlines::unsent`](crate::Deadlines::unsent) or [`Deadlines::silence`](crate::Deadlines::silence) should
/// be set. While a connection is paused, the silence counts from the last byte that the peer took.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum PauseReading {
    /// A server pauses while more than 64 KiB are unsent, or more than half of what [`Limits::unsent`] leaves
    /// for messages (all of it but [`Limits::CONTROL_ROOM`]) if that is less. A client never pauses.
    #[default]
    ServerOnly,
    /// Neither end pauses.
    Never,
    /// Either end pauses while more than this many bytes are unsent. Replies are also sent once this many
    /// bytes of them are gathered, so less than a few KiB costs system calls.
    Above(usize),
}

impl PauseReading {
    /// The unsent bytes above which an end pauses; `None` if it never does.
    #[cfg(feature = "std")]
    pub(crate) fn above(self, role: crate::Role, limits: &Limits) -> Option<usize> {
        match (self, role) {
            (Self::ServerOnly, crate::Role::Server) => Some((64 << 10).min(limits.data_bound() / 2)),
            (Self::ServerOnly, crate::Role::Client) | (Self::Never, _) => None,
            (Self::Above(bytes), _) => Some(bytes),
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self::DEFAULT
    }
}
