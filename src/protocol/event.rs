//! What a connection reports: events, and its end as the last one.
#![forbid(unsafe_code)]

use super::{Fault, SystemError};
use crate::frame::{CloseCode, OpCode};
use alloc::{string::String, vec::Vec};
use core::fmt;

/// A whole message; or the payload of a [`Part`] of one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Message<'a> {
    /// Text, which is UTF-8.
    Text(&'a str),
    /// Bytes.
    Binary(&'a [u8]),
}

impl<'a> Message<'a> {
    /// The payload.
    #[inline]
    pub const fn as_bytes(&self) -> &'a [u8] {
        match self {
            Self::Text(text) => text.as_bytes(),
            Self::Binary(bytes) => bytes,
        }
    }

    /// Whether it is a text message.
    #[inline]
    pub const fn is_text(&self) -> bool {
        matches!(self, Self::Text(_))
    }

    /// The text, where it is a text message.
    ///
    /// ```
    /// use websocket_stream::Message;
    ///
    /// assert_eq!(Message::Text("Hello").as_text(), Some("Hello"));
    /// assert_eq!(Message::Binary(b"Hello").as_text(), None);
    /// ```
    #[inline]
    pub const fn as_text(&self) -> Option<&'a str> {
        match self {
            Self::Text(text) => Some(text),
            Self::Binary(_) => None,
        }
    }

    /// [`OpCode::Text`] or [`OpCode::Binary`].
    #[inline]
    pub const fn opcode(&self) -> OpCode {
        match self {
            Self::Text(_) => OpCode::Text,
            Self::Binary(_) => OpCode::Binary,
        }
    }
}

impl<'a> From<&'a str> for Message<'a> {
    fn from(text: &'a str) -> Self {
        Self::Text(text)
    }
}

impl<'a> From<&'a [u8]> for Message<'a> {
    fn from(bytes: &'a [u8]) -> Self {
        Self::Binary(bytes)
    }
}

impl<'a, const N: usize> From<&'a [u8; N]> for Message<'a> {
    fn from(bytes: &'a [u8; N]) -> Self {
        Self::Binary(bytes)
    }
}

impl<'a> From<&'a Vec<u8>> for Message<'a> {
    fn from(bytes: &'a Vec<u8>) -> Self {
        Self::Binary(bytes)
    }
}

impl<'a> From<&'a String> for Message<'a> {
    fn from(text: &'a String) -> Self {
        Self::Text(text)
    }
}

/// A part of a message that is told as it comes: see [`Config::in_parts`](super::Config::in_parts).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Part<'a> {
    kind: Kind<'a>,
}

/// In as few bytes as a [`Message`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Kind<'a> {
    Text { text: &'a str, first: bool, last: bool },
    Binary { bytes: &'a [u8], first: bool, last: bool },
}

impl<'a> Part<'a> {
    /// A part with this payload.
    pub const fn new(payload: Message<'a>, first: bool, last: bool) -> Self {
        Self {
            kind: match payload {
                Message::Text(text) => Kind::Text { text, first, last },
                Message::Binary(bytes) => Kind::Binary { bytes, first, last },
            },
        }
    }

    /// Its bytes; of a text, whole characters. It may be empty.
    #[inline]
    pub const fn payload(&self) -> Message<'a> {
        match self.kind {
            Kind::Text { text, .. } => Message::Text(text),
            Kind::Binary { bytes, .. } => Message::Binary(bytes),
        }
    }

    /// The payload's bytes.
    #[inline]
    pub const fn as_bytes(&self) -> &'a [u8] {
        match self.kind {
            Kind::Text { text, .. } => text.as_bytes(),
            Kind::Binary { bytes, .. } => bytes,
        }
    }

    /// Whether it is the first one of its message.
    #[inline]
    pub const fn is_first(&self) -> bool {
        let (Kind::Text { first, .. } | Kind::Binary { first, .. }) = self.kind;
        first
    }

    /// Whether it is the last one of its message.
    #[inline]
    pub const fn is_last(&self) -> bool {
        let (Kind::Text { last, .. } | Kind::Binary { last, .. }) = self.kind;
        last
    }

    /// The opcode that it has as a fragment (RFC 6455, section 5.4): the message's where it is the first
    /// one, or [`OpCode::Continuation`]. So a message goes on to another peer, or back, while it comes:
    ///
    /// ```
    /// use websocket_stream::{Event, Outgoing, SendError};
    ///
    /// fn echo(event: Event<'_>, out: &mut Outgoing<'_>) -> Result<(), SendError> {
    ///     match event {
    ///         Event::Part(part) => out.send_fragment(part.opcode(), part.as_bytes(), part.is_last()),
    ///         _ => Ok(()),
    ///     }
    /// }
    /// # let _ = echo;
    /// ```
    #[inline]
    pub const fn opcode(&self) -> OpCode {
        if self.is_first() { self.payload().opcode() } else { OpCode::Continuation }
    }
}

