//! The table of connections, and what is noted about a connection after each call.
#![forbid(unsafe_code)]

use super::handler::Handler;
use super::hub::Hub;
use super::opening::Terms;
use super::peer::Peer;
use super::shutdown::Departure;
use super::slot::{Flags, Slot, Stage};
use super::slots::{self, Id, Occupant, Slots};
use crate::frame::CloseCode;
use crate::protocol::{Cause, Closed, Initiator, Message, State};
use crate::stream::{Error, PreparedMessage, Scratch, Sent, Wants};
use crate::transport::NonBlockingTransport;
use crate::wheel::Wheel;
use std::collections::{HashMap, VecDeque};

pub(super) struct Table<T, S> {
    pub(super) slots: Slots<Slot<T, S>>,
    pub(super) common: Common<T>,
}

/// What the connections share, apart from the table, so that both can be borrowed.
pub(super) struct Common<T> {
    pub(super) terms: Terms<T>,
    pub(super) scratch: Scratch,
    pub(super) hub: Hub,
    /// When to call each connection although nothing is ready.
    pub(super) wheel: Wheel,
    /// Connections that asked for another call.
    pub(super) queue: VecDeque<usize>,
    /// The unsent bytes that were counted, of each connection that has some.
    pub(super) unsent: HashMap<usize, usize>,
    /// The number of published messages that each slow peer has missed.
    pub(super) missed: HashMap<usize, u64>,
    /// What has changed for the poller, if changes are tracked.
    /// Each with the generation of its slot.
    pub(super) changes: Option<VecDeque<(u32, Change<T>)>>,
    /// The connections that are being closed for a shutdown.
    pub(super) departure: Option<Departure>,
    /// The interval of the handler's ticks in milliseconds, and the time of the next one.
    pub(super) tick: Option<u64>,
    pub(super) next_tick: Option<u64>,
}

/// Something that a poller which is not edge-triggered must know.
///
/// ```
/// # use websocket_stream::Message;
/// # use websocket_stream::server::{Failure, Handler, Peer};
/// use websocket_stream::server::{Change, Connections, ServerConfig};
/// use websocket_stream::{Ready, transport::testing::memory};
/// # struct Quiet;
/// # impl Handler for Quiet {
/// #     type Session = ();
/// #     fn message(&mut self, _: &mut Peer<'_>, _: &mut (), _: Message<'_>) -> Result<(), Failure> {
/// #         Ok(())
/// #     }
/// # }
///
/// let mut connections = Connections::new(ServerConfig::default()).track_wants();
/// let (a, client) = memory::pair(4096);
/// let key = connections.insert(a, None, 0)?;
/// drop(client);
/// connections.ready(key, Ready::READABLE, 0, &mut Quiet);
/// connections.turn(0, &mut Quiet);
/// while let Some(change) = connections.next_change() {
///     match change {
///         Change::Wants { key: _, wants: _ } => {} // tell the poller what to wait for
///         Change::Gone { key: gone, transport: _ } => assert_eq!(gone, key), // and what no longer
///     }
/// }
/// # assert!(connections.is_empty());
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
pub enum Change<T> {
    /// The connection waits for something else than before.
    /// [`Connections::transport`](super::Connections::transport) returns its transport.
    Wants {
        /// The key of the connection.
        key: usize,
        /// What it waits for.
        wants: Wants,
    },
    /// The connection has ended: remove the transport from the poller, and drop it.
    Gone {
        /// The key that the connection had. Another one may have it by now.
        key: usize,
        /// The transport.
        transport: T,
    },
}

impl<T> Common<T> {
    /// Encodes a message for many connections, and compresses it if connections are compressed.
    pub(super) fn prepare(&mut self, message: Message<'_>, now: u64) -> PreparedMessage {
        #[cfg(feature = "deflate")]
        if let Some(deflate) = &self.terms.connection.deflate {
            return PreparedMessage::compressed(&mut self.scratch.at(now), message, deflate);
        }
        let _ = now;
        PreparedMessage::new(message)
    }

    /// Calls the handler if a tick is due. The first one is due an interval after the first call.
    pub(super) fn tick<H: Handler>(&mut self, now: u64, handler: &mut H) {
        let Some(interval) = self.tick else { return };
        let due = self.next_tick.filter(|&at| at <= now);
        if due.is_some() || self.next_tick.is_none() {
            // At the pace of the first one, unless several are missed.
            let next = due.unwrap_or(now).saturating_add(interval);
            self.next_tick = Some(if next > now { next } else { now.saturating_add(interval) });
        }
        if due.is_some() {
            handler.tick(&mut self.hub);
        }
    }

    /// Puts a connection into the queue of those that need another call.
    pub(super) fn queue(&mut self, key: usize, flags: &mut Flags) {
        if !flags.has(Flags::QUEUED) {
            flags.set(Flags::QUEUED, true);
            self.queue.push_back(key);
        }
    }

    /// Counts the unsent bytes of a connection.
    fn count_unsent(&mut self, key: usize, unsent: usize) {
        let counted = match unsent {
            0 if self.unsent.is_empty() => return,
            0 => self.unsent.remove(&key),
            _ => self.unsent.insert(key, unsent),
        };
        let cell = &self.hub.cells.unsent;
        cell.set(cell.get().wrapping_add(unsent as u64).wrapping_sub(counted.unwrap_or(0) as u64));
    }

    /// Notes what a connection waits for.
    fn note_wants(&mut self, key: usize, generation: u32, flags: &mut Flags, wants: Wants) {
        if wants.again {
            self.queue(key, flags);
        }
        let is_new = flags.has(Flags::UNSENT) != wants.write || flags.has(Flags::PAUSED) == wants.read;
        if is_new {
            flags.set(Flags::UNSENT, wants.write);
            flags.set(Flags::PAUSED, !wants.read);
            if let Some(changes) = &mut self.changes {
                changes.push_back((generation, Change::Wants { key, wants }));
            }
        }
    }
}

