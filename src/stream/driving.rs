//! The order of a call: receive and hand out events, do what is due, send, and tell what is wanted.
#![forbid(unsafe_code)]

use super::call::Call;
use super::transport_state::{Errno, Incoming};
use super::{Interest, Outgoing, Ready};
use crate::protocol::Event;
use crate::transport::NonBlockingTransport;
use std::io;

/// Replies are gathered up to so many bytes before they are sent in the middle of a call.
const GATHER: usize = 64 << 10;

/// Why a call stopped half-way.
pub(super) enum Stopped<E> {
    System(io::Error),
    Handler(E),
}

/// What is left of a call's budget.
pub(super) struct Budget {
    pub(super) bytes: usize,
    /// So many events may be given, and were.
    events: usize,
    given: usize,
    /// Something may be there to be received.
    pub(super) more: bool,
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
pub(super) enum Refill {
    /// Bytes, or the stream's end.
    Received,
    /// Nothing more now.
    Drained,
    /// There may be more, but the budget is used up.
    Spent,
}

/// What became of the input.
enum Handed<E> {
    /// All of it is used.
    All,
    /// Some is; it is time to look at the budget.
    Some,
    /// The handler refused an event.
    Refused(E),
}

/// How far a call is.
enum Stage {
    /// Receives and hands out events until nothing is left, or the budget is.
    Receiving,
    /// Has done what was due, and sends what all this made.
    Sending { again: bool },
    /// The transport has failed. What arrived before that is still received: where only sending
    /// fails, the peer's last messages may be there, and its Close frame.
    Failed,
    /// The end was told, and then the error is.
    Over(Option<io::Error>),
}

/// What comes at the end of a [`Stage`].
enum Next {
    /// Further input.
    Input,
    /// An end.
    Event(Event<'static>),
    /// Nothing is left to do now, or there is, in the next call.
    Done { again: bool },
    /// The transport failed, and its end was told.
    Failed(io::Error),
}

impl<T: NonBlockingTransport> Call<'_, T> {
    /// Gives the handler what the input has, and the end that was told, if any, until that is used up
    /// or it is time to look at the budget.
    ///
    /// The handler is called in one place, so that it is compiled into the loop.
    #[inline(always)]
    fn hand_out<E>(
        &mut self,
        budget: &mut Budget,
        told: &mut Option<Event<'static>>,
        handler: &mut impl FnMut(Event<'_>, &mut Outgoing<'_>) -> Result<(), E>,
    ) -> Handed<E> {
        let most = self.stream.connection.config().limits.whole_message();
        let (input, mut out) = self.split();
        // Beside the budget, so that it need not be in memory.
        let mut given = budget.given;
        let handed = loop {
            // What almost all of it is: messages that lie whole in the input.
            let event = if let Some(message) = out.connection.receive_whole(input, out.output, most) {
                Event::Message(message)
            } else if let Some(event) = out.connection.receive_rest(input, out.output) {
                event
            } else if let Some(end) = told.take() {
                end
            } else {
                // Also of a message that is not finished.
                #[cfg(feature = "deflate")]
                budget.count_inflated(input.take_inflated());
                break Handed::All;
            };
            if let Err(error) = handler(event, &mut out) {
                break Handed::Refused(error);
            }
            given += 1;
            #[cfg(feature = "deflate")]
            budget.count_inflated(input.take_inflated());
            if out.output.gathered() >= budget.gather || given >= budget.events {
                break Handed::Some;
            }
        };
        budget.given = given;
        handed
    }

