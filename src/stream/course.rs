//! How far a call is, and its next step: to receive, to hand out, to do what is due, to send, and to
//! tell what is wanted.
#![forbid(unsafe_code)]

use super::call::Call;
use super::terms::Terms;
use super::transport_state::Incoming;
use super::{Interest, Ready};
use crate::protocol::{End, Event, SystemError};
use crate::transport::NonBlockingTransport;
use std::io;

/// How far a call is.
pub(super) struct Course {
    /// The budget is used up, or too much is unsent.
    pub(super) spent: bool,
    /// What was received is handed out, as far as it can be.
    pub(super) used_up: bool,
    /// An end that is to be handed out.
    pub(super) told: Option<End>,
    stage: Stage,
}

impl Course {
    #[inline(always)]
    pub(super) fn new() -> Self {
        Self { spent: false, used_up: false, told: None, stage: Stage::Receiving }
    }
}

/// What the loop around the handler does next.
pub(super) enum Step {
    /// Hands out.
    HandOut,
    /// Nothing more in this call.
    Done(Interest),
    /// The transport failed, and its end was told.
    Failed(io::Error),
}

/// What is left of a call's budget.
#[derive(Clone, Copy)]
pub(super) struct Budget {
    pub(super) bytes: usize,
    /// So many events may be given, and were.
    pub(super) events: usize,
    pub(super) given: usize,
    /// Something may be there to be received.
    pub(super) more: bool,
    /// So many gathered bytes are sent in the middle of the call.
    pub(super) gather: usize,
}

#[cfg(feature = "deflate")]
impl Budget {
    /// What was inflated is work, too.
    #[inline]
    pub(super) fn count_inflated(&mut self, bytes: usize) {
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

/// Where a call is.
enum Stage {
    /// Receives and hands out events until nothing is left, or the budget is.
    Receiving,
    /// Has done what was due, and sends what all this made.
    Sending { again: bool },
    /// The transport has failed. What arrived before that is still received: where only sending
    /// fails, the peer's last messages may be there, and its Close frame.
    Failed,
    /// The end was told, and then the error is, where it is news.
    Over { news: bool },
}

/// What comes at the end of a [`Stage`].
enum Next {
    /// Further input.
    Input,
    /// An end.
    Told(End),
    /// Nothing is left to do now, or there is, in the next call.
    Done { again: bool },
    /// The transport failed, and its end was told.
    Failed(io::Error),
}

impl<T: NonBlockingTransport> Call<'_, T> {
    /// The next step of a call that is not an ordinary one.
    #[inline(never)]
    pub(super) fn step(&mut self, course: &mut Course, budget: &mut Budget) -> Step {
        loop {
            let Course { spent, used_up, told, .. } = course;
            if told.is_some() || !*spent && !*used_up && self.holds_input() {
                return Step::HandOut;
            }
            if !*spent && budget.more {
                match self.refill(budget) {
                    Refill::Received => {
                        *used_up = false;
                        continue;
                    }
                    Refill::Drained => {}
                    Refill::Spent => *spent = true,
                }
            }
            match self.next_stage(course, budget) {
                Next::Input => course.spent = false,
                Next::Told(end) => course.told = Some(end),
                Next::Done { again } => return Step::Done(self.conclude(again)),
                Next::Failed(error) => return Step::Failed(error),
            }
        }
    }

    /// Begins with what the stream kept, and sends of it what waits for that, which makes room.
    #[cold]
    pub(super) fn resume(&mut self, ready: Ready) {
        self.unpack();
        // What has failed, or is shut, may be writable for ever and not be announced so.
        if (ready.writable || ready.closed) && self.needs_flush() {
            self.flush();
        }
    }

    /// A handler's error ends the call at once.
    #[cold]
    pub(super) fn refused(&mut self, budget: Budget) {
        if budget.more {
            self.stream.state.receive_to_the_end();
        }
        self.flush_unblocked();
    }

    /// Whether something was received that is not handed out: bytes, an end, or what has just become
    /// whole.
    #[inline]
    fn holds_input(&self) -> bool {
        !self.scratch.input.is_clean() || self.stream.connection.is_receiving()
    }

    /// What comes when nothing is to be received any more.
    #[inline]
    fn next_stage(&mut self, course: &mut Course, budget: &mut Budget) -> Next {
        let Course { stage, spent, .. } = course;
        let spent = *spent;
        if let Stage::Receiving = stage {
            *stage = Stage::Sending { again: spent };
            if spent && budget.more {
                self.stream.state.receive_to_the_end();
            }
            budget.more = false;
            if self.failed.is_none()
                && let Some(end) = self.on_deadline()
            {
                return Next::Told(end);
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
                *budget = self.budget_beside_unsent(Ready::ALL);
                return Next::Input;
            }
            Stage::Failed => {
                self.give_up();
                if spent {
                    return Next::Done { again: true };
                }
                // After the closing handshake, or a fault, a peer that is gone is no news.
                let news = self.stream.connection.goes_on();
                *stage = Stage::Over { news };
                budget.more = false;
                let error = self.failed.as_ref().map_or(SystemError::from_errno(0), SystemError::from);
                if let Some(Event::End(end)) = self.stream.connection.transport_failed(error) {
                    return Next::Told(end);
                }
            }
            Stage::Over { .. } => {}
        }
        match self.failed.take() {
            Some(error) if matches!(stage, Stage::Over { news: true }) => Next::Failed(error),
            _ => Next::Done { again: false },
        }
    }

    #[inline(always)]
    pub(super) fn budget(&mut self, ready: Ready) -> Budget {
        if ready.closed {
            self.stream.state.receive_to_the_end();
        }
        // A deadline alone does not say that nothing has arrived.
        let more = ready.readable
            || self.stream.state.incoming == Incoming::ToTheEnd
            || self.stream.transport.holds_input()
            || self.stream.connection.is_due(&self.scratch.output);
        let Terms { bytes, events, gather, .. } = self.scratch.terms;
        Budget { bytes, events, given: 0, more, gather }
    }

    /// The budget of a call on a stream of which bytes may be unsent: they count towards the bytes above
    /// which it pauses.
    #[cold]
    pub(super) fn budget_beside_unsent(&mut self, ready: Ready) -> Budget {
        let budget = self.budget(ready);
        let pause = self.scratch.terms.pause(self.stream.connection.role());
        let room = pause.map_or(usize::MAX, |pause| pause.saturating_sub(self.scratch.output.len()).max(1));
        Budget { gather: budget.gather.min(room), ..budget }
    }

    /// Sends what was gathered, where it is much. Tells whether the call stops here.
    #[inline(never)]
    pub(super) fn is_spent(&mut self, budget: Budget) -> bool {
        if self.scratch.output.gathered() >= budget.gather {
            self.flush_unblocked();
            if self.pause() {
                return true;
            }
        }
        budget.given >= budget.events && (budget.more || !self.scratch.input.unread().is_empty())
    }
}
