//! The loop around the handler, and the phases of a call that is not ordinary.
//!
//! ```text
//! ordinary call:   refill_scratch -> hand_out -> finish_ordinary
//! any other call:  resume -> step -> hand_out -> step -> .. -> conclude
//!
//! phases of step:  Receiving -> Sending -> done
//!                      |           |
//!                      +-----------+--> Failed -> Finished -> done
//! ```
#![forbid(unsafe_code)]

use super::receive::{Budget, Refill};
use super::{CallGuard, Stopped};
use crate::protocol::{Closed, Event, SystemError};
use crate::stream::outgoing::flush_gathered;
use crate::stream::scratch::CallLimits;
use crate::stream::state::{Incoming, StreamState};
use crate::stream::{Outgoing, Ready, Wants};
use crate::transport::NonBlockingTransport;
use std::{io, mem};

/// The state of a call that is not ordinary.
struct CallState {
    /// The budget is spent, or too many bytes are unsent.
    spent: bool,
    /// All received bytes were delivered, except for the start of a frame.
    used_up: bool,
    /// Sending the unsent bytes was tried.
    tried: bool,
    /// An end that was not delivered yet.
    pending_end: Option<Closed>,
    phase: Phase,
}

/// The phase of a call.
enum Phase {
    /// Receives and delivers events, until nothing is left or the budget is spent.
    Receiving,
    /// Handles deadlines and sends everything. `again` asks for another call.
    Sending { again: bool },
    /// Receives the bytes that arrived before the transport failed. If only sending fails, they may include
    /// the peer's last messages and its Close frame.
    Failed,
    /// Finishes the call after the end was delivered. If `report`, the call returns the I/O error.
    Finished { report: bool },
}

/// What [`run`](CallGuard::run) does after a step.
enum Action {
    HandOut,
    Return(Wants),
    /// The transport failed, and the end was delivered.
    Fail(io::Error),
}

/// How much of the input was delivered.
enum HandedOut<E> {
    /// All of the input, and the connection is quiet again.
    Clean,
    /// All of the input, except for the start of a frame.
    All,
    /// Some of the input; the budget must be checked.
    Some,
    /// The input up to an event for which the handler returned an error.
    HandlerFailed(E),
    /// The input up to what ends the connection.
    Held,
}

/// Whether what ends the connection is left to the next call. A type, so that calls that never hold it have
/// no code for it.
pub(in crate::stream) trait Hold {
    /// Returns whether it is left, after this number of events.
    fn holds(&self, delivered: usize) -> bool;
}

/// It is never left.
pub(in crate::stream) struct Never;

/// It is left after this number of events.
pub(in crate::stream) struct After(pub(in crate::stream) usize);

impl Hold for Never {
    #[inline(always)]
    fn holds(&self, _: usize) -> bool {
        false
    }
}

impl Hold for After {
    #[inline(always)]
    fn holds(&self, delivered: usize) -> bool {
        delivered >= self.0
    }
}

impl CallState {
    #[inline(always)]
    fn new() -> Self {
        Self { spent: false, used_up: false, tried: true, pending_end: None, phase: Phase::Receiving }
    }
}

