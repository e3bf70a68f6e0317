//! What other threads and connections have for one connection: order, threads, and ends.

use crate::running::Running;
use std::any::Any;
use std::io;
use std::time::Duration;
use websocket_stream::server::{
    Answer, Connections, Failure, Handler, Id, NewPeer, Peer, Server, ServerConfig,
};
use websocket_stream::testing::{self, TestClient, TestServer};
use websocket_stream::{CloseCode, Message, Request, Response};

/// Replies to a note, and to anything with the notes of its session.
#[derive(Default)]
struct Notes {
    ids: Vec<Id>,
    /// The number of notes.
    noted: usize,
}

impl Handler for Notes {
    type Session = Vec<String>;

    fn open(&mut self, peer: &mut NewPeer<'_>, _: &mut Vec<String>, request: &Request<'_>) -> Answer {
        self.ids.push(peer.id());
        if request.path() == "/later" { Answer::Later } else { Response::accept().into() }
    }

    fn message(
        &mut self,
        peer: &mut Peer<'_>,
        notes: &mut Vec<String>,
        message: Message<'_>,
    ) -> Result<(), Failure> {
        if message == Message::Text("join") {
            let hub = peer.hub();
            hub.notify(self.ids[0], "x");
            hub.publish("room", "joined");
            peer.subscribe("room");
            return Ok(());
        }
        Ok(peer.send(&notes.join(" "))?)
    }

    fn notified(
        &mut self,
        peer: &mut Peer<'_>,
        notes: &mut Vec<String>,
        value: Box<dyn Any + Send>,
    ) -> Result<(), Failure> {
        self.noted += 1;
        // Anything else than a text is dropped.
        let Ok(note) = value.downcast::<&str>() else { return Ok(()) };
        peer.subscribe("room");
        peer.send(&format!("noted {note}"))?;
        notes.push(note.to_string());
        match *note {
            "fail" => Err(io::Error::other("as the note asked").into()),
            "close" => Err(Failure::close(CloseCode::new(4000), "")),
            _ => Ok(()),
        }
    }
}

fn receive(server: &mut TestServer<Notes>, client: TestClient) -> Vec<String> {
    let mut received = Vec::new();
    while let Some(message) = server.receive(client).unwrap() {
        received.push(message.as_text().unwrap().to_owned());
    }
    received
}

#[test]
fn a_note_is_handled_in_the_order_in_which_it_was_sent() {
    let mut server = TestServer::new(Notes::default());
    let client = server.connect("/").unwrap();
    let id = server.handler().ids[0];
    let hub = server.hub();
    hub.send_to(id, "a");
    hub.notify(id, "b");
    hub.send_to(id, "c");
    hub.notify(id, "d");
    hub.publish("room", "e");
    assert_eq!(receive(&mut server, client), ["a", "noted b", "c", "noted d", "e"]);
    // The session has changed, and the peer is subscribed.
    server.send(client, "?").unwrap();
    server.hub().publish("room", "news");
    assert_eq!(receive(&mut server, client), ["b d", "news"]);
}

#[test]
fn a_note_to_a_connection_that_is_not_open_is_dropped() {
    let mut server = TestServer::new(Notes::default());
    let client = server.connect("/").unwrap();
    assert!(server.connect("/later").is_err());
    let ids = server.handler().ids.clone();
    server.close(client, CloseCode::NORMAL, "").unwrap();
    assert!(server.closed(client).unwrap().is_some());
    for id in ids {
        server.hub().notify(id, "lost");
        server.run().unwrap();
    }
    assert_eq!(server.handler().noted, 0);
}

#[test]
fn a_note_to_a_connection_that_is_closing_or_whose_handler_has_failed_is_dropped() {
    for first in ["fail", "close"] {
        let mut server = TestServer::new(Notes::default());
        let client = server.connect("/").unwrap();
        let id = server.handler().ids[0];
        let hub = server.hub();
        hub.notify(id, first);
        hub.notify(id, "late");
        server.run().unwrap();
        server.hub().notify(id, "later");
        server.run().unwrap();
        assert_eq!(server.handler().noted, 1);
        assert_eq!(receive(&mut server, client), [format!("noted {first}")]);
    }
}

