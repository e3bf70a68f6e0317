//! Any operations on `Connections`, with clients that send anything, transports with faults, and a handler
//! that subscribes, publishes, fails and panics. Each connection that was opened ends once; the counters
//! agree with what happened; in the end nothing is left.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::panic::{self, AssertUnwindSafe};
use std::time::Duration;
use websocket_stream::server::{
    Answer, Change, Connections, Failure, Handler, Id, NewPeer, Peer, ServerConfig, Shutdown, SlowPeer,
};
use websocket_stream::transport::testing::memory::{self, MemoryStream};
use websocket_stream::{
    CloseCode, Closed, Limits, Message, NonBlockingTransport, OriginPolicy, PreparedMessage, Ready, Request,
    Response,
};

const CLIENTS: usize = 6;

const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";

pub(crate) fn body(bytes: &[u8]) {
    let mut input = bytes.iter().copied();
    let settings = input.next().unwrap_or(0);
    let mut world = World::new(settings);
    while let Some(operation) = input.next() {
        let client = usize::from(operation >> 4) % CLIENTS;
        world.operation(operation & 0xF, client, &mut || input.next().unwrap_or(0));
        world.check();
    }
    world.finish();
}

/// A panic of the handler, which says nothing on the terminal.
struct Asked;

#[derive(Default)]
struct Actor {
    /// What each open connection was, and whether it has ended.
    lives: BTreeMap<Id, bool>,
    undecided: Vec<Id>,
    later: bool,
}

impl Actor {
    fn is_alive(&self, peer: &Peer<'_>) {
        assert_eq!(self.lives.get(&peer.id()), Some(&false), "opened, and not closed");
    }
}

impl Handler for Actor {
    type Session = Vec<u8>;

    fn open(&mut self, peer: &mut NewPeer<'_>, _: &mut Vec<u8>, _: &Request<'_>) -> Answer {
        if self.later {
            self.undecided.push(peer.id());
            return Answer::Later;
        }
        Response::accept().into()
    }

    fn opened(&mut self, peer: &mut Peer<'_>, session: &mut Vec<u8>) -> Result<(), Failure> {
        assert!(session.is_empty(), "a session of its own");
        assert_eq!(self.lives.insert(peer.id(), false), None, "opened once");
        peer.subscribe("all");
        Ok(())
    }

    fn message(
        &mut self,
        peer: &mut Peer<'_>,
        session: &mut Vec<u8>,
        message: Message<'_>,
    ) -> Result<(), Failure> {
        self.is_alive(peer);
        let bytes = message.as_bytes();
        session.extend_from_slice(&bytes[..bytes.len().min(8)]);
        let topic = ["all", "a", "b", "c"][usize::from(bytes.get(1).copied().unwrap_or(0) % 4)];
        match bytes.first().copied().unwrap_or(0) % 16 {
            0 => _ = peer.subscribe(topic),
            1 => _ = peer.unsubscribe(topic),
            2 => peer.publish(topic, message),
            3 => peer.publish_to_others(topic, message),
            4 => peer.publish_with(topic, message, SlowPeer::Drop { above: 100 }),
            5 => peer.send_to(peer.id(), message),
            6 => peer.close(CloseCode::NORMAL, "")?,
            7 => return Err(Failure::close(CloseCode::POLICY_VIOLATION, "")),
            8 => return Err(std::io::Error::from(ErrorKind::Other).into()),
            9 => panic::resume_unwind(Box::new(Asked)),
            10 => peer.send_prepared(&PreparedMessage::new(message))?,
            11 => peer.ping(&bytes[..bytes.len().min(125)])?,
            _ => peer.send(message)?,
        }
        Ok(())
    }

    fn drained(&mut self, peer: &mut Peer<'_>, _: &mut Vec<u8>, missed: u64) -> Result<(), Failure> {
        self.is_alive(peer);
        assert_eq!(peer.unsent(), 0);
        Ok(peer.send(&missed.to_string())?)
    }

    fn closed(&mut self, peer: &mut Peer<'_>, session: &mut Vec<u8>, _: Closed) {
        assert_eq!(self.lives.insert(peer.id(), true), Some(false), "closed once");
        let last = session.last().copied().unwrap_or(0);
        peer.publish("all", &[last]);
        if last == 0xEE {
            panic::resume_unwind(Box::new(Asked));
        }
    }

    fn failed(&mut self, _: &mut Peer<'_>, session: &mut Vec<u8>, _: &Failure) {
        if session.last() == Some(&0xDD) {
            panic::resume_unwind(Box::new(Asked));
        }
    }
}

struct World {
    connections: Connections<MemoryStream, Vec<u8>>,
    actor: Actor,
    clients: [Option<MemoryStream>; CLIENTS],
    keys: [usize; CLIENTS],
    now: u64,
    tracks: bool,
}

impl World {
    fn new(settings: u8) -> Self {
        let limits = Limits::default().unsent(2_000).call_events(3).call_bytes(300).message(1_000);
        let slow_peer = match settings & 1 {
            0 => SlowPeer::Close { above: 300 },
            _ => SlowPeer::Drop { above: 300 },
        };
        let config = ServerConfig::default()
            .limits(limits)
            .origin(OriginPolicy::Any)
            .slow_peer(slow_peer)
            .proxy_protocol(settings & 0x34 == 4);
        #[cfg(feature = "deflate")]
        let config = match settings & 2 {
            0 => config,
            _ => config.deflate(websocket_stream::deflate::Deflate::default()),
        };
        let tracks = settings & 8 != 0;
        let connections = Connections::new(config);
        let connections = if tracks { connections.track_wants() } else { connections };
        let (clients, keys) = (Default::default(), [usize::MAX; CLIENTS]);
        Self { connections, actor: Actor::default(), clients, keys, now: 0, tracks }
    }

