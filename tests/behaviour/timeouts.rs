//! Time as an argument: every timeout, its default and its off switch, with a clock set by the tests.

use std::sync::Arc;
use std::time::Duration;
use websocket_stream::handshake::{ClientRequest, Response};
use websocket_stream::protocol::{Connection, Input, Output, Role};
use websocket_stream::transport::testing::memory::{self, MemoryStream};
use websocket_stream::{
    Cause, ClientOpening, CloseCode, Closed, Config, Event, Fault, Initiator, Limits, NonBlockingTransport,
    OpCode, OpeningError, PauseReading, Progress, Ready, Scratch, ServerOpening, State, Timeout, Timeouts,
    Wants, WebSocketStream,
};

const OFF: Timeouts = Timeouts::OFF;

/// A stream, its peer's transport, and the end that it reported.
struct Side {
    stream: WebSocketStream<MemoryStream>,
    peer: MemoryStream,
    scratch: Scratch,
    end: Option<Closed>,
}

fn side(role: Role, timeouts: Timeouts, capacity: usize) -> Side {
    let (a, peer) = memory::pair(capacity);
    let config = Arc::new(Config::default().timeouts(timeouts));
    let stream = WebSocketStream::with_config(a, role, config).unwrap();
    let scratch = Scratch::with_keys(Box::new(|| [0; 4]));
    Side { stream, peer, scratch, end: None }
}

impl Side {
    fn drive(&mut self, now: u64, ready: Ready) -> Wants {
        let end = &mut self.end;
        let handler = |event: Event<'_>, _: &mut websocket_stream::Outgoing<'_>| {
            if let Event::Closed(closed) = event {
                assert_eq!(end.replace(closed), None, "an end is reported once");
            }
            Ok(())
        };
        self.stream.drive(&mut self.scratch.at(now), ready, handler).unwrap()
    }

    /// Returns all bytes that the peer can receive now.
    fn sent(&mut self) -> Vec<u8> {
        let mut all = Vec::new();
        let mut buffer = [0; 4096];
        while let Ok(n @ 1..) = self.peer.recv(&mut buffer) {
            all.extend_from_slice(&buffer[..n]);
        }
        all
    }
}

/// A ping without payload, and a Close frame with a code, as each role sends them with a masking key of
/// zeros.
fn ping(role: Role) -> &'static [u8] {
    if role == Role::Server { b"\x89\x00" } else { b"\x89\x80\0\0\0\0" }
}

fn close(role: Role, code: u16) -> Vec<u8> {
    let start: &[u8] = if role == Role::Server { b"\x88\x02" } else { b"\x88\x82\0\0\0\0" };
    [start, &code.to_be_bytes()].concat()
}

/// Frames from the peer of each role: a pong, the first byte of a frame, and a Close frame with code 1000.
fn from_peer(role: Role) -> [&'static [u8]; 3] {
    match role {
        Role::Server => [b"\x8a\x80\0\0\0\0", b"\x82", b"\x88\x82\0\0\0\0\x03\xe8"],
        Role::Client => [b"\x8a\x00", b"\x82", b"\x88\x02\x03\xe8"],
    }
}

const ROLES: [Role; 2] = [Role::Server, Role::Client];

#[test]
fn a_silent_peer_is_pinged_once_and_then_disconnected() {
    for role in ROLES {
        let timeouts = OFF.ping_interval(Duration::from_secs(30)).idle(Duration::from_secs(45));
        let mut side = side(role, timeouts, 4096);
        // Idle time counts from the first call, whatever the clock's value.
        let start = 7_000_000;
        assert_eq!(side.stream.next_deadline(start), Some(start));
        let _ = side.drive(start, Ready::READABLE);
        assert_eq!(side.stream.next_deadline(start + 10), Some(start + 30_000));
        let _ = side.drive(start + 29_999, Ready::NONE);
        assert_eq!(side.sent(), b"");
        let _ = side.drive(start + 30_000, Ready::NONE);
        assert_eq!(side.sent(), ping(role));
        assert_eq!(side.stream.next_deadline(start + 30_000), Some(start + 45_000));
        assert!(!side.drive(start + 44_999, Ready::NONE).closed);
        assert_eq!(side.sent(), b"", "one ping for one idle time");
        assert!(side.drive(start + 45_000, Ready::NONE).closed);
        let cause = Cause::Timeout(Timeout::Idle);
        assert_eq!(side.end, Some(Closed { code: CloseCode::ABNORMAL, by: Initiator::Local, cause }));
        assert_eq!(side.stream.next_deadline(start + 45_000), None);
    }
}

