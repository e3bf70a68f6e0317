//! When something happened, in four bytes.
#![forbid(unsafe_code)]

use core::num::NonZeroU32;

/// A connection's one time: that of the last sign of life while it is open, that of the first Close
/// frame afterwards. In milliseconds, modulo 2^32 (49 days; deadlines are shorter).
///
/// Where it is not known, because the call in which that happened was told no time or none was made
/// yet, it is that of the next call that is told one.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Stamp(NonZeroU32);

impl Stamp {
    #[inline]
    #[expect(clippy::cast_possible_truncation, reason = "a stamp is modulo 2^32")]
    pub(crate) fn at(now: u64) -> Self {
        // 0 counts as 1, so that an optional stamp takes no more room.
        Self(NonZeroU32::new(now as u32).unwrap_or(NonZeroU32::MIN))
    }

    /// Milliseconds from the stamp to `now`. None where `now` lies before it, by up to 24 days: a
    /// caller whose times are not in order has no connection ended for it.
    pub(super) fn age(self, now: u64) -> u32 {
        let age = Self::at(now).0.get().wrapping_sub(self.0.get());
        if age > u32::MAX / 2 { 0 } else { age }
    }
}
