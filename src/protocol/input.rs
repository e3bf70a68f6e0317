//! The received bytes that a connection has not used yet.
#![forbid(unsafe_code)]

#[cfg(feature = "deflate")]
use super::Fault;
use super::Message;
use super::check::MAX_CONTROL;
#[cfg(feature = "deflate")]
use super::inflation::{Compressed, Earlier, Inflation};
use crate::frame::MAX_HEADER_SIZE;
use crate::frame::utf8::{CutCharacter, MessageBuffer};
use alloc::{vec, vec::Vec};
use core::cmp::Reverse;
use core::fmt;

/// How many used message buffers wait for their next use, and how large they may be together.
const POOLED_BUFFERS: usize = 4;
const POOLED_BYTES: usize = 8 << 20;

/// A used message buffer is at most so many times as large as what has come of the message that gets it.
/// What a scratch receives at once, less a header, is enough for one of a mebibyte.
const POOLED_TIMES: usize = 32;

/// Received bytes on their way into a [`Connection`](super::Connection), and the message they made.
///
/// ```text
/// buffer: | used | unread ........ | spare ..... | 14 bytes |
///                start            end                  buffer.len()
/// ```
///
/// Behind the unread bytes there is always room for the longest header, so that one is read without
/// asking first where the bytes end.
///
/// A message that lies whole in the unread bytes is lent from where it lies. One that came in pieces
/// was collected by its connection; finished, it moves here, to be lent from here.
#[derive(Default)]
pub struct Input {
    buffer: Vec<u8>,
    start: usize,
    end: usize,
    end_of_stream: bool,
    finished: Option<MessageBuffer>,
    /// The payload of a control frame, or a character of a message that is told in parts.
    control: ControlBuffer,
    /// A message is lent from `finished`.
    lent: bool,
    pool: Vec<Vec<u8>>,
    #[cfg(feature = "deflate")]
    pub(super) inflation: Inflation,
}

/// The payload of a control frame that came in pieces.
#[derive(Clone)]
pub(super) struct ControlBuffer {
    bytes: [u8; MAX_CONTROL],
    len: usize,
}

/// See [`Input::parts`].
pub(super) struct Parts<'a> {
    pub(super) buffer: &'a mut [u8],
    /// The payload of the control frame, or the character, that came in pieces last.
    pub(super) control: &'a [u8],
    /// The message that came in pieces and is finished.
    pub(super) finished: Option<Message<'a>>,
    pub(super) rest: Rest<'a>,
}

/// What is not read yet, beside bytes of it that are lent.
pub(super) struct Rest<'a> {
    pub(super) start: &'a mut usize,
    pub(super) end: usize,
    pub(super) end_of_stream: bool,
}

impl Default for ControlBuffer {
    fn default() -> Self {
        Self { bytes: [0; MAX_CONTROL], len: 0 }
    }
}

