//! Many bytes of text at once: judged, or unmasked and judged in one pass.
//!
//! While the bytes are ASCII, which most text is, a block is judged by its top bits while it is in
//! registers for unmasking. From the first block that is not, blocks of 64 bytes are unmasked and go
//! straight on, from the first-level cache, to the validator of `simdutf8`.
#![allow(unsafe_code)]

use crate::frame::mask::{self, Key, SHORT, chosen, vector::Vector};
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
use simdutf8::basic::imp::ChunkedUtf8Validator;

/// Whether the bytes are UTF-8.
#[inline]
pub(super) fn judge(bytes: &[u8]) -> bool {
    if bytes.len() > SHORT {
        return simdutf8::basic::from_utf8(bytes).is_ok();
    }
    let ascii = match (bytes.first_chunk(), bytes.last_chunk()) {
        (Some(first), Some(last)) => {
            (u128::from_ne_bytes(*first) | u128::from_ne_bytes(*last)) & TOP_BITS == 0
        }
        _ => bytes.is_ascii(),
    };
    ascii || judge_short(bytes)
}

/// The top bit of each byte.
const TOP_BITS: u128 = u128::MAX / 0xFF * 0x80;

/// Unmasks the bytes in place; whether they are UTF-8 then. All are unmasked either way.
#[inline]
pub(super) fn unmask_and_judge(bytes: &mut [u8], key: Key) -> bool {
    if bytes.len() > SHORT {
        return unmask_and_judge_long(bytes, key);
    }
    let to = bytes.as_mut_ptr();
    // SAFETY: both pointers are to the at most 32 bytes of `bytes`; every processor has the baseline.
    let ascii = unsafe { mask::vector::copy_short::<chosen::Baseline>(to, to, bytes.len(), key) };
    ascii || judge_short(bytes)
}

/// Whether a few bytes, not all of them ASCII, are UTF-8.
fn judge_short(bytes: &[u8]) -> bool {
    core::str::from_utf8(bytes).is_ok()
}

#[cfg(target_arch = "x86_64")]
fn unmask_and_judge_long(bytes: &mut [u8], key: Key) -> bool {
    if chosen::has_avx2() {
        // SAFETY: the processor has AVX2, and there are more than 32 bytes.
        return unsafe { x86_64::avx2(bytes, key) };
    }
    if x86_64::has_sse42() {
        // SAFETY: the processor has SSE 4.2, and there are more than 32 bytes.
        return unsafe { x86_64::sse42(bytes, key) };
    }
    in_two_passes(bytes, key)
}

#[cfg(target_arch = "aarch64")]
fn unmask_and_judge_long(bytes: &mut [u8], key: Key) -> bool {
    use simdutf8::basic::imp::aarch64::neon::ChunkedUtf8ValidatorImp;
    // SAFETY: the processor has NEON, and there are more than 32 bytes.
    unsafe { in_one_pass::<chosen::Baseline, ChunkedUtf8ValidatorImp>(bytes, key) }
}

#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
fn unmask_and_judge_long(bytes: &mut [u8], key: Key) -> bool {
    in_two_passes(bytes, key)
}

/// Where there is no validator that takes blocks.
#[cfg(any(not(target_arch = "aarch64"), test))]
fn in_two_passes(bytes: &mut [u8], key: Key) -> bool {
    mask::mask_at(bytes, key);
    judge(bytes)
}

#[cfg(target_arch = "x86_64")]
mod x86_64 {
    use super::{Key, in_one_pass};
    use core::arch::x86_64::{__m128i, __m256i};
    use simdutf8::basic::imp::x86;

    #[inline(always)]
    pub(super) fn has_sse42() -> bool {
        #[cfg(feature = "std")]
        return std::is_x86_feature_detected!("sse4.2");
        #[cfg(not(feature = "std"))]
        return cfg!(target_feature = "sse4.2");
    }

    /// # Safety
    ///
    /// As [`in_one_pass`]'s, for 32 bytes; the processor has AVX2.
    #[target_feature(enable = "avx2")]
    pub(super) unsafe fn avx2(bytes: &mut [u8], key: Key) -> bool {
        // SAFETY: as the caller's.
        unsafe { in_one_pass::<__m256i, x86::avx2::ChunkedUtf8ValidatorImp>(bytes, key) }
    }

    /// # Safety
    ///
    /// As [`in_one_pass`]'s, for 16 bytes; the processor has SSE 4.2.
    #[target_feature(enable = "sse4.2")]
    pub(super) unsafe fn sse42(bytes: &mut [u8], key: Key) -> bool {
        // SAFETY: as the caller's.
        unsafe { in_one_pass::<__m128i, x86::sse42::ChunkedUtf8ValidatorImp>(bytes, key) }
    }
}

/// Unmasks the bytes in place; whether they are UTF-8 then.
///
/// # Safety
///
/// There are at least as many bytes as `V` has. The processor has the instructions of `V` and of `U`.
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
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
/// `at` is valid for reads and writes of `len` bytes, which are at least as many as `V` has. The
/// processor has the instructions of `V`.
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
#[inline(always)]
unsafe fn unmask_ascii<V: Vector>(bytes: *mut u8, len: usize, key: Key) -> usize {
    let size = size_of::<V>();
    let end = len - size;
    // SAFETY: every vector is within `len` bytes.
    unsafe {
        // Loaded before the one is stored that it overlaps.
        let last = V::load(bytes.add(end)).xor(V::splat(key.after(end)));
        let key = V::splat(key);
        let mut at = 0;
        while len - at >= 4 * size {
            let to = bytes.add(at);
            let a = V::load(to).xor(key);
            let b = V::load(to.add(size)).xor(key);
            let c = V::load(to.add(2 * size)).xor(key);
            let d = V::load(to.add(3 * size)).xor(key);
            if !a.or(b).or(c.or(d)).is_ascii() {
                return at;
            }
            a.store(to);
            b.store(to.add(size));
            c.store(to.add(2 * size));
            d.store(to.add(3 * size));
            at += 4 * size;
        }
        while at < end {
            let a = V::load(bytes.add(at)).xor(key);
            if !a.is_ascii() {
                return at;
            }
            a.store(bytes.add(at));
            at += size;
        }
        if !last.is_ascii() {
            return at;
        }
        last.store(bytes.add(end));
        len
    }
}

/// Unmasks the bytes in place; whether they are UTF-8 then.
///
/// # Safety
///
/// The processor has the instructions of `V` and of `U`.
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
#[inline(always)]
unsafe fn unmask_text<V: Vector, U: ChunkedUtf8Validator>(bytes: &mut [u8], key: Key) -> bool {
    let size = size_of::<V>();
    // SAFETY: the caller's processor has the instructions.
    let (mut validator, wide) = unsafe { (U::new(), V::splat(key)) };
    // A multiple of the key's size, so that every block begins with the same byte of it.
    let mut blocks = bytes.chunks_exact_mut(64);
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
    mask::mask_at(rest, key);
    // SAFETY: the caller's processor has the instructions.
    unsafe { validator.finalize(Some(rest)).is_ok() }
}