#[test]
fn a_late_loop_still_pings_a_peer_before_disconnecting_it() {
    for role in ROLES {
        // Like after a suspension of the whole machine.
        let mut late =
            side(role, OFF.ping_interval(Duration::from_millis(120)).idle(Duration::from_millis(180)), 4096);
        let _ = late.drive(1_000, Ready::UNKNOWN);
        assert!(!late.drive(301_000, Ready::NONE).closed);
        assert_eq!(late.sent(), ping(role));
        assert_eq!(late.stream.next_deadline(301_000), Some(301_060));
        assert!(!late.drive(301_059, Ready::NONE).closed);
        assert!(late.drive(301_060, Ready::NONE).closed);
        // If the ping would be due at the same time or later, the connection does not wait for it.
        let mut other =
            side(role, OFF.ping_interval(Duration::from_millis(180)).idle(Duration::from_millis(180)), 4096);
        let _ = other.drive(1_000, Ready::UNKNOWN);
        assert!(other.drive(301_000, Ready::NONE).closed);
        assert_eq!(other.sent(), b"");
    }
}

#[test]
fn a_timer_renewed_only_when_it_expires_is_never_late_for_ping_or_idle() {
    for role in ROLES {
        let timeouts = OFF.ping_interval(Duration::from_secs(20)).idle(Duration::from_secs(60));
        let mut side = side(role, timeouts, 4096);
        let _ = side.drive(1_000, Ready::UNKNOWN);
        let (mut pings, mut last_byte) = (Vec::new(), 0);
        let mut timer = side.stream.next_deadline(1_000);
        while let Some(now) = timer {
            assert!(now <= 1_000_000);
            let closed = side.drive(now, Ready::NONE).closed;
            timer = side.stream.next_deadline(now).filter(|_| !closed);
            assert!(timer.is_none_or(|at| at > now), "the timer would expire again at once");
            if side.sent() == ping(role) {
                pings.push(now);
                // The peer answers three pings; the loop does not ask for the deadline then.
                if pings.len() <= 3 {
                    last_byte = now + 50;
                    side.peer.send(from_peer(role)[0]).unwrap();
                    let _ = side.drive(last_byte, Ready::READABLE);
                }
            } else if closed {
                assert_eq!(now, last_byte + 60_000);
            }
        }
        assert_eq!(pings, [21_000, 41_050, 61_100, 81_150]);
        assert_eq!(side.end.unwrap().cause, Cause::Timeout(Timeout::Idle));
    }
}

#[test]
fn any_received_byte_counts_as_activity() {
    for role in ROLES {
        for bytes in &from_peer(role)[..2] {
            let timeouts = OFF.ping_interval(Duration::from_millis(100)).idle(Duration::from_millis(150));
            let mut side = side(role, timeouts, 4096);
            let _ = side.drive(1000, Ready::UNKNOWN);
            let _ = side.drive(1100, Ready::NONE);
            assert_eq!(side.sent(), ping(role));
            side.peer.send(bytes).unwrap();
            assert!(!side.drive(1149, Ready::READABLE).closed);
            assert_eq!(side.stream.next_deadline(1149), Some(1249));
            let _ = side.drive(1249, Ready::NONE);
            assert_eq!(side.sent(), ping(role), "a new idle time has its own ping");
            assert!(side.drive(1299, Ready::NONE).closed);
        }
    }
}

