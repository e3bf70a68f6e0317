//! Calls that end early, or come late: deadlines do not wait for them, and nothing that arrived is lost.

use crate::framed::from_client;
use std::io::ErrorKind;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;
use websocket_stream::transport::testing::memory::{self, MemoryStream};
use websocket_stream::{
    Cause, ClientOpening, ClientRequest, CloseCode, Closed, Config, Error, Event, Limits,
    NonBlockingTransport, OpCode, Outgoing, PauseReading, Ready, Role, Scratch, SendError, State, Timeout,
    Timeouts, WebSocketStream,
};

const OFF: Timeouts = Timeouts::OFF;

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn server(config: Config) -> (WebSocketStream<MemoryStream>, MemoryStream) {
    let (a, peer) = memory::pair(1 << 20);
    (WebSocketStream::with_config(a, Role::Server, Arc::new(config)).unwrap(), peer)
}

fn ignore(_: Event<'_>, _: &mut Outgoing<'_>) -> Result<(), Error> {
    Ok(())
}

fn echo(event: Event<'_>, out: &mut Outgoing<'_>) -> Result<(), SendError> {
    match event {
        Event::Message(message) => out.send(message),
        _ => Ok(()),
    }
}

fn cause(state: State) -> Option<Cause> {
    match state {
        State::Closed(Closed { cause, .. }) | State::Draining(Closed { cause, .. }) => Some(cause),
        State::Open | State::Closing => None,
    }
}

#[test]
fn the_write_timeout_passes_while_an_end_is_held() {
    let (mut stream, mut peer) = server(Config::default().timeouts(OFF.write(seconds(1))));
    let mut scratch = Scratch::new();
    stream.get_mut().limit_send(0);
    stream.send(&mut scratch.at(10), &[7; 10_000]).unwrap();
    peer.send(&[from_client(0x81, b"Hello"), from_client(0x88, b"\x03\xe8")].concat()).unwrap();
    let wants = stream.try_drive_and_hold(&mut scratch.at(11), Ready::READABLE, 1, ignore).unwrap();
    assert!(wants.is_some_and(|wants| wants.again) && stream.is_end_next());
    assert_eq!(stream.next_deadline(11), Some(1_010));
    for now in [1_009, 1_010] {
        stream.try_drive_and_hold(&mut scratch.at(now), Ready::UNKNOWN, 0, ignore).unwrap();
        let passed = (now == 1_010).then_some(Cause::Timeout(Timeout::Write));
        assert_eq!(cause(stream.state()), passed, "{now}");
    }
}

/// Returns a stream whose next send fails, and whose call receives at most 100,000 bytes and 10 messages.
fn failing() -> (WebSocketStream<MemoryStream>, MemoryStream, Scratch) {
    let limits = Limits::default().call_bytes(100_000).call_events(10);
    let (stream, peer) = server(Config::default().limits(limits));
    stream.get_ref().plan_send([Err(ErrorKind::BrokenPipe)]);
    (stream, peer, Scratch::new())
}

/// Drives a stream once, and returns the number of messages, and the cause of the end.
fn drive(
    stream: &mut WebSocketStream<MemoryStream>,
    scratch: &mut Scratch,
    now: u64,
) -> (usize, Option<Cause>) {
    let (mut messages, mut cause) = (0, None);
    let _ = stream.drive(&mut scratch.at(now), Ready::READABLE, |event, _| {
        match event {
            Event::Message(_) => messages += 1,
            Event::Closed(end) => cause = Some(end.cause),
            _ => {}
        }
        Ok(())
    });
    (messages, cause)
}

/// A peer that takes nothing any more and sends without end must not keep the connection.
#[test]
fn a_failed_connection_ends_in_time_although_the_peer_sends_on() {
    for closes in [false, true] {
        let (mut stream, mut peer, mut scratch) = failing();
        assert!(stream.send(&mut scratch.at(10), "lost").is_err());
        let piece = from_client(0x82, &[7; 60_000]);
        let mut rest = piece.clone();
        let mut flood = |now| {
            while let Ok(n) = peer.send(&rest) {
                rest.drain(..n);
                if rest.is_empty() {
                    rest.clone_from(&piece);
                }
            }
            if closes {
                let _ = stream.close(&mut scratch.at(now), CloseCode::NORMAL, "");
            }
            drive(&mut stream, &mut scratch, now).1
        };
        // More than a socket's buffer has, but not long after the failure.
        for _ in 0..800 {
            assert_eq!(flood(5_009), None);
        }
        let cause = flood(5_010);
        assert!(
            matches!(cause, Some(Cause::System(error)) if error.kind() == ErrorKind::BrokenPipe),
            "{cause:?}"
        );
    }
}

