//! The sending half of a call: what goes out, and what the stream then wants.
#![forbid(unsafe_code)]

use super::call::Call;
use super::{Error, Interest, Sent};
use crate::protocol::{Output, SendError, Stamp};
use crate::transport::{NonBlockingTransport, flush_checked, send_checked, send_vectored_checked};
use std::io::{self, IoSlice};

/// Sends what a call has gathered, as much as the transport takes.
#[inline(always)]
fn send_gathered<T: NonBlockingTransport + ?Sized>(transport: &mut T, output: &mut Output) -> io::Result<()> {
    let gathered = output.as_bytes();
    if !gathered.is_empty() {
        let all = gathered.len();
        match send_checked(transport, gathered)? {
            taken if taken == all => output.consume_all(),
            taken => output.consume(taken),
        }
    }
    Ok(())
}

/// The same, unless the transport failed, or is known to take nothing now; that it fails is kept.
/// Whether it works.
#[inline(always)]
pub(super) fn flush_gathered<T: NonBlockingTransport + ?Sized>(
    transport: &mut T,
    output: &mut Output,
    failed: &mut Option<io::Error>,
) -> bool {
    if failed.is_some() {
        return false;
    }
    if output.may_send()
        && let Err(error) = send_gathered(transport, output)
    {
        *failed = Some(error);
        return false;
    }
    true
}

impl<T: NonBlockingTransport> Call<'_, T> {
    /// Whether something waits for the transport, or in it.
    #[inline]
    pub(super) fn needs_flush(&self) -> bool {
        !self.scratch.output.is_empty() || self.stream.transport.wants_write()
    }

    /// Sends what is unsent, unless there is nothing, or the transport is known to take nothing now.
    #[inline]
    pub(super) fn flush_unblocked(&mut self) {
        // Also where it takes nothing, that it has failed is kept, whatever else this call has to tell.
        if self.failed.is_some() || self.scratch.output.may_send() && self.needs_flush() {
            self.flush();
        }
    }

    /// The same at a call's end, where almost always all of it was made by this call and is taken.
    #[inline]
    pub(super) fn flush_at_end(&mut self) {
        if self.stream.spill.is_none() && !self.stream.state.broken {
            flush_gathered(&mut self.stream.transport, &mut self.scratch.output, &mut self.failed);
        }
        self.flush_unblocked();
    }

    /// Sends what is unsent: what the connection kept, then what this call made.
    pub(super) fn flush(&mut self) {
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
        if self.stream.spill.is_some() {
            self.flush_spill()?;
        }
        // Again, for a pong that waited for its way to be free.
        while self.scratch.output.may_send() && self.scratch.output.gathered() > 0 {
            send_gathered(&mut self.stream.transport, &mut self.scratch.output)?;
        }
        flush_checked(&mut self.stream.transport)
    }

    /// Sends what the connection kept, as much as the transport takes now.
    #[cold]
    fn flush_spill(&mut self) -> io::Result<()> {
        if let Some(spill) = &mut self.stream.spill
            && !spill.unsent.is_empty()
        {
            let taken = match spill.unsent.pieces() {
                (all, []) => send_checked(&mut self.stream.transport, all)?,
                (first, second) => {
                    let pieces = [IoSlice::new(first), IoSlice::new(second)];
                    send_vectored_checked(&mut self.stream.transport, &pieces)?
                }
            };
            spill.unsent.consume(taken);
            if taken > 0 {
                spill.unsent.since = self.scratch.output.now().map(Stamp::at);
            }
            self.scratch.output.set_backlog(spill.unsent.len());
        }
        Ok(())
    }

    /// Ends a call that only sent: what follows from it, and what became of what was sent.
    pub(super) fn sent(&mut self, result: Result<(), SendError>) -> Result<Sent, Error> {
        if self.stream.state.paused {
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

    /// Ends the sending direction once the last frame is out. The peer's end is then awaited: closing
    /// with unread input would reset the peer before it has read that frame.
    ///
    /// After a closing handshake a client leaves that to the server: "the client SHOULD wait for the
    /// server to close the connection" (RFC 6455, section 7.1.1), so that the server keeps TIME_WAIT. Without a
    /// time or a deadline that wait might never end.
    #[inline]
    fn half_close(&mut self) {
        let connection = &self.stream.connection;
        if !connection.goes_on()
            && !connection.waits_for_the_servers_end(&self.scratch.output)
            && !self.stream.state.broken
            && !self.stream.state.shut
            && !self.needs_flush()
        {
            self.stream.state.shut = true;
            // A transport that is already disconnected says so at the next receive.
            let _ = self.stream.transport.shutdown_write();
        }
    }

    /// Ends the call: what the stream wants now.
    #[inline]
    pub(super) fn conclude(&mut self, again: bool) -> Interest {
        self.half_close();
        self.stream.state.interest(&self.stream.connection, self.needs_flush(), again)
    }
}