#[test]
fn without_a_socket_received_bytes_count_as_activity_and_an_empty_call_does_not() {
    let timeouts = OFF.idle(Duration::from_secs(5));
    let mut server = Connection::with_config(Role::Server, Arc::new(Config::default().timeouts(timeouts)));
    let (mut input, mut output) = (Input::default(), Output::with_keys(Box::new(|| [0; 4])));
    output.set_now(1_000);
    assert_eq!(server.on_deadline(&mut output), None);
    output.set_now(2_000);
    assert_eq!(server.receive(&mut input, &mut output), None);
    assert_eq!(server.next_deadline(2_000), Some(6_000));
    output.set_now(3_000);
    input.extend(b"\x82");
    assert_eq!(server.receive(&mut input, &mut output), None);
    assert_eq!(server.next_deadline(3_000), Some(8_000));
    output.set_now(7_999);
    assert_eq!(server.on_deadline(&mut output), None);
    output.set_now(8_000);
    let cause = Cause::Timeout(Timeout::Idle);
    let end = Closed { code: CloseCode::ABNORMAL, by: Initiator::Local, cause };
    assert_eq!(server.on_deadline(&mut output), Some(Event::Closed(end)));
}

#[test]
fn bytes_that_arrived_before_a_late_call_count_as_activity() {
    for role in ROLES {
        let mut side =
            side(role, OFF.ping_interval(Duration::from_secs(1)).idle(Duration::from_secs(3)), 4096);
        let _ = side.drive(1_000, Ready::UNKNOWN);
        side.peer.send(from_peer(role)[0]).unwrap();
        // A call for the deadline only, by a loop that has not polled yet.
        assert!(!side.drive(60_000, Ready::NONE).closed);
        assert_eq!(side.stream.next_deadline(60_000), Some(61_000));
    }
}

#[test]
fn a_timeout_that_is_off_never_passes_and_needs_no_call() {
    for role in ROLES {
        let mut side = side(role, OFF, 8);
        let _ = side.drive(0, Ready::UNKNOWN);
        side.stream.send(&mut side.scratch.at(0), &[7; 100][..]).unwrap();
        assert!(side.stream.unsent() > 0);
        for now in [1, 1 << 20, (1 << 31) - 1] {
            assert_eq!(side.stream.next_deadline(now), None);
            assert!(!side.drive(now, Ready::NONE).closed);
        }
        side.stream.close(&mut side.scratch.at(0), CloseCode::NORMAL, "").unwrap();
        assert_eq!(side.stream.next_deadline(1 << 30), None);
        assert!(!side.drive(1 << 30, Ready::NONE).closed);
        assert_eq!(side.end, None);
    }
}

#[test]
fn the_defaults_are_as_documented() {
    let Timeouts { opening, ping_interval, idle, close, write, .. } = Timeouts::default();
    assert_eq!((opening, close), (Some(Duration::from_secs(10)), Some(Duration::from_secs(5))));
    assert_eq!((ping_interval, idle, write), (None, None, None));
}

#[test]
fn a_peer_that_does_not_answer_a_close_frame_is_dropped_after_the_close_timeout() {
    for role in ROLES {
        let mut side = side(role, OFF.close(Duration::from_secs(5)), 4096);
        let _ = side.drive(100, Ready::UNKNOWN);
        side.stream.close(&mut side.scratch.at(1_000), CloseCode::NORMAL, "").unwrap();
        // Bytes received meanwhile are read, but do not extend the timeout.
        side.peer.send(from_peer(role)[0]).unwrap();
        assert!(!side.drive(4_000, Ready::READABLE).closed);
        assert_eq!(side.stream.next_deadline(4_000), Some(6_000));
        assert!(!side.drive(5_999, Ready::NONE).closed);
        assert!(side.drive(6_000, Ready::NONE).closed);
        let cause = Cause::Timeout(Timeout::Close);
        assert_eq!(side.end, Some(Closed { code: CloseCode::ABNORMAL, by: Initiator::Local, cause }));
    }
}

