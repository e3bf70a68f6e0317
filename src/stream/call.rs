//! One call on a stream: borrows the connection and the scratch, and leaves both clean on every way
//! out, a caller's error or panic included.
#![forbid(unsafe_code)]

use super::spill::Spill;
use super::{Interest, Outgoing, Ready};
use crate::protocol::{Cause, Connection, Event, Input, Output, Status, UnreadBytes};
use crate::transport::{NonBlockingTransport, Received, recv_checked, send_checked};
use std::io;

/// A payload of which so much is still missing is received straight into its message.
const DIRECT_RECEIVE: usize = 32 << 10;

/// Replies are gathered up to so many bytes before they are sent in the middle of a call.
const GATHER: usize = 64 << 10;

/// What became of the transport. Each is for good.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct TransportState {
    /// The peer ended its direction.
    pub(super) ended: bool,
    /// This end shut its own.
    pub(super) shut: bool,
    /// A system call failed, with this errno (0 where it had none): nothing goes out any more.
    pub(super) broken: Option<i32>,
}

impl TransportState {
    fn fail(&mut self, error: &io::Error) {
        self.broken.get_or_insert(error.raw_os_error().unwrap_or(0));
    }
}

/// Why a call stopped half-way.
pub(super) enum Stopped<E> {
    System(io::Error),
    Handler(E),
}

/// See the module.
pub(super) struct Call<'a, T> {
    pub(super) transport: &'a mut T,
    pub(super) connection: &'a mut Connection,
    pub(super) state: &'a mut TransportState,
    pub(super) spill: &'a mut Option<Box<Spill>>,
    pub(super) input: &'a mut Input,
    pub(super) output: &'a mut Output,
    /// The connection's own unread bytes lie in `input`, and the scratch's buffer in the spill.
    own_unread: bool,
}

impl<T> Drop for Call<'_, T> {
    fn drop(&mut self) {
        self.restore_input();
        let unread = self.input.unread();
        if !unread.is_empty() {
            let unread = UnreadBytes::new(unread);
            self.spill.get_or_insert_default().unread = unread;
        }
        self.input.reset();
        let pong = self.output.take_pong();
        if self.state.broken.is_none() && (!self.output.as_bytes().is_empty() || pong.is_some()) {
            let unsent = &mut self.spill.get_or_insert_default().unsent;
            unsent.push(self.output.as_bytes());
            unsent.pong = pong;
        }
        self.output.begin(0, None);
        if self.spill.as_ref().is_some_and(|spill| spill.is_empty()) {
            *self.spill = None;
        }
    }
}

impl<T> Call<'_, T> {
    /// The connection's own unread bytes, used or not, go back to it, and the scratch's buffer to the
    /// scratch.
    #[inline]
    fn restore_input(&mut self) {
        if self.own_unread
            && let Some(spill) = self.spill
        {
            self.own_unread = false;
            self.input.swap_bytes(&mut spill.unread);
            if spill.unread.as_bytes().is_empty() {
                spill.unread = UnreadBytes::default();
            }
        }
    }
}

impl<'a, T: NonBlockingTransport> Call<'a, T> {
    #[inline]
    pub(super) fn new(
        transport: &'a mut T,
        connection: &'a mut Connection,
        state: &'a mut TransportState,
        spill: &'a mut Option<Box<Spill>>,
        input: &'a mut Input,
        output: &'a mut Output,
    ) -> Self {
        let mut own_unread = false;
        if let Some(spill) = spill {
            let pong = spill.unsent.pong.take();
            output.begin(spill.unsent.as_bytes().len(), pong);
            if !spill.unread.as_bytes().is_empty() {
                input.swap_bytes(&mut spill.unread);
                own_unread = true;
            }
        }
        if state.ended {
            input.end_of_stream();
        }
        Self { transport, connection, state, spill, input, output, own_unread }
    }

    /// Everything a readiness asks for, in one call.
    #[inline]
    pub(super) fn run<E>(
        &mut self,
        ready: Ready,
        mut handler: impl FnMut(Event<'_>, &mut Outgoing<'_>) -> Result<(), E>,
    ) -> Result<Interest, Stopped<E>> {
        let mut failed = None;
        if ready.writable {
            self.flush(&mut failed);
        }
        let mut result = self.deadlines(&mut handler, &mut failed);
        if result.is_ok() {
            result = self.receive(ready, &mut handler, &mut failed);
        }
        self.flush_unblocked(&mut failed);
        let again = result.map_err(Stopped::Handler)?;
        if let Some(error) = &failed {
            self.state.fail(error);
        }
        if let Some(errno) = self.state.broken {
            // After the closing handshake, or a fault, a peer that is gone is no news.
            let news = matches!(self.connection.status(), Status::Open | Status::Closing);
            if let Some(event) = self.connection.transport_failed(errno) {
                self.give(event, &mut handler, &mut None).map_err(Stopped::Handler)?;
            }
            if let Some(error) = failed.filter(|_| news) {
                return Err(Stopped::System(error));
            }
        }
        self.half_close();
        Ok(self.interest(again))
    }

    fn deadlines<E>(
        &mut self,
        handler: &mut impl FnMut(Event<'_>, &mut Outgoing<'_>) -> Result<(), E>,
        failed: &mut Option<io::Error>,
    ) -> Result<bool, E> {
        if let Some(event) = self.connection.on_deadline(self.output) {
            self.give(event, handler, failed)?;
        }
        Ok(false)
    }

