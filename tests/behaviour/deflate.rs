//! permessage-deflate (RFC 7692) from end to end: negotiation, messages in both directions, refusals, memory.

use quickcheck::{Arbitrary, Gen, QuickCheck};
use std::io::ErrorKind;
use std::sync::Arc;
use std::time::Duration;
use websocket_stream::deflate::{Context, Deflate, DeflateParams, Deflaters, Window, WindowBits};
use websocket_stream::frame::{Decoded, Header, MAX_HEADER_SIZE, mask};
use websocket_stream::handshake::{ClientRequest, Response, ResponseFault};
use websocket_stream::protocol::{Connection, Event, Input, Output, Role};
use websocket_stream::transport::testing::memory::{self, MemoryStream};
use websocket_stream::{
    Cause, ClientOpening, Closed, Config, Fault, IfFull, Limits, Message, NonBlockingTransport, OpCode,
    OpeningError, PreparedMessage, Progress, Ready, Scratch, SendError, ServerOpening, State,
    WebSocketStream,
};

/// RSV1, as a bit of [`Header::rsv`].
const COMPRESSED: u8 = 4;

fn bits(bits: u8) -> WindowBits {
    WindowBits::new(bits).unwrap()
}

fn both(bits: u8, takeover: bool) -> DeflateParams {
    let context = Context::new(WindowBits::new(bits).unwrap(), takeover);
    DeflateParams { server: context, client: context }
}

fn config(limits: Limits, threshold: usize) -> Arc<Config> {
    let deflate = Some(Deflate::default().threshold(threshold));
    Arc::new(Config::default().limits(limits).deflate(deflate))
}

fn server(agreed: DeflateParams) -> Connection {
    Connection::with_config(Role::Server, config(Limits::default(), 0)).with_deflate(agreed)
}

fn output() -> Output {
    Output::with_keys(Box::new(|| [5, 6, 7, 8]))
}

/// Returns a masked frame, as clients send it.
fn frame(opcode: OpCode, fin: bool, rsv: u8, payload: &[u8]) -> Vec<u8> {
    crate::framed::frame(Header { fin, rsv, mask: Some([1, 2, 3, 4]), ..Header::new(opcode, 0) }, payload)
}

/// Returns the compressed payload of a message without context.
fn compressed(message: &[u8]) -> Vec<u8> {
    let alone = Context::new(WindowBits::MAX, false);
    Deflaters::new().deflate(message, alone, 6).expect("it shrinks").to_vec()
}

/// Returns the events of these bytes as text, and the fault that ended the connection, if any.
fn receive(connection: &mut Connection, bytes: &[u8]) -> (Vec<String>, Option<Fault>) {
    let (mut input, mut output) = (Input::default(), output());
    input.extend(bytes);
    let mut events = Vec::new();
    while let Some(event) = connection.receive(&mut input, &mut output) {
        events.push(format!("{event:?}"));
    }
    let fault = match connection.state() {
        State::Draining(Closed { cause: Cause::Fault(fault), .. }) => Some(fault),
        State::Open => None,
        other => panic!("{other:?}"),
    };
    (events, fault)
}

fn fault(bytes: &[u8]) -> Option<Fault> {
    let (events, fault) = receive(&mut server(both(15, true)), bytes);
    assert_eq!(events, [""; 0]);
    fault
}

#[test]
fn compressed_messages_arrive_whole_and_in_fragments_with_control_frames_between() {
    let text = "Hello, hello, hello, hello!";
    let payload = compressed(text.as_bytes());
    let expected = format!("{:?}", Event::Message(Message::Text(text)));
    let ping = format!("{:?}", Event::Ping(b"between"));
    let mut connection = server(both(15, false));
    let whole = frame(OpCode::Text, true, COMPRESSED, &payload);
    assert_eq!(receive(&mut connection, &whole), (vec![expected.clone()], None));
    for cut in 0..=payload.len() {
        let bytes = [
            frame(OpCode::Text, false, COMPRESSED, &payload[..cut]),
            frame(OpCode::Ping, true, 0, b"between"),
            frame(OpCode::Continuation, false, 0, b""),
            frame(OpCode::Continuation, true, 0, &payload[cut..]),
        ];
        let events = receive(&mut connection, &bytes.concat());
        assert_eq!(events, (vec![ping.clone(), expected.clone()], None), "cut at {cut}");
    }
    assert_eq!(connection.heap_bytes(), 0);
}

#[test]
fn uncompressed_messages_may_be_mixed_with_compressed_ones() {
    // RFC 7692, section 7.2.3.2: the second message refers to the first.
    let first = [0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00];
    let second = [0xf2, 0x00, 0x11, 0x00, 0x00];
    let bytes = [
        frame(OpCode::Text, true, COMPRESSED, &first),
        frame(OpCode::Binary, true, 0, b"plain"),
        frame(OpCode::Text, true, COMPRESSED, &second),
        frame(OpCode::Text, true, 0, b""),
        frame(OpCode::Binary, true, COMPRESSED, &[0x00]),
    ];
    let (hello, empty): (_, &[u8]) = (Event::Message(Message::Text("Hello")), b"");
    let expected = [
        hello,
        Event::Message(Message::Binary(b"plain")),
        hello,
        Event::Message(Message::Text("")),
        Event::Message(Message::Binary(empty)),
    ];
    let expected = expected.map(|event| format!("{event:?}"));
    let (events, fault) = receive(&mut server(both(15, true)), &bytes.concat());
    assert_eq!((&events[..], fault), (&expected[..], None));
    // Without context takeover, there is no earlier message to refer to.
    let (events, fault) = receive(&mut server(both(15, false)), &bytes.concat());
    assert_eq!((&events[..], fault), (&expected[..2], Some(Fault::InvalidDeflate)));
}

#[test]
fn rsv1_is_a_fault_in_frames_that_cannot_have_it() {
    let payload = compressed(&[b'a'; 100]);
    for opcode in [OpCode::Ping, OpCode::Pong, OpCode::Close] {
        assert_eq!(fault(&frame(opcode, true, COMPRESSED, b"")), Some(Fault::ReservedBits), "{opcode:?}");
    }
    for rsv in [1, 2, 3, 5, 6, 7] {
        assert_eq!(fault(&frame(OpCode::Binary, true, rsv, &payload)), Some(Fault::ReservedBits), "{rsv}");
    }
    let first = frame(OpCode::Binary, false, COMPRESSED, &payload[..5]);
    let continued = frame(OpCode::Continuation, true, COMPRESSED, &payload[5..]);
    assert_eq!(fault(&[first, continued.clone()].concat()), Some(Fault::ReservedBits));
    assert_eq!(fault(&continued), Some(Fault::ReservedBits));
    // Without an agreement, the bit is a fault in every frame.
    let (_, fault) =
        receive(&mut Connection::new(Role::Server), &frame(OpCode::Binary, true, COMPRESSED, &payload));
    assert_eq!(fault, Some(Fault::ReservedBits));
}

