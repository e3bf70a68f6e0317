//! A character that was split: only its first bytes have arrived.
#![forbid(unsafe_code)]

use super::validator::begun;
use super::{Utf8Error, Utf8Validator};
use crate::frame::mask::{Key, mask_into_at};

/// The incomplete character that a text delivered in pieces keeps from one piece to the next, so that each
/// piece consists of whole characters.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct CutCharacter {
    bytes: [u8; 4],
    len: u8,
    judged: Utf8Validator,
}

impl CutCharacter {
    /// Returns the bytes that have arrived.
    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.bytes[..usize::from(self.len)]
    }

    /// Returns whether there is no incomplete character: the text may end here.
    pub(crate) fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Keeps the incomplete character at the end of a piece, and returns its size.
    ///
    /// `offset` is the index of `piece[0]` in the frame's payload, as in [`mask`](crate::frame::mask).
    ///
    /// # Errors
    ///
    /// [`Utf8Error`] if the bytes are not the start of a character. Its index is relative to these bytes.
    pub(crate) fn begin(
        &mut self,
        piece: &[u8],
        key: Option<[u8; 4]>,
        offset: usize,
    ) -> Result<usize, Utf8Error> {
        let (before, last) = piece.split_at(piece.len().saturating_sub(3));
        let key = turned(key, offset.wrapping_add(before.len()));
        let mut unmasked = [0; 3];
        let unmasked = &mut unmasked[..last.len()];
        mask_into_at(unmasked, last, key);
        let n = begun(unmasked);
        self.push(&unmasked[last.len() - n..], Key::NONE)?;
        Ok(n)
    }

    /// Adds the bytes that the character still needs from the next masked piece, and returns how many it
    /// took.
    ///
    /// # Errors
    ///
    /// [`Utf8Error`] if the bytes do not continue the character.
    pub(crate) fn go_on(
        &mut self,
        piece: &[u8],
        key: Option<[u8; 4]>,
        offset: usize,
    ) -> Result<usize, Utf8Error> {
        let n = self.judged.missing().min(piece.len());
        self.push(&piece[..n], turned(key, offset))?;
        Ok(n)
    }

    /// Takes the character, if it is complete.
    pub(crate) fn take_whole(&mut self) -> Option<Self> {
        self.judged.is_complete().then(|| core::mem::take(self))
    }

    fn push(&mut self, bytes: &[u8], key: Key) -> Result<(), Utf8Error> {
        // At most four bytes in all: no character has more.
        let to = &mut self.bytes[usize::from(self.len)..][..bytes.len()];
        mask_into_at(to, bytes, key);
        self.judged.feed(to)?;
        self.len += u8::try_from(bytes.len()).unwrap_or(u8::MAX);
        Ok(())
    }
}

fn turned(key: Option<[u8; 4]>, offset: usize) -> Key {
    key.map_or(Key::NONE, |key| Key::new(key).after(offset))
}
