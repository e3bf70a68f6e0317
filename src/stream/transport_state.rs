//! What a stream knows of its transport.
#![forbid(unsafe_code)]

use super::Interest;
use crate::protocol::{Cause, Connection, Status};

/// What became of the transport.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct TransportState {
    pub(super) incoming: Incoming,
    /// This end shut its own.
    pub(super) shut: bool,
    /// Nothing is received while so much is unsent ([`Limits::pause_reading`](crate::Limits)).
    pub(super) paused: bool,
    /// Nothing goes out any more: a system call failed, or the last deadline has passed.
    pub(super) broken: bool,
}

/// How far the peer's direction is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Incoming {
    /// What comes is announced by a readiness.
    #[default]
    Announced = 0,
    /// The poller said that the peer ended its direction, or a call left something behind in the
    /// transport. An edge-triggered one says so only once, so what comes is received until nothing is
    /// left, over as many calls as that takes.
    ToTheEnd,
    /// The end of the stream was received.
    Ended,
}

impl TransportState {
    /// What comes is received until nothing is left.
    pub(super) fn receive_to_the_end(&mut self) {
        if !self.ended() {
            self.incoming = Incoming::ToTheEnd;
        }
    }

    /// Whether nothing is the matter with it. (Where receiving is paused, something is left to be
    /// received, to the end.)
    #[inline]
    pub(super) fn is_plain(&self) -> bool {
        // As one number, which is one branch.
        self.incoming as u8 | u8::from(self.broken) == 0
    }

    /// Whether the end of the stream was received.
    #[inline]
    pub(super) fn ended(&self) -> bool {
        self.incoming == Incoming::Ended
    }

    /// What the stream wants, where something is unsent or nothing is.
    #[inline]
    pub(super) fn interest(&self, connection: &Connection, unsent: bool, again: bool) -> Interest {
        let writable = unsent && !self.broken;
        if connection.goes_on() {
            let readable = !self.ended() && !self.paused;
            return Interest { readable, writable, again, over: false, refused: None };
        }
        let over = match connection.status() {
            Status::Over(end) => !writable || matches!(end.cause, Cause::Deadline(_) | Cause::System(_)),
            _ => false,
        };
        Interest {
            readable: !self.ended() && !over,
            writable: writable && !over,
            again: again && !over,
            over,
            refused: None,
        }
    }
}
