//! Any split is legal: every cut of the input, and every partial or refused write, gives equal messages and
//! equal bytes, also with compression.

use quickcheck::{Arbitrary, Gen, QuickCheck};
use std::io::ErrorKind;
use websocket_stream::frame::{Decoded, Header};
use websocket_stream::protocol::{Connection, Event, Input, Output, Role};
use websocket_stream::transport::testing::memory::{self, MemoryStream};
use websocket_stream::{
    CloseCode, Message, NonBlockingTransport, OpCode, Ready, Scratch, State, WebSocketStream,
};

/// A message or a ping, and the ends of its fragments.
#[derive(Debug, Clone)]
struct Piece {
    opcode: OpCode,
    payload: Vec<u8>,
    cuts: Vec<usize>,
}

impl Arbitrary for Piece {
    fn arbitrary(g: &mut Gen) -> Self {
        let opcode = *g.choose(&[OpCode::Text, OpCode::Binary, OpCode::Ping]).unwrap();
        let payload = match opcode {
            OpCode::Text => String::arbitrary(g).into_bytes(),
            OpCode::Ping => Vec::arbitrary(g).into_iter().take(125).collect(),
            // Each of the length forms.
            _ => {
                let size = *g.choose(&[0, 10, 200, 70_000]).unwrap();
                vec![u8::arbitrary(g); size]
            }
        };
        Self { opcode, payload, cuts: Vec::<usize>::arbitrary(g).into_iter().take(4).collect() }
    }

    fn shrink(&self) -> Box<dyn Iterator<Item = Self>> {
        let one = self.clone();
        Box::new(self.cuts.shrink().map(move |cuts| Self { cuts, ..one.clone() }))
    }
}

/// The window bits of both ends and whether they use context takeover, or `None` without compression.
type Agreement = Option<(u8, bool)>;

#[cfg(feature = "deflate")]
mod compression {
    use super::Agreement;
    use std::sync::Arc;
    use websocket_stream::Config;
    use websocket_stream::deflate::{Context, Deflate, DeflateParams, Deflaters, Window, WindowBits};

    pub(super) fn config() -> Arc<Config> {
        let deflate = Some(Deflate::default().threshold(0));
        Arc::new(Config::default().deflate(deflate))
    }

    pub(super) fn agreed(agreement: Agreement) -> Option<DeflateParams> {
        let (bits, takeover) = agreement?;
        let context = Context::new(WindowBits::new(bits).unwrap(), takeover);
        Some(DeflateParams { server: context, client: context })
    }

    /// Compresses the payload of each message that gets smaller.
    pub(super) fn compressed<'m>(
        messages: impl Iterator<Item = &'m [u8]>,
        agreement: Agreement,
    ) -> Vec<Option<Vec<u8>>> {
        let Some((bits, takeover)) = agreement else { return messages.map(|_| None).collect() };
        let (mut deflaters, bits) = (Deflaters::new(), WindowBits::new(bits).unwrap());
        let mut sent = Window::new(bits);
        messages
            .map(|message| {
                let payload = deflaters.deflate_after(message, &mut sent, 6)?.to_vec();
                if !takeover {
                    sent = Window::new(bits);
                }
                Some(payload)
            })
            .collect()
    }
}

#[cfg(feature = "deflate")]
fn connection(role: Role, agreement: Agreement) -> Connection {
    let connection = Connection::with_config(role, compression::config());
    match compression::agreed(agreement) {
        Some(agreed) => connection.with_deflate(agreed),
        None => connection,
    }
}

#[cfg(feature = "deflate")]
fn stream(transport: MemoryStream, role: Role, agreement: Agreement) -> WebSocketStream<MemoryStream> {
    let stream = WebSocketStream::with_config(transport, role, compression::config()).unwrap();
    match compression::agreed(agreement) {
        Some(agreed) => stream.with_deflate(agreed),
        None => stream,
    }
}

#[cfg(not(feature = "deflate"))]
mod compression {
    pub(super) fn compressed<'m>(
        messages: impl Iterator<Item = &'m [u8]>,
        _: super::Agreement,
    ) -> Vec<Option<Vec<u8>>> {
        messages.map(|_| None).collect()
    }
}

