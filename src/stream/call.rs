//! One call on a stream: borrows the connection and the scratch, and leaves both clean on every way
//! out, a caller's error or panic included.
#![forbid(unsafe_code)]

use super::spill::Spill;
use super::transport_state::{Errno, Incoming, TransportState};
use super::{Interest, Outgoing, Ready};
use crate::protocol::{Event, Input, Stamp, Status, UnreadBytes};
use crate::transport::{Received, recv_checked};
use std::io;

/// A payload of which so much has come, and as much is missing, is received straight into its message.
const DIRECT_RECEIVE: usize = 32 << 10;

/// Replies are gathered up to so many bytes before they are sent in the middle of a call.
const GATHER: usize = 64 << 10;

/// Why a call stopped half-way.
pub(super) enum Stopped<E> {
    System(io::Error),
    Handler(E),
}

/// See the module.
pub(super) struct Call<'a> {
    /// The transport, the connection and the output, as the handler sees them.
    pub(super) out: Outgoing<'a>,
    pub(super) input: &'a mut Input,
    pub(super) kept: Kept<'a>,
}

/// What a stream keeps beside its transport and its connection, and how far the call is with it.
pub(super) struct Kept<'a> {
    pub(super) state: &'a mut TransportState,
    pub(super) spill: &'a mut Option<Box<Spill>>,
    /// The connection's own unread bytes lie in the input, and the scratch's buffer in the spill.
    pub(super) own_unread: bool,
}

/// What is left of a call's budget.
struct Budget {
    bytes: usize,
    events: usize,
    /// Something may be there to be received.
    more: bool,
    /// So many gathered bytes are sent in the middle of the call.
    gather: usize,
}

#[cfg(feature = "deflate")]
impl Budget {
    /// What was inflated is work, too.
    #[inline]
    fn count_inflated(&mut self, bytes: usize) {
        if bytes > 0 {
            self.bytes = self.bytes.saturating_sub(bytes);
            self.events = if self.bytes == 0 { 0 } else { self.events };
        }
    }
}

/// What one receiving brought.
enum Refill {
    /// Bytes, or the stream's end.
    Received,
    /// Nothing more now.
    Drained,
    /// There may be more, but the budget is used up.
    Spent,
}

impl Drop for Call<'_> {
    #[inline]
    fn drop(&mut self) {
        if self.kept.spill.is_some() || !self.input.is_clean() || !self.out.output.is_clean() {
            self.stow();
        }
    }
}

impl<'a> Call<'a> {
    /// Takes what the connection kept.
    #[inline]
    pub(super) fn begin(&mut self) {
        let Kept { state, spill, .. } = &self.kept;
        if spill.is_some() || state.ended() || state.broken.is_some() {
            self.unpack();
        }
    }

    #[cold]
    fn unpack(&mut self) {
        let Kept { state, spill, own_unread } = &mut self.kept;
        if let Some(spill) = spill {
            let pong = spill.unsent.pong.take();
            self.out.output.begin(spill.unsent.len(), pong);
            if !spill.unread.as_bytes().is_empty() {
                self.input.swap_bytes(&mut spill.unread);
                *own_unread = true;
            }
        }
        if state.ended() && state.broken.is_none() {
            self.input.end_of_stream();
        }
        // Until the end is told, each call fails as the one did in which the transport failed.
        if let Some(errno) = state.broken
            && self.out.connection.goes_on()
        {
            self.out.failed = Some(match errno.get() {
                0 => io::ErrorKind::NotConnected.into(),
                errno => io::Error::from_raw_os_error(errno),
            });
        }
    }

    /// Gives the connection what it has to keep, and leaves the scratch clean.
    #[cold]
    fn stow(&mut self) {
        self.kept.restore(self.input);
        let Kept { state, spill, .. } = &mut self.kept;
        let unread = self.input.unread();
        if !unread.is_empty() {
            let unread = UnreadBytes::new(unread);
            spill.get_or_insert_default().unread = unread;
        }
        self.input.reset();
        let output = &mut *self.out.output;
        let pong = output.take_pong();
        if state.broken.is_none() && (!output.as_bytes().is_empty() || pong.is_some()) {
            let unsent = &mut spill.get_or_insert_default().unsent;
            if unsent.is_empty() {
                unsent.since = output.now().map(Stamp::at);
            }
            let bound = self.out.connection.config().limits.unsent_bound();
            match unsent.is_empty().then(|| output.take_bytes(bound)).flatten() {
                Some((bytes, sent)) => unsent.take(bytes, sent),
                None => unsent.push(output.as_bytes(), bound),
            }
            unsent.pong = pong;
        }
        output.begin(0, None);
        output.shrink();
        if spill.as_ref().is_some_and(|spill| spill.is_empty()) {
            **spill = None;
        }
    }

