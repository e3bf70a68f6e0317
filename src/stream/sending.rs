//! The sending half of a call: what goes out, and what the stream then wants.
#![forbid(unsafe_code)]

use super::call::Call;
use super::{Error, Interest, Sent};
use crate::protocol::{SendError, Stamp};
use crate::transport::{flush_checked, send_checked, send_vectored_checked};
use std::io::{self, IoSlice};

impl Call<'_> {
    /// Sends what is unsent, unless there is nothing, or the transport is known to take nothing now.
    #[inline]
    pub(super) fn flush_unblocked(&mut self) {
        // Also where it takes nothing, that it has failed is kept, whatever else this call has to tell.
        if self.out.failed.is_some() || self.out.output.may_send() && self.out.needs_flush() {
            self.flush();
        }
    }

    /// Sends what is unsent: what the connection kept, then what this call made.
    pub(super) fn flush(&mut self) {
        if self.out.failed.is_none()
            && self.kept.state.broken.is_none()
            && let Err(error) = self.try_flush()
        {
            self.out.failed = Some(error);
        }
        if self.out.failed.is_some() || self.kept.state.broken.is_some() {
            self.give_up();
        }
    }

    /// Nothing goes out any more.
    #[cold]
    pub(super) fn give_up(&mut self) {
        if let Some(error) = &self.out.failed {
            self.kept.state.fail(error);
        }
        if let Some(spill) = self.kept.spill {
            spill.unsent.clear();
        }
        self.out.output.begin(0, None);
    }

    #[inline]
    fn try_flush(&mut self) -> io::Result<()> {
        if self.kept.spill.is_some() {
            self.flush_spill()?;
        }
        // Again, for a pong that waited for its way to be free.
        while self.out.output.may_send() && self.out.output.gathered() > 0 {
            self.out.send_gathered()?;
        }
        flush_checked(self.out.transport)
    }

    /// Sends what the connection kept, as much as the transport takes now.
    #[cold]
    fn flush_spill(&mut self) -> io::Result<()> {
        if let Some(spill) = self.kept.spill
            && !spill.unsent.is_empty()
        {
            let taken = match spill.unsent.pieces() {
                (all, []) => send_checked(self.out.transport, all)?,
                (first, second) => {
                    let pieces = [IoSlice::new(first), IoSlice::new(second)];
                    send_vectored_checked(self.out.transport, &pieces)?
                }
            };
            spill.unsent.consume(taken);
            if taken > 0 {
                spill.unsent.since = self.out.output.now().map(Stamp::at);
            }
            self.out.output.set_backlog(spill.unsent.len());
        }
        Ok(())
    }

    /// What became of what was sent in this call.
    pub(super) fn sent(&mut self, result: Result<(), SendError>) -> Result<Sent, Error> {
        if let Some(error) = self.out.failed.take() {
            return Err(Error::System(error));
        }
        result?;
        Ok(match self.out.output.len() {
            0 => Sent::Written,
            unsent => Sent::Queued(unsent),
        })
    }

    /// Ends the sending direction once the last frame is out. The peer's end is then awaited: closing
    /// with unread input would reset the peer before it has read that frame.
    fn half_close(&mut self) {
        if self.kept.state.broken.is_none() && !self.kept.state.shut && !self.out.needs_flush() {
            self.kept.state.shut = true;
            // A transport that is already disconnected says so at the next receive.
            let _ = self.out.transport.shutdown_write();
        }
    }

    /// Ends the call: what the stream wants now.
    #[inline]
    pub(super) fn conclude(&mut self, again: bool) -> Interest {
        if !self.out.connection.goes_on() {
            self.half_close();
        }
        self.kept.state.interest(self.out.connection, self.out.needs_flush(), again)
    }
}
