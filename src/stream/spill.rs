//! What a connection keeps between two calls, beside its unfinished message: bytes that were received
//! and not used, bytes that the transport did not take, and how the transport failed.
#![forbid(unsafe_code)]

use crate::protocol::{Pong, Stamp, SystemError, UnreadBytes};
use std::collections::VecDeque;

/// Allocated only while there is something to keep.
#[derive(Debug, Default)]
pub(super) struct Spill {
    pub(super) unread: UnreadBytes,
    pub(super) unsent: Unsent,
    /// How the transport failed, until the end is reported.
    pub(super) failure: Option<SystemError>,
}

/// Bytes in the order in which they go out, and the newest pong behind them.
///
/// A ring: however little the transport takes at a time, and however little comes in, no byte is moved
/// within it, and it never holds more than the bound.
#[derive(Default)]
pub(super) struct Unsent {
    bytes: VecDeque<u8>,
    pub(super) pong: Option<Box<Pong>>,
    /// When there came to be bytes, or the transport last took some; where the time was known.
    pub(super) since: Option<Stamp>,
}

impl Unsent {
    /// The bytes, pong aside.
    #[inline]
    pub(super) fn len(&self) -> usize {
        self.bytes.len()
    }

    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// The bytes, pong included.
    pub(super) fn all(&self) -> usize {
        self.bytes.len() + self.pong.as_ref().map_or(0, |pong| pong.len())
    }

    /// The bytes as they lie, in their order.
    #[inline]
    pub(super) fn pieces(&self) -> (&[u8], &[u8]) {
        self.bytes.as_slices()
    }

    /// The first `n` bytes are sent. The storage is given back with the last one.
    pub(super) fn consume(&mut self, n: usize) {
        if n >= self.bytes.len() {
            self.bytes = VecDeque::new();
        } else {
            self.bytes.drain(..n);
        }
    }

    /// Adds bytes. The storage doubles, but never past `bound`, which all of them keep within.
    pub(super) fn push(&mut self, bytes: &[u8], bound: usize) {
        let wanted = self.bytes.len() + bytes.len();
        if wanted > self.bytes.capacity() {
            let capacity = wanted.max(bound.min(self.bytes.capacity().saturating_mul(2)));
            self.bytes.reserve_exact(capacity - self.bytes.len());
        }
        self.bytes.extend(bytes);
    }

    /// Takes a buffer whose first `sent` bytes are sent, where there are no bytes yet.
    pub(super) fn take(&mut self, buffer: Vec<u8>, sent: usize) {
        self.bytes = buffer.into();
        self.bytes.drain(..sent);
    }

    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    /// The bytes, the pong behind them.
    pub(super) fn into_vec(self) -> Vec<u8> {
        let mut bytes = Vec::from(self.bytes);
        if let Some(pong) = &self.pong {
            pong.append_to(&mut bytes);
        }
        bytes
    }
}

/// Lengths only.
impl std::fmt::Debug for Unsent {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Unsent").field("len", &self.all()).field("since", &self.since).finish()
    }
}

impl Spill {
    pub(super) fn is_empty(&self) -> bool {
        self.unread.as_bytes().is_empty() && self.unsent.all() == 0 && self.failure.is_none()
    }

    /// Heap bytes held, its own included.
    pub(super) fn held(&self) -> usize {
        let pong = self.unsent.pong.as_ref().map_or(0, |_| size_of::<Pong>());
        size_of::<Self>() + self.unread.capacity() + self.unsent.bytes.capacity() + pong
    }
}
