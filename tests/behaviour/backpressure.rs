//! Peers that do not read. Unsent bytes stay within their bound, a refused message leaves no trace, accepted
//! messages arrive in order, and a Close frame always fits.

use crate::framed::frame_to;
use quickcheck::{Arbitrary, Gen, QuickCheck};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fd::AsFd;
use std::collections::VecDeque;
use std::io::{ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::time::Duration;
use websocket_stream::frame::Header;
use websocket_stream::protocol::{Connection, Input, Output, Role};
use websocket_stream::transport::testing::memory::{self, MemoryStream};
use websocket_stream::{
    Cause, CloseCode, Config, Error, Event, Fault, IfFull, Limits, Message, NonBlockingTransport, OpCode,
    PauseReading, PreparedMessage, Ready, Scratch, SendError, Sent, State, Timeout, Timeouts, Wants,
    WebSocketStream,
};

fn with_limits(limits: Limits) -> Arc<Config> {
    Arc::new(Config::default().limits(limits))
}

/// The peer's end: decodes the bytes it receives.
struct Peer {
    transport: MemoryStream,
    connection: Connection,
    input: Input,
    messages: Vec<Vec<u8>>,
    pings: Vec<Vec<u8>>,
    pongs: Vec<Vec<u8>>,
    close: Option<CloseCode>,
}

impl Peer {
    fn new(transport: MemoryStream, role: Role) -> Self {
        Peer {
            transport,
            connection: Connection::new(role),
            input: Input::default(),
            messages: vec![],
            pings: vec![],
            pongs: vec![],
            close: None,
        }
    }

    /// Takes up to `most` bytes.
    fn take(&mut self, most: usize) {
        let mut buffer = vec![0; most];
        let Ok(n) = self.transport.recv(&mut buffer) else { return };
        self.input.extend(&buffer[..n]);
        // The peer's automatic answers are discarded: each test sends the peer's frames itself.
        let mut output = Output::new();
        while let Some(event) = self.connection.receive(&mut self.input, &mut output) {
            assert_eq!(self.close, None, "{event:?} after the Close frame");
            match event {
                Event::Message(message) => self.messages.push(message.as_bytes().to_vec()),
                Event::Ping(payload) => self.pings.push(payload.to_vec()),
                Event::Pong(payload) => self.pongs.push(payload.to_vec()),
                Event::Close(frame) => self.close = Some(frame.code),
                other => panic!("{other:?}"),
            }
        }
    }
}

#[derive(Debug, Clone)]
enum Step {
    Send(usize),
    Ping(usize),
    Pong(usize),
    Close(usize),
    PeerPings(Vec<usize>),
    PeerTakes(usize),
    PeerCloses,
    PeerBreaks,
}

impl Arbitrary for Step {
    fn arbitrary(g: &mut Gen) -> Self {
        let n = usize::from(u8::arbitrary(g));
        let small = |n: usize| n % 125;
        match u8::arbitrary(g) % 32 {
            0..10 => Step::Send(n * usize::from(u8::arbitrary(g) % 30)),
            10..14 => Step::Ping(small(n)),
            14..16 => Step::Pong(small(n)),
            16..22 => Step::PeerPings(Vec::<u8>::arbitrary(g).iter().map(|&n| small(n.into())).collect()),
            22..28 => Step::PeerTakes(n * usize::from(u8::arbitrary(g) % 10)),
            28..30 => Step::Close(small(n).min(123)),
            30 => Step::PeerCloses,
            _ => Step::PeerBreaks,
        }
    }
}

#[test]
fn the_bound_is_never_exceeded_and_accepted_messages_arrive_in_order() {
    fn prop(server: bool, unsent: u16, capacity: u8, steps: Vec<Step>) {
        let role = if server { Role::Server } else { Role::Client };
        let unsent = usize::from(unsent % 3000);
        let bound = unsent.max(Limits::CONTROL_ROOM);
        let (a, b) = memory::pair(usize::from(capacity));
        let limits = Limits::default().unsent(unsent).pause_reading(PauseReading::Never);
        let mut stream = WebSocketStream::with_config(a, role, with_limits(limits)).unwrap();
        let other = if server { Role::Client } else { Role::Server };
        let mut peer = Peer::new(b, other);
        let mut to_stream = VecDeque::new();
        let mut scratch = Scratch::new();
        let (mut messages, mut pings, mut pongs, mut asked) = (vec![], vec![], vec![], vec![]);
        let mut closing = false;
        for (index, step) in steps.into_iter().enumerate() {
            let payload = |n: usize| vec![u8::try_from(index % 255).unwrap(); n];
            let before = stream.unsent();
            let turn = &mut scratch.at(0);
            let mut refused = false;
            match step {
                Step::Send(n) => match stream.send(turn, &payload(n)[..]) {
                    Ok(_) => messages.push(payload(n)),
                    Err(Error::Send(SendError::Full | SendError::TooLong | SendError::Closed)) => {
                        refused = true
                    }
                    Err(other) => panic!("{other}"),
                },
                Step::Ping(n) => match stream.send_with(turn, |out| out.ping(&payload(n))) {
                    Ok(_) => pings.push(payload(n)),
                    Err(_) => refused = true,
                },
                Step::Pong(n) => match stream.send_with(turn, |out| out.pong(&vec![255; n + 1])) {
                    Ok(_) => pongs.push(vec![255; n + 1]),
                    Err(_) => refused = true,
                },
                Step::Close(n) => {
                    let open = stream.state() == State::Open;
                    let closed = stream.close(turn, CloseCode::NORMAL, &"r".repeat(n));
                    assert_eq!(closed.is_ok(), open, "a Close frame always fits");
                    closing = true;
                }
                Step::PeerPings(sizes) => {
                    for n in sizes {
                        asked.push(payload(n));
                        to_stream.extend(frame_to(role, 0x80 | 9, &payload(n)));
                    }
                }
                Step::PeerTakes(n) => peer.take(n),
                Step::PeerCloses => to_stream.extend(frame_to(role, 0x80 | 8, b"\x03\xe8")),
                Step::PeerBreaks => to_stream.extend(b"\xff"),
            }
            if refused {
                assert_eq!(stream.unsent(), before, "a refused message leaves no trace");
            }
            while !to_stream.is_empty() {
                let Ok(n) = peer.transport.send(to_stream.make_contiguous()) else { break };
                to_stream.drain(..n);
                drive(&mut stream, &mut scratch, |unsent| assert!(unsent <= bound, "{unsent} > {bound}"));
            }
            drive(&mut stream, &mut scratch, |unsent| assert!(unsent <= bound, "{unsent} > {bound}"));
            assert!(stream.unsent() <= bound, "{} > {bound}", stream.unsent());
            // The ring buffer is no larger than the bound. The struct and one pong need a little more.
            assert!(stream.heap_bytes() <= bound + 1024, "{} bytes", stream.heap_bytes());
            closing |= stream.state() != State::Open;
        }
        // The peer reads again.
        for _ in 0..100_000 {
            peer.take(4096);
            drive(&mut stream, &mut scratch, |_| {});
            if stream.unsent() == 0 && peer.transport.unread() == 0 {
                break;
            }
        }
        // A capacity of 0 never takes anything.
        if capacity > 0 {
            assert_eq!(stream.unsent(), 0);
            assert_eq!(peer.messages, messages);
            assert_eq!(peer.pings, pings);
            assert_eq!(peer.close.is_some(), closing);
            // Unsolicited pings keep their place. A pending pong follows them.
            let (unasked, answers): (Vec<_>, Vec<_>) =
                peer.pongs.iter().partition(|pong| pong.first() == Some(&255));
            assert!(unasked.into_iter().eq(&pongs));
            let mut asked = asked.iter();
            for pong in answers {
                assert!(asked.any(|asked| asked == pong), "an unsolicited pong, or one out of order");
            }
        }
    }
    fn drive(stream: &mut WebSocketStream<MemoryStream>, scratch: &mut Scratch, unsent: impl Fn(usize)) {
        let _ = stream
            .drive(&mut scratch.at(0), Ready::UNKNOWN, |_, out| {
                unsent(out.unsent());
                Ok(())
            })
            .unwrap();
    }
    QuickCheck::new().tests(150).quickcheck(prop as fn(bool, u16, u8, Vec<Step>));
}

#[test]
fn a_close_frame_fits_behind_pings_and_a_pong_with_the_smallest_bound() {
    for role in [Role::Server, Role::Client] {
        for unsent in (0..=600).step_by(7).chain([511, 512, 513, 1200]) {
            // 0: this end closes; 1: the peer closes; 2: the peer breaks the protocol; 3: the peer takes
            // nothing.
            for way in 0..4 {
                let bound = unsent.max(Limits::CONTROL_ROOM);
                let (a, b) = memory::pair(1);
                let limits = Limits::default().unsent(unsent).pause_reading(PauseReading::Never);
                let timeouts = Timeouts::default().write(Duration::from_millis(1));
                let config = Arc::new(Config::default().limits(limits).timeouts(timeouts));
                let mut stream = WebSocketStream::with_config(a, role, config).unwrap();
                let mut scratch = Scratch::new();
                let (mut sent, mut pings) = (0, 0);
                let mut payload = vec![1; 125];
                // The largest messages that fit, then smaller ones, until not even an empty message fits.
                while stream.send(&mut scratch.at(10), &payload[..]).is_ok() || payload.pop().is_some() {
                    sent = stream.unsent();
                }
                assert!(sent + Limits::CONTROL_ROOM <= bound.max(Limits::CONTROL_ROOM));
                let ping = |stream: &mut WebSocketStream<_>, scratch: &mut Scratch| {
                    stream.send_with(&mut scratch.at(10), |out| out.ping(&[2; 125])).is_ok()
                };
                while ping(&mut stream, &mut scratch) {
                    pings += 1;
                }
                assert!(pings >= 1);
                let mut peer = Peer::new(b, if role == Role::Server { Role::Client } else { Role::Server });
                let pinged = frame_to(role, 0x80 | 9, &[3; 125]);
                let last = match way {
                    1 => frame_to(role, 0x80 | 8, &[&b"\x03\xe8"[..], &[b'r'; 123]].concat()),
                    2 => b"\xff".to_vec(),
                    _ => vec![],
                };
                let mut step = |stream: &mut WebSocketStream<_>, byte: Option<u8>, ready, now| {
                    if let Some(byte) = byte {
                        peer.transport.send(&[byte]).unwrap();
                    }
                    let _ = stream.drive(&mut scratch.at(now), ready, |_, _| Ok(())).unwrap();
                    assert!(stream.unsent() <= bound, "{role:?} {unsent} {way}: {}", stream.unsent());
                };
                for byte in pinged {
                    step(&mut stream, Some(byte), Ready::READABLE, 10);
                }
                for byte in last {
                    step(&mut stream, Some(byte), Ready::READABLE, 10);
                }
                if way == 0 {
                    stream.close(&mut Scratch::new().at(10), CloseCode::NORMAL, &"r".repeat(123)).unwrap();
                    assert!(stream.unsent() <= bound);
                }
                step(&mut stream, None, Ready::NONE, if way == 3 { 11 } else { 10 });
                assert_ne!(stream.state(), State::Open);
                while stream.unsent() > 0 {
                    peer.take(1);
                    let _ = stream.drive(&mut Scratch::new().at(11), Ready::WRITABLE, |_, _| Ok(())).unwrap();
                }
                peer.take(1);
                assert_eq!(peer.pings.len(), pings);
                assert_eq!(peer.pongs, [[3; 125]]);
                let code = [1000, 1000, 1002, 1008][way];
                assert_eq!(peer.close.map(CloseCode::get), Some(code), "{role:?} {unsent} {way}");
            }
        }
    }
}

#[test]
fn a_peer_that_never_reads_costs_at_most_the_bound() {
    for role in [Role::Server, Role::Client] {
        let unsent = 100_000;
        let (a, _b) = memory::pair(1000);
        let config = with_limits(Limits::default().unsent(unsent));
        let mut stream = WebSocketStream::with_config(a, role, config).unwrap();
        let mut scratch = Scratch::new();
        let mut accepted = 0;
        for _ in 0..100_000 {
            match stream.send(&mut scratch.at(0), &[7; 1000][..]) {
                Ok(_) => accepted += 1,
                Err(error) => assert!(matches!(error, Error::Send(SendError::Full))),
            }
            assert!(stream.unsent() <= unsent && stream.heap_bytes() <= unsent + 1024);
        }
        assert!((95..=101).contains(&accepted), "{accepted}");
    }
}

#[test]
fn a_refused_fragment_leaves_no_trace_and_can_be_sent_again() {
    for role in [Role::Server, Role::Client] {
        let (a, b) = memory::pair(1 << 20);
        let config = with_limits(Limits::default().unsent(10_000));
        let mut stream = WebSocketStream::with_config(a, role, config).unwrap();
        let mut scratch = Scratch::new();
        let other = if role == Role::Server { Role::Client } else { Role::Server };
        let mut peer = Peer::new(b, other);
        stream.get_ref().limit_send(0);
        let (large, small) = ([7; 8_000], [8; 3_000]);
        stream
            .send_with(&mut scratch.at(0), |out| {
                out.send(&large)?;
                // A refused first fragment does not begin a message: a whole message may follow, a
                // continuation may not.
                let refused = out.send_fragment(OpCode::Binary, &small, false);
                assert_eq!(refused, Err(SendError::Full));
                assert_eq!(
                    out.send_fragment(OpCode::Continuation, b"", true),
                    Err(SendError::NoMessageBegun)
                );
                out.send(b"whole")?;
                // A refused last fragment does not end the message: the message continues.
                out.send_fragment(OpCode::Binary, b"first, ", false)?;
                let refused = out.send_fragment(OpCode::Continuation, &small, true);
                assert_eq!(refused, Err(SendError::Full));
                assert_eq!(out.send(b"whole"), Err(SendError::MessageUnfinished));
                out.send_fragment(OpCode::Continuation, b"last", true)
            })
            .unwrap();
        stream.get_ref().limit_send(usize::MAX);
        let _ = stream.drive(&mut scratch.at(0), Ready::WRITABLE, |_, _| Ok(())).unwrap();
        peer.take(1 << 20);
        assert_eq!(peer.messages, [&large[..], b"whole", b"first, last"]);
    }
}

#[test]
fn a_message_longer_than_the_bound_is_refused_whole_and_can_be_sent_in_fragments() {
    const UNSENT: usize = 10_000;
    const LONGEST: usize = UNSENT - Limits::CONTROL_ROOM - 14;
    for role in [Role::Server, Role::Client] {
        let (a, b) = memory::pair(1 << 20);
        let config = with_limits(Limits::default().unsent(UNSENT));
        let mut stream = WebSocketStream::with_config(a, role, config).unwrap();
        let mut scratch = Scratch::new();
        let other = if role == Role::Server { Role::Client } else { Role::Server };
        let mut peer = Peer::new(b, other);
        let message = [7; LONGEST + 1];
        let refused = stream.send(&mut scratch.at(0), &message);
        assert!(matches!(refused, Err(Error::Send(SendError::TooLong))), "{refused:?}");
        let prepared = PreparedMessage::new(&message);
        let refused = stream.send_prepared(&mut scratch.at(0), &prepared, IfFull::Drop);
        assert!(matches!(refused, Err(Error::Send(SendError::TooLong))), "{refused:?}");
        assert_eq!(stream.send(&mut scratch.at(0), &message[1..]).unwrap(), Sent::Written);
        for (opcode, half, fin) in
            [(OpCode::Binary, &message[..LONGEST], false), (OpCode::Continuation, &message[LONGEST..], true)]
        {
            let sent = stream.send_with(&mut scratch.at(0), |out| out.send_fragment(opcode, half, fin));
            assert_eq!(sent.unwrap(), Sent::Written);
        }
        peer.take(1 << 20);
        assert_eq!(peer.messages, [&message[1..], &message]);
    }
}

#[test]
fn a_million_pings_from_a_peer_that_never_reads_leave_one_pong() {
    let (a, mut peer) = memory::pair(1 << 16);
    let config = with_limits(Limits::default().pause_reading(PauseReading::Never));
    let mut stream = WebSocketStream::with_config(a, Role::Server, config).unwrap();
    let mut scratch = Scratch::new();
    // Some bytes are already unsent, because the peer does not take them.
    stream.send(&mut scratch.at(0), &[7; 1 << 17][..]).unwrap();
    let before = stream.unsent();
    let mut last = Vec::new();
    let mut pings = 0_u32;
    while pings < 1_000_000 {
        let mut batch = Vec::with_capacity(1 << 16);
        for _ in 0..6_000 {
            pings += 1;
            last = pings.to_be_bytes().to_vec();
            batch.extend_from_slice(&[0x89, 0x84, 0, 0, 0, 0]);
            batch.extend_from_slice(&last);
        }
        assert_eq!(peer.send(&batch).unwrap(), batch.len());
        while peer_unread(&mut stream, &mut scratch) {}
        assert_eq!(stream.unsent(), before + 6);
        assert!(stream.heap_bytes() < before + 4096);
    }
    // When the peer reads again, it receives the newest pong.
    let mut received = Vec::new();
    let mut buffer = vec![0; 1 << 16];
    while stream.unsent() > 0 || peer.unread() > 0 {
        if let Ok(n) = peer.recv(&mut buffer) {
            received.extend_from_slice(&buffer[..n]);
        }
        let _ = stream.drive(&mut scratch.at(0), Ready::WRITABLE, |_, _| Ok(())).unwrap();
    }
    assert!(received.ends_with(&[&[0x8a, 4], &last[..]].concat()));
    assert_eq!(received.len(), 10 + (1 << 17) + 6);

    fn peer_unread(stream: &mut WebSocketStream<MemoryStream>, scratch: &mut Scratch) -> bool {
        stream.drive(&mut scratch.at(0), Ready::READABLE, |_, _| Ok(())).unwrap().again
    }
}

#[test]
fn the_newest_pong_waits_until_a_slow_transport_takes_all_bytes_before_it() {
    let (transport, mut peer) = memory::pair(100);
    let mut stream = WebSocketStream::new(transport).unwrap();
    let mut scratch = Scratch::new();
    stream.send(&mut scratch.at(0), &[7; 1000]).unwrap();
    let mut received = Vec::new();
    let mut pings = 0_u8;
    while stream.unsent() > 0 || peer.unread() > 0 {
        let mut buffer = [0; 50];
        let n = peer.recv(&mut buffer).unwrap();
        received.extend_from_slice(&buffer[..n]);
        if received.len() < 900 {
            pings += 1;
            peer.send(&frame_to(Role::Server, 0x80 | 9, &[pings])).unwrap();
        }
        let _ = stream.drive(&mut scratch.at(0), Ready::UNKNOWN, |_, _| Ok(())).unwrap();
        assert!(pings == 0 || stream.unsent() <= 1004 + 3);
    }
    assert!(pings > 10);
    assert_eq!(received.len(), 1004 + 3);
    assert_eq!(received[1004..], [0x8a, 1, pings]);
}

// ---------------------------------------------------------------------------- pausing reading

const MESSAGE: usize = 50_000;

/// Drives an end that echoes. A refused echo is an error.
fn echo(stream: &mut WebSocketStream<MemoryStream>, scratch: &mut Scratch, ready: Ready) -> Wants {
    stream
        .drive(&mut scratch.at(0), ready, |event, out| match event {
            Event::Message(message) => out.send(message),
            _ => Ok(()),
        })
        .unwrap()
}

#[test]
fn an_echo_server_that_pauses_reading_refuses_nothing_and_loses_no_wake_up() {
    fn prop(sizes: Vec<u16>, pause: u16, capacity: u16, edge: bool) {
        let pause = usize::from(pause);
        let unsent = pause + MESSAGE + Limits::CONTROL_ROOM + 14;
        let limits =
            Limits::default().unsent(unsent).message(MESSAGE).pause_reading(PauseReading::Above(pause));
        let (a, b) = memory::pair(usize::from(capacity) + 1);
        let mut server = WebSocketStream::with_config(a, Role::Server, with_limits(limits)).unwrap();
        let mut scratch = Scratch::new();
        let mut peer = Peer::new(b, Role::Client);
        let mut sent: VecDeque<u8> = VecDeque::new();
        let mut expected = vec![];
        for (index, &size) in sizes.iter().enumerate() {
            let payload = vec![u8::try_from(index % 256).unwrap(); usize::from(size) % MESSAGE];
            let mut output = Output::new();
            Connection::new(Role::Client).send(Message::Binary(&payload), &mut output).unwrap();
            sent.extend(output.as_bytes());
            expected.push(payload);
        }
        // The peer sends everything before it reads anything, as far as the server allows.
        let mut wants = echo(&mut server, &mut scratch, Ready::UNKNOWN);
        let (mut readable, mut writable) = (false, false);
        for round in 0.. {
            let before = (peer.transport.unread(), server.get_ref().unread());
            if let Ok(n) = peer.transport.send(sent.make_contiguous()) {
                sent.drain(..n);
            }
            if round > 2 * sizes.len() + 20 {
                peer.take(1 + round % 5_000);
            }
            // An edge is reported once, when something changes; a level is reported as long as the loop waits
            // for it.
            let (arrived, room) = (server.get_ref().unread() > before.1, peer.transport.unread() < before.0);
            readable |= arrived;
            writable |= room;
            if !edge {
                readable = wants.read && server.get_ref().is_readable();
                writable = wants.write && server.get_ref().is_writable();
            }
            if readable || writable || wants.again {
                let ready = Ready { readable: readable || wants.again, writable, closed: false };
                wants = echo(&mut server, &mut scratch, ready);
                (readable, writable) = (false, false);
            }
            assert!(server.unsent() <= unsent, "{}", server.unsent());
            if peer.messages.len() == expected.len() {
                break;
            }
            assert!(round < 1_000_000, "the echo makes no progress");
        }
        assert_eq!(peer.messages, expected);
        assert_eq!(server.heap_bytes(), 0);
    }
    let mut tests = QuickCheck::new().rng(Gen::new(20)).tests(60);
    tests.quickcheck(prop as fn(Vec<u16>, u16, u16, bool));
}

#[test]
fn input_that_arrives_during_a_pause_is_received_after_the_unsent_bytes_are_sent() {
    let limits = Limits::default().pause_reading(PauseReading::Above(10));
    let (a, mut peer) = memory::pair(1000);
    let mut server = WebSocketStream::with_config(a, Role::Server, with_limits(limits)).unwrap();
    let mut scratch = Scratch::new();
    let message = frame_to(Role::Server, 0x80 | 0x2, &[7; 125]);
    peer.send(&message.repeat(7)).unwrap();
    assert!(echo(&mut server, &mut scratch, Ready::READABLE).read);
    // Part of the eighth echo is sent. There is nothing more to receive.
    peer.send(&message).unwrap();
    let wants = echo(&mut server, &mut scratch, Ready::READABLE);
    assert!(!wants.read && wants.write && !wants.again && server.unsent() > 10);
    // An edge-triggered poller reports this message now and not again, while the server is paused.
    peer.send(&frame_to(Role::Server, 0x80 | 0x2, b"last")).unwrap();
    let mut received = vec![0; 8 * 127 + 6];
    let (first, rest) = received.split_at_mut(1000);
    assert_eq!(peer.recv(first).unwrap(), 1000);
    let mut wants = echo(&mut server, &mut scratch, Ready::WRITABLE);
    while wants.again {
        wants = echo(&mut server, &mut scratch, Ready::READABLE);
    }
    assert_eq!(peer.recv(rest).unwrap(), rest.len());
    assert!(received.ends_with(b"\x82\x04last"));
}

#[test]
fn by_default_a_server_pauses_above_64_kib_and_a_client_never() {
    /// Returns a message whose frame has this size.
    fn message(role: Role, frame: usize) -> Vec<u8> {
        let mask = (role == Role::Client).then_some([0; 4]);
        let header = |len: usize| Header { mask, ..Header::new(OpCode::Binary, len as u64) }.encode().len();
        let len = (2..=14).map(|header| frame - header).find(|&len| header(len) + len == frame);
        vec![7; len.unwrap()]
    }
    for (role, unsent, pauses) in [
        (Role::Server, 64 << 10, false),
        (Role::Server, (64 << 10) + 1, true),
        (Role::Client, 1 << 20, false),
    ] {
        let (a, _b) = memory::pair(0);
        let mut stream = WebSocketStream::with_config(a, role, Arc::default()).unwrap();
        let mut scratch = Scratch::new();
        stream.send(&mut scratch.at(0), &message(role, unsent)[..]).unwrap();
        assert_eq!(stream.unsent(), unsent);
        let wants = stream.drive(&mut scratch.at(0), Ready::READABLE, |_, _| Ok(())).unwrap();
        assert_eq!(wants.read, !pauses, "{role:?} {unsent}");
    }
    // Half of `unsent` is less than 64 KiB.
    let limits = Limits::default().unsent(Limits::CONTROL_ROOM + 1000);
    for (unsent, pauses) in [(500, false), (501, true)] {
        let (a, _b) = memory::pair(0);
        let mut stream = WebSocketStream::with_config(a, Role::Server, with_limits(limits.clone())).unwrap();
        let mut scratch = Scratch::new();
        stream.send(&mut scratch.at(0), &message(Role::Server, unsent)[..]).unwrap();
        assert_eq!(stream.unsent(), unsent);
        let wants = stream.drive(&mut scratch.at(0), Ready::READABLE, |_, _| Ok(())).unwrap();
        assert_eq!(wants.read, !pauses, "{unsent}");
    }
}

#[test]
fn two_ends_that_both_pause_reading_wait_for_each_other_until_a_timeout() {
    let end = |transport, role, unsent: Option<Duration>| {
        let limits = Limits::default().pause_reading(PauseReading::Above(1000));
        let timeouts = Timeouts::default().write(unsent);
        WebSocketStream::with_config(
            transport,
            role,
            Arc::new(Config::default().limits(limits).timeouts(timeouts)),
        )
        .unwrap()
    };
    for (unsent, stand_still) in [(None, true), (Some(Duration::from_secs(60)), false)] {
        let (a, b) = memory::pair(4096);
        let mut ends = [end(a, Role::Server, unsent), end(b, Role::Client, unsent)];
        let mut scratch = Scratch::new();
        // Each end sends more than the other's transport holds, before it reads.
        for end in &mut ends {
            end.send(&mut scratch.at(0), &[7; 20_000][..]).unwrap();
        }
        for now in (0..200_000).step_by(100) {
            for end in &mut ends {
                let _ = end.drive(&mut scratch.at(now), Ready::UNKNOWN, |_, _| Ok(())).unwrap();
            }
        }
        for end in &ends {
            match stand_still {
                true => assert_eq!((end.state(), end.unsent() > 15_000), (State::Open, true)),
                false => match end.state() {
                    State::Closed(end) => {
                        assert!(matches!(end.cause, Cause::Timeout(Timeout::Write) | Cause::Handshake))
                    }
                    other => panic!("{other:?}"),
                },
            }
        }
    }
    // If only one end pauses, both make progress.
    let (a, b) = memory::pair(4096);
    let mut ends = [end(a, Role::Server, None), WebSocketStream::client(b).unwrap()];
    let mut scratch = Scratch::new();
    for end in &mut ends {
        end.send(&mut scratch.at(0), &[7; 20_000][..]).unwrap();
    }
    for _ in 0..100 {
        for end in &mut ends {
            let _ = end.drive(&mut scratch.at(0), Ready::UNKNOWN, |_, _| Ok(())).unwrap();
        }
    }
    assert_eq!((ends[0].unsent(), ends[1].unsent()), (0, 0));
}

// ---------------------------------------------------------------------------- real sockets

/// More rounds than any of these conversations needs.
const MANY: u32 = 100_000;

/// Waits until one of the sockets is ready for its flags.
fn wait(sockets: [(&TcpStream, PollFlags); 2]) {
    let mut fds = sockets.map(|(socket, flags)| PollFd::from_borrowed_fd(socket.as_fd(), flags));
    let hang = Timespec { tv_sec: 60, tv_nsec: 0 };
    assert_ne!(poll(&mut fds, Some(&hang)).unwrap(), 0, "it hangs");
}

#[test]
fn the_last_frames_are_not_lost_to_a_reset() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut peer = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let mut server = WebSocketStream::new(listener.accept().unwrap().0).unwrap();
    let mut scratch = Scratch::new();

    // A message, a fault, and then much more data, all of it before the peer reads a byte.
    let flood = vec![0x55; 1 << 20];
    peer.set_nonblocking(true).unwrap();
    let mut bytes: VecDeque<u8> = [b"\x82\x82\0\0\0\0hi\xff".as_slice(), &flood].concat().into();
    let (mut end, mut all_sent, mut is_closed, mut rounds) = (None, false, false, 0);
    while !is_closed {
        rounds += 1;
        assert!(rounds < MANY, "it never ends");
        let to_send = if bytes.is_empty() { PollFlags::empty() } else { PollFlags::OUT };
        wait([(server.get_ref(), PollFlags::IN), (&peer, to_send)]);
        if let Ok(n) = peer.write(bytes.make_contiguous()) {
            bytes.drain(..n);
        }
        if bytes.is_empty() && !std::mem::replace(&mut all_sent, true) {
            peer.shutdown(std::net::Shutdown::Write).unwrap();
        }
        let wants = server
            .drive(&mut scratch.at(0), Ready::UNKNOWN, |event, out| match event {
                Event::Message(message) => out.send(message),
                Event::Closed(closed) => {
                    end = Some(closed);
                    Ok(())
                }
                _ => Ok(()),
            })
            .unwrap();
        is_closed = wants.closed;
    }
    assert_eq!(end.map(|end| end.cause), Some(Cause::Fault(Fault::ReservedOpcode)));
    // The server is dropped after draining its input: the peer reads a complete stream with a clean end.
    drop(server);
    peer.set_nonblocking(false).unwrap();
    let mut received = Vec::new();
    peer.read_to_end(&mut received).unwrap();
    assert_eq!(received, b"\x82\x02hi\x88\x02\x03\xea");
}

