//! A point in time, in four bytes.
#![forbid(unsafe_code)]

use core::num::NonZeroU32;

/// A point in time, in milliseconds modulo 2^32 (49 days; deadlines are shorter).
///
/// A connection keeps one: the last sign of life while it is open, and the start of the close deadline
/// afterwards. If the time was not known then, the connection keeps the next time that is known.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Stamp(NonZeroU32);

impl Stamp {
    #[inline]
    #[expect(clippy::cast_possible_truncation, reason = "a stamp is modulo 2^32")]
    pub(crate) fn at(now: u64) -> Self {
        // 0 becomes 1, so that `Option<Stamp>` has four bytes too.
        Self(NonZeroU32::new(now as u32).unwrap_or(NonZeroU32::MIN))
    }

    /// Returns the milliseconds from the stamp to `now`.
    ///
    /// Returns 0 if `now` is up to 24 days before the stamp, so that times out of order do not end a
    /// connection.
    pub(super) fn age(self, now: u64) -> u32 {
        let age = Self::at(now).0.get().wrapping_sub(self.0.get());
        if age > u32::MAX / 2 { 0 } else { age }
    }
}
