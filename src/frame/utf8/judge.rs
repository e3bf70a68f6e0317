//! What a validator does with blocks of text that are still masked.
#![allow(unsafe_code)]

use crate::frame::mask::{self, Key, vector::Vector};
use simdutf8::basic::imp::ChunkedUtf8Validator;

/// The block size of the validators in bytes.
pub(super) const BLOCK: usize = 64;

/// A validator of text that unmasks it, too.
///
/// # Safety
///
/// Each function does what its documentation says. They may be called only if the processor has the
/// instructions of the implementation and of `V`.
pub(super) unsafe trait Judge<V: Vector>: Sized {
    /// Starts with an empty text.
    unsafe fn new() -> Self;
    /// Adds whole blocks, which are unmasked in place. The key is for the first byte of each.
    unsafe fn unmask(&mut self, blocks: &mut [[u8; BLOCK]], key: V);
    /// Adds a last part, fewer bytes than a block, which is unmasked in place. Returns whether the text is
    /// UTF-8.
    unsafe fn end(self, part: &mut [u8], key: Key) -> bool;
}

// SAFETY: only `simdutf8` is called.
unsafe impl<V: Vector, U: ChunkedUtf8Validator> Judge<V> for U {
    #[inline(always)]
    unsafe fn new() -> Self {
        // SAFETY: guaranteed by the caller.
        unsafe { U::new() }
    }

    #[inline(always)]
    unsafe fn unmask(&mut self, blocks: &mut [[u8; BLOCK]], key: V) {
        for block in blocks {
            for part in block.chunks_exact_mut(size_of::<V>()) {
                let to = part.as_mut_ptr();
                // SAFETY: a part has the size of a vector; the caller guarantees the instructions.
                unsafe { V::load(to).xor(key).store(to) };
            }
            // SAFETY: guaranteed by the caller.
            unsafe { self.update_from_chunks(block) };
        }
    }

    #[inline(always)]
    unsafe fn end(mut self, part: &mut [u8], key: Key) -> bool {
        if !part.is_empty() {
            // The rest is padded with zeros, which are valid characters. The block is read from the masked
            // bytes, because reading bytes that were just stored would stall.
            let mut block = [0; BLOCK];
            mask::mask_into_at(&mut block, part, key);
            mask::mask_at(part, key);
            // SAFETY: guaranteed by the caller.
            unsafe { self.update_from_chunks(&block) };
        }
        // SAFETY: guaranteed by the caller.
        unsafe { self.finalize(None).is_ok() }
    }
}