#[test]
fn a_tcp_peer_that_pauses_and_resumes_receives_everything_in_order() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut peer = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let mut server = WebSocketStream::new(listener.accept().unwrap().0).unwrap();
    let mut scratch = Scratch::new();
    let mut accepted = 0_u32;
    loop {
        let mut message = vec![0; 60_000];
        message[..4].copy_from_slice(&accepted.to_be_bytes());
        match server.send(&mut scratch.at(0), &message[..]) {
            Ok(_) => accepted += 1,
            Err(Error::Send(SendError::Full)) => break,
            Err(other) => panic!("{other}"),
        }
    }
    let bound = Limits::default().unsent;
    assert!(server.unsent() <= bound && server.unsent() > bound - 61_000);
    server.close(&mut scratch.at(0), CloseCode::NORMAL, "").unwrap();

    let mut received = Vec::new();
    let mut buffer = vec![0; 1 << 20];
    peer.set_nonblocking(true).unwrap();
    let mut rounds = 0;
    while !received.ends_with(b"\x88\x02\x03\xe8") {
        rounds += 1;
        assert!(rounds < MANY, "it never ends");
        let wants = server.drive(&mut scratch.at(0), Ready::WRITABLE, |_, _| Ok(())).unwrap();
        let to_send = if wants.write { PollFlags::OUT } else { PollFlags::empty() };
        wait([(server.get_ref(), to_send), (&peer, PollFlags::IN)]);
        match peer.read(&mut buffer) {
            Ok(0) => break,
            Ok(n) => received.extend_from_slice(&buffer[..n]),
            Err(error) => assert_eq!(error.kind(), ErrorKind::WouldBlock),
        }
    }
    let frame = 60_000 + 4;
    assert_eq!(received.len(), frame * usize::try_from(accepted).unwrap() + 4);
    for (index, message) in (0_u32..).zip(received.chunks(frame)).take(usize::try_from(accepted).unwrap()) {
        assert_eq!(message[4..8], index.to_be_bytes());
    }
    assert_eq!((server.unsent(), server.heap_bytes()), (0, 0));
}

