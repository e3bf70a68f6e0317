//! The bytes that a connection has to send, and the source of its masking keys.
#![forbid(unsafe_code)]

use super::deflate::Compressor;
use super::payload::MAX_CONTROL;
use crate::frame::{EncodedHeader, copy, mask_into};
use alloc::{boxed::Box, vec::Vec};

/// The bytes that an output first makes room for.
const LEAST_BUFFER: usize = 1024;

/// A buffer that has grown larger is not kept for the next call.
const KEPT_BUFFER: usize = 1 << 20;

/// Bytes on their way out of a [`Connection`](super::Connection), the source of its masking keys,
/// and the time.
///
/// The bytes go out in order: send [`as_bytes`](Self::as_bytes), then say with
/// [`consume`](Self::consume) how many the transport took.
pub struct Output {
    /// ```text
    /// | sent | to be sent ...... | spare, initialised |
    ///       sent                end             buffer.len()
    /// ```
    buffer: Vec<u8>,
    sent: usize,
    end: usize,
    /// Unsent bytes that lie elsewhere: a backlog before these, and the pong behind. They count towards
    /// the bound.
    elsewhere: usize,
    /// The transport did not take all that it was last given.
    blocked: bool,
    /// The newest pong, while older bytes block its way.
    pong: Option<Box<Pong>>,
    keys: Box<dyn MaskKeys + Send>,
    now: Option<u64>,
    /// Made for the first message that is compressed.
    compressor: Option<Compressor>,
    /// Size in bytes of the last frame whose message was to be compressed.
    pub(crate) last_compressed_frame: usize,
}

/// A pong that waits, as it goes on the wire.
#[derive(Clone)]
pub(crate) struct Pong {
    header: EncodedHeader,
    payload: [u8; MAX_CONTROL],
    len: u8,
    key: Option<[u8; 4]>,
}

impl Pong {
    /// Appends it as it goes on the wire.
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
    /// An empty output whose masking keys come from the system's cryptographic generator.
    #[cfg(feature = "std")]
    pub fn new() -> Self {
        Self::with_keys(Box::new(RandomKeys::default()))
    }

    /// An empty output with a source of masking keys.
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

    /// Tells the time, in milliseconds from any start. Without it, nothing is ever due.
    #[inline]
    pub fn set_now(&mut self, now: u64) {
        self.now = Some(now);
    }

    #[inline]
    pub(crate) fn now(&self) -> Option<u64> {
        self.now
    }

    /// The bytes to send. What is added later may move them: for a call that the kernel makes
    /// meanwhile, as io_uring does, copy them first.
    #[inline]
    pub fn as_bytes(&self) -> &[u8] {
        &self.buffer[self.sent..self.end]
    }

    /// How many bytes [`as_bytes`](Self::as_bytes) has.
    #[inline]
    pub(crate) fn gathered(&self) -> usize {
        self.end - self.sent
    }

    /// Whether nothing is to be sent.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many bytes are to be sent.
    #[inline]
    pub fn len(&self) -> usize {
        self.elsewhere + self.gathered()
    }

    /// The transport took the first `n` bytes of [`as_bytes`](Self::as_bytes).
    ///
    /// Where it did not take all, pongs that come to be sent are merged into the newest one until it
    /// does: "it MAY elect to send a Pong frame for only the most recently processed Ping frame"
    /// (RFC 6455, section 5.5.3). So pings from a peer that does not read cost nothing.
    #[inline]
    pub fn consume(&mut self, n: usize) {
        if n >= self.gathered() {
            self.consume_all();
        } else {
            self.sent += n;
            self.blocked = true;
        }
    }

    /// The same, where it took them all.
    #[inline]
    pub(crate) fn consume_all(&mut self) {
        self.sent = 0;
        self.end = 0;
        self.blocked = false;
        if self.pong.is_some() {
            self.release_pong();
        }
    }

    /// The waiting pong, for the connection to keep, or to go its way.
    pub(crate) fn take_pong(&mut self) -> Option<Box<Pong>> {
        let pong = self.pong.take();
        self.elsewhere -= pong.as_ref().map_or(0, |pong| pong.len());
        pong
    }

    /// Puts the waiting pong behind the other bytes.
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