#[test]
fn corrupt_data_and_text_that_is_not_utf8_end_with_1007() {
    let text = compressed(&[b'a'; 100]);
    let bytes = compressed(&[0xC3; 100]);
    let cut = &text[..text.len() - 2];
    for (payload, opcode, expected) in [
        (cut, OpCode::Text, Fault::InvalidDeflate),
        (&[0xFF, 0xFF], OpCode::Text, Fault::InvalidDeflate),
        (&[0x07, 0x00], OpCode::Binary, Fault::InvalidDeflate),
        (&bytes[..], OpCode::Text, Fault::InvalidUtf8),
        // A character that is cut off by the end of the message.
        (
            &compressed("aaaaaaaaaaaaaaaaaaaaaaaaaaaaé".as_bytes()[..29].as_ref())[..],
            OpCode::Text,
            Fault::InvalidUtf8,
        ),
    ] {
        assert_eq!(fault(&frame(opcode, true, COMPRESSED, payload)), Some(expected), "{payload:x?}");
        assert_eq!(expected.close_code().get(), 1007);
        let (start, rest) = payload.split_at(1);
        let pieces = [frame(opcode, false, COMPRESSED, start), frame(OpCode::Continuation, true, 0, rest)];
        assert_eq!(fault(&pieces.concat()), Some(expected), "{payload:x?} in pieces");
    }
}

#[test]
fn a_truncated_block_is_not_completed_with_the_omitted_tail() {
    // Uncompressed blocks that announce bytes but have none; the second one is marked as the last block.
    for payload in [&[0x00, 4, 0, 0xfb, 0xff][..], &[0x01, 9, 0, 0xf6, 0xff]] {
        assert_eq!(fault(&frame(OpCode::Binary, true, COMPRESSED, payload)), Some(Fault::InvalidDeflate));
    }
}

#[test]
fn a_bomb_ends_with_1009_at_the_limit_however_it_is_cut() {
    // 6 MiB of payload that would inflate to more than 6 GiB.
    let block = {
        let mut block = compressed(&vec![0; 1 << 20]);
        // The sender keeps this tail if more blocks follow.
        block.extend([0x00, 0x00, 0xFF, 0xFF]);
        block
    };
    let bomb = block.repeat((6 << 20) / block.len());
    let limits = Limits::default().message(8 << 20);
    for piece in [usize::MAX, 100_000] {
        // The client receives, so nothing is masked.
        let mut connection =
            Connection::with_config(Role::Client, config(limits.clone(), 0)).with_deflate(both(15, true));
        let first = Header { rsv: COMPRESSED, ..Header::new(OpCode::Binary, 0) };
        let bytes = crate::framed::fragments(first, &bomb, piece);
        let (events, fault) = receive(&mut connection, &bytes);
        assert_eq!((events.len(), fault), (0, Some(Fault::MessageTooLong)));
        assert_eq!(connection.heap_bytes(), 0);
    }
    assert_eq!(Fault::MessageTooLong.close_code().get(), 1009);
}

#[test]
fn an_error_in_the_first_chunk_is_found_at_its_last_byte_or_with_the_message() {
    const CHUNK: usize = 32 << 10;
    let wrong = vec![0x07; CHUNK + 1];
    for (fin, len, shows_at) in
        [(false, CHUNK, CHUNK), (true, CHUNK + 1, CHUNK), (true, CHUNK, CHUNK), (true, 1000, 1000)]
    {
        let bytes = frame(OpCode::Binary, fin, COMPRESSED, &wrong[..len]);
        let header = bytes.len() - len;
        for split in [0, header + 1, header + shows_at - 1] {
            let mut connection = server(both(15, false));
            let (before, rest) = bytes[..header + shows_at].split_at(split);
            assert_eq!(receive(&mut connection, before), (vec![], None), "{split} of {len}");
            assert_eq!(receive(&mut connection, rest), (vec![], Some(Fault::InvalidDeflate)));
        }
    }
}

#[test]
fn empty_blocks_end_at_the_limit() {
    let limits = Limits::default().message(100_000);
    let mut connection =
        Connection::with_config(Role::Server, config(limits, 0)).with_deflate(both(15, false));
    let blocks = [0x00, 0x00, 0x00, 0xFF, 0xFF].repeat(2_000);
    for index in 0..11 {
        let (opcode, rsv) = if index == 0 { (OpCode::Text, COMPRESSED) } else { (OpCode::Continuation, 0) };
        let expected = (index == 10).then_some(Fault::MessageTooLong);
        let bytes = frame(opcode, false, rsv, &blocks);
        assert_eq!(receive(&mut connection, &bytes), (vec![], expected), "{index}");
        assert_eq!(connection.partial(), None);
    }
}