#[test]
fn a_peer_that_closes_and_takes_nothing_does_not_keep_the_connection() {
    for role in ROLES {
        // 0: it sends a Close frame; 1: it breaks the protocol; 2: it only ends its stream.
        for way in 0..3 {
            let mut side = side(role, OFF.close(Duration::from_secs(5)), 8);
            side.stream.send(&mut side.scratch.at(0), &[7; 100][..]).unwrap();
            match way {
                0 => drop(side.peer.send(from_peer(role)[2]).unwrap()),
                1 => drop(side.peer.send(b"\xff").unwrap()),
                _ => side.peer.shutdown_write().unwrap(),
            }
            let wants = side.drive(1_000, Ready { closed: way == 2, ..Ready::READABLE });
            assert!(wants.write && !wants.closed);
            assert_eq!(side.stream.next_deadline(2_000), Some(6_000));
            assert!(side.drive(5_999, Ready::NONE).write);
            let wants = side.drive(6_000, Ready::NONE);
            assert!(wants.closed && !wants.write, "{role:?} {way}");
            assert_eq!((side.stream.unsent(), side.stream.heap_bytes()), (0, 0));
            assert_eq!(side.stream.next_deadline(6_000), None);
            // The peer received part of a frame. No clean end of stream may follow it.
            assert_eq!(side.sent().len(), 8);
            assert_eq!(side.peer.recv(&mut [0]).unwrap_err().kind(), std::io::ErrorKind::WouldBlock);
            let end = side.end.unwrap();
            match way {
                0 => assert!(end.is_clean()),
                1 => assert_eq!(end.cause, Cause::Fault(Fault::ReservedOpcode)),
                _ => assert_eq!(end.cause, Cause::EndOfStream),
            }
        }
    }
}

#[test]
fn the_end_of_the_stream_starts_the_close_timeout_unless_a_close_frame_did() {
    for (role, closes) in ROLES.into_iter().flat_map(|role| [(role, false), (role, true)]) {
        let mut side = side(role, OFF.close(Duration::from_secs(5)), 8);
        side.peer.send(from_peer(role)[0]).unwrap();
        let _ = side.drive(1_000, Ready::READABLE);
        side.stream.send(&mut side.scratch.at(2_000), &[7; 100][..]).unwrap();
        if closes {
            side.stream.close(&mut side.scratch.at(2_000), CloseCode::NORMAL, "").unwrap();
        }
        side.peer.shutdown_write().unwrap();
        let wants = side.drive(4_000, Ready { closed: true, ..Ready::READABLE });
        assert_eq!(side.end.unwrap().cause, Cause::EndOfStream);
        assert!(wants.write && !wants.closed);
        let last = if closes { 7_000 } else { 9_000 };
        assert_eq!(side.stream.next_deadline(4_000), Some(last), "{role:?} {closes}");
        assert!(!side.drive(last - 1, Ready::NONE).closed);
        assert!(side.drive(last, Ready::NONE).closed);
    }
}

/// Accepts everything, as a TLS transport does, while its socket takes nothing.
struct Holding(MemoryStream, usize);

impl NonBlockingTransport for Holding {
    fn set_nonblocking(&mut self) -> std::io::Result<()> {
        self.0.set_nonblocking()
    }

    fn recv(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        self.0.recv(buffer)
    }

    fn send(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.1 += bytes.len();
        Ok(bytes.len())
    }

    fn shutdown_write(&mut self) -> std::io::Result<()> {
        Ok(())
    }

    fn wants_write(&self) -> bool {
        self.1 > 0
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Err(std::io::ErrorKind::WouldBlock.into())
    }
}

#[test]
fn a_peer_that_ends_and_takes_no_buffered_bytes_does_not_keep_the_connection() {
    for role in ROLES {
        let (a, mut peer) = memory::pair(4096);
        let config =
            Config::default().timeouts(OFF.close(Duration::from_secs(5)).write(Duration::from_millis(1)));
        let mut stream = WebSocketStream::with_config(Holding(a, 0), role, Arc::new(config)).unwrap();
        let (mut scratch, mut ends) = (Scratch::new(), 0);
        let mut drive = |stream: &mut WebSocketStream<_>, now, ready| {
            let counts = |event: Event<'_>, _: &mut websocket_stream::Outgoing<'_>| {
                ends += usize::from(matches!(event, Event::Closed(_)));
                Ok(())
            };
            let wants = stream.drive(&mut scratch.at(now), ready, counts).unwrap();
            assert_eq!(wants, stream.wants());
            (wants, ends)
        };
        stream.send(&mut Scratch::new().at(0), "hello").unwrap();
        assert!(drive(&mut stream, 500, Ready::UNKNOWN).0.write);
        assert_eq!(stream.next_deadline(500), None, "bytes taken by the transport are not unsent");
        peer.shutdown_write().unwrap();
        let (wants, ends) = drive(&mut stream, 1_000, Ready::UNKNOWN);
        assert!(wants.write && !wants.closed && ends == 1);
        assert_eq!(stream.next_deadline(2_000), Some(6_000));
        assert!(!drive(&mut stream, 5_999, Ready::NONE).0.closed);
        let (wants, ends) = drive(&mut stream, 6_000, Ready::NONE);
        assert!(wants.closed && !wants.write && ends == 1);
        assert_eq!(stream.next_deadline(6_000), None);
    }
}

