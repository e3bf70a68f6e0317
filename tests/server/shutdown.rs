//! The graceful stop: who is closed when, and who is dropped.

use crate::world::{Client, World};
use std::time::Duration;
use websocket_stream::server::{Failure, Handler, Peer, Shutdown};
use websocket_stream::{CloseCode, Closed, Message, OpeningError};

#[derive(Default)]
struct Ends(Vec<String>);

impl Handler for Ends {
    type Session = ();

    fn opened(&mut self, peer: &mut Peer<'_>, _: &mut ()) -> Result<(), Failure> {
        peer.subscribe("all");
        Ok(())
    }

    fn message(&mut self, peer: &mut Peer<'_>, _: &mut (), message: Message<'_>) -> Result<(), Failure> {
        peer.publish("all", message);
        Ok(())
    }

    fn closed(&mut self, _: &mut Peer<'_>, _: &mut (), end: Closed) {
        self.0.push(end.to_string());
    }
}

fn step(world: &mut World<Ends>, clients: &mut [Client]) -> usize {
    world.round([]);
    let closed = clients.iter_mut().map(|client| client.receive().len()).sum();
    // The answers, and the ends of the streams.
    for _ in 0..3 {
        world.round_of_all();
        clients.iter_mut().for_each(|client| drop(client.receive()));
    }
    closed
}

#[test]
fn connections_are_closed_evenly_over_the_time() {
    let mut world = World::new(Ends::default());
    let mut clients: Vec<_> = (0..100).map(|_| world.connect("/")).collect();
    let shutdown = Shutdown::within(Duration::from_secs(10)).reason("see you");
    world.connections.shut_down(&shutdown, 0);
    let mut closed = Vec::new();
    while !world.connections.is_empty() {
        world.now = world.connections.next_deadline(world.now).unwrap();
        closed.push((world.now, step(&mut world, &mut clients)));
    }
    assert_eq!(closed.iter().map(|step| step.1).sum::<usize>(), 100);
    assert!(closed.iter().all(|step| step.1 <= 1), "one after the other: {closed:?}");
    assert!((4_900..=5_100).contains(&closed.last().unwrap().0), "{closed:?}");
    assert!(clients.iter().all(|client| client.end.is_some_and(|end| end.code == CloseCode::GOING_AWAY)));
    assert!(world.handler.0.iter().all(|end| end == "closed by this end with 1001 (going away)"));
    let counters = world.connections.counters();
    assert_eq!((counters.open, counters.closed_cleanly, counters.cut_off), (0, 100, 0));
}

#[test]
fn whoever_does_not_answer_is_dropped_in_the_end() {
    let mut world = World::new(Ends::default());
    let _silent: Vec<_> = (0..3).map(|_| world.connect("/")).collect();
    let shutdown =
        Shutdown::from(Duration::from_secs(2)).spread(Duration::ZERO).code(CloseCode::SERVICE_RESTART);
    world.connections.shut_down(&shutdown, 0);
    world.round([]);
    assert_eq!(world.connections.len(), 3);
    // Whoever comes now is refused, and so is a second shutdown.
    assert!(matches!(
        world.try_connect(websocket_stream::ClientRequest::new("localhost", "/"), 4096).map(drop),
        Err(OpeningError::Response(fault)) if fault.to_string().contains("503")
    ));
    world.connections.shut_down(&Shutdown::within(Duration::from_secs(100)), 0);
    world.now = 1_999;
    world.round([]);
    assert_eq!(world.connections.len(), 3);
    world.now = 2_000;
    world.round([]);
    assert_eq!((world.connections.len(), world.connections.counters().cut_off), (0, 3));
    assert_eq!(world.handler.0.len(), 3);
}

