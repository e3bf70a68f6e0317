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
        if self.stream.state.ended() || (failed && !self.stream.connection.goes_on()) {
            return Refill::Drained;
        }
        if budget.bytes == 0 {
            return Refill::Spent;
        }
        self.restore();
        let (received, room) = self.receive_once(budget.bytes);
        let state = &mut self.stream.state;
        match received {
            Ok(Received::Bytes(n)) => {
                self.stream.connection.heard(self.scratch.output.now());
                budget.bytes = budget.bytes.saturating_sub(n);
                // A short read has drained the socket, except of its end.
                budget.more =
                    n == room || state.incoming == Incoming::ToTheEnd || self.stream.transport.holds_input();
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
                self.scratch.input.end_of_stream();
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
        if let Some(room) = self.stream.connection.direct_room(DIRECT_RECEIVE, &mut self.scratch.input) {
            let len = room.len().min(most);
            let received = recv_checked(&mut self.stream.transport, &mut room[..len]);
            if let Ok(Received::Bytes(n)) = received {
                self.stream.connection.direct_filled(n, &mut self.scratch.output);
            }
            return (received, len);
        }
        let room = self.scratch.input.spare();
        let len = room.len().min(most);
        let received = recv_checked(&mut self.stream.transport, &mut room[..len]);
        if let Ok(Received::Bytes(n)) = received {
            self.scratch.input.filled(n);
        }
        (received, len)
    }

    /// Whether nothing may be received because too much is unsent.
    fn is_too_full(&self) -> bool {
        let pause = self.stream.connection.config().limits.pause_reading;
        pause.is_some_and(|pause| self.scratch.output.len() > pause)
            && self.stream.connection.status() == Status::Open
    }

    /// Stops receiving where too much is unsent. Once less is, it goes on to the end of what has
    /// arrived: the poller has told it and may not tell it again.
    #[inline]
    pub(super) fn pause(&mut self) -> bool {
        self.stream.connection.config().limits.pause_reading.is_some() && self.pause_if_too_full()
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
