//! RFC 6455 as examples and as an oracle: section 5.7, every pair of first two bytes, every fault.

use std::sync::Arc;
use websocket_stream::protocol::{Connection, Event, Input, Output, Role, State};
use websocket_stream::{Cause, CloseCode, Config, Fault, Limits, Message, OpCode, SendError};

/// Returns the result of receiving some bytes: the events as text, and the answer.
fn receive(connection: &mut Connection, bytes: &[u8]) -> (Vec<String>, Vec<u8>) {
    let mut input = Input::default();
    let mut output = Output::with_keys(Box::new(|| [0; 4]));
    input.extend(bytes);
    let mut events = Vec::new();
    while let Some(event) = connection.receive(&mut input, &mut output) {
        events.push(format!("{event:?}"));
    }
    (events, output.as_bytes().to_vec())
}

fn event(event: Event<'_>) -> String {
    format!("{event:?}")
}

#[test]
fn a_single_frame_unmasked_text_message() {
    let (events, _) = receive(&mut Connection::new(Role::Client), b"\x81\x05Hello");
    assert_eq!(events, [event(Event::Message(Message::Text("Hello")))]);
}

#[test]
fn a_single_frame_masked_text_message() {
    let bytes = b"\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58";
    let (events, _) = receive(&mut Connection::new(Role::Server), bytes);
    assert_eq!(events, [event(Event::Message(Message::Text("Hello")))]);
}

#[test]
fn a_fragmented_unmasked_text_message() {
    let (events, _) = receive(&mut Connection::new(Role::Client), b"\x01\x03Hel\x80\x02lo");
    assert_eq!(events, [event(Event::Message(Message::Text("Hello")))]);
}

#[test]
fn an_unmasked_ping_request_and_its_masked_response() {
    let (events, answer) = receive(&mut Connection::new(Role::Client), b"\x89\x05Hello");
    assert_eq!(events, [event(Event::Ping(b"Hello"))]);
    assert_eq!(answer, b"\x8a\x85\0\0\0\0Hello");
}

#[test]
fn binary_messages_in_the_longer_length_forms() {
    let mut bytes = b"\x82\x7e\x01\x00".to_vec();
    bytes.extend([7; 256]);
    bytes.extend(b"\x82\x7f\0\0\0\0\0\x01\0\0");
    bytes.extend([8; 65536]);
    let (events, _) = receive(&mut Connection::new(Role::Client), &bytes);
    let expected = [&[7; 256][..], &[8; 65536]].map(|bytes| event(Event::Message(Message::Binary(bytes))));
    assert_eq!(events, expected);
}

/// Returns what section 5 requires for a frame with these first two bytes and a payload of zeros, in the
/// order of its fields: the close code it fails with, or none.
fn oracle(first: u8, second: u8, role: Role, in_message: bool) -> Option<u16> {
    let (fin, rsv, opcode) = (first >= 0x80, first >> 4 & 7, first & 15);
    let (masked, len) = (second >= 0x80, second & 127);
    let control = opcode >= 8;
    let wrong = !matches!(opcode, 0 | 1 | 2 | 8 | 9 | 10)
        || rsv != 0
        || masked != (role == Role::Server)
        || (control && (!fin || len > 125))
        || (opcode == 8 && len == 1)
        || (!control && in_message != (opcode == 0))
        // A close code of 0, which must not be sent.
        || (opcode == 8 && len >= 2);
    wrong.then_some(1002)
}

