//! What a stream can be asked between two calls.
#![forbid(unsafe_code)]

use super::transport_state::Incoming;
use super::{Interest, WebSocketStream};
use crate::protocol::{Config, Role, Status};
use crate::transport::NonBlockingTransport;

impl<T: NonBlockingTransport> WebSocketStream<T> {
    /// What it wants of the event loop now, after a call other than [`drive`](Self::drive), say.
    pub fn interest(&self) -> Interest {
        let unsent = self.unsent() > 0 || self.transport.wants_write();
        let unread = self.spill.as_ref().is_some_and(|spill| !spill.unread.as_bytes().is_empty());
        let again = unread || self.state.incoming == Incoming::ToTheEnd || self.state.broken;
        let interest = self.state.interest(&self.connection, unsent, again && !self.state.paused);
        // A call that only sends has failed, and the end is not reported yet.
        Interest { over: interest.over || self.state.broken, ..interest }
    }

    /// When [`drive`](Self::drive) next wants to be called though nothing is ready, in the caller's
    /// milliseconds; `None` for never.
    ///
    /// Only closing, bytes that come to be unsent, and compressing with takeover bring it forward. Where a
    /// timer runs for this stream already, it is enough to ask again when it has run out, after
    /// [`close`](Self::close), and where [`Interest::writable`] is set or [`status`](Self::status) is not
    /// open; what compression remembers is then given back when that timer has run out.
    ///
    /// Where it is not known since when a deadline counts, it is `now`: before the first call that was told
    /// a time, and behind a [`read`](Self::read) or [`write`](Self::write), which know none. It counts from
    /// the `drive` that is then made.
    ///
    /// ```
    /// use std::sync::Arc;
    /// use websocket_stream::transport::memory;
    /// use websocket_stream::{Cause, Config, Deadline, Deadlines, Event, Ready, Role, Scratch, WebSocketStream};
    ///
    /// let deadlines = Deadlines { ping: Some(20_000), silence: Some(30_000), ..Deadlines::default() };
    /// let config = Arc::new(Config { deadlines, ..Config::default() });
    /// let (a, _silent) = memory::pair(4096);
    /// let mut stream = WebSocketStream::with_config(a, Role::Server, config)?;
    /// let mut scratch = Scratch::new();
    /// let _ = stream.drive(&mut scratch.at(1_000), Ready::NONE, |_, _| Ok(()))?;
    ///
    /// let mut cause = None;
    /// while let Some(at) = stream.next_deadline(1_000).filter(|_| cause.is_none()) {
    ///     // A timer has waited until `at`: to send a ping, then to give the peer up.
    ///     let _ = stream.drive(&mut scratch.at(at), Ready::NONE, |event, _| {
    ///         if let Event::End(end) = event {
    ///             cause = Some((at, end.cause));
    ///         }
    ///         Ok(())
    ///     })?;
    /// }
    /// assert_eq!(cause, Some((31_000, Cause::Deadline(Deadline::Silence))));
    /// # Ok::<(), websocket_stream::Error>(())
    /// ```
    pub fn next_deadline(&self, now: u64) -> Option<u64> {
        let deadline = self.connection.next_deadline(now);
        let is_over = matches!(self.status(), Status::Over(_)) && !self.state.broken;
        let unsent = match &self.spill {
            Some(spill) if !spill.unsent.is_empty() => {
                self.connection.unsent_deadline(spill.unsent.since, now)
            }
            // The last bytes, which the transport holds.
            _ if is_over && self.transport.wants_write() => self.connection.linger_deadline(now),
            _ => None,
        };
        deadline.into_iter().chain(unsent).min()
    }
}

impl<T> WebSocketStream<T> {
    /// Which end of the connection it is.
    pub fn role(&self) -> Role {
        self.connection.role()
    }

    /// What the connection is doing; how it ended, if it has.
    pub fn status(&self) -> Status {
        self.connection.status()
    }

    /// The payload so far of a message of which only a part is there; nothing of one that is compressed,
    /// or told [in parts](crate::Config::in_parts).
    pub fn partial(&self) -> Option<&[u8]> {
        self.connection.partial()
    }

    /// How many bytes were accepted for sending and not yet taken by the transport.
    pub fn unsent(&self) -> usize {
        self.spill.as_ref().map_or(0, |spill| spill.unsent.all())
    }

    /// How many of them lie before the end of the frame that was accepted last: a pong that waits for
    /// its way goes out behind it.
    pub(super) fn unsent_frames(&self) -> usize {
        self.spill.as_ref().map_or(0, |spill| spill.unsent.len())
    }

    /// The heap bytes that it holds now, beside what its transport holds and a shared configuration:
    /// 0 when idle.
    pub fn held(&self) -> usize {
        self.connection.held() + self.spill.as_ref().map_or(0, |spill| spill.held())
    }

    /// Its configuration.
    pub fn config(&self) -> &Config {
        self.connection.config()
    }

    /// The transport; a socket's descriptor is the stream's own, too (`AsFd`, `AsRawFd`).
    pub fn get_ref(&self) -> &T {
        &self.transport
    }

    /// The transport. Sending or receiving on it directly tears the frames.
    pub fn get_mut(&mut self) -> &mut T {
        &mut self.transport
    }
}
