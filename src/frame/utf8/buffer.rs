//! A message that arrives in pieces, judged as it comes.
#![allow(unsafe_code)]

#[cfg(feature = "deflate")]
use super::CutCharacter;
use super::{Utf8Error, Utf8Validator};
use crate::frame::mask::{Key, mask, mask_into};
use alloc::{vec, vec::Vec};

/// Half a page. A large buffer begins where a page does, or close to it, both an allocator's and the
/// kernel's; and where source and destination lie nearly alike in their pages, processors take the one for
/// the other and copy at half the speed. So a large message lies half a page off.
const OFF: usize = 2048;

/// What is large: it has pages of its own.
const LARGE: usize = 64 << 10;

/// The bytes of a message so far; for text, all of them known to be UTF-8, so that they become a
/// `&str` at the end without a second look.
///
/// ```text
/// storage: | off | committed .......... | spare ............ |
///              start               filled        storage.len()
/// ```
///
/// Only the spare bytes can be written to: what was committed stays as it was judged.
pub struct MessageBuffer {
    /// Every byte of it is initialised: its length is what may be written without growing.
    storage: Vec<u8>,
    start: usize,
    filled: usize,
    text: Option<Utf8Validator>,
}

impl MessageBuffer {
    /// An empty buffer for text or for bytes, in a storage that may have been used before.
    pub fn new(text: bool, storage: Vec<u8>) -> Self {
        Self { storage, start: 0, filled: 0, text: text.then(Utf8Validator::new) }
    }

    /// How many bytes are committed.
    #[inline]
    pub fn len(&self) -> usize {
        self.filled - self.start
    }

    /// Whether nothing is committed.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether it holds text.
    #[inline]
    pub fn is_text(&self) -> bool {
        self.text.is_some()
    }

    /// The heap bytes it holds.
    #[inline]
    pub fn capacity(&self) -> usize {
        self.storage.capacity()
    }

    /// The committed bytes.
    #[inline]
    pub fn as_bytes(&self) -> &[u8] {
        &self.storage[self.start..self.filled]
    }

    /// The initialised bytes behind the committed ones, to be written to before [`commit`](Self::commit).
    #[inline]
    pub fn spare(&mut self) -> &mut [u8] {
        &mut self.storage[self.filled..]
    }

    /// Makes [`spare`](Self::spare) at least `additional` bytes long.
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

    /// Makes [`spare`](Self::spare) at least `least` bytes long. Where it is not, the storage doubles, at
    /// most to what `wanted` bytes in all need: so many small steps cost few growths.
    pub fn make_room(&mut self, least: usize, wanted: usize) {
        if self.spare().len() < least {
            let doubled = self.room().saturating_mul(2).min(wanted);
            self.grow(least.max(doubled.saturating_sub(self.len())));
        }
    }

    /// How long the message can get where it is.
    fn room(&self) -> usize {
        self.storage.len() - self.start
    }

    /// How long a message can get in a storage that it moves to, of so many bytes.
    pub(crate) fn room_in(storage: usize) -> usize {
        storage - off(storage)
    }

    /// Moves to another storage, if that has more room. Gives back the one that is not needed.
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

    /// Makes the first `n` spare bytes part of the message: unmasks them where there is a key
    /// (`offset` bytes of the frame's payload came before) and, for text, judges them. Of more bytes
    /// than are spare, those that are.
    ///
    /// # Errors
    ///
    /// [`Utf8Error`] for text that cannot become right. Nothing was committed.
    pub fn commit(&mut self, n: usize, key: Option<[u8; 4]>, offset: usize) -> Result<(), Utf8Error> {
        let end = self.filled.saturating_add(n).min(self.storage.len());
        let bytes = &mut self.storage[self.filled..end];
        // A copy: what is judged moves on together with what is committed, or not at all.
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

    /// Copies `bytes` in and commits them, with room made as by [`make_room`](Self::make_room).
    ///
    /// # Errors
    ///
    /// As [`commit`](Self::commit).
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

    /// Takes off the end the bytes of a character that needs more of them: what is left is a string.
    #[cfg(feature = "deflate")]
    pub(crate) fn cut(&mut self) -> CutCharacter {
        let mut cut = CutCharacter::default();
        // What was committed is no error, so that this is what the validator has come to.
        if !self.is_complete()
            && let Ok(n) = cut.begin(self.as_bytes(), None, 0)
        {
            self.filled -= n;
            self.text = Some(Utf8Validator::new());
        }
        cut
    }

    /// Whether the message may end here: no character is left half-way.
    #[inline]
    pub fn is_complete(&self) -> bool {
        self.text.is_none_or(|text| text.is_complete())
    }

    /// The message as a string, where it is text and no character is left half-way.
    #[inline]
    pub fn as_str(&self) -> Option<&str> {
        if !self.text?.is_complete() {
            return None;
        }
        // SAFETY: `text` has judged every committed byte, in order and without a gap, and found no
        // error; it is complete, so they are whole characters. Nothing writes to committed bytes. Where
        // it was begun anew, by `cut`, it had come to the bytes that were taken off, and before them
        // are whole characters.
        Some(unsafe { core::str::from_utf8_unchecked(self.as_bytes()) })
    }

    /// The storage, to be used again; its length is still what is initialised.
    pub fn into_storage(self) -> Vec<u8> {
        self.storage
    }
}

/// Where a message begins in a storage of so many bytes.
fn off(storage: usize) -> usize {
    if storage < LARGE { 0 } else { OFF }
}

/// Lengths only: the payload is nobody's business.
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
    fn text_that_was_refused_leaves_no_trace() {
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
    fn it_grows_as_asked_and_by_doubling_up_to_what_is_wanted() {
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
        assert_eq!(buffer.spare().len(), 50, "no more than is wanted");
        buffer.make_room(60, 450);
        assert_eq!(buffer.spare().len(), 60, "but what is needed");
        // More than is spare is not there.
        buffer.commit(usize::MAX, None, 0).unwrap();
        assert_eq!((buffer.len(), buffer.spare().len()), (460, 0));
    }

    #[test]
    fn it_moves_only_to_a_larger_storage_and_gives_back_the_other() {
        let mut buffer = MessageBuffer::new(false, Vec::new());
        buffer.append(&[7; 100], 100, None, 0).unwrap();
        for (offered, back) in [(99, 99), (100, 100), (101, 100), (300, 101), (300, 300)] {
            let given = buffer.move_to(vec![9; offered]);
            assert_eq!(given.len(), back);
            // An equal one is not worth it.
            assert_eq!(given.contains(&7), back < offered);
            assert!(buffer.as_bytes() == [7; 100]);
        }
        assert_eq!(buffer.spare().len(), 200);
        assert_eq!(format!("{buffer:?}"), "MessageBuffer { len: 100, capacity: 300, text: false }");
        assert_eq!(buffer.into_storage().len(), 300);
    }

    #[test]
    fn a_large_storage_has_room_for_half_a_page_less() {
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