#[cfg(not(feature = "deflate"))]
fn connection(role: Role, _: Agreement) -> Connection {
    Connection::new(role)
}

#[cfg(not(feature = "deflate"))]
fn stream(transport: MemoryStream, role: Role, _: Agreement) -> WebSocketStream<MemoryStream> {
    WebSocketStream::with_config(transport, role, Default::default()).unwrap()
}

/// Returns the bytes of the pieces, each in its fragments, with a ping between each two fragments.
fn wire(pieces: &[Piece], role: Role, agreement: Agreement) -> Vec<u8> {
    let messages = pieces.iter().filter(|piece| piece.opcode != OpCode::Ping);
    let mut compressed =
        compression::compressed(messages.map(|piece| &piece.payload[..]), agreement).into_iter();
    let mask = (role == Role::Server).then_some([1, 2, 3, 4]);
    let mut bytes = Vec::new();
    let mut push = |opcode, fin, rsv, payload: &[u8]| {
        bytes.extend(crate::framed::frame(Header { fin, rsv, mask, ..Header::new(opcode, 0) }, payload));
    };
    for piece in pieces {
        let compressed = if piece.opcode == OpCode::Ping { None } else { compressed.next().flatten() };
        let payload = compressed.as_ref().unwrap_or(&piece.payload);
        let len = payload.len();
        let mut ends: Vec<usize> = piece.cuts.iter().map(|cut| cut % (len + 1)).collect();
        ends.sort_unstable();
        ends.retain(|_| piece.opcode != OpCode::Ping);
        ends.push(len);
        let mut start = 0;
        for (index, &end) in ends.iter().enumerate() {
            let opcode = if index == 0 { piece.opcode } else { OpCode::Continuation };
            let rsv = if index == 0 && compressed.is_some() { 4 } else { 0 };
            push(opcode, index + 1 == ends.len(), rsv, &payload[start..end]);
            start = end;
            if index == 0 && ends.len() > 1 {
                push(OpCode::Ping, true, 0, b"between");
            }
        }
    }
    push(OpCode::Close, true, 0, b"\x03\xe8bye");
    bytes
}

/// Returns the events as text and the answers, for the input cut at these places.
fn conversation(
    bytes: &[u8],
    role: Role,
    agreement: Agreement,
    mut cuts: Vec<usize>,
) -> (Vec<String>, Vec<u8>) {
    cuts.extend([0, bytes.len()]);
    cuts.sort_unstable();
    let mut connection = connection(role, agreement);
    let mut input = Input::default();
    let mut output = Output::with_keys(Box::new(|| [9, 8, 7, 6]));
    let mut events = Vec::new();
    for cut in cuts.windows(2) {
        input.extend(&bytes[cut[0]..cut[1]]);
        while let Some(event) = connection.receive(&mut input, &mut output) {
            events.push(format!("{event:?}"));
            if let Event::Message(message) = event {
                connection.send(message, &mut output).unwrap();
            }
        }
    }
    assert_eq!(connection.heap_bytes(), 0);
    (events, output.as_bytes().to_vec())
}

#[test]
fn fragmentation_and_splits_do_not_change_messages_and_answers() {
    fn prop(pieces: Vec<Piece>, cuts: Vec<usize>, server: bool, deflate: bool, window: (u8, bool)) -> bool {
        let role = if server { Role::Server } else { Role::Client };
        let agreement = deflate.then_some((8 + window.0 % 8, window.1));
        let bytes = wire(&pieces, role, agreement);
        let cuts = cuts.iter().map(|cut| cut % (bytes.len() + 1)).collect();
        let whole = conversation(&bytes, role, agreement, vec![]);
        let sent: Vec<&[u8]> = pieces.iter().map(|piece| &piece.payload[..]).collect();
        let between = pieces.iter().filter(|p| p.opcode != OpCode::Ping && !p.cuts.is_empty()).count();
        whole.0.len() == sent.len() + between + 1 && conversation(&bytes, role, agreement, cuts) == whole
    }
    QuickCheck::new()
        .rng(Gen::new(16))
        .tests(200)
        .quickcheck(prop as fn(Vec<Piece>, Vec<usize>, bool, bool, (u8, bool)) -> bool);
}

