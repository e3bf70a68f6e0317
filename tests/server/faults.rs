//! Handlers that fail or panic: the connection ends, and everything else goes on.

use crate::world::{Client, World};
use std::panic::{AssertUnwindSafe, catch_unwind};
use websocket_stream::server::{Answer, Failure, Handler, NewPeer, Peer};
use websocket_stream::{CloseCode, Closed, Message, Request, Response, SendError};

/// Does what a message says.
#[derive(Default)]
struct Obedient {
    failures: Vec<String>,
    ended: Vec<String>,
}

impl Handler for Obedient {
    type Session = String;

    fn open(&mut self, _: &mut NewPeer<'_>, name: &mut String, request: &Request<'_>) -> Answer {
        assert_ne!(request.path(), "/panic");
        *name = request.path().to_owned();
        Response::accept().into()
    }

    fn message(&mut self, peer: &mut Peer<'_>, _: &mut String, message: Message<'_>) -> Result<(), Failure> {
        match message.as_text().unwrap() {
            "panic" | "panic twice" => panic!("as the message asked"),
            "number" => drop("no number".parse::<u32>()?),
            "full" => return Err(SendError::Full.into()),
            "closed" => {
                peer.close(CloseCode::NORMAL, "")?;
                peer.send("too late")?;
            }
            "policy" => return Err(Failure::close(CloseCode::POLICY_VIOLATION, "x".repeat(200))),
            "unsendable" => return Err(Failure::close(CloseCode::ABNORMAL, "")),
            text => peer.send(text)?,
        }
        Ok(())
    }

    fn closed(&mut self, _: &mut Peer<'_>, name: &mut String, _: Closed) {
        self.ended.push(name.clone());
        assert_ne!(name, "/panics-at-its-end");
    }

    fn failed(&mut self, _: &mut Peer<'_>, _: &mut String, failure: &Failure) {
        self.failures.push(failure.to_string());
    }
}

/// Sends a message and returns what comes back, until nothing more does.
fn ask(world: &mut World<Obedient>, client: &mut Client, text: &str) -> Vec<String> {
    client.send(text);
    answers(world, client)
}

fn answers(world: &mut World<Obedient>, client: &mut Client) -> Vec<String> {
    let mut received = Vec::new();
    for _ in 0..4 {
        // A panic of the handler is one of the loop; the loop then goes on.
        let _ = catch_unwind(AssertUnwindSafe(|| world.round_of_all()));
        received.extend(client.receive());
    }
    received
}

#[test]
fn an_error_closes_its_connection_with_a_code_that_says_why() {
    let cases = [
        ("number", "(1011 )", 1),
        ("full", "(1013 peer too slow)", 1),
        ("unsendable", "(1011 )", 0),
        ("closed", "(1000 )", 0),
    ];
    for (text, close, failures) in cases {
        let mut world = World::new(Obedient::default());
        let (mut client, mut other) = (world.connect("/client"), world.connect("/other"));
        client.send("before");
        assert_eq!(ask(&mut world, &mut client, text), ["before", close], "{text}");
        assert_eq!(world.handler.failures.len(), failures, "{text}: {:?}", world.handler.failures);
        assert_eq!(world.connections.counters().failures, failures as u64);
        assert_eq!(world.handler.ended, ["/client"]);
        assert_eq!(ask(&mut world, &mut other, "and you?"), ["and you?"]);
    }
}

#[test]
fn a_reason_that_is_too_long_is_cut_off() {
    let mut world = World::new(Obedient::default());
    let mut client = world.connect("/");
    let received = ask(&mut world, &mut client, "policy");
    assert_eq!(received, [format!("(1008 {})", "x".repeat(123))]);
    assert!(world.handler.failures.is_empty(), "it is not an error");
}

#[test]
fn nothing_is_received_after_a_failure() {
    let mut world = World::new(Obedient::default());
    let mut client = world.connect("/");
    for text in ["one", "number", "two", "panic"] {
        client.send(text);
    }
    assert_eq!(ask(&mut world, &mut client, "three"), ["one", "(1011 )"]);
    assert_eq!(world.connections.counters().messages_received, 2);
    assert_eq!((world.connections.len(), world.connections.counters().panics), (0, 0));
}

#[test]
fn a_panic_closes_its_connection_and_no_other() {
    let mut world = World::new(Obedient::default());
    let (mut client, mut other) = (world.connect("/client"), world.connect("/other"));
    client.send("before");
    other.send("beside");
    assert_eq!(ask(&mut world, &mut client, "panic"), ["before", "(1011 )"]);
    assert_eq!(other.receive(), ["beside"]);
    assert_eq!(world.connections.counters().panics, 1);
    assert_eq!(world.handler.ended, ["/client"]);
    assert_eq!(world.connections.len(), 1);
    assert_eq!(ask(&mut world, &mut other, "and you?"), ["and you?"]);
    assert_eq!(world.connections.counters().unsent, 0);
}

#[test]
fn a_panic_in_the_opening_and_one_at_the_end_are_survived() {
    let mut world = World::new(Obedient::default());
    let request = || websocket_stream::ClientRequest::new("localhost", "/panic");
    assert!(catch_unwind(AssertUnwindSafe(|| world.try_connect(request(), 4096).is_ok())).is_err());
    let mut fragile = world.connect("/panics-at-its-end");
    // It panics when it handles the message, and again when it is to hear of its end.
    ask(&mut world, &mut fragile, "panic twice");
    answers(&mut world, &mut fragile);
    assert_eq!(world.handler.ended, ["/panics-at-its-end"]);
    let mut other = world.connect("/other");
    assert_eq!(ask(&mut world, &mut other, "and you?"), ["and you?"]);
    assert_eq!(world.connections.len(), 1);
    let counters = world.connections.counters();
    assert_eq!((counters.open, counters.opening, counters.panics), (1, 0, 2));
}

#[test]
fn a_failure_is_as_small_as_a_pointer() {
    assert_eq!(size_of::<Result<(), Failure>>(), size_of::<usize>());
}
