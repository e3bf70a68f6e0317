//! Messages delivered in chunks as they arrive (`Config::streaming`). Concatenated, the chunks are the
//! message, wherever the bytes were cut, and nothing is buffered.

use crate::counting::{ALLOCATIONS, LIVE, PEAK};
use quickcheck::{Arbitrary, Gen, QuickCheck};
use std::sync::Arc;
use websocket_stream::frame::Header;
use websocket_stream::protocol::{Connection, Input, Output};
use websocket_stream::stream::Parts;
use websocket_stream::transport::testing::memory::{self, MemoryStream};
use websocket_stream::{
    Cause, CloseCode, Closed, Config, Event, Fault, Limits, Message, NonBlockingTransport, OpCode,
    PauseReading, ReadError, Ready, Role, Scratch, State, WebSocketStream,
};

const KEY: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

/// The window bits of each direction and whether the window is kept between messages, or `None` without
/// compression.
type Agreement = Option<(u8, bool)>;

fn config(streaming: bool, limits: Limits) -> Arc<Config> {
    let config = Config::default().streaming(streaming).limits(limits);
    #[cfg(feature = "deflate")]
    let config = config.deflate(websocket_stream::deflate::Deflate::default().threshold(0));
    Arc::new(config)
}

#[cfg(feature = "deflate")]
fn agreed((bits, takeover): (u8, bool)) -> websocket_stream::deflate::DeflateParams {
    use websocket_stream::deflate::{Context, DeflateParams, WindowBits};
    let context = Context::new(WindowBits::new(bits).unwrap(), takeover);
    DeflateParams { server: context, client: context }
}

#[cfg(feature = "deflate")]
fn connection(role: Role, config: Arc<Config>, agreement: Agreement) -> Connection {
    let connection = Connection::with_config(role, config);
    match agreement {
        Some(agreement) => connection.with_deflate(agreed(agreement)),
        None => connection,
    }
}

#[cfg(not(feature = "deflate"))]
fn connection(role: Role, config: Arc<Config>, _: Agreement) -> Connection {
    Connection::with_config(role, config)
}

fn streaming(role: Role) -> Connection {
    Connection::with_config(role, config(true, Limits::default()))
}

/// A connection's events, with messages reassembled.
#[derive(Debug, Clone, PartialEq)]
enum Item {
    Text(String),
    Binary(Vec<u8>),
    Ping(Vec<u8>),
    Pong(Vec<u8>),
    Close(CloseCode),
    Closed(Closed),
}

/// Reassembles messages, and checks that each has one first and one last chunk.
#[derive(Debug, Default)]
struct Collector {
    items: Vec<Item>,
    message: Option<Item>,
    chunks: usize,
}

impl Collector {
    fn add(&mut self, event: Event<'_>) {
        let whole = |message| match message {
            Message::Text(text) => Item::Text(text.to_owned()),
            Message::Binary(bytes) => Item::Binary(bytes.to_owned()),
        };
        self.items.push(match event {
            Event::Message(message) => whole(message),
            Event::Chunk(chunk) => {
                let (payload, first, last) = (chunk.payload(), chunk.is_first(), chunk.is_last());
                self.chunks += 1;
                assert_eq!(first, self.message.is_none(), "one first chunk, before all others");
                match (&mut self.message, payload) {
                    (Some(Item::Text(text)), Message::Text(more)) => text.push_str(more),
                    (Some(Item::Binary(bytes)), Message::Binary(more)) => bytes.extend(more),
                    (message @ None, payload) => *message = Some(whole(payload)),
                    (message, payload) => panic!("{payload:?} in {message:?}"),
                }
                match self.message.take_if(|_| last) {
                    Some(message) => message,
                    None => return,
                }
            }
            Event::Ping(payload) => Item::Ping(payload.to_owned()),
            Event::Pong(payload) => Item::Pong(payload.to_owned()),
            Event::Close(frame) => Item::Close(frame.code),
            Event::Closed(end) => Item::Closed(end),
            other => panic!("{other:?}"),
        });
    }
}

/// Returns the events and the answers for bytes that arrive in these pieces.
fn receive<'a>(
    mut connection: Connection,
    pieces: impl IntoIterator<Item = &'a [u8]>,
) -> (Collector, Vec<u8>) {
    let mut input = Input::default();
    let mut output = Output::with_keys(Box::new(|| [9, 8, 7, 6]));
    let mut collector = Collector::default();
    for piece in pieces {
        input.extend(piece);
        while let Some(event) = connection.receive(&mut input, &mut output) {
            collector.add(event);
        }
        assert!(input.unread().is_empty());
        assert_eq!(connection.partial().filter(|_| connection.config().streaming), None);
    }
    input.end_of_stream();
    while let Some(event) = connection.receive(&mut input, &mut output) {
        collector.add(event);
    }
    (collector, output.as_bytes().to_vec())
}

fn frame(role: Role, opcode: OpCode, fin: bool, payload: &[u8]) -> Vec<u8> {
    let mask = (role == Role::Server).then_some(KEY);
    crate::framed::frame(Header { fin, mask, ..Header::new(opcode, 0) }, payload)
}

/// Cuts the bytes at these places.
fn cut(bytes: &[u8], mut at: Vec<usize>) -> impl Iterator<Item = &[u8]> {
    at.extend([0, bytes.len()]);
    at.sort_unstable();
    (1..at.len()).map(move |n| &bytes[at[n - 1]..at[n]])
}

/// A message or a ping, and the ends of its fragments.
#[derive(Debug, Clone)]
struct Sent {
    opcode: OpCode,
    payload: Vec<u8>,
    cuts: Vec<usize>,
}

