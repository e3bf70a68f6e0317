//! Any bytes, in both roles, under limits, whole or delivered in chunks, and in pieces drawn from the input.
//! Events, answers and result equal those of a naive reading of RFC 6455, with and without compression,
//! wherever the bytes are cut; and only a window remains when nothing is unfinished. Compressed messages
//! longer than a chunk are checked before they are whole.

use super::reference::{CHUNK, Compression, Rules, Said, Stop, Together, read};
use std::sync::Arc;
use websocket_stream::protocol::{Connection, Event, Input, Output, Role};
use websocket_stream::{Cause, CloseCode, Config, Limits, Message};

pub(crate) fn body(bytes: &[u8]) {
    let Some((&[first, small, large, fragments], stream)) = bytes.split_first_chunk() else { return };
    let role = if first & 1 == 0 { Role::Server } else { Role::Client };
    let limits = match first & 2 {
        0 => Limits::default(),
        _ => Limits::default()
            .frame(u64::from(small) * 8)
            .message(usize::from(large) * 16)
            .fragments(u32::from(fragments % 16) + 1),
    };
    let streaming = fragments & 0x80 != 0;
    let rules = Rules {
        from_client: role == Role::Server,
        frame: limits.frame,
        message: limits.message as u64,
        fragments: limits.fragments,
        compression: (cfg!(feature = "deflate") && first & 4 != 0).then(|| Compression {
            window: (first & 8 != 0).then_some(8 + (fragments >> 4) % 8),
            chunk: if streaming { 0 } else { CHUNK },
        }),
    };
    let config = Arc::new(Config::default().limits(limits).streaming(streaming));
    let end = || {
        let connection = Connection::with_config(role, Arc::clone(&config));
        match rules.compression {
            None => connection,
            Some(compression) => agreed(connection, compression),
        }
    };

    let received = receive_all(end(), rules, [stream]);
    received.check(stream, rules);
    // Two alternating sizes, one of which is often a single byte.
    let sizes = [usize::from(first >> 4) + 1, usize::from(small) + 1];
    let mut rest = stream;
    let mut turn = 0;
    let pieces = std::iter::from_fn(|| {
        turn ^= 1;
        let (piece, behind) = rest.split_at(sizes[turn].min(rest.len()));
        rest = behind;
        (!piece.is_empty()).then_some(piece)
    });
    assert_eq!(received, receive_all(end(), rules, pieces));
}

/// The result of reading a stream.
#[derive(Debug, PartialEq)]
struct Received {
    said: Vec<Said>,
    answered: Vec<u8>,
    code: CloseCode,
    cause: Cause,
}

#[cfg(feature = "deflate")]
fn agreed(connection: Connection, Compression { window, .. }: Compression) -> Connection {
    use websocket_stream::deflate::{Context, DeflateParams, WindowBits};
    let bits = WindowBits::new(window.unwrap_or(15)).expect("8 to 15");
    let context = Context::new(bits, window.is_some());
    connection.with_deflate(DeflateParams { server: context, client: context })
}

#[cfg(not(feature = "deflate"))]
fn agreed(connection: Connection, _: Compression) -> Connection {
    connection
}

fn receive_all<'a>(
    mut connection: Connection,
    rules: Rules,
    pieces: impl IntoIterator<Item = &'a [u8]>,
) -> Received {
    let mut input = Input::default();
    let mut output = Output::with_keys(Box::new(|| [1, 2, 3, 4]));
    let mut said = Vec::new();
    let mut together = Together::default();
    let keeps_window = rules.compression.is_some_and(|compression| compression.window.is_some());
    let window = if keeps_window { 33 << 10 } else { 0 };
    // Compressed input has become at most one message; in chunks, there are an inflater and a window.
    let unfinished = match rules.compression {
        Some(_) if connection.config().streaming => (48 + 32 + 1) << 10,
        None if connection.config().streaming => 1 << 10,
        Some(_) => usize::try_from(rules.message).expect("it was one") + (64 << 10),
        None => 64 << 10,
    };
    for piece in pieces {
        input.extend(piece);
        while let Some(event) = connection.receive(&mut input, &mut output) {
            said.push(match event {
                Event::Message(Message::Text(text)) => {
                    assert!(std::str::from_utf8(text.as_bytes()).is_ok());
                    Said::Text(text.into())
                }
                Event::Message(Message::Binary(bytes)) => Said::Binary(bytes.into()),
                Event::Chunk(chunk) => match together.add(chunk) {
                    Some(message) => message,
                    None => continue,
                },
                Event::Ping(payload) => Said::Ping(payload.into()),
                Event::Pong(payload) => Said::Pong(payload.into()),
                Event::Close(frame) => Said::Close(frame.code.get(), frame.reason.into()),
                other => panic!("{other:?}"),
            });
        }
        assert!(input.unread().is_empty());
        assert!(connection.is_receiving() || connection.heap_bytes() <= window);
        assert!(connection.heap_bytes() < window + unfinished);
    }
    input.end_of_stream();
    let end = match connection.receive(&mut input, &mut output) {
        Some(Event::Closed(end)) => end,
        other => panic!("{other:?}"),
    };
    assert_eq!(connection.receive(&mut input, &mut output), None);
    Received { said, answered: output.as_bytes().to_vec(), code: end.code, cause: end.cause }
}

impl Received {
    fn check(&self, stream: &[u8], rules: Rules) {
        let (said, stop) = read(stream, rules);
        assert_eq!(self.said, said);
        let mut answers: Vec<Said> = Vec::new();
        answers.extend(said.iter().filter_map(|said| match said {
            Said::Ping(payload) => Some(Said::Pong(payload.clone())),
            _ => None,
        }));
        match (self.cause, stop) {
            (Cause::Handshake, Stop::Closed) => {
                let close = said.last().expect("the Close frame");
                assert!(matches!(close, Said::Close(code, _) if *code == self.code.get()));
                // The answer repeats the code and reason.
                answers.push(close.clone());
            }
            (Cause::Fault(fault), Stop::Wrong(_) | Stop::More { in_header: true }) => {
                let code = fault.close_code().get();
                assert!(
                    stop == Stop::Wrong(code) || stop == Stop::More { in_header: true },
                    "{fault}, {stop:?}"
                );
                assert_eq!(self.code.get(), code);
                answers.push(Said::Close(code, String::new()));
            }
            (Cause::EndOfStream, Stop::More { .. }) => assert_eq!(self.code, CloseCode::ABNORMAL),
            (cause, stop) => panic!("{cause:?}, but {stop:?}"),
        }
        let (answered, _) = read(&self.answered, Rules::without_limits(!rules.from_client, None));
        assert_eq!(answered, answers);
    }
}
