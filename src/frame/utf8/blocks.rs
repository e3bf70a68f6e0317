//! Unmasks and validates text in one pass, in blocks.
//!
//! Most text is ASCII. While it is, a block is validated by its top bits while it is in registers for
//! unmasking. From the first block that is not ASCII, blocks of 64 bytes are unmasked and passed to a
//! validator: with AVX-512 in a register to one of our own, else to that of `simdutf8` while they are in the
//! first-level cache.
#![allow(unsafe_code)]

use super::judge::{BLOCK, Judge};
use crate::frame::mask::{
    self, Key,
    vector::{Ends, Vector},
};
#[cfg(target_arch = "x86_64")]
use mask::chosen::Level;
use simdutf8::basic::imp::ChunkedUtf8Validator;

/// Below this many bytes, std is faster than any validator that works on blocks.
const FEW: usize = 16;

#[cfg(target_arch = "aarch64")]
pub(super) use neon::{judge, unmask_and_judge};

/// Returns whether at least a block of bytes is UTF-8.
pub(super) fn judge_long(bytes: &[u8]) -> bool {
    #[cfg(target_arch = "x86_64")]
    if Level::of_processor() == Level::Avx512 {
        // SAFETY: the processor has AVX-512.
        return unsafe { avx512::judge(bytes) };
    }
    simdutf8::basic::from_utf8(bytes).is_ok()
}

/// Returns whether the bytes, fewer than a block and not all ASCII, are UTF-8.
#[cfg(target_arch = "x86_64")]
pub(super) fn judge(bytes: &[u8]) -> bool {
    if bytes.len() < FEW {
        return core::str::from_utf8(bytes).is_ok();
    }
    match Level::of_processor() {
        // SAFETY: the processor has AVX-512.
        Level::Avx512 => unsafe { avx512::judge(bytes) },
        // SAFETY: the processor has AVX2.
        Level::Avx2 => unsafe { avx2::judge(bytes) },
        Level::Sse42 | Level::Sse2 => core::str::from_utf8(bytes).is_ok(),
    }
}

/// Unmasks more than 32 bytes in place, and returns whether the result is UTF-8.
#[cfg(target_arch = "x86_64")]
#[inline]
pub(super) fn unmask_and_judge(bytes: &mut [u8], key: Key) -> bool {
    match Level::of_processor() {
        // SAFETY: the processor has AVX-512, and there is at least a block.
        Level::Avx512 if bytes.len() >= BLOCK => unsafe { avx512::unmask_and_judge(bytes, key) },
        // SAFETY: the processor has AVX2, and there are more than 32 bytes.
        Level::Avx512 | Level::Avx2 => unsafe { avx2::unmask_and_judge(bytes, key) },
        Level::Sse42 | Level::Sse2 => unmask_and_judge_without_avx2(bytes, key),
    }
}

/// In a function of its own, so that the usual path has no registers to save.
#[cfg(target_arch = "x86_64")]
#[cold]
fn unmask_and_judge_without_avx2(bytes: &mut [u8], key: Key) -> bool {
    if Level::of_processor() == Level::Sse42 {
        // SAFETY: the processor has SSE 4.2, and there are more than 16 bytes.
        return unsafe { sse42::unmask_and_judge(bytes, key) };
    }
    mask::mask_at(bytes, key);
    core::str::from_utf8(bytes).is_ok()
}

#[cfg(target_arch = "x86_64")]
pub(super) mod avx512 {
    use super::Key;
    use crate::frame::utf8::avx512::Avx512;
    use core::arch::x86_64::__m512i;

    /// # Safety
    ///
    /// The processor has AVX-512 F, BW and VBMI.
    #[target_feature(enable = "avx512f,avx512bw,avx512vbmi")]
    pub(in super::super) unsafe fn judge(bytes: &[u8]) -> bool {
        // SAFETY: guaranteed by the caller.
        unsafe { Avx512::judge(bytes) }
    }

    /// # Safety
    ///
    /// The processor has AVX-512 F, BW and VBMI, and there are at least 64 bytes.
    #[target_feature(enable = "avx512f,avx512bw,avx512vbmi")]
    pub(in super::super) unsafe fn unmask_and_judge(bytes: &mut [u8], key: Key) -> bool {
        // SAFETY: guaranteed by the caller.
        unsafe { super::in_one_pass::<__m512i, Avx512>(bytes, key) }
    }
}