impl Arbitrary for Sent {
    fn arbitrary(g: &mut Gen) -> Self {
        let opcode = *g.choose(&[OpCode::Text, OpCode::Binary, OpCode::Ping]).unwrap();
        let payload = match opcode {
            OpCode::Text => String::arbitrary(g).repeat(*g.choose(&[1, 1, 10, 5000]).unwrap()).into_bytes(),
            OpCode::Ping => Vec::arbitrary(g).into_iter().take(125).collect(),
            _ => {
                let size = *g.choose(&[0, 10, 200, 70_000, 150_000]).unwrap();
                let step = usize::from(u8::arbitrary(g));
                (0..size).map(|n| (n * step / 64).to_le_bytes()[0]).collect()
            }
        };
        Self { opcode, payload, cuts: Vec::<usize>::arbitrary(g).into_iter().take(4).collect() }
    }

    fn shrink(&self) -> Box<dyn Iterator<Item = Self>> {
        let one = self.clone();
        Box::new(self.cuts.shrink().map(move |cuts| Self { cuts, ..one.clone() }))
    }
}

/// Returns what the peer of this role sends: each message in its fragments, with a ping after the first, and
/// a Close frame.
fn wire(sent: &[Sent], role: Role, agreement: Agreement) -> Vec<u8> {
    let peer = if role == Role::Server { Role::Client } else { Role::Server };
    let limits = Limits::default().unsent(usize::MAX);
    let mut peer = connection(peer, config(false, limits), agreement);
    let mut output = Output::with_keys(Box::new(|| KEY));
    for Sent { opcode, payload, cuts } in sent {
        if *opcode == OpCode::Ping {
            peer.ping(payload, &mut output).unwrap();
            continue;
        }
        let mut ends: Vec<usize> = cuts.iter().map(|cut| cut % (payload.len() + 1)).collect();
        ends.sort_unstable();
        ends.push(payload.len());
        let mut start = 0;
        for (index, &end) in ends.iter().enumerate() {
            let opcode = if index == 0 { *opcode } else { OpCode::Continuation };
            let fin = index + 1 == ends.len();
            peer.send_fragment(opcode, &payload[start..end], fin, &mut output).unwrap();
            start = end;
            if index == 0 && !fin {
                peer.ping(b"between", &mut output).unwrap();
            }
        }
    }
    peer.close(CloseCode::NORMAL, "", &mut output).unwrap();
    output.as_bytes().to_vec()
}

#[test]
fn concatenated_chunks_are_the_message_however_it_is_fragmented_compressed_and_cut() {
    fn prop(sent: Vec<Sent>, cuts: Vec<usize>, server: bool, deflate: bool, window: (u8, bool)) -> bool {
        let role = if server { Role::Server } else { Role::Client };
        let agreement = deflate.then_some((8 + window.0 % 8, window.1));
        let bytes = wire(&sent, role, agreement);
        let cuts = cuts.iter().map(|cut| cut % (bytes.len() + 1)).collect();
        let end = |streaming| connection(role, config(streaming, Limits::default()), agreement);
        let (whole, answers) = receive(end(false), [&bytes[..]]);
        let (at_once, same_answers) = receive(end(true), [&bytes[..]]);
        let (streaming, cut_answers) = receive(end(true), cut(&bytes, cuts));
        let messages = sent.iter().filter(|sent| sent.opcode != OpCode::Ping).count();
        assert!(whole.chunks == 0 && streaming.chunks >= messages && at_once.chunks >= messages);
        streaming.items == whole.items
            && at_once.items == whole.items
            && answers == same_answers
            && answers == cut_answers
    }
    QuickCheck::new()
        .rng(Gen::new(16))
        .tests(80)
        .quickcheck(prop as fn(Vec<Sent>, Vec<usize>, bool, bool, (u8, bool)) -> bool);
}

#[test]
fn faults_do_not_depend_on_cuts() {
    fn prop(
        sent: Vec<Sent>,
        wrong: Vec<(usize, u8)>,
        cuts: Vec<usize>,
        server: bool,
        window: Option<(u8, bool)>,
    ) -> bool {
        let role = if server { Role::Server } else { Role::Client };
        let agreement = window.map(|(bits, takeover)| (8 + bits % 8, takeover));
        let mut bytes = wire(&sent, role, agreement);
        for (at, with) in wrong.into_iter().take(2) {
            let at = at % bytes.len();
            bytes[at] ^= with;
        }
        let end = |streaming| connection(role, config(streaming, Limits::default()), agreement);
        let cuts = cuts.iter().map(|cut| cut % (bytes.len() + 1)).collect();
        let (at_once, answers) = receive(end(true), [&bytes[..]]);
        let (streaming, cut_answers) = receive(end(true), cut(&bytes, cuts));
        assert_eq!((at_once.items, &answers), (streaming.items.clone(), &cut_answers));
        // A compressed message is checked before it is complete; without compression, faults are found as
        // with whole messages.
        agreement.is_some() || {
            let (whole, whole_answers) = receive(end(false), [&bytes[..]]);
            whole.items == streaming.items && whole_answers == answers
        }
    }
    QuickCheck::new()
        .rng(Gen::new(12))
        .tests(150)
        .quickcheck(prop as fn(Vec<Sent>, Vec<(usize, u8)>, Vec<usize>, bool, Option<(u8, bool)>) -> bool);
}

#[test]
fn no_pair_of_cuts_changes_a_conversation() {
    let sent = |opcode, payload: &[u8], cuts: &[usize]| Sent {
        opcode,
        payload: payload.to_vec(),
        cuts: cuts.to_vec(),
    };
    // Fewer pairs if each conversation makes an inflater; without the feature, the three cases are equal.
    for (agreement, step) in [(None, 3), (Some((15, true)), 7), (Some((9, false)), 7)] {
        let sent = [
            sent(OpCode::Text, "h\u{e9}llo \u{20ac} \u{1f600}".as_bytes(), &[2, 8, 9]),
            sent(OpCode::Ping, b"ping", &[]),
            sent(OpCode::Binary, &[7; 130], &[]),
            sent(OpCode::Binary, b"", &[0]),
            sent(OpCode::Text, b"", &[]),
        ];
        for role in [Role::Server, Role::Client] {
            let bytes = wire(&sent, role, agreement);
            let end = |streaming| connection(role, config(streaming, Limits::default()), agreement);
            let (whole, answers) = receive(end(false), [&bytes[..]]);
            assert_eq!(whole.items.len(), 9);
            for first in 0..bytes.len() {
                for second in (first..bytes.len()).step_by(step) {
                    let (delivered, answered) = receive(end(true), cut(&bytes, vec![first, second]));
                    assert_eq!(
                        (delivered.items, answered),
                        (whole.items.clone(), answers.clone()),
                        "{first} {second}"
                    );
                }
            }
            let (delivered, answered) = receive(end(true), bytes.chunks(1));
            assert_eq!((delivered.items, answered), (whole.items, answers));
        }
    }
}

