//! Text unmasked and judged in one pass, in blocks.
//!
//! While the bytes are ASCII, which most text is, a block is judged by its top bits while it is in
//! registers for unmasking. From the first block that is not, blocks of 64 bytes are unmasked and go
//! straight on, from the first-level cache, to the validator of `simdutf8`.
#![allow(unsafe_code)]

use crate::frame::mask::{self, Key, vector::Vector};
use simdutf8::basic::imp::ChunkedUtf8Validator;

/// How many bytes the validator takes at a time.
pub(super) const BLOCK: usize = 64;

/// So few bytes std judges faster than any validator that takes blocks.
const FEW: usize = 16;

#[cfg(target_arch = "aarch64")]
pub(super) use neon::{judge, unmask_and_judge};

/// Whether the bytes, which are few and not all ASCII, are UTF-8.
#[cfg(target_arch = "x86_64")]
pub(super) fn judge(bytes: &[u8]) -> bool {
    if bytes.len() >= FEW && mask::chosen::has_avx2() {
        // SAFETY: the processor has AVX2.
        return unsafe { avx2::judge(bytes) };
    }
    core::str::from_utf8(bytes).is_ok()
}

/// Unmasks more than 32 bytes in place; whether they are UTF-8 then.
#[cfg(target_arch = "x86_64")]
pub(super) fn unmask_and_judge(bytes: &mut [u8], key: Key) -> bool {
    if mask::chosen::has_avx2() {
        // SAFETY: the processor has AVX2, and there are more than 32 bytes.
        return unsafe { avx2::unmask_and_judge(bytes, key) };
    }
    if sse42::is_there() {
        // SAFETY: the processor has SSE 4.2, and there are more than 16 bytes.
        return unsafe { sse42::unmask_and_judge(bytes, key) };
    }
    mask::mask_at(bytes, key);
    core::str::from_utf8(bytes).is_ok()
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
        // SAFETY: as the caller's.
        unsafe { super::judge_text::<ChunkedUtf8ValidatorImp>(bytes) }
    }

    /// # Safety
    ///
    /// The processor has AVX2, and there are at least 32 bytes.
    #[target_feature(enable = "avx2")]
    pub(in super::super) unsafe fn unmask_and_judge(bytes: &mut [u8], key: Key) -> bool {
        // SAFETY: as the caller's.
        unsafe { super::in_one_pass::<__m256i, ChunkedUtf8ValidatorImp>(bytes, key) }
    }
}

#[cfg(target_arch = "x86_64")]
pub(super) mod sse42 {
    use super::Key;
    use core::arch::x86_64::__m128i;
    use simdutf8::basic::imp::x86::sse42::ChunkedUtf8ValidatorImp;

    /// Whether the processor has SSE 4.2: asked once with `std`, else what the build is for.
    #[inline(always)]
    pub(super) fn is_there() -> bool {
        #[cfg(feature = "std")]
        return std::is_x86_feature_detected!("sse4.2");
        #[cfg(not(feature = "std"))]
        return cfg!(target_feature = "sse4.2");
    }

    /// # Safety
    ///
    /// The processor has SSE 4.2, and there are at least 16 bytes.
    #[target_feature(enable = "sse4.2")]
    pub(in super::super) unsafe fn unmask_and_judge(bytes: &mut [u8], key: Key) -> bool {
        // SAFETY: as the caller's.
        unsafe { super::in_one_pass::<__m128i, ChunkedUtf8ValidatorImp>(bytes, key) }
    }
}

#[cfg(target_arch = "aarch64")]
mod neon {
    use super::{FEW, Key};
    use core::arch::aarch64::uint8x16_t;
    use simdutf8::basic::imp::aarch64::neon::ChunkedUtf8ValidatorImp;

    /// Whether the bytes, which are few and not all ASCII, are UTF-8.
    pub(in super::super) fn judge(bytes: &[u8]) -> bool {
        if bytes.len() < FEW {
            return core::str::from_utf8(bytes).is_ok();
        }
        // SAFETY: the processor has NEON.
        unsafe { super::judge_text::<ChunkedUtf8ValidatorImp>(bytes) }
    }

    /// Unmasks more than 32 bytes in place; whether they are UTF-8 then.
    pub(in super::super) fn unmask_and_judge(bytes: &mut [u8], key: Key) -> bool {
        // SAFETY: the processor has NEON, and there are more than 16 bytes.
        unsafe { super::in_one_pass::<uint8x16_t, ChunkedUtf8ValidatorImp>(bytes, key) }
    }
}

/// Whether the bytes are UTF-8.
///
/// # Safety
///
/// The processor has the instructions of `U`.
#[inline(always)]
unsafe fn judge_text<U: ChunkedUtf8Validator>(bytes: &[u8]) -> bool {
    // SAFETY: the caller's processor has the instructions.
    let mut validator = unsafe { U::new() };
    for bytes in bytes.chunks(BLOCK) {
        // Behind the last of them zeros, which are characters of their own.
        let mut block = [0; BLOCK];
        mask::mask_into_at(&mut block, bytes, Key::NONE);
        // SAFETY: as above.
        unsafe { validator.update_from_chunks(&block) };
    }
    // SAFETY: as above.
    unsafe { validator.finalize(None).is_ok() }
}