/// A handler that notifies its own connection again and again does not hold the round.
#[test]
fn a_note_that_causes_another_one_leaves_it_to_the_next_round() {
    #[derive(Default)]
    struct Again(usize);
    impl Handler for Again {
        type Session = ();
        fn message(&mut self, _: &mut Peer<'_>, _: &mut (), _: Message<'_>) -> Result<(), Failure> {
            Ok(())
        }
        fn notified(
            &mut self,
            peer: &mut Peer<'_>,
            _: &mut (),
            value: Box<dyn Any + Send>,
        ) -> Result<(), Failure> {
            self.0 += 1;
            let id = peer.id();
            peer.hub().notify(id, value);
            Ok(())
        }
    }
    let (server, _client) = testing::open_pair(4096).unwrap();
    let mut connections = Connections::new(ServerConfig::default());
    let mut handler = Again::default();
    let key = connections.insert_open(server, (), 0, &mut handler).unwrap();
    let id = connections.id(key).unwrap();
    connections.hub().notify(id, ());
    for round in 1..10 {
        connections.turn(0, &mut handler);
        assert_eq!((handler.0, connections.timeout(0)), (round, Some(Duration::ZERO)));
    }
}

/// Also if the message waits for a note.
#[test]
fn a_new_member_does_not_receive_what_was_published_before() {
    let mut server = TestServer::new(Notes::default());
    let (noted, joins) = (server.connect("/").unwrap(), server.connect("/").unwrap());
    server.send(joins, "join").unwrap();
    // The note has subscribed the first one, before the message.
    assert_eq!(receive(&mut server, noted), ["noted x", "joined"]);
    assert_eq!(receive(&mut server, joins), [""; 0]);
    server.hub().publish("room", "news");
    assert_eq!(receive(&mut server, joins), ["news"]);
}

#[test]
fn an_error_of_the_handler_closes_its_connection_only() {
    for (note, code) in [("fail", CloseCode::INTERNAL_ERROR), ("close", CloseCode::new(4000))] {
        let mut server = TestServer::new(Notes::default());
        let (one, other) = (server.connect("/").unwrap(), server.connect("/").unwrap());
        let ids = server.handler().ids.clone();
        let hub = server.hub();
        hub.notify(ids[0], note);
        hub.send_to(ids[0], "too late");
        hub.notify(ids[1], "fine");
        assert_eq!(receive(&mut server, one), [format!("noted {note}")]);
        assert_eq!(server.closed(one).unwrap().unwrap().code, code);
        assert_eq!(receive(&mut server, other), ["noted fine"]);
    }
}

#[test]
fn a_note_reaches_the_connection_on_its_thread() {
    let running = Running::new(2);
    let mut clients: Vec<_> =
        (0..8).map(|_| (running.connect("/"), running.opened.recv().unwrap())).collect();
    for (number, (_, id)) in clients.iter().enumerate() {
        running.handle.send_to(*id, "first").unwrap();
        running.handle.notify(*id, format!("note {number}")).unwrap();
    }
    for (number, (client, _)) in clients.iter_mut().enumerate() {
        assert_eq!(client.receive(2), ["first".to_owned(), format!("note {number}")]);
    }
}

/// What others were sent in one batch with the note is not lost.
#[test]
fn a_panic_for_a_note_concerns_only_its_connection() {
    let running = Running::new(1);
    let mut clients: Vec<_> =
        (0..3).map(|_| (running.connect("/"), running.opened.recv().unwrap())).collect();
    let ids: Vec<_> = clients.iter().map(|client| client.1).collect();
    running
        .handle
        .run(move |hub| {
            hub.send_to(ids[1], "before");
            hub.notify(ids[0], "panic".to_owned());
            hub.send_to(ids[1], "after");
            hub.notify(ids[2], "noted".to_owned());
            hub.publish("room", "news");
        })
        .unwrap();
    assert_eq!(clients[0].0.receive(1), ["(1011)"]);
    assert_eq!(clients[1].0.receive(3), ["before", "after", "news"]);
    assert_eq!(clients[2].0.receive(2), ["noted", "news"]);
}

#[test]
fn a_note_for_a_server_that_has_ended_is_an_error() {
    let mut server = TestServer::new(Notes::default());
    server.connect("/").unwrap();
    let id = server.handler().ids[0];
    let handle = Server::without_listener().handle();
    assert!(handle.notify(id, "lost").is_err());
}