/// Returns the chunks of bytes that arrive in these pieces: payload, first, last.
fn chunks<'a>(role: Role, pieces: impl IntoIterator<Item = &'a [u8]>) -> Vec<(Vec<u8>, bool, bool)> {
    let (mut connection, mut input, mut output) = (streaming(role), Input::default(), Output::new());
    let mut chunks = Vec::new();
    for piece in pieces {
        input.extend(piece);
        while let Some(event) = connection.receive(&mut input, &mut output) {
            let Event::Chunk(chunk) = event else { panic!("{event:?}") };
            chunks.push((chunk.as_bytes().to_vec(), chunk.is_first(), chunk.is_last()));
        }
    }
    assert_eq!(connection.heap_bytes(), 0);
    chunks
}

#[test]
fn a_message_that_is_whole_in_the_input_is_one_chunk_lent_without_a_copy() {
    let bytes = frame(Role::Client, OpCode::Binary, true, &[7; 1000]);
    let (mut connection, mut output) = (streaming(Role::Client), Output::new());
    let mut input = Input::with_capacity(bytes.len());
    let spare = input.spare();
    spare[..bytes.len()].copy_from_slice(&bytes);
    let payload = spare[4..].as_ptr();
    input.filled(bytes.len());
    let before = ALLOCATIONS.get();
    let Some(Event::Chunk(chunk)) = connection.receive(&mut input, &mut output) else { panic!() };
    assert_eq!(
        (chunk.payload(), chunk.is_first(), chunk.is_last()),
        (Message::Binary(&[7; 1000]), true, true)
    );
    assert_eq!((chunk.opcode(), chunk.as_bytes().as_ptr()), (OpCode::Binary, payload));
    assert_eq!(connection.receive(&mut input, &mut output), None);
    assert_eq!((ALLOCATIONS.get(), connection.heap_bytes()), (before, 0));
}

#[test]
fn a_chunk_is_delivered_as_it_arrives_and_lent_without_a_copy() {
    let bytes = frame(Role::Server, OpCode::Text, true, "eleven \u{20ac}".as_bytes());
    let (mut connection, mut output) = (streaming(Role::Server), Output::new());
    let mut input = Input::with_capacity(100);
    let mut delivered = Vec::new();
    for byte in &bytes {
        input.extend(&[*byte]);
        if let Some(Event::Chunk(chunk)) = connection.receive(&mut input, &mut output) {
            delivered.push((
                chunk.payload().as_text().unwrap().to_owned(),
                chunk.is_first(),
                chunk.is_last(),
            ));
        }
        assert_eq!(connection.receive(&mut input, &mut output), None);
        assert!(connection.heap_bytes() < 1024);
    }
    let expected = ["e", "l", "e", "v", "e", "n", " ", "\u{20ac}"];
    let expected: Vec<_> =
        expected.iter().enumerate().map(|(n, text)| ((*text).to_owned(), n == 0, n == 7)).collect();
    assert_eq!(delivered, expected);
    assert_eq!(connection.heap_bytes(), 0);
}

#[test]
fn a_cut_character_is_delivered_when_it_is_complete() {
    let text = "a\u{e9}\u{20ac}\u{1f600}z";
    for role in [Role::Server, Role::Client] {
        let bytes = frame(role, OpCode::Text, true, text.as_bytes());
        let header = bytes.len() - text.len();
        for at in 1..text.len() {
            let delivered = chunks(role, cut(&bytes, vec![header + at]));
            let whole = (0..=at).rev().find(|&n| text.is_char_boundary(n)).unwrap();
            let mut expected = vec![&text[..whole], &text[whole..]];
            if whole < at {
                // In a chunk of its own, because it is not contiguous in the input.
                let first = text[whole..].chars().next().unwrap().len_utf8();
                expected = vec![&text[..whole], &text[whole..whole + first], &text[whole + first..]];
            }
            let delivered: Vec<_> =
                delivered.iter().map(|(bytes, ..)| std::str::from_utf8(bytes).unwrap()).collect();
            assert_eq!(delivered, expected, "{at}");
        }
    }
}

#[test]
fn an_empty_message_is_an_empty_chunk_and_an_empty_last_fragment_is_an_empty_last_chunk() {
    for role in [Role::Server, Role::Client] {
        for opcode in [OpCode::Text, OpCode::Binary] {
            let empty = frame(role, opcode, true, b"");
            assert_eq!(chunks(role, [&empty[..]]), [(vec![], true, true)]);
            let fragments = [
                frame(role, opcode, false, b""),
                frame(role, OpCode::Continuation, false, b"ab"),
                frame(role, OpCode::Continuation, false, b""),
                frame(role, OpCode::Continuation, true, b""),
            ];
            let delivered = chunks(role, [&fragments.concat()[..]]);
            assert_eq!(delivered, [(b"ab".to_vec(), true, false), (vec![], false, true)]);
        }
    }
}

