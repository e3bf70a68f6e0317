//! The receiving half of a call: bytes from the transport, and when none are taken.
#![forbid(unsafe_code)]

use super::CallGuard;
use crate::protocol::Status;
use crate::stream::state::Incoming;
use crate::transport::{NonBlockingTransport, Received, recv_checked};
use std::io;

/// The rest of a payload is received straight into its message if this many bytes of it have arrived,
/// and as many are missing.
const DIRECT_RECEIVE: usize = 32 << 10;

/// What is left of a call's budget.
#[derive(Clone, Copy)]
pub(super) struct Budget {
    /// The bytes that may still be received.
    pub(super) bytes: usize,
    /// The events that may be delivered in all.
    pub(super) events: usize,
    /// The events that were delivered.
    pub(super) given: usize,
    /// Whether the transport may hold something to receive.
    pub(super) more: bool,
    /// The gathered bytes that are sent in the middle of the call.
    pub(super) gather: usize,
}

#[cfg(feature = "deflate")]
impl Budget {
    /// Counts inflated bytes like received ones: inflating is work, too.
    #[inline]
    pub(super) fn count_inflated(&mut self, bytes: usize) {
        if bytes > 0 {
            self.bytes = self.bytes.saturating_sub(bytes);
            self.events = if self.bytes == 0 { 0 } else { self.events };
        }
    }
}

/// The outcome of receiving once.
pub(super) enum Refill {
    /// Bytes arrived, or the end of the stream.
    Received,
    /// The transport has nothing more now.
    Drained,
    /// The transport may have more, but the budget is spent.
    Spent,
}

impl<T: NonBlockingTransport> CallGuard<'_, T> {
    /// Receives once, after all of the input has been used.
    pub(super) fn refill(&mut self, budget: &mut Budget) -> Refill {
        let failed = self.has_failed();
        if self.stream.ended() || (failed && !self.stream.connection.goes_on()) {
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

    /// Receives once into the scratch: everything but the rest of a large payload.
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

    /// Evaluates the result of a system call that had space for `room` bytes.
    #[inline(always)]
    fn received(&mut self, received: io::Result<Received>, room: usize, budget: &mut Budget) -> Refill {
        let Ok(Received::Bytes(n)) = received else { return self.received_none(received) };
        self.stream.connection.heard(self.scratch.output.now());
        budget.bytes -= n;
        // A short read has drained the socket, except for the end of the stream.
        budget.more =
            n == room || self.stream.incoming == Incoming::ToTheEnd || self.stream.transport.holds_input();
        Refill::Received
    }

    #[cold]
    fn received_none(&mut self, received: io::Result<Received>) -> Refill {
        let failed = self.has_failed();
        let incoming = &mut self.stream.incoming;
        match received {
            Ok(Received::Bytes(_) | Received::WouldBlock) => *incoming = Incoming::Announced,
            Ok(Received::End) => {
                *incoming = Incoming::Ended;
                // If the transport has failed, the failure is the end that is reported.
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

    /// Whether nothing may be received because too many bytes are unsent.
    fn is_too_full(&self) -> bool {
        let pause = self.scratch.limits.pause(self.stream.connection.role());
        pause.is_some_and(|pause| self.scratch.output.len() > pause)
            && self.stream.connection.status() == Status::Open
    }

    /// Stops receiving if too many bytes are unsent, and reports whether it has. Once fewer are unsent,
    /// the stream receives until nothing is left: the poller may not announce again what has arrived.
    #[inline]
    pub(super) fn pause(&mut self) -> bool {
        self.scratch.limits.pause(self.stream.connection.role()).is_some() && self.pause_if_too_full()
    }

    /// Pauses or resumes a stream that may be paused already, and reports whether it is paused now.
    #[cold]
    pub(super) fn pause_if_too_full(&mut self) -> bool {
        let paused = self.is_too_full();
        if paused {
            self.stream.receive_to_the_end();
        } else if self.stream.paused {
            // Nothing of the peer was received while the stream was paused.
            self.stream.connection.excuse_silence(&self.scratch.output);
        }
        self.stream.paused = paused;
        paused
    }
}
