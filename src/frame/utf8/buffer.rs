//! A message that arrives in pieces, judged as it comes.
#![allow(unsafe_code)]

use super::{Utf8Error, Utf8Validator};
use crate::frame::mask::{Key, mask, mask_into};
use alloc::vec::Vec;

/// The bytes of a message so far; for text, all of them known to be UTF-8, so that they become a
/// `&str` at the end without a second look.
///
/// ```text
/// storage: | committed .......... | spare ............ |
///          0                 filled        storage.len()
/// ```
///
/// Only the spare bytes can be written to: what was committed stays as it was judged.
#[derive(Debug)]
pub struct MessageBuffer {
    /// Every byte of it is initialised: its length is what may be written without growing.
    storage: Vec<u8>,
    filled: usize,
    text: Option<Utf8Validator>,
}

impl MessageBuffer {
    /// An empty buffer for text or for bytes, in a storage that may have been used before.
    pub fn new(text: bool, storage: Vec<u8>) -> Self {
        Self { storage, filled: 0, text: text.then(Utf8Validator::new) }
    }

    /// How many bytes are committed.
    #[inline]
    pub fn len(&self) -> usize {
        self.filled
    }

    /// Whether nothing is committed.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.filled == 0
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
        &self.storage[..self.filled]
    }

    /// The initialised bytes behind the committed ones, to be written to before [`commit`](Self::commit).
    #[inline]
    pub fn spare(&mut self) -> &mut [u8] {
        &mut self.storage[self.filled..]
    }

    /// Makes [`spare`](Self::spare) at least `additional` bytes long.
    pub fn grow(&mut self, additional: usize) {
        let wanted = self.filled.saturating_add(additional);
        if self.storage.len() < wanted {
            self.storage.reserve_exact(wanted - self.storage.len());
            self.storage.resize(wanted, 0);
        }
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
        match (&mut self.text, key) {
            (Some(text), Some(key)) => text.unmask_and_feed(bytes, Key::new(key).after(offset))?,
            (Some(text), None) => text.feed(bytes)?,
            (None, Some(key)) => mask(bytes, key, offset),
            (None, None) => {}
        }
        self.filled = end;
        Ok(())
    }

    /// Copies `bytes` in and commits them. The storage grows by doubling, at most to what `wanted`
    /// bytes in all need.
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
        if self.spare().len() < bytes.len() {
            let doubled = self.filled.min(wanted.saturating_sub(self.filled));
            self.grow(bytes.len().max(doubled));
        }
        let spare = self.spare();
        match key {
            Some(key) => mask_into(spare, bytes, key, offset),
            None => spare[..bytes.len()].copy_from_slice(bytes),
        }
        self.commit(bytes.len(), None, 0)
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
        // error; it is complete, so they are whole characters. Nothing writes to committed bytes.
        Some(unsafe { core::str::from_utf8_unchecked(self.as_bytes()) })
    }

    /// The storage, to be used again; its length is still what is initialised.
    pub fn into_storage(self) -> Vec<u8> {
        self.storage
    }
}