#[test]
fn control_frames_are_delivered_and_answered_between_the_chunks() {
    let role = Role::Server;
    let bytes = [
        frame(role, OpCode::Text, false, b"one "),
        frame(role, OpCode::Ping, true, b"?"),
        frame(role, OpCode::Continuation, true, b"two"),
        frame(role, OpCode::Close, true, b"\x03\xe8"),
    ]
    .concat();
    let (mut connection, mut input, mut output) = (streaming(role), Input::default(), Output::new());
    input.extend(&bytes);
    let mut delivered = Vec::new();
    while let Some(event) = connection.receive(&mut input, &mut output) {
        delivered.push(match event {
            Event::Chunk(chunk) => format!("{:?} {:?}", chunk.opcode(), chunk.payload().as_text().unwrap()),
            Event::Ping(_) => "ping".to_owned(),
            Event::Close(_) => "close".to_owned(),
            other => panic!("{other:?}"),
        });
    }
    assert_eq!(delivered, ["Text \"one \"", "ping", "Continuation \"two\"", "close"]);
    assert_eq!(output.as_bytes(), b"\x8a\x01?\x88\x02\x03\xe8");
}

/// Returns the number of bytes delivered, the fault, and the Close frame in answer.
fn fault(role: Role, limits: Limits, bytes: &[u8], step: usize) -> (usize, Option<Fault>, Vec<u8>) {
    fault_of(Connection::with_config(role, config(true, limits)), bytes, step)
}

fn fault_of(mut connection: Connection, bytes: &[u8], step: usize) -> (usize, Option<Fault>, Vec<u8>) {
    let (mut input, mut output) = (Input::default(), Output::with_keys(Box::new(|| [0; 4])));
    let mut delivered = 0;
    for piece in bytes.chunks(step) {
        input.extend(piece);
        while let Some(event) = connection.receive(&mut input, &mut output) {
            let Event::Chunk(chunk) = event else { panic!("{event:?}") };
            delivered += chunk.as_bytes().len();
        }
    }
    let fault = match connection.state() {
        State::Draining(Closed { cause: Cause::Fault(fault), .. }) => Some(fault),
        _ => None,
    };
    assert!(fault.is_none() || connection.heap_bytes() == 0);
    (delivered, fault, output.as_bytes().to_vec())
}

#[test]
fn text_that_is_not_utf_8_fails_at_its_byte_after_the_delivered_chunks() {
    let role = Role::Client;
    let wrong =
        [frame(role, OpCode::Text, false, b"abc"), frame(role, OpCode::Continuation, false, b"de\xffgh")];
    let wrong = wrong.concat();
    let at = wrong.iter().position(|&byte| byte == 0xff).unwrap();
    let (delivered, none, _) = fault(role, Limits::default(), &wrong[..at], 1);
    assert_eq!((delivered, none), (5, None));
    let answer = b"\x88\x82\0\0\0\0\x03\xef".to_vec();
    assert_eq!(fault(role, Limits::default(), &wrong[..=at], 1), (5, Some(Fault::InvalidUtf8), answer));

    // Inside a cut character, and at the end of the message.
    let cut = [frame(role, OpCode::Text, false, b"a\xe2\x82"), frame(role, OpCode::Continuation, true, b"")];
    assert_eq!(fault(role, Limits::default(), &cut.concat(), 1).1, Some(Fault::InvalidUtf8));
    assert_eq!(fault(role, Limits::default(), &cut.concat(), 99).1, Some(Fault::InvalidUtf8));
    for text in [&b"a\xe2\x28"[..], b"\xe0\x80", b"\xf4\x90", b"\xed\xa0"] {
        let bytes = frame(role, OpCode::Text, false, text);
        for step in [1, 2, 99] {
            assert_eq!(fault(role, Limits::default(), &bytes, step).1, Some(Fault::InvalidUtf8), "{text:?}");
        }
    }
    // A message that arrives whole is checked as a whole.
    let bytes = frame(role, OpCode::Text, true, b"a\xe2\x82");
    assert_eq!(fault(role, Limits::default(), &bytes, 99).0, 0);
    assert_eq!(fault(role, Limits::default(), &bytes, 99).1, Some(Fault::InvalidUtf8));
}

#[test]
fn a_streamed_message_obeys_the_limits() {
    let role = Role::Client;
    let limits = Limits::default().message(10).frame(8).fragments(3);
    let fault = |frames: &[Vec<u8>]| {
        let bytes = frames.concat();
        let at_once = fault(role, limits.clone(), &bytes, bytes.len());
        assert_eq!(at_once, fault(role, limits.clone(), &bytes, 1));
        (at_once.0, at_once.1)
    };
    let first = frame(role, OpCode::Binary, false, &[7; 8]);
    assert_eq!(fault(&[first.clone(), frame(role, OpCode::Continuation, true, &[7; 2])]), (10, None));
    assert_eq!(
        fault(&[first.clone(), frame(role, OpCode::Continuation, true, &[7; 3])]),
        (8, Some(Fault::MessageTooLong))
    );
    assert_eq!(fault(&[frame(role, OpCode::Binary, true, &[7; 9])]), (0, Some(Fault::FrameTooLong)));
    let empty = frame(role, OpCode::Continuation, false, b"");
    assert_eq!(fault(&[first.clone(), empty.clone(), empty.clone()]), (8, None));
    assert_eq!(
        fault(&[first.clone(), empty.clone(), empty.clone(), empty]),
        (8, Some(Fault::TooManyFragments))
    );
    // The next message is counted from zero.
    let whole = frame(role, OpCode::Binary, true, &[7; 8]);
    assert_eq!(fault(&[whole.clone(), whole]), (16, None));
}

type Stream = WebSocketStream<MemoryStream>;

fn server(capacity: usize, config: Config) -> (Stream, MemoryStream, Scratch) {
    let (a, peer) = memory::pair(capacity);
    let config = Arc::new(config.streaming(true));
    (WebSocketStream::with_config(a, Role::Server, config).unwrap(), peer, Scratch::new())
}

