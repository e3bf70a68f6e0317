//! A message that arrives in pieces, validated as it arrives.
#![allow(unsafe_code)]

#[cfg(feature = "deflate")]
use super::CutCharacter;
use super::{Utf8Error, Utf8Validator};
use crate::frame::mask::{Key, mask, mask_into};
use alloc::{vec, vec::Vec};

/// Half a page: the offset of a large message in its buffer.
///
/// A large buffer begins at or near the start of a page, and so do the kernel's. If source and destination
/// have nearly the same offset within their pages, processors mistake one for the other and copy at half the
/// speed.
const OFF: usize = 2048;

/// The size from which a buffer has pages of its own.
const LARGE: usize = 64 << 10;

/// The bytes of a message so far.
///
/// The bytes of a text message are known to be UTF-8, so the message becomes a `&str` without a second check.
///
/// ```text
/// storage: | off | committed .......... | spare ............ |
///              start               filled        storage.len()
/// ```
///
/// Only the spare bytes can be written to: committed bytes never change.
pub struct MessageBuffer {
    /// Every byte is initialised, so the length is how much can be written without growing.
    storage: Vec<u8>,
    start: usize,
    filled: usize,
    text: Option<Utf8Validator>,
}

impl MessageBuffer {
    /// Creates an empty buffer for text or binary data, in storage that may be reused.
    pub fn new(text: bool, storage: Vec<u8>) -> Self {
        Self { storage, start: 0, filled: 0, text: text.then(Utf8Validator::new) }
    }

    /// Returns the number of committed bytes.
    #[inline]
    pub fn len(&self) -> usize {
        self.filled - self.start
    }

    /// Returns whether no bytes are committed.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns whether the message is text.
    #[inline]
    pub fn is_text(&self) -> bool {
        self.text.is_some()
    }

    /// Returns the heap bytes of the buffer.
    #[inline]
    pub fn capacity(&self) -> usize {
        self.storage.capacity()
    }

    /// Returns the committed bytes.
    #[inline]
    pub fn as_bytes(&self) -> &[u8] {
        &self.storage[self.start..self.filled]
    }

    /// Returns the initialised bytes after the committed ones, to be written to before
    /// [`commit`](Self::commit).
    #[inline]
    pub fn spare(&mut self) -> &mut [u8] {
        &mut self.storage[self.filled..]
    }

    /// Grows [`spare`](Self::spare) to at least `additional` bytes.
    pub fn grow(&mut self, additional: usize) {
        let wanted = self.filled.saturating_add(additional);
        if self.storage.len() >= wanted {
            return;
        }
        if self.start < off(wanted) {
            self.move_to(vec![0; wanted.saturating_add(OFF)]);
            return;
        }
        self.storage.reserve_exact(wanted - self.storage.len());
        self.storage.resize(wanted, 0);
    }

    /// Makes [`spare`](Self::spare) at least `least` bytes long.
    ///
    /// If it is shorter, the storage doubles, but to no more than a message of `wanted` bytes needs, so that
    /// many small steps need few reallocations.
    pub fn make_room(&mut self, least: usize, wanted: usize) {
        if self.spare().len() < least {
            let doubled = self.room().saturating_mul(2).min(wanted);
            self.grow(least.max(doubled.saturating_sub(self.len())));
        }
    }

    /// Returns how long the message can become without growing.
    fn room(&self) -> usize {
        self.storage.len() - self.start
    }

    /// Returns how long a message can become after moving to a storage of `storage` bytes.
    pub(crate) fn room_in(storage: usize) -> usize {
        storage - off(storage)
    }

    /// Moves to another storage if it has more room. Returns the unused one.
    pub(crate) fn move_to(&mut self, mut storage: Vec<u8>) -> Vec<u8> {
        if Self::room_in(storage.len()) > self.room() {
            let start = off(storage.len());
            let end = start + self.len();
            storage[start..end].copy_from_slice(self.as_bytes());
            core::mem::swap(&mut storage, &mut self.storage);
            (self.start, self.filled) = (start, end);
        }
        storage
    }

    /// Adds the first `n` spare bytes to the message: unmasks them if there is a key and, for text, validates
    /// them.
    ///
    /// `offset` is the index of the first of them in the frame's payload. If `n` exceeds the spare bytes, all
    /// of those are committed.
    ///
    /// # Errors
    ///
    /// [`Utf8Error`] for text that is not UTF-8. In this case no bytes are committed.
    pub fn commit(&mut self, n: usize, key: Option<[u8; 4]>, offset: usize) -> Result<(), Utf8Error> {
        let end = self.filled.saturating_add(n).min(self.storage.len());
        let bytes = &mut self.storage[self.filled..end];
        // A copy, so that the validator and `filled` advance together or not at all.
        let mut text = self.text;
        match (&mut text, key) {
            (Some(text), Some(key)) => text.unmask_and_feed(bytes, Key::new(key).after(offset))?,
            (Some(text), None) => text.feed(bytes)?,
            (None, Some(key)) => mask(bytes, key, offset),
            (None, None) => {}
        }
        self.text = text;
        self.filled = end;
        Ok(())
    }

    /// Copies `bytes` in and commits them. Makes room as [`make_room`](Self::make_room) does.
    ///
    /// # Errors
    ///
    /// See [`commit`](Self::commit).
    pub fn append(
        &mut self,
        bytes: &[u8],
        wanted: usize,
        key: Option<[u8; 4]>,
        offset: usize,
    ) -> Result<(), Utf8Error> {
        self.make_room(bytes.len(), wanted);
        let spare = self.spare();
        match key {
            Some(key) => mask_into(spare, bytes, key, offset),
            None => spare[..bytes.len()].copy_from_slice(bytes),
        }
        self.commit(bytes.len(), None, 0)
    }