#[test]
fn a_stop_in_the_middle_of_a_broadcast_loses_nothing_that_was_published_before() {
    let mut world = World::new(Ends::default());
    let mut clients: Vec<_> = (0..10).map(|_| world.connect("/")).collect();
    for (i, client) in clients.iter_mut().enumerate() {
        client.send(&*format!("news {i}"));
        let key = client.key;
        world.connections.ready(key, websocket_stream::Ready::READABLE, 0, &mut world.handler);
    }
    world.connections.shut_down(&Shutdown::within(Duration::ZERO), 0);
    world.connections.turn(0, &mut world.handler);
    for client in &mut clients {
        let received = client.receive();
        assert_eq!(received.len(), 11, "{received:?}");
        assert!(received[9].starts_with("news") && received[10].starts_with("(1001"), "{received:?}");
    }
    assert!(world.connections.is_empty());
}

#[test]
fn a_connection_that_was_accepted_before_is_closed_when_it_opens() {
    use websocket_stream::NonBlockingTransport;
    use websocket_stream::transport::testing::memory;
    let mut world = World::new(Ends::default());
    // The answer does not fit yet.
    let (a, mut client) = memory::pair(4096);
    let key = world.connections.insert(a, None, 0).unwrap();
    let request = "GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
        Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";
    world.connections.transport(key).unwrap().plan_send([Ok(10)]);
    for part in request.as_bytes().chunks(100) {
        client.send(part).unwrap();
        world.round([key]);
    }
    assert_eq!(world.connections.counters().opened, 0);
    world.connections.shut_down(&Shutdown::within(Duration::from_secs(10)).spread(Duration::ZERO), 0);
    world.round([]);
    world.connections.ready(key, websocket_stream::Ready::WRITABLE, 0, &mut world.handler);
    world.round([]);
    assert_eq!(world.connections.counters().opened, 1);
    let mut received = [0; 200];
    let n = client.recv(&mut received).unwrap();
    assert!(
        received[..n].ends_with(b"\r\n\r\n\x88\x02\x03\xe9"),
        "{:?}",
        &received[..n].escape_ascii().to_string()
    );
}

#[test]
fn openings_do_not_hold_up_a_shutdown() {
    use websocket_stream::NonBlockingTransport;
    use websocket_stream::Request;
    use websocket_stream::server::{Answer, NewPeer};
    use websocket_stream::transport::testing::memory;
    struct Undecided;
    impl Handler for Undecided {
        type Session = ();
        fn open(&mut self, _: &mut NewPeer<'_>, _: &mut (), _: &Request<'_>) -> Answer {
            Answer::Later
        }
        fn message(&mut self, _: &mut Peer<'_>, _: &mut (), _: Message<'_>) -> Result<(), Failure> {
            Ok(())
        }
    }
    let mut world = World::new(Undecided);
    let (a, _silent) = memory::pair(4096);
    world.connections.insert(a, None, 0).unwrap();
    let (a, mut asked) = memory::pair(4096);
    world.connections.insert(a, None, 0).unwrap();
    asked
        .send(
            b"GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
              Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n",
        )
        .unwrap();
    world.round_of_all();
    assert_eq!(world.connections.len(), 2);
    world.connections.shut_down(&Shutdown::within(Duration::from_secs(10)), 0);
    world.now = 6_000;
    world.round([]);
    world.round([]);
    assert_eq!(world.connections.len(), 1, "the silent one was dropped");
    let mut answer = [0; 100];
    let n = asked.recv(&mut answer).unwrap();
    assert!(answer[..n].starts_with(b"HTTP/1.1 503 "));
    drop(asked);
    world.round_of_all();
    assert_eq!((world.connections.len(), world.connections.counters().cut_off), (0, 0));
}

#[test]
fn a_few_connections_do_not_wait_for_the_time_to_spread_them() {
    let mut world = World::new(Ends::default());
    let mut clients = [world.connect("/"), world.connect("/")];
    world.connections.shut_down(&Shutdown::within(Duration::from_secs(10)), 0);
    world.round([]);
    assert_eq!(clients[0].receive().len() + clients[1].receive().len(), 1);
    world.now = 2_600;
    world.round([]);
    assert_eq!(clients[0].receive().len() + clients[1].receive().len(), 1);
}
