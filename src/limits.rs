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
    /// Bytes of one received message, over all its fragments. 16 MiB.
    pub message: usize,
    /// Fragments of one received message. 262,144: a message of 16 MiB in pieces of 64 bytes.
    pub fragments: u32,
    /// Bytes accepted for sending that the transport has not taken, control frames included. 16 MiB
    /// and 64 KiB: one largest message, and room for what is said beside it.
    pub unsent: usize,
    /// Bytes received in one call before the call returns, so that other connections get their turn.
    /// 256 KiB.
    pub call_bytes: usize,
    /// Events given out in one call before the call returns. 4,096.
    pub call_events: usize,
}

impl Limits {
    /// The part of [`unsent`](Self::unsent) that only control frames may use: room for the pending
    /// pong, a ping and the closing frame, so that a closing frame always gets its place.
    pub const CONTROL_ROOM: usize = 512;

    /// The defaults that the fields name.
    pub const DEFAULT: Self = Self {
        head_bytes: 16 << 10,
        head_headers: 100,
        frame: 16 << 20,
        message: 16 << 20,
        fragments: 1 << 18,
        unsent: (16 << 20) + (64 << 10),
        call_bytes: 256 << 10,
        call_events: 4096,
    };
}

impl Default for Limits {
    fn default() -> Self {
        Self::DEFAULT
    }
}