#[test]
fn refused_and_uncompressed_messages_leave_no_trace_in_the_window() {
    let limits = Limits::default().unsent(4096);
    let mut server = Connection::with_config(Role::Server, config(limits, 16)).with_deflate(both(15, true));
    let mut client = Connection::new(Role::Client).with_deflate(both(15, true));
    let text = |n: usize| format!("message {n} of many, {}", "and again ".repeat(20 + n % 7));
    let noise: Vec<u8> = (0..300u32).map(|n| n.wrapping_mul(2_654_435_761).to_be_bytes()[0]).collect();
    let mut output = output();
    let mut input = Input::default();
    let mut refused = 0;
    for n in 0..200 {
        let mut accepted = Vec::new();
        for message in [&text(n)[..], &text(n + 1000), &text(n).repeat(n % 30)] {
            match server.send(Message::Text(message), &mut output) {
                Ok(()) => accepted.push(message.as_bytes().to_vec()),
                Err(SendError::Full | SendError::TooLong) => refused += 1,
                Err(other) => panic!("{other:?}"),
            }
        }
        for message in [&noise[..], &noise[n % 200..], b"short"] {
            server.send(Message::Binary(message), &mut output).unwrap();
            accepted.push(message.to_vec());
        }
        server.send_plain(Message::Text(&text(n)), &mut output).unwrap();
        accepted.push(text(n).into_bytes());
        input.extend(output.as_bytes());
        output.consume(usize::MAX);
        let mut received = Vec::new();
        while let Some(event) = client.receive(&mut input, &mut Output::new()) {
            match event {
                Event::Message(message) => received.push(message.as_bytes().to_vec()),
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(received, accepted);
        if n == 100 {
            server.drop_send_window();
            assert_eq!(server.heap_bytes(), 0);
        }
    }
    assert!(refused > 20, "{refused}");
}

#[test]
fn a_message_to_compress_fits_if_its_longest_compressed_form_fits() {
    const ROOM: usize = 1000;
    let limits = Limits::default().unsent(Limits::CONTROL_ROOM + MAX_HEADER_SIZE + ROOM);
    let begin =
        || Connection::with_config(Role::Server, config(limits.clone(), 0)).with_deflate(both(15, true));
    let payload = vec![b'a'; ROOM + 1];
    // A message that would grow is sent uncompressed, and so is one whose first fragment would grow.
    for (opcode, fin) in [(OpCode::Text, true), (OpCode::Binary, true), (OpCode::Binary, false)] {
        let send = |len| begin().send_fragment(opcode, &payload[..len], fin, &mut output());
        assert_eq!((send(ROOM), send(ROOM + 1)), (Ok(()), Err(SendError::TooLong)), "{opcode:?} {fin}");
    }
    // A later fragment is always compressed.
    let most = (0..ROOM).rfind(|&len| Deflaters::most_of_fragment(len) <= ROOM).unwrap();
    let send = |len| {
        let (mut server, mut output) = (begin(), output());
        server.send_fragment(OpCode::Binary, b"aaaaaaaaaaaaaaaaaaaaaaaa", false, &mut output).unwrap();
        output.consume(usize::MAX);
        server.send_fragment(OpCode::Continuation, &payload[..len], true, &mut output)
    };
    assert_eq!((send(most), send(most + 1)), (Ok(()), Err(SendError::TooLong)));
}

#[test]
fn a_compressed_message_is_marked_and_one_that_would_grow_is_not() {
    for (message, rsv) in
        [(&[7; 500][..], COMPRESSED), (b"abcdefghijklmnopqrstuvwxyz", 0), (b"", 0), (&[9; 15], 0)]
    {
        let mut server = Connection::with_config(Role::Server, config(Limits::default(), 16))
            .with_deflate(both(15, false));
        let mut output = output();
        server.send(Message::Binary(message), &mut output).unwrap();
        let Ok(Decoded::Complete { header, .. }) = Header::decode(output.as_bytes()) else { panic!() };
        assert_eq!((header.rsv, header.fin), (rsv, true), "{message:?}");
        assert!(output.len() <= 4 + message.len());
    }
    // Control frames are not compressed.
    let mut server = server(both(15, true));
    let mut output = output();
    server.ping(&[7; 125], &mut output).unwrap();
    assert_eq!(output.as_bytes()[0] & 0x70, 0);
}

#[test]
fn a_message_is_compressed_only_if_it_reaches_the_threshold() {
    let mut server =
        Connection::with_config(Role::Server, config(Limits::default(), 200)).with_deflate(both(15, false));
    for (len, first) in [(199, 0x81), (200, 0xc1)] {
        let mut output = output();
        server.send(Message::Text(&"a".repeat(len)), &mut output).unwrap();
        assert_eq!(output.as_bytes()[0], first, "{len}");
    }
}

/// Returns the reserved bits and lengths of these frames, and the messages that a client with equal
/// parameters receives.
fn headers_and_messages(frames: &Output, client: &mut Connection) -> (Vec<(u8, u64)>, Vec<Vec<u8>>) {
    let (mut rest, mut headers) = (frames.as_bytes(), Vec::new());
    while let Ok(Decoded::Complete { header, size }) = Header::decode(rest) {
        headers.push((header.rsv, header.len));
        rest = &rest[size + usize::try_from(header.len).unwrap()..];
    }
    let (mut input, mut messages) = (Input::default(), Vec::new());
    input.extend(frames.as_bytes());
    while let Some(event) = client.receive(&mut input, &mut output()) {
        match event {
            Event::Message(message) => messages.push(message.as_bytes().to_vec()),
            Event::Ping(_) => {}
            other => panic!("{other:?}"),
        }
    }
    (headers, messages)
}

#[test]
fn fragments_are_compressed_if_the_first_one_is() {
    let text = "a part of a message, ".repeat(20);
    let mut random = 3u64;
    let noise: [u8; 900] = std::array::from_fn(|_| {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        random.to_be_bytes()[0]
    });
    for takeover in [false, true] {
        let agreed = both(15, takeover);
        let mut server =
            Connection::with_config(Role::Server, config(Limits::default(), 128)).with_deflate(agreed);
        let mut client = Connection::new(Role::Client).with_deflate(agreed);
        for round in 0..3 {
            let mut output = output();
            let pieces = [text.as_bytes(), b"", &noise, b"short", text.as_bytes(), b""];
            for (index, piece) in pieces.iter().enumerate() {
                let opcode = if index == 0 { OpCode::Binary } else { OpCode::Continuation };
                server.send_fragment(opcode, piece, index == 5, &mut output).unwrap();
                server.ping(&[b'-'; 100], &mut output).unwrap();
                assert_eq!(
                    server.send(Message::Text(&text), &mut output),
                    match index {
                        5 => Ok(()),
                        _ => Err(SendError::MessageUnfinished),
                    }
                );
            }
            let (headers, messages) = headers_and_messages(&output, &mut client);
            assert_eq!(messages, [pieces.concat(), text.clone().into_bytes()]);
            let data: Vec<_> = headers.iter().filter(|&&(_, len)| len != 100).collect();
            let marks: Vec<u8> = data.iter().map(|(rsv, _)| *rsv).collect();
            assert_eq!(marks, [COMPRESSED, 0, 0, 0, 0, 0, COMPRESSED], "{round}");
            // The first message and its repetition after the noise; an empty message; one that would grow; an
            // empty last fragment.
            assert!(data[0].1 < 50 && data[4].1 < 50, "{data:?}");
            assert_eq!((data[1].1, data[5].1), (0, 1));
            // Once the window contains the noise, the noise gets smaller too.
            assert_eq!(data[2].1 == 905, !takeover || round == 0, "{data:?}");
        }
        if !takeover {
            assert_eq!(server.heap_bytes(), 0);
        }
    }
    // A first fragment that is not worth compressing, or would grow, leaves the whole message uncompressed.
    let mut server = server(both(15, true));
    let mut client = Connection::new(Role::Client).with_deflate(both(15, true));
    for first in [&noise[..], b""] {
        let mut output = output();
        server.send_fragment(OpCode::Binary, first, false, &mut output).unwrap();
        server.send_fragment(OpCode::Continuation, text.as_bytes(), true, &mut output).unwrap();
        let (headers, messages) = headers_and_messages(&output, &mut client);
        assert_eq!(headers, [(0, first.len() as u64), (0, text.len() as u64)]);
        assert_eq!((messages, server.heap_bytes()), (vec![[first, text.as_bytes()].concat()], 0));
    }
}

#[test]
fn without_takeover_a_fragment_refers_to_those_before_it_and_a_message_to_none() {
    let text: String = (0..200u32).map(|n| format!("{} ", n * n * n)).collect();
    let (mut server, mut output) = (server(both(15, false)), output());
    let mut client = Connection::new(Role::Client).with_deflate(both(15, false));
    server.send_fragment(OpCode::Text, text.as_bytes(), false, &mut output).unwrap();
    server.send_fragment(OpCode::Continuation, text.as_bytes(), true, &mut output).unwrap();
    server.send(Message::Text(&text), &mut output).unwrap();
    let (headers, messages) = headers_and_messages(&output, &mut client);
    assert_eq!(messages, [text.repeat(2).into_bytes(), text.clone().into_bytes()]);
    let [first, second, alone] = headers[..] else { panic!("{headers:?}") };
    assert!(first.1 > 300 && second.1 < 30 && alone.1 > 300, "{headers:?}");
}

#[test]
fn the_send_window_may_be_dropped_between_two_fragments() {
    for takeover in [false, true] {
        let mut server = server(both(12, takeover));
        let mut client = Connection::new(Role::Client).with_deflate(both(12, takeover));
        let mut output = output();
        let text = "fragment after fragment ".repeat(10);
        server.send_fragment(OpCode::Text, text.as_bytes(), false, &mut output).unwrap();
        server.drop_send_window();
        server.send_fragment(OpCode::Continuation, text.as_bytes(), false, &mut output).unwrap();
        server.drop_send_window();
        server.send_fragment(OpCode::Continuation, text.as_bytes(), true, &mut output).unwrap();
        server.send(Message::Text(&text), &mut output).unwrap();
        let (headers, messages) = headers_and_messages(&output, &mut client);
        assert_eq!(messages, [text.repeat(3).into_bytes(), text.into_bytes()]);
        assert!(headers.iter().all(|&(_, len)| len < 50), "{headers:?}");
    }
}

#[test]
fn idle_connections_hold_no_memory_and_used_ones_hold_their_window_until_it_is_dropped() {
    let message = "all that a connection remembers ".repeat(3000);
    let unused: Vec<Connection> = (0..10_000).map(|_| server(both(15, true))).collect();
    assert_eq!(unused.iter().map(Connection::heap_bytes).sum::<usize>(), 0);

    for window in 8..=15 {
        let agreed = both(window, true);
        let mut connection = server(agreed);
        let mut client = Connection::new(Role::Client).with_deflate(agreed);
        let (mut sent, mut input) = (output(), Input::default());
        for _ in 0..3 {
            client.send(Message::Text(&message), &mut sent).unwrap();
        }
        input.extend(sent.as_bytes());
        let mut out = output();
        while let Some(event) = connection.receive(&mut input, &mut out) {
            assert_eq!(event, Event::Message(Message::Text(&message)));
        }
        let receiving = connection.heap_bytes();
        // As documented.
        let own = bits(window).size().max(512);
        let beside = if cfg!(target_pointer_width = "64") { 88 } else { 48 };
        assert_eq!(receiving, own + beside);
        out.set_now(1000);
        connection.send(Message::Text(&message), &mut out).unwrap();
        assert_eq!(connection.heap_bytes(), receiving + own);
        // On request, or after a time.
        let due = connection.next_deadline(1000).expect("a time to drop the window");
        assert_eq!(due, 61_000);
        out.set_now(due - 1);
        assert_eq!(connection.on_deadline(&mut out), None);
        assert!(connection.heap_bytes() > receiving);
        out.set_now(due);
        assert_eq!(connection.on_deadline(&mut out), None);
        assert_eq!((connection.heap_bytes(), connection.next_deadline(due)), (receiving, None));
        connection.send(Message::Text(&message), &mut out).unwrap();
        connection.drop_send_window();
        assert_eq!(connection.heap_bytes(), receiving);
    }
    // Without context takeover, no memory is kept at all.
    let mut alone = server(both(15, false));
    alone.send(Message::Text(&message), &mut output()).unwrap();
    let (events, _) =
        receive(&mut alone, &frame(OpCode::Text, true, COMPRESSED, &compressed(message.as_bytes())));
    assert_eq!((events.len(), alone.heap_bytes()), (1, 0));
}

#[test]
fn without_a_known_time_the_window_is_dropped_after_the_next_call_with_a_time() {
    let (mut connection, mut out) = (server(both(15, true)), output());
    connection.send(Message::Text(&"to be remembered ".repeat(50)), &mut out).unwrap();
    assert_eq!(connection.next_deadline(1000), Some(61_000));
    out.set_now(2000);
    assert_eq!(connection.on_deadline(&mut out), None);
    assert!(connection.heap_bytes() > 0);
    assert_eq!(connection.next_deadline(5000), Some(62_000));
    out.set_now(62_000);
    assert_eq!((connection.on_deadline(&mut out), connection.heap_bytes()), (None, 0));
}

/// Returns whether a server with this setting for `receive` can read the second message of a client that
/// sends this offer, and that compresses with context takeover and its full window regardless of the server's
/// answer.
fn gets_second_message(receive: Option<WindowBits>, offer: &[(&str, Option<&str>)]) -> bool {
    let policy = Deflate::default().receive_window(receive);
    let mut connection = server(policy.accept([offer.iter().copied()]).unwrap().params());
    // The second message repeats the beginning of the first, which is beyond the reach of a small window.
    let noise: String = (0..6_000_u32).map(|n| char::from_u32(33 + n * n % 7_919 % 89).unwrap()).collect();
    let messages = [&noise[..], &noise[..200]];
    let (mut deflaters, mut window) = (Deflaters::new(), Window::new(WindowBits::MAX));
    for (index, message) in messages.into_iter().enumerate() {
        let payload = deflaters.deflate_after(message.as_bytes(), &mut window, 9).unwrap();
        let (events, fault) = self::receive(&mut connection, &frame(OpCode::Text, true, COMPRESSED, payload));
        if let Some(fault) = fault {
            assert_eq!((index, fault), (1, Fault::InvalidDeflate));
            return false;
        }
        assert_eq!(events, [format!("{:?}", Event::Message(Message::Text(message)))]);
    }
    true
}

/// Tornado, Mojolicious and old Safaris are such clients: see the documentation of `Deflate`.
#[test]
fn only_a_full_receive_window_serves_a_client_that_keeps_its_context_against_the_agreement() {
    let (bare, browser): (&[_], &[_]) = (&[], &[("client_max_window_bits", None)]);
    for offer in [bare, browser] {
        assert!(gets_second_message(Some(WindowBits::MAX), offer));
        assert!(!gets_second_message(None, offer));
        // A client that does not offer to limit its window is asked for no context takeover; other clients
        // ignore the limit.
        for small in 8..=12 {
            assert!(!gets_second_message(Some(bits(small)), offer), "{small}");
        }
    }
    assert!(!gets_second_message(Some(bits(14)), bare));
}

/// Returns both ends after an opening handshake, or its error.
fn open(
    server: Option<Deflate>,
    client: Option<Deflate>,
    answer: &Response,
) -> Result<(WebSocketStream<MemoryStream>, WebSocketStream<MemoryStream>), OpeningError> {
    let config = |deflate| Arc::new(Config::default().deflate(deflate));
    let (a, b) = memory::pair(1 << 20);
    let mut scratch = Scratch::new();
    let mut server = ServerOpening::with_config(a, config(server)).unwrap();
    let request = ClientRequest::new("localhost", "/");
    let mut client = ClientOpening::with_config(b, request, config(client)).unwrap();
    assert!(matches!(client.advance(&mut scratch.at(0))?, Progress::Pending(_)));
    assert!(matches!(server.advance(&mut scratch.at(0))?, Progress::Decide(_)));
    server.answer(answer).unwrap();
    assert!(matches!(server.advance(&mut scratch.at(0))?, Progress::Open));
    assert!(matches!(client.advance(&mut scratch.at(0))?, Progress::Open));
    Ok((server.into_stream().unwrap(), client.into_stream().unwrap()))
}

#[test]
fn openings_agree_on_compression_if_both_ends_want_it() {
    let no = Deflate::default();
    let full = no.send_window(WindowBits::MAX).receive_window(WindowBits::MAX);
    for (server, client, agreed) in [
        (Some(no), Some(no), true),
        (Some(full), Some(no), true),
        (Some(no), Some(full), true),
        (None, Some(full), false),
        (Some(full), None, false),
        (None, None, false),
    ] {
        let (server, client) = open(server, client, &Response::accept()).unwrap();
        assert_eq!((server.has_deflate(), client.has_deflate()), (agreed, agreed));
    }
    // The server's application adds its own answer; an answer that was not offered fails the client.
    for (answer, fault) in [
        ("permessage-deflate; server_max_window_bits=7", ResponseFault::ExtensionParams),
        ("permessage-deflate; client_max_window_bits", ResponseFault::ExtensionParams),
        ("permessage-deflate, permessage-deflate", ResponseFault::Extensions),
    ] {
        let error = open(None, Some(full), &Response::accept().extensions(answer)).unwrap_err();
        assert!(matches!(error, OpeningError::Response(found) if found == fault), "{error:?}");
    }
}

/// Tornado sends this answer: it ignores parameters without a value.
#[test]
fn an_answer_that_lacks_a_requested_parameter_names_the_parameter() {
    let policy = |receive| Some(Deflate::default().receive_window(receive));
    let small = policy(Some(bits(10)));
    let (alone, window) = ("server_no_context_takeover", "server_max_window_bits");
    for (client, answer, fault, names) in [
        (policy(None), "permessage-deflate", ResponseFault::ContextTakeover, alone),
        (policy(None), "permessage-deflate; server_max_window_bits=9", ResponseFault::ContextTakeover, alone),
        (small, "permessage-deflate", ResponseFault::WindowBits, window),
        (small, "permessage-deflate; server_max_window_bits=11", ResponseFault::WindowBits, window),
        (small, "permessage-deflate; x", ResponseFault::ExtensionParams, "illegal"),
    ] {
        let error = open(None, client, &Response::accept().extensions(answer)).unwrap_err();
        assert!(matches!(error, OpeningError::Response(found) if found == fault), "{error:?}");
        assert!(error.to_string().contains(names), "{answer}: {error}");
        assert!(!error.to_string().contains("not offered"), "{answer}: {error}");
    }
}

#[test]
fn a_message_compressed_once_is_sent_to_each_connection_in_a_form_that_it_can_read() {
    let news = "news for all who listen, ".repeat(40);
    let mut scratch = Scratch::new();
    let prepared = PreparedMessage::compressed(&mut scratch.at(0), &*news, &Deflate::default());
    assert_eq!((prepared.payload(), prepared.is_text()), (news.as_bytes(), true));
    let window = |window| {
        let window_bits = Some(bits(window));
        Some(Deflate::default().send_window(window_bits).receive_window(window_bits))
    };
    for (policy, compressed) in [
        (None, false),
        (Some(Deflate::default()), true),
        (window(9), false),
        (window(10), true),
        (window(15), true),
    ] {
        let (mut server, mut client) = open(policy, policy, &Response::accept()).unwrap();
        let own =
            |n: usize| format!("{n}: {}", "what one alone is told, and what news it had, ".repeat(5 + n));
        for (from, to) in [(0, 1), (1, 0), (0, 1)] {
            let ends = [&mut server, &mut client];
            for n in 0..3 {
                let before = ends[to].get_ref().unread();
                ends[from].send_prepared(&mut scratch.at(0), &prepared, IfFull::Refuse).unwrap();
                let len = ends[to].get_ref().unread() - before;
                assert_eq!(len < 100, compressed, "{policy:?}: {len}");
                ends[from].send(&mut scratch.at(0), &*own(n)).unwrap();
            }
            for n in 0..3 {
                assert_eq!(ends[to].read().unwrap(), (OpCode::Text, news.clone().into_bytes()));
                assert_eq!(ends[to].read().unwrap(), (OpCode::Text, own(n).into_bytes()));
            }
        }
    }
    // If only such messages are sent, no context is kept.
    let (mut server, mut client) = open(window(15), window(15), &Response::accept()).unwrap();
    server.send_prepared(&mut scratch.at(0), &prepared, IfFull::Refuse).unwrap();
    assert_eq!((client.read().unwrap().1, server.heap_bytes()), (news.into_bytes(), 0));
    // A message that would not get smaller, or is not worth it, is not compressed.
    for message in ["short", &String::from_utf8((0x20..0x7F).collect()).unwrap()] {
        let policy = Deflate::default().threshold(6);
        let prepared = PreparedMessage::compressed(&mut scratch.at(0), message, &policy);
        server.send_prepared(&mut scratch.at(0), &prepared, IfFull::Refuse).unwrap();
        assert_eq!(client.get_ref().unread(), 2 + message.len());
        assert_eq!(client.read().unwrap().1, message.as_bytes());
    }
}

#[test]
fn work_in_one_call_counts_what_is_inflated() {
    let (mut server, mut client) =
        open(Some(Deflate::default()), Some(Deflate::default()), &Response::accept()).unwrap();
    let mut scratch = Scratch::new();
    let message = "a".repeat(Limits::DEFAULT.call_bytes);
    for _ in 0..5 {
        client.send(&mut scratch.at(0), &message[..]).unwrap();
    }
    // They fit in a few KiB, which one call would read in one piece.
    let mut calls = 0;
    let mut received = 0;
    loop {
        let mut now = 0;
        let wants = server
            .drive(&mut scratch.at(0), Ready::READABLE, |event, _| {
                assert_eq!(event, Event::Message(Message::Text(&message)));
                now += 1;
                Ok(())
            })
            .unwrap();
        assert!(now <= 1, "{now}");
        (calls, received) = (calls + 1, received + now);
        if !wants.again {
            break;
        }
    }
    assert!(calls >= 5);
    assert_eq!((received, server.heap_bytes()), (5, 0));
}

#[test]
fn a_stream_that_only_receives_drops_its_window_in_time() {
    let (a, mut peer) = memory::pair(1 << 16);
    let deflate = Some(Deflate::default().threshold(0).drop_window_after(Duration::from_secs(1)));
    let config = Arc::new(Config::default().deflate(deflate));
    let mut server =
        WebSocketStream::with_config(a, Role::Server, config).unwrap().with_deflate(both(15, true));
    let mut scratch = Scratch::new();
    server.send(&mut scratch.at(10), &"remembered, ".repeat(20)).unwrap();
    for (now, is_dropped) in [(500, false), (1009, false), (1010, true)] {
        peer.send(&frame(OpCode::Binary, true, 0, b"not compressed")).unwrap();
        let _ = server.drive(&mut scratch.at(now), Ready::READABLE, |_, _| Ok(())).unwrap();
        assert_eq!(server.heap_bytes() == 0, is_dropped, "{now}");
    }
}

#[test]
fn write_returns_the_bytes_of_the_compressed_frame() {
    let policy = Deflate::default().threshold(0);
    let (mut server, mut client) = open(Some(policy), Some(policy), &Response::accept()).unwrap();
    let text = "compress me, ".repeat(100);
    for (opcode, payload) in [
        (OpCode::Text, text.as_bytes()),
        (OpCode::Ping, b"ping"),
        (OpCode::Binary, b""),
        (OpCode::Binary, &[7; 9000]),
    ] {
        let before = client.get_ref().unread();
        let written = server.write(opcode, payload).unwrap();
        assert_eq!(client.get_ref().unread() - before, written);
        assert!(payload.len() < 100 || written < 50);
    }
    assert_eq!(client.read().unwrap(), (OpCode::Text, text.into_bytes()));
    // Bytes that the transport does not take are not counted.
    server.get_ref().plan_send([Ok(10), Err(ErrorKind::WouldBlock)]);
    assert_eq!(server.write(OpCode::Binary, &[7; 9000]).unwrap(), 10);
    assert!(server.unsent() > 0);
}

/// The negotiated parameters, and one end's messages to the other.
#[derive(Debug, Clone)]
struct Talk {
    server: Deflate,
    client: Deflate,
    messages: Vec<(bool, Vec<u8>, Vec<usize>)>,
}

impl Arbitrary for Talk {
    fn arbitrary(g: &mut Gen) -> Self {
        let window = |g: &mut Gen| match bool::arbitrary(g) {
            true => Some(bits(8 + u8::arbitrary(g) % 8)),
            false => None,
        };
        let mut policy = |threshold| {
            Deflate::default()
                .send_window(window(g))
                .receive_window(window(g))
                .level(1 + u8::arbitrary(g) % 9)
                .threshold(threshold)
        };
        let (server, client) = (policy(0), policy(30));
        let messages = (0..u8::arbitrary(g) % 6)
            .map(|_| {
                let times = *g.choose(&[1, 2, 30, 400]).unwrap();
                let text = bool::arbitrary(g);
                let message = match text {
                    true => String::arbitrary(g).into_bytes(),
                    false => Vec::arbitrary(g),
                };
                (text, message.repeat(times), Vec::arbitrary(g))
            })
            .collect();
        Self { server, client, messages }
    }
}

/// Cuts the data frames among an end's sent bytes into fragments.
fn fragmented(mut bytes: &[u8], cuts: &[usize]) -> Vec<u8> {
    let mut out = Vec::new();
    while let Ok(Decoded::Complete { header, size }) = Header::decode(bytes) {
        let len = usize::try_from(header.len).unwrap();
        let mut payload = bytes[size..size + len].to_vec();
        mask(&mut payload, header.mask.unwrap_or_default(), 0);
        bytes = &bytes[size + len..];
        let mut ends: Vec<usize> = cuts.iter().take(4).map(|cut| cut % (len + 1)).collect();
        ends.sort_unstable();
        ends.push(len);
        let mut start = 0;
        for (index, &end) in ends.iter().enumerate() {
            let piece = &payload[start..end];
            let (opcode, rsv) =
                if index == 0 { (header.opcode, header.rsv) } else { (OpCode::Continuation, 0) };
            let fin = index + 1 == ends.len();
            out.extend(crate::framed::frame(Header { fin, rsv, opcode, ..header }, piece));
            start = end;
        }
    }
    out
}

#[test]
fn any_message_survives_an_echo_with_any_parameters_fragments_and_splits() {
    fn prop(talk: Talk, split: Vec<usize>) {
        let Talk { server, client, messages } = talk;
        let offer = client.offer();
        let params = |list: &str| -> Vec<Vec<(String, Option<String>)>> {
            list.split(',')
                .map(|one| {
                    let params = one.split(';').skip(1).map(str::trim);
                    params
                        .map(|param| match param.split_once('=') {
                            Some((name, value)) => (name.to_owned(), Some(value.to_owned())),
                            None => (param.to_owned(), None),
                        })
                        .collect()
                })
                .collect()
        };
        let offers = params(&offer);
        let lent = |one: &Vec<(String, Option<String>)>| -> Vec<(&'static str, Option<&'static str>)> {
            one.iter()
                .map(|(name, value)| (&*name.clone().leak(), value.clone().map(|value| &*value.leak())))
                .collect()
        };
        let answer = server.accept(offers.iter().map(lent)).unwrap();
        let confirmed = client.confirm(lent(&params(&answer.to_string())[0])).unwrap();
        let end = |role, deflate, agreed| {
            let config = Arc::new(Config::default().deflate(deflate));
            (Connection::with_config(role, config).with_deflate(agreed), Input::default(), output())
        };
        let mut ends = [end(Role::Client, client, confirmed), end(Role::Server, server, answer.params())];
        for (text, bytes, cuts) in &messages {
            let message = match text {
                true => Message::Text(std::str::from_utf8(bytes).unwrap()),
                false => Message::Binary(bytes),
            };
            // To the other end, and back as an echo.
            ends[0].0.send(message, &mut ends[0].2).unwrap();
            for (from, to) in [(0, 1), (1, 0)] {
                let wire = fragmented(ends[from].2.as_bytes(), cuts);
                ends[from].2.consume(usize::MAX);
                let (connection, input, output) = &mut ends[to];
                let mut at: Vec<usize> = split.iter().map(|cut| cut % (wire.len() + 1)).collect();
                at.extend([0, wire.len()]);
                at.sort_unstable();
                let mut received = 0;
                for window in at.windows(2) {
                    input.extend(&wire[window[0]..window[1]]);
                    while let Some(event) = connection.receive(input, output) {
                        assert_eq!(event, Event::Message(message));
                        received += 1;
                        if to == 1 {
                            connection.send(message, output).unwrap();
                        }
                    }
                }
                assert_eq!(received, 1);
            }
        }
    }
    QuickCheck::new().rng(Gen::new(40)).tests(200).quickcheck(prop as fn(Talk, Vec<usize>));
}

/// A compressed message of several inflation chunks, with or without a changed byte, and the places of its
/// cuts.
#[derive(Debug, Clone)]
struct Large {
    seed: u64,
    len: usize,
    is_text: bool,
    /// Whether it may refer to an earlier message.
    refers: bool,
    change: Option<(usize, u8)>,
    /// The limit, as a number of bytes above the compressed length.
    limit: Option<usize>,
    fragments: Vec<usize>,
    splits: [Vec<usize>; 2],
}

impl Arbitrary for Large {
    fn arbitrary(g: &mut Gen) -> Self {
        let len = 50_000 + usize::arbitrary(g) % 250_000;
        Self {
            seed: u64::arbitrary(g),
            len,
            is_text: bool::arbitrary(g),
            refers: bool::arbitrary(g),
            change: Option::arbitrary(g),
            limit: bool::arbitrary(g).then(|| usize::arbitrary(g) % len),
            fragments: Vec::arbitrary(g),
            splits: [Vec::arbitrary(g), Vec::arbitrary(g)],
        }
    }
}

impl Large {
    /// Returns text of several chunks, in one frame.
    fn text() -> Self {
        Self {
            seed: 1,
            len: 500_000,
            is_text: true,
            refers: false,
            change: None,
            limit: None,
            fragments: vec![],
            splits: [vec![], vec![]],
        }
    }

    /// Returns the message, which compresses to about half its length.
    fn message(&self) -> String {
        let mut random = self.seed;
        let mut next = || {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            random >> 56
        };
        let mut message = String::new();
        while message.len() < self.len {
            message += &format!("{{\"é\":{},\"n\":\"{:x}{:x}\"}},", next(), next(), next());
        }
        message
    }

    /// Returns the payloads of the message before it, if any, of the message itself, and of one after it.
    fn payloads(&self, message: &str) -> (Option<Vec<u8>>, Vec<u8>, Option<Vec<u8>>) {
        let (mut deflaters, mut sent) = (Deflaters::new(), Window::new(WindowBits::MAX));
        let mut deflate =
            |message: &str| deflaters.deflate_after(message.as_bytes(), &mut sent, 6).unwrap().to_vec();
        let before = self.refers.then(|| deflate(&part(message, 9)));
        let mut payload = deflate(message);
        let after = self.refers.then(|| deflate(&part(message, 30_000)));
        if let Some((at, byte)) = self.change {
            let at = at % payload.len();
            payload[at] ^= byte;
        }
        (before, payload, after)
    }
}

fn part(message: &str, from: usize) -> String {
    message.chars().skip(from).take(9000).collect()
}

/// Returns places in `len` bytes, in order, including the first and the last.
fn places(len: usize, choices: &[usize]) -> Vec<usize> {
    let mut places: Vec<usize> = choices.iter().map(|choice| choice % (len + 1)).collect();
    places.extend([0, len]);
    places.sort_unstable();
    places
}

#[test]
fn a_message_of_several_chunks_has_the_same_outcome_however_it_is_fragmented_and_split() {
    fn prop(large: Large) {
        let message = large.message();
        let (before, payload, after) = large.payloads(&message);
        // Compressed, it is within the limit.
        let limit = large.limit.map_or(usize::MAX, |over| payload.len().max(9000) + over);
        let opcode = if large.is_text { OpCode::Text } else { OpCode::Binary };
        let mut outcomes = Vec::new();
        // Also in one piece, so that it is whole in the input.
        for (fragments, splits) in [(&[][..], &[][..]), (&[], &large.splits[0]), (&large.fragments, &[])]
            .into_iter()
            .chain([(&large.fragments[..], &large.splits[1][..])])
        {
            let limits = Limits::default().message(limit);
            let mut connection =
                Connection::with_config(Role::Server, config(limits, 0)).with_deflate(both(15, large.refers));
            let mut bytes = Vec::new();
            if let Some(before) = &before {
                bytes.extend(frame(OpCode::Text, true, COMPRESSED, before));
            }
            let ends = places(payload.len(), fragments);
            for (index, piece) in ends.windows(2).enumerate() {
                let (opcode, rsv) = if index == 0 { (opcode, COMPRESSED) } else { (OpCode::Continuation, 0) };
                bytes.extend(frame(opcode, index + 2 == ends.len(), rsv, &payload[piece[0]..piece[1]]));
            }
            // Continues after it with a message that may refer to it.
            match &after {
                Some(after) => bytes.extend(frame(OpCode::Text, true, COMPRESSED, after)),
                None => bytes.extend(frame(OpCode::Binary, true, 0, b"after")),
            }
            let (mut input, mut output) = (Input::default(), output());
            let mut received = Vec::new();
            for piece in places(bytes.len(), splits).windows(2) {
                input.extend(&bytes[piece[0]..piece[1]]);
                while let Some(event) = connection.receive(&mut input, &mut output) {
                    let Event::Message(message) = event else { panic!("no other event") };
                    received.push(message.as_bytes().to_vec());
                }
            }
            if large.change.is_none_or(|(_, byte)| byte == 0) && limit >= message.len() {
                assert_eq!((connection.state(), received.len()), (State::Open, 2 + before.iter().len()));
                assert!(received[received.len() - 2] == message.as_bytes(), "another message");
                let after = if large.refers { part(&message, 30_000) } else { "after".into() };
                assert!(received[received.len() - 1] == after.as_bytes(), "another message behind it");
            }
            if !large.refers || connection.state() != State::Open {
                assert_eq!(connection.heap_bytes(), 0);
            }
            outcomes.push((connection.state(), output.as_bytes().to_vec(), received));
        }
        for outcome in &outcomes {
            assert_eq!((outcome.0, &outcome.1), (outcomes[0].0, &outcomes[0].1));
            assert!(outcome.2 == outcomes[0].2, "other messages");
        }
    }
    QuickCheck::new().tests(100).quickcheck(prop as fn(Large));
}

#[test]
fn a_message_of_several_chunks_that_is_cut_off_or_ends_within_a_character_is_refused() {
    let mut message = Large::text().message().into_bytes();
    let mut cut_off = compressed(&message);
    cut_off.truncate(cut_off.len() - 20);
    message.extend_from_slice(&"\u{e9}".as_bytes()[..1]);
    for (payload, fault) in [(cut_off, Fault::InvalidDeflate), (compressed(&message), Fault::InvalidUtf8)] {
        assert!(payload.len() > 64 << 10);
        let mut connection = server(both(15, false));
        let (mut input, mut output) = (Input::default(), output());
        for piece in frame(OpCode::Text, true, COMPRESSED, &payload).chunks(10_000) {
            input.extend(piece);
            assert_eq!(connection.receive(&mut input, &mut output), None);
        }
        let State::Draining(Closed { cause, .. }) = connection.state() else { panic!("{fault}") };
        assert_eq!(cause, Cause::Fault(fault));
    }
}

#[test]
fn a_refused_message_leaves_nothing_for_the_next_connection_of_the_thread() {
    let message = Large::text().message();
    let bytes = frame(OpCode::Text, true, COMPRESSED, &compressed(message.as_bytes()));
    let mut cut_off = compressed(b"of one letter: aaaaaaaaaaaaaaaaaaaaaaaaaaaa");
    cut_off.truncate(cut_off.len() - 3);
    // Whole; inflated as it arrives; and delivered in chunks as it arrives.
    for (step, streaming) in [(bytes.len(), false), (10_000, false), (10_000, true)] {
        let (mut input, mut output) = (Input::default(), output());
        let mut refused = server(both(15, false));
        input.extend(&frame(OpCode::Text, true, COMPRESSED, &cut_off));
        assert_eq!(refused.receive(&mut input, &mut output), None);
        assert!(matches!(refused.state(), State::Draining(_)));
        let config = Arc::new(Config::default().streaming(streaming));
        let mut next = Connection::with_config(Role::Server, config).with_deflate(both(15, false));
        let mut received = String::new();
        for piece in bytes.chunks(step) {
            input.extend(piece);
            while let Some(event) = next.receive(&mut input, &mut output) {
                received += match event {
                    Event::Message(Message::Text(text)) => text,
                    Event::Chunk(chunk) => chunk.payload().as_text().unwrap(),
                    other => panic!("{other:?}"),
                };
            }
        }
        assert_eq!(next.state(), State::Open);
        assert!(received == message, "another message");
    }
}

#[test]
fn the_fragments_of_a_compressed_message_are_counted_before_and_after_its_first_chunk() {
    let large = Large::text();
    for message in ["of one letter: aaaaaaaaaaaaaaaaaaaaaaaaaaaa", &large.message()] {
        let payload = compressed(message.as_bytes());
        for (fragments, outcome) in [(3, (1, None)), (4, (0, Some(Fault::TooManyFragments)))] {
            let config = config(Limits::default().fragments(3), 0);
            let mut connection = Connection::with_config(Role::Server, config).with_deflate(both(15, false));
            let mut bytes = frame(OpCode::Text, false, COMPRESSED, &payload);
            for index in 2..=fragments {
                bytes.extend(frame(OpCode::Continuation, index == fragments, 0, b""));
            }
            let (events, fault) = receive(&mut connection, &bytes);
            assert_eq!((events.len(), fault), outcome, "{} compressed bytes", payload.len());
        }
    }
}

/// Each of the empty final blocks of a message begins a stream, for which the whole window is copied.
#[test]
fn the_streams_in_a_message_count_towards_the_budget_of_a_call() {
    let (a, mut peer) = memory::pair(1 << 21);
    let config = config(Limits::default(), 0);
    let mut server =
        WebSocketStream::with_config(a, Role::Server, config).unwrap().with_deflate(both(15, true));
    let earlier: Vec<u8> =
        (0..40_000_u32).map(|index| (index.wrapping_mul(2_654_435_761) >> 28) as u8).collect();
    peer.send(&frame(OpCode::Binary, true, 4, &compressed(&earlier))).unwrap();
    let mut scratch = Scratch::new();
    let mut events = 0;
    let mut drive = |ready| {
        events = 0;
        let driven = server.drive(&mut scratch.at(0), ready, |event, _| {
            events += usize::from(matches!(event, Event::Message(_)));
            Ok(())
        });
        (driven.unwrap(), events)
    };
    assert_eq!(drive(Ready::READABLE).1, 1);
    peer.send(&frame(OpCode::Binary, true, 4, &[3, 0].repeat(1_000)).repeat(100)).unwrap();
    let mut messages = 0;
    let mut ready = Ready::READABLE;
    while messages < 100 {
        let (wants, events) = drive(ready);
        // 1,000 times 32 KiB is more than a call may use.
        assert_eq!((events, wants.again || messages == 99), (1, true), "after {messages} messages");
        messages += events;
        ready = Ready::NONE;
    }
}
