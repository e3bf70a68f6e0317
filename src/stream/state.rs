//! What a stream keeps between two calls, and the questions it answers without I/O.
#![forbid(unsafe_code)]

use super::Interest;
use super::backlog::Backlog;
use crate::protocol::{Cause, Connection, Status};
use crate::transport::NonBlockingTransport;

/// A connection on its transport.
#[derive(Debug)]
pub(super) struct StreamState<T> {
    pub(super) transport: T,
    pub(super) connection: Connection,
    /// How much of what the peer sends has been received.
    pub(super) incoming: Incoming,
    /// This end has shut down its sending direction.
    pub(super) shut: bool,
    /// Nothing is received, because too many bytes are unsent
    /// ([`Limits::pause_reading`](crate::Limits)).
    pub(super) paused: bool,
    /// Nothing is sent any more: a system call failed, or the last deadline has passed.
    pub(super) broken: bool,
    /// Bytes that the last call could not use or send. `None` if there are none.
    pub(super) backlog: Option<Box<Backlog>>,
}

/// How much of what the peer sends has been received.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Incoming {
    /// A readiness will announce whatever arrives next.
    #[default]
    Announced = 0,
    /// Bytes may be waiting in the transport that no poller announces again: the poller has reported the
    /// peer's end of stream, which an edge-triggered one does only once, or a call left bytes behind. The
    /// next calls receive until nothing is left.
    ToTheEnd,
    /// The peer's end of stream has been received.
    Ended,
}

impl<T> StreamState<T> {
    pub(super) fn new(transport: T, connection: Connection, backlog: Backlog, incoming: Incoming) -> Self {
        let backlog = (!backlog.is_empty()).then(|| Box::new(backlog));
        Self { transport, connection, incoming, shut: false, paused: false, broken: false, backlog }
    }

    /// Marks the transport as one to receive from until nothing is left.
    pub(super) fn receive_to_the_end(&mut self) {
        if !self.ended() {
            self.incoming = Incoming::ToTheEnd;
        }
    }

    /// Whether the transport works and announces what arrives. A paused stream is not plain: bytes may
    /// be waiting for it.
    #[inline]
    pub(super) fn is_plain(&self) -> bool {
        // Compared as one number, which is one branch.
        self.incoming as u8 | u8::from(self.broken) == 0
    }

    /// Whether the peer's end of stream has been received.
    #[inline]
    pub(super) fn ended(&self) -> bool {
        self.incoming == Incoming::Ended
    }

    /// What the stream wants of the event loop, with unsent bytes or without.
    #[inline]
    pub(super) fn interest_with(&self, unsent: bool, again: bool) -> Interest {
        let writable = unsent && !self.broken;
        if self.connection.goes_on() {
            let readable = !self.ended() && !self.paused;
            return Interest { readable, writable, again, over: false, refused: None };
        }
        let over = match self.connection.status() {
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

    /// The unsent bytes, a pong included that waits behind the last frame.
    pub(super) fn unsent(&self) -> usize {
        self.backlog.as_ref().map_or(0, |backlog| backlog.unsent.all())
    }

    /// The unsent bytes up to the end of the last frame, without a pong that waits behind it.
    pub(super) fn unsent_frames(&self) -> usize {
        self.backlog.as_ref().map_or(0, |backlog| backlog.unsent.len())
    }

    /// The heap bytes held, without those of the transport and of a shared configuration.
    pub(super) fn held(&self) -> usize {
        self.connection.held() + self.backlog.as_ref().map_or(0, |backlog| backlog.held())
    }
}

impl<T: NonBlockingTransport> StreamState<T> {
    /// What the stream wants of the event loop between two calls.
    pub(super) fn interest(&self) -> Interest {
        let unsent = self.unsent() > 0 || self.transport.wants_write();
        let unread = self.backlog.as_ref().is_some_and(|backlog| !backlog.unread.as_bytes().is_empty());
        let again = unread || self.incoming == Incoming::ToTheEnd || self.broken;
        let interest = self.interest_with(unsent, again && !self.paused);
        // If a call that only sends has failed, the end is not reported yet.
        Interest { over: interest.over || self.broken, ..interest }
    }

    /// The next time at which something is due.
    pub(super) fn next_deadline(&self, now: u64) -> Option<u64> {
        let deadline = self.connection.next_deadline(now);
        let is_over = matches!(self.connection.status(), Status::Over(_)) && !self.broken;
        let unsent = match &self.backlog {
            Some(backlog) if !backlog.unsent.is_empty() => {
                self.connection.unsent_deadline(backlog.unsent.since, now)
            }
            // The transport holds the last bytes.
            _ if is_over && self.transport.wants_write() => self.connection.linger_deadline(now),
            _ => None,
        };
        deadline.into_iter().chain(unsent).min()
    }
}