#[test]
fn no_pair_of_cuts_changes_a_conversation() {
    let piece = |opcode, payload: &[u8], cuts: &[usize]| Piece {
        opcode,
        payload: payload.to_vec(),
        cuts: cuts.to_vec(),
    };
    // Only every third pair if each conversation has to make compressors.
    for (text, agreement, step) in [("héllo €", None, 1), ("héllo €héllo €héllo €", Some((15, true)), 3)]
    {
        let pieces = [
            piece(OpCode::Text, text.as_bytes(), &[2, 8]),
            piece(OpCode::Ping, b"ping", &[]),
            piece(OpCode::Binary, &[7; 130], &[]),
            piece(OpCode::Binary, b"", &[0]),
        ];
        for role in [Role::Server, Role::Client] {
            let bytes = wire(&pieces, role, agreement);
            let whole = conversation(&bytes, role, agreement, vec![]);
            for first in 0..bytes.len() {
                for second in (first..bytes.len()).step_by(step) {
                    let cut = conversation(&bytes, role, agreement, vec![first, second]);
                    assert_eq!(cut, whole, "{first} {second}");
                }
            }
            assert_eq!(conversation(&bytes, role, agreement, (0..bytes.len()).collect()), whole);
        }
    }
}

#[test]
fn partial_and_refused_reads_and_writes_never_lose_repeat_or_reorder_bytes() {
    fn prop(pieces: Vec<Piece>, reads: Vec<u8>, writes: Vec<u8>, deflate: bool, window: (u8, bool)) -> bool {
        let agreement = deflate.then_some((8 + window.0 % 8, window.1));
        // A step of 0 blocks; other steps move at most that many bytes, scaled.
        let steps = |steps: &[u8]| -> Vec<Result<usize, ErrorKind>> {
            steps.iter().map(|&step| Ok(usize::from(step % 16) * usize::from(step / 16 + 1))).collect()
        };
        let (a, b) = memory::pair(8192);
        a.plan_recv(steps(&reads));
        a.plan_send(steps(&writes));
        b.plan_recv(steps(&writes));
        b.plan_send(steps(&reads));
        let mut server = stream(a, Role::Server, agreement);
        let mut client = stream(b, Role::Client, agreement);
        let mut scratch = Scratch::new();
        let sent: Vec<Vec<u8>> =
            pieces.iter().filter(|p| p.opcode != OpCode::Ping).map(|p| p.payload.clone()).collect();
        for piece in &pieces {
            client
                .send_with(&mut scratch.at(0), |out| match piece.opcode {
                    OpCode::Text => out.send(Message::Text(std::str::from_utf8(&piece.payload).unwrap())),
                    OpCode::Ping => out.ping(&piece.payload),
                    _ => out.send(&piece.payload[..]),
                })
                .unwrap();
        }
        let mut received = Vec::new();
        let mut closed = false;
        for _ in 0..100_000 {
            let wants = server
                .drive(&mut scratch.at(0), Ready::UNKNOWN, |event, out| match event {
                    Event::Message(message) => out.send(message),
                    _ => Ok(()),
                })
                .unwrap();
            let other = client
                .drive(&mut scratch.at(0), Ready::UNKNOWN, |event, _| {
                    if let Event::Message(message) = event {
                        received.push(message.as_bytes().to_vec());
                    }
                    Ok(())
                })
                .unwrap();
            if wants.closed && other.closed {
                break;
            }
            if received.len() == sent.len() && !closed {
                closed = true;
                client.close(&mut scratch.at(0), CloseCode::NORMAL, "").unwrap();
            }
        }
        let clean = |status| matches!(status, State::Closed(end) if end.is_clean());
        received == sent
            && clean(server.state())
            && clean(client.state())
            && (server.heap_bytes(), client.heap_bytes()) == (0, 0)
    }
    QuickCheck::new()
        .rng(Gen::new(16))
        .tests(100)
        .quickcheck(prop as fn(Vec<Piece>, Vec<u8>, Vec<u8>, bool, (u8, bool)) -> bool);
}