impl ControlBuffer {
    pub(super) fn append(&mut self, bytes: &[u8], key: Option<[u8; 4]>) {
        let to = &mut self.bytes[self.len..];
        let n = bytes.len().min(to.len());
        to[..n].copy_from_slice(&bytes[..n]);
        if let Some(key) = key {
            crate::frame::mask(&mut to[..n], key, self.len);
        }
        self.len += n;
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

impl Input {
    /// An input that can hold `capacity` bytes before they are used.
    pub fn with_capacity(capacity: usize) -> Self {
        Self { buffer: vec![0; capacity.saturating_add(MAX_HEADER_SIZE)], ..Self::default() }
    }

    /// Adds received bytes, making room where there is none.
    pub fn extend(&mut self, bytes: &[u8]) {
        if self.room() - self.end < bytes.len() {
            self.compact();
            let wanted = self.end + bytes.len();
            if self.room() < wanted {
                self.buffer.resize(wanted + MAX_HEADER_SIZE, 0);
            }
        }
        self.buffer[self.end..self.end + bytes.len()].copy_from_slice(bytes);
        self.end += bytes.len();
    }

    /// Room behind the unread bytes, to receive into before [`filled`](Self::filled).
    #[inline]
    pub fn spare(&mut self) -> &mut [u8] {
        self.spare_and_end().0
    }

    /// The same, where it begins, and what is to be set to where the bytes end that were received.
    #[inline(always)]
    pub(crate) fn spare_and_end(&mut self) -> (&mut [u8], usize, &mut usize) {
        if self.start == self.end {
            self.start = 0;
            self.end = 0;
            let room = self.room();
            return (&mut self.buffer[..room], 0, &mut self.end);
        }
        if self.end == self.room() {
            self.compact();
        }
        let room = self.room();
        (&mut self.buffer[self.end..room], self.end, &mut self.end)
    }

    /// Where the place for received bytes ends.
    #[inline]
    fn room(&self) -> usize {
        self.buffer.len().saturating_sub(MAX_HEADER_SIZE)
    }

    /// The first `n` bytes of [`spare`](Self::spare) were received; of more than it has, all.
    #[inline]
    pub fn filled(&mut self, n: usize) {
        self.end = self.end.saturating_add(n).min(self.room());
    }

    /// The peer has ended the stream: nothing comes behind the unread bytes.
    #[inline]
    pub fn end_of_stream(&mut self) {
        self.end_of_stream = true;
    }

    /// The bytes that were received and not used.
    #[inline]
    pub fn unread(&self) -> &[u8] {
        &self.buffer[self.start..self.end]
    }

    /// Moves the unread bytes to the front.
    fn compact(&mut self) {
        if self.start == 0 {
            return;
        }
        self.buffer.copy_within(self.start..self.end, 0);
        self.end -= self.start;
        self.start = 0;
    }

    #[inline]
    pub(super) fn is_at_end(&self) -> bool {
        self.end_of_stream && self.start == self.end
    }

    #[inline]
    pub(super) fn position(&self) -> usize {
        self.start
    }

    #[inline]
    pub(super) fn consume(&mut self, n: usize) {
        self.start = self.start.saturating_add(n).min(self.end);
    }

    /// The next bytes, as many as the longest header has: what is behind the unread ones is anything.
    /// `None` where nothing is unread.
    #[inline(always)]
    pub(super) fn peek(&self) -> Option<&[u8; MAX_HEADER_SIZE]> {
        if self.start == self.end {
            return None;
        }
        self.buffer.get(self.start..)?.first_chunk()
    }

    /// Uses a frame that lies whole at the start of the unread bytes, and lends its payload; beside it,
    /// what says how far the reading is.
    #[inline(always)]
    pub(super) fn take(&mut self, header: usize, payload: usize) -> Option<(&mut [u8], Rest<'_>)> {
        let whole = header.checked_add(payload)?;
        if whole > self.end - self.start {
            return None;
        }
        let bytes = self.buffer.get_mut(self.start..)?.get_mut(header..whole)?;
        self.start += whole;
        Some((bytes, Rest { start: &mut self.start, end: self.end, end_of_stream: self.end_of_stream }))
    }

    /// The bytes between two positions, used ones too.
    #[inline]
    pub(super) fn range(&mut self, from: usize, len: usize) -> &mut [u8] {
        &mut self.buffer[from..from + len]
    }

    /// All that can be lent, and beside it what says how far the reading is.
    #[inline]
    pub(super) fn parts(&mut self) -> Parts<'_> {
        let finished = self.finished.as_ref().and_then(|message| match message.is_text() {
            true => message.as_str().map(Message::Text),
            false => Some(Message::Binary(message.as_bytes())),
        });
        Parts {
            buffer: &mut self.buffer,
            control: self.control.as_bytes(),
            finished,
            rest: Rest { start: &mut self.start, end: self.end, end_of_stream: self.end_of_stream },
        }
    }

    /// Takes a finished message, to lend it.
    pub(super) fn finish(&mut self, message: MessageBuffer) {
        self.lent = true;
        self.finished = Some(message);
    }

    /// Inflates a compressed message that is whole, to lend it.
    #[cfg(feature = "deflate")]
    pub(super) fn inflate(
        &mut self,
        is_text: bool,
        payload: Compressed,
        earlier: &mut Earlier<'_>,
        limit: usize,
    ) -> Result<(), Fault> {
        // It is lent from here and comes back, so that any size will do.
        let storage = self.storage();
        let mut message = MessageBuffer::new(is_text, storage);
        let compressed = match &payload {
            Compressed::Whole { at, len } => &self.buffer[*at..*at + *len],
            Compressed::Collected(buffer) => buffer.as_bytes(),
        };
        let result = self.inflation.inflate(compressed, &mut message, earlier, limit);
        if let Compressed::Collected(buffer) = payload {
            self.pool(buffer.into_storage());
        }
        match result {
            Ok(()) => self.finish(message),
            Err(_) => self.pool(message.into_storage()),
        }
        result
    }

    /// A used buffer of any size, or a new one, for what is inflated and lent.
    #[cfg(feature = "deflate")]
    pub(super) fn storage(&mut self) -> Vec<u8> {
        self.pool.pop().unwrap_or_default()
    }

    /// The next `n` unread bytes, and what to inflate them with.
    #[cfg(feature = "deflate")]
    pub(super) fn piece(&mut self, n: usize) -> (&mut [u8], &mut Inflation) {
        (&mut self.buffer[self.start..self.start + n], &mut self.inflation)
    }

    pub(super) fn finish_control(&mut self, control: &ControlBuffer) {
        self.control = control.clone();
    }

    pub(super) fn finish_character(&mut self, character: &CutCharacter) {
        self.control.len = 0;
        self.control.append(character.as_bytes(), None);
    }

    /// A message that was lent is done with: its buffer waits for the next large one.
    #[inline]
    pub(super) fn recycle(&mut self) {
        self.lent = false;
        if let Some(message) = self.finished.take() {
            self.pool(message.into_storage());
        }
    }

    /// Keeps a used buffer, where there is place for it: that of the smallest, too, which costs least to
    /// make anew.
    pub(super) fn pool(&mut self, storage: Vec<u8>) {
        let mut pooled: usize = self.pool.iter().map(Vec::capacity).sum();
        let mut place = None;
        if self.pool.len() == POOLED_BUFFERS {
            let smallest = self.pool.iter_mut().min_by_key(|buffer| buffer.capacity());
            place = smallest.filter(|smallest| smallest.capacity() < storage.capacity());
            let Some(smallest) = &place else { return };
            pooled -= smallest.capacity();
        }
        if storage.capacity() == 0 || pooled + storage.capacity() > POOLED_BYTES {
            return;
        }
        match place {
            Some(smallest) => *smallest = storage,
            None => self.pool.push(storage),
        }
    }

    /// Makes room in a message for `least` more bytes, of `wanted` in all: where it has to grow, in a
    /// used buffer if one fits, the smallest that has room for all, or else the largest, so that the
    /// message moves once. What is announced and has not come takes none.
    pub(super) fn make_room(&mut self, message: &mut MessageBuffer, least: usize, wanted: usize) {
        if message.spare().len() >= least {
            return;
        }
        let needed = message.len().saturating_add(least);
        let most = message.len().saturating_add(self.unread().len()).saturating_mul(POOLED_TIMES);
        let rooms = self.pool.iter().map(|buffer| MessageBuffer::room_in(buffer.len())).enumerate();
        let fitting = rooms.filter(|(_, room)| (needed..=most).contains(room));
        if let Some((index, _)) = fitting.max_by_key(|&(_, room)| (room.min(wanted), Reverse(room))) {
            let storage = message.move_to(self.pool.swap_remove(index));
            self.pool(storage);
        }
        message.make_room(least, wanted);
    }

    /// Leaves no byte of one connection for the next, whatever happened in between.
    #[cfg(feature = "std")]
    pub(crate) fn reset(&mut self) {
        self.recycle();
        self.start = 0;
        self.end = 0;
        self.end_of_stream = false;
    }

    /// Whether nothing is in it: no unread bytes, no message that was lent, no end.
    #[inline]
    pub(crate) fn is_clean(&self) -> bool {
        self.start == self.end && !(self.end_of_stream | self.lent)
    }

    /// Exchanges the bytes (not the finished message, not the pool) with those of another place.
    #[cfg(feature = "std")]
    pub(crate) fn swap_bytes(&mut self, other: &mut UnreadBytes) {
        core::mem::swap(&mut self.buffer, &mut other.buffer);
        core::mem::swap(&mut self.start, &mut other.start);
        core::mem::swap(&mut self.end, &mut other.end);
    }
}

/// Unread bytes outside an [`Input`].
#[cfg(feature = "std")]
#[derive(Default)]
pub(crate) struct UnreadBytes {
    buffer: Vec<u8>,
    start: usize,
    end: usize,
}

#[cfg(feature = "std")]
impl UnreadBytes {
    pub(crate) fn new(bytes: &[u8]) -> Self {
        Self { buffer: [bytes, &[0; MAX_HEADER_SIZE]].concat(), start: 0, end: bytes.len() }
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.buffer[self.start..self.end]
    }

