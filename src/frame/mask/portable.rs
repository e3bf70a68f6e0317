//! Plain words, for any machine.

use super::vector::{self, Key};

/// The word that every processor has.
pub(in crate::frame) type Baseline = u128;

/// Copies more than 16 bytes, masking them.
///
/// # Safety
///
/// As for [`vector::copy_long`].
pub(in crate::frame) unsafe fn copy_long(to: *mut u8, from: *const u8, len: usize, key: Key) {
    // SAFETY: guaranteed by the caller.
    unsafe { vector::copy_long::<u128>(to, from, len, key) }
}