#[test]
fn every_pair_of_first_two_bytes_has_the_result_of_section_5() {
    for role in [Role::Server, Role::Client] {
        for in_message in [false, true] {
            for pair in 0..=u16::MAX {
                let [first, second] = pair.to_be_bytes();
                let mut connection = Connection::new(role);
                if in_message {
                    let begin: &[u8] = if role == Role::Server { b"\x01\x81\0\0\0\0a" } else { b"\x01\x01a" };
                    receive(&mut connection, begin);
                }
                let mut bytes = vec![first, second];
                match second & 127 {
                    126 => bytes.extend([0, 126]),
                    127 => bytes.extend([0, 0, 0, 0, 0, 1, 0, 0]),
                    _ => {}
                }
                bytes.extend([0; 4 + 125]);
                let (_, answer) = receive(&mut connection, &bytes);
                let code = match connection.state() {
                    State::Draining(end) => match end.cause {
                        Cause::Fault(fault) => Some(fault.close_code().get()),
                        _ => None,
                    },
                    _ => None,
                };
                // The bytes after a short frame are zeros: a continuation outside a message, or an unmasked
                // one. So only results that the pair alone decides are compared.
                match oracle(first, second, role, in_message) {
                    Some(expected) => {
                        assert_eq!(code, Some(expected), "{role:?} {in_message} {first:#04x} {second:#04x}");
                        let at = answer.len() - if role == Role::Server { 4 } else { 8 };
                        assert_eq!(answer[at], 0x88);
                        assert_eq!(answer[answer.len() - 2..], expected.to_be_bytes());
                    }
                    None => {
                        let mut alone = Connection::new(role);
                        if in_message {
                            let begin: &[u8] =
                                if role == Role::Server { b"\x01\x81\0\0\0\0a" } else { b"\x01\x01a" };
                            receive(&mut alone, begin);
                        }
                        receive(&mut alone, &[first, second]);
                        let fine = match alone.state() {
                            State::Open => true,
                            State::Draining(end) => end.is_clean(),
                            _ => false,
                        };
                        assert!(fine, "{role:?} {in_message} {first:#04x} {second:#04x}");
                    }
                }
            }
        }
    }
}

#[test]
fn every_fault_has_its_close_code() {
    let long = [0xff; 300];
    let cases: [(&[u8], Fault, CloseCode); 14] = [
        (b"\xc1\x00", Fault::ReservedBits, CloseCode::PROTOCOL_ERROR),
        (b"\x83", Fault::ReservedOpcode, CloseCode::PROTOCOL_ERROR),
        (b"\x82\x7e\0\x05", Fault::LengthNotMinimal, CloseCode::PROTOCOL_ERROR),
        (b"\x82\x7f\x80\0\0\0\0\0\0\0", Fault::LengthTopBit, CloseCode::PROTOCOL_ERROR),
        (b"\x09\x00", Fault::FragmentedControl, CloseCode::PROTOCOL_ERROR),
        (b"\x89\x7e", Fault::ControlTooLong, CloseCode::PROTOCOL_ERROR),
        (b"\x82\x80", Fault::Masked, CloseCode::PROTOCOL_ERROR),
        (b"\x80\x00", Fault::UnexpectedContinuation, CloseCode::PROTOCOL_ERROR),
        (b"\x01\x01a\x81\x00", Fault::ExpectedContinuation, CloseCode::PROTOCOL_ERROR),
        (b"\x88\x01\x03", Fault::TruncatedCloseCode, CloseCode::PROTOCOL_ERROR),
        (b"\x88\x02\x03\xed", Fault::InvalidCloseCode, CloseCode::PROTOCOL_ERROR),
        (b"\x81\x01\xff", Fault::InvalidUtf8, CloseCode::INVALID_PAYLOAD),
        // A character that ends with the message, and a frame of gigabytes.
        (b"\x81\x02\xe2\x82", Fault::InvalidUtf8, CloseCode::INVALID_PAYLOAD),
        (b"\x82\x7f\x7f\xff\xff\xff\xff\xff\xff\xff", Fault::MessageTooLong, CloseCode::TOO_BIG),
    ];
    for (bytes, fault, code) in cases {
        let mut client = Connection::new(Role::Client);
        let (_, answer) = receive(&mut client, bytes);
        let State::Draining(end) = client.state() else { panic!("{fault:?}: {:?}", client.state()) };
        assert_eq!((end.cause, end.code), (Cause::Fault(fault), code), "{bytes:x?}");
        assert_eq!(answer[..2], [0x88, 0x82]);
        assert_eq!(answer[6..], code.get().to_be_bytes());
        // Later input changes nothing.
        assert_eq!(receive(&mut client, &long), (vec![], vec![]));
    }
}

