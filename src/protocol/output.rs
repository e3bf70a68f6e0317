//! The bytes that a connection sends, and the source of its masking keys.
#![forbid(unsafe_code)]

use super::deflate::Compressor;
use super::payload::MAX_CONTROL;
use crate::frame::{EncodedHeader, copy, mask_into};
use alloc::{boxed::Box, vec::Vec};

/// The minimum size of a buffer, in bytes.
const LEAST_BUFFER: usize = 1024;

/// A larger buffer is freed after a call.
const KEPT_BUFFER: usize = 1 << 20;

/// Bytes to send from a [`Connection`](super::Connection), the source of masking keys, and the time.
///
/// Send [`as_bytes`](Self::as_bytes) in order, then call [`consume`](Self::consume) with the number of bytes
/// that the transport took.
///
/// ```
/// use websocket_stream::protocol::{Connection, Message, Output, Role};
///
/// let (mut server, mut output) = (Connection::new(Role::Server), Output::new());
/// server.send(Message::Text("Hello"), &mut output)?;
/// let mut wire = Vec::new();
/// while !output.is_empty() {
///     let taken = output.as_bytes().len().min(4); // a socket that takes 4 bytes at once
///     wire.extend_from_slice(&output.as_bytes()[..taken]);
///     output.consume(taken);
/// }
/// assert_eq!(wire, b"\x81\x05Hello");
/// # Ok::<(), websocket_stream::SendError>(())
/// ```
pub struct Output {
    /// ```text
    /// | sent | to be sent ...... | spare, initialised |
    ///       sent                end             buffer.len()
    /// ```
    buffer: Vec<u8>,
    sent: usize,
    end: usize,
    /// Unsent bytes that are not in the buffer but count towards the limit: a backlog before the buffer's
    /// bytes, and a waiting pong after them.
    elsewhere: usize,
    /// The transport took only part of what it was last given.
    blocked: bool,
    /// The newest pong, which waits until the older bytes are sent.
    pong: Option<Box<Pong>>,
    keys: Box<dyn MaskKeys + Send>,
    now: Option<u64>,
    /// Created for the first compressed message.
    compressor: Option<Compressor>,
    /// The size in bytes of the last frame that was made with the compressor.
    pub(crate) last_compressed_frame: usize,
}

/// A pong that waits to be sent.
pub(crate) struct Pong {
    header: EncodedHeader,
    payload: [u8; MAX_CONTROL],
    len: u8,
    key: Option<[u8; 4]>,
}

impl Pong {
    /// Appends the encoded frame.
    pub(crate) fn append_to(&self, bytes: &mut Vec<u8>) {
        bytes.extend_from_slice(&self.header);
        let start = bytes.len();
        bytes.extend_from_slice(&self.payload[..usize::from(self.len)]);
        if let Some(key) = self.key {
            crate::frame::mask(&mut bytes[start..], key, 0);
        }
    }

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
    /// Creates an empty output with masking keys from a cryptographic generator, seeded by the system.
    #[cfg(feature = "std")]
    pub fn new() -> Self {
        Self::with_keys(Box::new(RandomKeys::default()))
    }

    /// Creates an empty output with this source of masking keys.
    pub fn with_keys(keys: Box<dyn MaskKeys + Send>) -> Self {
        Self {
            buffer: Vec::new(),
            sent: 0,
            end: 0,
            elsewhere: 0,
            blocked: false,
            pong: None,
            keys,
            now: None,
            compressor: None,
            last_compressed_frame: 0,
        }
    }

    /// Sets the time, in milliseconds since any fixed start.
    ///
    /// Without a time, no deadline passes.
    #[inline]
    pub fn set_now(&mut self, now: u64) {
        self.now = Some(now);
    }

    #[inline]
    pub(crate) fn now(&self) -> Option<u64> {
        self.now
    }

    /// Returns the bytes to send.
    ///
    /// Appending may move them, so copy them first for an asynchronous system call, as with io_uring.
    #[inline]
    pub fn as_bytes(&self) -> &[u8] {
        &self.buffer[self.sent..self.end]
    }

    /// Returns the number of bytes in [`as_bytes`](Self::as_bytes).
    #[inline]
    pub(crate) fn gathered(&self) -> usize {
        self.end - self.sent
    }

    /// Returns whether there is nothing to send.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns the number of bytes to send, including a waiting pong.
    #[inline]
    pub fn len(&self) -> usize {
        self.elsewhere + self.gathered()
    }

    /// Removes the first `n` bytes of [`as_bytes`](Self::as_bytes), which the transport took.
    ///
    /// If fewer than all were taken, only the newest pong is kept until the rest is sent: "it MAY elect to
    /// send a Pong frame for only the most recently processed Ping frame" (RFC 6455, section 5.5.3). So
    /// further pings from a peer that does not read use no more memory.
    #[inline]
    pub fn consume(&mut self, n: usize) {
        if n >= self.gathered() {
            self.consume_all();
        } else {
            self.sent += n;
            self.blocked = true;
        }
    }

