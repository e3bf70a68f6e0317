//! What a stream keeps between two calls, and the methods that need no I/O.
#![forbid(unsafe_code)]

use super::Wants;
use super::backlog::Backlog;
use crate::protocol::{Cause, Connection, State};
use crate::transport::NonBlockingTransport;

/// A connection on its transport.
#[derive(Debug)]
pub(super) struct StreamState<T> {
    pub(super) transport: T,
    pub(super) connection: Connection,
    /// Whether the poller announces what arrives next.
    pub(super) incoming: Incoming,
    /// This end has shut down its sending direction.
    pub(super) shut: bool,
    /// Nothing is received, because too many bytes are unsent; see [`PauseReading`](crate::PauseReading).
    pub(super) paused: bool,
    pub(super) sending: Sending,
    /// What the last call could not use, send or report. `None` if there is nothing.
    pub(super) backlog: Option<Box<Backlog>>,
}

/// Whether the poller announces what arrives next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Incoming {
    /// The poller announces the bytes that arrive next.
    Announced = 0,
    /// The transport may have bytes that the poller does not announce again. Either the poller has reported
    /// the peer's end of stream, which an edge-triggered poller does only once, or a call left bytes behind.
    /// The next calls receive until nothing is left.
    Unannounced,
    /// The peer's end of stream has been received.
    Ended,
}

/// Whether anything more is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sending {
    Possible = 0,
    /// Nothing: a system call failed, or the last deadline has passed.
    Broken,
    /// Nothing, and bytes that were accepted are discarded.
    Lost,
}

impl<T> StreamState<T> {
    pub(super) fn new(transport: T, connection: Connection, backlog: Backlog, incoming: Incoming) -> Self {
        let backlog = (!backlog.is_empty()).then(|| Box::new(backlog));
        let (shut, paused, sending) = (false, false, Sending::Possible);
        Self { transport, connection, incoming, shut, paused, sending, backlog }
    }

    /// Makes the next calls receive until nothing is left.
    pub(super) fn expect_unannounced(&mut self) {
        if !self.ended() {
            self.incoming = Incoming::Unannounced;
        }
    }

    /// Returns whether the transport works and its poller announces what arrives. Not after a pause in
    /// reading, which makes what arrives next unannounced.
    #[inline]
    pub(super) fn is_undisturbed(&self) -> bool {
        // Compared as one number, which is one branch.
        self.incoming as u8 | self.sending as u8 == 0
    }

    /// Returns whether nothing more is sent.
    #[inline]
    pub(super) fn is_broken(&self) -> bool {
        self.sending != Sending::Possible
    }

    /// Sends nothing more.
    pub(super) fn break_off(&mut self) {
        if self.sending == Sending::Possible {
            self.sending = Sending::Broken;
        }
    }

    /// Returns whether the peer's end of stream has been received.
    #[inline]
    pub(super) fn ended(&self) -> bool {
        self.incoming == Incoming::Ended
    }

    /// Returns what the stream wants from the event loop, with or without unsent bytes.
    #[inline]
    pub(super) fn wants_with(&self, unsent: bool, again: bool) -> Wants {
        let write = unsent && !self.is_broken();
        if self.connection.can_receive() {
            let read = !self.ended() && !self.paused;
            return Wants { read, write, again, closed: false, refused: None };
        }
        let closed = match self.connection.state() {
            State::Closed(end) => !write || matches!(end.cause, Cause::Timeout(_) | Cause::System(_)),
            _ => false,
        };
        Wants {
            read: !self.ended() && !closed,
            write: write && !closed,
            again: again && !closed,
            closed,
            refused: None,
        }
    }

    /// Returns the number of unsent bytes, including a waiting pong.
    pub(super) fn unsent(&self) -> usize {
        self.backlog.as_ref().map_or(0, |backlog| backlog.unsent.all())
    }

    /// Returns the number of unsent bytes, without a waiting pong.
    pub(super) fn unsent_frames(&self) -> usize {
        self.backlog.as_ref().map_or(0, |backlog| backlog.unsent.len())
    }

    /// Returns the heap memory in bytes, without that of the transport and of a shared configuration.
    pub(super) fn heap_bytes(&self) -> usize {
        self.connection.heap_bytes() + self.backlog.as_ref().map_or(0, |backlog| backlog.heap_bytes())
    }
}

impl<T: NonBlockingTransport> StreamState<T> {
    /// Returns what the stream wants from the event loop between two calls.
    pub(super) fn wants(&self) -> Wants {
        let unsent = self.unsent() > 0 || self.transport.wants_write();
        let unread = self.backlog.as_ref().is_some_and(|backlog| !backlog.unread.as_bytes().is_empty());
        let again = unread || self.incoming == Incoming::Unannounced || self.is_broken();
        let wants = self.wants_with(unsent, again && !self.paused);
        // If a call that only sends has failed, the end is not reported yet.
        Wants { closed: wants.closed || self.is_broken(), ..wants }
    }

    /// Returns the next deadline.
    pub(super) fn next_deadline(&self, now: u64) -> Option<u64> {
        let deadline = self.connection.next_deadline(now);
        let is_closed = matches!(self.connection.state(), State::Closed(_)) && !self.is_broken();
        let unsent = match &self.backlog {
            Some(backlog) if !backlog.unsent.is_empty() => {
                self.connection.unsent_deadline(backlog.unsent.since, now)
            }
            // The transport holds the last bytes.
            _ if is_closed && self.transport.wants_write() => self.connection.linger_deadline(now),
            _ => None,
        };
        deadline.into_iter().chain(unsent).min()
    }
}
