//! When to connect again.

use super::error::ConnectError;
use crate::frame::CloseCode;
use crate::protocol::{Cause, Closed, Initiator, Timeout};
use std::time::Duration;

/// A connection that was open this long was a success: the next delay is short again.
const STABLE: Duration = Duration::from_secs(60);

/// The delay after code 1012, when all clients of a server come back: "randomized between 5 and 30 seconds".
const RESTART: (Duration, Duration) = (Duration::from_secs(5), Duration::from_secs(30));

/// Decides when to connect again: with growing random delays, and not if it is hopeless.
///
/// It has no clock and no generator: `random` is any number from a random generator, and the program waits.
///
/// ```
/// use std::time::Duration;
/// use websocket_stream::client::{ConnectError, Reconnect, UrlError};
///
/// let mut reconnect = Reconnect::new(Duration::from_secs(1), Duration::from_secs(60));
/// let random = u64::MAX; // in a program, from its generator
/// let delays = [(); 3].map(|()| reconnect.after_error(&ConnectError::Timeout, random));
/// assert_eq!(delays, [1, 2, 4].map(|seconds| Some(Duration::from_secs(seconds))));
/// assert_eq!(reconnect.after_error(&ConnectError::Url(UrlError::Host), random), None);
/// ```
#[derive(Debug, Clone)]
pub struct Reconnect {
    first: Duration,
    longest: Duration,
    /// The number of attempts that have failed since the last success.
    failures: u32,
}

impl Reconnect {
    /// Begins with delays of up to `first`, which double up to `longest`.
    pub const fn new(first: Duration, longest: Duration) -> Self {
        Self { first, longest, failures: 0 }
    }

    /// Returns the delay after a connection could not be made, or `None` if another attempt is hopeless: see
    /// [`ConnectError::can_retry`].
    ///
    /// The delay is random, from half of the current maximum to all of it. It is not shorter than the
    /// server's `Retry-After`.
    pub fn after_error(&mut self, error: &ConnectError, random: u64) -> Option<Duration> {
        if !error.can_retry() {
            return None;
        }
        let delay = self.next(random);
        Some(match error.retry_after() {
            // Behind the time that the server has named, so that its clients do not come back at once.
            Some(least) => least.saturating_add(delay),
            None => delay,
        })
    }

    /// Returns the delay after an open connection has ended, or `None` if this end has closed it.
    ///
    /// The delay is from 5 to 30 seconds after code 1012 (service restart), and near the longest after 1013
    /// (try again later). `open` is the time for which the connection was open: after a minute, delays are
    /// short again.
    pub fn after_close(&mut self, end: &Closed, open: Duration, random: u64) -> Option<Duration> {
        // Whether or not the peer has answered. This end also ends what breaks the protocol, or is silent.
        let closed =
            matches!(end.cause, Cause::Timeout(Timeout::Close) | Cause::EndOfStream | Cause::System(_));
        if end.by == Initiator::Local && (end.is_clean() || closed) {
            return None;
        }
        if open >= STABLE {
            self.failures = 0;
        }
        let delay = self.next(random);
        Some(match end.code {
            CloseCode::SERVICE_RESTART => between(RESTART.0, RESTART.1, random),
            CloseCode::TRY_AGAIN_LATER => between(self.longest / 2, self.longest, random),
            _ => delay,
        })
    }

    fn next(&mut self, random: u64) -> Duration {
        let most = self.first.saturating_mul(2u32.saturating_pow(self.failures)).min(self.longest);
        self.failures = self.failures.saturating_add(1);
        between(most / 2, most, random)
    }
}

/// One second, doubled up to a minute.
impl Default for Reconnect {
    fn default() -> Self {
        Self::new(Duration::from_secs(1), Duration::from_secs(60))
    }
}

/// Returns a duration in a range, as far in as `random` is in its own.
fn between(least: Duration, most: Duration, random: u64) -> Duration {
    let range = most.saturating_sub(least).as_nanos();
    let part = range.saturating_mul(u128::from(random)) / u128::from(u64::MAX);
    let nanos = u64::try_from(part).unwrap_or(u64::MAX);
    least.saturating_add(Duration::from_nanos(nanos)).min(most)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::SystemError;
    use crate::stream::OpeningError;

    const MIN: Duration = Duration::from_millis(500);

    fn closed(code: CloseCode, by: Initiator) -> Closed {
        Closed { code, by, cause: Cause::Handshake }
    }

    #[test]
    fn delays_double_up_to_the_longest_and_are_random() {
        let mut reconnect = Reconnect::default();
        let lows: Vec<_> = (0..40)
            .map(|_| {
                let low = reconnect.clone().after_error(&ConnectError::Timeout, 0).unwrap();
                let high = reconnect.after_error(&ConnectError::Timeout, u64::MAX).unwrap();
                assert_eq!(low * 2, high);
                low
            })
            .collect();
        assert_eq!(lows[..4], [MIN, MIN * 2, MIN * 4, MIN * 8]);
        assert_eq!(lows[39], Duration::from_secs(30));
    }

    #[test]
    fn a_long_connection_makes_delays_short_again() {
        let mut reconnect = Reconnect::default();
        for _ in 0..5 {
            reconnect.after_error(&ConnectError::Timeout, 0);
        }
        let end = closed(CloseCode::GOING_AWAY, Initiator::Peer);
        assert_eq!(reconnect.clone().after_close(&end, Duration::from_secs(59), 0), Some(MIN * 32));
        assert_eq!(reconnect.after_close(&end, STABLE, 0), Some(MIN));
    }

    #[test]
    fn a_restart_and_an_overload_have_delays_of_their_own() {
        let mut reconnect = Reconnect::default();
        let restart = closed(CloseCode::SERVICE_RESTART, Initiator::Peer);
        assert_eq!(reconnect.after_close(&restart, STABLE, 0), Some(RESTART.0));
        assert_eq!(reconnect.after_close(&restart, STABLE, u64::MAX), Some(RESTART.1));
        let overload = closed(CloseCode::TRY_AGAIN_LATER, Initiator::Peer);
        assert_eq!(reconnect.after_close(&overload, STABLE, 0), Some(Duration::from_secs(30)));
    }

    #[test]
    fn a_close_of_this_end_is_final() {
        let end = closed(CloseCode::NORMAL, Initiator::Local);
        assert_eq!(Reconnect::default().after_close(&end, STABLE, 0), None);
        // Also if the peer does not answer the Close frame. An idle connection is made again.
        let unanswered = Closed { cause: Cause::Timeout(Timeout::Close), ..end };
        assert_eq!(Reconnect::default().after_close(&unanswered, STABLE, 0), None);
        // Or ends the stream instead, or resets it.
        for cause in [Cause::EndOfStream, Cause::System(SystemError::from_errno(104))] {
            let end = Closed::abnormal(Initiator::Local, cause);
            assert_eq!(Reconnect::default().after_close(&end, STABLE, 0), None);
            let end = Closed::abnormal(Initiator::Transport, cause);
            assert!(Reconnect::default().after_close(&end, STABLE, 0).is_some());
        }
        let idle = Closed { cause: Cause::Timeout(Timeout::Idle), ..end };
        assert!(Reconnect::default().after_close(&idle, STABLE, 0).is_some());
    }

    #[test]
    fn retry_after_is_the_least() {
        let error = OpeningError::Response(crate::handshake::ResponseFault::Refused { status: 503, used: 0 });
        let error = ConnectError::Opening { error, retry_after: Some(Duration::from_secs(120)) };
        assert_eq!(Reconnect::default().after_error(&error, 0), Some(Duration::from_secs(120) + MIN));
    }
}