/// Unmasks the bytes in place; whether they are UTF-8 then.
///
/// # Safety
///
/// There are at least as many bytes as `V` has. The processor has the instructions of `V` and of `U`.
#[inline(always)]
unsafe fn in_one_pass<V: Vector, U: ChunkedUtf8Validator>(bytes: &mut [u8], key: Key) -> bool {
    // SAFETY: as the caller's.
    let ascii = unsafe { unmask_ascii::<V>(bytes.as_mut_ptr(), bytes.len(), key) };
    let rest = &mut bytes[ascii..];
    // SAFETY: as the caller's.
    rest.is_empty() || unsafe { unmask_text::<V, U>(rest, key.after(ascii)) }
}

/// Unmasks from the start as long as it comes upon nothing but ASCII; how many bytes. The others stay
/// masked.
///
/// # Safety
///
/// `bytes` is valid for reads and writes of `len` bytes, which are at least as many as `V` has. The
/// processor has the instructions of `V`.
#[inline(always)]
unsafe fn unmask_ascii<V: Vector>(bytes: *mut u8, len: usize, key: Key) -> usize {
    let size = size_of::<V>();
    let end = len - size;
    // SAFETY: every vector is within `len` bytes.
    unsafe {
        // Loaded before the one is stored that it overlaps.
        let last = V::load(bytes.add(end)).xor(V::splat(key.after(end)));
        let mut at = 0;
        if len >= 8 * size && V::load(bytes).xor(V::splat(key)).is_ascii() {
            // What stands before the first aligned vector goes by itself.
            at = bytes.align_offset(size).min(size);
            mask::mask_at(core::slice::from_raw_parts_mut(bytes, at), key);
        }
        let wide = V::splat(key.after(at));
        let all = ascii_steps::<V, 8>(bytes, &mut at, end, wide)
            && ascii_steps::<V, 2>(bytes, &mut at, end, wide)
            && ascii_steps::<V, 1>(bytes, &mut at, end, wide);
        if !all || !last.is_ascii() {
            return at;
        }
        last.store(bytes.add(end));
        len
    }
}

/// Unmasks `N` vectors at a time, from `at` on, while the last of them begins at `end` or before. Whether
/// it came upon nothing but ASCII; else `at` is where the step begins that it did not make.
///
/// # Safety
///
/// As [`unmask_ascii`]'s, for a `len` of `end` and the size of `V`. The key is the one for `at`.
#[inline(always)]
unsafe fn ascii_steps<V: Vector, const N: usize>(bytes: *mut u8, at: &mut usize, end: usize, key: V) -> bool {
    let size = size_of::<V>();
    while *at + (N - 1) * size <= end {
        // SAFETY: every vector begins at `end` or before, and so is within `end` and its size.
        unsafe {
            let to = bytes.add(*at);
            let vectors: [V; N] = core::array::from_fn(|i| V::load(to.add(i * size)).xor(key));
            if !vectors.iter().skip(1).fold(vectors[0], |all, &vector| all.or(vector)).is_ascii() {
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

/// Unmasks the bytes in place; whether they are UTF-8 then.
///
/// # Safety
///
/// The processor has the instructions of `V` and of `U`.
#[inline(always)]
unsafe fn unmask_text<V: Vector, U: ChunkedUtf8Validator>(bytes: &mut [u8], key: Key) -> bool {
    let size = size_of::<V>();
    // SAFETY: the caller's processor has the instructions.
    let (mut validator, wide) = unsafe { (U::new(), V::splat(key)) };
    // A multiple of the key's size, so that every block begins with the same byte of it.
    let mut blocks = bytes.chunks_exact_mut(BLOCK);
    for block in &mut blocks {
        for part in block.chunks_exact_mut(size) {
            let to = part.as_mut_ptr();
            // SAFETY: a part has the size of a vector.
            unsafe { V::load(to).xor(wide).store(to) };
        }
        // SAFETY: the caller's processor has the instructions.
        unsafe { validator.update_from_chunks(block) };
    }
    let rest = blocks.into_remainder();
    if !rest.is_empty() {
        // Behind the rest zeros, which are characters of their own. It is taken from the masked bytes,
        // not from those just stored, for which it would have to wait.
        let mut block = [0; BLOCK];
        mask::mask_into_at(&mut block, rest, key);
        mask::mask_at(rest, key);
        // SAFETY: the caller's processor has the instructions.
        unsafe { validator.update_from_chunks(&block) };
    }
    // SAFETY: the caller's processor has the instructions.
    unsafe { validator.finalize(None).is_ok() }
}