#[cfg(target_arch = "x86_64")]
pub(super) mod avx2 {
    use super::Key;
    use core::arch::x86_64::__m256i;
    use simdutf8::basic::imp::x86::avx2::ChunkedUtf8ValidatorImp;

    /// # Safety
    ///
    /// The processor has AVX2.
    #[target_feature(enable = "avx2")]
    pub(in super::super) unsafe fn judge(bytes: &[u8]) -> bool {
        // SAFETY: guaranteed by the caller.
        unsafe { super::judge_text::<ChunkedUtf8ValidatorImp>(bytes) }
    }

    /// # Safety
    ///
    /// The processor has AVX2, and there are at least 32 bytes.
    #[target_feature(enable = "avx2")]
    pub(in super::super) unsafe fn unmask_and_judge(bytes: &mut [u8], key: Key) -> bool {
        // SAFETY: guaranteed by the caller.
        unsafe { super::in_one_pass::<__m256i, ChunkedUtf8ValidatorImp>(bytes, key) }
    }
}

#[cfg(target_arch = "x86_64")]
pub(super) mod sse42 {
    use super::Key;
    use core::arch::x86_64::__m128i;
    use simdutf8::basic::imp::x86::sse42::ChunkedUtf8ValidatorImp;

    /// # Safety
    ///
    /// The processor has SSE 4.2, and there are at least 16 bytes.
    #[target_feature(enable = "sse4.2")]
    pub(in super::super) unsafe fn unmask_and_judge(bytes: &mut [u8], key: Key) -> bool {
        // SAFETY: guaranteed by the caller.
        unsafe { super::in_one_pass::<__m128i, ChunkedUtf8ValidatorImp>(bytes, key) }
    }
}

#[cfg(target_arch = "aarch64")]
mod neon {
    use super::{FEW, Key};
    use core::arch::aarch64::uint8x16_t;
    use simdutf8::basic::imp::aarch64::neon::ChunkedUtf8ValidatorImp;

    /// Returns whether the bytes, fewer than a block and not all ASCII, are UTF-8.
    pub(in super::super) fn judge(bytes: &[u8]) -> bool {
        if bytes.len() < FEW {
            return core::str::from_utf8(bytes).is_ok();
        }
        // SAFETY: the processor has NEON.
        unsafe { super::judge_text::<ChunkedUtf8ValidatorImp>(bytes) }
    }

    /// Unmasks more than 32 bytes in place, and returns whether the result is UTF-8.
    pub(in super::super) fn unmask_and_judge(bytes: &mut [u8], key: Key) -> bool {
        // SAFETY: the processor has NEON, and there are more than 16 bytes.
        unsafe { super::in_one_pass::<uint8x16_t, ChunkedUtf8ValidatorImp>(bytes, key) }
    }
}

/// Returns whether the bytes are UTF-8.
///
/// # Safety
///
/// The processor has the instructions of `U`.
#[inline(always)]
unsafe fn judge_text<U: ChunkedUtf8Validator>(bytes: &[u8]) -> bool {
    // SAFETY: the caller guarantees the instructions of `U`.
    let mut validator = unsafe { U::new() };
    for bytes in bytes.chunks(BLOCK) {
        // The last block is padded with zeros, which are valid characters.
        let mut block = [0; BLOCK];
        mask::mask_into_at(&mut block, bytes, Key::NONE);
        // SAFETY: the caller guarantees the instructions of `U`.
        unsafe { validator.update_from_chunks(&block) };
    }
    // SAFETY: the caller guarantees the instructions of `U`.
    unsafe { validator.finalize(None).is_ok() }
}

/// Unmasks the bytes in place, and returns whether the result is UTF-8.
///
/// # Safety
///
/// There are at least as many bytes as `V` holds. The processor has the instructions of `V` and of `J`.
#[inline(always)]
unsafe fn in_one_pass<V: Vector, J: Judge<V>>(bytes: &mut [u8], key: Key) -> bool {
    // SAFETY: guaranteed by the caller.
    let ascii = unsafe { unmask_ascii::<V>(bytes.as_mut_ptr(), bytes.len(), key) };
    let rest = &mut bytes[ascii..];
    // SAFETY: guaranteed by the caller.
    rest.is_empty() || unsafe { unmask_text::<V, J>(rest, key.after(ascii)) }
}