/// The loop around the handler.
impl<T: NonBlockingTransport> CallGuard<'_, T> {
    /// Does all the work for a readiness, in one call.
    ///
    /// Almost every call is ordinary: the stream is quiet, some whole messages arrive, and the transport
    /// takes the replies. Such a call needs no state; any other call goes through [`step`](Self::step).
    ///
    /// Returns `None` after an ordinary call: the stream wants [`Wants::READ`], as before, and no deadline is
    /// earlier than before.
    ///
    /// What ends the connection may be left to the next call; see [`Hold`].
    #[inline]
    pub(in crate::stream) fn run<E>(
        mut self,
        ready: Ready,
        hold: impl Hold,
        mut handler: impl FnMut(Event<'_>, &mut Outgoing<'_>) -> Result<(), E>,
    ) -> Result<Option<Wants>, Stopped<E>> {
        // An ordinary call needs no state.
        let mut state = None;
        let mut budget;
        let mut hands_out = false;
        if ready.readable && self.is_quiet() {
            budget = self.budget(ready);
            match self.refill_scratch(&mut budget) {
                Refill::Received => hands_out = true,
                Refill::Drained | Refill::Spent => budget.more = false,
            }
        } else {
            self.resume(ready);
            budget = self.budget_beside_unsent(ready);
            let state = state.get_or_insert_with(CallState::new);
            state.tried = ready.writable || ready.closed;
            state.spent = self.pause();
        }
        loop {
            if hands_out {
                match self.hand_out(&mut budget, &hold, &mut state, &mut handler) {
                    HandedOut::Clean if state.is_none() && !budget.more && self.finish_ordinary() => {
                        // Nothing is left to keep or to clean, so the guard need not be dropped.
                        mem::forget(self);
                        return Ok(None);
                    }
                    HandedOut::HandlerFailed(error) => {
                        self.stop_for_handler(budget, state.as_ref());
                        return Err(Stopped::Handler(error));
                    }
                    HandedOut::Held => return Ok(Some(self.stop_before_end(budget, state.as_ref()))),
                    handed_out => {
                        let state = state.get_or_insert_with(CallState::new);
                        state.used_up = !matches!(handed_out, HandedOut::Some);
                        state.spent = self.is_spent(budget);
                    }
                }
            }
            // A copy, so that the budget itself can stay in registers.
            let mut left = budget;
            let action = self.step(state.get_or_insert_with(CallState::new), &mut left);
            budget = left;
            match action {
                Action::HandOut => hands_out = true,
                Action::Return(wants) => return Ok(Some(wants)),
                Action::Fail(error) => return Err(Stopped::System(error)),
            }
        }
    }

    /// Returns whether the connection is open, and nothing is unfinished in either direction.
    #[inline(always)]
    fn is_quiet(&self) -> bool {
        let StreamState { connection, backlog, .. } = &*self.stream;
        backlog.is_none() & self.stream.is_undisturbed() & connection.is_quiet()
    }

    /// Sends the replies, and returns whether nothing is left in the scratch or in the stream. No deadline
    /// can be due, because bytes have just been received.
    #[inline(always)]
    fn finish_ordinary(&mut self) -> bool {
        let Self { stream, scratch, failed, .. } = self;
        flush_gathered(&mut stream.transport, &mut scratch.output, failed)
            && scratch.output.is_clean()
            && !stream.transport.wants_write()
    }

    /// Delivers the input and a pending end, until both are used up or the budget must be checked.
    ///
    /// The handler is called in only one place, so that the compiler can inline it into the loop.
    #[inline(always)]
    fn hand_out<E>(
        &mut self,
        budget: &mut Budget,
        hold: &impl Hold,
        state: &mut Option<CallState>,
        handler: &mut impl FnMut(Event<'_>, &mut Outgoing<'_>) -> Result<(), E>,
    ) -> HandedOut<E> {
        let (input, mut out) = self.split();
        // A local variable instead of a field of the budget, so that it can stay in a register.
        let mut delivered = budget.delivered;
        let handed_out = loop {
            // Almost always a message that is complete in the input.
            let event = if let Some(message) =
                out.connection.receive_whole(input, out.output, out.limits.whole_bound)
            {
                Event::Message(message)
            } else if hold.holds(delivered)
                && out.connection.ends_next(input.unread())
                && !out.connection.is_due(out.output)
            {
                break HandedOut::Held;
            } else if let Some(event) = out.connection.receive_rest(input, out.output) {
                event
            } else if let Some(end) = state.as_mut().and_then(|state| state.pending_end.take()) {
                Event::Closed(end)
            } else {
                // Bytes of an unfinished message may have been inflated, too.
                budget.count_inflated(input.take_inflated());
                break HandedOut::All;
            };
            let handled = handler(event, &mut out);
            budget.count_inflated(input.take_inflated());
            if let Err(error) = handled {
                break HandedOut::HandlerFailed(error);
            }
            delivered += 1;
            if input.is_clean() && out.connection.is_quiet() {
                break HandedOut::Clean;
            }
            if out.output.gathered() >= budget.gather || delivered >= budget.events {
                break HandedOut::Some;
            }
        };
        budget.delivered = delivered;
        handed_out
    }

    /// Ends a call after a handler's error. The deadlines do not wait until there is none.
    #[cold]
    fn stop_for_handler(&mut self, budget: Budget, state: Option<&CallState>) {
        self.stop_early(budget, state);
        self.stream.connection.stop_closing_in_time(&self.scratch.output);
    }

    /// Ends a call before all of the input was used.
    fn stop_early(&mut self, budget: Budget, state: Option<&CallState>) {
        if budget.more {
            self.stream.expect_unannounced();
        }
        self.flush_unblocked();
        if !self.has_failed() {
            self.stop_sending_in_time(state.is_some_and(|state| state.tried));
        }
    }
}

/// The end that is left to the next call.
impl<T: NonBlockingTransport> CallGuard<'_, T> {
    #[cold]
    fn stop_before_end(&mut self, budget: Budget, state: Option<&CallState>) -> Wants {
        self.stop_early(budget, state);
        self.conclude(true)
    }
}

