//! The bytes received from the peer that have not been used yet.
#![forbid(unsafe_code)]

use crate::frame::MAX_HEADER_SIZE;
use alloc::{vec, vec::Vec};
use core::ops::Range;

/// Received bytes, of which a range is unread.
///
/// ```text
/// bytes: | used | unread ........ | spare ..... | 14 bytes |
///        0      unread.start      unread.end    room()     bytes.len()
/// ```
///
/// The buffer always has 14 bytes after the unread bytes, so the longest header is read without a bounds
/// check.
#[derive(Default)]
pub(crate) struct RecvBuffer {
    bytes: Vec<u8>,
    unread: Range<usize>,
}

impl RecvBuffer {
    /// Creates a buffer for `capacity` unread bytes.
    pub(super) fn with_capacity(capacity: usize) -> Self {
        Self { bytes: vec![0; capacity.saturating_add(MAX_HEADER_SIZE)], unread: 0..0 }
    }

    /// Creates a buffer that holds `unread` and has no spare room.
    #[cfg(feature = "std")]
    pub(crate) fn new(unread: &[u8]) -> Self {
        Self { bytes: [unread, &[0; MAX_HEADER_SIZE]].concat(), unread: 0..unread.len() }
    }

    /// Returns the unread bytes.
    #[inline]
    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.bytes[self.unread.start..self.unread.end]
    }

    #[inline]
    pub(super) fn len(&self) -> usize {
        self.unread.end - self.unread.start
    }

    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.unread.start == self.unread.end
    }

    /// Returns the place of the next unread byte, for [`split`](Self::split).
    #[inline]
    pub(super) fn position(&self) -> usize {
        self.unread.start
    }

    /// Returns the heap memory in bytes.
    pub(crate) fn capacity(&self) -> usize {
        self.bytes.capacity()
    }

    /// Returns the end of the room for received bytes.
    #[inline]
    pub(super) fn room(&self) -> usize {
        self.bytes.len().saturating_sub(MAX_HEADER_SIZE)
    }

    /// Appends received bytes and grows if there is no room.
    pub(super) fn extend(&mut self, bytes: &[u8]) {
        if self.room() - self.unread.end < bytes.len() {
            self.compact();
            let wanted = self.unread.end + bytes.len();
            if self.room() < wanted {
                self.bytes.resize(wanted + MAX_HEADER_SIZE, 0);
            }
        }
        self.bytes[self.unread.end..][..bytes.len()].copy_from_slice(bytes);
        self.unread.end += bytes.len();
    }

    /// Returns the room after the unread bytes, its position, and the end of the unread bytes. The caller
    /// advances the end by the number of bytes received.
    #[inline(always)]
    pub(super) fn spare_and_end(&mut self) -> (&mut [u8], usize, &mut usize) {
        if self.unread.start == self.unread.end {
            self.unread.start = 0;
            self.unread.end = 0;
            let room = self.room();
            return (&mut self.bytes[..room], 0, &mut self.unread.end);
        }
        if self.unread.end == self.room() {
            self.compact();
        }
        let room = self.room();
        (&mut self.bytes[self.unread.end..room], self.unread.end, &mut self.unread.end)
    }

    /// Adds the first `n` bytes of the spare room to the unread bytes.
    #[inline]
    pub(super) fn filled(&mut self, n: usize) {
        self.unread.end = self.unread.end.saturating_add(n).min(self.room());
    }

    /// Moves the unread bytes to the front.
    fn compact(&mut self) {
        if self.unread.start == 0 {
            return;
        }
        self.bytes.copy_within(self.unread.clone(), 0);
        self.unread.end -= self.unread.start;
        self.unread.start = 0;
    }

    #[inline]
    pub(super) fn consume(&mut self, n: usize) {
        self.unread.start = self.unread.start.saturating_add(n).min(self.unread.end);
    }

    pub(super) fn clear(&mut self) {
        self.unread = 0..0;
    }

    /// Returns the next 14 bytes, the size of the longest header, or `None` if nothing is unread. Bytes after
    /// the unread ones can have any value.
    #[inline(always)]
    pub(super) fn peek(&self) -> Option<&[u8; MAX_HEADER_SIZE]> {
        if self.unread.start == self.unread.end {
            return None;
        }
        self.bytes.get(self.unread.start..)?.first_chunk()
    }

    /// Consumes a frame if it is complete. Returns its payload, and the range that is then unread.
    #[inline(always)]
    pub(super) fn take(&mut self, header: usize, payload: usize) -> Option<(&mut [u8], &mut Range<usize>)> {
        let frame = header.checked_add(payload)?;
        if frame > self.unread.end - self.unread.start {
            return None;
        }
        let bytes = self.bytes.get_mut(self.unread.start..)?.get_mut(header..frame)?;
        self.unread.start += frame;
        Some((bytes, &mut self.unread))
    }

    /// Returns all bytes, used ones too, and the range that is unread.
    #[inline]
    pub(super) fn split(&mut self) -> (&mut [u8], &mut Range<usize>) {
        (&mut self.bytes, &mut self.unread)
    }
}

/// Prints lengths instead of bytes.
impl core::fmt::Debug for RecvBuffer {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("RecvBuffer").field("unread", &self.len()).field("room", &self.room()).finish()
    }
}
