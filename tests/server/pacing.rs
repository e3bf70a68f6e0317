//! A handler that sends a little at a time, and peers that end while bytes wait for them.

use crate::world::World;
use websocket_stream::server::{Change, Connections, Failure, Handler, Peer, ServerConfig, SlowPeer};
use websocket_stream::testing::TestServer;
use websocket_stream::transport::testing::memory;
use websocket_stream::{
    Cause, ClientRequest, Closed, Config, Limits, Message, NonBlockingTransport, Ready, Role, Scratch,
    Timeout, Timeouts, WebSocketStream,
};

/// Sends `TOTAL` bytes in pieces, as long as fewer than `bound` are unsent.
struct Download {
    piece: usize,
    bound: usize,
}

const TOTAL: usize = 1_000_000;

impl Download {
    fn send_more(&self, peer: &mut Peer<'_>, left: &mut usize) -> Result<(), Failure> {
        while *left > 0 && peer.unsent() < self.bound {
            let piece = self.piece.min(*left);
            *left -= piece;
            peer.send(&*vec![7; piece])?;
        }
        Ok(())
    }
}

impl Handler for Download {
    type Session = usize;

    fn message(&mut self, peer: &mut Peer<'_>, left: &mut usize, _: Message<'_>) -> Result<(), Failure> {
        *left = TOTAL;
        self.send_more(peer, left)
    }

    fn drained(&mut self, peer: &mut Peer<'_>, left: &mut usize, _: u64) -> Result<(), Failure> {
        self.send_more(peer, left)
    }
}

/// Small pieces are gathered until the end of a call: nothing is known then of what the transport takes.
#[test]
fn a_download_continues_for_every_size_of_piece_and_bound() {
    for piece in [100, 1_000, 4_095, 4_096, 50_000] {
        for bound in [1, 30_000, 64 << 10, 100_000, 300_000] {
            let mut server = TestServer::new(Download { piece, bound });
            let client = server.connect("/").unwrap();
            server.send(client, "please").unwrap();
            let mut received = 0;
            while let Some(message) = server.receive(client).unwrap() {
                received += message.as_bytes().len();
                let unsent = server.counters().unsent;
                assert!(unsent < (bound + piece + (64 << 10)) as u64, "{unsent} for {piece}, {bound}");
            }
            assert_eq!(received, TOTAL, "{piece}, {bound}");
        }
    }
}

/// Everyone is in one room, and remembers how many others were there at the end.
#[derive(Default)]
struct Room {
    left: Vec<usize>,
}

impl Handler for Room {
    type Session = ();

    fn opened(&mut self, peer: &mut Peer<'_>, _: &mut ()) -> Result<(), Failure> {
        peer.subscribe("room");
        Ok(())
    }

    fn message(&mut self, peer: &mut Peer<'_>, _: &mut (), message: Message<'_>) -> Result<(), Failure> {
        peer.publish("room", message);
        Ok(())
    }

    fn closed(&mut self, peer: &mut Peer<'_>, _: &mut (), _: Closed) {
        self.left.push(peer.hub().members("room"));
    }
}

#[test]
fn a_peer_that_has_ended_is_no_member_while_its_last_bytes_wait() {
    let mut world = World::new(Room::default());
    let mut slow = world.try_connect(ClientRequest::new("localhost", "/"), 1_000).unwrap();
    let mut other = world.connect("/");
    other.send(&*"x".repeat(2_000));
    world.settle();
    assert!(world.connections.counters().unsent > 0);
    slow.stream.get_mut().shutdown_write().unwrap();
    world.settle();
    assert_eq!((&world.handler.left[..], world.connections.len()), (&[2][..], 2), "its last bytes wait");
    assert_eq!(world.connections.hub().members("room"), 1);
    drop(other);
    world.settle();
    assert_eq!(world.handler.left, [2, 1]);
}

