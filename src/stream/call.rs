//! One call on a stream: borrows the connection and the scratch, and leaves both clean on every way
//! out, a caller's error or panic included.
#![forbid(unsafe_code)]

use super::Outgoing;
use super::spill::Spill;
use super::transport_state::TransportState;
use crate::protocol::{Connection, Input, Output, Stamp, UnreadBytes};
use crate::transport::NonBlockingTransport;
use std::io;

/// See the module.
///
/// It knows the transport's type, so that its calls are compiled into the stream's.
pub(super) struct Call<'a, T> {
    pub(super) transport: &'a mut T,
    pub(super) connection: &'a mut Connection,
    pub(super) input: &'a mut Input,
    pub(super) output: &'a mut Output,
    pub(super) kept: Kept<'a>,
    /// The error of a system call. After it nothing goes out any more.
    pub(super) failed: Option<io::Error>,
}

/// What a stream keeps beside its transport and its connection, and how far the call is with it.
pub(super) struct Kept<'a> {
    pub(super) state: &'a mut TransportState,
    pub(super) spill: &'a mut Option<Box<Spill>>,
    /// The connection's own unread bytes lie in the input, and the scratch's buffer in the spill.
    pub(super) own_unread: bool,
}

impl<T> Drop for Call<'_, T> {
    #[inline]
    fn drop(&mut self) {
        if self.kept.spill.is_some() || !self.input.is_clean() || !self.output.is_clean() {
            self.stow();
        }
    }
}

impl<T: NonBlockingTransport> Call<'_, T> {
    /// The way out, for a handler.
    #[inline]
    pub(super) fn out(&mut self) -> Outgoing<'_> {
        self.split().1
    }

    /// The input, and the way out beside what is lent from it.
    #[inline]
    pub(super) fn split(&mut self) -> (&mut Input, Outgoing<'_>) {
        let out = Outgoing {
            data_bound: self.connection.data_bound(),
            transport: self.transport,
            connection: self.connection,
            output: self.output,
            failed: &mut self.failed,
        };
        (self.input, out)
    }
}

impl<T> Call<'_, T> {
    /// Takes what the connection kept.
    #[inline]
    pub(super) fn begin(&mut self) {
        let Kept { state, spill, .. } = &self.kept;
        if spill.is_some() || state.ended() || state.broken.is_some() {
            self.unpack();
        }
    }

    #[cold]
    fn unpack(&mut self) {
        let Kept { state, spill, own_unread } = &mut self.kept;
        if let Some(spill) = spill {
            let pong = spill.unsent.pong.take();
            self.output.begin(spill.unsent.len(), pong);
            if !spill.unread.as_bytes().is_empty() {
                self.input.swap_bytes(&mut spill.unread);
                *own_unread = true;
            }
        }
        if state.ended() && state.broken.is_none() {
            self.input.end_of_stream();
        }
        // Until the end is told, each call fails as the one did in which the transport failed.
        if let Some(errno) = state.broken
            && self.connection.goes_on()
        {
            self.failed = Some(match errno.get() {
                0 => io::ErrorKind::NotConnected.into(),
                errno => io::Error::from_raw_os_error(errno),
            });
        }
    }

    /// Gives the connection what it has to keep, and leaves the scratch clean.
    #[cold]
    fn stow(&mut self) {
        self.kept.restore(self.input);
        let Kept { state, spill, .. } = &mut self.kept;
        let unread = self.input.unread();
        if !unread.is_empty() {
            let unread = UnreadBytes::new(unread);
            spill.get_or_insert_default().unread = unread;
        }
        self.input.reset();
        let output = &mut *self.output;
        let pong = output.take_pong();
        if state.broken.is_none() && (!output.as_bytes().is_empty() || pong.is_some()) {
            let unsent = &mut spill.get_or_insert_default().unsent;
            if unsent.is_empty() {
                unsent.since = output.now().map(Stamp::at);
            }
            let bound = self.connection.config().limits.unsent_bound();
            match unsent.is_empty().then(|| output.take_bytes(bound)).flatten() {
                Some((bytes, sent)) => unsent.take(bytes, sent),
                None => unsent.push(output.as_bytes(), bound),
            }
            unsent.pong = pong;
        }
        output.begin(0, None);
        output.shrink();
        if spill.as_ref().is_some_and(|spill| spill.is_empty()) {
            **spill = None;
        }
    }

    /// Whether the transport failed, in this call or before.
    #[inline]
    pub(super) fn has_failed(&self) -> bool {
        self.failed.is_some() || self.kept.state.broken.is_some()
    }
}

impl Kept<'_> {
    /// The connection's own unread bytes, used or not, go back to it, and the scratch's buffer to the
    /// scratch.
    #[inline]
    pub(super) fn restore(&mut self, input: &mut Input) {
        if self.own_unread
            && let Some(spill) = self.spill
        {
            self.own_unread = false;
            input.swap_bytes(&mut spill.unread);
            if spill.unread.as_bytes().is_empty() {
                spill.unread = UnreadBytes::default();
            }
        }
    }
}
