//! NEON, which every aarch64 processor that runs an operating system has.

use super::vector::{self, Key, Vector};
use core::arch::aarch64::{
    uint8x16_t, vdupq_n_u32, veorq_u8, vld1q_u8, vmaxvq_u8, vorrq_u8, vreinterpretq_u8_u32, vst1q_u8,
};

/// The vector that every processor of this architecture has.
pub(in crate::frame) type Baseline = uint8x16_t;

/// Copies at least 16 bytes, masking them.
///
/// # Safety
///
/// As for [`vector::copy_long`].
pub(in crate::frame) unsafe fn copy_long(to: *mut u8, from: *const u8, len: usize, key: Key) {
    // SAFETY: guaranteed by the caller.
    unsafe { vector::copy_long::<uint8x16_t>(to, from, len, key) }
}

// SAFETY: each instruction does what its function documents.
unsafe impl Vector for uint8x16_t {
    #[inline(always)]
    unsafe fn splat(key: Key) -> Self {
        // SAFETY: the caller guarantees NEON.
        unsafe { vreinterpretq_u8_u32(vdupq_n_u32(key.word())) }
    }

    #[inline(always)]
    unsafe fn load(from: *const u8) -> Self {
        // SAFETY: the caller guarantees NEON; `from` is valid for 16 bytes.
        unsafe { vld1q_u8(from) }
    }

    #[inline(always)]
    unsafe fn store(self, to: *mut u8) {
        // SAFETY: the caller guarantees NEON; `to` is valid for 16 bytes.
        unsafe { vst1q_u8(to, self) }
    }

    #[inline(always)]
    unsafe fn xor(self, other: Self) -> Self {
        // SAFETY: the caller guarantees NEON.
        unsafe { veorq_u8(self, other) }
    }

    #[inline(always)]
    unsafe fn or(self, other: Self) -> Self {
        // SAFETY: the caller guarantees NEON.
        unsafe { vorrq_u8(self, other) }
    }

    #[inline(always)]
    unsafe fn is_ascii(self) -> bool {
        // SAFETY: the caller guarantees NEON.
        unsafe { vmaxvq_u8(self) < 0x80 }
    }
}
