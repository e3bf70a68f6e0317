//! Frames that break the protocol: each ends the connection with its close code, as early as possible, and
//! none of its bytes are kept.

use super::{ROLES, Side};
use std::collections::HashSet;
use websocket_stream::protocol::{Connection, Input, Output};
use websocket_stream::{CloseCode, Event, Fault, Limits, OpCode, Ready, Role, Status};

#[test]
fn an_unmasked_frame_to_a_server_and_a_masked_one_to_a_client_end_with_1002() {
    for (role, fault) in [(Role::Server, Fault::Unmasked), (Role::Client, Fault::Masked)] {
        for opcode in [OpCode::Text, OpCode::Binary, OpCode::Ping, OpCode::Pong, OpCode::Close] {
            let mut side = Side::new(role, Limits::default());
            let mut bytes = side.frame(opcode, true, b"");
            bytes[1] ^= 0x80;
            bytes.truncate(2);
            let _ = side.receive(&bytes);
            side.check_failed(fault, CloseCode::PROTOCOL_ERROR);
        }
    }
}

#[test]
fn malformed_control_frames_closes_and_messages_end_with_1002() {
    for role in ROLES {
        let side = || Side::new(role, Limits::default());
        let long = |opcode| side().header(opcode, true, 126);
        let close = |payload: &[u8]| side().frame(OpCode::Close, true, payload);
        let mut cases = vec![
            (long(OpCode::Ping), Fault::ControlTooLong),
            (long(OpCode::Pong), Fault::ControlTooLong),
            (long(OpCode::Close), Fault::ControlTooLong),
            (side().frame(OpCode::Ping, false, b""), Fault::FragmentedControl),
            (side().frame(OpCode::Pong, false, b"x"), Fault::FragmentedControl),
            (side().frame(OpCode::Close, false, b"\x03\xe8"), Fault::FragmentedControl),
            (side().frame(OpCode::Continuation, true, b""), Fault::UnexpectedContinuation),
            (side().frame(OpCode::Continuation, false, b""), Fault::UnexpectedContinuation),
            (close(b"\x03"), Fault::TruncatedCloseCode),
        ];
        for code in (0..1000).chain([1004, 1005, 1006, 1015, 1016, 2000, 2999, 5000, u16::MAX]) {
            cases.push((close(&code.to_be_bytes()), Fault::InvalidCloseCode));
        }
        for opcode in [OpCode::Text, OpCode::Binary] {
            let first = side().frame(OpCode::Text, false, b"first");
            cases.push(([first, side().frame(opcode, true, b"")].concat(), Fault::ExpectedContinuation));
        }
        for (bytes, fault) in cases {
            // However the frame is cut.
            for piece in [1, bytes.len()] {
                let mut side = side();
                for piece in bytes.chunks(piece) {
                    let _ = side.receive(piece);
                }
                side.check_failed(fault, CloseCode::PROTOCOL_ERROR);
                assert!(side.messages.is_empty());
            }
        }
    }
}

#[test]
fn text_that_is_not_utf8_ends_with_1007_at_the_first_invalid_byte() {
    for role in ROLES {
        // The text, and the number of its bytes that may still become valid.
        for (text, fine) in [
            (&b"a\xff"[..], 1),
            (b"\xc0\x80", 0),
            (b"caf\xc3(", 4),
            (b"\xe2\x82\xe2", 2),
            (b"\xed\xa0\x80", 1),
            (b"\xf4\x90\x80\x80", 1),
            (b"\xf0\x9f\x98\x80\x80", 4),
        ] {
            for fragments in [false, true] {
                let mut side = Side::new(role, Limits::default());
                // More of the frame would follow, but the end does not wait for it.
                if !fragments {
                    let header = side.header(OpCode::Text, true, 10 << 20);
                    let _ = side.receive(&header);
                }
                for (index, byte) in text.iter().enumerate() {
                    assert_eq!((side.stream.status(), side.sent()), (Status::Open, vec![]));
                    let opcode = if index == 0 { OpCode::Text } else { OpCode::Continuation };
                    let bytes = if fragments { side.frame(opcode, false, &[*byte]) } else { vec![*byte] };
                    let _ = side.receive(&bytes);
                    if index == fine {
                        break;
                    }
                }
                side.check_failed(Fault::InvalidUtf8, CloseCode::INVALID_PAYLOAD);
            }
        }
        // Also in a large message, whose later bytes are received into their final buffer.
        for wrong in [0, 40_000, 99_999] {
            let mut side = Side::new(role, Limits::default());
            let header = side.header(OpCode::Text, true, 10 << 20);
            let _ = side.receive(&[header, vec![b'a'; 200_000]].concat());
            let mut more = vec![b'a'; 100_000];
            more[wrong] = 0xff;
            assert_eq!((side.stream.status(), side.sent()), (Status::Open, vec![]));
            let _ = side.receive(&more);
            side.check_failed(Fault::InvalidUtf8, CloseCode::INVALID_PAYLOAD);
        }
        // A character that is cut off by the end of the message, in one frame and over fragments.
        for cut in ["é", "€", "😀"] {
            let bytes = &cut.as_bytes()[..cut.len() - 1];
            let mut side = Side::new(role, Limits::default());
            let whole = side.frame(OpCode::Text, true, bytes);
            let _ = side.receive(&whole);
            side.check_failed(Fault::InvalidUtf8, CloseCode::INVALID_PAYLOAD);

            let mut side = Side::new(role, Limits::default());
            let first = side.frame(OpCode::Text, false, bytes);
            let last = side.frame(OpCode::Continuation, true, b"");
            let _ = side.receive(&first);
            assert_eq!(side.stream.status(), Status::Open);
            let _ = side.receive(&last);
            side.check_failed(Fault::InvalidUtf8, CloseCode::INVALID_PAYLOAD);
        }
        // A character that is split, but complete in the end.
        let mut side = Side::new(role, Limits::default());
        let text = "é€😀".as_bytes();
        for (index, byte) in text.iter().enumerate() {
            let opcode = if index == 0 { OpCode::Text } else { OpCode::Continuation };
            let fragment = side.frame(opcode, index + 1 == text.len(), &[*byte]);
            for byte in fragment {
                let _ = side.receive(&[byte]);
            }
        }
        assert_eq!((side.messages.as_slice(), side.stream.held()), (&[text.len()][..], 0));
    }
}

