//! The sending half of a call: sending, the deadlines, and what the stream then wants.
#![forbid(unsafe_code)]

use super::CallGuard;
use crate::protocol::{Closed, Event, Millis32, SendError, State};
use crate::stream::outgoing::{flush_gathered, send_gathered};
use crate::stream::state::{Sending, StreamState};
use crate::stream::{Error, Sent, Wants};
use crate::transport::{
    LONGEST_SLICE, NonBlockingTransport, flush_checked, send_checked, send_vectored_checked,
};
use std::io::{self, IoSlice};

/// More bytes than had arrived before a failure: the buffers of sockets hold up to 32 MiB.
const AFTER_FAILURE: usize = 64 << 20;

/// Sending, and the end of a call.
impl<T: NonBlockingTransport> CallGuard<'_, T> {
    /// Returns whether bytes wait to be sent, in the stream or in the transport.
    #[inline]
    pub(super) fn needs_flush(&self) -> bool {
        !self.scratch.output.is_empty() || self.stream.transport.wants_write()
    }

    /// Sends the unsent bytes, unless the transport is known to be full.
    #[inline]
    pub(in crate::stream) fn flush_unblocked(&mut self) {
        // Keep a failure even if the transport is full.
        if self.failed.is_some() || self.scratch.output.may_send() && self.needs_flush() {
            self.flush();
        }
    }

    /// Sends the unsent bytes at the end of a call. Almost always there is no backlog, and the transport
    /// takes all of them.
    #[inline]
    pub(super) fn flush_at_end(&mut self) {
        if self.stream.backlog.is_none() && !self.stream.is_broken() {
            flush_gathered(&mut self.stream.transport, &mut self.scratch.output, &mut self.failed);
        }
        self.flush_unblocked();
    }

    /// Sends the unsent bytes: first the backlog, then the bytes gathered in this call.
    pub(in crate::stream) fn flush(&mut self) {
        if !self.has_failed()
            && let Err(error) = self.try_flush()
        {
            self.failed = Some(error);
        }
        if self.has_failed() {
            self.give_up();
        }
    }

    #[inline]
    fn try_flush(&mut self) -> io::Result<()> {
        if self.stream.backlog.is_some() {
            self.flush_backlog()?;
        }
        // A loop, because a waiting pong follows when the frames before it are sent.
        while self.scratch.output.may_send() && self.scratch.output.gathered() > 0 {
            send_gathered(&mut self.stream.transport, &mut self.scratch.output)?;
        }
        flush_checked(&mut self.stream.transport)
    }

    /// Sends as many bytes of the backlog as the transport takes now.
    #[cold]
    fn flush_backlog(&mut self) -> io::Result<()> {
        if let Some(backlog) = &mut self.stream.backlog
            && !backlog.unsent.is_empty()
        {
            let taken = match backlog.unsent.pieces() {
                (all, []) => send_checked(&mut self.stream.transport, all)?,
                (long, _) if long.len() > LONGEST_SLICE => send_checked(&mut self.stream.transport, long)?,
                (first, second) => {
                    let second = &second[..second.len().min(LONGEST_SLICE)];
                    let pieces = [IoSlice::new(first), IoSlice::new(second)];
                    send_vectored_checked(&mut self.stream.transport, &pieces)?
                }
            };
            backlog.unsent.consume(taken);
            if taken > 0 {
                backlog.unsent.since = self.scratch.output.now().map(Millis32::at);
            }
            self.scratch.output.set_backlog(backlog.unsent.len());
        }
        Ok(())
    }

    /// Ends a call that only sends, and returns whether the bytes were sent or queued.
    pub(in crate::stream) fn sent(&mut self, result: Result<(), SendError>) -> Result<Sent, Error> {
        if self.stream.paused {
            self.pause_if_too_full();
        }
        self.half_close();
        if let Some(error) = self.failed.take() {
            return Err(Error::System(error));
        }
        result?;
        Ok(match self.scratch.output.len() {
            0 => Sent::Written,
            unsent => Sent::Queued(unsent),
        })
    }

    /// Ends a call, and returns what the stream wants now.
    #[inline]
    pub(super) fn conclude(&mut self, again: bool) -> Wants {
        self.half_close();
        self.stream.wants_with(self.needs_flush(), again)
    }

    /// Shuts down the sending direction after the last frame was sent. The stream then waits for the peer's
    /// end of stream, because closing with unread input would reset the peer before it has read that frame.
    ///
    /// After a closing handshake, a client first waits for the server's end of stream: "the client SHOULD
    /// wait for the server to close the connection" (RFC 6455, section 7.1.1), so that `TIME_WAIT` stays with
    /// the server. A client does not wait if the call has no time or the close timeout is off, because the
    /// wait might never end.
    #[inline]
    fn half_close(&mut self) {
        let connection = &self.stream.connection;
        if !connection.can_receive()
            && !connection.waits_for_the_servers_end(&self.scratch.output)
            && !self.stream.is_broken()
            && !self.stream.shut
            && !self.needs_flush()
        {
            self.stream.shut = true;
            // If the transport is disconnected, the next receive reports it.
            let _ = self.stream.transport.shutdown_write();
        }
    }
}

