//! RFC 6455 as examples and as an oracle: section 5.7, every pair of first two bytes, every fault.

use websocket_stream::protocol::{Connection, Event, Input, Output, Role, Status};
use websocket_stream::{Cause, CloseCode, Fault, Message};

/// What a connection makes of some bytes: its events as text, its answer, its status.
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

/// What section 5 says of a frame with these first two bytes and a payload of zeros, in the order of
/// its fields: the close code it fails with, or none.
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
        // A close code of 0, which may not be sent.
        || (opcode == 8 && len >= 2);
    wrong.then_some(1002)
}

#[test]
fn every_pair_of_first_two_bytes_has_the_outcome_of_section_5() {
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
                let code = match connection.status() {
                    Status::Finishing(end) => match end.cause {
                        Cause::Fault(fault) => Some(fault.close_code().get()),
                        _ => None,
                    },
                    _ => None,
                };
                // What stands behind a short frame is zeros: a continuation that nothing began, or
                // one that is not masked. So only what the pair alone decides is compared.
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
                        let fine = match alone.status() {
                            Status::Open => true,
                            Status::Finishing(end) => end.is_clean(),
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
        (b"\x82\x7f\x7f\xff\xff\xff\xff\xff\xff\xff", Fault::FrameTooLong, CloseCode::TOO_BIG),
    ];
    for (bytes, fault, code) in cases {
        let mut client = Connection::new(Role::Client);
        let (_, answer) = receive(&mut client, bytes);
        let Status::Finishing(end) = client.status() else { panic!("{fault:?}: {:?}", client.status()) };
        assert_eq!((end.cause, end.code), (Cause::Fault(fault), code), "{bytes:x?}");
        assert_eq!(answer[..2], [0x88, 0x82]);
        assert_eq!(answer[6..], code.get().to_be_bytes());
        // Whatever follows changes nothing.
        assert_eq!(receive(&mut client, &long), (vec![], vec![]));
    }
}

#[test]
fn what_was_accepted_before_a_fault_is_sent_before_the_failing_close() {
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
