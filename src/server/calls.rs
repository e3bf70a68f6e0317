//! The calls of one connection: its opening, its events, and the end that a failed handler gives it.
#![forbid(unsafe_code)]

use super::handler::{Failure, Handler};
use super::opening::Step;
use super::peer::Peer;
use super::slot::{Flags, Stage};
use super::slots::{self, Occupant};
use super::table::Table;
use crate::frame::CloseCode;
use crate::protocol::{Cause, Event, SendError, State};
use crate::stream::{Error, Ready, Sent, Wants};
use crate::transport::NonBlockingTransport;
use std::io;
use std::mem;

/// A call on a stream stopped: the handler has failed, or the transport has.
struct Stopped;

impl From<io::Error> for Stopped {
    fn from(_: io::Error) -> Self {
        Self
    }
}

/// The longest reason of a Close frame in bytes.
const MAX_REASON: usize = 123;

/// Closes with a code that can be sent, and as much of the reason as fits.
pub(super) fn close(out: &mut crate::Outgoing<'_>, code: CloseCode, reason: &str) -> Result<(), SendError> {
    let code = if code.is_sendable() { code } else { CloseCode::INTERNAL_ERROR };
    let fits = (0..=MAX_REASON.min(reason.len())).rev().find(|&end| reason.is_char_boundary(end));
    out.close(code, &reason[..fits.unwrap_or(0)])
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
        if self.common.in_handler {
            self.recover(now, handler);
        }
        let Self { slots, common } = self;
        let Some(slot) = slots.get_mut(key) else { return };
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
        common.enter(slots::id(common.hub.thread, key, generation));
        let hub = &mut common.hub;
        let slot_flags = &mut slot.flags;
        let mut failure = None;
        let outcome = stream.try_drive(&mut common.scratch.at(now), ready, |event, out| {
            let peer = &mut Peer { out: out.reborrow(), hub: &mut *hub };
            let handled = match event {
                Event::Message(message) => {
                    peer.hub.traffic.received(message.as_bytes().len());
                    handler.message(peer, session, message)
                }
                event => handle(handler, peer, session, event, slot_flags),
            };
            match handled {
                Err(error) if !error.is_closed() => {
                    failure = Some(error);
                    Err(Stopped)
                }
                _ => Ok(()),
            }
        });
        common.in_handler = false;
        match outcome {
            // An ordinary call: there is nothing to note, and nothing has made the deadline earlier.
            Ok(wants)
                if flags == Flags::NONE
                    && ready.readable
                    && !ready.closed
                    && !common.hub.closes
                    && wants.read
                    && !wants.write
                    && !wants.again
                    && !wants.closed => {}
            outcome => self.settle(key, flags, outcome, failure, now, handler),
        }
    }

    /// Does what follows from a call that was not ordinary.
    #[cold]
    fn settle<H: Handler<Session = S>>(
        &mut self,
        key: usize,
        flags: Flags,
        outcome: Result<Wants, Stopped>,
        failure: Option<Failure>,
        now: u64,
        handler: &mut H,
    ) {
        match (outcome, failure) {
            (Ok(wants), _) => self.note(key, wants, now, handler),
            (Err(Stopped), Some(failure)) => self.fail(key, &failure, now, handler),
            // The transport has failed. The end was delivered.
            (Err(Stopped), None) => self.remove(key, now, handler),
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
        let Some(id) = self.id(key) else { return };
        let Self { slots, common } = self;
        let Some(slot) = slots.get_mut(key) else { return };
        let Stage::Open(stream, session) = &mut slot.stage else { return };
        common.enter(id);
        let hub = &mut common.hub;
        let mut failure = None;
        let sent = stream.send_with(&mut common.scratch.at(now), |out| {
            let peer = &mut Peer { out: out.reborrow(), hub: &mut *hub };
            failure = method(handler, peer, session).err();
            Ok(())
        });
        common.in_handler = false;
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
        let Some(slot) = self.slots.get_mut(key) else { return };
        let Stage::Open(stream, _) = &slot.stage else { return };
        let wants = stream.wants();
        match sent {
            // Nothing has changed.
            Ok(Sent::Written) if wants == Wants::READ && slot.flags == Flags::NONE => {}
            _ => self.note(key, wants, now, handler),
        }
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
            self.with_peer_only(key, now, |peer, session| handler.failed(peer, session, failure));
        }
        let (code, reason) = failure.close_frame();
        self.close_failed(key, code, reason, now, handler);
    }

    /// Calls a method that cannot fail.
    fn with_peer_only(&mut self, key: usize, now: u64, method: impl FnOnce(&mut Peer<'_>, &mut S)) {
        let Some(id) = self.id(key) else { return };
        let Self { slots, common } = self;
        let Some(slot) = slots.get_mut(key) else { return };
        let Stage::Open(stream, session) = &mut slot.stage else { return };
        common.enter(id);
        let hub = &mut common.hub;
        // If the transport has failed, the next call of the stream reports it.
        let _ = stream.send_with(&mut common.scratch.at(now), |out| {
            method(&mut Peer { out: out.reborrow(), hub: &mut *hub }, session);
            Ok(())
        });
        common.in_handler = false;
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
        let Some(id) = self.id(key) else { return };
        let Self { slots, common } = self;
        let Some(slot) = slots.get_mut(key) else { return };
        let Stage::Open(stream, session) = &mut slot.stage else { return };
        common.enter(id);
        let (hub, flags) = (&mut common.hub, &mut slot.flags);
        let outcome = stream.drive(&mut common.scratch.at(now), ready, |event, out| {
            if let Event::Closed(_) = event {
                let peer = &mut Peer { out: out.reborrow(), hub: &mut *hub };
                // The end cannot fail.
                let _ = handle(handler, peer, session, event, flags);
            }
            Ok(())
        });
        common.in_handler = false;
        match outcome {
            Ok(wants) => self.note(key, wants, now, handler),
            Err(_) => self.remove(key, now, handler),
        }
    }

    /// Closes the connection whose handler has panicked, if one has.
    #[cold]
    pub(super) fn recover<H: Handler<Session = S>>(&mut self, now: u64, handler: &mut H) {
        if !mem::take(&mut self.common.in_handler) {
            return;
        }
        let key = self.common.hub.peer.slot();
        let Some(slot) = self.slots.get_mut(key) else { return };
        match &slot.stage {
            // The handler has failed again, when its failure or the end was delivered.
            Stage::Open(..) if slot.flags.has(Flags::FAILED) => self.remove(key, now, handler),
            Stage::Open(..) => {
                self.common.hub.cells.panics.add(1);
                self.close_failed(key, CloseCode::INTERNAL_ERROR, "", now, handler);
            }
            Stage::Opening(_) | Stage::Vacant => {
                self.common.hub.cells.panics.add(1);
                self.remove(key, now, handler);
            }
        }
    }

    /// Advances an opening, and calls the stream at once if it is then open.
    #[cold]
    fn advance<H: Handler<Session = S>>(&mut self, key: usize, ready: Ready, now: u64, handler: &mut H) {
        let Some(id) = self.id(key) else { return };
        let Self { slots, common } = self;
        let Some(slot) = slots.get_mut(key) else { return };
        if slot.flags.has(Flags::QUEUED) {
            return slot.flags.defer(ready);
        }
        let Stage::Opening(opening) = &mut slot.stage else { return };
        common.enter(id);
        let step =
            opening.advance(id, &mut common.hub, &mut common.scratch.at(now), now, &common.terms, handler);
        common.in_handler = false;
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
            slot.flags.set(Flags::ASKS, common.asks_always);
        }
        cells.opening.subtract(1);
        cells.opened.add(1);
        cells.open.add(1);
        self.with_peer(key, now, handler, |handler, peer, session| handler.opened(peer, session));
        if self.common.terms.shutting_down {
            // It was accepted before.
            self.close_for_shutdown(key, now, handler);
        }
        self.call(key, Ready::UNKNOWN, now, handler);
    }
}

