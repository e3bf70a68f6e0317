//! A character that was cut: its first bytes have come, the others have not.
#![forbid(unsafe_code)]

use super::validator::begun;
use super::{Utf8Error, Utf8Validator};
use crate::frame::mask::{Key, mask_into_at};

/// What a text that is lent as it comes keeps from one piece to the next: so what is lent is always
/// whole characters.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct CutCharacter {
    bytes: [u8; 4],
    len: u8,
    judged: Utf8Validator,
}

impl CutCharacter {
    /// The bytes that have come.
    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.bytes[..usize::from(self.len)]
    }

    /// Whether there are none: the text may end here.
    pub(crate) fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Begins with the last bytes of a masked piece that belong to a character which needs more of them,
    /// and gives how many these are. `offset` is as with [`mask`](crate::frame::mask).
    ///
    /// # Errors
    ///
    /// [`Utf8Error`], with a place among these bytes, where they are no such character's.
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

    /// Goes on with the next masked bytes, as far as the character does, and gives how many it took.
    ///
    /// # Errors
    ///
    /// [`Utf8Error`], where the character cannot go on so.
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

    /// Takes the character that was begun, once it is whole.
    pub(crate) fn take_whole(&mut self) -> Option<Self> {
        self.judged.is_complete().then(|| core::mem::take(self))
    }

    fn push(&mut self, bytes: &[u8], key: Key) -> Result<(), Utf8Error> {
        // Together with those before them at most four, as a character has no more.
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
