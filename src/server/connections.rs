//! Everything between a poller and the streams of a thread, for any poller and any transport.
//!
//! The rules of [`guarantees`](crate::guarantees#edge--and-level-triggered-pollers) are code here:
//!
//! ```text
//! rule 1   `opened` in adopt.rs calls a new stream
//! rule 2   Ready::closed goes into the call
//! rule 3   `call` in calls.rs defers what is reported of a queued connection; `turn` calls the queue last
//! rule 4   `fail` in calls.rs queues the connection
//! rule 5   `note` in table.rs asks for the deadline, unless the call was ordinary
//! ```
#![forbid(unsafe_code)]

use super::config::ServerConfig;
use super::counters::{Cells, Counters};
use super::handler::Handler;
use super::hub::Hub;
use super::opening::{ContinueWith, Opening, Terms};
use super::secure::TlsState;
use super::shutdown::{Departure, Shutdown};
use super::slot::{Flags, Slot, Stage};
use super::slots::{Id, Occupant, Slots};
use super::table::{Change, Common, Table};
use crate::protocol::Cause;
use crate::stream::{Ready, Scratch, Wants, WebSocketStream};
use crate::transport::NonBlockingTransport;
use crate::wheel::Wheel;
use std::any::Any;
use std::collections::{HashMap, VecDeque};
use std::io::{self, ErrorKind};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

/// The precision of timeouts in milliseconds.
const TICK: u32 = 1000;

/// The connections of one thread: from accepted transports to their ends, with a [`Handler`].
///
/// This is the part of a [`Server`](super::Server) that needs no poller: it works with epoll, mio, `polling`,
/// io_uring's poll, or a test. It reads no clock, makes no thread and has no descriptor of its own.
///
/// Each round of the event loop:
///
/// 1. waits for events, at most [`timeout`](Self::timeout);
/// 2. calls [`ready`](Self::ready) for each connection that the poller reports, and
///    [`insert`](Self::insert) for each new transport;
/// 3. calls [`turn`](Self::turn), which does everything else: connections that need another call, timeouts,
///    and messages from one connection to others.
///
/// With an edge-triggered poller, register each transport once, for both directions. With any other poller,
/// see [`track_wants`](Self::track_wants).
///
/// ```
/// use websocket_stream::server::{Connections, Failure, Handler, Peer, ServerConfig};
/// use websocket_stream::transport::testing::memory;
/// use websocket_stream::{ClientOpening, ClientRequest, Message, Progress, Ready, Scratch};
///
/// struct Echo;
///
/// impl Handler for Echo {
///     type Session = ();
///
///     fn message(&mut self, peer: &mut Peer<'_>, _: &mut (), message: Message<'_>) -> Result<(), Failure> {
///         Ok(peer.send(message)?)
///     }
/// }
///
/// let mut connections = Connections::new(ServerConfig::default());
/// let (a, b) = memory::pair(4096); // in a program, a socket that was accepted
/// let key = connections.insert(a, None, 0)?;
///
/// let mut scratch = Scratch::new();
/// let mut client = ClientOpening::new(b, ClientRequest::new("localhost", "/"))?;
/// assert!(matches!(client.advance(&mut scratch.at(0))?, Progress::Pending(_)));
/// connections.ready(key, Ready::READABLE, 0, &mut Echo);
/// connections.turn(0, &mut Echo);
/// assert!(matches!(client.advance(&mut scratch.at(0))?, Progress::Open));
///
/// let mut client = client.into_stream()?;
/// client.send(&mut scratch.at(1), "Hello")?;
/// connections.ready(key, Ready::READABLE, 1, &mut Echo);
/// connections.turn(1, &mut Echo);
/// assert_eq!(client.read()?.1, b"Hello");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Panics of a handler
///
/// A panic passes through `ready` or `turn`. A loop that catches it can continue: the connection whose
/// handler panicked is then closed with 1011, and all others are unharmed.
pub struct Connections<T, S> {
    table: Table<T, S>,
}

impl<T: NonBlockingTransport, S: Default> Connections<T, S> {
    /// Creates an empty set of connections.
    pub fn new(config: ServerConfig) -> Self {
        Self::for_thread(config, 0, Arc::default())
    }

