//! The receiving half of a call: bytes from the transport, and when not to take any.
#![forbid(unsafe_code)]

use super::call::Call;
use super::driving::{Budget, Refill};
use super::transport_state::Incoming;
use crate::protocol::Status;
use crate::transport::{NonBlockingTransport, Received, recv_checked};
use std::io;

/// A payload of which so much has come, and as much is missing, is received straight into its message.
const DIRECT_RECEIVE: usize = 32 << 10;

impl<T: NonBlockingTransport> Call<'_, T> {
    /// Receives once, all of whose input is used.
    pub(super) fn refill(&mut self, budget: &mut Budget) -> Refill {
        let failed = self.has_failed();
        if self.kept.state.ended() || (failed && !self.connection.goes_on()) {
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
                self.connection.heard(self.output.now());
                budget.bytes = budget.bytes.saturating_sub(n);
                // A short read has drained the socket, except of its end.
                budget.more =
                    n == room || state.incoming == Incoming::ToTheEnd || self.transport.holds_input();
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
                self.failed.get_or_insert(error);
                Refill::Drained
            }
        }
    }

    /// The rest of a large payload goes straight into its message, everything else into the scratch.
    /// At most `most` bytes; gives what came, and how much room there was for it.
    #[inline]
    fn receive_once(&mut self, most: usize) -> (io::Result<Received>, usize) {
        if let Some(room) = self.connection.direct_room(DIRECT_RECEIVE, self.input) {
            let len = room.len().min(most);
            let received = recv_checked(self.transport, &mut room[..len]);
            if let Ok(Received::Bytes(n)) = received {
                self.connection.direct_filled(n, self.output);
            }
            return (received, len);
        }
        let room = self.input.spare();
        let len = room.len().min(most);
        let received = recv_checked(self.transport, &mut room[..len]);
        if let Ok(Received::Bytes(n)) = received {
            self.input.filled(n);
        }
        (received, len)
    }

    /// Whether nothing may be received because too much is unsent.
    pub(super) fn is_too_full(&self) -> bool {
        let pause = self.connection.config().limits.pause_reading;
        pause.is_some_and(|pause| self.output.len() > pause) && self.connection.status() == Status::Open
    }

    /// Stops receiving where too much is unsent. Once less is, it goes on to the end of what has
    /// arrived: the poller has told it and may not tell it again.
    #[inline]
    pub(super) fn pause(&mut self) -> bool {
        self.connection.config().limits.pause_reading.is_some() && self.pause_if_too_full()
    }

    #[cold]
    fn pause_if_too_full(&mut self) -> bool {
        self.kept.state.paused = self.is_too_full();
        if self.kept.state.paused {
            self.kept.state.receive_to_the_end();
        }
        self.kept.state.paused
    }
}
