//! A frame's payload on its way in: how much of it has been used, and where the bytes lie.
#![forbid(unsafe_code)]

use super::recv_buffer::RecvBuffer;
use crate::frame::utf8::MessageBuffer;
use crate::frame::{Header, mask};

/// The maximum payload of a control frame, in bytes (RFC 6455, section 5.5).
pub(super) const MAX_CONTROL: usize = 125;

/// A frame's header and the number of payload bytes that have been used.
#[derive(Debug)]
pub(super) struct CurrentFrame {
    header: Header,
    used: usize,
}

impl CurrentFrame {
    pub(super) fn new(header: Header) -> Self {
        Self { header, used: 0 }
    }

    pub(super) fn header(&self) -> &Header {
        &self.header
    }

    /// Returns the number of payload bytes that are still missing. The header was checked against
    /// `Limits::frame` and `Limits::message`, so the number fits a `usize`.
    pub(super) fn remaining(&self) -> usize {
        usize::try_from(self.header.len).unwrap_or(usize::MAX) - self.used
    }

    /// Returns how many of the missing payload bytes are unread in `bytes`.
    pub(super) fn arrived(&self, bytes: &RecvBuffer) -> usize {
        self.remaining().min(bytes.len())
    }

    /// Returns whether the next `n` bytes complete the payload and end its message.
    pub(super) fn ends_message_after(&self, n: usize) -> bool {
        self.header.fin && self.remaining() == n
    }

    /// Returns the masking key, rotated so that it begins at the next byte.
    pub(super) fn key(&self) -> Option<[u8; 4]> {
        self.header.mask.map(|mut key| {
            key.rotate_left(self.used % 4);
            key
        })
    }

    /// Consumes the next `n` unread bytes of the payload.
    pub(super) fn consume(&mut self, bytes: &mut RecvBuffer, n: usize) {
        bytes.consume(n);
        self.advance(n);
    }

    /// Counts the next `n` bytes as used, which did not go through a receive buffer.
    pub(super) fn advance(&mut self, n: usize) {
        self.used += n;
    }

    /// Returns the length of the message if `len` bytes precede the rest of this payload, or `limit` if
    /// further fragments may follow.
    pub(super) fn message_len(&self, len: usize, limit: usize) -> usize {
        if self.header.fin { len + self.remaining() } else { limit }
    }
}

/// Where a received payload lies.
#[derive(Debug)]
pub(super) enum Payload {
    /// In the receive buffer, masked if there is a key.
    Buffered { at: usize, len: usize, key: Option<[u8; 4]> },
    /// In a buffer of its own, unmasked and validated.
    Collected(MessageBuffer),
    /// Up to 125 unmasked bytes that arrived in pieces: a control frame, or one character of a text.
    Short(ShortBuffer),
}

/// Up to 125 bytes, the maximum of a control frame.
pub(super) struct ShortBuffer {
    bytes: [u8; MAX_CONTROL],
    len: usize,
}

impl Default for ShortBuffer {
    fn default() -> Self {
        Self { bytes: [0; MAX_CONTROL], len: 0 }
    }
}

impl ShortBuffer {
    /// Appends `bytes` and unmasks them.
    pub(super) fn append(&mut self, bytes: &[u8], key: Option<[u8; 4]>) {
        let to = &mut self.bytes[self.len..];
        let n = bytes.len().min(to.len());
        to[..n].copy_from_slice(&bytes[..n]);
        if let Some(key) = key {
            mask(&mut to[..n], key, 0);
        }
        self.len += n;
    }

    pub(super) fn as_mut_bytes(&mut self) -> &mut [u8] {
        &mut self.bytes[..self.len]
    }
}

/// Prints lengths instead of bytes.
impl core::fmt::Debug for ShortBuffer {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("ShortBuffer").field("len", &self.len).finish()
    }
}
