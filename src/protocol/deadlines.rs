//! What time does to a connection. It comes in as an argument; nothing here reads a clock.
#![forbid(unsafe_code)]

use super::closing::Closing;
use super::{Cause, Connection, Deadline, End, Endpoint, Event, Output};

/// A connection's one time: that of the last sign of life while it is open, that of the first Close
/// frame afterwards. In milliseconds, modulo 2^32 (49 days; deadlines are shorter).
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Stamp(u32);

impl Stamp {
    #[inline]
    #[expect(clippy::cast_possible_truncation, reason = "a stamp is modulo 2^32")]
    pub(super) fn at(now: u64) -> Self {
        Self(now as u32)
    }

    #[cfg(feature = "std")]
    pub(super) fn time(self) -> u64 {
        u64::from(self.0)
    }

    /// Milliseconds from the stamp to `now`.
    fn age(self, now: u64) -> u32 {
        Self::at(now).0.wrapping_sub(self.0)
    }
}

impl Connection {
    /// Something arrived: the peer lives.
    #[inline]
    pub(super) fn heard(&mut self, now: u64) {
        if matches!(self.closing, Closing::Open) {
            self.stamp = Stamp::at(now);
            self.pinged = false;
        }
    }

    pub(super) fn begin_close_deadline(&mut self, now: u64) {
        self.stamp = Stamp::at(now);
    }

    /// When [`on_deadline`](Self::on_deadline) next wants to be called, in the caller's milliseconds;
    /// `None` for never. Changes with every call that receives, sends or closes.
    pub fn next_deadline(&self, now: u64) -> Option<u64> {
        let age = self.stamp.age(now);
        let deadlines = &self.config().deadlines;
        let after = match self.closing {
            Closing::Over(_) => None,
            Closing::CloseSent(_) | Closing::Finished(_) => deadlines.close,
            Closing::Open => {
                let ping = deadlines.ping.filter(|_| !self.pinged);
                [ping, deadlines.silence].into_iter().flatten().min()
            }
        }?;
        Some(now + u64::from(after.saturating_sub(age)))
    }

    /// Does what is due: sends a ping after a silence, ends a connection whose peer was silent for too
    /// long or does not finish closing. The time is the output's, see [`Output::set_now`].
    pub fn on_deadline(&mut self, output: &mut Output) -> Option<Event<'static>> {
        let age = self.stamp.age(output.now());
        let due = |deadline: Option<u32>| deadline.is_some_and(|deadline| age >= deadline);
        let deadlines = &self.config().deadlines;
        match self.closing {
            Closing::Open if due(deadlines.silence) => {
                Some(self.over(End::abnormal(Endpoint::Local, Cause::Deadline(Deadline::Silence))))
            }
            Closing::Open if due(deadlines.ping) && !self.pinged => {
                self.pinged = true;
                // A full output is a reason not to ping, not to end: the peer's silence decides.
                let _ = self.ping(b"", output);
                None
            }
            Closing::CloseSent(_) if due(deadlines.close) => {
                Some(self.over(End::abnormal(Endpoint::Local, Cause::Deadline(Deadline::Close))))
            }
            // The handshake was made, or the fault was told: only the peer's end of stream is missing.
            Closing::Finished(end) if due(deadlines.close) => Some(self.over(end)),
            _ => None,
        }
    }
}