/// The budget.
impl<T: NonBlockingTransport> CallGuard<'_, T> {
    #[inline(always)]
    fn budget(&mut self, ready: Ready) -> Budget {
        if ready.closed {
            self.stream.expect_unannounced();
        }
        // Before a deadline is handled, everything that has arrived must be received.
        let more = ready.readable
            || self.stream.incoming == Incoming::Unannounced
            || self.stream.transport.holds_input()
            || self.stream.connection.is_due(&self.scratch.output);
        let CallLimits { bytes, events, gather, .. } = self.scratch.limits;
        Budget { bytes, events, delivered: 0, more, gather }
    }

    /// Returns the budget of a call that may begin with unsent bytes, which count towards the bound above
    /// which the stream pauses reading.
    #[cold]
    fn budget_beside_unsent(&mut self, ready: Ready) -> Budget {
        let budget = self.budget(ready);
        let pause = self.scratch.limits.pause(self.stream.connection.role());
        let room = pause.map_or(usize::MAX, |pause| pause.saturating_sub(self.scratch.output.len()).max(1));
        Budget { gather: budget.gather.min(room), ..budget }
    }

    /// Sends the gathered bytes if there are enough of them, and returns whether the budget is spent.
    #[inline(never)]
    fn is_spent(&mut self, budget: Budget) -> bool {
        if self.scratch.output.gathered() >= budget.gather {
            self.flush_unblocked();
            if self.pause() {
                return true;
            }
        }
        budget.delivered >= budget.events && (budget.more || !self.scratch.input.unread().is_empty())
    }
}

/// The phases of a call that is not ordinary.
impl<T: NonBlockingTransport> CallGuard<'_, T> {
    /// Unpacks the stream's backlog, and sends unsent bytes to make room.
    #[cold]
    fn resume(&mut self, ready: Ready) {
        self.unpack();
        // Some pollers do not announce a failed or shut-down socket as writable.
        if (ready.writable || ready.closed) && self.needs_flush() {
            self.flush();
        }
    }

    /// Continues the call until there is something to deliver, or nothing is left to do.
    #[inline(never)]
    fn step(&mut self, state: &mut CallState, budget: &mut Budget) -> Action {
        loop {
            if state.pending_end.is_some() || !state.spent && !state.used_up && self.has_undelivered_input() {
                return Action::HandOut;
            }
            if !state.spent && budget.more {
                match self.refill(budget) {
                    Refill::Received => {
                        state.used_up = false;
                        continue;
                    }
                    Refill::Drained => {}
                    Refill::Spent => state.spent = true,
                }
            }
            if let Some(action) = self.finish_phase(state, budget) {
                return action;
            }
        }
    }

    /// Returns whether something was received and not delivered: bytes, the end of the stream, or a message
    /// that has just become complete.
    #[inline]
    fn has_undelivered_input(&self) -> bool {
        !self.scratch.input.is_clean() || self.stream.connection.is_receiving()
    }

    /// Continues the call when nothing more can be received. Returns `None` if there is then an end to
    /// deliver, or more to receive.
    #[inline]
    fn finish_phase(&mut self, state: &mut CallState, budget: &mut Budget) -> Option<Action> {
        if let Phase::Receiving = state.phase {
            state.phase = Phase::Sending { again: state.spent };
            if state.spent && budget.more {
                self.stream.expect_unannounced();
            }
            budget.more = false;
            if state.spent && !self.stream.paused {
                // The peer has sent more than this call may use: no silence.
                self.stream.connection.restart_idle_timer(&self.scratch.output);
            }
            if self.failed.is_none()
                && let Some(end) = self.on_deadline(state.tried)
            {
                state.pending_end = Some(end);
                return None;
            }
        }
        if let Phase::Sending { mut again } = state.phase {
            self.flush_at_end();
            if self.stream.paused {
                again = !self.pause_if_too_full();
            }
            if !self.has_failed() || again && !self.is_failure_late() {
                return Some(Action::Return(self.conclude(again)));
            }
        }
        self.fail(state, budget)
    }

    /// Continues the call after the transport has failed.
    #[cold]
    fn fail(&mut self, state: &mut CallState, budget: &mut Budget) -> Option<Action> {
        match state.phase {
            Phase::Receiving | Phase::Sending { .. } => {
                state.phase = Phase::Failed;
                state.spent = false;
                *budget = self.budget_beside_unsent(Ready::UNKNOWN);
                return None;
            }
            Phase::Failed => {
                self.give_up();
                if state.spent && !self.is_failure_late() {
                    return Some(Action::Return(self.conclude(true)));
                }
                // After a closing handshake or a fault, a failed transport is not an error.
                let report = self.stream.connection.can_receive();
                state.phase = Phase::Finished { report };
                budget.more = false;
                let error = self.failed.as_ref().map_or(SystemError::from_errno(0), SystemError::from);
                if let Some(Event::Closed(end)) = self.stream.connection.transport_failed(error) {
                    state.pending_end = Some(end);
                    return None;
                }
            }
            Phase::Finished { .. } => {}
        }
        Some(match self.failed.take() {
            Some(error) if matches!(state.phase, Phase::Finished { report: true }) => Action::Fail(error),
            _ => Action::Return(self.conclude(false)),
        })
    }
}
