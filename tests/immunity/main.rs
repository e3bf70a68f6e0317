//! What broke other libraries, in both roles: lengths that are only claimed, fragments without end or
//! over the limit, pongs that nobody asked for, many pings at once. Each has its close code or its
//! answer, and costs little.

use std::sync::Arc;
use websocket_stream::frame::Header;
use websocket_stream::transport::NonBlockingTransport;
use websocket_stream::transport::memory::{self, MemoryStream};
use websocket_stream::{
    Cause, CloseCode, Config, Endpoint, Event, Fault, Interest, Limits, OpCode, Ready, Role, Scratch, Status,
    WebSocketStream,
};

const ROLES: [Role; 2] = [Role::Server, Role::Client];

/// One end, its peer's transport, and what it was told.
struct Side {
    role: Role,
    stream: WebSocketStream<MemoryStream>,
    peer: MemoryStream,
    scratch: Scratch,
    messages: Vec<usize>,
    pings: usize,
    pongs: usize,
}

impl Side {
    fn new(role: Role, limits: Limits) -> Self {
        let (a, peer) = memory::pair(1 << 20);
        let config = Arc::new(Config { limits, ..Config::default() });
        let stream = WebSocketStream::with_config(a, role, config).unwrap();
        Side { role, stream, peer, scratch: Scratch::new(), messages: vec![], pings: 0, pongs: 0 }
    }

    /// A header from the peer, masked with zeros where it masks.
    fn header(&self, opcode: OpCode, fin: bool, len: u64) -> Vec<u8> {
        let mask = (self.role == Role::Server).then_some([0; 4]);
        Header { fin, mask, ..Header::new(opcode, len) }.encode().to_vec()
    }

    fn frame(&self, opcode: OpCode, fin: bool, payload: &[u8]) -> Vec<u8> {
        [self.header(opcode, fin, payload.len() as u64), payload.to_vec()].concat()
    }

    /// Receives these bytes of the peer's.
    fn receive(&mut self, bytes: &[u8]) -> Interest {
        assert_eq!(self.peer.send(bytes).unwrap(), bytes.len());
        self.drive(Ready::READABLE)
    }

    fn drive(&mut self, ready: Ready) -> Interest {
        loop {
            let Self { stream, scratch, messages, pings, pongs, .. } = self;
            let interest = stream
                .drive(&mut scratch.at(0), ready, |event, _| {
                    match event {
                        Event::Message(message) => messages.push(message.as_bytes().len()),
                        Event::Ping(_) => *pings += 1,
                        Event::Pong(_) => *pongs += 1,
                        other => panic!("{other:?}"),
                    }
                    Ok(())
                })
                .unwrap();
            if !interest.again {
                return interest;
            }
        }
    }

    /// What this end has sent, without its masks: first bytes and payloads of short frames.
    fn sent(&mut self) -> Vec<(u8, Vec<u8>)> {
        let mut bytes = vec![0; 1 << 20];
        let len = self.peer.recv(&mut bytes).unwrap_or(0);
        let (mut rest, mut frames) = (&bytes[..len], Vec::new());
        while let [first, second, after @ ..] = rest {
            let (len, masked) = (usize::from(second & 127), second & 128 != 0);
            assert!(len < 126);
            assert_eq!(masked, self.role == Role::Client);
            let (mask, after) = after.split_at(if masked { 4 } else { 0 });
            let (payload, after) = after.split_at(len);
            let key = if masked { mask } else { &[0; 4] };
            frames.push((*first, payload.iter().zip(key.iter().cycle()).map(|(a, b)| a ^ b).collect()));
            rest = after;
        }
        frames
    }

    /// It has failed with this fault, told this code, and holds nothing more.
    fn check_failed(&mut self, fault: Fault, code: CloseCode) {
        let Status::Finishing(end) = self.stream.status() else { panic!("{:?}", self.stream.status()) };
        assert_eq!((end.cause, end.code, end.by), (Cause::Fault(fault), code, Endpoint::Local));
        assert_eq!(self.sent(), [(0x88, code.get().to_be_bytes().to_vec())]);
        assert_eq!((self.stream.held(), self.stream.partial()), (0, None));
    }
}

