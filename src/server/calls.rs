//! The calls of one connection: its opening, its events, and the end that a failed handler gives it.
#![forbid(unsafe_code)]

use super::failure::Failure;
use super::handler::Handler;
use super::opening::Step;
use super::peer::{Peer, cut};
use super::slot::{Flags, Stage};
use super::slots::Occupant;
use super::table::Table;
use crate::frame::CloseCode;
use crate::protocol::{Chunk, CloseFrame, Closed, Event, SendError, State};
use crate::stream::{Error, Ready, Sent, Wants};
use crate::transport::NonBlockingTransport;
use std::io;
use std::mem;

/// The reason why a call of a stream stopped early.
enum Stopped {
    /// The transport has failed. The end was delivered.
    Transport,
    Handler(Failure),
}

impl From<io::Error> for Stopped {
    fn from(_: io::Error) -> Self {
        Self::Transport
    }
}

/// Closes with a code that can be sent, and as much of the reason as fits.
pub(super) fn close(out: &mut crate::Outgoing<'_>, code: CloseCode, reason: &str) -> Result<(), SendError> {
    let code = if code.is_sendable() { code } else { CloseCode::INTERNAL_ERROR };
    out.close(code, cut(reason))
}

impl<T: NonBlockingTransport, S> Table<T, S> {
    /// Makes a call for a readiness or a timeout.
    ///
    /// Not inlined, so that it is compiled once for a handler, whose `message` can then be inlined.
    #[inline(never)]
    pub(super) fn call<H: Handler<Session = S>>(
        &mut self,
        key: usize,
        ready: Ready,
        now: u64,
        handler: &mut H,
    ) {
        if self.common.hub.in_handler {
            self.recover(now, handler);
        }
        let Self { slots, common } = self;
        if key >= slots.end() {
            return;
        }
        let slot = slots.any_mut(key);
        let (flags, generation) = (slot.flags, slot.generation());
        let Stage::Open(stream, session) = &mut slot.stage else {
            return self.advance(key, ready, now, handler);
        };
        if flags != Flags::NONE {
            if flags.has(Flags::QUEUED) {
                return slot.flags.defer(ready);
            }
            if flags.has(Flags::FAILED) {
                return self.drain(key, ready, now, handler);
            }
        }
        let hub = &mut common.hub;
        hub.enter(key, generation);
        // Each event has its own function, which gets only what is in it: so a message is never put into
        // memory as an event. A message is delivered in one place, so that the compiler can inline the
        // handler's method.
        let outcome = stream.try_drive_for_changes(&mut common.scratch.at(now), ready, |event, out| {
            let handled = match event {
                Event::Message(message) => {
                    hub.traffic.received(message.as_bytes().len());
                    handler.message(&mut Peer::new(out, hub), session, message)
                }
                Event::Ping(_) => Ok(()),
                Event::Chunk(chunk) => deliver_chunk(handler, Peer::new(out, hub), session, chunk),
                Event::Pong(payload) => deliver_pong(handler, Peer::new(out, hub), session, payload),
                Event::Close(frame) => deliver_close(handler, Peer::new(out, hub), session, frame),
                Event::Closed(end) => {
                    slot.flags.set(Flags::ENDED, true);
                    deliver_closed(handler, Peer::new(out, hub), session, end);
                    Ok(())
                }
            };
            match handled {
                Err(failure) if !failure.is_closed() => Err(Stopped::Handler(failure)),
                _ => Ok(()),
            }
        });
        hub.in_handler = false;
        match outcome {
            // After an ordinary call, there is nothing to note.
            Ok(None) if flags == Flags::NONE => {}
            Ok(wants) => self.settle(key, flags, Ok(wants.unwrap_or(Wants::READ)), now, handler),
            Err(stopped) => self.settle(key, flags, Err(stopped), now, handler),
        }
    }

    /// Does what follows from a call that was not ordinary.
    #[cold]
    #[inline(never)]
    fn settle<H: Handler<Session = S>>(
        &mut self,
        key: usize,
        flags: Flags,
        outcome: Result<Wants, Stopped>,
        now: u64,
        handler: &mut H,
    ) {
        match outcome {
            Ok(wants) => self.note(key, wants, now, handler),
            Err(Stopped::Handler(failure)) => self.fail(key, &failure, now, handler),
            Err(Stopped::Transport) => self.remove(key, now, handler),
        }
        if flags.has(Flags::UNSENT) && self.is_drained(key) {
            let missed = self.common.missed.remove(&key).unwrap_or(0);
            self.with_peer(key, now, handler, |handler, peer, session| {
                handler.drained(peer, session, missed)
            });
        }
    }