/// `rfc6455.rs` tests the result of each pair in an open connection.
#[test]
fn any_two_bytes_in_any_state_have_a_defined_result() {
    for role in ROLES {
        let begin: &[u8] = if role == Role::Server { b"\x01\x80\0\0\0\0" } else { b"\x01\0" };
        let mut output = Output::with_keys(Box::new(|| [0; 4]));
        let mut close = Output::with_keys(Box::new(|| [0; 4]));
        for (before, closing) in [(&b""[..], true), (begin, true), (b"\x83", false)] {
            for pair in 0..=u16::MAX {
                let mut connection = Connection::new(role);
                let mut input = Input::default();
                let mut receive = |connection: &mut Connection, bytes: &[u8]| {
                    input.extend(bytes);
                    while let Some(event) = connection.receive(&mut input, &mut output) {
                        assert!(!matches!(event, Event::End(_)));
                    }
                    let sent = output.as_bytes().len();
                    output.consume(sent);
                    sent
                };
                assert_eq!(receive(&mut connection, before) > 0, !closing);
                if closing {
                    connection.close(CloseCode::NORMAL, "", &mut close).unwrap();
                    close.consume(close.as_bytes().len());
                }
                let before = connection.status();
                // Nothing is sent after a Close frame.
                assert_eq!(receive(&mut connection, &pair.to_be_bytes()), 0, "{pair:#06x} {before:?}");
                match (before, connection.status()) {
                    (Status::Closing, Status::Closing) => {}
                    (Status::Closing, Status::Finishing(end)) => {
                        let code = if end.is_clean() { CloseCode::NORMAL } else { CloseCode::PROTOCOL_ERROR };
                        assert_eq!(end.code, code, "{pair:#06x}");
                    }
                    (before, after) => assert_eq!((before, closing), (after, false), "{pair:#06x}"),
                }
                assert!(connection.held() < 256);
            }
        }
    }
}

#[test]
fn a_client_masks_each_frame_with_a_fresh_unpredictable_key() {
    let mut keys = HashSet::new();
    for _ in 0..10 {
        let mut side = Side::new(Role::Client, Limits::default());
        for _ in 0..100 {
            side.stream.send(&mut side.scratch.at(0), "hello").unwrap();
            // Also one of each kind of frame that a client sends automatically.
            let ping = side.frame(OpCode::Ping, true, b"ping!");
            let _ = side.receive(&ping);
        }
        let bytes = side.sent_bytes();
        assert_eq!(bytes.len(), 200 * (2 + 4 + 5));
        keys.extend(bytes.chunks(11).map(|frame| <[u8; 4]>::try_from(&frame[2..6]).unwrap()));
    }
    // 2,000 of 4 billion: two equal pairs occur once in ten million runs.
    assert!(keys.len() >= 1_999, "{}", keys.len());
    // No byte is constant, and each bit is set in about half of the keys.
    for bit in 0..32 {
        let set = keys.iter().filter(|key| u32::from_ne_bytes(**key) >> bit & 1 == 1).count();
        assert!((800..1_200).contains(&set), "bit {bit}: {set}");
    }
}

#[test]
fn a_queued_echo_is_sent_before_the_close_that_reports_a_fault() {
    for role in ROLES {
        for blocked in [false, true] {
            let mut side = Side::new(role, Limits::default());
            if blocked {
                side.stream.get_ref().limit_send(0);
            }
            side.echo = true;
            let bytes = [
                side.frame(OpCode::Text, true, b"first"),
                side.frame(OpCode::Binary, true, b"second"),
                side.frame(OpCode::Ping, true, b"ping"),
                b"\x83".to_vec(),
            ];
            let _ = side.receive(&bytes.concat());
            let Status::Finishing(_) = side.stream.status() else { panic!("{:?}", side.stream.status()) };
            assert_eq!(side.stream.unsent() > 0, blocked);
            side.stream.get_ref().limit_send(usize::MAX);
            let _ = side.drive(Ready::WRITABLE);
            let mut expected =
                vec![(0x81, b"first".to_vec()), (0x82, b"second".to_vec()), (0x8a, b"ping".to_vec())];
            expected.push((0x88, 1002_u16.to_be_bytes().to_vec()));
            assert_eq!((side.sent(), side.stream.held()), (expected, 0));
        }
    }
}