    /// Everything a readiness asks for, in one call.
    #[inline]
    pub(super) fn run<E>(
        &mut self,
        ready: Ready,
        mut handler: impl FnMut(Event<'_>, &mut Outgoing<'_>) -> Result<(), E>,
    ) -> Result<Interest, Stopped<E>> {
        if ready.writable && self.needs_flush() {
            self.flush();
        }
        let (mut stage, mut budget) = (Stage::Receiving, self.budget(ready));
        let mut spent = self.pause();
        let mut told = None;
        loop {
            if told.is_some() || !spent && self.holds_input() {
                match self.hand_out(&mut budget, &mut told, &mut handler) {
                    Handed::All => {}
                    Handed::Some => {
                        spent = self.is_spent(&budget);
                        continue;
                    }
                    Handed::Refused(error) => {
                        if budget.more {
                            self.stream.state.receive_to_the_end();
                        }
                        self.flush_unblocked();
                        return Err(Stopped::Handler(error));
                    }
                }
            }
            if !spent && budget.more {
                match self.refill(&mut budget) {
                    Refill::Received => continue,
                    Refill::Drained => {}
                    Refill::Spent => spent = true,
                }
            }
            match self.next_stage(&mut stage, &mut budget, spent) {
                Next::Input => spent = false,
                Next::Event(end) => told = Some(end),
                Next::Done { again } => return Ok(self.conclude(again)),
                Next::Failed(error) => return Err(Stopped::System(error)),
            }
        }
    }

    /// Whether something was received that is not handed out: bytes, an end, or what has just become
    /// whole.
    #[inline]
    fn holds_input(&self) -> bool {
        !self.scratch.input.is_clean() || self.stream.connection.is_receiving()
    }

    /// What comes when nothing is to be received any more.
    #[inline]
    fn next_stage(&mut self, stage: &mut Stage, budget: &mut Budget, spent: bool) -> Next {
        if let Stage::Receiving = stage {
            *stage = Stage::Sending { again: spent };
            if spent && budget.more {
                self.stream.state.receive_to_the_end();
            }
            budget.more = false;
            if self.failed.is_none()
                && let Some(end) = self.on_deadline()
            {
                return Next::Event(end);
            }
        }
        if let Stage::Sending { mut again } = *stage {
            self.flush_at_end();
            if self.stream.state.paused {
                again = !self.pause_if_too_full();
            }
            if again || !self.has_failed() {
                return Next::Done { again };
            }
        }
        self.fail(stage, budget, spent)
    }

    /// The same, where the transport failed.
    #[cold]
    fn fail(&mut self, stage: &mut Stage, budget: &mut Budget, spent: bool) -> Next {
        match stage {
            Stage::Receiving | Stage::Sending { .. } => {
                *stage = Stage::Failed;
                *budget = self.budget(Ready::ALL);
                return Next::Input;
            }
            Stage::Failed => {
                self.give_up();
                if spent {
                    return Next::Done { again: true };
                }
                // After the closing handshake, or a fault, a peer that is gone is no news.
                let news = self.stream.connection.goes_on();
                *stage = Stage::Over(self.failed.take().filter(|_| news));
                budget.more = false;
                let errno = self.stream.state.broken.map_or(0, Errno::get);
                if let Some(end) = self.stream.connection.transport_failed(errno) {
                    return Next::Event(end);
                }
            }
            Stage::Over(_) => {}
        }
        match std::mem::replace(stage, Stage::Over(None)) {
            Stage::Over(Some(error)) => Next::Failed(error),
            _ => Next::Done { again: false },
        }
    }

    #[inline]
    fn budget(&mut self, ready: Ready) -> Budget {
        let limits = &self.stream.connection.config().limits;
        if ready.closed {
            self.stream.state.receive_to_the_end();
        }
        // A deadline alone does not say that nothing has arrived.
        let more = ready.readable
            || self.stream.state.incoming == Incoming::ToTheEnd
            || self.stream.transport.holds_input()
            || self.stream.connection.is_due(&self.scratch.output);
        let gather = match limits.pause_reading {
            None => GATHER,
            Some(pause) => GATHER.min(pause.saturating_sub(self.scratch.output.len()).max(1)),
        };
        Budget { bytes: limits.call_bytes.max(1), events: limits.call_events.max(1), given: 0, more, gather }
    }

    /// Sends what was gathered, where it is much. Tells whether the call stops here.
    #[inline(never)]
    fn is_spent(&mut self, budget: &Budget) -> bool {
        if self.scratch.output.gathered() >= budget.gather {
            self.flush_unblocked();
            if self.pause() {
                return true;
            }
        }
        budget.given >= budget.events && (budget.more || !self.scratch.input.unread().is_empty())
    }
}
