//! SSE2, which every x86_64 processor has, AVX2 and AVX-512.

use super::vector::{self, Key, Vector};
use core::arch::x86_64::{
    __m128i, __m256i, __m512i, _mm_loadu_si128, _mm_movemask_epi8, _mm_or_si128, _mm_set1_epi32,
    _mm_storeu_si128, _mm_xor_si128, _mm256_loadu_si256, _mm256_movemask_epi8, _mm256_or_si256,
    _mm256_set1_epi32, _mm256_storeu_si256, _mm256_xor_si256, _mm512_loadu_si512, _mm512_movepi8_mask,
    _mm512_or_si512, _mm512_set1_epi32, _mm512_storeu_si512, _mm512_xor_si512,
};

/// The vector that every processor of this architecture has.
pub(in crate::frame) type Baseline = __m128i;

/// The instructions that a processor has. Each level includes those before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::frame) enum Level {
    Sse2,
    Sse42,
    Avx2,
    /// AVX-512 F, BW and VBMI. Processors with VBMI keep their clock rate while they use wide vectors.
    Avx512,
}

impl Level {
    fn detect() -> Self {
        macro_rules! has {
            ($($feature:tt),+) => {{
                // Without `std`, the build target decides.
                #[cfg(feature = "std")]
                let has = $(std::is_x86_feature_detected!($feature))&&+;
                #[cfg(not(feature = "std"))]
                let has = $(cfg!(target_feature = $feature))&&+;
                has
            }};
        }
        if has!("avx512f", "avx512bw", "avx512vbmi") {
            return Self::Avx512;
        }
        if has!("avx2") {
            return Self::Avx2;
        }
        if has!("sse4.2") {
            return Self::Sse42;
        }
        Self::Sse2
    }

    /// Returns the level of this processor.
    #[inline(always)]
    pub(in crate::frame) fn of_processor() -> Self {
        #[cfg(not(feature = "std"))]
        return Self::detect();
        #[cfg(feature = "std")]
        return detected::level();
    }
}

/// The level is detected once.
#[cfg(feature = "std")]
mod detected {
    use super::Level;
    use core::sync::atomic::{AtomicU8, Ordering};

    /// 0 before it is detected, else one more than the level.
    static LEVEL: AtomicU8 = AtomicU8::new(0);

    #[inline(always)]
    pub(super) fn level() -> Level {
        match LEVEL.load(Ordering::Relaxed) {
            4 => Level::Avx512,
            3 => Level::Avx2,
            2 => Level::Sse42,
            1 => Level::Sse2,
            _ => detect(),
        }
    }

    #[cold]
    fn detect() -> Level {
        let level = Level::detect();
        LEVEL.store(level as u8 + 1, Ordering::Relaxed);
        level
    }
}

/// Copies at least 32 bytes, masking them.
///
/// # Safety
///
/// As for [`vector::copy_long`].
#[inline]
pub(in crate::frame) unsafe fn copy_long(to: *mut u8, from: *const u8, len: usize, key: Key) {
    match Level::of_processor() {
        // SAFETY: guaranteed by the caller; the processor has AVX-512, and there are at least 64 bytes.
        Level::Avx512 if len >= 64 => unsafe { copy_avx512(to, from, len, key) },
        // SAFETY: guaranteed by the caller; the processor has AVX2.
        Level::Avx512 | Level::Avx2 => unsafe { copy_avx2(to, from, len, key) },
        // SAFETY: guaranteed by the caller.
        Level::Sse42 | Level::Sse2 => unsafe { copy_sse2(to, from, len, key) },
    }
}

/// # Safety
///
/// As for [`vector::copy_long`], with vectors of 64 bytes; the processor has AVX-512 F and BW.
#[target_feature(enable = "avx512f,avx512bw")]
pub(super) unsafe fn copy_avx512(to: *mut u8, from: *const u8, len: usize, key: Key) {
    // SAFETY: guaranteed by the caller.
    unsafe { vector::copy_long::<__m512i>(to, from, len, key) }
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
vector! {
    __m512i, _mm512_set1_epi32, _mm512_loadu_si512, _mm512_storeu_si512, _mm512_xor_si512,
    _mm512_or_si512, _mm512_movepi8_mask
}
