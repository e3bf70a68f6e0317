//! The deadlines of a connection. The time is an argument: nothing here reads a clock.
#![forbid(unsafe_code)]

use super::close::Closing;
use super::millis::Stamp;
use super::{Cause, Connection, Deadline, End, Endpoint, Event, Output};
use crate::frame::CloseCode;

impl Connection {
    /// Records that bytes arrived, so the peer is alive.
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

    /// Returns when to call [`on_deadline`](Self::on_deadline) next, in the caller's milliseconds.
    ///
    /// `None` means never. Every call that receives, sends or closes can change the deadline. Only closing,
    /// and compressing with context takeover, can make the deadline earlier. So while the connection is open,
    /// a running timer may be left alone: ask again when it fires. (The window for context takeover is then
    /// freed when that timer fires, perhaps late.)
    ///
    /// If no call has had a time since a deadline began, returns `now`, and the deadline counts from the next
    /// call of `on_deadline`.
    pub fn next_deadline(&self, now: u64) -> Option<u64> {
        let deadlines = &self.config().deadlines;
        let after = match self.closing {
            Closing::Over(_) => None,
            Closing::CloseSent(_) | Closing::Finished(_) => deadlines.close,
            Closing::Open => {
                let ping = deadlines.ping.map(|ping| self.ping_after(ping, now));
                [ping, deadlines.silence].into_iter().flatten().min()
            }
        };
        let deadline = after.map(|after| deadline_after(self.stamp, after, now));
        [deadline, self.park_deadline(now)].into_iter().flatten().min()
    }

    /// Returns the milliseconds of silence after which to check whether a ping is due.
    ///
    /// After a ping, this is the next multiple of `ping`. The next ping is due `ping` milliseconds after the
    /// peer's answer, so it is never due before this check, and a running timer need not be changed.
    fn ping_after(&self, ping: u32, now: u64) -> u32 {
        if !self.pinged {
            return ping;
        }
        let (ping, age) = (ping.max(1), self.stamp.map_or(0, |stamp| stamp.age(now)));
        (age / ping).saturating_add(1).max(2).saturating_mul(ping)
    }

    /// Returns when to discard the last unsent bytes of a connection that is over.
    pub(crate) fn linger_deadline(&self, now: u64) -> Option<u64> {
        Some(deadline_after(self.stamp, self.config().deadlines.close?, now))
    }

    /// Returns whether to discard the last unsent bytes of a connection that is over.
    pub(crate) fn linger_is_due(&self, output: &Output) -> bool {
        let due = |now| self.linger_deadline(now).is_some_and(|at| at <= now);
        self.stamp.is_some() && output.now().is_some_and(due)
    }

    /// Returns whether a deadline has passed.
    pub(crate) fn is_due(&self, output: &Output) -> bool {
        output.now().is_some_and(|now| self.next_deadline(now).is_some_and(|at| at <= now))
    }

    /// Acts on the deadlines that have passed.
    ///
    /// Sends a ping after a silence. Ends the connection if the peer was silent for too long or did not
    /// finish closing in time. The time is the output's; see [`Output::set_now`].
    ///
    /// Receive what has arrived first: received bytes end the silence, however late they are read.
    #[inline]
    pub fn on_deadline(&mut self, output: &mut Output) -> Option<Event<'static>> {
        let now = output.now()?;
        let stamp = *self.stamp.get_or_insert(Stamp::at(now));
        self.park_if_due(now);
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
        let ping = deadlines.ping.filter(|_| !self.pinged);
        // If `ping` is shorter, a ping is always sent first, even if this call is late.
        let asks_first = ping.is_some_and(|ping| deadlines.silence.is_some_and(|silence| ping < silence));
        match self.closing {
            Closing::Open if due(deadlines.silence) && !asks_first => {
                Some(self.over(End::abnormal(Endpoint::Local, Cause::Deadline(Deadline::Silence))))
            }
            Closing::Open if due(ping) => {
                self.pinged = true;
                // From now on, the peer has the time between the two deadlines to answer.
                self.stamp = output.now().map(|now| Stamp::at(now.saturating_sub(ping.map_or(0, u64::from))));
                // If the output is full, no ping is sent, and the peer's silence still decides.
                let _ = self.ping(b"", output);
                None
            }
            Closing::CloseSent(_) if due(deadlines.close) => {
                Some(self.over(End::abnormal(Endpoint::Local, Cause::Deadline(Deadline::Close))))
            }
            // The handshake is complete or the fault was reported: only the end of the peer's stream is
            // missing.
            Closing::Finished(end) if due(deadlines.close) => Some(self.over(end)),
            _ => None,
        }
    }
}

/// Returns the time `after` milliseconds after the stamp, but not before `now`.
///
/// Without a stamp, returns `now`: a deadline of `now + after` would be postponed each time the caller asks.
fn deadline_after(stamp: Option<Stamp>, after: u32, now: u64) -> u64 {
    stamp.map_or(now, |stamp| now.saturating_add(u64::from(after.saturating_sub(stamp.age(now)))))
}

/// For streams, which can pause reading, and which detect that their transport takes no bytes.
impl Connection {
    /// Restarts the peer's silence, because the stream did not read until now.
    pub(crate) fn excuse_silence(&mut self, output: &Output) {
        if matches!(self.closing, Closing::Open) {
            self.stamp = output.now().map(Stamp::at);
        }
    }

    /// Counts the silence of a peer that took bytes at `taken`, while reading is paused.
    ///
    /// The silence counts from `taken`, or from the peer's last byte if that arrived later.
    pub(crate) fn excuse_silence_since(&mut self, taken: Option<Stamp>, output: &Output) {
        let age = |stamp: Option<Stamp>| Some(stamp?.age(output.now()?));
        if matches!(self.closing, Closing::Open) && age(taken) < age(self.stamp) {
            self.stamp = taken;
        }
    }

    /// Returns when to act on unsent bytes, of which the peer has taken none since `since`.
    pub(crate) fn unsent_deadline(&self, since: Option<Stamp>, now: u64) -> Option<u64> {
        match self.closing {
            Closing::Open => Some(deadline_after(since, self.config().deadlines.unsent?, now)),
            // The close deadline applies instead.
            Closing::CloseSent(_) | Closing::Finished(_) => None,
            Closing::Over(_) => self.linger_deadline(now),
        }
    }

    /// Closes the connection if the peer has taken no bytes for too long.
    pub(crate) fn on_unsent_deadline(&mut self, since: Option<Stamp>, output: &mut Output) {
        let due = |now| self.unsent_deadline(since, now).is_some_and(|at| at <= now);
        if self.closing == Closing::Open && output.now().is_some_and(due) {
            self.fail(CloseCode::POLICY_VIOLATION, Cause::Deadline(Deadline::Unsent), output);
        }
    }
}