#[test]
fn a_peer_that_takes_nothing_is_closed_with_1008_after_the_accepted_messages() {
    for role in ROLES {
        let timeouts = OFF.write(Duration::from_secs(60)).close(Duration::from_secs(5));
        let mut side = side(role, timeouts, 64);
        let _ = side.drive(1_000, Ready::UNKNOWN);
        assert_eq!(side.stream.next_deadline(1_000), None, "nothing is unsent");
        side.stream.send(&mut side.scratch.at(2_000), &[7; 100][..]).unwrap();
        assert_eq!(side.stream.next_deadline(3_000), Some(62_000));
        // The peer takes a byte: it is slow, not stuck.
        let mut taken = vec![0; 1];
        side.peer.recv(&mut taken).unwrap();
        let _ = side.drive(50_000, Ready::WRITABLE);
        assert_eq!(side.stream.next_deadline(50_000), Some(110_000));
        let _ = side.drive(109_999, Ready::WRITABLE);
        assert_eq!(side.stream.state(), State::Open);
        let _ = side.drive(110_000, Ready::WRITABLE);
        let State::Draining(end) = side.stream.state() else { panic!("{:?}", side.stream.state()) };
        let cause = Cause::Timeout(Timeout::Write);
        assert_eq!(end, Closed { code: CloseCode::POLICY_VIOLATION, by: Initiator::Local, cause });
        assert_eq!(side.stream.next_deadline(110_000), Some(115_000));
        // A peer that reads in the end receives all messages, and the reason for the close.
        let mut received = taken;
        for _ in 0..10 {
            received.extend(side.sent());
            let _ = side.drive(111_000, Ready::WRITABLE);
        }
        let closing = close(role, 1008);
        assert_eq!(received[received.len() - closing.len()..], closing);
        assert_eq!(received.len(), 100 + if role == Role::Server { 2 } else { 6 } + closing.len());
        // A peer that never reads is dropped.
        assert!(side.drive(115_000, Ready::NONE).closed);
        assert_eq!(side.end, Some(end));
    }
}

#[test]
fn an_opening_handshake_has_a_fixed_timeout_however_slowly_its_bytes_arrive() {
    let request = b"GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n";
    let (a, mut peer) = memory::pair(4096);
    let mut scratch = Scratch::new();
    let mut server = ServerOpening::new(a).unwrap();
    // The timeout counts from the first call, which is due at once.
    assert_eq!(server.next_deadline(500), Some(500));
    assert!(matches!(server.advance(&mut scratch.at(1_000)), Ok(Progress::Pending(_))));
    for (index, byte) in (0..).zip(request) {
        peer.send(&[*byte]).unwrap();
        let now = 1_000 + 100 * index;
        assert!(matches!(server.advance(&mut scratch.at(now)), Ok(Progress::Pending(_))));
        assert_eq!(server.next_deadline(now), Some(11_000));
    }
    assert!(matches!(server.advance(&mut scratch.at(10_999)), Ok(Progress::Pending(_))));
    let late = server.advance(&mut scratch.at(11_000));
    assert!(matches!(late, Err(OpeningError::Timeout)));

    // A client stops waiting for the answer.
    let (a, _peer) = memory::pair(4096);
    let mut client = ClientOpening::new(a, ClientRequest::new("a", "/")).unwrap();
    assert!(matches!(client.advance(&mut scratch.at(1_000)), Ok(Progress::Pending(_))));
    assert_eq!(client.next_deadline(2_000), Some(11_000));
    let late = client.advance(&mut scratch.at(11_000));
    assert!(matches!(late, Err(OpeningError::Timeout)));

    // With the timeout off.
    let (a, _peer) = memory::pair(4096);
    let config = Arc::new(Config::default().timeouts(OFF));
    let mut server = ServerOpening::with_config(a, config).unwrap();
    assert!(matches!(server.advance(&mut scratch.at(0)), Ok(Progress::Pending(_))));
    assert_eq!(server.next_deadline(1 << 40), None);
    assert!(matches!(server.advance(&mut scratch.at(1 << 40)), Ok(Progress::Pending(_))));
}