    pub(super) fn for_thread(config: ServerConfig, thread: u32, cells: Arc<Cells>) -> Self {
        let config_tick = config.tick.map(|tick| u64::try_from(tick.as_millis()).unwrap_or(u64::MAX).max(1));
        let common = Common {
            unsent: HashMap::new(),
            hub: Hub::new(thread, config.slow_peer, cells),
            terms: Terms {
                connection: Arc::new(config.connection.clone()),
                config,
                shutting_down: false,
                after_proxy_header: |transport, received| Ok((transport, received)),
                tls_state: |_| None,
            },
            scratch: Scratch::new(),
            wheel: Wheel::new(TICK),
            queue: VecDeque::new(),
            missed: HashMap::new(),
            changes: None,
            departure: None,
            tick: config_tick,
            next_tick: None,
        };
        Self { table: Table { slots: Slots::default(), common } }
    }

    /// Sets what is done with a transport after the header of the PROXY protocol, and with the bytes that
    /// were received after it: for TLS, which begins there.
    pub(super) fn set_after_proxy_header(&mut self, continue_with: ContinueWith<T>) {
        self.table.common.terms.after_proxy_header = continue_with;
    }

    /// Sets how the state of TLS is found in a transport.
    pub(super) fn set_tls_state(&mut self, tls_state: fn(&T) -> Option<&TlsState>) {
        self.table.common.terms.tls_state = tls_state;
    }

    /// Keeps what changes for the poller, for [`next_change`](Self::next_change).
    ///
    /// For every poller that is not edge-triggered. After each [`ready`](Self::ready), a one-shot poller must
    /// be armed again with [`wants`](Self::wants); after each [`turn`](Self::turn), with every change.
    #[must_use]
    pub fn track_wants(mut self) -> Self {
        self.table.common.changes = Some(VecDeque::new());
        self
    }

    /// Adds a transport that was accepted, and returns its key for the poller.
    ///
    /// A key is a small number, which later connections use again. Register the transport before or after
    /// this call: with an edge-triggered poller readable and writable, with any other one readable;
    /// [`transport`](Self::transport) returns it. `ip` is the client's address, if it is known.
    ///
    /// # Errors
    ///
    /// The system's error, if the transport cannot be made non-blocking.
    pub fn insert(&mut self, transport: T, ip: Option<IpAddr>, now: u64) -> io::Result<usize> {
        let opening = Opening::new(transport, S::default(), ip, &self.table.common.terms)?;
        let at = opening.next_deadline(&self.table.common.terms, now);
        let key = self
            .table
            .slots
            .insert(Wheel::MAX_KEY, |generation| Slot::new(generation, Stage::Opening(Box::new(opening))))
            .ok_or(ErrorKind::OutOfMemory)?;
        let cells = &self.table.common.hub.cells;
        cells.accepted.add(1);
        cells.opening.add(1);
        if let Some(at) = at {
            self.table.common.wheel.set(key, at);
        }
        Ok(key)
    }

    /// Adds a connection that was opened elsewhere, calls [`Handler::opened`], and returns its key.
    ///
    /// For example one of a [`ServerOpening`](crate::ServerOpening), of another HTTP stack's upgrade, or a
    /// client's. Register the transport before or after this call; if it has ended meanwhile,
    /// [`transport`](Self::transport) returns `None`.
    ///
    /// ```
    /// # use websocket_stream::server::{Connections, Failure, Handler, Peer, ServerConfig};
    /// # use websocket_stream::transport::testing::memory;
    /// # use websocket_stream::{Message, Ready, Scratch, WebSocketStream};
    /// # struct Echo;
    /// # impl Handler for Echo {
    /// #     type Session = ();
    /// #     fn message(&mut self, p: &mut Peer<'_>, _: &mut (), m: Message<'_>) -> Result<(), Failure> {
    /// #         Ok(p.send(m)?)
    /// #     }
    /// # }
    /// let mut connections = Connections::new(ServerConfig::default());
    /// let (a, b) = memory::pair(4096);
    /// let key = connections.insert_open(WebSocketStream::new(a)?, (), 0, &mut Echo)?;
    ///
    /// let mut client = WebSocketStream::client(b)?;
    /// client.send(&mut Scratch::new().at(0), "Hello")?;
    /// connections.ready(key, Ready::READABLE, 0, &mut Echo);
    /// assert_eq!(client.read()?.1, b"Hello");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// An error of kind `OutOfMemory` if there are no more keys.
    pub fn insert_open<H: Handler<Session = S>>(
        &mut self,
        stream: WebSocketStream<T>,
        session: S,
        now: u64,
        handler: &mut H,
    ) -> io::Result<usize> {
        self.table.common.hub.now = now;
        self.recover(now, handler);
        let key = self.table.adopt(stream, session)?;
        self.table.opened(key, now, handler, |handler, peer, session| handler.opened(peer, session));
        self.table.deliver_if_many(now, handler);
        Ok(key)
    }