#[test]
fn a_broken_header_has_one_fault_wherever_it_is_cut() {
    // A length that is not minimal and above the frame limit; a length with its top bit set, in an unmasked
    // frame; a control frame of gigabytes.
    let headers: [&[u8]; 3] =
        [b"\x82\xfe\x00\x05", b"\x82\x7f\xff\0\0\0\0\0\0\0", b"\x89\xff\x80\0\0\0\0\0\0\0"];
    let limits = websocket_stream::Limits::default().frame(100);
    let config = std::sync::Arc::new(websocket_stream::Config::default().limits(limits));
    for header in headers {
        let run = |cut: usize| {
            let mut server = Connection::with_config(Role::Server, config.clone());
            let mut input = Input::default();
            let mut output = Output::new();
            for part in [&header[..cut], &header[cut..]] {
                input.extend(part);
                assert_eq!(server.receive(&mut input, &mut output), None);
            }
            (server.state(), output.as_bytes().to_vec())
        };
        for cut in 0..header.len() {
            assert_eq!(run(cut), run(header.len()), "{header:x?} {cut}");
        }
    }
}

/// Returns a server's events and answers on a transport that moves a few bytes at a time, while its peer
/// sends these bytes; after each call the stream may be taken apart and reassembled.
fn served(bytes: &[u8], at_a_time: usize, apart: bool) -> (Vec<String>, Vec<u8>) {
    let (a, mut peer) = memory::pair(2 * at_a_time);
    a.limit_recv(at_a_time);
    a.limit_send(at_a_time);
    let mut stream = WebSocketStream::new(a).unwrap();
    let (mut scratch, mut events, mut answers) = (Scratch::new(), Vec::new(), Vec::new());
    let mut rest = bytes;
    loop {
        match peer.send(rest) {
            Ok(n) => rest = &rest[n..],
            Err(error) => assert_eq!(error.kind(), ErrorKind::WouldBlock),
        }
        if rest.is_empty() {
            peer.shutdown_write().unwrap();
        }
        let wants = stream.drive(&mut scratch.at(0), Ready::UNKNOWN, |event, out| {
            events.push(format!("{event:?}"));
            if let Event::Message(message) = event { out.send(message) } else { Ok(()) }
        });
        let closed = wants.unwrap().closed;
        if apart {
            let (unsent, heap) = (stream.unsent(), stream.heap_bytes());
            let parts = stream.into_parts();
            assert_eq!(parts.unsent.len(), unsent);
            stream = WebSocketStream::from_parts(parts).unwrap();
            assert_eq!(stream.unsent(), unsent);
            assert!(heap > 0 || stream.heap_bytes() == 0);
        }
        let mut buffer = [0; 50];
        while let Ok(n @ 1..) = peer.recv(&mut buffer) {
            answers.extend_from_slice(&buffer[..n]);
        }
        if closed {
            return (events, answers);
        }
    }
}

#[test]
fn a_stream_can_be_taken_apart_and_reassembled_at_any_time() {
    fn prop(pieces: Vec<Piece>, at_a_time: u8) -> bool {
        let bytes = wire(&pieces, Role::Server, None);
        let at_a_time = 1 + bytes.len() / 2_000 + usize::from(at_a_time % 40);
        let (apart, whole) = (served(&bytes, at_a_time, true), served(&bytes, at_a_time, false));
        // A pending pong then counts as bytes that the next pong does not replace.
        let without_pongs = |bytes: &[u8]| -> Vec<u8> {
            let frames = frames(bytes).into_iter().filter(|(opcode, ..)| *opcode != OpCode::Pong);
            frames.flat_map(|(_, start, end)| bytes[start..end].to_vec()).collect()
        };
        apart.0 == whole.0 && without_pongs(&apart.1) == without_pongs(&whole.1)
    }
    let rng = Gen::new(8);
    QuickCheck::new().rng(rng).tests(60).quickcheck(prop as fn(Vec<Piece>, u8) -> bool);
}

