//! What time does to a connection. It comes in as an argument; nothing here reads a clock.
#![forbid(unsafe_code)]

use super::close::Closing;
use super::millis::Stamp;
use super::{Cause, Connection, Deadline, End, Endpoint, Event, Output};
use crate::frame::CloseCode;

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
    /// `None` for never. It changes with every call that receives, sends or closes, but only closing, and
    /// compressing with takeover, bring it forward: where a timer runs already, and the connection is
    /// open as before, it is enough to ask again when it has run out (what is to be parked then waits
    /// until that). Where it is not known since when a deadline counts, as no call has told a time, it is
    /// `now`: it counts from the call that is then made.
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

    /// After how much silence to look whether a ping is due. Where one was sent, the peer may answer it
    /// before anybody asks again, so then every so many milliseconds: no later than the next can be due.
    fn ping_after(&self, ping: u32, now: u64) -> u32 {
        if !self.pinged {
            return ping;
        }
        let (ping, age) = (ping.max(1), self.stamp.map_or(0, |stamp| stamp.age(now)));
        (age / ping).saturating_add(1).max(2).saturating_mul(ping)
    }

    /// Until when the last unsent bytes of a connection that is over wait for a peer to take them.
    pub(crate) fn linger_deadline(&self, now: u64) -> Option<u64> {
        Some(deadline_after(self.stamp, self.config().deadlines.close?, now))
    }

    /// Whether the last unsent bytes of a connection that is over have waited long enough.
    pub(crate) fn linger_is_due(&self, output: &Output) -> bool {
        let due = |now| self.linger_deadline(now).is_some_and(|at| at <= now);
        self.stamp.is_some() && output.now().is_some_and(due)
    }

    /// Whether something is due.
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
        // However late this call is, a peer is first asked where that comes first.
        let asks_first = ping.is_some_and(|ping| deadlines.silence.is_some_and(|silence| ping < silence));
        match self.closing {
            Closing::Open if due(deadlines.silence) && !asks_first => {
                Some(self.over(End::abnormal(Endpoint::Local, Cause::Deadline(Deadline::Silence))))
            }
            Closing::Open if due(ping) => {
                self.pinged = true;
                // It has what is between the two to answer, from now.
                self.stamp = output.now().map(|now| Stamp::at(now.saturating_sub(ping.map_or(0, u64::from))));
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

/// So many milliseconds after the stamp, at the earliest `now`. Where there is none, `now`: a caller who
/// asks anew each round would else be told of a deadline that moves on with it.
fn deadline_after(stamp: Option<Stamp>, after: u32, now: u64) -> u64 {
    stamp.map_or(now, |stamp| now.saturating_add(u64::from(after.saturating_sub(stamp.age(now)))))
}

/// What only a stream knows: whether it listens, and since when its transport took nothing.
impl Connection {
    /// The peer was not listened to: its silence begins now.
    pub(crate) fn excuse_silence(&mut self, output: &Output) {
        if matches!(self.closing, Closing::Open) {
            self.stamp = output.now().map(Stamp::at);
        }
    }

    /// The connection is paused and receives nothing, but its peer took bytes at `taken`: its silence counts
    /// from then, or from the last byte that it sent if that came later.
    pub(crate) fn excuse_silence_since(&mut self, taken: Option<Stamp>, output: &Output) {
        let age = |stamp: Option<Stamp>| Some(stamp?.age(output.now()?));
        if matches!(self.closing, Closing::Open) && age(taken) < age(self.stamp) {
            self.stamp = taken;
        }
    }

    /// When bytes that are unsent since then, without progress, want something done.
    pub(crate) fn unsent_deadline(&self, since: Option<Stamp>, now: u64) -> Option<u64> {
        match self.closing {
            Closing::Open => Some(deadline_after(since, self.config().deadlines.unsent?, now)),
            // Their own deadline counts.
            Closing::CloseSent(_) | Closing::Finished(_) => None,
            Closing::Over(_) => self.linger_deadline(now),
        }
    }

    /// Closes a connection whose peer has taken nothing for too long.
    pub(crate) fn on_unsent_deadline(&mut self, since: Option<Stamp>, output: &mut Output) {
        let due = |now| self.unsent_deadline(since, now).is_some_and(|at| at <= now);
        if self.closing == Closing::Open && output.now().is_some_and(due) {
            self.fail(CloseCode::POLICY_VIOLATION, Cause::Deadline(Deadline::Unsent), output);
        }
    }
}