#[test]
fn messages_that_arrived_before_a_failure_are_delivered_after_the_time_for_closing() {
    let (mut stream, mut peer, mut scratch) = failing();
    peer.send(&from_client(0x81, b"x").repeat(100)).unwrap();
    assert!(stream.send(&mut scratch.at(10), "lost").is_err());
    let mut received = 0;
    let ended = (1..30).find(|hour| {
        let (messages, cause) = drive(&mut stream, &mut scratch, hour * 3_600_000);
        received += messages;
        cause.is_some()
    });
    assert!(ended.is_some() && received == 100, "{ended:?} {received}");
}

/// A transport that returns one byte of each call and holds the next.
struct Reluctant {
    calls: usize,
}

impl NonBlockingTransport for Reluctant {
    fn set_nonblocking(&mut self) -> std::io::Result<()> {
        Ok(())
    }
    fn recv(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        self.calls += 1;
        // Pieces of a long message.
        buffer[0] = [0x82, 0xFF, 0, 0, 0, 0, 0, 10].get(self.calls - 1).copied().unwrap_or(0);
        Ok(1)
    }
    fn send(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        Ok(bytes.len())
    }
    fn shutdown_write(&mut self) -> std::io::Result<()> {
        Ok(())
    }
    fn holds_input(&self) -> bool {
        true
    }
}

/// Such as TLS with records of one byte, each of which is work.
#[test]
fn a_transport_that_stops_early_without_end_does_not_hold_the_call() {
    let mut stream = WebSocketStream::new(Reluctant { calls: 0 }).unwrap();
    let mut scratch = Scratch::new();
    let wants = stream.drive(&mut scratch.at(0), Ready::READABLE, echo).unwrap();
    assert!(wants.again && stream.get_ref().calls <= 20, "{}", stream.get_ref().calls);
    // It goes on in the next call, as far again.
    let before = stream.get_ref().calls;
    let wants = stream.drive(&mut scratch.at(0), Ready::NONE, echo).unwrap();
    assert!(wants.again && stream.get_ref().calls > before);
}

#[test]
fn the_close_timeout_passes_although_the_handler_fails_in_each_call() {
    let (mut stream, mut peer) = server(Config::default());
    let mut scratch = Scratch::new();
    stream.close(&mut scratch.at(10), CloseCode::NORMAL, "").unwrap();
    let mut ends = Vec::new();
    for now in [5_009, 5_010, 5_010] {
        peer.send(&from_client(0x81, b"still here").repeat(2)).unwrap();
        let driven = stream.try_drive(&mut scratch.at(now), Ready::READABLE, |event, out| match event {
            Event::Message(message) => out.send(message).map_err(Error::from),
            Event::Closed(end) => {
                ends.push(end.cause);
                Ok(())
            }
            _ => Ok(()),
        });
        assert_eq!(driven.is_err(), ends.is_empty());
    }
    assert_eq!(ends, [Cause::Timeout(Timeout::Close)]);
}

/// The time to close begins with the first call that has a time, and no other timeout ends it.
#[test]
fn a_closing_whose_time_is_not_over_continues_although_the_handler_fails() {
    for restarts in [false, true] {
        let (mut stream, mut peer) = server(Config::default());
        let mut scratch = Scratch::new();
        if restarts {
            stream.close(&mut scratch.at(10), CloseCode::NORMAL, "").unwrap();
            stream.restart_timeouts();
        } else {
            stream.write(OpCode::Close, b"\x03\xe8").unwrap(); // without a time
        }
        for (now, end) in [(90_000, None), (94_999, None), (95_000, Some(Cause::Timeout(Timeout::Close)))] {
            peer.send(&from_client(0x81, b"still here").repeat(2)).unwrap();
            let driven = stream.try_drive(&mut scratch.at(now), Ready::READABLE, |event, out| match event {
                Event::Message(message) => out.send(message).map_err(Error::from),
                _ => Ok(()),
            });
            assert!(driven.is_err(), "{now}");
            assert_eq!(cause(stream.state()), end, "{now}, {restarts}");
        }
    }
}

