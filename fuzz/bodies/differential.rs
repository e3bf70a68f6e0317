//! Any bytes, to us and to tungstenite, in both roles: equal messages, and equal results.
//!
//! The known differences; in each, this library is stricter or earlier:
//!
//! * tungstenite accepts a length in more bytes than necessary ("the minimal number of bytes MUST be used to
//!   encode the length", section 5.2). In a control frame, the first two bytes already show that such a
//!   length is too long.
//! * tungstenite reports a close code that must not be sent as a Close frame of the peer with 1002 (section
//!   7.4); here, it is a fault of the peer. tungstenite treats 1014 as such a code; here, it is "Bad Gateway"
//!   from the registry that the section establishes, and is delivered.
//! * A fault in a header, or at the first invalid byte of a text, is found here when the byte arrives, and by
//!   tungstenite when the whole frame has arrived: for tungstenite, an unfinished frame is not a fault yet.

use super::reference::Said;
use std::io::{self, Read, Write};
use tungstenite::error::{Error, ProtocolError};
use tungstenite::protocol::{Role as TheirRole, WebSocket, WebSocketConfig};
use websocket_stream::protocol::{Connection, Input, Output};
use websocket_stream::{Cause, Event, Fault, Limits, Message, Role};

pub(crate) fn body(bytes: &[u8]) {
    let Some((&first, stream)) = bytes.split_first() else { return };
    let (role, their_role) = match first & 1 {
        0 => (Role::Server, TheirRole::Server),
        _ => (Role::Client, TheirRole::Client),
    };
    let (ours, cause) = ours(role, stream);
    let (theirs, verdict) = theirs(their_role, stream);
    match (cause, verdict) {
        (Cause::Fault(Fault::LengthNotMinimal | Fault::ControlTooLong), _) => {
            assert!(theirs.starts_with(&ours));
        }
        (Cause::Handshake, Verdict::Closed) if matches!(ours.last(), Some(Said::Close(1014, _))) => {
            assert_eq!(ours[..ours.len() - 1], theirs[..theirs.len() - 1]);
            assert_eq!(theirs.last(), Some(&refused_close_code()));
        }
        (Cause::Handshake, Verdict::Closed)
        | (Cause::EndOfStream, Verdict::Unfinished)
        | (Cause::Fault(_), Verdict::Wrong) => assert_eq!(ours, theirs),
        (Cause::Fault(Fault::InvalidCloseCode), Verdict::Closed) => {
            assert_eq!(theirs.split_last(), Some((&refused_close_code(), &ours[..])));
        }
        (Cause::Fault(_), Verdict::Unfinished) => assert_eq!(ours, theirs),
        other => panic!("{other:?}: {ours:?}, {theirs:?}"),
    }
}

fn refused_close_code() -> Said {
    Said::Close(1002, "Protocol violation".into())
}

fn ours(role: Role, stream: &[u8]) -> (Vec<Said>, Cause) {
    let mut connection = Connection::new(role);
    let (mut input, mut output) = (Input::default(), Output::with_keys(Box::new(|| [1, 2, 3, 4])));
    input.extend(stream);
    input.end_of_stream();
    let mut said = Vec::new();
    loop {
        said.push(match connection.receive(&mut input, &mut output) {
            Some(Event::Message(Message::Text(text))) => Said::Text(text.into()),
            Some(Event::Message(Message::Binary(bytes))) => Said::Binary(bytes.into()),
            Some(Event::Ping(payload)) => Said::Ping(payload.into()),
            Some(Event::Pong(payload)) => Said::Pong(payload.into()),
            Some(Event::Close(frame)) => Said::Close(frame.code.get(), frame.reason.into()),
            Some(Event::Closed(end)) => return (said, end.cause),
            other => panic!("{other:?}"),
        });
    }
}

#[derive(Debug)]
enum Verdict {
    Closed,
    Unfinished,
    Wrong,
}

/// Returns the bytes, and accepts every answer.
struct Stream<'a>(&'a [u8]);

impl Read for Stream<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer)
    }
}

impl Write for Stream<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn theirs(role: TheirRole, stream: &[u8]) -> (Vec<Said>, Verdict) {
    let limits = Limits::DEFAULT;
    let config = WebSocketConfig::default()
        .max_frame_size(Some(limits.message))
        .max_message_size(Some(limits.message))
        .read_buffer_size(4096);
    let mut socket = WebSocket::from_raw_socket(Stream(stream), role, Some(config));
    let mut said = Vec::new();
    loop {
        said.push(match socket.read() {
            Ok(tungstenite::Message::Text(text)) => Said::Text(text.to_string()),
            Ok(tungstenite::Message::Binary(bytes)) => Said::Binary(bytes.to_vec()),
            Ok(tungstenite::Message::Ping(payload)) => Said::Ping(payload.to_vec()),
            Ok(tungstenite::Message::Pong(payload)) => Said::Pong(payload.to_vec()),
            Ok(tungstenite::Message::Close(frame)) => {
                said.push(match frame {
                    Some(frame) => Said::Close(frame.code.into(), frame.reason.to_string()),
                    None => Said::Close(1005, String::new()),
                });
                return (said, Verdict::Closed);
            }
            Err(Error::Protocol(ProtocolError::ResetWithoutClosingHandshake)) => {
                return (said, Verdict::Unfinished);
            }
            Ok(other) => panic!("{other:?}"),
            Err(_) => return (said, Verdict::Wrong),
        });
    }
}
