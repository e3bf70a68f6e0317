//! The clock.

use ::tokio::time::Instant;
use std::sync::OnceLock;

/// Returns the time in milliseconds since a fixed start.
#[inline]
pub(super) fn now() -> u64 {
    let elapsed = Instant::now().into_std().saturating_duration_since(start());
    u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX)
}

/// Returns the instant of a time.
pub(super) fn instant(at: u64) -> Option<Instant> {
    start().checked_add(std::time::Duration::from_millis(at)).map(Instant::from_std)
}

/// Returns the start of all times.
///
/// By the system's clock, in its past: a runtime whose clock is paused may be ahead or behind.
fn start() -> std::time::Instant {
    static START: OnceLock<std::time::Instant> = OnceLock::new();
    *START.get_or_init(|| {
        let now = std::time::Instant::now();
        now.checked_sub(std::time::Duration::from_secs(3600)).unwrap_or(now)
    })
}
