//! The bytes that a connection has to send.
#![forbid(unsafe_code)]

use super::MaskKeys;
use crate::frame::{EncodedHeader, mask};
use alloc::{boxed::Box, vec::Vec};

/// Bytes on their way out of a [`Connection`](super::Connection), the source of its masking keys,
/// and the time.
///
/// The bytes go out in order: send [`as_bytes`](Self::as_bytes), then say with
/// [`consume`](Self::consume) how many the transport took.
pub struct Output {
    bytes: Vec<u8>,
    sent: usize,
    /// Unsent bytes that lie elsewhere, before these; they count towards the bound.
    backlog: usize,
    /// The transport did not take all that it was last given.
    blocked: bool,
    /// The newest pong, while older bytes block its way.
    pong: Option<Pong>,
    keys: Box<dyn MaskKeys + Send>,
    now: u64,
}

/// A pong that waits, as it goes on the wire.
#[derive(Debug, Clone)]
pub(crate) struct Pong {
    header: EncodedHeader,
    payload: [u8; 125],
    len: u8,
    key: Option<[u8; 4]>,
}

impl Pong {
    pub(crate) fn len(&self) -> usize {
        self.header.len() + usize::from(self.len)
    }
}

#[cfg(feature = "std")]
impl Default for Output {
    fn default() -> Self {
        Self::new()
    }
}

impl Output {
    /// An empty output whose masking keys come from the system's cryptographic generator.
    #[cfg(feature = "std")]
    pub fn new() -> Self {
        Self::with_keys(Box::new(super::keys::RandomKeys::default()))
    }

    /// An empty output with a source of masking keys.
    pub fn with_keys(keys: Box<dyn MaskKeys + Send>) -> Self {
        Self { bytes: Vec::new(), sent: 0, backlog: 0, blocked: false, pong: None, keys, now: 0 }
    }

    /// Tells the time, in milliseconds from any start. Deadlines count from it.
    #[inline]
    pub fn set_now(&mut self, now: u64) {
        self.now = now;
    }

    #[inline]
    pub(super) fn now(&self) -> u64 {
        self.now
    }

    /// The bytes to send.
    #[inline]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[self.sent..]
    }

    /// Whether nothing is to be sent.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many bytes are to be sent.
    #[inline]
    pub fn len(&self) -> usize {
        self.backlog + self.bytes.len() - self.sent + self.pong.as_ref().map_or(0, Pong::len)
    }

    /// The transport took the first `n` bytes of [`as_bytes`](Self::as_bytes).
    ///
    /// Where it did not take all, pongs that come to be sent are merged into the newest one until it
    /// does: "it MAY elect to send a Pong frame for only the most recently processed Ping frame"
    /// (RFC 6455, section 5.5.3). So pings from a peer that does not read cost nothing.
    #[inline]
    pub fn consume(&mut self, n: usize) {
        self.sent = self.sent.saturating_add(n).min(self.bytes.len());
        self.blocked = self.sent < self.bytes.len();
        if !self.blocked {
            self.bytes.clear();
            self.sent = 0;
            self.release_pong();
        }
    }

    /// Puts the waiting pong behind the other bytes.
    #[inline]
    pub(super) fn release_pong(&mut self) {
        if let Some(pong) = self.pong.take() {
            self.push(&pong.header, &pong.payload[..usize::from(pong.len)], pong.key);
        }
    }

    #[inline]
    pub(super) fn is_blocked(&self) -> bool {
        self.blocked
    }

    #[inline]
    pub(super) fn next_key(&mut self) -> [u8; 4] {
        self.keys.next_key()
    }

    /// Adds a frame: one copy of its payload.
    #[inline]
    pub(crate) fn push(&mut self, header: &EncodedHeader, payload: &[u8], key: Option<[u8; 4]>) {
        self.bytes.extend_from_slice(header);
        self.bytes.extend_from_slice(payload);
        if let Some(key) = key {
            let start = self.bytes.len() - payload.len();
            mask(&mut self.bytes[start..], key, 0);
        }
    }

    /// Keeps a pong until the way is free; it takes the place of an older one.
    pub(super) fn hold_pong(&mut self, header: EncodedHeader, payload: &[u8], key: Option<[u8; 4]>) {
        let mut pong = Pong { header, payload: [0; 125], len: 0, key };
        let n = payload.len().min(pong.payload.len());
        pong.payload[..n].copy_from_slice(&payload[..n]);
        pong.len = u8::try_from(n).unwrap_or(0);
        self.pong = Some(pong);
    }
}

/// What the stream's gathering needs: bytes that pass through an output which belongs to no
/// connection.
#[cfg(feature = "std")]
impl Output {
    /// Begins a call for a connection for which `backlog` bytes are already unsent elsewhere, and
    /// perhaps a pong.
    pub(crate) fn begin(&mut self, backlog: usize, pong: Option<Pong>) {
        self.bytes.clear();
        self.sent = 0;
        self.backlog = backlog;
        self.blocked = backlog > 0;
        self.pong = pong;
    }

    /// The unsent bytes elsewhere are now this many.
    pub(crate) fn set_backlog(&mut self, backlog: usize) {
        self.backlog = backlog;
        self.blocked = backlog > 0;
        if !self.blocked && self.as_bytes().is_empty() {
            self.release_pong();
        }
    }

    /// Adds bytes that the transport refused.
    pub(crate) fn keep(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
        self.blocked = true;
    }

    pub(crate) fn may_send(&self) -> bool {
        !self.blocked
    }

    /// Ends the call: the waiting pong, for the connection to keep.
    pub(crate) fn take_pong(&mut self) -> Option<Pong> {
        self.pong.take()
    }
}

impl core::fmt::Debug for Output {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Output").field("len", &self.len()).field("blocked", &self.blocked).finish()
    }
}
