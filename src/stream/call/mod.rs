//! One call on a stream.
//!
//! The guard in this file borrows the stream's state and the thread's scratch. However the call ends, even by
//! an error or a panic of the handler, the stream then has all unfinished work and the scratch is clean.
//!
//! ```text
//! drive     the loop around the handler, and the phases of a call that is not ordinary
//! send      sending, and how this end ends a connection
//! receive   receiving, and when to pause it
//! ```
#![forbid(unsafe_code)]

mod drive;
mod receive;
mod send;

pub(super) use drive::{After, Never};

use super::state::StreamState;
use super::{Outgoing, Scratch, Turn};
use crate::protocol::{Input, Millis32, RecvBuffer, SystemError};
use crate::transport::NonBlockingTransport;
use std::io;

/// Borrows a stream and a scratch for one call, and cleans both up when dropped.
///
/// Generic over the transport, so that the compiler can inline the transport's calls.
pub(super) struct CallGuard<'a, T> {
    stream: &'a mut StreamState<T>,
    scratch: &'a mut Scratch,
    /// The stream's unread bytes are in the scratch's input, and the input's buffer is in the backlog.
    own_unread: bool,
    /// The error of a system call, after which nothing is sent.
    failed: Option<io::Error>,
}

/// The reason why a call stopped early.
pub(super) enum Stopped<E> {
    System(io::Error),
    Handler(E),
}

impl<E: From<io::Error>> Stopped<E> {
    /// Returns the error as the handler's type.
    pub(super) fn into_error(self) -> E {
        match self {
            Self::System(error) => error.into(),
            Self::Handler(error) => error,
        }
    }
}

impl<T> Drop for CallGuard<'_, T> {
    #[inline]
    fn drop(&mut self) {
        self.leave();
    }
}

impl<T: NonBlockingTransport> CallGuard<'_, T> {
    /// Returns what a handler sends with.
    #[inline]
    pub(super) fn out(&mut self) -> Outgoing<'_> {
        self.split().1
    }

    /// Returns the input, and what a handler sends with while the input is borrowed.
    #[inline]
    fn split(&mut self) -> (&mut Input, Outgoing<'_>) {
        let Self { stream, scratch, failed, .. } = self;
        let out = Outgoing {
            limits: &scratch.limits,
            transport: &mut stream.transport,
            connection: &mut stream.connection,
            output: &mut scratch.output,
            failed,
        };
        (&mut scratch.input, out)
    }
}

impl<'a, T> CallGuard<'a, T> {
    /// Lends the scratch to a stream. If the stream has a backlog, the caller must then call
    /// [`unpack`](Self::unpack).
    #[inline]
    pub(super) fn new(stream: &'a mut StreamState<T>, turn: &'a mut Turn<'_>) -> Self {
        turn.scratch.output.set_time(turn.now);
        turn.scratch.limits.load_for(stream.connection.shared_config());
        Self { stream, scratch: turn.scratch, own_unread: false, failed: None }
    }

    /// Lends the scratch to a stream, and puts the stream's backlog into it.
    pub(super) fn begin(stream: &'a mut StreamState<T>, turn: &'a mut Turn<'_>) -> Self {
        let mut call = Self::new(stream, turn);
        call.unpack();
        call
    }
}

impl<T> CallGuard<'_, T> {
    /// Puts the stream's backlog into the scratch.
    fn unpack(&mut self) {
        let Self { stream, scratch, .. } = self;
        if let Some(backlog) = &mut stream.backlog {
            let pong = backlog.unsent.pong.take();
            scratch.output.begin(backlog.unsent.len(), pong);
            if !backlog.unread.as_bytes().is_empty() {
                scratch.input.swap_bytes(&mut backlog.unread);
                self.own_unread = true;
            }
        }
        if stream.ended() && !stream.is_broken() {
            scratch.input.end_of_stream();
        }
        // Until the end is reported, each call fails with the error of the transport.
        if let Some(failure) = stream.backlog.as_ref().and_then(|backlog| backlog.failure)
            && stream.connection.can_receive()
        {
            self.failed = Some(failure.into());
        }
    }

    #[cold]
    fn leave(&mut self) {
        if std::thread::panicking() {
            // The handler has panicked, perhaps before everything was received.
            self.stream.expect_unannounced();
        }
        let is_clean = self.scratch.input.is_clean() && self.scratch.output.is_clean();
        if self.stream.backlog.is_some() || self.failed.is_some() || !is_clean {
            self.stow();
        }
    }

    /// Moves unfinished work into the stream's backlog, and cleans the scratch.
    #[cold]
    fn stow(&mut self) {
        // Not yet done if the handler panicked.
        self.keep_failure();
        self.restore();
        let is_broken = self.stream.is_broken();
        let StreamState { connection, backlog, .. } = &mut *self.stream;
        let unread = self.scratch.input.unread();
        if !unread.is_empty() {
            let unread = RecvBuffer::new(unread);
            backlog.get_or_insert_default().unread = unread;
        }
        self.scratch.input.reset();
        let output = &mut self.scratch.output;
        let pong = output.take_pong();
        if !is_broken && (!output.as_bytes().is_empty() || pong.is_some()) {
            let unsent = &mut backlog.get_or_insert_default().unsent;
            if unsent.is_empty() {
                unsent.since = output.now().map(Millis32::at);
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
        if backlog.as_ref().is_some_and(|backlog| backlog.is_empty()) {
            *backlog = None;
        }
    }

    /// Keeps the error of the transport until the end is reported.
    #[cold]
    fn keep_failure(&mut self) {
        if self.failed.is_some() {
            self.stream.break_off();
        }
        let now = self.scratch.output.now();
        let StreamState { connection, backlog, .. } = &mut *self.stream;
        if let Some(error) = &self.failed
            && connection.can_receive()
        {
            let backlog = backlog.get_or_insert_default();
            backlog.failure.get_or_insert(SystemError::from(error));
            backlog.failed_at = backlog.failed_at.or(now.map(Millis32::at));
        }
        if !connection.can_receive()
            && let Some(backlog) = backlog
        {
            backlog.failure = None;
        }
    }

    /// Returns whether the transport has failed, in this call or before.
    #[inline]
    fn has_failed(&self) -> bool {
        self.failed.is_some() || self.stream.is_broken()
    }

    /// Swaps back the buffers of [`unpack`](Self::unpack): the stream's unread bytes into the backlog, and
    /// the input's own buffer into the input.
    #[inline]
    fn restore(&mut self) {
        if self.own_unread
            && let Some(backlog) = &mut self.stream.backlog
        {
            self.own_unread = false;
            self.scratch.input.swap_bytes(&mut backlog.unread);
            if backlog.unread.as_bytes().is_empty() {
                backlog.unread = RecvBuffer::default();
            }
        }
    }
}