#[test]
fn messages_accepted_before_a_fault_are_sent_before_the_failing_close() {
    let mut client = Connection::new(Role::Client);
    let mut input = Input::default();
    let mut output = Output::with_keys(Box::new(|| [0; 4]));
    input.extend(b"\x81\x02hi\x83\x00");
    while let Some(event) = client.receive(&mut input, &mut output) {
        if let Event::Message(message) = event {
            client.send(message, &mut output).unwrap();
        }
    }
    assert_eq!(output.as_bytes(), b"\x81\x82\0\0\0\0hi\x88\x82\0\0\0\0\x03\xea");
}

/// Returns the bytes of a send that must not be refused.
fn sent(role: Role, send: impl FnOnce(&mut Connection, &mut Output) -> Result<(), SendError>) -> Vec<u8> {
    let mut output = Output::with_keys(Box::new(|| [0; 4]));
    send(&mut Connection::new(role), &mut output).unwrap();
    output.as_bytes().to_vec()
}

/// Returns the error of a send that must be refused, and checks that nothing of it is sent.
fn refused(send: impl FnOnce(&mut Connection, &mut Output) -> Result<(), SendError>) -> SendError {
    let mut connection = Connection::new(Role::Server);
    let mut output = Output::new();
    let error = send(&mut connection, &mut output).unwrap_err();
    assert!(output.is_empty());
    assert_eq!(connection.state(), State::Open);
    error
}

#[test]
fn a_client_masks_each_frame_with_the_next_key() {
    let mut key = 0;
    let keys = move || {
        key += 1;
        [key; 4]
    };
    let mut output = Output::with_keys(Box::new(keys));
    let mut client = Connection::new(Role::Client);
    client.send(Message::Binary(b"\x10"), &mut output).unwrap();
    client.ping(b"\x20", &mut output).unwrap();
    client.send_fragment(OpCode::Binary, b"\x30", false, &mut output).unwrap();
    let expected = b"\x82\x81\x01\x01\x01\x01\x11\x89\x81\x02\x02\x02\x02\x22\x02\x81\x03\x03\x03\x03\x33";
    assert_eq!(output.as_bytes(), expected);
}

#[test]
fn only_control_frames_may_be_sent_between_fragments() {
    let mut server = Connection::new(Role::Server);
    let mut output = Output::new();
    let mut fragment = |opcode, payload: &[u8], fin| server.send_fragment(opcode, payload, fin, &mut output);
    assert_eq!(fragment(OpCode::Continuation, b"-", true), Err(SendError::NoMessageBegun));
    assert_eq!(fragment(OpCode::Ping, b"-", true), Err(SendError::ControlOpcode));
    fragment(OpCode::Text, b"Hel", false).unwrap();
    assert_eq!(fragment(OpCode::Text, b"-", true), Err(SendError::MessageUnfinished));
    fragment(OpCode::Continuation, b"l", false).unwrap();
    assert_eq!(server.send(Message::Text("-"), &mut output), Err(SendError::MessageUnfinished));
    server.ping(b"?", &mut output).unwrap();
    server.pong(b"!", &mut output).unwrap();
    server.send_fragment(OpCode::Continuation, b"o", true, &mut output).unwrap();
    let again = server.send_fragment(OpCode::Continuation, b"-", true, &mut output);
    assert_eq!(again, Err(SendError::NoMessageBegun));
    server.send_fragment(OpCode::Binary, b".", true, &mut output).unwrap();
    assert_eq!(output.as_bytes(), b"\x01\x03Hel\x00\x01l\x89\x01?\x8a\x01!\x80\x01o\x82\x01.");
}

