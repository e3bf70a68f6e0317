//! What a connection keeps between two calls, beside its unfinished message: bytes that were received
//! and not used, and bytes that the transport did not take.
#![forbid(unsafe_code)]

use crate::protocol::{Pong, UnreadBytes};

/// Allocated only while there is something to keep.
#[derive(Debug, Default)]
pub(super) struct Spill {
    pub(super) unread: UnreadBytes,
    pub(super) unsent: Unsent,
}

/// Bytes in the order in which they go out, and the newest pong behind them.
#[derive(Debug, Default)]
pub(super) struct Unsent {
    bytes: Vec<u8>,
    sent: usize,
    pub(super) pong: Option<Box<Pong>>,
}

impl Unsent {
    #[inline]
    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.bytes[self.sent..]
    }

    pub(super) fn len(&self) -> usize {
        self.bytes.len() - self.sent + self.pong.as_ref().map_or(0, |pong| pong.len())
    }

    pub(super) fn consume(&mut self, n: usize) {
        self.sent += n;
        if self.sent == self.bytes.len() {
            self.bytes = Vec::new();
            self.sent = 0;
        }
    }

    /// Adds bytes; those that are sent make room first, so that what is held stays within twice what
    /// is unsent.
    pub(super) fn push(&mut self, bytes: &[u8]) {
        if self.sent >= self.bytes.len() - self.sent {
            self.bytes.drain(..self.sent);
            self.sent = 0;
        }
        self.bytes.extend_from_slice(bytes);
    }

    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }
}

impl Spill {
    pub(super) fn is_empty(&self) -> bool {
        self.unread.as_bytes().is_empty() && self.unsent.len() == 0
    }

    /// Heap bytes held, its own included.
    pub(super) fn held(&self) -> usize {
        let pong = self.unsent.pong.as_ref().map_or(0, |_| size_of::<Pong>());
        size_of::<Self>() + self.unread.capacity() + self.unsent.bytes.capacity() + pong
    }
}