#[test]
fn without_a_socket_the_newest_pong_waits_behind_bytes_that_were_not_taken() {
    for role in [Role::Server, Role::Client] {
        let other = if role == Role::Server { Role::Client } else { Role::Server };
        let pong = |payload: &[u8]| frame_to(other, 0x80 | 0xA, payload);
        let mut connection = Connection::new(role);
        let (mut input, mut output) = (Input::default(), Output::with_keys(Box::new(|| [0; 4])));
        let mut pinged = |payload: &[u8; 2], connection: &mut Connection, output: &mut Output| {
            input.extend(&frame_to(role, 0x80 | 0x9, payload));
            assert_eq!(connection.receive(&mut input, output), Some(Event::Ping(payload)));
            assert_eq!(connection.receive(&mut input, output), None);
        };

        connection.send(Message::Binary(&[7; 100]), &mut output).unwrap();
        let all = output.as_bytes().to_vec();
        output.consume(40);
        assert_eq!((output.as_bytes(), output.len()), (&all[40..], all.len() - 40));
        pinged(b"p1", &mut connection, &mut output);
        pinged(b"p2", &mut connection, &mut output);
        let newest = pong(b"p2");
        assert_eq!((output.as_bytes(), output.len()), (&all[40..], all.len() - 40 + newest.len()));
        output.consume(10);
        assert_eq!((output.as_bytes(), output.len()), (&all[50..], all.len() - 50 + newest.len()));
        output.consume(all.len() - 50);
        assert_eq!((output.as_bytes(), output.len()), (&newest[..], newest.len()));
        // Nothing blocks the output: each ping is answered.
        pinged(b"p3", &mut connection, &mut output);
        pinged(b"p4", &mut connection, &mut output);
        assert_eq!(output.as_bytes(), [newest, pong(b"p3"), pong(b"p4")].concat());
        output.consume(usize::MAX);
        assert!(output.is_empty() && output.as_bytes().is_empty());
    }
}

