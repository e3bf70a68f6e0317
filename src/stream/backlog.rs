//! What a call could not finish: unread bytes, unsent bytes, and a failure that is not reported yet.
#![forbid(unsafe_code)]

use crate::protocol::{Pong, Stamp, SystemError, UnreadBytes};
use std::collections::VecDeque;

/// What a call leaves to the next one. Allocated only while it holds something.
#[derive(Debug, Default)]
pub(super) struct Backlog {
    /// Bytes that were received and not used.
    pub(super) unread: UnreadBytes,
    /// Bytes that the transport did not take.
    pub(super) unsent: Unsent,
    /// How the transport failed, until the end is reported.
    pub(super) failure: Option<SystemError>,
}

/// Unsent bytes in the order in which they leave, and the newest pong behind them.
///
/// The bytes are a ring: none is moved within it, however few the transport takes at a time, and it
/// never holds more than the bound.
#[derive(Default)]
pub(super) struct Unsent {
    bytes: VecDeque<u8>,
    pub(super) pong: Option<Box<Pong>>,
    /// When the first of the bytes was kept, or the transport last took some. `None` if that call had
    /// no time.
    pub(super) since: Option<Stamp>,
}

impl Unsent {
    /// The number of bytes, without the pong.
    #[inline]
    pub(super) fn len(&self) -> usize {
        self.bytes.len()
    }

    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// The number of bytes, with the pong.
    pub(super) fn all(&self) -> usize {
        self.bytes.len() + self.pong.as_ref().map_or(0, |pong| pong.len())
    }

    /// The bytes in order, in the two pieces of the ring.
    #[inline]
    pub(super) fn pieces(&self) -> (&[u8], &[u8]) {
        self.bytes.as_slices()
    }

    /// Removes the first `n` bytes, which are sent, and frees the storage after the last one.
    pub(super) fn consume(&mut self, n: usize) {
        if n >= self.bytes.len() {
            self.bytes = VecDeque::new();
        } else {
            self.bytes.drain(..n);
        }
    }

    /// Appends bytes. The storage doubles, but never beyond `bound`, which the total never exceeds.
    pub(super) fn push(&mut self, bytes: &[u8], bound: usize) {
        let wanted = self.bytes.len() + bytes.len();
        if wanted > self.bytes.capacity() {
            let capacity = wanted.max(bound.min(self.bytes.capacity().saturating_mul(2)));
            self.bytes.reserve_exact(capacity - self.bytes.len());
        }
        self.bytes.extend(bytes);
    }

    /// Replaces the bytes, of which there are none, by those of `buffer` behind the first `sent`.
    pub(super) fn take(&mut self, buffer: Vec<u8>, sent: usize) {
        self.bytes = buffer.into();
        self.bytes.drain(..sent);
    }

    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    /// The bytes, with the pong behind them.
    pub(super) fn into_vec(self) -> Vec<u8> {
        let mut bytes = Vec::from(self.bytes);
        if let Some(pong) = &self.pong {
            pong.append_to(&mut bytes);
        }
        bytes
    }
}

/// Prints lengths only.
impl std::fmt::Debug for Unsent {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Unsent").field("len", &self.all()).field("since", &self.since).finish()
    }
}

impl Backlog {
    pub(super) fn is_empty(&self) -> bool {
        self.unread.as_bytes().is_empty() && self.unsent.all() == 0 && self.failure.is_none()
    }

    /// The heap bytes held, including those of the backlog itself.
    pub(super) fn held(&self) -> usize {
        let pong = self.unsent.pong.as_ref().map_or(0, |_| size_of::<Pong>());
        size_of::<Self>() + self.unread.capacity() + self.unsent.bytes.capacity() + pong
    }
}