/// Delivers an event that is not a message.
#[inline(never)]
fn handle<H: Handler>(
    handler: &mut H,
    peer: &mut Peer<'_>,
    session: &mut H::Session,
    event: Event<'_>,
    flags: &mut Flags,
) -> Result<(), Failure> {
    match event {
        // Delivered in one place only, so that the compiler can inline the handler's method.
        Event::Message(_) | Event::Ping(_) => Ok(()),
        Event::Chunk(chunk) => {
            let traffic = &mut peer.hub.traffic;
            traffic.bytes_received += chunk.as_bytes().len() as u64;
            traffic.messages_received += u64::from(chunk.is_last());
            handler.chunk(peer, session, chunk)
        }
        Event::Pong(payload) => handler.pong(peer, session, payload),
        Event::Close(frame) => {
            peer.hub.closes = true;
            handler.close(peer, session, frame)
        }
        Event::Closed(end) => {
            peer.hub.closes = true;
            flags.set(Flags::ENDED, true);
            let cells = &peer.hub.cells;
            if end.is_clean() { &cells.closed_cleanly } else { &cells.closed_abnormally }.add(1);
            if let Cause::Fault(fault) = end.cause {
                cells.count_fault(fault);
            }
            handler.closed(peer, session, end);
            Ok(())
        }
    }
}