#[test]
fn a_gibibyte_is_received_in_chunks_in_constant_memory() {
    let limits = Limits::default().message(1 << 30).frame(1 << 30);
    let (mut stream, mut peer, mut scratch) = server(256 << 10, Config::default().limits(limits));
    // All of it is announced, and a sixteenth arrives.
    let mut header = frame(Role::Server, OpCode::Binary, true, b"");
    header[1] |= 127;
    header.splice(2..2, (1_u64 << 30).to_be_bytes());
    peer.send(&header).unwrap();
    let piece = vec![7; 256 << 10];
    let (mut received, mut first, mut longest) = (0, 0, 0);
    let mut go_on = |stream: &mut Stream, scratch: &mut Scratch| {
        let wants = stream
            .drive(&mut scratch.at(0), Ready::READABLE, |event, _| {
                let Event::Chunk(chunk) = event else { panic!("{event:?}") };
                assert!(!chunk.is_last());
                received += chunk.as_bytes().len();
                first += usize::from(chunk.is_first());
                longest = longest.max(chunk.as_bytes().len());
                Ok(())
            })
            .unwrap();
        assert!(stream.heap_bytes() < 1024, "{}", stream.heap_bytes());
        wants
    };
    let _ = go_on(&mut stream, &mut scratch);
    peer.send(&piece).unwrap();
    while go_on(&mut stream, &mut scratch).again {}
    for _ in 1..256 {
        // The peer's end of the pair allocates for the bytes it sends.
        assert_eq!(peer.send(&piece).unwrap(), piece.len());
        let (live, allocations) = (LIVE.get(), ALLOCATIONS.get());
        PEAK.set(live);
        while go_on(&mut stream, &mut scratch).again {}
        assert_eq!((PEAK.get(), ALLOCATIONS.get()), (live, allocations));
    }
    assert_eq!((received, first, longest), (64 << 20, 1, 64 << 10));
}

#[test]
fn one_call_takes_no_more_than_its_budget_of_chunks() {
    let limits = Limits::default().call_events(10).call_bytes(1000);
    let (mut stream, mut peer, mut scratch) = server(1 << 20, Config::default().limits(limits));
    let mut bytes = frame(Role::Server, OpCode::Binary, false, &[7]);
    for _ in 0..100 {
        bytes.extend(frame(Role::Server, OpCode::Continuation, false, &[7]));
    }
    bytes.extend(frame(Role::Server, OpCode::Continuation, true, &[7; 5000]));
    peer.send(&bytes).unwrap();
    let (mut received, mut last, mut calls) = (0, 0, 0);
    while last == 0 {
        let (mut chunks, mut bytes) = (0, 0);
        let wants = stream
            .drive(&mut scratch.at(0), Ready::READABLE, |event, _| {
                let Event::Chunk(chunk) = event else { panic!("{event:?}") };
                chunks += 1;
                bytes += chunk.as_bytes().len();
                last += usize::from(chunk.is_last());
                Ok(())
            })
            .unwrap();
        // Bytes that the previous call received but did not deliver are first.
        assert!(chunks <= 10 && bytes < 2 * 1000, "{chunks} {bytes}");
        assert_eq!(wants.again, last == 0);
        received += bytes;
        calls += 1;
    }
    assert_eq!((received, last), (101 + 5000, 1));
    assert!(calls >= 15, "{calls}");
    assert_eq!(stream.heap_bytes(), 0);
}

#[test]
fn a_server_that_echoes_chunks_pauses_while_its_peer_takes_nothing() {
    let limits = Limits::default().pause_reading(PauseReading::Above(10_000)).unsent(100_000);
    let (mut stream, peer, mut scratch) = server(20_000, Config::default().limits(limits));
    let mut client = WebSocketStream::client(peer).unwrap();
    let payload: Vec<u8> = (0..1_u32 << 20).map(|n| (n / 7).to_le_bytes()[0]).collect();
    client.send(&mut scratch.at(0), &payload).unwrap();
    let echo = |stream: &mut Stream, scratch: &mut Scratch| {
        let wants = stream.drive(&mut scratch.at(0), Ready::UNKNOWN, |event, out| match event {
            Event::Chunk(chunk) => out.send_fragment(chunk.opcode(), chunk.as_bytes(), chunk.is_last()),
            _ => Ok(()),
        });
        assert!(stream.unsent() <= 100_000);
        wants.unwrap()
    };
    // While the peer takes nothing, only a bounded part of it is received.
    for _ in 0..100 {
        let _ = echo(&mut stream, &mut scratch);
        client.flush(&mut scratch.at(0)).unwrap();
    }
    assert!(client.unsent() > 900_000);
    let mut received = None;
    for _ in 0..1000 {
        let _ = client
            .drive(&mut scratch.at(0), Ready::UNKNOWN, |event, _| {
                if let Event::Message(message) = event {
                    received = Some(message.as_bytes().to_vec());
                }
                Ok(())
            })
            .unwrap();
        let _ = echo(&mut stream, &mut scratch);
        if received.is_some() {
            break;
        }
    }
    assert!(received.is_some_and(|received| received == payload));
    assert_eq!((stream.heap_bytes(), client.heap_bytes()), (0, 0));
}

#[test]
fn a_handler_that_refuses_a_chunk_gets_the_next_one_in_the_next_call() {
    let (mut stream, mut peer, mut scratch) = server(1 << 20, Config::default());
    for (opcode, fin, byte) in
        [(OpCode::Text, false, b'a'), (OpCode::Continuation, false, b'b'), (OpCode::Continuation, true, b'c')]
    {
        peer.send(&frame(Role::Server, opcode, fin, &[byte])).unwrap();
    }
    let mut delivered = Vec::new();
    for _ in 0..4 {
        let _ = stream.drive(&mut scratch.at(0), Ready::READABLE, |event, _| {
            let Event::Chunk(chunk) = event else { panic!("{event:?}") };
            delivered.push((chunk.as_bytes()[0], chunk.is_first(), chunk.is_last()));
            Err(websocket_stream::SendError::Full)
        });
    }
    assert_eq!(delivered, [(b'a', true, false), (b'b', false, false), (b'c', false, true)]);
}