#[test]
fn unblocked_pongs_are_queued_up_to_the_exact_bound_and_then_only_the_newest_waits() {
    let pong = |payload: &[u8]| frame_to(Role::Client, 0x80 | 0xA, payload);
    for (room, queued) in [(0, 1), (126, 1), (127, 1), (253, 1), (254, 2), (1015, 7), (1016, 8), (1017, 8)] {
        let config = with_limits(Limits::default().unsent(Limits::CONTROL_ROOM + room));
        let mut server = Connection::with_config(Role::Server, config);
        let (mut input, mut output) = (Input::default(), Output::new());
        for n in 0..20 {
            input.extend(&frame_to(Role::Server, 0x80 | 0x9, &[n; 125]));
        }
        // This pong is shorter, but must wait behind the bytes already pending, and so must the next pong,
        // although there is room for it beside the pending one.
        input.extend(&frame_to(Role::Server, 0x80 | 0x9, b"newer"));
        input.extend(&frame_to(Role::Server, 0x80 | 0x9, b"newest"));
        while server.receive(&mut input, &mut output).is_some() {}
        let expected: Vec<u8> = (0..queued).flat_map(|n| pong(&[n; 125])).collect();
        assert!(output.as_bytes() == expected, "{room}: {} bytes", output.as_bytes().len());
        assert_eq!(output.len(), expected.len() + pong(b"newest").len(), "{room}");
        output.consume(expected.len());
        assert_eq!(output.as_bytes(), pong(b"newest"), "{room}");
    }
}

