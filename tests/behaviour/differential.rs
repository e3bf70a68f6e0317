//! Runs beside tungstenite, in both roles, over a pair of sockets: each end receives what the other sends.

use crate::socket_pair::socket_pair;
use quickcheck::{Gen, QuickCheck};
use std::io::ErrorKind;
use tungstenite::protocol::Role;
use tungstenite::{Error, Message as Theirs, WebSocket};
use websocket_stream::{Event, Message, Ready, Scratch, WebSocketStream};

/// Sends messages from their end, echoes them on ours, and compares the echoes.
fn conversation(messages: &[Theirs], ours_serves: bool) {
    let (a, b) = socket_pair().unwrap();
    b.set_nonblocking(true).unwrap();
    let (mut ours, role) = match ours_serves {
        true => (WebSocketStream::new(a).unwrap(), Role::Client),
        false => (WebSocketStream::client(a).unwrap(), Role::Server),
    };
    let mut theirs = WebSocket::from_raw_socket(b, role, None);
    let mut scratch = Scratch::new();
    let mut unsent = messages.iter();
    let mut received = Vec::new();
    let mut turns = 0;
    while received.len() < messages.len() {
        turns += 1;
        assert!(turns < 100_000, "{} of {} messages were echoed", received.len(), messages.len());
        // tungstenite keeps bytes that would block and sends them at the next flush.
        match theirs.flush() {
            Ok(()) => {
                if let Some(message) = unsent.next() {
                    ignore_would_block(theirs.send(message.clone()));
                }
            }
            other => ignore_would_block(other),
        }
        let wants = ours
            .drive(&mut scratch.at(0), Ready::UNKNOWN, |event, out| match event {
                Event::Message(message) => out.send(message),
                _ => Ok(()),
            })
            .unwrap();
        assert!(!wants.closed);
        loop {
            match theirs.read() {
                Ok(message) => received.push(message),
                Err(Error::Io(error)) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => panic!("{error}"),
            }
        }
    }
    assert_eq!(received, messages);

    // Their end closes; both ends report a clean end.
    ignore_would_block(theirs.close(None));
    let mut clean = false;
    for _ in 0..100 {
        let wants = ours
            .drive(&mut scratch.at(0), Ready::UNKNOWN, |event, _| {
                if let Event::Closed(end) = event {
                    clean = end.is_clean();
                }
                Ok(())
            })
            .unwrap();
        if wants.closed {
            break;
        }
        if let Err(Error::ConnectionClosed) = theirs.read() {
            theirs.get_mut().shutdown(std::net::Shutdown::Both).unwrap();
        }
    }
    assert!(clean);
}

fn ignore_would_block(result: Result<(), Error>) {
    match result {
        Err(Error::Io(error)) if error.kind() == ErrorKind::WouldBlock => {}
        other => other.unwrap(),
    }
}

#[test]
fn messages_go_both_ways_between_tungstenite_and_either_of_our_roles() {
    fn prop(texts: Vec<String>, blobs: Vec<Vec<u8>>, large: u32, ours_serves: bool) -> bool {
        let mut messages: Vec<Theirs> = texts.into_iter().map(Theirs::text).collect();
        messages.extend(blobs.into_iter().map(Theirs::binary));
        messages.push(Theirs::binary(vec![7; large as usize % 300_000]));
        conversation(&messages, ours_serves);
        true
    }
    QuickCheck::new()
        .rng(Gen::new(20))
        .tests(40)
        .quickcheck(prop as fn(Vec<String>, Vec<Vec<u8>>, u32, bool) -> bool);
}

#[test]
fn tungstenite_accepts_our_request_and_we_accept_its_own() {
    use websocket_stream::handshake::{ClientRequest, Response};
    use websocket_stream::{ClientOpening, Progress, ServerOpening};
    let mut scratch = Scratch::new();

    let (a, b) = socket_pair().unwrap();
    let mut opening = ClientOpening::new(a, ClientRequest::new("localhost", "/chat")).unwrap();
    assert!(matches!(opening.advance(&mut scratch.at(0)), Ok(Progress::Pending(_))));
    let mut theirs = tungstenite::accept(b).unwrap();
    assert!(matches!(opening.advance(&mut scratch.at(0)), Ok(Progress::Open)));
    let mut ours = opening.into_stream().unwrap();
    ours.send(&mut scratch.at(0), Message::Text("hello")).unwrap();
    assert_eq!(theirs.read().unwrap(), Theirs::text("hello"));

    let (a, b) = socket_pair().unwrap();
    b.set_nonblocking(true).unwrap();
    let mut opening = ServerOpening::new(a).unwrap();
    let Err(tungstenite::HandshakeError::Interrupted(theirs)) = tungstenite::client("ws://localhost/x", b)
    else {
        panic!("the answer is not there yet")
    };
    match opening.advance(&mut scratch.at(0)).unwrap() {
        Progress::Decide(request) => assert_eq!(request.path(), "/x"),
        other => panic!("{other:?}"),
    }
    opening.answer(&Response::accept()).unwrap();
    assert!(matches!(opening.advance(&mut scratch.at(0)), Ok(Progress::Open)));
    assert!(theirs.handshake().is_ok());
}
