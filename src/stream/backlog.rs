//! What a call could not finish: unread bytes, unsent bytes, and an unreported failure.
#![forbid(unsafe_code)]

use crate::protocol::{Millis32, Pong, RecvBuffer, SystemError};
use std::collections::VecDeque;

/// What a call leaves to the next one. Allocated only if there is something to keep.
#[derive(Debug, Default)]
pub(super) struct Backlog {
    /// Received bytes that were not used.
    pub(super) unread: RecvBuffer,
    /// Bytes that the transport did not take.
    pub(super) unsent: Unsent,
    /// The error of the transport, until the end is reported.
    pub(super) failure: Option<SystemError>,
    /// When the failure was noticed. `None` if no call had the time.
    pub(super) failed_at: Option<Millis32>,
    /// The bytes received since the failure.
    pub(super) after_failure: usize,
}

/// Unsent bytes in sending order, and the newest pong, which follows them.
///
/// The bytes are in a ring buffer, which never exceeds the bound: sending removes bytes without moving the
/// others.
#[derive(Default)]
pub(super) struct Unsent {
    bytes: VecDeque<u8>,
    pub(super) pong: Option<Box<Pong>>,
    /// When the first byte was kept, or the transport last took bytes. `None` if that call had no time.
    pub(super) since: Option<Millis32>,
}

impl Unsent {
    /// Returns the number of bytes, without the pong.
    #[inline]
    pub(super) fn len(&self) -> usize {
        self.bytes.len()
    }

    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Returns the number of bytes, including the pong.
    pub(super) fn all(&self) -> usize {
        self.bytes.len() + self.pong.as_ref().map_or(0, |pong| pong.len())
    }

    /// Returns the bytes in order, as the two pieces of the ring buffer.
    #[inline]
    pub(super) fn pieces(&self) -> (&[u8], &[u8]) {
        self.bytes.as_slices()
    }

    /// Removes the first `n` bytes, which were sent. Frees the storage if no bytes are left.
    pub(super) fn consume(&mut self, n: usize) {
        if n >= self.bytes.len() {
            self.bytes = VecDeque::new();
        } else {
            self.bytes.drain(..n);
        }
    }

    /// Appends bytes. The storage doubles when it is full, up to `bound`, the maximum number of bytes.
    pub(super) fn push(&mut self, bytes: &[u8], bound: usize) {
        let wanted = self.bytes.len() + bytes.len();
        if wanted > self.bytes.capacity() {
            let capacity = wanted.max(bound.min(self.bytes.capacity().saturating_mul(2)));
            self.bytes.reserve_exact(capacity - self.bytes.len());
        }
        self.bytes.extend(bytes);
    }

    /// Takes the bytes of `buffer` after the first `sent`. There must be no other bytes.
    pub(super) fn take(&mut self, buffer: Vec<u8>, sent: usize) {
        self.bytes = buffer.into();
        self.bytes.drain(..sent);
    }

    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    /// Returns the bytes, followed by the pong.
    pub(super) fn into_vec(self) -> Vec<u8> {
        let mut bytes = Vec::from(self.bytes);
        if let Some(pong) = &self.pong {
            pong.append_to(&mut bytes);
        }
        bytes
    }
}

/// Prints lengths instead of bytes.
impl std::fmt::Debug for Unsent {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Unsent").field("len", &self.all()).field("since", &self.since).finish()
    }
}

impl Backlog {
    pub(super) fn is_empty(&self) -> bool {
        self.unread.as_bytes().is_empty() && self.unsent.all() == 0 && self.failure.is_none()
    }

    /// Returns the heap memory in bytes, including that of the backlog itself.
    pub(super) fn heap_bytes(&self) -> usize {
        let pong = self.unsent.pong.as_ref().map_or(0, |_| size_of::<Pong>());
        size_of::<Self>() + self.unread.capacity() + self.unsent.bytes.capacity() + pong
    }
}