    /// Everything a readiness asks for, in one call.
    #[inline]
    pub(super) fn run<E>(
        &mut self,
        ready: Ready,
        mut handler: impl FnMut(Event<'_>, &mut Outgoing<'a>) -> Result<(), E>,
    ) -> Result<Interest, Stopped<E>> {
        self.begin();
        if ready.writable && self.out.needs_flush() {
            self.flush();
        }
        let mut result = self.receive(ready, &mut handler);
        if let Ok(again) = result
            && self.out.failed.is_none()
            && let Some(end) = self.on_deadline()
        {
            result = handler(end, &mut self.out).map(|()| again);
        }
        self.flush_unblocked();
        let mut again = result.map_err(Stopped::Handler)?;
        if self.kept.state.paused {
            again = !self.is_too_full();
        }
        // What arrived before the transport failed is told before the end.
        if !again && (self.out.failed.is_some() || self.kept.state.broken.is_some()) {
            again = self.broken(&mut handler)?;
        }
        Ok(self.conclude(again))
    }

    /// Does what is due by now; an end that is due is told.
    #[inline]
    fn on_deadline(&mut self) -> Option<Event<'static>> {
        if self.kept.spill.is_some() {
            self.on_unsent_deadline();
        }
        let end = self.out.connection.on_deadline(self.out.output)?;
        // Whoever was waited for until now is not waited for to take the rest.
        self.abandon();
        Some(end)
    }

    /// The same for what is unsent.
    #[cold]
    fn on_unsent_deadline(&mut self) {
        if self.kept.state.paused {
            self.out.connection.excuse_silence(self.out.output);
        }
        if let Some(spill) = self.kept.spill
            && !spill.unsent.is_empty()
        {
            spill.unsent.since = spill.unsent.since.or(self.out.output.now().map(Stamp::at));
            self.out.connection.on_unsent_deadline(spill.unsent.since, self.out.output);
            let is_over = matches!(self.out.connection.status(), Status::Over(_));
            if is_over && self.out.connection.linger_is_due(self.out.output) {
                self.abandon();
            }
        }
    }

    /// Whether nothing may be received because too much is unsent.
    fn is_too_full(&self) -> bool {
        let pause = self.out.connection.config().limits.pause_reading;
        pause.is_some_and(|pause| self.out.output.len() > pause)
            && self.out.connection.status() == Status::Open
    }

    /// Stops receiving where too much is unsent. Once less is, it goes on to the end of what has
    /// arrived: the poller has told it and may not tell it again.
    #[inline]
    fn pause(&mut self) -> bool {
        self.out.connection.config().limits.pause_reading.is_some() && self.pause_if_too_full()
    }

    #[cold]
    fn pause_if_too_full(&mut self) -> bool {
        self.kept.state.paused = self.is_too_full();
        if self.kept.state.paused {
            self.kept.state.receive_to_the_end();
        }
        self.kept.state.paused
    }

    /// Nothing goes out any more, and what is unsent is given up.
    #[cold]
    fn abandon(&mut self) {
        self.kept.state.broken.get_or_insert(Errno::NONE);
        self.give_up();
    }

    /// Tells the end of a connection whose transport failed, behind all that the peer had said. Tells
    /// whether there is more of that.
    #[cold]
    fn broken<E>(
        &mut self,
        handler: &mut impl FnMut(Event<'_>, &mut Outgoing<'a>) -> Result<(), E>,
    ) -> Result<bool, Stopped<E>> {
        let more = self.receive_last(handler);
        self.give_up();
        if more.map_err(Stopped::Handler)? {
            return Ok(true);
        }
        let failed = self.out.failed.take();
        // After the closing handshake, or a fault, a peer that is gone is no news.
        let news = self.out.connection.goes_on();
        let errno = self.kept.state.broken.map_or(0, Errno::get);
        if let Some(end) = self.out.connection.transport_failed(errno) {
            handler(end, &mut self.out).map_err(Stopped::Handler)?;
        }
        match failed {
            Some(error) if news => Err(Stopped::System(error)),
            _ => Ok(false),
        }
    }

    /// What arrived before the transport failed is still received: where only sending fails, the
    /// peer's last messages may be there, and its Close frame.
    #[cold]
    fn receive_last<E>(
        &mut self,
        handler: &mut impl FnMut(Event<'_>, &mut Outgoing<'a>) -> Result<(), E>,
    ) -> Result<bool, E> {
        let mut budget = self.budget(Ready::ALL);
        while self.out.connection.goes_on() {
            if let Some(event) = self.out.connection.receive_rest(self.input, self.out.output) {
                handler(event, &mut self.out)?;
                if self.is_spent(&mut budget) {
                    return Ok(true);
                }
                continue;
            }
            match self.refill(&mut budget) {
                Refill::Received => {}
                Refill::Drained => break,
                Refill::Spent => return Ok(true),
            }
        }
        Ok(false)
    }

    /// Receives and hands out events until nothing is left, or the call's budget is. Tells whether
    /// to go on at once.
    #[inline]
    fn receive<E>(
        &mut self,
        ready: Ready,
        handler: &mut impl FnMut(Event<'_>, &mut Outgoing<'a>) -> Result<(), E>,
    ) -> Result<bool, E> {
        let mut budget = self.budget(ready);
        if self.pause() {
            return Ok(false);
        }
        loop {
            // What almost all of it is: messages that lie whole in the input.
            while let Some(message) = self.out.connection.receive_whole(self.input, self.out.output) {
                handler(Event::Message(message), &mut self.out)?;
                if self.is_spent(&mut budget) {
                    return Ok(true);
                }
            }
            if let Some(event) = self.out.connection.receive_rest(self.input, self.out.output) {
                handler(event, &mut self.out)?;
                if self.is_spent(&mut budget) {
                    return Ok(true);
                }
                continue;
            }
            if !budget.more {
                return Ok(false);
            }
            match self.refill(&mut budget) {
                Refill::Received => {}
                Refill::Drained => return Ok(false),
                Refill::Spent => return Ok(true),
            }
        }
    }

    #[inline]
    fn budget(&mut self, ready: Ready) -> Budget {
        let limits = &self.out.connection.config().limits;
        if ready.closed {
            self.kept.state.receive_to_the_end();
        }
        // A deadline alone does not say that nothing has arrived.
        let more = ready.readable
            || self.kept.state.incoming == Incoming::ToTheEnd
            || self.out.transport.holds_input()
            || self.out.connection.is_due(self.out.output);
        let gather = match limits.pause_reading {
            None => GATHER,
            Some(pause) => GATHER.min(pause.saturating_sub(self.out.output.len()).max(1)),
        };
        Budget { bytes: limits.call_bytes.max(1), events: limits.call_events.max(1), more, gather }
    }

    /// Receives once, all of whose input is used.
    fn refill(&mut self, budget: &mut Budget) -> Refill {
        let failed = self.out.failed.is_some() || self.kept.state.broken.is_some();
        if self.kept.state.ended() || (failed && !self.out.connection.goes_on()) {
            return Refill::Drained;
        }
        if budget.bytes == 0 {
            return Refill::Spent;
        }
        self.kept.restore(self.input);
        let (received, room) = self.receive_once(budget.bytes);
        let state = &mut *self.kept.state;
        match received {
            Ok(Received::Bytes(n)) => {
                self.out.connection.heard(self.out.output.now());
                budget.bytes = budget.bytes.saturating_sub(n);
                // A short read has drained the socket, except of its end.
                budget.more =
                    n == room || state.incoming == Incoming::ToTheEnd || self.out.transport.holds_input();
                Refill::Received
            }
            Ok(Received::WouldBlock) => {
                state.incoming = Incoming::Announced;
                Refill::Drained
            }
            Ok(Received::End) => {
                state.incoming = Incoming::Ended;
                // The failure is the end to be told.
                if failed {
                    return Refill::Drained;
                }
                self.input.end_of_stream();
                Refill::Received
            }
            Err(error) => {
                state.incoming = Incoming::Ended;
                self.out.failed.get_or_insert(error);
                Refill::Drained
            }
        }
    }

    /// The rest of a large payload goes straight into its message, everything else into the scratch.
    /// At most `most` bytes; gives what came, and how much room there was for it.
    #[inline]
    fn receive_once(&mut self, most: usize) -> (io::Result<Received>, usize) {
        if let Some(room) = self.out.connection.direct_room(DIRECT_RECEIVE, self.input) {
            let len = room.len().min(most);
            let received = recv_checked(self.out.transport, &mut room[..len]);
            if let Ok(Received::Bytes(n)) = received {
                self.out.connection.direct_filled(n, self.out.output);
            }
            return (received, len);
        }
        let room = self.input.spare();
        let len = room.len().min(most);
        let received = recv_checked(self.out.transport, &mut room[..len]);
        if let Ok(Received::Bytes(n)) = received {
            self.input.filled(n);
        }
        (received, len)
    }

    /// After each event: sends what was gathered, where it is much, and counts. Tells whether the call
    /// stops here.
    #[inline(always)]
    fn is_spent(&mut self, budget: &mut Budget) -> bool {
        if self.out.output.gathered() >= budget.gather {
            self.flush_unblocked();
            if self.pause() {
                return true;
            }
        }
        budget.events = budget.events.saturating_sub(1);
        #[cfg(feature = "deflate")]
        budget.count_inflated(self.input.take_inflated());
        budget.events == 0 && (budget.more || !self.input.unread().is_empty())
    }
}

impl Kept<'_> {
    /// The connection's own unread bytes, used or not, go back to it, and the scratch's buffer to the
    /// scratch.
    #[inline]
    fn restore(&mut self, input: &mut Input) {
        if self.own_unread
            && let Some(spill) = self.spill
        {
            self.own_unread = false;
            input.swap_bytes(&mut spill.unread);
            if spill.unread.as_bytes().is_empty() {
                spill.unread = UnreadBytes::default();
            }
        }
    }
}