#[test]
fn the_write_timeout_passes_although_the_handler_fails_in_each_call() {
    let limits = Limits::default().unsent(2_048).pause_reading(PauseReading::Never);
    let (mut stream, mut peer) = server(Config::default().limits(limits).timeouts(OFF.write(seconds(30))));
    let mut scratch = Scratch::new();
    stream.get_mut().limit_send(0);
    peer.send(&from_client(0x82, &[7; 1_000]).repeat(20)).unwrap();
    for now in [10, 11, 12, 30_009] {
        let wants = stream.drive(&mut scratch.at(now), Ready::READABLE, echo).unwrap();
        assert_eq!((wants.refused, stream.state()), (Some(SendError::Full), State::Open), "{now}");
    }
    let _ = stream.drive(&mut scratch.at(30_010), Ready::READABLE, echo).unwrap();
    assert_eq!(cause(stream.state()), Some(Cause::Timeout(Timeout::Write)));
}

/// The calls deliver one event each. More arrives, which nobody has received when the time is over.
#[test]
fn a_peer_whose_bytes_wait_is_not_silent() {
    let limits = Limits::default().call_events(1);
    let (mut stream, mut peer) = server(Config::default().limits(limits).timeouts(OFF.idle(seconds(10))));
    let mut scratch = Scratch::new();
    let mut received = Vec::new();
    for text in [b"A", b"B", b"C"] {
        peer.send(&from_client(0x81, text)).unwrap();
    }
    for now in [0, 10_000, 20_000, 30_000] {
        peer.send(&from_client(0x81, b"D")).unwrap();
        let _ = stream.drive(&mut scratch.at(now), Ready::READABLE, |event, _| {
            if let Event::Message(message) = event {
                received.extend_from_slice(message.as_bytes());
            }
            Ok(())
        });
    }
    assert_eq!((&received[..], stream.state()), (&b"ABCD"[..], State::Open));
}

/// The call has received as much as it may. The transport has more, and will not announce it again.
#[test]
fn after_a_panic_of_the_handler_the_rest_is_still_received() {
    let (mut stream, mut peer) = server(Config::default());
    let (mut scratch, mut calls, mut received) = (Scratch::new(), 0, 0);
    let frame = from_client(0x82, &[7; 1 << 10]);
    let sent = 1_000;
    peer.send(&frame.repeat(sent)).unwrap();
    let mut ready = Ready::READABLE;
    while ready.readable || stream.wants().again {
        let panicked = catch_unwind(AssertUnwindSafe(|| {
            let _ = stream.drive(&mut scratch.at(0), ready, |event, _| {
                if let Event::Message(_) = event {
                    received += 1;
                    // Not for every number, so that some calls end otherwise.
                    std::panic::resume_unwind(Box::new("as the test wants it"));
                }
                Ok(())
            });
        }));
        assert!(panicked.is_err() || received == sent);
        ready = Ready::NONE;
        calls += 1;
        assert!(calls < 3 * sent);
    }
    assert_eq!(received, sent);
}

/// A program that only writes, as the crate of 2015 allows.
#[test]
fn write_sends_what_an_earlier_write_has_queued() {
    let (a, mut peer) = memory::pair(100);
    let mut stream = WebSocketStream::new(a).unwrap();
    assert_eq!(stream.write(OpCode::Binary, &[0; 150]).unwrap(), 100);
    for _ in 0..5 {
        assert_eq!(peer.unread(), 100);
        assert_eq!(peer.recv(&mut [0; 100]).unwrap(), 100);
        stream.write(OpCode::Binary, &[0; 98]).unwrap();
    }
    assert_eq!(stream.unsent(), 154 - 100);
}

#[test]
fn control_frames_make_room_as_messages_do() {
    let (mut stream, mut peer) = server(Config::default().limits(Limits::default().unsent(512)));
    peer.send(&from_client(0x81, b"go")).unwrap();
    let wants = stream.drive(&mut Scratch::new().at(0), Ready::READABLE, |event, out| {
        if let Event::Message(_) = event {
            for _ in 0..20 {
                out.ping(&[0; 125])?;
                out.pong(&[0; 125])?;
            }
        }
        Ok(())
    });
    assert_eq!(wants.unwrap().refused, None);
    assert_eq!(peer.unread(), 40 * 127);
}

#[test]
fn an_opening_that_is_taken_apart_returns_the_bytes_that_it_was_given() {
    let (a, _peer) = memory::pair(1 << 10);
    let (request, received) = (ClientRequest::new("localhost", "/"), b"HTTP/1.1 1");
    let opening = ClientOpening::with_received(a, request, Arc::default(), received).unwrap();
    assert_eq!(opening.into_parts().unread, received);
}
