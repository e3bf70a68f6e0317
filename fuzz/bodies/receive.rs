//! Any bytes, in both roles, under limits and in pieces drawn from the input: what is heard, answered
//! and judged is what a naive reading of RFC 6455 says, wherever the bytes are cut; and nothing is
//! held when nothing is unfinished.

use super::reference::{Rules, Said, Stop, read};
use std::sync::Arc;
use websocket_stream::protocol::{Connection, Event, Input, Output, Role};
use websocket_stream::{Cause, CloseCode, Config, Limits, Message};

pub(crate) fn body(bytes: &[u8]) {
    let Some((&[first, small, large, fragments], stream)) = bytes.split_first_chunk() else { return };
    let role = if first & 1 == 0 { Role::Server } else { Role::Client };
    let limits = match first & 2 {
        0 => Limits::default(),
        _ => Limits {
            frame: u64::from(small) * 8,
            message: usize::from(large) * 16,
            fragments: u32::from(fragments % 16) + 1,
            ..Limits::default()
        },
    };
    let rules = Rules {
        from_client: role == Role::Server,
        frame: limits.frame,
        message: limits.message as u64,
        fragments: limits.fragments,
    };
    let config = Arc::new(Config { limits, ..Config::default() });

    let heard = hear(role, &config, [stream]);
    heard.check(stream, rules);
    // Two sizes in turn, one of them often a single byte.
    let sizes = [usize::from(first >> 4) + 1, usize::from(small) + 1];
    let mut rest = stream;
    let mut turn = 0;
    let pieces = std::iter::from_fn(|| {
        turn ^= 1;
        let (piece, behind) = rest.split_at(sizes[turn].min(rest.len()));
        rest = behind;
        (!piece.is_empty()).then_some(piece)
    });
    assert_eq!(heard, hear(role, &config, pieces));
}

/// What came of a stream.
#[derive(Debug, PartialEq)]
struct Heard {
    said: Vec<Said>,
    answered: Vec<u8>,
    code: CloseCode,
    cause: Cause,
}

fn hear<'a>(role: Role, config: &Arc<Config>, pieces: impl IntoIterator<Item = &'a [u8]>) -> Heard {
    let mut connection = Connection::with_config(role, Arc::clone(config));
    let mut input = Input::default();
    let mut output = Output::with_keys(Box::new(|| [1, 2, 3, 4]));
    let mut said = Vec::new();
    for piece in pieces {
        input.extend(piece);
        while let Some(event) = connection.receive(&mut input, &mut output) {
            said.push(match event {
                Event::Message(Message::Text(text)) => {
                    assert!(std::str::from_utf8(text.as_bytes()).is_ok());
                    Said::Text(text.into())
                }
                Event::Message(Message::Binary(bytes)) => Said::Binary(bytes.into()),
                Event::Ping(payload) => Said::Ping(payload.into()),
                Event::Pong(payload) => Said::Pong(payload.into()),
                Event::Close(frame) => Said::Close(frame.code.get(), frame.reason.into()),
                other => panic!("{other:?}"),
            });
        }
        assert!(input.unread().is_empty());
        assert!(connection.is_receiving() || connection.held() == 0);
        assert!(connection.held() < 64 << 10);
    }
    input.end_of_stream();
    let end = match connection.receive(&mut input, &mut output) {
        Some(Event::End(end)) => end,
        other => panic!("{other:?}"),
    };
    assert_eq!(connection.receive(&mut input, &mut output), None);
    Heard { said, answered: output.as_bytes().to_vec(), code: end.code, cause: end.cause }
}

impl Heard {
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
                answers.push(Said::Close(self.code.get(), String::new()));
                assert!(matches!(said.last(), Some(Said::Close(code, _)) if *code == self.code.get()));
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
        let (answered, _) = read(&self.answered, Rules::without_limits(!rules.from_client));
        assert_eq!(answered, answers);
    }
}
