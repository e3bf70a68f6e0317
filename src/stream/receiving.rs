//! The receiving half of a call: bytes from the transport, and when not to take any.
#![forbid(unsafe_code)]

use super::call::Call;
use super::course::{Budget, Refill};
use super::transport_state::Incoming;
use crate::protocol::Status;
use crate::transport::{NonBlockingTransport, Received, recv_checked};
use std::io;

/// A payload of which so much has come, and as much is missing, is received straight into its message.
const DIRECT_RECEIVE: usize = 32 << 10;

impl<T: NonBlockingTransport> Call<'_, T> {
    /// Receives once, where all of the input is used.
    pub(super) fn refill(&mut self, budget: &mut Budget) -> Refill {
        let failed = self.has_failed();
        if self.stream.state.ended() || (failed && !self.stream.connection.goes_on()) {
            return Refill::Drained;
        }
        if budget.bytes == 0 {
            return Refill::Spent;
        }
        self.restore();
        if let Some(room) = self.stream.connection.direct_room(DIRECT_RECEIVE, &mut self.scratch.input) {
            let len = room.len().min(budget.bytes);
            let received = recv_checked(&mut self.stream.transport, &mut room[..len]);
            if let Ok(Received::Bytes(n)) = received {
                self.stream.connection.direct_filled(n, &mut self.scratch.output);
            }
            return self.received(received, len, budget);
        }
        self.refill_scratch(budget)
    }

    /// The same into the scratch, as everything but the rest of a large payload, which goes straight
    /// into its message.
    #[inline(always)]
    pub(super) fn refill_scratch(&mut self, budget: &mut Budget) -> Refill {
        let (room, start, end) = self.scratch.input.spare_and_end();
        let len = room.len().min(budget.bytes);
        let received = recv_checked(&mut self.stream.transport, &mut room[..len]);
        if let Ok(Received::Bytes(n)) = received {
            *end = start + n;
        }
        self.received(received, len, budget)
    }

    /// What follows from what a call gave, that had `room` for so many bytes.
    #[inline(always)]
    fn received(&mut self, received: io::Result<Received>, room: usize, budget: &mut Budget) -> Refill {
        let Ok(Received::Bytes(n)) = received else { return self.received_none(received) };
        self.stream.connection.heard(self.scratch.output.now());
        budget.bytes -= n;
        // A short read has drained the socket, except of its end.
        budget.more = n == room
            || self.stream.state.incoming == Incoming::ToTheEnd
            || self.stream.transport.holds_input();
        Refill::Received
    }

    #[cold]
    fn received_none(&mut self, received: io::Result<Received>) -> Refill {
        let failed = self.has_failed();
        let incoming = &mut self.stream.state.incoming;
        match received {
            Ok(Received::Bytes(_) | Received::WouldBlock) => *incoming = Incoming::Announced,
            Ok(Received::End) => {
                *incoming = Incoming::Ended;
                // The failure is the end to be told.
                if !failed {
                    self.scratch.input.end_of_stream();
                    return Refill::Received;
                }
            }
            Err(error) => {
                *incoming = Incoming::Ended;
                self.failed.get_or_insert(error);
            }
        }
        Refill::Drained
    }

    /// Whether nothing may be received because too much is unsent.
    fn is_too_full(&self) -> bool {
        let pause = self.scratch.terms.pause(self.stream.connection.role());
        pause.is_some_and(|pause| self.scratch.output.len() > pause)
            && self.stream.connection.status() == Status::Open
    }

    /// Stops receiving where too much is unsent. Once less is, it goes on to the end of what has
    /// arrived: the poller has told it and may not tell it again.
    #[inline]
    pub(super) fn pause(&mut self) -> bool {
        self.scratch.terms.pause(self.stream.connection.role()).is_some() && self.pause_if_too_full()
    }

    /// The same where it may be that it stopped before: whether it stops now.
    #[cold]
    pub(super) fn pause_if_too_full(&mut self) -> bool {
        let paused = self.is_too_full();
        let state = &mut self.stream.state;
        if paused {
            state.receive_to_the_end();
        } else if state.paused {
            // Nobody listened to the peer until now.
            self.stream.connection.excuse_silence(&self.scratch.output);
        }
        state.paused = paused;
        paused
    }
}