#[test]
fn a_control_frame_has_at_most_125_bytes() {
    let (most, more) = ([7; 125], [7; 126]);
    assert_eq!(sent(Role::Server, |end, output| end.ping(&most, output)), [b"\x89\x7d", &most[..]].concat());
    assert_eq!(sent(Role::Server, |end, output| end.pong(&most, output)), [b"\x8a\x7d", &most[..]].concat());
    assert_eq!(refused(|end, output| end.ping(&more, output)), SendError::ControlTooLong);
    assert_eq!(refused(|end, output| end.pong(&more, output)), SendError::ControlTooLong);
    // Two of the 125 bytes are the code.
    let reason = "r".repeat(124);
    let close = sent(Role::Server, |end, output| end.close(CloseCode::NORMAL, &reason[1..], output));
    assert_eq!(close, [b"\x88\x7d\x03\xe8", &reason.as_bytes()[1..]].concat());
    let error = refused(|end, output| end.close(CloseCode::NORMAL, &reason, output));
    assert_eq!(error, SendError::ControlTooLong);
}

#[test]
fn a_close_frame_has_a_valid_code_or_is_empty() {
    let close = |code, reason: &'static str| {
        move |end: &mut Connection, output: &mut Output| end.close(code, reason, output)
    };
    assert_eq!(sent(Role::Server, close(CloseCode::NO_STATUS, "")), b"\x88\x00");
    assert_eq!(sent(Role::Server, close(CloseCode::GOING_AWAY, "")), b"\x88\x02\x03\xe9");
    assert_eq!(sent(Role::Client, close(CloseCode::new(4000), "why")), b"\x88\x85\0\0\0\0\x0f\xa0why");
    assert_eq!(refused(close(CloseCode::NO_STATUS, "why")), SendError::InvalidCloseCode);
    for code in [CloseCode::new(999), CloseCode::ABNORMAL, CloseCode::TLS_HANDSHAKE] {
        assert_eq!(refused(close(code, "")), SendError::InvalidCloseCode);
        assert_eq!(refused(close(code, "why")), SendError::InvalidCloseCode);
    }
    let mut server = Connection::new(Role::Server);
    let mut output = Output::new();
    server.close(CloseCode::NORMAL, "", &mut output).unwrap();
    assert_eq!(server.close(CloseCode::NORMAL, "", &mut output), Err(SendError::Closed));
    assert_eq!(server.send(Message::Text(""), &mut output), Err(SendError::Closed));
    assert_eq!(server.ping(b"", &mut output), Err(SendError::Closed));
    assert_eq!(output.as_bytes(), b"\x88\x02\x03\xe8");
}

#[test]
fn messages_fill_all_but_the_control_room_and_pings_half_of_that_room() {
    // A frame is admitted as if it had the longest header.
    const HEADER: usize = 14;
    let limits = Limits::default().unsent(Limits::CONTROL_ROOM + 1000);
    let config = Arc::new(Config::default().limits(limits));
    for before in [0, 1, 100] {
        let begun = || {
            let mut server = Connection::with_config(Role::Server, Arc::clone(&config));
            let mut output = Output::new();
            if before > 0 {
                server.send(Message::Binary(&vec![7; before]), &mut output).unwrap();
            }
            (server, output)
        };
        let (mut server, mut output) = begun();
        let most = 1000 - HEADER - output.len();
        let unsent = output.as_bytes().to_vec();
        let error = if before == 0 { SendError::TooLong } else { SendError::Full };
        assert_eq!(server.send(Message::Binary(&vec![7; most + 1]), &mut output), Err(error));
        assert_eq!(output.as_bytes(), unsent);
        server.send(Message::Binary(&vec![7; most]), &mut output).unwrap();
        assert_eq!(server.send(Message::Binary(&[7; 20]), &mut output), Err(SendError::Full));

        // Pings may fill the first half of the reserved room, to the byte.
        let bound = 1000 + Limits::CONTROL_ROOM / 2;
        while bound - HEADER - output.len() >= 125 {
            server.ping(&[7; 100], &mut output).unwrap();
        }
        let room = bound - HEADER - output.len();
        assert_eq!(server.ping(&vec![7; room + 1], &mut output), Err(SendError::Full));
        server.ping(&vec![7; room], &mut output).unwrap();
        assert_eq!(server.ping(b"", &mut output), Err(SendError::Full));
        // A Close frame always fits.
        server.close(CloseCode::NORMAL, &"r".repeat(123), &mut output).unwrap();
        assert!(output.len() <= config.limits.unsent);
    }
}
