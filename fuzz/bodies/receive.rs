//! Any bytes, in both roles, whole and in pieces drawn from the input: the same events, the same
//! answers, the same end; nothing is held when nothing is unfinished.

use std::sync::Arc;
use websocket_stream::protocol::{Connection, Event, Input, Output, Role, Status};
use websocket_stream::{Config, Limits, Message};

pub(crate) fn body(bytes: &[u8]) {
    let Some((&first, stream)) = bytes.split_first() else { return };
    let role = if first & 1 == 0 { Role::Server } else { Role::Client };
    let piece = usize::from(first >> 1) + 1;
    let whole = run(role, &[stream]);
    let pieces: Vec<&[u8]> = stream.chunks(piece).collect();
    assert_eq!(whole, run(role, &pieces));
}

/// The events as text, the bytes that were answered, and what became of the connection.
fn run(role: Role, pieces: &[&[u8]]) -> (Vec<String>, Vec<u8>, Status) {
    let limits = Limits { message: 4096, frame: 2048, fragments: 16, ..Limits::default() };
    let config = Arc::new(Config { limits, ..Config::default() });
    let mut connection = Connection::with_config(role, config);
    let mut input = Input::default();
    let mut output = Output::with_keys(Box::new(|| [1, 2, 3, 4]));
    let mut events = Vec::new();
    for piece in pieces {
        input.extend(piece);
        while let Some(event) = connection.receive(&mut input, &mut output) {
            if let Event::Message(Message::Text(text)) = event {
                assert!(std::str::from_utf8(text.as_bytes()).is_ok());
            }
            events.push(format!("{event:?}"));
        }
        assert!(input.unread().is_empty());
        assert!(connection.is_receiving() || connection.held() == 0);
        assert!(connection.held() < 64 << 10);
    }
    input.end_of_stream();
    let end = connection.receive(&mut input, &mut output);
    assert!(matches!(end, Some(Event::End(_))), "{end:?}");
    assert_eq!(connection.receive(&mut input, &mut output), None);
    (events, output.as_bytes().to_vec(), connection.status())
}