    pub(crate) fn capacity(&self) -> usize {
        self.buffer.capacity()
    }
}

// Lengths only: what a connection received is nobody else's business.

impl fmt::Debug for Input {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Input")
            .field("unread", &self.unread().len())
            .field("capacity", &self.room())
            .field("end_of_stream", &self.end_of_stream)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for ControlBuffer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ControlBuffer").field("len", &self.len).finish()
    }
}

#[cfg(feature = "std")]
impl fmt::Debug for UnreadBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UnreadBytes").field("len", &(self.end - self.start)).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pooled(input: &Input) -> Vec<usize> {
        let mut pooled: Vec<usize> = input.pool.iter().map(Vec::capacity).collect();
        pooled.sort_unstable();
        pooled
    }

    #[test]
    fn a_full_pool_changes_its_smallest_buffer_for_a_larger_one() {
        let mut input = Input::default();
        let most = POOLED_BYTES - 95;
        for (given, kept) in [
            (0, vec![]),
            (30, vec![30]),
            (10, vec![10, 30]),
            (20, vec![10, 20, 30]),
            (40, vec![10, 20, 30, 40]),
            (5, vec![10, 20, 30, 40]),
            (25, vec![20, 25, 30, 40]),
            // The one that goes is not counted, the others are.
            (most, vec![25, 30, 40, most]),
            (26, vec![25, 30, 40, most]),
        ] {
            input.pool(vec![0; given]);
            assert_eq!(pooled(&input), kept, "{given}");
        }
    }

    #[test]
    fn a_message_moves_to_the_smallest_used_buffer_that_has_room_for_all_or_else_to_the_largest() {
        for (pool, [len, spare, unread], [least, wanted], room, left) in [
            (vec![150, 200, 300], [50, 0, 10], [60, 180], 200, vec![50, 150, 300]),
            (vec![150, 300, 200], [50, 0, 10], [60, 1000], 300, vec![50, 150, 200]),
            // There is room.
            (vec![200], [50, 60, 10], [60, 180], 110, vec![200]),
            // None has room for what is needed now; nor has a large one, where the message lies off its start.
            (vec![100], [50, 0, 10], [60, 180], 110, vec![100]),
            (vec![64 << 10], [3000, 0, 0], [60_500, 63_500], 63_500, vec![64 << 10]),
            // Too large for what has come.
            (vec![320, 321], [10, 0, 0], [10, 1000], 320, vec![10, 321]),
            (vec![321, 320], [4, 0, 6], [10, 1000], 320, vec![4, 321]),
            (vec![321], [4, 0, 6], [10, 14], 14, vec![321]),
        ] {
            let mut input = Input::default();
            input.extend(&vec![0; unread]);
            input.pool = pool.iter().map(|&len| vec![0; len]).collect();
            let mut message = MessageBuffer::new(false, vec![7; len + spare]);
            message.commit(len, None, 0).unwrap();
            input.make_room(&mut message, least, wanted);
            assert_eq!((len + message.spare().len(), pooled(&input)), (room, left), "{pool:?}");
            assert!(message.as_bytes() == vec![7; len]);
        }
    }

    #[cfg(feature = "std")]
    #[test]
    fn what_is_lent_goes_with_a_reset() {
        let mut input = Input::default();
        input.finish(MessageBuffer::new(false, vec![0; 10]));
        assert!(!input.is_clean() && input.parts().finished.is_some());
        input.reset();
        assert!(input.is_clean() && input.parts().finished.is_none());
        assert_eq!(pooled(&input), [10]);
    }
}
