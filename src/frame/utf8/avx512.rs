//! UTF-8 with AVX-512: 64 bytes at a time, in a register from unmasking to validating.
//!
//! The algorithm is the one of `simdutf8`, by Keiser and Lemire ("Validating UTF-8 in less than one
//! instruction per byte", 2021). Three tables, indexed by the high and the low bits of a byte and by the high
//! bits of the next one, have a bit for each way in which two bytes can be wrong. A bit that all three have
//! is an error, except for the one that a third or fourth byte must have.
#![allow(unsafe_code)]

use super::judge::{BLOCK, Judge};
use crate::frame::mask::{self, Key, vector::Vector};
use core::arch::x86_64::{
    __m512i, _mm_loadu_si128, _mm512_alignr_epi8, _mm512_broadcast_i32x4, _mm512_loadu_si512,
    _mm512_maskz_loadu_epi8, _mm512_maskz_mov_epi8, _mm512_or_si512, _mm512_permutex2var_epi64,
    _mm512_permutexvar_epi8, _mm512_set1_epi8, _mm512_setr_epi64, _mm512_setzero_si512, _mm512_srli_epi16,
    _mm512_subs_epu8, _mm512_ternarylogic_epi64, _mm512_test_epi8_mask,
};

/// The first byte of two is a lead byte, and the second is not a continuation byte.
const TOO_SHORT: u8 = 1;
/// The first byte is ASCII, and the second is a continuation byte.
const TOO_LONG: u8 = 1 << 1;
/// E0 80 to E0 9F.
const OVERLONG_3: u8 = 1 << 2;
/// F4 90 and above, F5 to FF.
const TOO_LARGE: u8 = 1 << 3;
/// ED A0 to ED BF.
const SURROGATE: u8 = 1 << 4;
/// C0 and C1.
const OVERLONG_2: u8 = 1 << 5;
/// F0 80 to F0 8F, and F5 80 and above.
const OVERLONG_4: u8 = 1 << 6;
/// Two continuation bytes: an error unless the second is the third or fourth byte of a character.
const TWO_CONTINUATIONS: u8 = 1 << 7;
/// What does not depend on the low bits of the first byte.
const CARRY: u8 = TOO_SHORT | TOO_LONG | TWO_CONTINUATIONS;

/// Indexed by the high four bits of the first byte.
const FIRST_HIGH: [u8; 16] = {
    let mut table = [TOO_LONG; 16];
    let mut index = 0x8;
    while index < 0xC {
        table[index] = TWO_CONTINUATIONS;
        index += 1;
    }
    table[0xC] = TOO_SHORT | OVERLONG_2;
    table[0xD] = TOO_SHORT;
    table[0xE] = TOO_SHORT | OVERLONG_3 | SURROGATE;
    table[0xF] = TOO_SHORT | TOO_LARGE | OVERLONG_4;
    table
};

/// Indexed by the low four bits of the first byte.
const FIRST_LOW: [u8; 16] = {
    let mut table = [CARRY | TOO_LARGE | OVERLONG_4; 16];
    table[0x0] = CARRY | OVERLONG_3 | OVERLONG_2 | OVERLONG_4;
    table[0x1] = CARRY | OVERLONG_2;
    table[0x2] = CARRY;
    table[0x3] = CARRY;
    table[0x4] = CARRY | TOO_LARGE;
    table[0xD] |= SURROGATE;
    table
};

/// Indexed by the high four bits of the second byte.
const SECOND_HIGH: [u8; 16] = {
    let mut table = [TOO_SHORT; 16];
    let continuation = TOO_LONG | OVERLONG_2 | TWO_CONTINUATIONS;
    table[0x8] = continuation | OVERLONG_3 | OVERLONG_4;
    table[0x9] = continuation | OVERLONG_3 | TOO_LARGE;
    table[0xA] = continuation | SURROGATE | TOO_LARGE;
    table[0xB] = continuation | SURROGATE | TOO_LARGE;
    table
};

/// The blocks that are tested together for being ASCII.
const GROUP: usize = 4;

/// A validator of text whose last block so far was `before`.
pub(super) struct Avx512 {
    before: __m512i,
    /// Not zero if there was an error.
    errors: __m512i,
}