#[test]
fn a_completed_opening_never_times_out() {
    let (a, b) = memory::pair(4096);
    let mut scratch = Scratch::new();
    let mut server = ServerOpening::new(a).unwrap();
    let mut client = ClientOpening::new(b, ClientRequest::new("a", "/")).unwrap();
    assert!(matches!(client.advance(&mut scratch.at(0)), Ok(Progress::Pending(_))));
    assert!(matches!(server.advance(&mut scratch.at(0)), Ok(Progress::Decide(_))));
    server.answer(&Response::accept()).unwrap();
    // The answer may still be in transit.
    assert_eq!(server.next_deadline(0), Some(10_000));
    assert!(matches!(server.advance(&mut scratch.at(9_999)), Ok(Progress::Open)));
    assert!(matches!(client.advance(&mut scratch.at(9_999)), Ok(Progress::Open)));
    assert_eq!((server.next_deadline(9_999), client.next_deadline(9_999)), (None, None));
    assert!(matches!(server.advance(&mut scratch.at(20_000)), Ok(Progress::Open)));
    assert!(matches!(client.advance(&mut scratch.at(20_000)), Ok(Progress::Open)));
}

#[test]
fn a_stream_does_not_inherit_the_time_spent_in_its_opening() {
    let timeouts = Timeouts::default().idle(Duration::from_millis(100));
    let (a, b) = memory::pair(4096);
    let mut scratch = Scratch::new();
    let config = Arc::new(Config::default().timeouts(timeouts));
    let mut server = ServerOpening::with_config(a, config).unwrap();
    let mut client = ClientOpening::new(b, ClientRequest::new("a", "/")).unwrap();
    assert!(matches!(client.advance(&mut scratch.at(0)), Ok(Progress::Pending(_))));
    assert!(matches!(server.advance(&mut scratch.at(5_000)), Ok(Progress::Decide(_))));
    server.answer(&Response::accept()).unwrap();
    assert!(matches!(server.advance(&mut scratch.at(9_000)), Ok(Progress::Open)));
    let mut stream = server.into_stream().unwrap();
    assert_eq!(stream.next_deadline(9_000), Some(9_000));
    assert!(!stream.drive(&mut scratch.at(9_000), Ready::UNKNOWN, |_, _| Ok(())).unwrap().closed);
    assert!(!stream.drive(&mut scratch.at(9_099), Ready::UNKNOWN, |_, _| Ok(())).unwrap().closed);
    assert!(stream.drive(&mut scratch.at(9_100), Ready::UNKNOWN, |_, _| Ok(())).unwrap().closed);
}

#[test]
fn timeouts_pass_on_time_when_the_stamp_wraps_around() {
    // A stamp has 32 bits of the milliseconds: 49 days.
    let wrap = 1u64 << 32;
    for start in [wrap - 1, wrap - 50, wrap + 1, 3 * wrap - 20] {
        let timeouts = OFF.ping_interval(Duration::from_millis(60)).idle(Duration::from_millis(100));
        let mut side = side(Role::Server, timeouts, 4096);
        let _ = side.drive(start, Ready::UNKNOWN);
        assert_eq!(side.stream.next_deadline(start + 10), Some(start + 60));
        let _ = side.drive(start + 59, Ready::NONE);
        assert_eq!(side.sent(), b"");
        let _ = side.drive(start + 60, Ready::NONE);
        assert_eq!(side.sent(), ping(Role::Server));
        assert!(!side.drive(start + 99, Ready::NONE).closed);
        assert!(side.drive(start + 100, Ready::NONE).closed);
    }
}