impl<T: NonBlockingTransport, S> Table<T, S> {
    pub(super) fn id(&self, key: usize) -> Option<Id> {
        let slot = self.slots.get(key)?;
        Some(slots::id(self.common.hub.thread, key, slot.generation()))
    }

    /// Notes what a connection waits for after a call, and when it must be called again.
    pub(super) fn note<H: Handler<Session = S>>(
        &mut self,
        key: usize,
        wants: Wants,
        now: u64,
        handler: &mut H,
    ) {
        let Self { slots, common } = self;
        let Some(slot) = slots.get_mut(key) else { return };
        if wants.closed && !wants.again {
            return self.remove(key, now, handler);
        }
        if slot.flags.has(Flags::ENDED) {
            // Only its last bytes are still to be sent.
            common.hub.topics.forget(key);
        }
        if let Stage::Open(stream, _) = &slot.stage {
            common.count_unsent(key, stream.unsent());
        }
        let generation = slot.generation();
        common.note_wants(key, generation, &mut slot.flags, wants);
        self.set_timer(key, now);
    }

    /// Sets the timer of a connection.
    pub(super) fn set_timer(&mut self, key: usize, now: u64) {
        let Self { slots, common } = self;
        let at = match slots.get(key).map(|slot| &slot.stage) {
            Some(Stage::Opening(opening)) => opening.next_deadline(&common.terms, now),
            Some(Stage::Open(stream, _)) => stream.next_deadline(now),
            Some(Stage::Vacant) | None => None,
        };
        if let Some(at) = at {
            common.wheel.set(key, at);
        }
    }

    /// Removes a connection that is not open yet.
    pub(super) fn discard(&mut self, key: usize) -> Option<T> {
        let Self { slots, common } = self;
        let slot = slots.get_mut(key)?;
        if let Stage::Open(..) = slot.stage {
            return None;
        }
        let Stage::Opening(opening) = std::mem::replace(&mut slot.stage, Stage::Vacant) else { return None };
        slot.flags = Flags::NONE;
        slots.vacate(key);
        common.wheel.remove(key);
        let cells = &common.hub.cells;
        cells.opening.subtract(1);
        cells.failed_openings.add(1);
        opening.into_transport()
    }

    /// Removes a connection that has ended. One that has not is dropped: the time to close is over.
    pub(super) fn remove<H: Handler<Session = S>>(&mut self, key: usize, now: u64, handler: &mut H) {
        self.remove_for(Cause::Timeout(crate::Timeout::Close), key, now, handler);
    }

    /// Removes a connection, for this reason if it has not ended.
    pub(super) fn remove_for<H: Handler<Session = S>>(
        &mut self,
        cause: Cause,
        key: usize,
        now: u64,
        handler: &mut H,
    ) {
        self.deliver_end(cause, key, now, handler);
        let Self { slots, common } = self;
        let Some(slot) = slots.get_mut(key) else { return };
        common.hub.topics.forget(key);
        common.wheel.remove(key);
        common.missed.remove(&key);
        common.count_unsent(key, 0);
        let cells = &common.hub.cells;
        let transport = match std::mem::replace(&mut slot.stage, Stage::Vacant) {
            Stage::Opening(opening) => {
                cells.opening.subtract(1);
                opening.into_transport()
            }
            Stage::Open(stream, _) => {
                cells.open.subtract(1);
                Some(stream.into_parts().transport)
            }
            Stage::Vacant => None,
        };
        slot.flags = Flags::NONE;
        let generation = slot.generation();
        slots.vacate(key);
        if let (Some(changes), Some(transport)) = (&mut common.changes, transport) {
            changes.push_back((generation, Change::Gone { key, transport }));
        }
    }

    /// Delivers the end of an open connection, unless it was delivered: it is dropped for a reason, or came
    /// here when it had ended.
    fn deliver_end<H: Handler<Session = S>>(&mut self, cause: Cause, key: usize, now: u64, handler: &mut H) {
        let Some(slot) = self.slots.get_mut(key) else { return };
        let Stage::Open(stream, _) = &slot.stage else { return };
        if slot.flags.has(Flags::ENDED) {
            return;
        }
        slot.flags.set(Flags::ENDED, true);
        let end = match stream.state() {
            State::Closed(end) | State::Draining(end) => end,
            State::Open | State::Closing => {
                let by = match cause {
                    Cause::System(_) => Initiator::Transport,
                    _ => Initiator::Local,
                };
                Closed { code: CloseCode::ABNORMAL, by, cause }
            }
        };
        self.common.hub.cells.count_end(end);
        // It is dropped, so its transport may fail.
        let _ = self.lend(key, now, |peer, session| handler.closed(peer, session, end));
    }

    /// Lends an open connection to a method of the handler, outside of a call of the stream. Returns the
    /// result of what was sent, or `None` if the connection is not open.
    pub(super) fn lend(
        &mut self,
        key: usize,
        now: u64,
        method: impl FnOnce(&mut Peer<'_>, &mut S),
    ) -> Option<Result<Sent, Error>> {
        let Self { slots, common } = self;
        let slot = slots.get_mut(key)?;
        let generation = slot.generation();
        let Stage::Open(stream, session) = &mut slot.stage else { return None };
        let hub = &mut common.hub;
        hub.enter(key, generation);
        let sent = stream.send_with(&mut common.scratch.at(now), |out| {
            method(&mut Peer::new(out, hub), session);
            Ok(())
        });
        common.hub.in_handler = false;
        Some(sent)
    }
}