#[test]
fn a_stream_taken_apart_within_a_message_continues_with_its_next_chunk() {
    let (mut stream, mut peer, mut scratch) = server(1 << 20, Config::default());
    let bytes = frame(Role::Server, OpCode::Text, true, "over \u{20ac} again".as_bytes());
    let mut collector = Collector::default();
    for piece in bytes.chunks(3) {
        peer.send(piece).unwrap();
        let drive = stream.drive(&mut scratch.at(0), Ready::UNKNOWN, |event, _| {
            collector.add(event);
            Ok(())
        });
        assert!(!drive.unwrap().closed);
        let Parts { transport, connection, unread, unsent } = stream.into_parts();
        stream = WebSocketStream::from_parts(Parts { transport, connection, unread, unsent }).unwrap();
    }
    assert_eq!(collector.items, [Item::Text("over \u{20ac} again".to_owned())]);
    assert!(collector.chunks >= 5);
}

#[test]
fn read_returns_one_chunk_for_each_call() {
    let (mut stream, mut peer, _) = server(1 << 20, Config::default());
    assert!(matches!(stream.read(), Err(ReadError::NoData)));
    let bytes = frame(Role::Server, OpCode::Text, false, b"one ");
    peer.send(&bytes[..bytes.len() - 2]).unwrap();
    assert_eq!(stream.read().unwrap(), (OpCode::Text, b"on".to_vec()));
    assert!(matches!(stream.read(), Err(ReadError::DataStop)));
    assert_eq!(stream.partial(), None);
    peer.send(&bytes[bytes.len() - 2..]).unwrap();
    assert_eq!(stream.read().unwrap(), (OpCode::Continuation, b"e ".to_vec()));
    assert!(matches!(stream.read(), Err(ReadError::DataStop)));
    peer.send(&frame(Role::Server, OpCode::Continuation, true, b"two")).unwrap();
    peer.send(&frame(Role::Server, OpCode::Binary, true, b"next")).unwrap();
    assert_eq!(stream.read().unwrap(), (OpCode::Continuation, b"two".to_vec()));
    assert_eq!(stream.read().unwrap(), (OpCode::Binary, b"next".to_vec()));
    assert!(matches!(stream.read(), Err(ReadError::NoData)));
}

#[test]
fn an_end_within_a_message_follows_the_chunks_that_arrived() {
    let (mut stream, mut peer, mut scratch) = server(1 << 20, Config::default());
    let bytes = frame(Role::Server, OpCode::Text, true, "ab\u{20ac}".as_bytes());
    peer.send(&bytes[..bytes.len() - 1]).unwrap();
    peer.shutdown_write().unwrap();
    let mut delivered = Vec::new();
    let wants = stream
        .drive(&mut scratch.at(0), Ready::UNKNOWN, |event, _| {
            delivered.push(match event {
                Event::Chunk(chunk) => format!("{:?} {}", chunk.as_bytes(), chunk.is_last()),
                Event::Closed(end) => format!("{:?}", end.cause),
                other => panic!("{other:?}"),
            });
            Ok(())
        })
        .unwrap();
    assert!(wants.closed);
    assert_eq!(delivered, ["[97, 98] false", "EndOfStream"]);
    assert_eq!(stream.heap_bytes(), 0);
}

#[cfg(feature = "deflate")]
mod compressed {
    use super::*;
    use websocket_stream::deflate::{Deflaters, Window, WindowBits};

    const ROLE: Role = Role::Client;

    fn deflated(bytes: &[u8]) -> Vec<u8> {
        let mut window = Window::new(WindowBits::MAX);
        Deflaters::new().deflate_after(bytes, &mut window, 6).unwrap().to_vec()
    }

    fn frames(opcode: OpCode, payload: &[u8], size: usize) -> Vec<u8> {
        crate::framed::fragments(Header { rsv: 4, ..Header::new(opcode, 0) }, payload, size)
    }

    fn end(limits: Limits) -> Connection {
        connection(ROLE, config(true, limits), Some((15, false)))
    }

    #[test]
    fn a_bomb_arrives_in_bounded_chunks_in_constant_memory() {
        let payload = deflated(&vec![0; 64 << 20]);
        assert!(payload.len() < 70_000);
        let limits = Limits::default().message(64 << 20);
        for (size, step) in [(usize::MAX, usize::MAX), (1000, usize::MAX), (usize::MAX, 7), (1, 1)] {
            let bytes = frames(OpCode::Binary, &payload, size);
            let (mut connection, mut output) = (end(limits.clone()), Output::new());
            let mut input = Input::with_capacity(bytes.len());
            let live = LIVE.get();
            PEAK.set(live);
            let (mut received, mut last) = (0, false);
            for piece in bytes.chunks(step.min(bytes.len())) {
                input.extend(piece);
                while let Some(event) = connection.receive(&mut input, &mut output) {
                    let Event::Chunk(chunk) = event else { panic!("{event:?}") };
                    assert!(!last && chunk.is_first() == (received == 0));
                    assert!(chunk.as_bytes().len() <= 64 << 10);
                    received += chunk.as_bytes().len();
                    last = chunk.is_last();
                }
                assert!(connection.heap_bytes() < (48 + 32 + 1) << 10);
            }
            assert_eq!((received, last, connection.heap_bytes()), (64 << 20, true, 0));
            assert!(PEAK.get() - live < 200 << 10, "{}", PEAK.get() - live);
        }
    }

    #[test]
    fn the_memory_of_a_message_inflated_in_chunks_is_counted() {
        let text: String = (0..20_000).map(|n| n.to_string()).collect();
        let payload = deflated(text.as_bytes());
        let bytes = frames(OpCode::Text, &payload, usize::MAX);
        let (header, rest) = bytes.split_at(bytes.len() - payload.len());
        let (mut connection, mut output) = (end(Limits::default()), Output::new());
        let live = LIVE.get();
        let mut come = |bytes| {
            let mut input = Input::default();
            input.extend(bytes);
            while connection.receive(&mut input, &mut output).is_some() {}
            drop(input);
            // The engine's share is rounded up.
            let heap = connection.heap_bytes();
            assert!((LIVE.get() - live..=LIVE.get() - live + 2048).contains(&heap), "{heap}");
            heap
        };
        // No inflater before there is something to inflate.
        assert!(come(header) < 1024);
        assert!((48 << 10..96 << 10).contains(&come(&rest[..rest.len() / 2])));
        assert_eq!(come(&rest[rest.len() / 2..]), 0);
    }

