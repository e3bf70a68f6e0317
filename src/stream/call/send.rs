//! The sending half of a call: what leaves, what ends the connection from this end, and what the
//! stream then wants.
#![forbid(unsafe_code)]

use super::CallGuard;
use crate::protocol::{End, Event, SendError, Stamp, Status};
use crate::stream::outgoing::{flush_gathered, send_gathered};
use crate::stream::{Error, Interest, Sent};
use crate::transport::{NonBlockingTransport, flush_checked, send_checked, send_vectored_checked};
use std::io::{self, IoSlice};

/// Sending, and the end of a call.
impl<T: NonBlockingTransport> CallGuard<'_, T> {
    /// Whether bytes wait for the transport, or in it.
    #[inline]
    pub(super) fn needs_flush(&self) -> bool {
        !self.scratch.output.is_empty() || self.stream.transport.wants_write()
    }

    /// Sends what is unsent, unless there is nothing or the transport is known to take nothing now.
    #[inline]
    pub(in crate::stream) fn flush_unblocked(&mut self) {
        // A failure is kept even if the transport takes nothing now.
        if self.failed.is_some() || self.scratch.output.may_send() && self.needs_flush() {
            self.flush();
        }
    }

    /// Sends what is unsent at the end of a call. Almost always this call made all of it, and the
    /// transport takes all of it.
    #[inline]
    pub(super) fn flush_at_end(&mut self) {
        if self.stream.backlog.is_none() && !self.stream.broken {
            flush_gathered(&mut self.stream.transport, &mut self.scratch.output, &mut self.failed);
        }
        self.flush_unblocked();
    }

    /// Sends what is unsent: the backlog first, then what this call made.
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
        // A loop, because a pong may have waited until the frames before it are sent.
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
                (first, second) => {
                    let pieces = [IoSlice::new(first), IoSlice::new(second)];
                    send_vectored_checked(&mut self.stream.transport, &pieces)?
                }
            };
            backlog.unsent.consume(taken);
            if taken > 0 {
                backlog.unsent.since = self.scratch.output.now().map(Stamp::at);
            }
            self.scratch.output.set_backlog(backlog.unsent.len());
        }
        Ok(())
    }

    /// Ends a call that only sent, and reports what became of the bytes.
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

    /// Ends a call, and reports what the stream wants now.
    #[inline]
    pub(super) fn conclude(&mut self, again: bool) -> Interest {
        self.half_close();
        self.stream.interest_with(self.needs_flush(), again)
    }

    /// Shuts down the sending direction once the last frame is sent, and then waits for the peer's end
    /// of stream: closing with unread input would reset the peer before it has read that frame.
    ///
    /// After a closing handshake a client leaves that to the server: "the client SHOULD wait for the
    /// server to close the connection" (RFC 6455, section 7.1.1), so that the server keeps TIME_WAIT.
    /// Without a time or a deadline that wait might never end.
    #[inline]
    fn half_close(&mut self) {
        let connection = &self.stream.connection;
        if !connection.goes_on()
            && !connection.waits_for_the_servers_end(&self.scratch.output)
            && !self.stream.broken
            && !self.stream.shut
            && !self.needs_flush()
        {
            self.stream.shut = true;
            // A transport that is already disconnected reports that at the next receive.
            let _ = self.stream.transport.shutdown_write();
        }
    }
}

/// What ends the connection from this end: a deadline, or a transport that failed.
impl<T: NonBlockingTransport> CallGuard<'_, T> {
    /// Does what is due by now, and returns an end that has come due.
    #[inline]
    pub(super) fn on_deadline(&mut self) -> Option<End> {
        if self.stream.backlog.is_some() {
            self.on_unsent_deadline();
        }
        // The end was reported before: only the last bytes are left, in the backlog or the transport.
        if matches!(self.stream.connection.status(), Status::Over(_))
            && self.needs_flush()
            && self.stream.connection.linger_is_due(&self.scratch.output)
        {
            self.abandon();
        }
        let Event::End(end) = self.stream.connection.on_deadline(&mut self.scratch.output)? else {
            return None;
        };
        // Timed out: discard unsent bytes.
        self.abandon();
        Some(end)
    }
}

impl<T> CallGuard<'_, T> {
    /// Does what is due for the bytes of the backlog.
    #[cold]
    fn on_unsent_deadline(&mut self) {
        if let Some(backlog) = &mut self.stream.backlog
            && !backlog.unsent.is_empty()
        {
            backlog.unsent.since = backlog.unsent.since.or(self.scratch.output.now().map(Stamp::at));
            if self.stream.paused {
                self.stream.connection.excuse_silence_since(backlog.unsent.since, &self.scratch.output);
            }
            self.stream.connection.on_unsent_deadline(backlog.unsent.since, &mut self.scratch.output);
        }
    }

    /// Stops sending for good, and discards what is unsent.
    #[cold]
    fn abandon(&mut self) {
        self.stream.broken = true;
        self.give_up();
    }

    /// Discards what is unsent, after a failure.
    #[cold]
    pub(super) fn give_up(&mut self) {
        self.keep_failure();
        if let Some(backlog) = &mut self.stream.backlog {
            backlog.unsent.clear();
        }
        self.scratch.output.begin(0, None);
    }
}