/// Another event loop has driven the connection, by a clock that is far ahead or far behind.
#[test]
fn the_timeouts_of_an_adopted_connection_count_from_its_adoption() {
    struct Ends(Vec<Closed>);
    impl Handler for Ends {
        type Session = ();
        fn message(&mut self, _: &mut Peer<'_>, _: &mut (), _: Message<'_>) -> Result<(), Failure> {
            Ok(())
        }
        fn closed(&mut self, _: &mut Peer<'_>, _: &mut (), end: Closed) {
            self.0.push(end);
        }
    }
    for (before, now) in [(3_700_000, 0), (0, 3_700_000)] {
        let timeouts = Timeouts::OFF.idle(std::time::Duration::from_secs(10));
        let config = std::sync::Arc::new(Config::default().timeouts(timeouts));
        let (a, b) = memory::pair(4096);
        let mut stream = WebSocketStream::with_config(a, Role::Server, config).unwrap();
        let mut client = WebSocketStream::client(b).unwrap();
        client.send(&mut Scratch::new().at(0), "hello").unwrap();
        let _ = stream.drive(&mut Scratch::new().at(before), Ready::READABLE, |_, _| Ok(())).unwrap();
        let (mut connections, mut handler) = (Connections::new(ServerConfig::default()), Ends(Vec::new()));
        connections.insert_open(stream, (), now, &mut handler).unwrap();
        connections.turn(now + 9_000, &mut handler);
        assert!(handler.0.is_empty(), "at {now}");
        while handler.0.is_empty() {
            let at = connections.next_deadline(now + 9_000).unwrap();
            assert!(at <= now + 11_000, "{at} for {now}");
            connections.turn(at, &mut handler);
        }
        let causes: Vec<_> = handler.0.iter().map(|end| end.cause).collect();
        assert_eq!(causes, [Cause::Timeout(Timeout::Idle)]);
    }
}

/// Four messages in one round, of which one fits into the transport, and one behind it.
#[test]
fn a_poller_is_told_to_wait_for_a_peer_that_has_missed_something() {
    let config = ServerConfig::default().slow_peer(SlowPeer::Drop { above: 1 << 20 });
    let mut connections = Connections::new(config).track_wants();
    let limits = Limits::default().unsent(512 + Limits::CONTROL_ROOM);
    let connection = std::sync::Arc::new(Config::default().limits(limits));
    let (a, mut peer) = memory::pair(600);
    let stream = WebSocketStream::with_config(a, Role::Server, connection).unwrap();
    let mut handler = Room::default();
    let key = connections.insert_open(stream, (), 0, &mut handler).unwrap();
    while connections.next_change().is_some() {}
    for _ in 0..4 {
        connections.hub().publish("room", &*vec![7; 400]);
    }
    connections.turn(0, &mut handler);
    assert!(connections.counters().dropped > 0 && connections.counters().unsent > 0);
    let change = connections.next_change();
    assert!(
        matches!(change, Some(Change::Wants { key: of, wants }) if of == key && wants.write),
        "{change:?}"
    );
    assert!(peer.recv(&mut [0; 600]).is_ok());
}

/// The connection ends, and another one gets its key, before the program asks for the changes.
#[test]
fn a_change_is_not_reported_for_the_next_connection_with_the_same_key() {
    let mut connections = Connections::new(ServerConfig::default()).track_wants();
    let mut handler = Room::default();
    let (a, peer) = memory::pair(600);
    let key = connections.insert_open(WebSocketStream::new(a).unwrap(), (), 0, &mut handler).unwrap();
    while connections.next_change().is_some() {}
    connections.hub().publish("room", &*vec![7; 2_000]);
    connections.turn(0, &mut handler);
    drop(peer);
    connections.ready(key, Ready::UNKNOWN, 0, &mut handler);
    connections.turn(0, &mut handler);
    let (a, _peer) = memory::pair(600);
    assert_eq!(connections.insert(a, None, 0).unwrap(), key);
    let changes: Vec<_> = std::iter::from_fn(|| connections.next_change()).collect();
    assert!(matches!(changes[..], [Change::Gone { key: gone, .. }] if gone == key), "{changes:?}");
}