    /// Removes all bytes of [`as_bytes`](Self::as_bytes), which the transport took.
    #[inline]
    pub(crate) fn consume_all(&mut self) {
        self.sent = 0;
        self.end = 0;
        self.blocked = false;
        if self.pong.is_some() {
            self.release_pong();
        }
    }

    /// Takes the waiting pong.
    pub(crate) fn take_pong(&mut self) -> Option<Box<Pong>> {
        let pong = self.pong.take();
        self.elsewhere -= pong.as_ref().map_or(0, |pong| pong.len());
        pong
    }

    /// Appends the waiting pong to the other bytes.
    #[cold]
    pub(super) fn release_pong(&mut self) {
        if let Some(pong) = self.take_pong() {
            self.push(&pong.header, &pong.payload[..usize::from(pong.len)], pong.key);
        }
    }

    #[inline]
    pub(super) fn holds_back_pongs(&self) -> bool {
        self.blocked || self.pong.is_some()
    }

    #[inline]
    pub(super) fn next_key(&mut self) -> [u8; 4] {
        self.keys.next_key()
    }

    /// Takes the compressor, for one message.
    pub(crate) fn take_compressor(&mut self) -> Compressor {
        self.compressor.take().unwrap_or_default()
    }

    /// Puts the compressor back.
    pub(crate) fn put_compressor(&mut self, mut compressor: Compressor) {
        compressor.trim();
        self.compressor = Some(compressor);
    }

    /// Appends a frame: copies the payload once, masked on the way if there is a key.
    #[inline]
    pub(crate) fn push(&mut self, header: &EncodedHeader, payload: &[u8], key: Option<[u8; 4]>) {
        if !self.try_push(header, payload, key) {
            self.push_after_making_room(header, payload, key);
        }
    }

    /// Appends a frame if there is room. Returns whether it was appended.
    #[inline(always)]
    fn try_push(&mut self, header: &EncodedHeader, payload: &[u8], key: Option<[u8; 4]>) -> bool {
        let Some(room) = self.buffer.get_mut(self.end..) else { return false };
        // One copy of fixed size: the header's array, of which the unused bytes are zeros. The payload and
        // the next frame overwrite the zeros.
        let Some(start) = room.first_chunk_mut() else { return false };
        *start = header.to_array();
        let Some(behind) = room.get_mut(header.len()..) else { return false };
        let Some(to) = behind.get_mut(..payload.len()) else { return false };
        match key {
            None => copy(to, payload),
            Some(key) => mask_into(to, payload, key, 0),
        }
        self.end += header.len() + payload.len();
        true
    }

    /// Makes room, then appends a frame. Out of line, because most frames fit.
    #[cold]
    #[inline(never)]
    fn push_after_making_room(&mut self, header: &EncodedHeader, payload: &[u8], key: Option<[u8; 4]>) {
        while !self.try_push(header, payload, key) {
            self.make_room(header.to_array().len() + payload.len());
        }
    }

    /// Makes room for `more` bytes after the others.
    ///
    /// If no fewer bytes were sent than are unsent, moves the unsent ones to the front, so that an output
    /// that is never empty does not grow; moving costs no more than sending did. If there is still no room,
    /// at least doubles the buffer.
    #[cold]
    fn make_room(&mut self, more: usize) {
        if self.sent >= self.gathered() {
            self.buffer.copy_within(self.sent..self.end, 0);
            self.end -= self.sent;
            self.sent = 0;
        }
        let wanted = self.end + more;
        if self.buffer.len() < wanted {
            self.buffer.resize(wanted.max(self.buffer.len() * 2).max(LEAST_BUFFER), 0);
        }
    }

    /// Keeps a pong until it can be sent, in place of an older one.
    pub(super) fn hold_pong(&mut self, header: EncodedHeader, payload: &[u8], key: Option<[u8; 4]>) {
        let mut pong = Pong { header, payload: [0; MAX_CONTROL], len: 0, key };
        let n = payload.len().min(pong.payload.len());
        pong.payload[..n].copy_from_slice(&payload[..n]);
        pong.len = u8::try_from(n).unwrap_or(0);
        self.elsewhere += pong.len();
        match &mut self.pong {
            Some(older) => {
                self.elsewhere -= older.len();
                **older = pong;
            }
            None => self.pong = Some(Box::new(pong)),
        }
    }
}

/// For an output that several connections use in turn; each keeps its unsent bytes elsewhere.
impl Output {
    /// Sets the time, or `None` if it is not known.
    #[inline]
    pub(crate) fn set_time(&mut self, now: Option<u64>) {
        self.now = now;
    }

    /// Begins a call for a connection that has `backlog` unsent bytes elsewhere, and perhaps a waiting pong.
    pub(crate) fn begin(&mut self, backlog: usize, pong: Option<Box<Pong>>) {
        self.sent = 0;
        self.end = 0;
        self.pong = pong;
        self.put_backlog(backlog);
    }