#[test]
fn unsent_bytes_as_long_as_the_pending_pong_are_kept_with_it() {
    // A message that is sent without a copy; the transport leaves six bytes of it.
    let message = [7; 4096];
    let (a, mut peer) = memory::pair(6 + 4 + message.len() - 6);
    let mut server = WebSocketStream::new(a).unwrap();
    let mut scratch = Scratch::new();
    let ping = b"\x89\x84\0\0\0\0ping";
    peer.send(&[ping.as_slice(), ping].concat()).unwrap();
    let mut first = true;
    let wants = server
        .drive(&mut scratch.at(0), Ready::READABLE, |_, out| match std::mem::take(&mut first) {
            true => out.send(&message),
            false => Ok(()),
        })
        .unwrap();
    assert!(wants.write);
    // The second pong also has six bytes.
    assert_eq!(server.unsent(), 6 + 6);
    let (mut sent, mut buffer) = (Vec::<u8>::new(), [0; 5000]);
    for _ in 0..2 {
        let n = peer.recv(&mut buffer).unwrap();
        sent.extend(&buffer[..n]);
        let _ = server.drive(&mut scratch.at(0), Ready::WRITABLE, |event, _| panic!("{event:?}")).unwrap();
    }
    let pong = b"\x8a\x04ping";
    assert_eq!(sent, [pong.as_slice(), b"\x82\x7e\x10\x00", &message, pong].concat());
}
