//! What ends a call's connection from this end: a deadline, or a transport that failed.
#![forbid(unsafe_code)]

use super::call::Call;
use crate::protocol::{End, Event, Stamp, Status};
use crate::transport::NonBlockingTransport;

impl<T: NonBlockingTransport> Call<'_, T> {
    /// Does what is due by now; an end that is due is told.
    #[inline]
    pub(super) fn on_deadline(&mut self) -> Option<End> {
        if self.stream.spill.is_some() {
            self.on_unsent_deadline();
        }
        // The end was told: only the last bytes are waited for, also those that the transport holds.
        if matches!(self.stream.connection.status(), Status::Over(_))
            && self.needs_flush()
            && self.stream.connection.linger_is_due(&self.scratch.output)
        {
            self.abandon();
        }
        let Event::End(end) = self.stream.connection.on_deadline(&mut self.scratch.output)? else {
            return None;
        };
        // Whoever was waited for until now is not waited for to take the rest.
        self.abandon();
        Some(end)
    }
}

impl<T> Call<'_, T> {
    /// The same for what is unsent.
    #[cold]
    fn on_unsent_deadline(&mut self) {
        if let Some(spill) = &mut self.stream.spill
            && !spill.unsent.is_empty()
        {
            spill.unsent.since = spill.unsent.since.or(self.scratch.output.now().map(Stamp::at));
            if self.stream.state.paused {
                self.stream.connection.excuse_silence_since(spill.unsent.since, &self.scratch.output);
            }
            self.stream.connection.on_unsent_deadline(spill.unsent.since, &mut self.scratch.output);
        }
    }

    /// Nothing goes out any more, and what is unsent is given up.
    #[cold]
    fn abandon(&mut self) {
        self.stream.state.broken = true;
        self.give_up();
    }

    /// Nothing goes out any more.
    #[cold]
    pub(super) fn give_up(&mut self) {
        self.keep_failure();
        if let Some(spill) = &mut self.stream.spill {
            spill.unsent.clear();
        }
        self.scratch.output.begin(0, None);
    }
}