/// Deadlines, and a transport that failed.
impl<T: NonBlockingTransport> CallGuard<'_, T> {
    /// Sends the unsent bytes before a deadline is handled. If reading was paused because of them, nothing
    /// could be received from the peer.
    #[cold]
    fn flush_late(&mut self) {
        self.flush();
        if self.stream.paused && !self.is_too_full() {
            self.stream.connection.restart_idle_timer(&self.scratch.output);
        }
    }

    fn is_unsent_due(&self) -> bool {
        let StreamState { connection, backlog, .. } = &*self.stream;
        let unsent = backlog.as_ref().map(|backlog| &backlog.unsent).filter(|unsent| !unsent.is_empty());
        unsent.is_some_and(|unsent| connection.unsent_is_due(unsent.since, &self.scratch.output))
    }

    fn is_linger_due(&self) -> bool {
        matches!(self.stream.connection.state(), State::Closed(_))
            && self.needs_flush()
            && self.stream.connection.linger_is_due(&self.scratch.output)
    }

    /// Sends what is late, and fails the connection if the peer takes none of it in time.
    #[inline]
    pub(super) fn stop_sending_in_time(&mut self, tried: bool) {
        // Whatever the peer has taken since then, the poller may not have reported it yet.
        if !tried && (self.is_unsent_due() || self.is_linger_due()) {
            self.flush_late();
        }
        if self.stream.backlog.is_some() {
            self.on_unsent_deadline();
        }
    }

    /// Handles the deadlines that have passed. Returns the end if one of them ends the connection. `tried`:
    /// sending the unsent bytes was tried in this call.
    #[inline]
    pub(super) fn on_deadline(&mut self, tried: bool) -> Option<Closed> {
        self.stop_sending_in_time(tried);
        // The end was already reported, and only the last bytes are left, in the backlog or the transport.
        if self.is_linger_due() {
            self.abandon();
        }
        let Event::Closed(end) = self.stream.connection.on_deadline(&mut self.scratch.output)? else {
            return None;
        };
        // Timed out: discard unsent bytes.
        self.abandon();
        Some(end)
    }
}

/// For a caller that receives nothing now.
#[cfg(any(feature = "client", feature = "tokio"))]
impl<T: NonBlockingTransport> CallGuard<'_, T> {
    /// Sends the unsent bytes, and handles the deadlines, as if reading was paused.
    pub(in crate::stream) fn flush_and_time_out(&mut self) {
        let paused = std::mem::replace(&mut self.stream.paused, true);
        let unsent = self.needs_flush();
        self.flush();
        if unsent && !self.needs_flush() {
            self.stream.connection.restart_idle_timer(&self.scratch.output);
        }
        if !self.has_failed() {
            // The state has the end.
            let _ = self.on_deadline(true);
        }
        self.stream.paused = paused;
    }
}

impl<T> CallGuard<'_, T> {
    /// Handles the deadlines of unsent bytes.
    #[cold]
    fn on_unsent_deadline(&mut self) {
        if let Some(backlog) = &mut self.stream.backlog
            && !backlog.unsent.is_empty()
        {
            backlog.unsent.since = backlog.unsent.since.or(self.scratch.output.now().map(Millis32::at));
            if self.stream.paused {
                self.stream.connection.restart_idle_timer_at(backlog.unsent.since, &self.scratch.output);
            }
            self.stream.connection.on_unsent_deadline(backlog.unsent.since, &mut self.scratch.output);
        }
    }

    /// Stops sending permanently, and discards the unsent bytes.
    #[cold]
    fn abandon(&mut self) {
        self.stream.break_off();
        self.give_up();
    }

    /// Returns whether to stop receiving after a failure, although the peer sends on. The time for closing
    /// has passed, and more bytes were received than can have arrived before the failure.
    #[cold]
    pub(super) fn is_failure_late(&self) -> bool {
        let Some(backlog) = &self.stream.backlog else { return false };
        let is_late = |at| self.stream.connection.is_late_to_end(at, &self.scratch.output);
        backlog.after_failure > AFTER_FAILURE && backlog.failed_at.is_some_and(is_late)
    }

    /// Discards the unsent bytes after a failure.
    #[cold]
    pub(super) fn give_up(&mut self) {
        self.keep_failure();
        if !self.scratch.output.is_empty() {
            self.stream.sending = Sending::Lost;
        }
        if let Some(backlog) = &mut self.stream.backlog {
            backlog.unsent.clear();
        }
        self.scratch.output.begin(0, None);
    }
}