#[test]
fn a_length_that_is_only_claimed_is_refused_at_its_header() {
    let claims = [
        (u64::MAX >> 1, Fault::FrameTooLong, CloseCode::TOO_BIG),
        ((u64::MAX >> 1) + 1, Fault::LengthTopBit, CloseCode::PROTOCOL_ERROR),
        (u64::MAX, Fault::LengthTopBit, CloseCode::PROTOCOL_ERROR),
    ];
    for role in ROLES {
        for (claim, fault, code) in claims {
            for in_message in [false, true] {
                let mut side = Side::new(role, Limits::default());
                let mut bytes = if in_message { side.frame(OpCode::Text, false, b"x") } else { vec![] };
                let opcode = if in_message { OpCode::Continuation } else { OpCode::Binary };
                // In the place of the length of a long frame.
                let mut header = side.header(opcode, true, 1 << 20);
                header[2..10].copy_from_slice(&claim.to_be_bytes());
                bytes.extend(header);
                let _ = side.receive(&bytes);
                side.check_failed(fault, code);
            }
        }
    }
}

// Where a `usize` has 32 bits, no limit of a message allows it.
#[cfg(target_pointer_width = "64")]
#[test]
fn a_claim_of_2_63_less_1_that_no_limit_forbids_costs_what_has_come() {
    for role in ROLES {
        let mut side = Side::new(role, Limits { frame: u64::MAX, message: usize::MAX, ..Limits::default() });
        let header = side.header(OpCode::Binary, true, u64::MAX >> 1);
        let _ = side.receive(&[&header[..], b"abcd"].concat());
        assert_eq!((side.stream.status(), side.stream.partial()), (Status::Open, Some(&b"abcd"[..])));
        assert!(side.stream.held() < 512, "{}", side.stream.held());
        // The sum with what is there already does not wrap around.
        let mut side = Side::new(role, Limits { frame: u64::MAX, message: usize::MAX, ..Limits::default() });
        let begun = side.frame(OpCode::Binary, false, &[7; 100]);
        let header = side.header(OpCode::Continuation, true, u64::MAX >> 1);
        let _ = side.receive(&[&begun[..], &header, b"abcd"].concat());
        assert_eq!(side.stream.partial().map(<[u8]>::len), Some(104));
        assert!(side.stream.held() < 1024, "{}", side.stream.held());
    }
}

#[test]
fn a_million_fragments_of_a_byte_and_a_million_empty_ones_cost_what_they_carry() {
    for role in ROLES {
        for payload in [&b"x"[..], b""] {
            let mut side = Side::new(role, Limits { fragments: u32::MAX, ..Limits::default() });
            let first = side.frame(OpCode::Binary, false, payload);
            let _ = side.receive(&first);
            let batch = side.frame(OpCode::Continuation, false, payload).repeat(10_000);
            for _ in 0..100 {
                let _ = side.receive(&batch);
                let carried = side.stream.partial().map_or(0, <[u8]>::len);
                assert!(side.stream.held() <= 2 * carried + 512, "{} for {carried}", side.stream.held());
            }
            let last = side.frame(OpCode::Continuation, true, payload);
            let _ = side.receive(&last);
            assert_eq!(side.messages, [1_000_002 * payload.len()]);
            assert_eq!((side.stream.held(), side.sent()), (0, vec![]));
        }
    }
}