    /// Removes an incomplete character from the end, and returns it: what is left is a string.
    #[cfg(feature = "deflate")]
    pub(crate) fn cut(&mut self) -> CutCharacter {
        let mut cut = CutCharacter::default();
        // Committed bytes are valid, so `begin` finds the character that the validator is in.
        if !self.is_complete()
            && let Ok(n) = cut.begin(self.as_bytes(), None, 0)
        {
            self.filled -= n;
            self.text = Some(Utf8Validator::new());
        }
        cut
    }

    /// Returns whether the message may end here: there is no incomplete character.
    #[inline]
    pub fn is_complete(&self) -> bool {
        self.text.is_none_or(|text| text.is_complete())
    }

    /// Returns the message if it is text without an incomplete character.
    #[inline]
    pub fn as_str(&self) -> Option<&str> {
        if !self.text?.is_complete() {
            return None;
        }
        // SAFETY: `text` validated every committed byte, in order and without a gap, and found no error; it
        // is complete, so they are whole characters. Nothing writes to committed bytes. `cut` restarts the
        // validator only after removing the incomplete character, so whole characters precede it.
        Some(unsafe { core::str::from_utf8_unchecked(self.as_bytes()) })
    }

    /// Returns the storage for reuse. All of its bytes are initialised.
    pub fn into_storage(self) -> Vec<u8> {
        self.storage
    }
}

/// Returns the offset of a message in a storage of `storage` bytes.
fn off(storage: usize) -> usize {
    if storage < LARGE { 0 } else { OFF }
}

/// Shows lengths only: the payload may be confidential.
impl core::fmt::Debug for MessageBuffer {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("MessageBuffer")
            .field("len", &self.len())
            .field("capacity", &self.storage.capacity())
            .field("text", &self.is_text())
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rejected_text_leaves_the_buffer_unchanged() {
        let mut text = MessageBuffer::new(true, Vec::new());
        text.append(b"\xff", 9, None, 0).unwrap_err();
        assert!(text.is_empty());
        text.append(b"\xe2\x82", 9, None, 0).unwrap();
        assert!(!text.is_empty());
        text.append(b"\xac\xff", 9, None, 2).unwrap_err();
        assert_eq!((text.as_bytes(), text.as_str()), (&b"\xe2\x82"[..], None));
        text.append(b"\xac", 9, None, 2).unwrap();
        assert_eq!(text.as_str(), Some("\u{20ac}"));
    }
    #[test]
    fn it_grows_on_demand_and_by_doubling_up_to_the_wanted_size() {
        let mut buffer = MessageBuffer::new(false, Vec::new());
        assert!(buffer.is_empty() && buffer.capacity() == 0);
        buffer.grow(100);
        buffer.spare().fill(7);
        buffer.commit(100, None, 0).unwrap();
        assert!(!buffer.is_empty() && buffer.as_bytes() == [7; 100]);
        for (least, wanted, spare) in [(1, 1000, 100), (100, 1000, 100), (101, 1000, 300), (300, 400, 300)] {
            buffer.make_room(least, wanted);
            assert_eq!(buffer.spare().len(), spare, "{least} of {wanted}");
            assert!((100 + spare..200 + spare).contains(&buffer.capacity()));
        }
        buffer.commit(300, None, 0).unwrap();
        buffer.make_room(1, 450);
        assert_eq!(buffer.spare().len(), 50, "no more than wanted");
        buffer.make_room(60, 450);
        assert_eq!(buffer.spare().len(), 60, "but what is needed");
        // Committing more than is spare commits what is spare.
        buffer.commit(usize::MAX, None, 0).unwrap();
        assert_eq!((buffer.len(), buffer.spare().len()), (460, 0));
    }

    #[test]
    fn it_moves_only_to_a_larger_storage_and_returns_the_other() {
        let mut buffer = MessageBuffer::new(false, Vec::new());
        buffer.append(&[7; 100], 100, None, 0).unwrap();
        for (offered, back) in [(99, 99), (100, 100), (101, 100), (300, 101), (300, 300)] {
            let given = buffer.move_to(vec![9; offered]);
            assert_eq!(given.len(), back);
            // A storage of equal size is not worth a move.
            assert_eq!(given.contains(&7), back < offered);
            assert!(buffer.as_bytes() == [7; 100]);
        }
        assert_eq!(buffer.spare().len(), 200);
        assert_eq!(format!("{buffer:?}"), "MessageBuffer { len: 100, capacity: 300, text: false }");
        assert_eq!(buffer.into_storage().len(), 300);
    }

    #[test]
    fn a_large_storage_has_half_a_page_less_room() {
        let rooms = [LARGE - 1, LARGE, LARGE + 1].map(MessageBuffer::room_in);
        assert_eq!(rooms, [LARGE - 1, LARGE - OFF, LARGE + 1 - OFF]);
        let mut buffer = MessageBuffer::new(false, Vec::new());
        buffer.append(&[7; 100], 100, None, 0).unwrap();
        buffer.grow(LARGE);
        assert_eq!(buffer.spare().len(), LARGE);
        let storage = 100 + LARGE + OFF;
        for (offered, back) in [(storage, storage), (storage + 1, storage), (storage + 1, storage + 1)] {
            assert_eq!(buffer.move_to(vec![9; offered]).len(), back);
            assert!(buffer.as_bytes() == [7; 100]);
        }
    }
}
