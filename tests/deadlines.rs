//! Time is an argument: what it does to a connection, and what it must not do.

use std::sync::Arc;
use websocket_stream::transport::memory::{self, MemoryStream};
use websocket_stream::{
    Cause, Config, Deadline, Deadlines, End, Event, Interest, NonBlockingTransport, Ready, Role, Scratch,
    Status, WebSocketStream,
};

/// A server with these deadlines, its peer, and a scratch. The caller's clock shows a late hour.
const START: u64 = 5_000_000_000;

fn ends(deadlines: Deadlines) -> (WebSocketStream<MemoryStream>, WebSocketStream<MemoryStream>, Scratch) {
    let (a, b) = memory::pair(4096);
    let config = Arc::new(Config { deadlines, ..Config::default() });
    let server = WebSocketStream::with_config(a, Role::Server, config).unwrap();
    (server, WebSocketStream::client(b).unwrap(), Scratch::new())
}

fn drive(
    stream: &mut WebSocketStream<MemoryStream>,
    scratch: &mut Scratch,
    now: u64,
    ready: Ready,
) -> (Interest, Vec<String>) {
    let mut events = Vec::new();
    let interest = stream
        .drive(&mut scratch.at(now), ready, |event, _| {
            events.push(match event {
                Event::End(End { cause, .. }) => format!("{cause:?}"),
                other => format!("{other:?}"),
            });
            Ok(())
        })
        .unwrap();
    (interest, events)
}

fn silence() -> Deadlines {
    Deadlines { ping: Some(1_000), silence: Some(3_000), ..Deadlines::default() }
}

#[test]
fn silence_counts_from_the_first_call_whatever_the_clock_shows() {
    let (mut server, _client, mut scratch) = ends(silence());
    let (interest, events) = drive(&mut server, &mut scratch, START, Ready::ALL);
    assert!(!interest.over, "{events:?}");
    assert_eq!(server.next_deadline(START), Some(START + 1_000));
}

#[test]
fn a_silent_peer_is_pinged_and_then_given_up() {
    let (mut server, mut client, mut scratch) = ends(silence());
    let _ = drive(&mut server, &mut scratch, START, Ready::ALL);
    let _ = drive(&mut server, &mut scratch, START + 999, Ready::NONE);
    assert_eq!(drive(&mut client, &mut scratch, 0, Ready::ALL).1, [""; 0]);
    let _ = drive(&mut server, &mut scratch, START + 1_000, Ready::NONE);
    assert_eq!(drive(&mut client, &mut scratch, 0, Ready::ALL).1, ["Ping([])"]);
    assert_eq!(server.next_deadline(START + 1_000), Some(START + 3_000));
    // The pong waits in the socket, and a pong is life.
    let (interest, events) = drive(&mut server, &mut scratch, START + 1_500, Ready::READABLE);
    assert_eq!((interest.over, &events[..]), (false, &["Pong([])".to_owned()][..]));
    assert_eq!(server.next_deadline(START + 1_500), Some(START + 2_500));
    let _ = drive(&mut server, &mut scratch, START + 2_500, Ready::NONE);
    let (interest, events) = drive(&mut server, &mut scratch, START + 4_500, Ready::NONE);
    assert_eq!((interest.over, &events[..]), (true, &["Deadline(Silence)".to_owned()][..]));
    assert_eq!(server.next_deadline(START + 4_500), None);
}

#[test]
fn bytes_that_have_arrived_are_life_however_late_the_loop_is() {
    let (mut server, mut client, mut scratch) = ends(silence());
    let _ = drive(&mut server, &mut scratch, START, Ready::ALL);
    client.send(&mut scratch.at(0), "I am here").unwrap();
    // A call for the deadline alone, by a loop that has not asked its poller yet.
    let (interest, events) = drive(&mut server, &mut scratch, START + 60_000, Ready::NONE);
    assert_eq!((interest.over, &events[..]), (false, &["Message(Text(\"I am here\"))".to_owned()][..]));
    assert_eq!(server.next_deadline(START + 60_000), Some(START + 61_000));
}

#[test]
fn calls_that_are_told_no_time_leave_the_deadlines_to_those_that_are() {
    let (mut server, mut client, mut scratch) = ends(silence());
    client.send(&mut scratch.at(0), "one").unwrap();
    assert_eq!(server.read().unwrap().1, b"one");
    assert!(!drive(&mut server, &mut scratch, START, Ready::NONE).0.over);
    client.send(&mut scratch.at(0), "two").unwrap();
    assert_eq!(server.read().unwrap().1, b"two");
    // It was a sign of life, at a time that nobody told: silence begins with this call.
    assert!(!drive(&mut server, &mut scratch, START + 9_000, Ready::NONE).0.over);
    assert_eq!(server.next_deadline(START + 9_000), Some(START + 10_000));
}

#[test]
fn a_peer_that_ends_its_stream_and_takes_nothing_is_let_go_at_the_deadline() {
    let (mut server, mut client, mut scratch) = ends(Deadlines::default());
    client.send(&mut scratch.at(START), "echo me").unwrap();
    server.get_ref().limit_send(0);
    client.get_mut().shutdown_write().unwrap();
    let echo = |server: &mut WebSocketStream<MemoryStream>, scratch: &mut Scratch, now, ready| {
        server
            .drive(&mut scratch.at(now), ready, |event, out| match event {
                Event::Message(message) => out.send(message),
                _ => Ok(()),
            })
            .unwrap()
    };
    let interest = echo(&mut server, &mut scratch, START, Ready::ALL);
    assert!(matches!(server.status(), Status::Over(End { cause: Cause::EndOfStream, .. })));
    assert!(interest.writable && !interest.over);
    assert_eq!(server.next_deadline(START), Some(START + 5_000));
    assert!(!echo(&mut server, &mut scratch, START + 4_999, Ready::NONE).over);
    assert!(echo(&mut server, &mut scratch, START + 5_000, Ready::NONE).over);
}

#[test]
fn a_closing_handshake_that_the_peer_does_not_finish_ends_at_its_deadline() {
    let (mut server, _client, mut scratch) = ends(Deadlines::default());
    server.close(&mut scratch.at(START), websocket_stream::CloseCode::NORMAL, "").unwrap();
    assert_eq!(server.next_deadline(START), Some(START + 5_000));
    let (interest, events) = drive(&mut server, &mut scratch, START + 4_999, Ready::ALL);
    assert_eq!((interest.over, events.len()), (false, 0));
    let (interest, _) = drive(&mut server, &mut scratch, START + 5_000, Ready::NONE);
    assert!(interest.over);
    assert!(matches!(server.status(), Status::Over(End { cause: Cause::Deadline(Deadline::Close), .. })));
}
