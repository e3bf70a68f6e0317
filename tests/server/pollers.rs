//! `Connections` in an event loop of one's own, on a poller that reports a socket once until it is armed
//! again. (`Server` itself is the loop on mio.)

use polling::{Event as Polled, Events, Poller};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;
use std::time::Instant;
use websocket_stream::frame::{Header, OpCode};
use websocket_stream::server::{Change, Connections, Failure, Handler, Peer, ServerConfig};
use websocket_stream::{Message, Ready, Wants};

const LISTENER: usize = usize::MAX - 1;

struct Echo;

impl Handler for Echo {
    type Session = ();

    fn message(&mut self, peer: &mut Peer<'_>, _: &mut (), message: Message<'_>) -> Result<(), Failure> {
        Ok(peer.send(message)?)
    }
}

fn interest(key: usize, wants: Wants) -> Polled {
    Polled::new(key, wants.read, wants.write)
}

/// Serves until this number of connections has ended.
fn serve(listener: &TcpListener, connections_in_all: u64) {
    let (poller, mut events) = (Poller::new().unwrap(), Events::new());
    listener.set_nonblocking(true).unwrap();
    // SAFETY: each socket is removed from the poller before it is dropped.
    unsafe { poller.add(listener, Polled::readable(LISTENER)).unwrap() };
    let mut connections = Connections::<TcpStream, ()>::new(ServerConfig::default()).track_wants();
    let (start, mut now) = (Instant::now(), 0);
    let mut handler = Echo;
    loop {
        events.clear();
        poller.wait(&mut events, connections.timeout(now)).unwrap();
        now = u64::try_from(start.elapsed().as_millis()).unwrap();
        for event in events.iter() {
            if event.key == LISTENER {
                while let Ok((socket, address)) = listener.accept() {
                    let key = connections.insert(socket, Some(address.ip()), now).unwrap();
                    let socket = connections.transport(key).unwrap();
                    // SAFETY: as above.
                    unsafe { poller.add(&*socket, Polled::readable(key)).unwrap() };
                }
                poller.modify(listener, Polled::readable(LISTENER)).unwrap();
                continue;
            }
            let ready = Ready { readable: event.readable, writable: event.writable, closed: false };
            connections.ready(event.key, ready, now, &mut handler);
            if let (Some(wants), Some(socket)) =
                (connections.wants(event.key), connections.transport(event.key))
            {
                poller.modify(&*socket, interest(event.key, wants)).unwrap();
            }
        }
        connections.turn(now, &mut handler);
        while let Some(change) = connections.next_change() {
            match change {
                Change::Wants { key, wants } => {
                    if let Some(socket) = connections.transport(key) {
                        poller.modify(&*socket, interest(key, wants)).unwrap();
                    }
                }
                Change::Gone { transport, .. } => poller.delete(&transport).unwrap(),
            }
        }
        let counters = connections.counters();
        if counters.accepted == connections_in_all && connections.is_empty() {
            return;
        }
    }
}

#[test]
fn a_one_shot_poller_serves_small_and_large_messages_and_slow_readers() {
    const CLIENTS: u8 = 8;
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let server = thread::spawn(move || serve(&listener, CLIENTS.into()));
    let clients: Vec<_> = (0..CLIENTS)
        .map(|client| {
            thread::spawn(move || {
                let mut socket = TcpStream::connect(address).unwrap();
                socket
                    .write_all(
                        b"GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                          Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n",
                    )
                    .unwrap();
                let mut head = Vec::new();
                while !head.ends_with(b"\r\n\r\n") {
                    let mut byte = [0];
                    socket.read_exact(&mut byte).unwrap();
                    head.push(byte[0]);
                }
                for len in [1, 125, 60_000, 3 << 20] {
                    let payload: Vec<u8> = (0..251).cycle().skip(client.into()).take(len).collect();
                    let header = Header::new(OpCode::Binary, len as u64);
                    let masked = Header { mask: Some([0; 4]), ..header }; // a key that changes nothing
                    // The whole message is sent before any of the reply is read.
                    socket.write_all(&[&masked.encode(), &*payload].concat()).unwrap();
                    let mut reply = vec![0; header.encode().len() + len];
                    socket.read_exact(&mut reply).unwrap();
                    assert!(reply == [&header.encode(), &*payload].concat());
                }
                socket.write_all(b"\x88\x80\0\0\0\0").unwrap();
                let mut rest = Vec::new();
                socket.read_to_end(&mut rest).unwrap();
                assert_eq!(rest, b"\x88\0");
            })
        })
        .collect();
    for client in clients {
        client.join().unwrap();
    }
    server.join().unwrap();
}
