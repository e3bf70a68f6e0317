//! `Handler::tick`: what depends on time, in a handler.

use crate::world::World;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;
use websocket_stream::client::{Blocking, Connector};
use websocket_stream::server::{Failure, Handler, Hub, Peer, Server, ServerConfig};
use websocket_stream::testing::TestServer;
use websocket_stream::{Message, Timeouts};

/// Publishes the time at each tick.
#[derive(Default)]
struct Clock {
    ticks: Vec<Duration>,
}

impl Handler for Clock {
    type Session = ();

    fn opened(&mut self, peer: &mut Peer<'_>, _: &mut ()) -> Result<(), Failure> {
        peer.subscribe("time");
        Ok(())
    }

    fn message(&mut self, _: &mut Peer<'_>, _: &mut (), _: Message<'_>) -> Result<(), Failure> {
        Ok(())
    }

    fn tick(&mut self, hub: &mut Hub) {
        self.ticks.push(hub.now());
        hub.publish("time", &hub.now().as_millis().to_string());
    }
}

fn config(tick: Duration) -> ServerConfig {
    ServerConfig::default().tick(tick)
}

#[test]
fn without_an_interval_there_are_no_ticks() {
    let mut server = TestServer::new(Clock::default());
    server.connect("/").unwrap();
    server.advance(Duration::from_secs(3600)).unwrap();
    assert_eq!(server.handler().ticks, []);
}

#[test]
fn ticks_come_at_their_interval_also_without_connections() {
    let mut server = TestServer::with_config(Clock::default(), config(Duration::from_secs(10)));
    server.advance(Duration::from_secs(35)).unwrap();
    assert_eq!(server.handler().ticks, [10, 20, 30].map(Duration::from_secs));
    let client = server.connect("/").unwrap();
    server.advance(Duration::from_secs(10)).unwrap();
    assert_eq!(server.receive(client).unwrap(), Some(Message::Text("40000")));
}

#[test]
fn a_late_round_has_one_tick_and_any_time_is_survived() {
    let mut world = World::with_config(Clock::default(), config(Duration::from_millis(10)));
    for (now, expected) in [(0, 0), (9, 0), (10, 1), (10, 1), (1005, 2), (1014, 2), (1015, 3), (3, 3)] {
        world.now = now;
        world.connections.turn(now, &mut world.handler);
        assert_eq!(world.handler.ticks.len(), expected, "at {now}");
        assert!(world.connections.next_deadline(now).is_some());
    }
    for now in [u64::MAX, u64::MAX, 0] {
        world.connections.turn(now, &mut world.handler);
    }
    let shortest = World::with_config(Clock::default(), config(Duration::ZERO)).connections;
    let mut world = World { connections: shortest, handler: Clock::default(), now: 0 };
    for now in 0..10 {
        world.connections.turn(now, &mut world.handler);
    }
    assert_eq!(world.handler.ticks.len(), 9);
}

/// Panics at every second tick.
struct Unlucky {
    ticks: u32,
    stopped: mpsc::Sender<bool>,
}

impl Handler for Unlucky {
    type Session = ();

    fn opened(&mut self, peer: &mut Peer<'_>, _: &mut ()) -> Result<(), Failure> {
        peer.subscribe("ticks");
        Ok(())
    }

    fn message(&mut self, _: &mut Peer<'_>, _: &mut (), _: Message<'_>) -> Result<(), Failure> {
        Ok(())
    }

    fn closed(&mut self, peer: &mut Peer<'_>, _: &mut (), _: websocket_stream::Closed) {
        self.stopped.send(peer.hub().is_shutting_down()).unwrap();
    }

    fn tick(&mut self, hub: &mut Hub) {
        self.ticks += 1;
        assert!(self.ticks % 2 == 1, "as planned");
        hub.publish("ticks", &self.ticks.to_string());
    }
}

#[test]
fn a_server_ticks_survives_panics_in_ticks_and_knows_when_it_is_stopping() {
    let (stopped, reports) = mpsc::channel();
    let server = Server::bind("127.0.0.1:0").unwrap().config(config(Duration::from_millis(1)));
    let (handle, address) = (server.handle(), server.local_addr().unwrap());
    let running = thread::spawn(move || server.run(Unlucky { ticks: 0, stopped }));
    let connect = || {
        let stream = Connector::new().no_proxy().connect(format!("ws://{address}/")).unwrap();
        Blocking::new(stream)
    };
    let (mut client, leaving) = (connect(), connect());
    let mut next = || client.next().unwrap().unwrap().as_text().unwrap().parse::<u32>().unwrap();
    let first = next();
    assert_eq!((next(), next()), (first + 2, first + 4));
    drop(leaving);
    assert_eq!(reports.recv(), Ok(false));
    handle.shut_down(Duration::from_secs(10)).unwrap();
    while client.next().unwrap().is_some() {}
    assert_eq!(reports.recv(), Ok(true));
    running.join().unwrap().unwrap();
}

#[test]
fn a_part_of_the_timeouts_of_a_server_can_be_changed() {
    let timeouts = Timeouts::SERVER.idle(Duration::from_secs(7));
    assert_eq!(ServerConfig::default().connection.timeouts, Timeouts::SERVER);
    assert_eq!((timeouts.idle, timeouts.write), (Some(Duration::from_secs(7)), Timeouts::SERVER.write));
}

#[test]
fn a_long_reason_is_cut_off_whoever_closes() {
    struct Talkative;
    impl Handler for Talkative {
        type Session = ();

        fn message(&mut self, peer: &mut Peer<'_>, _: &mut (), message: Message<'_>) -> Result<(), Failure> {
            let (code, reason) = (websocket_stream::CloseCode::new(4001), "é".repeat(100));
            match message.as_text() {
                Some("peer") => peer.close(code, &reason)?,
                Some("hub") => {
                    let id = peer.id();
                    peer.hub().close(id, code, &reason);
                }
                _ => return Err(Failure::close(code, reason)),
            }
            Ok(())
        }
    }
    for way in ["peer", "hub", "failure"] {
        let mut server = TestServer::new(Talkative);
        let client = server.connect("/").unwrap();
        server.send(client, way).unwrap();
        assert_eq!(server.closed(client).unwrap().unwrap().code.get(), 4001, "{way}");
    }
}