    /// Sets the number of unsent bytes elsewhere.
    pub(crate) fn set_backlog(&mut self, backlog: usize) {
        self.put_backlog(backlog);
        if !self.blocked {
            self.release_pong();
        }
    }

    fn put_backlog(&mut self, backlog: usize) {
        self.elsewhere = backlog + self.pong.as_ref().map_or(0, |pong| pong.len());
        self.blocked = backlog > 0;
    }

    /// Appends bytes that the transport did not take.
    pub(crate) fn keep(&mut self, bytes: &[u8]) {
        self.push_encoded(bytes);
        self.blocked = true;
    }

    /// Appends encoded frames.
    pub(crate) fn push_encoded(&mut self, bytes: &[u8]) {
        if self.buffer.len() - self.end < bytes.len() {
            self.make_room(bytes.len());
        }
        let end = self.end + bytes.len();
        self.buffer[self.end..end].copy_from_slice(bytes);
        self.end = end;
    }

    /// Takes the buffer and the number of sent bytes at its start, to save a copy of the unsent ones.
    ///
    /// Returns `None`, and the caller copies, if the capacity is at most 1 MiB or more than `bound`, or if
    /// less than half of it is unsent.
    pub(crate) fn take_bytes(&mut self, bound: usize) -> Option<(Vec<u8>, usize)> {
        let capacity = self.buffer.capacity();
        if capacity <= KEPT_BUFFER || capacity > bound || self.gathered() < capacity / 2 {
            return None;
        }
        self.buffer.truncate(self.end);
        let taken = (core::mem::take(&mut self.buffer), self.sent);
        (self.sent, self.end) = (0, 0);
        Some(taken)
    }

    /// Frees the buffer, which must be empty, if it is larger than 1 MiB.
    pub(crate) fn shrink(&mut self) {
        if self.buffer.len() > KEPT_BUFFER {
            self.buffer = Vec::new();
        }
    }

    /// Returns whether the output is empty and its buffer is at most 1 MiB.
    #[inline]
    pub(crate) fn is_clean(&self) -> bool {
        self.end | self.elsewhere == 0 && self.buffer.len() <= KEPT_BUFFER
    }

    pub(crate) fn may_send(&self) -> bool {
        !self.blocked
    }
}

impl core::fmt::Debug for Output {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Output").field("len", &self.len()).field("blocked", &self.blocked).finish()
    }
}

/// A source of masking keys.
///
/// "The masking key needs to be unpredictable; thus, the masking key MUST be derived from a strong source of
/// entropy" (RFC 6455, section 5.3). The default source of an [`Output`](super::Output) is a cryptographic
/// generator seeded by the system. Use another source in tests, and on platforms without `std`.
///
/// ```
/// use websocket_stream::protocol::{Connection, Message, Output, Role};
///
/// // A test that compares bytes. Closures are sources of keys, too.
/// let mut output = Output::with_keys(Box::new(|| [0x37, 0xfa, 0x21, 0x3d]));
/// Connection::new(Role::Client).send(Message::Text("Hello"), &mut output)?;
/// // RFC 6455, section 5.7: a single-frame masked text message.
/// let frame = [0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58];
/// assert_eq!(output.as_bytes(), frame);
/// # Ok::<(), websocket_stream::SendError>(())
/// ```
pub trait MaskKeys {
    /// Returns a fresh key.
    fn next_key(&mut self) -> [u8; 4];
}

impl<F: FnMut() -> [u8; 4]> MaskKeys for F {
    fn next_key(&mut self) -> [u8; 4] {
        self()
    }
}

/// Keys from a cryptographic generator, which the system seeds on first use. A server masks nothing, so its
/// generator is never seeded.
#[cfg(feature = "std")]
#[derive(Default)]
pub(crate) struct RandomKeys(Option<rand::rngs::StdRng>);

#[cfg(feature = "std")]
impl MaskKeys for RandomKeys {
    #[inline]
    fn next_key(&mut self) -> [u8; 4] {
        use rand::Rng;
        self.0.get_or_insert_with(rand::make_rng).next_u32().to_ne_bytes()
    }
}

#[cfg(all(test, feature = "std"))]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_that_is_taken_ends_where_its_bytes_end_and_leaves_nothing() {
        let mut output = Output::new();
        output.push_encoded(&[1; KEPT_BUFFER]);
        output.push_encoded(&[2; 10]);
        output.consume(7);
        assert!(output.take_bytes(KEPT_BUFFER).is_none());
        let (bytes, sent) = output.take_bytes(usize::MAX).unwrap();
        assert_eq!((bytes.len(), sent), (KEPT_BUFFER + 10, 7));
        assert!(bytes.ends_with(&[1, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2]));
        assert!(output.is_empty());
        // The bytes are copied if they are less than half of the capacity.
        output.push_encoded(&[1; KEPT_BUFFER + 1]);
        output.consume(KEPT_BUFFER);
        assert!(output.take_bytes(usize::MAX).is_none());
        assert_eq!(output.as_bytes(), [1]);
    }
}