#[test]
fn a_clock_that_steps_back_ends_no_connection() {
    let mut side = side(Role::Server, OFF.idle(Duration::from_millis(100)), 4096);
    let _ = side.drive(5_000, Ready::UNKNOWN);
    assert!(!side.drive(4_000, Ready::NONE).closed);
    assert_eq!(side.stream.next_deadline(4_000), Some(4_100));
    assert!(side.drive(5_100, Ready::NONE).closed);
    // The longest timeout, of a call that may be late by hours; a longer one is off.
    let longest = Duration::from_secs(24 * 24 * 60 * 60);
    let mut side = self::side(Role::Server, OFF.idle(longest), 4096);
    let _ = side.drive(5_000, Ready::UNKNOWN);
    let after = u64::try_from(longest.as_millis()).unwrap();
    assert!(!side.drive(4_999 + after, Ready::NONE).closed);
    assert!(side.drive(5_000 + after + 20 * 60 * 60 * 1_000, Ready::NONE).closed);
    let mut side = self::side(Role::Server, OFF.idle(longest + Duration::from_millis(1)), 4096);
    let _ = side.drive(5_000, Ready::UNKNOWN);
    assert_eq!(side.stream.next_deadline(5_000), None);
}

#[test]
fn activity_in_read_and_write_counts_from_the_next_call_with_a_time() {
    let timeouts = OFF
        .idle(Duration::from_millis(100))
        .close(Duration::from_millis(50))
        .write(Duration::from_millis(30));
    // These calls precede the first known time.
    let mut one = side(Role::Server, timeouts.clone(), 16);
    assert!(one.stream.read().is_err());
    one.stream.write(websocket_stream::OpCode::Binary, &[7; 100]).unwrap();
    assert_eq!(one.stream.next_deadline(70_000), Some(70_000));
    assert!(!one.drive(70_000, Ready::NONE).closed);
    assert_eq!(one.stream.next_deadline(70_010), Some(70_030));
    // Bytes that they receive count as activity, whenever they arrived.
    let mut one = side(Role::Server, timeouts.clone(), 4096);
    let _ = one.drive(1_000, Ready::UNKNOWN);
    one.peer.send(from_peer(Role::Server)[0]).unwrap();
    one.stream.read().unwrap();
    assert!(!one.drive(9_000, Ready::NONE).closed);
    assert!(one.drive(9_100, Ready::NONE).closed);
    // A closing handshake that they begin has its full timeout.
    let mut one = side(Role::Server, timeouts.clone(), 4096);
    let _ = one.drive(1_000, Ready::UNKNOWN);
    one.stream.write(websocket_stream::OpCode::Close, b"").unwrap();
    assert!(!one.drive(2_000, Ready::NONE).closed);
    assert!(one.drive(2_050, Ready::NONE).closed);
    // So do the last unsent bytes, after they receive the end of the stream.
    let mut one = side(Role::Server, timeouts, 4096);
    one.stream.get_ref().limit_send(0);
    one.stream.write(websocket_stream::OpCode::Text, b"never taken").unwrap();
    one.peer.shutdown_write().unwrap();
    assert!(one.stream.read().is_err());
    assert!(!one.drive(2_000, Ready::NONE).closed);
    assert!(!one.drive(2_049, Ready::NONE).closed);
    assert!(one.drive(2_050, Ready::NONE).closed);
}

/// A server's end that has paused, because its peer's transport takes only 20 bytes.
fn paused() -> (Side, MemoryStream) {
    let timeouts = OFF.idle(Duration::from_millis(100));
    let limits = Limits::default().pause_reading(PauseReading::Above(10));
    let config = Arc::new(Config::default().limits(limits).timeouts(timeouts));
    let (a, mut peer) = memory::pair(20);
    let stream = WebSocketStream::with_config(a, Role::Server, config).unwrap();
    let (_, unused) = memory::pair(0);
    let mut side = Side { stream, peer: unused, scratch: Scratch::new(), end: None };
    side.stream.send(&mut side.scratch.at(0), &[7; 100][..]).unwrap();
    peer.send(from_peer(Role::Server)[0]).unwrap();
    (side, peer)
}

