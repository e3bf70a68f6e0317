//! The receiving half of a call: bytes from the transport, and when to pause reading.
#![forbid(unsafe_code)]

use super::CallGuard;
use crate::protocol::State;
use crate::stream::state::Incoming;
use crate::transport::{NonBlockingTransport, RecvOutcome, recv_checked};
use std::io;

/// The rest of a payload is received directly into its message if at least this number of the message's bytes
/// has arrived, and at least this number of the payload's bytes is missing.
const DIRECT_RECEIVE: usize = 32 << 10;

/// The bytes of its budget that a call uses up if the transport stops early and holds input.
const STOPPED_EARLY: usize = 64 << 10;

/// The remaining budget of a call.
#[derive(Clone, Copy)]
pub(super) struct Budget {
    /// The number of bytes that may still be received.
    pub(super) bytes: usize,
    /// The number of events that may be delivered in the whole call.
    pub(super) events: usize,
    /// The number of events that were delivered.
    pub(super) delivered: usize,
    /// Whether the transport may have something to receive.
    pub(super) more: bool,
    /// The number of gathered bytes at which they are sent in the middle of the call.
    pub(super) gather: usize,
}

impl Budget {
    /// Counts inflated bytes like received bytes, because inflating is work, too.
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
    /// Receives once, after all input was used.
    pub(super) fn refill(&mut self, budget: &mut Budget) -> Refill {
        let failed = self.has_failed();
        if self.stream.ended() || (failed && !self.stream.connection.can_receive()) {
            return Refill::Drained;
        }
        if budget.bytes == 0 {
            return Refill::Spent;
        }
        self.restore();
        let before = budget.bytes;
        let refill = self.refill_directly(budget).unwrap_or_else(|| self.refill_scratch(budget));
        if failed && let Some(backlog) = &mut self.stream.backlog {
            backlog.after_failure = backlog.after_failure.saturating_add(before - budget.bytes);
        }
        refill
    }

    /// Receives once, into the message itself, if much of it is missing.
    fn refill_directly(&mut self, budget: &mut Budget) -> Option<Refill> {
        let room = self.stream.connection.direct_room(DIRECT_RECEIVE, &mut self.scratch.input)?;
        let len = room.len().min(budget.bytes);
        let received = recv_checked(&mut self.stream.transport, &mut room[..len]);
        if let Ok(RecvOutcome::Bytes(n)) = received {
            self.stream.connection.direct_filled(n, &mut self.scratch.output);
        }
        Some(self.received(received, len, budget))
    }

    /// Receives once, into the scratch.
    #[inline(always)]
    pub(super) fn refill_scratch(&mut self, budget: &mut Budget) -> Refill {
        let (room, start, end) = self.scratch.input.spare_and_end();
        let len = room.len().min(budget.bytes);
        let received = recv_checked(&mut self.stream.transport, &mut room[..len]);
        if let Ok(RecvOutcome::Bytes(n)) = received {
            *end = start + n;
        }
        self.received(received, len, budget)
    }

    /// Handles the result of a system call that had room for `room` bytes.
    #[inline(always)]
    fn received(&mut self, received: io::Result<RecvOutcome>, room: usize, budget: &mut Budget) -> Refill {
        let Ok(RecvOutcome::Bytes(n)) = received else { return self.received_none(received) };
        self.stream.connection.on_bytes_received(self.scratch.output.now());
        budget.bytes -= n;
        let holds = self.stream.transport.holds_input();
        if holds && n < room {
            // It has stopped early, such as TLS after many bytes with little data: that was work, too.
            budget.bytes = budget.bytes.saturating_sub(STOPPED_EARLY);
        }
        // A short read has drained the transport, except for the end of the stream (law 11).
        budget.more = n == room || self.stream.incoming == Incoming::Unannounced || holds;
        Refill::Received
    }

    #[cold]
    fn received_none(&mut self, received: io::Result<RecvOutcome>) -> Refill {
        let failed = self.has_failed();
        let incoming = &mut self.stream.incoming;
        match received {
            Ok(RecvOutcome::Bytes(_) | RecvOutcome::WouldBlock) => *incoming = Incoming::Announced,
            Ok(RecvOutcome::End) => {
                *incoming = Incoming::Ended;
                // If the transport has failed, the failure is reported as the end instead.
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

    /// Returns whether reading must pause because too many bytes are unsent.
    pub(super) fn is_too_full(&self) -> bool {
        let pause = self.scratch.limits.pause(self.stream.connection.role());
        pause.is_some_and(|pause| self.scratch.output.len() > pause)
            && self.stream.connection.state() == State::Open
    }

    /// Pauses reading if too many bytes are unsent, and returns whether it is paused.
    ///
    /// When fewer bytes are unsent, the stream receives until nothing is left, because the poller may not
    /// announce again the bytes that have arrived.
    #[inline]
    pub(super) fn pause(&mut self) -> bool {
        self.scratch.limits.pause(self.stream.connection.role()).is_some() && self.pause_if_too_full()
    }

    /// Pauses or resumes reading, and returns whether it is paused.
    #[cold]
    pub(super) fn pause_if_too_full(&mut self) -> bool {
        let paused = self.is_too_full();
        if paused {
            self.stream.expect_unannounced();
        } else if self.stream.paused {
            // While reading was paused, nothing could be received from the peer.
            self.stream.connection.restart_idle_timer(&self.scratch.output);
        }
        self.stream.paused = paused;
        paused
    }
}
