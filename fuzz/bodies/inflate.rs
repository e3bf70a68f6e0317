//! Any bytes as a compressed message, with and without earlier ones, whole and in fragments: equal messages
//! or equal faults, never more bytes than the limit, and the output survives compressing and inflating again.

use std::sync::Arc;
use websocket_stream::deflate::{Context, Deflate, DeflateParams, WindowBits};
use websocket_stream::frame::Header;
use websocket_stream::protocol::{Connection, Event, Input, Output, Role, State};
use websocket_stream::{Config, Limits, Message, OpCode};

const LIMIT: usize = 64 << 10;

pub(crate) fn body(bytes: &[u8]) {
    let [choice, piece, rest @ ..] = bytes else { return };
    let bits = WindowBits::new(8 + (choice & 7)).expect("8 to 15");
    let context = Context::new(bits, choice & 8 != 0);
    let agreed = DeflateParams { server: context, client: context };
    let opcode = if choice & 16 == 0 { OpCode::Binary } else { OpCode::Text };
    // Two messages, the second of which may refer to the first.
    let (first, second) = rest.split_at(rest.len() * usize::from(choice >> 5) / 8);
    let whole = receive(agreed, opcode, &[first, second], usize::MAX);
    let pieces = receive(agreed, opcode, &[first, second], usize::from(*piece) + 1);
    assert_eq!(whole, pieces);

    let (mut from, mut to) = (end(Role::Server, agreed), end(Role::Client, agreed));
    let (mut output, mut input) = (output(), Input::default());
    for message in &whole.0 {
        assert!(message.len() <= LIMIT);
        from.send(Message::Binary(message), &mut output).expect("there is room");
        input.extend(output.as_bytes());
        output.consume(usize::MAX);
        let back = to.receive(&mut input, &mut self::output());
        assert_eq!(back, Some(Event::Message(Message::Binary(message))));
    }
}

fn end(role: Role, agreed: DeflateParams) -> Connection {
    let limits = Limits::default().message(LIMIT).frame(1 << 20);
    let deflate = Some(Deflate::default().threshold(0));
    let config = Arc::new(Config::default().limits(limits).deflate(deflate));
    Connection::with_config(role, config).with_deflate(agreed)
}

fn output() -> Output {
    Output::with_keys(Box::new(|| [1, 2, 3, 4]))
}

/// Returns the messages in these payloads, and the connection's state.
fn receive(agreed: DeflateParams, opcode: OpCode, payloads: &[&[u8]], piece: usize) -> (Vec<Vec<u8>>, State) {
    let mut connection = end(Role::Client, agreed);
    let (mut input, mut output) = (Input::default(), output());
    let mut messages = Vec::new();
    for payload in payloads {
        let pieces: Vec<&[u8]> = payload.chunks(piece).collect();
        let pieces = if pieces.is_empty() { vec![&[][..]] } else { pieces };
        for (index, bytes) in pieces.iter().enumerate() {
            let (opcode, rsv) = if index == 0 { (opcode, 4) } else { (OpCode::Continuation, 0) };
            let fin = index + 1 == pieces.len();
            let header = Header { fin, rsv, ..Header::new(opcode, bytes.len() as u64) };
            input.extend(&header.encode());
            input.extend(bytes);
        }
        while let Some(event) = connection.receive(&mut input, &mut output) {
            if let Event::Message(message) = event {
                messages.push(message.as_bytes().to_vec());
            }
        }
        assert!(connection.heap_bytes() <= 33 << 10, "{}", connection.heap_bytes());
    }
    (messages, connection.state())
}
