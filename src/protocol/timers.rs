//! The timeouts of a connection. The time is an argument: nothing here reads a clock.
#![forbid(unsafe_code)]

use super::close::Closing;
use super::millis32::Millis32;
use super::{Cause, Closed, Connection, Event, Initiator, Output, Timeout};
use crate::config::{Timeouts, millis};
use crate::frame::CloseCode;

impl Connection {
    /// Records that bytes arrived, so the peer is alive.
    #[inline]
    pub(crate) fn on_bytes_received(&mut self, now: Option<u64>) {
        if matches!(self.closing, Closing::Open) {
            self.timer_start = now.map(Millis32::at);
            self.pinged = false;
        }
    }

    /// Restarts the timeouts: they count from the next call that has a time.
    ///
    /// For a connection that continues with another clock, whose times mean nothing here.
    pub fn restart_timeouts(&mut self) {
        self.timer_start = None;
        self.pinged = false;
        self.kept_windows.forget_time();
    }

    pub(super) fn start_close_timer(&mut self, now: Option<u64>) {
        self.timer_start = now.map(Millis32::at);
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
        let timeouts = &self.config().timeouts;
        let after = match self.closing {
            Closing::Closed(_) => None,
            Closing::CloseSent(_) | Closing::Draining(_) => millis(timeouts.close),
            Closing::Open => {
                let ping = millis(timeouts.ping_interval).map(|ping| self.ping_after(ping, now));
                [ping, millis(timeouts.idle)].into_iter().flatten().min()
            }
        };
        let deadline = after.map(|after| deadline_after(self.timer_start, after, now));
        [deadline, self.send_window_deadline(now)].into_iter().flatten().min()
    }

    /// Returns the milliseconds of silence after which to check whether a ping is due.
    ///
    /// After a ping, this is the next multiple of `ping`. The next ping is due `ping` milliseconds after the
    /// peer's answer, so it is never due before this check, and a running timer need not be changed.
    fn ping_after(&self, ping: u32, now: u64) -> u32 {
        if !self.pinged {
            return ping;
        }
        let (ping, age) = (ping.max(1), self.timer_start.map_or(0, |start| start.age(now)));
        (age / ping).saturating_add(1).max(2).saturating_mul(ping)
    }

    /// Returns when to discard the last unsent bytes of a closed connection.
    pub(crate) fn linger_deadline(&self, now: u64) -> Option<u64> {
        Some(deadline_after(self.timer_start, millis(self.config().timeouts.close)?, now))
    }

    /// Returns whether to discard the last unsent bytes of a closed connection.
    pub(crate) fn linger_is_due(&self, output: &Output) -> bool {
        let due = |now| self.linger_deadline(now).is_some_and(|at| at <= now);
        self.timer_start.is_some() && output.now().is_some_and(due)
    }

    /// Returns whether a deadline has passed.
    pub(crate) fn is_due(&self, output: &Output) -> bool {
        output.now().is_some_and(|now| self.next_deadline(now).is_some_and(|at| at <= now))
    }

    /// Acts on the timeouts that have passed.
    ///
    /// Sends a ping after a silence. Ends the connection if the peer was silent for too long or did not
    /// finish closing in time. The time is the output's; see [`Output::set_now`].
    ///
    /// Receive what has arrived first: received bytes end the silence, however late they are read.
    #[inline]
    pub fn on_deadline(&mut self, output: &mut Output) -> Option<Event<'static>> {
        let now = output.now()?;
        let start = *self.timer_start.get_or_insert(Millis32::at(now));
        self.drop_send_window_if_due(now);
        let timeouts = &self.config().timeouts;
        if self.closing == Closing::Open && timeouts.idle.is_none() && timeouts.ping_interval.is_none() {
            return None;
        }
        self.handle_expired(start.age(now), output)
    }

    #[inline(never)]
    fn handle_expired(&mut self, age: u32, output: &mut Output) -> Option<Event<'static>> {
        let due = |deadline: Option<u32>| deadline.is_some_and(|deadline| age >= deadline);
        let Timeouts { ping_interval, idle, close, .. } = self.config().timeouts;
        let (idle, close) = (millis(idle), millis(close));
        let ping = millis(ping_interval).filter(|_| !self.pinged);
        // If the ping interval is shorter, a ping is always sent first, even if this call is late.
        let asks_first = ping.is_some_and(|ping| idle.is_some_and(|idle| ping < idle));
        match self.closing {
            Closing::Open if due(idle) && !asks_first => {
                Some(self.end_with(Closed::abnormal(Initiator::Local, Cause::Timeout(Timeout::Idle))))
            }
            Closing::Open if due(ping) => {
                self.pinged = true;
                // From now on, the peer has the time between the two timeouts to answer.
                self.timer_start =
                    output.now().map(|now| Millis32::at(now.saturating_sub(ping.map_or(0, u64::from))));
                // If the output is full, no ping is sent, and the peer's silence still decides.
                let _ = self.ping(b"", output);
                None
            }
            Closing::CloseSent(_) if due(close) => {
                Some(self.end_with(Closed::abnormal(Initiator::Local, Cause::Timeout(Timeout::Close))))
            }
            // The handshake is complete or the fault was reported: only the end of the peer's stream is
            // missing.
            Closing::Draining(end) if due(close) => Some(self.end_with(end)),
            _ => None,
        }
    }
}

