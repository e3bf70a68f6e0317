//! A graceful stop: who is closed when.
#![forbid(unsafe_code)]

use crate::frame::CloseCode;
use std::borrow::Cow;
use std::time::Duration;

/// The milliseconds between two steps of a shutdown.
const STEP: u64 = 10;

/// How a server stops.
///
/// It accepts nothing more, and closes its connections one after the other, so that their clients do not all
/// come back at the same time. Requests are refused with 503, and connections without a request are dropped.
/// Connections that remain when the grace period is over are dropped.
///
/// ```
/// use std::time::Duration;
/// use websocket_stream::CloseCode;
/// use websocket_stream::server::Shutdown;
///
/// // Half of the time to close the connections, the other half for their answers.
/// let soon = Shutdown::within(Duration::from_secs(10));
/// // A restart of a server with very many clients.
/// let slowly = Shutdown::within(Duration::from_secs(120))
///     .code(CloseCode::SERVICE_RESTART)
///     .spread(Duration::from_secs(100));
/// # let _ = (soon, slowly);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shutdown {
    grace: Duration,
    spread: Duration,
    code: CloseCode,
    reason: Cow<'static, str>,
}

impl Shutdown {
    /// Stops within this time. Closes the connections with 1001 (going away), spread over half of it.
    pub fn within(grace: Duration) -> Self {
        Self { grace, spread: grace / 2, code: CloseCode::GOING_AWAY, reason: Cow::Borrowed("") }
    }

    /// Sets the time over which the connections are closed.
    #[must_use]
    pub fn spread(mut self, spread: Duration) -> Self {
        self.spread = spread;
        self
    }

    /// Sets the close code. A code that cannot be sent counts as 1001.
    #[must_use]
    pub fn code(mut self, code: CloseCode) -> Self {
        self.code = if code.is_sendable() { code } else { CloseCode::GOING_AWAY };
        self
    }

    /// Sets the reason in the Close frames, of which at most 123 bytes are sent.
    #[must_use]
    pub fn reason(mut self, reason: impl Into<Cow<'static, str>>) -> Self {
        self.reason = reason.into();
        self
    }
}

impl From<Duration> for Shutdown {
    fn from(grace: Duration) -> Self {
        Self::within(grace)
    }
}

/// A shutdown in progress.
pub(super) struct Departure {
    began: u64,
    spread: u64,
    grace: u64,
    /// The number of slots at the beginning.
    end: usize,
    /// The slots before this one were closed.
    next: usize,
    pub(super) code: CloseCode,
    pub(super) reason: Cow<'static, str>,
}

impl Departure {
    pub(super) fn new(shutdown: &Shutdown, now: u64, end: usize) -> Self {
        let millis = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        Self {
            began: now,
            spread: millis(shutdown.spread.min(shutdown.grace)),
            grace: millis(shutdown.grace),
            end,
            next: 0,
            code: shutdown.code,
            reason: shutdown.reason.clone(),
        }
    }

    /// Returns the slots to close now. After the last of them, a newer connection may have a slot beyond:
    /// `slots` is the current number.
    pub(super) fn advance(&mut self, now: u64, slots: usize) -> std::ops::Range<usize> {
        let passed = now.saturating_sub(self.began);
        let until = match passed >= self.spread {
            true => slots,
            false => {
                // Rounded up, so that a few connections do not wait.
                let share =
                    (self.end as u128 * (u128::from(passed) + 1)).div_ceil(u128::from(self.spread) + 1);
                usize::try_from(share).unwrap_or(self.end)
            }
        };
        let range = self.next..until.max(self.next);
        self.next = range.end;
        range
    }

    /// Returns whether the grace period is over.
    pub(super) fn is_over(&self, now: u64) -> bool {
        now.saturating_sub(self.began) >= self.grace
    }

    /// Returns the time of the next step.
    pub(super) fn next(&self, now: u64) -> Option<u64> {
        let over = self.began.saturating_add(self.grace);
        let step = (self.next < self.end).then(|| now.saturating_add(STEP));
        step.into_iter().chain([over]).min()
    }
}
