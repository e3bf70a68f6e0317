//! Work that one call leaves is continued by the next one, whichever method that is: no wake-up is lost
//! between `drive`, `flush`, `send` and `read`.

use std::io::ErrorKind;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use websocket_stream::transport::testing::memory::{self, MemoryStream};
use websocket_stream::transport::testing::scripted::{Scripted, Step};
use websocket_stream::{
    Cause, Config, Event, Limits, Message, NonBlockingTransport, OpCode, PauseReading, ReadError, Ready,
    Role, Scratch, SendError, State, Wants, WebSocketStream,
};

/// A message of 100 bytes from a client, masked with zeros.
fn message() -> Vec<u8> {
    [&[0x82, 0x80 | 100, 0, 0, 0, 0][..], &[7; 100]].concat()
}

fn server(transport: MemoryStream, limits: Limits) -> WebSocketStream<MemoryStream> {
    let config = Arc::new(Config::default().limits(limits));
    WebSocketStream::with_config(transport, Role::Server, config).unwrap()
}

/// Echoes messages and counts them.
fn echo(stream: &mut WebSocketStream<MemoryStream>, ready: Ready, count: &mut usize) -> Wants {
    let handler = |event: Event<'_>, out: &mut websocket_stream::Outgoing<'_>| match event {
        Event::Message(message) => {
            *count += 1;
            out.send(message)
        }
        _ => Ok(()),
    };
    stream.drive(&mut Scratch::new().at(0), ready, handler).unwrap()
}

/// Takes all available bytes.
fn take(peer: &mut MemoryStream) -> usize {
    let mut taken = 0;
    while let Ok(n @ 1..) = peer.recv(&mut [0; 4096]) {
        taken += n;
    }
    taken
}

#[test]
fn a_paused_stream_resumes_reading_after_a_flush_that_sent_everything() {
    let (transport, mut peer) = memory::pair(1000);
    let mut stream = server(transport, Limits::default().pause_reading(PauseReading::Above(500)));
    let (mut sending, mut received) = (message().repeat(40), 0);
    let mut arrives = |peer: &mut MemoryStream| {
        let n = peer.send(&sending).unwrap_or(0);
        sending.drain(..n);
    };
    while stream.wants().read {
        arrives(&mut peer);
        let _ = echo(&mut stream, Ready::READABLE, &mut received);
    }
    // More arrives; an edge-triggered poller reports it now, and never again.
    arrives(&mut peer);
    assert!(!echo(&mut stream, Ready::READABLE, &mut received).again);
    while stream.unsent() > 0 {
        take(&mut peer);
        stream.flush(&mut Scratch::new().at(0)).unwrap();
    }
    assert!(stream.wants().again && stream.wants().read);
    let before = received;
    let _ = echo(&mut stream, Ready::NONE, &mut received);
    assert!(received > before);
}

#[test]
fn a_flush_that_sends_the_last_frame_ends_the_direction() {
    let (transport, mut peer) = memory::pair(50);
    let mut stream = server(transport, Limits::default());
    stream.send(&mut Scratch::new().at(0), &[7; 100]).unwrap();
    peer.send(b"\x88\x82\0\0\0\0\x03\xe8").unwrap();
    let wants = echo(&mut stream, Ready::READABLE, &mut 0);
    assert!(wants.write && !wants.closed);
    assert!(matches!(stream.state(), State::Draining(_)));
    let mut taken = 0;
    while stream.unsent() > 0 {
        taken += take(&mut peer);
        stream.flush(&mut Scratch::new().at(0)).unwrap();
    }
    taken += take(&mut peer);
    assert_eq!(taken, 102 + 4);
    assert_eq!(peer.recv(&mut [0]).unwrap(), 0, "the end of the stream");
}

#[test]
fn a_call_that_answers_a_close_frame_ends_the_direction() {
    let (transport, mut peer) = memory::pair(1000);
    let mut stream = server(transport, Limits::default());
    peer.send(&[&message()[..], b"\x88\x82\0\0\0\0\x03\xe8"].concat()).unwrap();
    let wants = echo(&mut stream, Ready::READABLE, &mut 0);
    assert!(wants.read && !wants.write && !wants.closed);
    assert_eq!(take(&mut peer), 102 + 4);
    assert_eq!(peer.recv(&mut [0]).unwrap(), 0, "the end of the stream");
}

#[test]
fn any_call_continues_after_a_used_up_budget_or_a_failed_handler() {
    // Part of a message; exactly one message; one event.
    for limits in [
        Limits::default().call_bytes(100),
        Limits::default().call_bytes(message().len()),
        Limits::default().call_events(1),
    ] {
        let (transport, mut peer) = memory::pair(4000);
        let mut stream = server(transport, limits);
        peer.send(&message().repeat(10)).unwrap();
        let mut received = 0;
        let mut wants = echo(&mut stream, Ready::READABLE, &mut received);
        assert!(wants.again && received < 10);
        while wants.again {
            assert_eq!(stream.wants(), wants);
            wants = echo(&mut stream, Ready::NONE, &mut received);
        }
        assert_eq!(received, 10);
    }
    let (transport, mut peer) = memory::pair(200_000);
    let mut stream = server(transport, Limits::default());
    peer.send(&message().repeat(1500)).unwrap();
    let refused = stream.drive(&mut Scratch::new().at(0), Ready::READABLE, |_, _| Err(SendError::Full));
    assert_eq!(refused.unwrap().refused, Some(SendError::Full));
    let mut received = 0;
    while stream.wants().again {
        let _ = echo(&mut stream, Ready::NONE, &mut received);
    }
    assert_eq!(received, 1499);
}