    /// Takes the compressor, for a message.
    pub(crate) fn take_compressor(&mut self) -> Compressor {
        self.compressor.take().unwrap_or_default()
    }

    /// Puts the compressor back.
    pub(crate) fn put_compressor(&mut self, mut compressor: Compressor) {
        compressor.trim();
        self.compressor = Some(compressor);
    }

    /// Adds a frame: one copy of its payload, masked on the way where there is a key.
    #[inline]
    pub(crate) fn push(&mut self, header: &EncodedHeader, payload: &[u8], key: Option<[u8; 4]>) {
        if !self.try_push(header, payload, key) {
            self.push_after_making_room(header, payload, key);
        }
    }

    /// The same, where there is room.
    #[inline(always)]
    fn try_push(&mut self, header: &EncodedHeader, payload: &[u8], key: Option<[u8; 4]>) -> bool {
        let Some(room) = self.buffer.get_mut(self.end..) else { return false };
        // The header is copied with the zeros behind it, in one size; they are covered by what comes
        // next.
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

    /// Out of the way of those that fit.
    #[cold]
    #[inline(never)]
    fn push_after_making_room(&mut self, header: &EncodedHeader, payload: &[u8], key: Option<[u8; 4]>) {
        while !self.try_push(header, payload, key) {
            self.make_room(header.to_array().len() + payload.len());
        }
    }

    /// Room for `more` bytes behind the others. Where at least as many bytes are sent as are not, what is
    /// unsent moves to the front, so that an output that is never quite empty does not grow; then it
    /// doubles. Moving costs no more than sending did.
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

    /// Keeps a pong until the way is free; it takes the place of an older one.
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

/// An output that several connections use in turn: what one of them has unsent is kept elsewhere.
impl Output {
    /// Tells the time, or that it is not known.
    #[inline]
    pub(crate) fn set_time(&mut self, now: Option<u64>) {
        self.now = now;
    }

    /// Begins a call for a connection for which `backlog` bytes are already unsent elsewhere, and
    /// perhaps a pong.
    pub(crate) fn begin(&mut self, backlog: usize, pong: Option<Box<Pong>>) {
        self.sent = 0;
        self.end = 0;
        self.pong = pong;
        self.put_backlog(backlog);
    }

    /// The unsent bytes elsewhere are now this many.
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

    /// Adds bytes that the transport refused.
    pub(crate) fn keep(&mut self, bytes: &[u8]) {
        self.push_encoded(bytes);
        self.blocked = true;
    }

    /// Adds bytes that are frames already.
    pub(crate) fn push_encoded(&mut self, bytes: &[u8]) {
        if self.buffer.len() - self.end < bytes.len() {
            self.make_room(bytes.len());
        }
        let end = self.end + bytes.len();
        self.buffer[self.end..end].copy_from_slice(bytes);
        self.end = end;
    }

    /// What is to be sent as a buffer of its own, where it is most of what this one holds and no more
    /// than `bound`; else `None`, and it is to be copied.
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

    /// Gives back what is more than the usual messages need. Nothing is in it any more.
    pub(crate) fn shrink(&mut self) {
        if self.buffer.len() > KEPT_BUFFER {
            self.buffer = Vec::new();
        }
    }

    /// Whether no call has left anything.
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
/// "The masking key needs to be unpredictable; thus, the masking key MUST be derived from a strong
/// source of entropy" (RFC 6455, section 5.3). The default source of an [`Output`](super::Output)
/// is a cryptographic generator seeded by the system; another one is for tests and for platforms
/// without `std`.
pub trait MaskKeys {
    /// A fresh key.
    fn next_key(&mut self) -> [u8; 4];
}

impl<F: FnMut() -> [u8; 4]> MaskKeys for F {
    fn next_key(&mut self) -> [u8; 4] {
        self()
    }
}

/// The keys of the system's cryptographic generator; seeded at the first use, so that a server, which
/// masks nothing, never asks for any.
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
        // Less than half of what the buffer could hold is copied.
        output.push_encoded(&[1; KEPT_BUFFER + 1]);
        output.consume(KEPT_BUFFER);
        assert!(output.take_bytes(usize::MAX).is_none());
        assert_eq!(output.as_bytes(), [1]);
    }
}