    #[test]
    fn consecutive_streamed_messages_share_an_inflater() {
        let bytes = frames(OpCode::Binary, &deflated(&[7; 1000]), 5);
        let (mut connection, mut input, mut output) =
            (end(Limits::default()), Input::default(), Output::new());
        let mut chunks = 0;
        let mut come = || {
            let live = LIVE.get();
            PEAK.set(live);
            input.extend(&bytes);
            while connection.receive(&mut input, &mut output).is_some() {
                chunks += 1;
            }
            PEAK.get() - live
        };
        assert!(come() > 40 << 10);
        // Only the window that later chunks may refer to.
        assert!(come() < 8 << 10);
        assert!(chunks > 2);
    }

    /// Returns numbers with few repetitions: they compress to less than half.
    fn numbers(count: u32) -> String {
        (1..=count).map(|n| format!("{} ", n.wrapping_mul(2_654_435_761))).collect()
    }

    #[test]
    fn the_next_message_can_refer_to_the_whole_window_of_a_streamed_one() {
        let text = numbers(10_000);
        let again = &text[text.len() - 30_000..];
        let mut window = Window::new(WindowBits::MAX);
        let mut deflate = |text: &str| {
            let payload = Deflaters::new().deflate_after(text.as_bytes(), &mut window, 6).unwrap().to_vec();
            frames(OpCode::Text, &payload, usize::MAX)
        };
        let (first, second) = (deflate(&text), deflate(again));
        assert!(second.len() < 1000);
        let bytes = [first, second].concat();
        for step in [1000, 3000, 7000] {
            let end = connection(ROLE, config(true, Limits::default()), Some((15, true)));
            let (received, _) = receive(end, bytes.chunks(step));
            assert!(
                received.items[..2] == [Item::Text(text.clone()), Item::Text(again.to_owned())],
                "{step}"
            );
        }
    }

    #[test]
    fn an_empty_last_fragment_ends_a_compressed_message_or_shows_that_it_was_cut_off() {
        let text = numbers(100);
        let mut window = Window::new(WindowBits::MAX);
        let mut deflate =
            || Deflaters::new().deflate_after(text.as_bytes(), &mut window, 6).unwrap().to_vec();
        let (first, again) = (deflate(), deflate());
        let run = |payload: &[u8]| {
            let begin = Header { rsv: 4, fin: false, ..Header::new(OpCode::Text, 0) };
            let end = crate::framed::frame(Header::new(OpCode::Continuation, 0), b"");
            let bytes = [crate::framed::frame(begin, payload), end, frames(OpCode::Text, &again, usize::MAX)];
            let connection = connection(ROLE, config(true, Limits::default()), Some((15, true)));
            receive(connection, bytes.iter().map(Vec::as_slice)).0.items
        };
        assert_eq!(run(&first)[..2], [Item::Text(text.clone()), Item::Text(text.clone())]);
        let Some(Item::Closed(Closed { cause, .. })) = run(&first[..first.len() - 3]).pop() else { panic!() };
        assert_eq!(cause, Cause::Fault(Fault::InvalidDeflate));
    }

    #[test]
    fn bytes_without_output_take_no_buffer() {
        let payload = deflated(&[7; 1000]);
        let bytes = frames(OpCode::Binary, &payload, usize::MAX);
        let allocations_of_two_pieces = |at| {
            let (mut input, mut output) = (Input::with_capacity(bytes.len()), Output::new());
            let mut allocations = 0;
            for _ in 0..2 {
                let mut connection = end(Limits::default());
                let before = ALLOCATIONS.get();
                for piece in [&bytes[..at], &bytes[at..]] {
                    input.extend(piece);
                    while connection.receive(&mut input, &mut output).is_some() {}
                }
                allocations = ALLOCATIONS.get() - before;
            }
            allocations
        };
        let at_once = allocations_of_two_pieces(bytes.len());
        let header = bytes.len() - payload.len();
        assert_eq!([header, header + 1].map(allocations_of_two_pieces), [at_once; 2]);
    }

    #[test]
    fn inflated_bytes_count_in_the_budget_of_a_call() {
        // In one message, a few bytes inflate to a chunk; in the other, a few stretches do.
        for message in [vec![0; 16 << 20], numbers(600_000).into_bytes()] {
            inflates_no_more_in_a_call_than_its_budget(&message);
        }
    }

    fn inflates_no_more_in_a_call_than_its_budget(message: &[u8]) {
        let bytes: Vec<u8> = {
            let mut bytes = frames(OpCode::Binary, &deflated(message), usize::MAX);
            // Masked, as from a client.
            bytes[1] |= 0x80;
            let header = if bytes[1] & 127 == 126 { 4 } else { 10 };
            bytes.splice(header..header, [0; 4]);
            bytes
        };
        let (mut stream, mut peer, mut scratch) = server(4 << 20, Config::default());
        stream = stream.with_deflate(agreed((15, false)));
        assert_eq!(peer.send(&bytes).unwrap(), bytes.len());
        let (mut received, mut calls) = (0, 0);
        loop {
            let before = received;
            let wants = stream
                .drive(&mut scratch.at(0), Ready::READABLE, |event, _| {
                    let Event::Chunk(chunk) = event else { panic!("{event:?}") };
                    received += chunk.as_bytes().len();
                    Ok(())
                })
                .unwrap();
            calls += 1;
            // The last chunk may exceed the budget.
            assert!(received - before <= Limits::DEFAULT.call_bytes + (64 << 10));
            assert_eq!(wants.again, received < message.len());
            assert_eq!(stream.wants().again, wants.again);
            if !wants.again {
                break;
            }
        }
        assert_eq!((received, stream.heap_bytes()), (message.len(), 0));
        assert!(calls >= message.len() / (Limits::DEFAULT.call_bytes + (64 << 10)), "{calls}");
    }