#[test]
fn read_returns_a_message_longer_than_a_calls_budget_in_one_call() {
    let (a, b) = memory::pair(2 << 20);
    let (mut server, mut client) = (WebSocketStream::new(a).unwrap(), WebSocketStream::client(b).unwrap());
    let message = vec![7; 1 << 20];
    client.write(OpCode::Binary, &message).unwrap();
    let (opcode, payload) = server.read().unwrap();
    assert!(opcode == OpCode::Binary && payload == message);
    assert!(matches!(server.read(), Err(ReadError::NoData)));
}

#[test]
fn a_transport_failure_before_a_handlers_panic_is_remembered() {
    let (transport, mut peer) = memory::pair(1 << 20);
    transport.plan_send([Err(ErrorKind::BrokenPipe)]);
    let mut stream = server(transport, Limits::default());
    peer.send(&message()).unwrap();
    let mut scratch = Scratch::new();
    let panics = catch_unwind(AssertUnwindSafe(|| {
        stream.drive(&mut scratch.at(0), Ready::READABLE, |_, out| {
            out.send(Message::Binary(&[7; 10_000]))?;
            std::panic::resume_unwind(Box::new(()))
        })
    }));
    assert!(panics.is_err());
    let mut end = None;
    let result = stream.drive(&mut scratch.at(0), Ready::NONE, |event, _| {
        if let Event::Closed(closed) = event {
            end = Some(closed);
        }
        Ok(())
    });
    assert!(result.is_err());
    assert!(end.is_some_and(|end| matches!(end.cause, Cause::System(_))), "{end:?}");
    assert_eq!(take(&mut peer), 0);
}

#[test]
fn messages_that_arrived_before_sending_failed_are_delivered_with_the_end_in_one_call() {
    let transport = Scripted::new([
        Step::FailSend(ErrorKind::BrokenPipe),
        Step::Give(message()),
        Step::FailRecv(ErrorKind::WouldBlock),
    ]);
    let mut stream = WebSocketStream::new(transport).unwrap();
    assert!(stream.send(&mut Scratch::new().at(0), "hello").is_err());
    let mut are_messages = Vec::new();
    let result = stream.drive(&mut Scratch::new().at(0), Ready::READABLE, |event, _| {
        are_messages.push(matches!(event, Event::Message(_)));
        Ok(())
    });
    assert_eq!(are_messages, [true, false], "a message, then the end");
    assert!(result.is_err() && matches!(stream.state(), State::Closed(_)));
    stream.into_parts().transport.finish().unwrap();
}

#[test]
fn a_call_with_nothing_ready_or_due_makes_no_system_call() {
    let mut stream = WebSocketStream::new(Scripted::new([])).unwrap();
    for now in [0, 1_000_000] {
        let wants = stream.drive(&mut Scratch::new().at(now), Ready::NONE, |_, _| Ok(())).unwrap();
        assert!(wants.read && !wants.again);
    }
    stream.into_parts().transport.finish().unwrap();
}

/// Keeps its bytes until it is flushed, as a TLS transport does with its records.
struct Holding(MemoryStream, Vec<u8>);

impl NonBlockingTransport for Holding {
    fn set_nonblocking(&mut self) -> std::io::Result<()> {
        Ok(())
    }

    fn recv(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        self.0.recv(buffer)
    }

    fn send(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.1.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn shutdown_write(&mut self) -> std::io::Result<()> {
        self.0.shutdown_write()
    }

    fn wants_write(&self) -> bool {
        !self.1.is_empty()
    }

    fn flush(&mut self) -> std::io::Result<()> {
        while !self.1.is_empty() {
            let taken = self.0.send(&self.1)?;
            self.1.drain(..taken);
        }
        Ok(())
    }
}

#[test]
fn bytes_held_by_the_transport_are_flushed_in_the_call_or_waited_for() {
    let (transport, mut peer) = memory::pair(150);
    let mut stream = WebSocketStream::new(Holding(transport, Vec::new())).unwrap();
    let mut scratch = Scratch::new();
    for writable in [false, true] {
        peer.send(&message()).unwrap();
        let wants = stream
            .drive(&mut scratch.at(0), Ready::READABLE, |event, out| match event {
                Event::Message(message) => out.send(message),
                _ => Ok(()),
            })
            .unwrap();
        assert_eq!((wants.write, stream.get_ref().1.is_empty()), (writable, !writable));
    }
    let taken = take(&mut peer);
    let wants = stream.drive(&mut scratch.at(0), Ready::UNKNOWN, |_, _| Ok(())).unwrap();
    assert!(!wants.write);
    assert_eq!(taken + take(&mut peer), 2 * 102);
}