    /// Calls the connections. The handler may panic.
    fn call(&mut self, f: impl FnOnce(&mut Connections<MemoryStream, Vec<u8>>, &mut Actor, u64)) {
        let Self { connections, actor, now, .. } = self;
        if let Err(panic) = panic::catch_unwind(AssertUnwindSafe(|| f(connections, actor, *now)))
            && !panic.is::<Asked>()
        {
            panic::resume_unwind(panic);
        }
    }

    fn operation(&mut self, operation: u8, client: usize, next: &mut dyn FnMut() -> u8) {
        let key = self.keys[client];
        match operation {
            0 | 1 => {
                let (server, mut ours) = memory::pair(1_500);
                if operation == 0 {
                    let _ = ours.send(REQUEST);
                }
                self.keys[client] = self.connections.insert(server, None, self.now).unwrap();
                self.clients[client] = Some(ours);
                let key = self.keys[client];
                if operation == 0 {
                    self.call(|connections, actor, now| connections.ready(key, Ready::READABLE, now, actor));
                    self.receive(client);
                }
            }
            2..5 => {
                // A frame that may be faulty, or cut off.
                let (len, head) = (next() % 100, next());
                let mut frame = vec![if head < 230 { 0x82 } else { head }, 0x80 | len, 0, 0, 0, 0];
                frame.extend((0..len).map(|i| if i < 3 { next() } else { b'x' }));
                frame.truncate(if head < 250 { frame.len() } else { usize::from(next()) });
                self.send(client, &frame);
                if operation == 2 {
                    self.call(|connections, actor, now| connections.ready(key, Ready::READABLE, now, actor));
                }
            }
            5 => {
                let bytes: Vec<_> = (0..next() % 20).map(|_| next()).collect();
                self.send(client, &bytes);
            }
            6 => self.receive(client),
            7 => self.clients[client] = None,
            8 | 9 => {
                let bits = next();
                let ready = Ready { readable: bits & 1 == 0, writable: bits & 2 != 0, closed: bits & 4 != 0 };
                self.call(|connections, actor, now| connections.ready(key, ready, now, actor));
            }
            10 => self.call(|connections, actor, now| connections.turn(now, actor)),
            11 => {
                self.now += [1, 50, 1_000, 11_000, 200_000][usize::from(next() % 5)];
                self.call(|connections, actor, now| connections.turn(now, actor));
            }
            12 => {
                let id = self.actor.lives.keys().nth(usize::from(next())).copied();
                let closes = next() == 0;
                let hub = self.connections.hub();
                if let Some(id) = id {
                    hub.send_to(id, "to one");
                }
                if let Some(id) = id.filter(|_| closes) {
                    hub.close(id, CloseCode::GOING_AWAY, "");
                }
                hub.publish("all", "to all");
            }
            13 => {
                self.actor.later = !self.actor.later;
                if let Some(id) = self.actor.undecided.pop() {
                    self.connections.hub().answer(id, Response::new(if next() & 1 == 0 { 101 } else { 404 }));
                }
            }
            14 if next() == 0 => {
                self.connections.shut_down(&Shutdown::within(Duration::from_secs(3)), self.now);
            }
            _ => {
                if let Some(transport) = self.connections.transport(key) {
                    let plan = match next() % 4 {
                        0 => Err(ErrorKind::WouldBlock),
                        1 => Err(ErrorKind::ConnectionReset),
                        _ => Ok(usize::from(next())),
                    };
                    match next() % 2 {
                        0 => transport.plan_recv([plan]),
                        _ => transport.plan_send([plan]),
                    }
                }
            }
        }
    }

    fn send(&mut self, client: usize, bytes: &[u8]) {
        if let Some(client) = &mut self.clients[client] {
            let _ = client.send(bytes);
        }
    }

    fn receive(&mut self, client: usize) {
        if let Some(client) = &mut self.clients[client] {
            let _ = client.recv(&mut [0; 4_096]);
        }
    }

    fn check(&mut self) {
        let counters = self.connections.counters();
        assert_eq!(counters.open + counters.opening, self.connections.len() as u64);
        assert!(counters.unsent <= self.connections.len() as u64 * 2_000, "{}", counters.unsent);
        assert!(counters.accepted >= counters.opened + counters.opening);
        let ended = self.actor.lives.values().filter(|ended| **ended).count() as u64;
        assert!(ended <= counters.opened);
        while let Some(change) = self.connections.next_change() {
            assert!(self.tracks);
            if let Change::Wants { key, wants } = change {
                assert!(!wants.closed || wants.again, "{key}");
            }
        }
    }

    /// All clients go away, and time passes.
    fn finish(&mut self) {
        self.clients = Default::default();
        for _ in 0..50 {
            for key in 0..2 * CLIENTS {
                self.call(|connections, actor, now| connections.ready(key, Ready::UNKNOWN, now, actor));
            }
            self.now += 15_000;
            self.call(|connections, actor, now| connections.turn(now, actor));
        }
        self.check();
        let counters = self.connections.counters();
        assert!(self.connections.is_empty(), "{counters:?}");
        assert_eq!((counters.open, counters.opening, counters.unsent), (0, 0, 0));
        let hub = self.connections.hub();
        assert_eq!((hub.topics(), hub.subscriptions()), (0, 0));
        // Only a handler that panics again does not get the end, which it was given when it panicked.
        assert!(self.actor.lives.values().all(|ended| *ended), "{:?}", self.actor.lives);
    }
}