    /// Adds a connection that was opened elsewhere. Then call [`adopted`](Self::adopted).
    pub(super) fn adopt(&mut self, stream: WebSocketStream<T>) -> io::Result<usize> {
        self.table.adopt(stream, S::default())
    }

    /// Calls the handler with what has come with a connection.
    pub(super) fn adopted<H: Handler<Session = S>>(
        &mut self,
        key: usize,
        value: Box<dyn Any + Send>,
        now: u64,
        handler: &mut H,
    ) {
        self.recover(now, handler);
        self.table.opened(key, now, handler, |handler, peer, session| handler.adopted(peer, session, value));
        self.table.deliver_if_many(now, handler);
    }

    /// Closes the connection whose handler has panicked, if one has.
    pub(super) fn recover<H: Handler<Session = S>>(&mut self, now: u64, handler: &mut H) {
        if self.table.common.hub.in_handler {
            self.table.recover(now, handler);
        }
    }

    /// Delivers what was posted outside of a handler, if that is much.
    pub(super) fn deliver_if_many<H: Handler<Session = S>>(&mut self, now: u64, handler: &mut H) {
        self.recover(now, handler);
        self.table.deliver_if_many(now, handler);
    }

    /// Removes a connection at once, because of the system's error.
    pub(super) fn fail<H: Handler<Session = S>>(
        &mut self,
        error: &io::Error,
        key: usize,
        now: u64,
        handler: &mut H,
    ) {
        self.table.remove_for(Cause::System(error.into()), key, now, handler);
    }

    /// Drops a connection that cannot be registered with the poller, before its first call.
    ///
    /// Does nothing if the connection is open: close it instead.
    pub fn discard(&mut self, key: usize) -> Option<T> {
        self.table.discard(key)
    }

    /// Does the work of a connection that the poller reports.
    ///
    /// A key without a connection is ignored.
    #[inline]
    pub fn ready<H: Handler<Session = S>>(&mut self, key: usize, ready: Ready, now: u64, handler: &mut H) {
        self.table.common.hub.now = now;
        self.table.call(key, ready, now, handler);
        self.table.deliver_if_many(now, handler);
    }

    /// Does all other work of a round: calls the connections that need another call or whose timeouts have
    /// passed, and delivers the messages from one connection to others.
    pub fn turn<H: Handler<Session = S>>(&mut self, now: u64, handler: &mut H) {
        self.table.common.hub.now = now;
        self.recover(now, handler);
        for _ in 0..self.table.common.queue.len() {
            let Some(key) = self.table.common.queue.pop_front() else { break };
            if let Some(ready) = self.table.slots.get_mut(key).and_then(|slot| slot.flags.take_queued()) {
                self.table.call(key, ready, now, handler);
            }
            self.table.deliver_if_many(now, handler);
        }
        while let Some(key) = self.table.common.wheel.expired(now) {
            let Some(slot) = self.table.slots.get_mut(key) else { continue };
            // A queued call also handles what is due.
            if !slot.flags.has(Flags::QUEUED) {
                self.table.call(key, Ready::NONE, now, handler);
            }
            self.table.set_timer(key, now);
            self.table.deliver_if_many(now, handler);
        }
        self.table.common.tick(now, handler);
        self.table.deliver(now, handler);
        if self.table.common.departure.is_some() {
            self.table.depart(now, handler);
            self.table.deliver(now, handler);
        }
        let hub = &self.table.common.hub;
        hub.traffic.store(&hub.cells);
    }