#[test]
fn the_fragment_after_the_last_one_that_is_allowed_is_refused_though_it_is_empty() {
    let allowed = Limits::default().fragments as usize;
    for role in ROLES {
        for payload in [&b"x"[..], b""] {
            let mut side = Side::new(role, Limits::default());
            let mut bytes = side.frame(OpCode::Text, false, payload);
            bytes.extend(side.frame(OpCode::Continuation, false, payload).repeat(allowed - 1));
            for piece in bytes.chunks(1 << 20) {
                let _ = side.receive(piece);
            }
            // Control frames between are none of its fragments.
            let ping = side.frame(OpCode::Ping, true, b"");
            let _ = side.receive(&ping);
            assert_eq!(side.stream.status(), Status::Open);
            assert_eq!(side.sent(), [(0x8a, vec![])]);
            let one_more = side.frame(OpCode::Continuation, true, payload);
            let _ = side.receive(&one_more);
            side.check_failed(Fault::TooManyFragments, CloseCode::POLICY_VIOLATION);
            assert_eq!(side.messages, []);
        }
    }
}

#[test]
fn fragments_whose_sum_passes_the_limit_are_refused_at_the_header_that_does_it() {
    const LIMIT: usize = 1_000;
    for role in ROLES {
        for parts in [&[999, 1][..], &[1, 999], &[400, 300, 300], &[1_000, 0], &[0, 1_000]] {
            for over in [0, 1, 2, 10_000] {
                let mut side = Side::new(role, Limits { message: LIMIT, ..Limits::default() });
                let (last, before) = parts.split_last().unwrap();
                for (index, &len) in before.iter().enumerate() {
                    let opcode = if index == 0 { OpCode::Binary } else { OpCode::Continuation };
                    let fragment = side.frame(opcode, false, &vec![7; len]);
                    let _ = side.receive(&fragment);
                }
                let header = side.header(OpCode::Continuation, true, (last + over) as u64);
                let (end, start) = header.split_last().unwrap();
                for byte in start {
                    assert_eq!((side.messages.len(), side.sent()), (0, vec![]));
                    let _ = side.receive(&[*byte]);
                }
                let _ = side.receive(&[*end]);
                if over > 0 {
                    // Not a byte of its payload was needed.
                    side.check_failed(Fault::MessageTooLong, CloseCode::TOO_BIG);
                } else {
                    let _ = side.receive(&vec![7; *last]);
                    assert_eq!((side.stream.status(), &side.messages[..]), (Status::Open, &[LIMIT][..]));
                }
            }
        }
    }
}

#[test]
fn a_pong_that_nobody_asked_for_or_that_comes_twice_or_while_much_is_unsent_changes_nothing() {
    for role in ROLES {
        for blocked in [false, true] {
            let mut side = Side::new(role, Limits::default());
            if blocked {
                side.stream.get_ref().limit_send(0);
            }
            side.stream.send_with(&mut side.scratch.at(0), |out| out.ping(b"asked")).unwrap();
            let unsent = side.stream.unsent();
            assert_eq!(unsent > 0, blocked);
            let asked = side.frame(OpCode::Pong, true, b"asked");
            let other = side.frame(OpCode::Pong, true, &[7; 125]);
            let bytes = [&asked[..], &asked, &other, &side.frame(OpCode::Pong, true, b"")].concat();
            for _ in 0..100 {
                let interest = side.receive(&bytes);
                assert_eq!((interest.writable, interest.over), (blocked, false));
                assert_eq!((side.stream.status(), side.stream.unsent()), (Status::Open, unsent));
            }
            assert_eq!(side.pongs, 400);
            side.stream.get_ref().limit_send(usize::MAX);
            let _ = side.drive(Ready::WRITABLE);
            assert_eq!(side.sent(), [(0x89, b"asked".to_vec())]);
            assert_eq!(side.stream.held(), 0);
        }
    }
}

#[test]
fn ten_pings_in_one_read_are_each_answered_in_order() {
    for role in ROLES {
        let mut side = Side::new(role, Limits::default());
        let pings: Vec<u8> =
            (0..10).flat_map(|n| side.frame(OpCode::Ping, true, &vec![n; usize::from(n)])).collect();
        let _ = side.receive(&pings);
        assert_eq!((side.pings, side.stream.get_ref().calls().recv), (10, 1));
        let expected: Vec<_> = (0..10).map(|n| (0x8a, vec![n; usize::from(n)])).collect();
        assert_eq!(side.sent(), expected);
        assert_eq!(side.stream.status(), Status::Open);
    }
}