/// Returns the time `after` milliseconds after `start`, but not before `now`.
///
/// Without a start, returns `now`: a deadline of `now + after` would be postponed each time the caller asks.
fn deadline_after(start: Option<Millis32>, after: u32, now: u64) -> u64 {
    start.map_or(now, |start| now.saturating_add(u64::from(after.saturating_sub(start.age(now)))))
}

/// For streams, which can pause reading, and which detect that their transport takes no bytes.
impl Connection {
    /// Restarts the peer's silence, because the stream did not read until now.
    pub(crate) fn restart_idle_timer(&mut self, output: &Output) {
        if matches!(self.closing, Closing::Open) {
            self.timer_start = output.now().map(Millis32::at);
        }
    }

    /// Counts the silence of a peer that took bytes at `taken`, while reading is paused.
    ///
    /// The silence counts from `taken`, or from the peer's last byte if that arrived later.
    pub(crate) fn restart_idle_timer_at(&mut self, taken: Option<Millis32>, output: &Output) {
        let age = |start: Option<Millis32>| Some(start?.age(output.now()?));
        if matches!(self.closing, Closing::Open) && age(taken) < age(self.timer_start) {
            self.timer_start = taken;
        }
    }

    /// Gives up a closing handshake that is late. The end follows in the next call.
    pub(crate) fn stop_closing_in_time(&mut self, output: &Output) {
        let (Closing::CloseSent(_), Some(now)) = (self.closing, output.now()) else { return };
        let start = *self.timer_start.get_or_insert(Millis32::at(now));
        if self.is_late_to_end(start, output) {
            self.finish(Closed::abnormal(Initiator::Local, Cause::Timeout(Timeout::Close)));
        }
    }

    /// Returns whether the time for closing has passed since then.
    pub(crate) fn is_late_to_end(&self, since: Millis32, output: &Output) -> bool {
        let close = millis(self.config().timeouts.close);
        output.now().is_some_and(|now| close.is_some_and(|close| since.age(now) >= close))
    }

    /// Returns when to act on unsent bytes, of which the peer has taken none since `since`.
    pub(crate) fn unsent_deadline(&self, since: Option<Millis32>, now: u64) -> Option<u64> {
        match self.closing {
            Closing::Open => Some(deadline_after(since, millis(self.config().timeouts.write)?, now)),
            // The close deadline applies instead.
            Closing::CloseSent(_) | Closing::Draining(_) => None,
            Closing::Closed(_) => self.linger_deadline(now),
        }
    }

    /// Returns whether to act on them now.
    pub(crate) fn unsent_is_due(&self, since: Option<Millis32>, output: &Output) -> bool {
        output.now().is_some_and(|now| self.unsent_deadline(since, now).is_some_and(|at| at <= now))
    }

    /// Closes the connection if the peer has taken no bytes for too long.
    pub(crate) fn on_unsent_deadline(&mut self, since: Option<Millis32>, output: &mut Output) {
        if self.closing == Closing::Open && self.unsent_is_due(since, output) {
            self.fail(CloseCode::POLICY_VIOLATION, Cause::Timeout(Timeout::Write), output);
        }
    }
}
