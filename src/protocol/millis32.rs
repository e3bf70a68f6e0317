//! A point in time, in four bytes.
#![forbid(unsafe_code)]

use core::num::NonZeroU32;

/// A point in time, in milliseconds modulo 2^32 (49 days; timeouts are shorter).
#[derive(Debug, Clone, Copy)]
pub(crate) struct Millis32(NonZeroU32);

impl Millis32 {
    #[inline]
    #[expect(clippy::cast_possible_truncation, reason = "it counts modulo 2^32")]
    pub(crate) fn at(now: u64) -> Self {
        // 0 becomes 1, so that `Option<Millis32>` has four bytes too.
        Self(NonZeroU32::new(now as u32).unwrap_or(NonZeroU32::MIN))
    }

    /// Returns the milliseconds from `self` to `now`.
    ///
    /// Returns 0 if `now` is up to 24 days before `self`, so that times out of order do not end a
    /// connection.
    pub(super) fn age(self, now: u64) -> u32 {
        let age = Self::at(now).0.get().wrapping_sub(self.0.get());
        if age > u32::MAX / 2 { 0 } else { age }
    }
}