    /// Returns whether an open connection has no unsent bytes.
    fn is_drained(&self, key: usize) -> bool {
        let Some(slot) = self.slots.get(key) else { return false };
        let Stage::Open(stream, _) = &slot.stage else { return false };
        stream.state() == State::Open && !slot.flags.has(Flags::UNSENT) && !slot.flags.has(Flags::FAILED)
    }

    /// Calls a method of the handler outside of a call of the stream.
    pub(super) fn with_peer<H: Handler<Session = S>>(
        &mut self,
        key: usize,
        now: u64,
        handler: &mut H,
        method: impl FnOnce(&mut H, &mut Peer<'_>, &mut S) -> Result<(), Failure>,
    ) {
        let mut failure = None;
        let sent = self.lend(key, now, |peer, session| failure = method(handler, peer, session).err());
        let Some(sent) = sent else { return };
        match failure {
            Some(failure) if !failure.is_closed() => self.fail(key, &failure, now, handler),
            _ => self.note_sent(key, sent, now, handler),
        }
    }

    /// Does what follows from sending outside of a call of the stream.
    pub(super) fn note_sent<H: Handler<Session = S>>(
        &mut self,
        key: usize,
        sent: Result<Sent, Error>,
        now: u64,
        handler: &mut H,
    ) {
        let Self { slots, common } = self;
        let Some(slot) = slots.get_mut(key) else { return };
        if slot.is_unchanged(&sent) {
            return;
        }
        let Stage::Open(stream, _) = &slot.stage else { return };
        let wants = stream.wants();
        if slot.flags.has(Flags::UNSENT) && !wants.write {
            // Everything has left: the next call notes that, and the handler's `drained` is called.
            return common.queue(key, &mut slot.flags);
        }
        self.note(key, wants, now, handler);
    }

    /// Closes a connection whose handler has failed.
    #[cold]
    pub(super) fn fail<H: Handler<Session = S>>(
        &mut self,
        key: usize,
        failure: &Failure,
        now: u64,
        handler: &mut H,
    ) {
        if failure.error().is_some() {
            self.common.hub.cells.failures.add(1);
            // If the transport has failed, the next call of the stream reports it.
            let _ = self.lend(key, now, |peer, session| handler.failed(peer, session, failure));
        }
        let (code, reason) = failure.close_frame();
        self.close_failed(key, code, reason, now, handler);
    }

    /// Begins to close, and delivers nothing more to the handler but the end.
    fn close_failed<H: Handler<Session = S>>(
        &mut self,
        key: usize,
        code: CloseCode,
        reason: &str,
        now: u64,
        handler: &mut H,
    ) {
        let Self { slots, common } = self;
        let Some(slot) = slots.get_mut(key) else { return };
        let Stage::Open(stream, _) = &mut slot.stage else { return };
        slot.flags.set(Flags::FAILED, true);
        // If it is already closing, it continues to.
        let _ = stream.send_with(&mut common.scratch.at(now), |out| close(out, code, reason));
        // After a panic, some replies were not sent yet, though the transport may take them.
        slot.flags.defer(Ready::UNKNOWN);
        // The rest of the input is still to be used, to find the peer's Close frame.
        let wants = Wants { again: true, ..stream.wants() };
        self.note(key, wants, now, handler);
    }

    /// Makes a call on a connection whose handler has failed.
    #[cold]
    fn drain<H: Handler<Session = S>>(&mut self, key: usize, ready: Ready, now: u64, handler: &mut H) {
        let Self { slots, common } = self;
        let Some(slot) = slots.get_mut(key) else { return };
        let generation = slot.generation();
        let Stage::Open(stream, session) = &mut slot.stage else { return };
        let (hub, flags) = (&mut common.hub, &mut slot.flags);
        hub.enter(key, generation);
        let outcome = stream.drive(&mut common.scratch.at(now), ready, |event, out| {
            if let Event::Closed(end) = event {
                flags.set(Flags::ENDED, true);
                deliver_closed(handler, Peer::new(out, hub), session, end);
            }
            Ok(())
        });
        common.hub.in_handler = false;
        match outcome {
            Ok(wants) => self.note(key, wants, now, handler),
            Err(_) => self.remove(key, now, handler),
        }
    }

    /// Closes the connection whose handler has panicked, if one has.
    #[cold]
    pub(super) fn recover<H: Handler<Session = S>>(&mut self, now: u64, handler: &mut H) {
        if !mem::take(&mut self.common.hub.in_handler) {
            return;
        }
        self.common.hub.in_note = false;
        let key = self.common.hub.key;
        let Some(slot) = self.slots.get_mut(key) else { return };
        match &slot.stage {
            // The handler has failed again, when its failure or the end was delivered.
            Stage::Open(..) if slot.flags.has(Flags::FAILED) => self.remove(key, now, handler),
            // Also at its own end: the last bytes are still to be sent.
            Stage::Open(stream, _)
                if !slot.flags.has(Flags::ENDED) || matches!(stream.state(), State::Closed(_)) =>
            {
                self.common.hub.cells.panics.add(1);
                self.close_failed(key, CloseCode::INTERNAL_ERROR, "", now, handler);
            }
            Stage::Open(..) | Stage::Opening(_) | Stage::Vacant => {
                self.common.hub.cells.panics.add(1);
                self.remove(key, now, handler);
            }
        }
    }

    /// Advances an opening. If it is then open, the handler is called, and the stream's first call follows.
    #[cold]
    fn advance<H: Handler<Session = S>>(&mut self, key: usize, ready: Ready, now: u64, handler: &mut H) {
        let Self { slots, common } = self;
        let Some(slot) = slots.get_mut(key) else { return };
        if slot.flags.has(Flags::QUEUED) {
            return slot.flags.defer(ready);
        }
        let generation = slot.generation();
        let Stage::Opening(opening) = &mut slot.stage else { return };
        common.hub.enter(key, generation);
        let step = opening.advance(&mut common.hub, &mut common.scratch.at(now), now, &common.terms, handler);
        common.hub.in_handler = false;
        let cells = &common.hub.cells;
        match step {
            Step::Wait(wants) => return self.note(key, wants, now, handler),
            Step::Open => {}
            Step::Answered { is_upgrade } => {
                if is_upgrade { &cells.refused } else { &cells.http }.add(1);
                return self.remove(key, now, handler);
            }
            Step::Failed => {
                cells.failed_openings.add(1);
                return self.remove(key, now, handler);
            }
        }
        if let Stage::Opening(opening) = mem::replace(&mut slot.stage, Stage::Vacant)
            && let Some((stream, session)) = opening.into_stream()
        {
            slot.stage = Stage::Open(stream, session);
        }
        cells.opening.subtract(1);
        self.opened(key, now, handler, |handler, peer, session| handler.opened(peer, session));
    }
}

#[cold]
#[inline(never)]
fn deliver_chunk<H: Handler>(
    handler: &mut H,
    mut peer: Peer<'_>,
    session: &mut H::Session,
    chunk: Chunk<'_>,
) -> Result<(), Failure> {
    let traffic = &mut peer.hub.traffic;
    traffic.bytes_received += chunk.as_bytes().len() as u64;
    traffic.messages_received += u64::from(chunk.is_last());
    handler.chunk(&mut peer, session, chunk)
}

#[cold]
#[inline(never)]
fn deliver_pong<H: Handler>(
    handler: &mut H,
    mut peer: Peer<'_>,
    session: &mut H::Session,
    payload: &[u8],
) -> Result<(), Failure> {
    handler.pong(&mut peer, session, payload)
}

#[cold]
#[inline(never)]
fn deliver_close<H: Handler>(
    handler: &mut H,
    mut peer: Peer<'_>,
    session: &mut H::Session,
    frame: CloseFrame<'_>,
) -> Result<(), Failure> {
    handler.close(&mut peer, session, frame)
}

#[cold]
#[inline(never)]
fn deliver_closed<H: Handler>(handler: &mut H, mut peer: Peer<'_>, session: &mut H::Session, end: Closed) {
    peer.hub.cells.count_end(end);
    handler.closed(&mut peer, session, end);
}