impl Avx512 {
    /// Returns whether the bytes are UTF-8.
    ///
    /// # Safety
    ///
    /// As for [`add_group`](Self::add_group).
    #[inline(always)]
    pub(super) unsafe fn judge(bytes: &[u8]) -> bool {
        let (blocks, part) = bytes.as_chunks::<BLOCK>();
        let (groups, rest) = blocks.as_chunks::<GROUP>();
        // SAFETY: guaranteed by the caller; a block has the size of a vector.
        unsafe {
            let mut text = Self::new();
            for group in groups {
                let mut loaded = [text.before; GROUP];
                for (block, loaded) in group.iter().zip(&mut loaded) {
                    *loaded = __m512i::load(block.as_ptr());
                }
                text.add_group(loaded);
            }
            for block in rest {
                text.add(__m512i::load(block.as_ptr()));
            }
            text.finish(part, Key::NONE)
        }
    }

    /// Adds a group of blocks.
    ///
    /// # Safety
    ///
    /// The processor has AVX-512 F, BW and VBMI.
    #[inline(always)]
    unsafe fn add_group(&mut self, blocks: [__m512i; GROUP]) {
        // SAFETY: guaranteed by the caller.
        unsafe {
            let mut all = blocks[0];
            for &block in &blocks[1..] {
                all = all.or(block);
            }
            if all.is_ascii() {
                self.add_ascii(blocks[GROUP - 1]);
            } else {
                for block in blocks {
                    self.add(block);
                }
            }
        }
    }

    /// Adds a block.
    ///
    /// # Safety
    ///
    /// As for [`add_group`](Self::add_group).
    #[inline(always)]
    unsafe fn add(&mut self, block: __m512i) {
        // SAFETY: guaranteed by the caller.
        unsafe {
            if block.is_ascii() {
                self.add_ascii(block);
            } else {
                self.add_text(block);
            }
        }
    }

    /// Adds ASCII that ends with this block.
    ///
    /// # Safety
    ///
    /// As for [`add_group`](Self::add_group).
    #[inline(always)]
    unsafe fn add_ascii(&mut self, block: __m512i) {
        // SAFETY: guaranteed by the caller.
        self.errors = unsafe { _mm512_or_si512(self.errors, unfinished(self.before)) };
        self.before = block;
    }

    /// Adds a block that may not be ASCII.
    ///
    /// # Safety
    ///
    /// As for [`add_group`](Self::add_group).
    #[inline(always)]
    unsafe fn add_text(&mut self, block: __m512i) {
        // SAFETY: guaranteed by the caller.
        unsafe {
            // The block, moved up by 16 bytes: `alignr` works within 16 bytes.
            let moved =
                _mm512_permutex2var_epi64(self.before, _mm512_setr_epi64(6, 7, 8, 9, 10, 11, 12, 13), block);
            let first = _mm512_alignr_epi8::<15>(block, moved);
            let two_before = _mm512_alignr_epi8::<14>(block, moved);
            let three_before = _mm512_alignr_epi8::<13>(block, moved);
            // The lookup has 64 entries, four times the table: the bits above the four need not be cleared.
            let wrong = _mm512_ternarylogic_epi64::<{ A & B & C }>(
                _mm512_permutexvar_epi8(_mm512_srli_epi16::<4>(first), table(&FIRST_HIGH)),
                _mm512_permutexvar_epi8(first, table(&FIRST_LOW)),
                _mm512_permutexvar_epi8(_mm512_srli_epi16::<4>(block), table(&SECOND_HIGH)),
            );
            // The top bit is set for the third byte after E0 to FF, and the fourth after F0 to FF.
            let third = _mm512_subs_epu8(two_before, _mm512_set1_epi8(0x60));
            let fourth = _mm512_subs_epu8(three_before, _mm512_set1_epi8(0x70));
            let must = _mm512_ternarylogic_epi64::<{ (A | B) & C }>(
                third,
                fourth,
                _mm512_set1_epi8(TWO_CONTINUATIONS.cast_signed()),
            );
            self.errors = _mm512_ternarylogic_epi64::<{ A | (B ^ C) }>(self.errors, must, wrong);
            self.before = block;
        }
    }