/// Unmasks bytes from the start while they are ASCII, and returns how many. The rest stays masked.
///
/// # Safety
///
/// `bytes` is valid for reads and writes of `len` bytes, and `len` is at least the size of `V`. The processor
/// has the instructions of `V`.
#[inline(always)]
unsafe fn unmask_ascii<V: Vector>(bytes: *mut u8, len: usize, key: Key) -> usize {
    // SAFETY: guaranteed by the caller; each number of vectors is for its lengths.
    unsafe {
        match len.div_ceil(size_of::<V>()) {
            0..=2 => unmask_few::<V, 1>(bytes, len, key),
            3..=4 => unmask_few::<V, 2>(bytes, len, key),
            5..=8 => unmask_few::<V, 4>(bytes, len, key),
            _ => unmask_many::<V>(bytes, len, key),
        }
    }
}

/// Unmasks all of the bytes if they are ASCII, else none. Returns how many.
///
/// # Safety
///
/// As for [`unmask_ascii`], with a `len` between `N` and `2 * N` times the size of `V`.
#[inline(always)]
unsafe fn unmask_few<V: Vector, const N: usize>(bytes: *mut u8, len: usize, key: Key) -> usize {
    // SAFETY: guaranteed by the caller.
    unsafe {
        let ends = Ends::<V, N>::load(bytes, len, key);
        if !ends.is_ascii() {
            return 0;
        }
        ends.store(bytes, len);
    }
    len
}

/// # Safety
///
/// As for [`unmask_ascii`], with at least two vectors.
#[inline(always)]
unsafe fn unmask_many<V: Vector>(bytes: *mut u8, len: usize, key: Key) -> usize {
    let size = size_of::<V>();
    let end = len - size;
    // SAFETY: every vector is within `len` bytes.
    unsafe {
        // Both overlap another one, so they are loaded before all others and stored after them.
        let first = V::load(bytes).xor(V::splat(key));
        let last = V::load(bytes.add(end)).xor(V::splat(key.after(end)));
        if !first.is_ascii() {
            return 0;
        }
        let start = bytes.align_offset(size).min(size);
        let (mut at, wide) = (start, V::splat(key.after(start)));
        let all = ascii_steps::<V, 8>(bytes, &mut at, end, wide)
            && ascii_steps::<V, 2>(bytes, &mut at, end, wide)
            && ascii_steps::<V, 1>(bytes, &mut at, end, wide);
        if at == start {
            return 0;
        }
        first.store(bytes);
        if !all || !last.is_ascii() {
            return at;
        }
        last.store(bytes.add(end));
        len
    }
}

/// Unmasks `N` vectors at a time, starting at `at`, while the last of them begins at `end` or before.
///
/// Returns whether all of them were ASCII. If not, `at` is the start of the step that was not stored.
///
/// # Safety
///
/// As for [`unmask_ascii`], with a `len` of `end` plus the size of `V`. The key is the one for `at`.
#[inline(always)]
unsafe fn ascii_steps<V: Vector, const N: usize>(bytes: *mut u8, at: &mut usize, end: usize, key: V) -> bool {
    let size = size_of::<V>();
    while *at + (N - 1) * size <= end {
        // SAFETY: every vector begins at `end` or before, so it ends within `end` plus its size.
        unsafe {
            let to = bytes.add(*at);
            // Loops, because a closure does not have the instructions of the function around it: without
            // link-time optimisation, each of its vector instructions would be a call.
            let mut vectors = [key; N];
            for (i, vector) in vectors.iter_mut().enumerate() {
                *vector = V::load(to.add(i * size)).xor(key);
            }
            let mut all = vectors[0];
            for &vector in &vectors[1..] {
                all = all.or(vector);
            }
            if !all.is_ascii() {
                return false;
            }
            for (i, vector) in vectors.into_iter().enumerate() {
                vector.store(to.add(i * size));
            }
        }
        *at += N * size;
    }
    true
}

/// Unmasks the bytes in place, and returns whether the result is UTF-8.
///
/// # Safety
///
/// The processor has the instructions of `V` and of `J`.
#[inline(always)]
unsafe fn unmask_text<V: Vector, J: Judge<V>>(bytes: &mut [u8], key: Key) -> bool {
    // SAFETY: the caller guarantees the instructions of `V` and of `J`.
    let (mut judge, wide) = unsafe { (J::new(), V::splat(key)) };
    // `BLOCK` is a multiple of the key's size, so every block begins with the first key byte.
    let (blocks, rest) = bytes.as_chunks_mut::<BLOCK>();
    // SAFETY: the caller guarantees the instructions of `V` and of `J`.
    unsafe {
        judge.unmask(blocks, wide);
        judge.end(rest, key)
    }
}