    /// Receives and hands out events until nothing is left, or the call's budget is. Tells whether
    /// to go on at once.
    #[inline]
    fn receive<E>(
        &mut self,
        ready: Ready,
        handler: &mut impl FnMut(Event<'_>, &mut Outgoing<'_>) -> Result<(), E>,
        failed: &mut Option<io::Error>,
    ) -> Result<bool, E> {
        let limits = &self.connection.config().limits;
        let (mut bytes, mut events) = (limits.call_bytes, limits.call_events);
        let mut more = ready.readable || ready.closed || self.transport.holds_input();
        loop {
            while let Some(event) = self.connection.receive(self.input, self.output) {
                let mut out = Outgoing::new(self.transport, self.connection, self.output, failed);
                handler(event, &mut out)?;
                if self.output.as_bytes().len() >= GATHER {
                    self.flush_unblocked(failed);
                }
                events = events.saturating_sub(1);
                if events == 0 && (more || !self.input.unread().is_empty()) {
                    return Ok(true);
                }
            }
            if !more || failed.is_some() || self.state.ended || self.state.broken.is_some() {
                return Ok(false);
            }
            if bytes == 0 {
                return Ok(true);
            }
            self.restore_input();
            let (received, room, direct) = match self.connection.direct_room(DIRECT_RECEIVE) {
                Some(room) => (recv_checked(self.transport, room), room.len(), true),
                None => {
                    let room = self.input.spare();
                    (recv_checked(self.transport, room), room.len(), false)
                }
            };
            match received {
                Ok(Received::Bytes(n)) => {
                    if direct {
                        self.connection.direct_filled(n, self.output);
                    } else {
                        self.input.filled(n);
                    }
                    bytes = bytes.saturating_sub(n);
                    // A short read has drained the socket; but its end is told only once by an
                    // edge-triggered poller, so then the reading goes on to the end.
                    more = n == room || ready.closed || self.transport.holds_input();
                }
                Ok(Received::WouldBlock) => return Ok(false),
                Ok(Received::End) => {
                    self.state.ended = true;
                    self.input.end_of_stream();
                }
                Err(error) => {
                    *failed = Some(error);
                    return Ok(false);
                }
            }
        }
    }

    fn give<E>(
        &mut self,
        event: Event<'_>,
        handler: &mut impl FnMut(Event<'_>, &mut Outgoing<'_>) -> Result<(), E>,
        failed: &mut Option<io::Error>,
    ) -> Result<(), E> {
        handler(event, &mut Outgoing::new(self.transport, self.connection, self.output, failed))
    }

    /// Sends what is unsent, unless the transport is known to take nothing now.
    #[inline]
    pub(super) fn flush_unblocked(&mut self, failed: &mut Option<io::Error>) {
        if self.output.may_send() {
            self.flush(failed);
        }
    }

    /// Sends what is unsent: what the connection kept, then what this call made.
    #[inline]
    pub(super) fn flush(&mut self, failed: &mut Option<io::Error>) {
        if failed.is_none()
            && self.state.broken.is_none()
            && let Err(error) = self.try_flush()
        {
            *failed = Some(error);
        }
        if let Some(error) = failed {
            self.state.fail(error);
        }
        if self.state.broken.is_some() {
            if let Some(spill) = self.spill {
                spill.unsent.clear();
            }
            self.output.begin(0, None);
        }
    }

    #[inline]
    fn try_flush(&mut self) -> io::Result<()> {
        if let Some(spill) = self.spill {
            let unsent = spill.unsent.as_bytes();
            if !unsent.is_empty() {
                let taken = send_checked(self.transport, unsent)?;
                spill.unsent.consume(taken);
                let left = spill.unsent.as_bytes().len();
                self.output.set_backlog(left);
                if left > 0 {
                    return Ok(());
                }
            }
        }
        if !self.output.as_bytes().is_empty() {
            let taken = send_checked(self.transport, self.output.as_bytes())?;
            self.output.consume(taken);
            // A pong that waited for its way to be free.
            if self.output.may_send() && !self.output.as_bytes().is_empty() {
                let taken = send_checked(self.transport, self.output.as_bytes())?;
                self.output.consume(taken);
            }
        }
        if self.transport.wants_write() {
            match self.transport.flush() {
                Err(error) if error.kind() != io::ErrorKind::WouldBlock => return Err(error),
                _ => {}
            }
        }
        Ok(())
    }

    /// Ends the sending direction once the last frame is out. The peer's end is then awaited: closing
    /// with unread input would reset the peer before it has read that frame.
    fn half_close(&mut self) {
        let done = matches!(self.connection.status(), Status::Finishing(_));
        if done && !self.state.shut && self.output.is_empty() && !self.transport.wants_write() {
            self.state.shut = true;
            // A transport that is already disconnected says so at the next receive.
            let _ = self.transport.shutdown_write();
        }
    }

    fn interest(&self, again: bool) -> Interest {
        let unsent = !self.output.is_empty() || self.transport.wants_write();
        let writable = unsent && self.state.broken.is_none();
        let over = match self.connection.status() {
            Status::Over(end) => !writable || matches!(end.cause, Cause::Deadline(_) | Cause::System(_)),
            _ => false,
        };
        Interest {
            readable: !self.state.ended && !over,
            writable: writable && !over,
            again: again && !over,
            over,
        }
    }
}
