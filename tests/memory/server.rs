//! What a connection of a server takes.

use crate::counting::{ALLOCATIONS, LIVE};
use std::io::{self, ErrorKind};
use websocket_stream::server::{Connections, Failure, Handler, Peer, ServerConfig};
use websocket_stream::{Message, NonBlockingTransport, Ready};

/// A power of two, so that no table has a spare half.
const CONNECTIONS: usize = 1 << 17;

static REQUEST: &[u8] = b"GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";

static HI: &[u8] = b"\x81\x82\0\0\0\0hi";
static SUBSCRIBE: &[u8] = b"\x81\x81\0\0\0\0+";

/// As small as a socket. It takes everything, and its peer sends one thing at a time.
#[derive(Debug)]
struct Tiny(Option<&'static &'static [u8]>);

impl NonBlockingTransport for Tiny {
    fn set_nonblocking(&mut self) -> io::Result<()> {
        Ok(())
    }

    fn recv(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let bytes = self.0.take().ok_or(ErrorKind::WouldBlock)?;
        buffer[..bytes.len()].copy_from_slice(bytes);
        Ok(bytes.len())
    }

    fn send(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Ok(bytes.len())
    }

    fn shutdown_write(&mut self) -> io::Result<()> {
        Ok(())
    }
}

struct Echo;

impl Handler for Echo {
    type Session = ();

    fn message(&mut self, peer: &mut Peer<'_>, _: &mut (), message: Message<'_>) -> Result<(), Failure> {
        match message {
            Message::Text("+") => _ = peer.subscribe("room"),
            message => peer.send(message)?,
        }
        Ok(())
    }
}

fn each(connections: &mut Connections<Tiny, ()>, sends: &'static &'static [u8]) {
    for key in 0..CONNECTIONS {
        connections.transport(key).unwrap().0 = Some(sends);
        connections.ready(key, Ready::READABLE, 0, &mut Echo);
        if key % 1024 == 0 {
            connections.turn(0, &mut Echo);
        }
    }
    connections.turn(0, &mut Echo);
}

#[test]
fn a_connection_takes_a_hundred_bytes_and_a_membership_twelve() {
    let mut connections = Connections::new(ServerConfig::default());
    // What the thread keeps.
    let before = LIVE.get();
    for _ in 0..CONNECTIONS {
        let key = connections.insert(Tiny(None), None, 0).unwrap();
        connections.transport(key).unwrap().0 = Some(&REQUEST);
        connections.ready(key, Ready::READABLE, 0, &mut Echo);
    }
    connections.turn(0, &mut Echo);
    assert_eq!(connections.counters().open, CONNECTIONS as u64);
    let live = LIVE.get();
    let per_connection = (live - before) / CONNECTIONS;
    println!("{per_connection} bytes for each connection");
    assert!(per_connection <= 110, "{per_connection}");

    // An echo on each allocates nothing, and nothing is kept.
    each(&mut connections, &HI);
    let (allocations, kept) = (ALLOCATIONS.get(), LIVE.get());
    each(&mut connections, &HI);
    assert_eq!((ALLOCATIONS.get(), LIVE.get()), (allocations, kept));

    each(&mut connections, &SUBSCRIBE);
    assert_eq!(connections.hub().members("room"), CONNECTIONS);
    let per_member = (LIVE.get() - kept) / CONNECTIONS;
    println!("{per_member} bytes for each membership");
    assert!(per_member <= 12, "{per_member}");
}
