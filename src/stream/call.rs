//! One call on a stream: borrows the connection and the scratch, and leaves both clean on every way
//! out, a caller's error or panic included.
#![forbid(unsafe_code)]

use super::{Outgoing, Scratch, Turn, WebSocketStream};
use crate::protocol::{Input, Stamp, SystemError, UnreadBytes};
use crate::transport::NonBlockingTransport;
use std::io;

/// See the module.
///
/// It knows the transport's type, so that its calls are compiled into the stream's.
pub(super) struct Call<'a, T> {
    pub(super) stream: &'a mut WebSocketStream<T>,
    pub(super) scratch: &'a mut Scratch,
    /// The stream's own unread bytes lie in the scratch's input, and the input's buffer in the spill.
    own_unread: bool,
    /// The error of a system call. After it nothing goes out any more.
    pub(super) failed: Option<io::Error>,
}

impl<T> Drop for Call<'_, T> {
    #[inline]
    fn drop(&mut self) {
        self.leave();
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
        let Self { stream, scratch, failed, .. } = self;
        let out = Outgoing {
            terms: &scratch.terms,
            transport: &mut stream.transport,
            connection: &mut stream.connection,
            output: &mut scratch.output,
            failed,
        };
        (&mut scratch.input, out)
    }
}

impl<'a, T> Call<'a, T> {
    /// Lends the scratch to a stream that kept nothing; to any other, see [`unpack`](Self::unpack).
    #[inline]
    pub(super) fn new(stream: &'a mut WebSocketStream<T>, turn: &'a mut Turn<'_>) -> Self {
        turn.scratch.output.set_time(turn.now);
        turn.scratch.terms.become_those_of(stream.connection.shared_config());
        Self { stream, scratch: turn.scratch, own_unread: false, failed: None }
    }

    /// Lends the scratch, and takes what the stream kept.
    pub(super) fn begin(stream: &'a mut WebSocketStream<T>, turn: &'a mut Turn<'_>) -> Self {
        let mut call = Self::new(stream, turn);
        call.unpack();
        call
    }
}

impl<T> Call<'_, T> {
    /// Takes what the stream kept.
    pub(super) fn unpack(&mut self) {
        let Self { stream, scratch, .. } = self;
        let state = stream.state;
        if let Some(spill) = &mut stream.spill {
            let pong = spill.unsent.pong.take();
            scratch.output.begin(spill.unsent.len(), pong);
            if !spill.unread.as_bytes().is_empty() {
                scratch.input.swap_bytes(&mut spill.unread);
                self.own_unread = true;
            }
        }
        if state.ended() && !state.broken {
            scratch.input.end_of_stream();
        }
        // Until the end is told, each call fails as the one did in which the transport failed.
        if let Some(failure) = stream.spill.as_ref().and_then(|spill| spill.failure)
            && stream.connection.goes_on()
        {
            self.failed = Some(failure.into());
        }
    }

    #[cold]
    fn leave(&mut self) {
        let is_clean = self.scratch.input.is_clean() && self.scratch.output.is_clean();
        if self.stream.spill.is_some() || self.failed.is_some() || !is_clean {
            self.stow();
        }
    }

    /// Gives the connection what it has to keep, and leaves the scratch clean.
    #[cold]
    fn stow(&mut self) {
        // That of a call which a handler left by a panic.
        self.keep_failure();
        self.restore();
        let WebSocketStream { connection, state, spill, .. } = &mut *self.stream;
        let unread = self.scratch.input.unread();
        if !unread.is_empty() {
            let unread = UnreadBytes::new(unread);
            spill.get_or_insert_default().unread = unread;
        }
        self.scratch.input.reset();
        let output = &mut self.scratch.output;
        let pong = output.take_pong();
        if !state.broken && (!output.as_bytes().is_empty() || pong.is_some()) {
            let unsent = &mut spill.get_or_insert_default().unsent;
            if unsent.is_empty() {
                unsent.since = output.now().map(Stamp::at);
            }
            let bound = connection.config().limits.unsent_bound();
            match unsent.is_empty().then(|| output.take_bytes(bound)).flatten() {
                Some((bytes, sent)) => unsent.take(bytes, sent),
                None => unsent.push(output.as_bytes(), bound),
            }
            unsent.pong = pong;
        }
        output.begin(0, None);
        output.shrink();
        if spill.as_ref().is_some_and(|spill| spill.is_empty()) {
            *spill = None;
        }
    }

    /// The stream keeps how the transport failed, until its end is reported.
    #[cold]
    pub(super) fn keep_failure(&mut self) {
        let WebSocketStream { connection, state, spill, .. } = &mut *self.stream;
        if let Some(error) = &self.failed {
            state.broken = true;
            if connection.goes_on() {
                spill.get_or_insert_default().failure.get_or_insert(SystemError::from(error));
            }
        }
        if !connection.goes_on()
            && let Some(spill) = spill
        {
            spill.failure = None;
        }
    }

    /// Whether the transport failed, in this call or before.
    #[inline]
    pub(super) fn has_failed(&self) -> bool {
        self.failed.is_some() || self.stream.state.broken
    }

    /// The stream's own unread bytes, used or not, go back to it, and the input's buffer to the input.
    #[inline]
    pub(super) fn restore(&mut self) {
        if self.own_unread
            && let Some(spill) = &mut self.stream.spill
        {
            self.own_unread = false;
            self.scratch.input.swap_bytes(&mut spill.unread);
            if spill.unread.as_bytes().is_empty() {
                spill.unread = UnreadBytes::default();
            }
        }
    }
}