    /// Returns how long to wait for events: zero if a connection needs another call, `None` if only events
    /// matter.
    #[inline]
    pub fn timeout(&self, now: u64) -> Option<Duration> {
        let at = self.next_deadline(now)?;
        Some(Duration::from_millis(at.saturating_sub(now)))
    }

    /// Returns when [`turn`](Self::turn) must be called even if nothing is ready, in the caller's
    /// milliseconds.
    #[inline]
    pub fn next_deadline(&self, now: u64) -> Option<u64> {
        let Common { queue, hub, departure, wheel, tick, next_tick, .. } = &self.table.common;
        // The interval of the first tick begins with the first `turn`.
        let is_new = tick.is_some() && next_tick.is_none();
        if !queue.is_empty() || hub.has_posts() || hub.in_handler || is_new {
            return Some(now);
        }
        let next = wheel.next_deadline().into_iter().chain(*next_tick).min();
        match departure {
            None => next,
            Some(_) if self.is_empty() => next,
            Some(departure) => departure.next(now).into_iter().chain(next).min(),
        }
    }

    /// Returns what a connection waits for, or `None` if it has ended.
    pub fn wants(&self, key: usize) -> Option<Wants> {
        let flags = self.table.slots.get(key)?.flags;
        let (read, write) = (!flags.has(Flags::PAUSED), flags.has(Flags::UNSENT));
        Some(Wants { read, write, again: flags.has(Flags::QUEUED), ..Wants::READ })
    }

    /// Returns what has changed for the poller since the last call; see [`track_wants`](Self::track_wants).
    pub fn next_change(&mut self) -> Option<Change<T>> {
        let Table { slots, common } = &mut self.table;
        let changes = common.changes.as_mut()?;
        let is_current =
            |key: usize, generation| slots.get(key).is_some_and(|slot| slot.generation() == generation);
        loop {
            match changes.pop_front()? {
                // Of a connection that has ended since: another one may have its key.
                (generation, Change::Wants { key, .. }) if !is_current(key, generation) => {}
                (_, change) => return Some(change),
            }
        }
    }

    /// Returns the transport of a connection, for example to register it with a poller.
    pub fn transport(&mut self, key: usize) -> Option<&mut T> {
        match &mut self.table.slots.get_mut(key)?.stage {
            Stage::Opening(opening) => opening.transport(),
            Stage::Open(stream, _) => Some(stream.get_mut()),
            Stage::Vacant => None,
        }
    }

    /// Returns the id of the connection that has this key.
    pub fn id(&self, key: usize) -> Option<Id> {
        self.table.id(key)
    }

    /// Returns the number of connections, opening ones included.
    pub fn len(&self) -> usize {
        self.table.slots.len()
    }

    /// Returns whether there are no connections.
    pub fn is_empty(&self) -> bool {
        self.table.slots.len() == 0
    }

    /// Lends what sends to all connections of this thread. Call [`turn`](Self::turn) afterwards.
    pub fn hub(&mut self) -> &mut Hub {
        &mut self.table.common.hub
    }

    /// Returns what was counted.
    pub fn counters(&self) -> Counters {
        self.table.common.hub.counters()
    }

    /// Begins to close all connections, spread over some time; see [`Shutdown`].
    ///
    /// New requests are answered with 503 from now on. Call [`turn`](Self::turn) until the connections are
    /// [empty](Self::is_empty): those that remain when the grace period is over are dropped.
    pub fn shut_down(&mut self, shutdown: &Shutdown, now: u64) {
        self.table.common.terms.shutting_down = true;
        self.table.common.hub.shutting_down = true;
        if self.table.common.departure.is_none() {
            self.table.common.departure = Some(Departure::new(shutdown, now, self.table.slots.end()));
        }
    }
}

impl<T, S> std::fmt::Debug for Connections<T, S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connections").field("hub", &self.table.common.hub).finish_non_exhaustive()
    }
}