#[test]
fn while_reading_is_paused_a_peer_is_silent_only_if_it_takes_nothing() {
    let (mut side, mut peer) = paused();
    for now in [0, 90, 180, 270, 360] {
        let wants = side.drive(now, Ready::UNKNOWN);
        assert!(wants.write && !wants.read && !wants.closed);
        assert_eq!(peer.recv(&mut [0]).unwrap(), 1);
    }
    let last = side.stream.next_deadline(360).unwrap();
    assert!((360..=460).contains(&last), "{last}");
    assert!(!side.drive(459, Ready::NONE).closed);
    assert!(side.drive(460, Ready::NONE).closed);
    assert_eq!(side.end.unwrap().cause, Cause::Timeout(Timeout::Idle));
}

#[test]
fn after_a_pause_the_peers_input_is_read_before_idle_is_judged() {
    let (mut side, mut peer) = paused();
    assert!(!side.drive(0, Ready::READABLE).closed);
    assert!(!side.drive(99, Ready::READABLE).closed);
    for now in [100, 110, 120, 130, 140, 150] {
        let mut buffer = [0; 100];
        while let Ok(1..) = peer.recv(&mut buffer) {}
        let _ = side.drive(now, Ready::WRITABLE);
    }
    assert_eq!(side.stream.unsent(), 0);
    assert_eq!(peer.calls().sent, 6);
    let last = side.stream.next_deadline(150).unwrap();
    assert!((200..=250).contains(&last), "{last}");
    assert!(side.drive(last, Ready::NONE).closed);
}

/// A loop's step without a time, before it asks for its next deadline.
type Begin = fn(&mut Side);

#[test]
fn a_loop_that_asks_each_round_gets_every_timeout_even_if_no_call_had_a_time_before() {
    let timeouts =
        OFF.idle(Duration::from_millis(30)).close(Duration::from_millis(10)).write(Duration::from_millis(20));
    let begins: [(Begin, Cause, u64); 4] = [
        (|_| (), Cause::Timeout(Timeout::Idle), 30),
        (
            |side| {
                side.peer.send(b"\x89\x80\0\0\0\0").unwrap();
                side.stream.read().unwrap();
            },
            Cause::Timeout(Timeout::Idle),
            30,
        ),
        (
            |side| _ = side.stream.write(OpCode::Close, b"\x03\xe8").unwrap(),
            Cause::Timeout(Timeout::Close),
            10,
        ),
        (
            |side| {
                side.stream.get_ref().limit_send(0);
                side.stream.write(OpCode::Text, b"never taken").unwrap();
            },
            Cause::Timeout(Timeout::Write),
            20 + 10,
        ),
    ];
    for (begin, cause, after) in begins {
        let mut side = side(Role::Server, timeouts.clone(), 4096);
        begin(&mut side);
        let mut ended = None;
        for now in 1_000..1_100 {
            if side.stream.next_deadline(now).is_some_and(|at| at <= now) {
                let _ = side.drive(now, Ready::NONE);
            }
            ended = ended.or(side.end.map(|end| (end.cause, now)));
        }
        assert_eq!(ended, Some((cause, 1_000 + after)));
    }
}

/// The poller has not reported it yet.
#[test]
fn a_peer_that_has_taken_everything_meanwhile_is_not_timed_out() {
    let mut side = side(Role::Server, OFF.write(Duration::from_secs(30)), 1_000);
    side.stream.send(&mut side.scratch.at(0), &[7; 1_500]).unwrap();
    assert!(side.stream.unsent() > 0);
    let mut received = side.sent().len();
    let wants = side.drive(40_000, Ready::NONE);
    received += side.sent().len();
    assert_eq!((side.stream.state(), side.end, wants.write, received), (State::Open, None, false, 1_504));
    // One that has taken nothing is.
    side.stream.send(&mut side.scratch.at(40_000), &[7; 1_500]).unwrap();
    let _ = side.drive(70_000, Ready::NONE);
    assert_ne!(side.stream.state(), State::Open);
}