/// What a Close frame says (RFC 6455, section 5.5.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct CloseFrame<'a> {
    /// The close code; [`CloseCode::NO_STATUS`] where the frame was empty.
    pub code: CloseCode,
    /// The reason, for people; often empty.
    pub reason: &'a str,
}

/// What happened on a connection. Its bytes are lent from the caller's [`Input`](super::Input).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event<'a> {
    /// A whole message arrived.
    Message(Message<'a>),
    /// A ping arrived. Its pong is already on its way, unless this end has sent its Close frame, behind
    /// which nothing goes out.
    Ping(&'a [u8]),
    /// A pong arrived, asked for or not.
    Pong(&'a [u8]),
    /// The peer's Close frame arrived. It is already answered.
    Close(CloseFrame<'a>),
    /// The connection has ended. Told once; nothing follows.
    End(End),
    /// A part of a message arrived. Instead of whole messages, where
    /// [`Config::in_parts`](super::Config::in_parts) is on; else never.
    Part(Part<'a>),
}

/// Who did something: one of the two ends of a connection, or neither.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Endpoint {
    /// This one.
    Local,
    /// The other one.
    Peer,
    /// The system between them, or the transport: what it reported need be the fault of neither.
    Neither,
}

/// A deadline that passed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Deadline {
    /// [`Deadlines::silence`](super::Deadlines::silence).
    Silence,
    /// [`Deadlines::close`](super::Deadlines::close).
    Close,
    /// [`Deadlines::unsent`](super::Deadlines::unsent).
    Unsent,
}

/// Why a connection ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Cause {
    /// The closing handshake was made (RFC 6455, section 7.1.4): a clean end.
    Handshake,
    /// The peer broke the protocol or passed a limit.
    Fault(Fault),
    /// The stream ended without a closing handshake.
    EndOfStream,
    /// A deadline passed.
    Deadline(Deadline),
    /// The system, or the transport, reported an error.
    System(SystemError),
}

/// How a connection ended: told once, as [`Event::End`](super::Event::End).
///
/// ```
/// use websocket_stream::protocol::{Connection, Input, Output, Role};
/// use websocket_stream::{Cause, CloseCode, End, Endpoint, Event, Fault};
///
/// let mut connection = Connection::new(Role::Server);
/// let (mut input, mut output) = (Input::default(), Output::new());
/// input.extend(b"\x83\x80\0\0\0\0"); // an opcode that does not exist
/// input.end_of_stream();
/// let Some(Event::End(end)) = connection.receive(&mut input, &mut output) else { panic!() };
/// let cause = Cause::Fault(Fault::ReservedOpcode);
/// assert_eq!(end, End { code: CloseCode::PROTOCOL_ERROR, by: Endpoint::Local, cause });
/// assert!(!end.is_clean());
/// assert_eq!(end.to_string(), "failed with 1002 (protocol error): the peer used a reserved opcode");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct End {
    /// The close code: the one of the Close frame that began the closing handshake, that of the peer's
    /// fault or slowness, or [`CloseCode::ABNORMAL`] where there was none. The peer is told of its fault
    /// unless this end had sent its Close frame before.
    pub code: CloseCode,
    /// Who began it.
    pub by: Endpoint,
    /// Why.
    pub cause: Cause,
}

impl End {
    /// Whether the closing handshake was made.
    #[inline]
    pub const fn is_clean(&self) -> bool {
        matches!(self.cause, Cause::Handshake)
    }

    pub(crate) const fn abnormal(by: Endpoint, cause: Cause) -> Self {
        Self { code: CloseCode::ABNORMAL, by, cause }
    }
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let by = match self.by {
            Endpoint::Local => "this end",
            Endpoint::Peer => "the peer",
            Endpoint::Neither => "neither end",
        };
        match self.cause {
            Cause::Handshake => write!(f, "closed by {by} with {}", self.code),
            Cause::Fault(fault) => write!(f, "failed with {}: {fault}", self.code),
            Cause::EndOfStream => f.write_str("the stream ended without a closing handshake"),
            Cause::Deadline(Deadline::Silence) => f.write_str("the peer was silent for too long"),
            Cause::Deadline(Deadline::Close) => f.write_str("the closing handshake took too long"),
            Cause::Deadline(Deadline::Unsent) => f.write_str("the peer took nothing for too long"),
            Cause::System(error) => write!(f, "the transport failed: {error}"),
        }
    }
}
