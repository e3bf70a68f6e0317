//! One call, from what is ready to what is wanted: the loop around the handler.
#![forbid(unsafe_code)]

use super::call::Call;
use super::course::{Budget, Course, Refill, Step};
use super::sending::flush_gathered;
use super::{Interest, Outgoing, Ready, WebSocketStream};
use crate::protocol::Event;
use crate::transport::NonBlockingTransport;
use std::{io, mem};

/// Why a call stopped half-way.
pub(super) enum Stopped<E> {
    System(io::Error),
    Handler(E),
}

/// What became of the input.
enum Handed<E> {
    /// All of it is used, and the connection is quiet again.
    Clean,
    /// All of it is used, as far as it can be.
    All,
    /// Some is; it is time to look at the budget.
    Some,
    /// The handler refused an event.
    Refused(E),
}

impl<T: NonBlockingTransport> Call<'_, T> {
    /// Everything a readiness asks for, in one call.
    ///
    /// Almost every call is an ordinary one: to a quiet stream some whole messages have come, and what
    /// answers them is taken. It goes straight through; any other goes step by step.
    #[inline]
    pub(super) fn run<E>(
        mut self,
        ready: Ready,
        mut handler: impl FnMut(Event<'_>, &mut Outgoing<'_>) -> Result<(), E>,
    ) -> Result<Interest, Stopped<E>> {
        // None of an ordinary call.
        let mut course = None;
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
            course.get_or_insert_with(Course::new).spent = self.pause();
        }
        loop {
            if hands_out {
                match self.hand_out(&mut budget, &mut course, &mut handler) {
                    Handed::Clean if course.is_none() && !budget.more && self.finish_ordinary() => {
                        // It leaves nothing: there is nothing to look for on the way out.
                        mem::forget(self);
                        return Ok(Interest::TO_RECEIVE);
                    }
                    Handed::Refused(error) => {
                        self.refused(budget);
                        return Err(Stopped::Handler(error));
                    }
                    handed => {
                        let course = course.get_or_insert_with(Course::new);
                        course.used_up = !matches!(handed, Handed::Some);
                        course.spent = self.is_spent(budget);
                    }
                }
            }
            // A copy, so that the budget itself need not be in memory.
            let mut left = budget;
            let step = self.step(course.get_or_insert_with(Course::new), &mut left);
            budget = left;
            match step {
                Step::HandOut => hands_out = true,
                Step::Done(interest) => return Ok(interest),
                Step::Failed(error) => return Err(Stopped::System(error)),
            }
        }
    }

    /// Whether the connection is open, and nothing is unfinished in either direction.
    #[inline(always)]
    fn is_quiet(&self) -> bool {
        let WebSocketStream { connection, state, spill, .. } = &*self.stream;
        spill.is_none() & state.is_plain() & connection.is_quiet()
    }

    /// Sends what the messages were answered with, and tells whether the call leaves nothing, in the
    /// scratch or in the stream. What was heard just now leaves no deadline to be looked at either.
    #[inline(always)]
    fn finish_ordinary(&mut self) -> bool {
        let Self { stream, scratch, failed, .. } = self;
        flush_gathered(&mut stream.transport, &mut scratch.output, failed)
            && scratch.output.is_clean()
            && !stream.transport.wants_write()
    }

    /// Gives the handler what the input has, and the end that was told, if any, until that is used up
    /// or it is time to look at the budget.
    ///
    /// The handler is called in one place, so that it is compiled into the loop.
    #[inline(always)]
    fn hand_out<E>(
        &mut self,
        budget: &mut Budget,
        course: &mut Option<Course>,
        handler: &mut impl FnMut(Event<'_>, &mut Outgoing<'_>) -> Result<(), E>,
    ) -> Handed<E> {
        let (input, mut out) = self.split();
        // Beside the budget, so that it need not be in memory.
        let mut given = budget.given;
        let handed = loop {
            // What almost all of it is: messages that lie whole in the input.
            let event = if let Some(message) =
                out.connection.receive_whole(input, out.output, out.terms.whole_bound)
            {
                Event::Message(message)
            } else if let Some(event) = out.connection.receive_rest(input, out.output) {
                event
            } else if let Some(end) = course.as_mut().and_then(|course| course.told.take()) {
                Event::End(end)
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
            if input.is_clean() && out.connection.is_quiet() {
                break Handed::Clean;
            }
            if out.output.gathered() >= budget.gather || given >= budget.events {
                break Handed::Some;
            }
        };
        budget.given = given;
        handed
    }
}