    /// Adds a last part, fewer bytes than a block, which is not changed. Returns whether the text is UTF-8.
    ///
    /// # Safety
    ///
    /// As for [`add_group`](Self::add_group).
    #[inline(always)]
    unsafe fn finish(mut self, part: &[u8], key: Key) -> bool {
        // SAFETY: guaranteed by the caller.
        unsafe {
            if part.is_empty() {
                self.errors = _mm512_or_si512(self.errors, unfinished(self.before));
            } else {
                // A zero follows, which is a character, so nothing remains unfinished.
                self.add_text(load_part(part, key));
            }
            _mm512_test_epi8_mask(self.errors, self.errors) == 0
        }
    }
}

/// The operands of a ternary operation, as the bits of its result for each combination.
const A: i32 = 0b1111_0000;
const B: i32 = 0b1100_1100;
const C: i32 = 0b1010_1010;

/// # Safety
///
/// The processor has AVX-512 F.
#[inline(always)]
unsafe fn table(entries: &[u8; 16]) -> __m512i {
    // SAFETY: guaranteed by the caller; 16 bytes are loaded.
    unsafe { _mm512_broadcast_i32x4(_mm_loadu_si128(entries.as_ptr().cast())) }
}

/// Returns a vector that is not zero if the block ends within a character: with a lead byte of at least two
/// bytes, one of at least three before the last byte, or one of four before that.
///
/// # Safety
///
/// The processor has AVX-512 F and BW.
#[inline(always)]
unsafe fn unfinished(block: __m512i) -> __m512i {
    const MOST: [u8; BLOCK] = {
        let mut most = [0xFF; BLOCK];
        most[BLOCK - 3] = 0xEF;
        most[BLOCK - 2] = 0xDF;
        most[BLOCK - 1] = 0xBF;
        most
    };
    // SAFETY: guaranteed by the caller; 64 bytes are loaded.
    unsafe { _mm512_subs_epu8(block, _mm512_loadu_si512(MOST.as_ptr().cast())) }
}

/// Loads fewer bytes than a block, followed by zeros.
///
/// # Safety
///
/// The processor has AVX-512 F and BW.
#[inline(always)]
unsafe fn load_part(bytes: &[u8], key: Key) -> __m512i {
    let present = (1 << bytes.len()) - 1;
    // SAFETY: guaranteed by the caller; only the bytes of the mask are loaded.
    unsafe {
        let masked = _mm512_maskz_loadu_epi8(present, bytes.as_ptr().cast());
        _mm512_maskz_mov_epi8(present, masked.xor(__m512i::splat(key)))
    }
}

// SAFETY: the instructions do what their functions document.
unsafe impl Judge<__m512i> for Avx512 {
    #[inline(always)]
    unsafe fn new() -> Self {
        // SAFETY: guaranteed by the caller.
        unsafe { Self { before: _mm512_setzero_si512(), errors: _mm512_setzero_si512() } }
    }

    #[inline(always)]
    unsafe fn unmask(&mut self, blocks: &mut [[u8; BLOCK]], key: __m512i) {
        let (groups, rest) = blocks.as_chunks_mut::<GROUP>();
        for group in groups {
            let mut text = [key; GROUP];
            for (block, text) in group.iter_mut().zip(&mut text) {
                // SAFETY: guaranteed by the caller.
                *text = unsafe { unmask(block, key) };
            }
            // SAFETY: guaranteed by the caller.
            unsafe { self.add_group(text) };
        }
        for block in rest {
            // SAFETY: guaranteed by the caller.
            unsafe { self.add(unmask(block, key)) };
        }
    }

    #[inline(always)]
    unsafe fn end(self, part: &mut [u8], key: Key) -> bool {
        // SAFETY: guaranteed by the caller.
        let valid = unsafe { self.finish(part, key) };
        mask::mask_at(part, key);
        valid
    }
}

/// Unmasks a block in place, and returns it.
///
/// # Safety
///
/// The processor has AVX-512 F.
#[inline(always)]
unsafe fn unmask(block: &mut [u8; BLOCK], key: __m512i) -> __m512i {
    let at = block.as_mut_ptr();
    // SAFETY: guaranteed by the caller; a block has the size of a vector.
    unsafe {
        let text = __m512i::load(at).xor(key);
        text.store(at);
        text
    }
}