    #[test]
    fn the_limit_counts_inflated_bytes() {
        let payload = deflated(&[b'a'; 1000]);
        for (message, expected) in [(1000, (1000, None)), (999, (0, Some(Fault::MessageTooLong)))] {
            let limits = Limits::default().message(message);
            let bytes = frames(OpCode::Text, &payload, usize::MAX);
            let (delivered, fault, _) = fault_of(end(limits), &bytes, usize::MAX);
            assert_eq!((delivered, fault), expected);
        }
    }

    #[test]
    fn the_limit_counts_inflated_bytes_over_all_chunks() {
        for (message, expected) in [(300_000, None), (299_999, Some(Fault::MessageTooLong))] {
            let bytes = frames(OpCode::Binary, &deflated(&vec![7; 300_000]), usize::MAX);
            for step in [1, 20, usize::MAX] {
                let limits = Limits::default().message(message);
                let (delivered, fault, _) = fault_of(end(limits), &bytes, step);
                assert_eq!(fault, expected);
                assert!(
                    delivered == 300_000 || delivered < message && fault.is_some(),
                    "{delivered} of {message}"
                );
            }
        }
    }

    #[test]
    fn all_output_of_the_received_bytes_is_delivered() {
        use websocket_stream::deflate::Inflater;
        use websocket_stream::frame::utf8::MessageBuffer;

        let payload = deflated(&vec![7; 400_000]);
        let bytes = frames(OpCode::Binary, &payload, usize::MAX);
        let header = bytes.len() - payload.len();
        // About 55 bytes of it inflate to the size of a chunk.
        for step in 40..70 {
            let (mut connection, mut input, mut output) =
                (end(Limits::default()), Input::default(), Output::new());
            let (mut came, mut delivered) = (0, 0);
            for piece in bytes.chunks(step) {
                input.extend(piece);
                came += piece.len();
                while let Some(event) = connection.receive(&mut input, &mut output) {
                    let Event::Chunk(chunk) = event else { panic!("{event:?}") };
                    delivered += chunk.as_bytes().len();
                }
                let mut inflater = Inflater::new();
                let mut all = MessageBuffer::new(false, vec![0; 1 << 19]);
                inflater.begin();
                inflater.feed(&payload[..came.saturating_sub(header)], None, 1 << 20, &mut all).unwrap();
                assert_eq!(delivered, all.len(), "of {came} bytes in steps of {step}");
            }
            assert_eq!(delivered, 400_000);
        }
    }

    #[test]
    fn a_message_of_several_streams_can_refer_to_delivered_chunks() {
        // Each stream ends with a block that has `BFINAL` set, and refers to the streams before it.
        let text = "what was said before is said again, ".repeat(3000);
        let mut payload = Vec::new();
        let mut window = Window::new(WindowBits::MAX);
        for _ in 0..3 {
            let piece = Deflaters::new().deflate_after(text.as_bytes(), &mut window, 6).unwrap().to_vec();
            payload.extend(piece);
            // The end of the flush, which was omitted, and an empty last block.
            payload.extend([0, 0, 0xff, 0xff, 0x01, 0, 0, 0xff, 0xff]);
        }
        assert!(payload.len() < 2000);
        for agreement in [(15, true), (15, false)] {
            let bytes = frames(OpCode::Text, &payload, usize::MAX);
            // A second message refers to the end of the first one, if the window is kept.
            let again = match agreement.1 {
                true => Deflaters::new().deflate_after(text.as_bytes(), &mut window, 6).unwrap().to_vec(),
                false => deflated(text.as_bytes()),
            };
            let bytes = [bytes, frames(OpCode::Text, &again, usize::MAX)].concat();
            for step in [bytes.len(), 100, 1] {
                let end = |streaming| connection(ROLE, config(streaming, Limits::default()), Some(agreement));
                let (streaming, _) = receive(end(true), bytes.chunks(step));
                let (whole, _) = receive(end(false), bytes.chunks(step));
                assert!(streaming.items == whole.items);
                assert!(streaming.chunks > 5, "{}", streaming.chunks);
                assert!(streaming.items[..2] == [Item::Text(text.repeat(3)), Item::Text(text.clone())]);
            }
        }
    }

    #[test]
    fn a_truncated_or_corrupt_compressed_message_fails_after_its_chunks() {
        let text = "\u{20ac}uro ".repeat(20_000);
        let payload = deflated(text.as_bytes());
        let run = |payload: &[u8], step| {
            let bytes = frames(OpCode::Text, payload, usize::MAX);
            let end = |streaming| connection(ROLE, config(streaming, Limits::default()), Some((15, false)));
            let (streaming, answers) = receive(end(true), bytes.chunks(step));
            let whole = receive(end(false), [&bytes[..]]);
            assert_eq!((&streaming.items, &answers), (&whole.0.items, &whole.1));
            let Some(Item::Closed(Closed { cause, .. })) = streaming.items.last() else { panic!() };
            (streaming.message.is_some(), *cause)
        };
        for step in [1, 50, 1 << 20] {
            assert_eq!(run(&payload, step), (false, Cause::EndOfStream));
            let cut_off = &payload[..payload.len() - 30];
            let at_the_end = run(cut_off, step);
            assert!(at_the_end.0 && at_the_end.1 != Cause::EndOfStream);
            // A block of an invalid type, after the first one.
            let mut corrupt = deflated(&text.as_bytes()[..100_000]);
            corrupt.extend([0, 0, 0xff, 0xff, 0x06]);
            assert_eq!(run(&corrupt, step).1, Cause::Fault(Fault::InvalidDeflate));
            // Text that ends inside a character.
            let inside = deflated(&text.as_bytes()[..text.len() - 6]);
            assert_eq!(run(&inside, step).1, Cause::Fault(Fault::InvalidUtf8));
        }
    }
}
