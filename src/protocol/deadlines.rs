//! What time does to a connection. It comes in as an argument; nothing here reads a clock.
#![forbid(unsafe_code)]

use super::closing::Closing;
use super::{Cause, Connection, Deadline, End, Endpoint, Event, Output};
use core::num::NonZeroU32;

/// A connection's one time: that of the last sign of life while it is open, that of the first Close
/// frame afterwards. In milliseconds, modulo 2^32 (49 days; deadlines are shorter).
///
/// Where it is not known, because the call in which that happened was told no time or none was made
/// yet, it is that of the next call that is told one.
#[derive(Debug, Clone, Copy)]
pub(super) struct Stamp(NonZeroU32);

impl Stamp {
    #[inline]
    #[expect(clippy::cast_possible_truncation, reason = "a stamp is modulo 2^32")]
    fn at(now: u64) -> Self {
        // 0 counts as 1, so that an optional stamp takes no more room.
        Self(NonZeroU32::new(now as u32).unwrap_or(NonZeroU32::MIN))
    }

    /// Milliseconds from the stamp to `now`.
    fn age(self, now: u64) -> u32 {
        Self::at(now).0.get().wrapping_sub(self.0.get())
    }
}

impl Connection {
    /// Something arrived: the peer lives.
    #[inline]
    pub(crate) fn heard(&mut self, now: Option<u64>) {
        if matches!(self.closing, Closing::Open) {
            self.stamp = now.map(Stamp::at);
            self.pinged = false;
        }
    }

    pub(super) fn begin_close_deadline(&mut self, now: Option<u64>) {
        self.stamp = now.map(Stamp::at);
    }

    /// When [`on_deadline`](Self::on_deadline) next wants to be called, in the caller's milliseconds;
    /// `None` for never. Changes with every call that receives, sends or closes.
    pub fn next_deadline(&self, now: u64) -> Option<u64> {
        let deadlines = &self.config().deadlines;
        let after = match self.closing {
            Closing::Over(_) => None,
            Closing::CloseSent(_) | Closing::Finished(_) => deadlines.close,
            Closing::Open => {
                let ping = deadlines.ping.filter(|_| !self.pinged);
                [ping, deadlines.silence].into_iter().flatten().min()
            }
        };
        self.deadline_after(after?, now)
    }

    /// Until when the last unsent bytes of a connection that is over wait for a peer to take them.
    #[cfg(feature = "std")]
    pub(crate) fn linger_deadline(&self, now: u64) -> Option<u64> {
        self.deadline_after(self.config().deadlines.close?, now)
    }

    fn deadline_after(&self, after: u32, now: u64) -> Option<u64> {
        let age = self.stamp.map_or(0, |stamp| stamp.age(now));
        Some(now.saturating_add(u64::from(after.saturating_sub(age))))
    }

    /// Whether the last unsent bytes of a connection that is over have waited long enough.
    #[cfg(feature = "std")]
    pub(crate) fn linger_is_due(&self, output: &Output) -> bool {
        output.now().is_some_and(|now| self.linger_deadline(now).is_some_and(|at| at <= now))
    }

    /// Whether something is due.
    #[cfg(feature = "std")]
    pub(crate) fn is_due(&self, output: &Output) -> bool {
        output.now().is_some_and(|now| self.next_deadline(now).is_some_and(|at| at <= now))
    }

    /// Does what is due: sends a ping after a silence, ends a connection whose peer was silent for too
    /// long or does not finish closing. The time is the output's, see [`Output::set_now`].
    ///
    /// Receive first what has arrived: it is a sign of life, however late it is looked at.
    #[inline]
    pub fn on_deadline(&mut self, output: &mut Output) -> Option<Event<'static>> {
        let now = output.now()?;
        let stamp = *self.stamp.get_or_insert(Stamp::at(now));
        let deadlines = &self.config().deadlines;
        if self.closing == Closing::Open && deadlines.silence.is_none() && deadlines.ping.is_none() {
            return None;
        }
        self.do_what_is_due(stamp.age(now), output)
    }

    #[inline(never)]
    fn do_what_is_due(&mut self, age: u32, output: &mut Output) -> Option<Event<'static>> {
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
