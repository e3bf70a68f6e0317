//! Words, on any machine.

use super::vector::{self, Key};

/// What every processor has.
pub(in crate::frame) type Baseline = u128;

/// Copies more than 16 bytes, masking them.
///
/// # Safety
///
/// As [`vector::copy_long`]'s.
pub(in crate::frame) unsafe fn copy_long(to: *mut u8, from: *const u8, len: usize, key: Key) {
    // SAFETY: as the caller's.
    unsafe { vector::copy_long::<u128>(to, from, len, key) }
}
