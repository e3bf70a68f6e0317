//! SSE2, which every x86_64 processor has, and AVX2.

use super::vector::{self, Key, Vector};
use core::arch::x86_64::{
    __m128i, __m256i, _mm_loadu_si128, _mm_movemask_epi8, _mm_or_si128, _mm_set1_epi32, _mm_storeu_si128,
    _mm_xor_si128, _mm256_loadu_si256, _mm256_movemask_epi8, _mm256_or_si256, _mm256_set1_epi32,
    _mm256_storeu_si256, _mm256_xor_si256,
};

/// The vector that every processor of this architecture has.
pub(in crate::frame) type Baseline = __m128i;

/// Returns whether the processor has AVX2: detected once with `std`, else fixed by the build target.
#[inline(always)]
pub(in crate::frame) fn has_avx2() -> bool {
    #[cfg(feature = "std")]
    return std::is_x86_feature_detected!("avx2");
    #[cfg(not(feature = "std"))]
    return cfg!(target_feature = "avx2");
}

/// Copies at least 32 bytes, masking them.
///
/// # Safety
///
/// As for [`vector::copy_long`].
#[inline]
pub(in crate::frame) unsafe fn copy_long(to: *mut u8, from: *const u8, len: usize, key: Key) {
    if has_avx2() {
        // SAFETY: guaranteed by the caller; the processor has AVX2.
        unsafe { copy_avx2(to, from, len, key) }
    } else {
        // SAFETY: guaranteed by the caller.
        unsafe { copy_sse2(to, from, len, key) }
    }
}

/// # Safety
///
/// As for [`vector::copy_long`], with vectors of 32 bytes; the processor has AVX2.
#[target_feature(enable = "avx2")]
pub(super) unsafe fn copy_avx2(to: *mut u8, from: *const u8, len: usize, key: Key) {
    // SAFETY: guaranteed by the caller.
    unsafe { vector::copy_long::<__m256i>(to, from, len, key) }
}

/// # Safety
///
/// As for [`vector::copy_long`], with vectors of 16 bytes.
unsafe fn copy_sse2(to: *mut u8, from: *const u8, len: usize, key: Key) {
    // SAFETY: guaranteed by the caller.
    unsafe { vector::copy_long::<__m128i>(to, from, len, key) }
}

macro_rules! vector {
    ($vector:ty, $splat:ident, $load:ident, $store:ident, $xor:ident, $or:ident, $movemask:ident) => {
        // SAFETY: each instruction does what its function documents.
        unsafe impl Vector for $vector {
            #[inline(always)]
            unsafe fn splat(key: Key) -> Self {
                // SAFETY: the caller guarantees the instructions.
                unsafe { $splat(key.word().cast_signed()) }
            }

            #[inline(always)]
            unsafe fn load(from: *const u8) -> Self {
                // SAFETY: the caller guarantees the instructions; `from` is valid for the size of the vector.
                unsafe { $load(from.cast()) }
            }

            #[inline(always)]
            unsafe fn store(self, to: *mut u8) {
                // SAFETY: the caller guarantees the instructions; `to` is valid for the size of the vector.
                unsafe { $store(to.cast(), self) }
            }

            #[inline(always)]
            unsafe fn xor(self, other: Self) -> Self {
                // SAFETY: the caller guarantees the instructions.
                unsafe { $xor(self, other) }
            }

            #[inline(always)]
            unsafe fn or(self, other: Self) -> Self {
                // SAFETY: the caller guarantees the instructions.
                unsafe { $or(self, other) }
            }

            #[inline(always)]
            unsafe fn is_ascii(self) -> bool {
                // SAFETY: the caller guarantees the instructions.
                unsafe { $movemask(self) == 0 }
            }
        }
    };
}

vector! {
    __m128i, _mm_set1_epi32, _mm_loadu_si128, _mm_storeu_si128, _mm_xor_si128, _mm_or_si128,
    _mm_movemask_epi8
}
vector! {
    __m256i, _mm256_set1_epi32, _mm256_loadu_si256, _mm256_storeu_si256, _mm256_xor_si256,
    _mm256_or_si256, _mm256_movemask_epi8
}