/// Returns the frames that a server has sent: opcode, start and end of each.
fn frames(bytes: &[u8]) -> Vec<(OpCode, usize, usize)> {
    let mut frames = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        let Ok(Decoded::Complete { header, size }) = Header::decode(&bytes[at..]) else {
            panic!("no header")
        };
        let end = at + size + usize::try_from(header.len).unwrap();
        frames.push((header.opcode, at, end));
        at = end;
    }
    frames
}

#[test]
fn write_returns_the_exact_frame_bytes_taken_while_pongs_wait() {
    /// Long payloads are written; short ones are numbers of bytes to take and pings to send.
    fn prop(steps: Vec<(u8, u8)>, capacity: u8) -> bool {
        let (a, mut peer) = memory::pair(20 + usize::from(capacity));
        let mut stream = WebSocketStream::new(a).unwrap();
        let (mut out, mut written, mut buffer) = (Vec::new(), Vec::new(), [0; 256]);
        for (what, size) in steps {
            match what % 4 {
                0 => {
                    let _ = peer.send(&[0x89, 0x81, 0, 0, 0, 0, size]);
                    while stream.read().is_ok() {}
                }
                1 => {
                    if let Ok(n) = peer.recv(&mut buffer[..usize::from(size.max(1))]) {
                        out.extend_from_slice(&buffer[..n]);
                    }
                }
                _ => {
                    let reported = stream.write(OpCode::Binary, &vec![7; usize::from(size) * 2]).unwrap();
                    written.push((reported, out.len() + peer.unread()));
                }
            }
        }
        while stream.unsent() > 0 || peer.unread() > 0 {
            if let Ok(n) = peer.recv(&mut buffer) {
                out.extend_from_slice(&buffer[..n]);
            }
            let _ = stream.read();
        }
        let data = frames(&out).into_iter().filter(|(opcode, ..)| *opcode == OpCode::Binary);
        data.zip(written)
            .all(|((_, start, end), (reported, taken))| reported == taken.clamp(start, end) - start)
    }
    QuickCheck::new().tests(2_000).quickcheck(prop as fn(Vec<(u8, u8)>, u8) -> bool);
}

#[test]
fn bytes_received_beside_unread_input_are_read_in_order() {
    let payloads: Vec<Vec<u8>> = (0..60).map(|n| vec![n; usize::from(n) % 20]).collect();
    let bytes: Vec<u8> = payloads
        .iter()
        .flat_map(|payload| {
            [&Header::new(OpCode::Binary, payload.len() as u64).encode(), &payload[..]].concat()
        })
        .collect();
    for capacity in 1..80 {
        for at_once in [1, 7, 1000] {
            let mut client = Connection::new(Role::Client);
            let mut input = Input::with_capacity(capacity);
            let mut output = Output::with_keys(Box::new(|| [0; 4]));
            let (mut rest, mut received) = (&bytes[..], Vec::new());
            loop {
                let unread = input.unread().to_vec();
                let room = input.spare();
                assert!(!room.is_empty() || unread.len() == capacity, "{capacity}: {unread:?}");
                let n = at_once.min(room.len()).min(rest.len());
                room[..n].copy_from_slice(&rest[..n]);
                input.filled(n);
                assert_eq!(input.unread(), [&unread[..], &rest[..n]].concat());
                rest = &rest[n..];
                // Only one event, so that more is received while some input is unread.
                match client.receive(&mut input, &mut output) {
                    Some(Event::Message(message)) => received.push(message.as_bytes().to_vec()),
                    Some(other) => panic!("{other:?}"),
                    None if rest.is_empty() => break,
                    None => {}
                }
            }
            assert!(received == payloads, "{capacity} {at_once}");
        }
    }
}

#[test]
fn an_input_is_never_filled_with_more_than_it_has_room_for() {
    let mut input = Input::with_capacity(10);
    input.filled(4);
    assert_eq!((input.unread().len(), input.spare().len()), (4, 6));
    input.filled(usize::MAX);
    assert_eq!((input.unread().len(), input.spare().len()), (10, 0));
}
