//! What a connection reports: events, the last of which is its end.
#![forbid(unsafe_code)]

use super::{Fault, SystemError};
use crate::frame::{CloseCode, OpCode};
use alloc::{string::String, vec::Vec};
use core::fmt;

/// A whole message, or the payload of a [`Part`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Message<'a> {
    /// Text in UTF-8.
    Text(&'a str),
    /// Binary data.
    Binary(&'a [u8]),
}

impl<'a> Message<'a> {
    /// Returns the payload.
    #[inline]
    pub const fn as_bytes(&self) -> &'a [u8] {
        match self {
            Self::Text(text) => text.as_bytes(),
            Self::Binary(bytes) => bytes,
        }
    }

    /// Returns whether this is a text message.
    #[inline]
    pub const fn is_text(&self) -> bool {
        matches!(self, Self::Text(_))
    }

    /// Returns the text, if this is a text message.
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

    /// Returns [`OpCode::Text`] or [`OpCode::Binary`].
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

/// A part of a message, delivered as it arrives; see [`Config::in_parts`](super::Config::in_parts).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Part<'a> {
    kind: Kind<'a>,
}

/// No larger than a [`Message`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Kind<'a> {
    Text { text: &'a str, first: bool, last: bool },
    Binary { bytes: &'a [u8], first: bool, last: bool },
}

impl<'a> Part<'a> {
    /// Creates a part.
    pub const fn new(payload: Message<'a>, first: bool, last: bool) -> Self {
        Self {
            kind: match payload {
                Message::Text(text) => Kind::Text { text, first, last },
                Message::Binary(bytes) => Kind::Binary { bytes, first, last },
            },
        }
    }

    /// Returns the payload, which may be empty. Text is cut between characters.
    #[inline]
    pub const fn payload(&self) -> Message<'a> {
        match self.kind {
            Kind::Text { text, .. } => Message::Text(text),
            Kind::Binary { bytes, .. } => Message::Binary(bytes),
        }
    }

    /// Returns the bytes of the payload.
    #[inline]
    pub const fn as_bytes(&self) -> &'a [u8] {
        match self.kind {
            Kind::Text { text, .. } => text.as_bytes(),
            Kind::Binary { bytes, .. } => bytes,
        }
    }

    /// Returns whether this is the first part of its message.
    #[inline]
    pub const fn is_first(&self) -> bool {
        let (Kind::Text { first, .. } | Kind::Binary { first, .. }) = self.kind;
        first
    }

    /// Returns whether this is the last part of its message.
    #[inline]
    pub const fn is_last(&self) -> bool {
        let (Kind::Text { last, .. } | Kind::Binary { last, .. }) = self.kind;
        last
    }

    /// Returns the opcode for sending this part as a fragment (RFC 6455, section 5.4).
    ///
    /// The first part has the opcode of the message; further parts have [`OpCode::Continuation`]. So a
    /// message can be forwarded while it arrives:
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

/// The contents of a Close frame (RFC 6455, section 5.5.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct CloseFrame<'a> {
    /// The close code, or [`CloseCode::NO_STATUS`] if the frame was empty.
    pub code: CloseCode,
    /// The reason, for humans; often empty.
    pub reason: &'a str,
}

/// An event on a connection. Its bytes are borrowed from the caller's [`Input`](super::Input).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event<'a> {
    /// A whole message arrived.
    Message(Message<'a>),
    /// A ping arrived. Its pong is already queued, unless this end has sent a Close frame, after which
    /// nothing is sent.
    Ping(&'a [u8]),
    /// A pong arrived, solicited or not.
    Pong(&'a [u8]),
    /// The peer's Close frame arrived. This end's Close frame is already queued or sent.
    Close(CloseFrame<'a>),
    /// The connection has ended. This is the last event.
    End(End),
    /// A part of a message arrived. Only with [`Config::in_parts`](super::Config::in_parts), in place of
    /// whole messages.
    Part(Part<'a>),
}

/// The originator of an end: one of the two endpoints, or neither.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Endpoint {
    /// This end.
    Local,
    /// The peer.
    Peer,
    /// The system or the transport, whose error need not be the fault of either end.
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

/// The reason why a connection ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Cause {
    /// The closing handshake was completed (RFC 6455, section 7.1.4): a clean end.
    Handshake,
    /// The peer violated the protocol or exceeded a limit.
    Fault(Fault),
    /// The stream ended without a closing handshake.
    EndOfStream,
    /// A deadline passed.
    Deadline(Deadline),
    /// The system or the transport reported an error.
    System(SystemError),
}

/// How a connection ended; reported once, in [`Event::End`](super::Event::End).
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
/// assert_eq!(end.to_string(), "failed with 1002 (protocol error): reserved opcode");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct End {
    /// The close code.
    ///
    /// After a closing handshake, the code of the first Close frame; after a fault, the fault's code; after
    /// [`Deadline::Unsent`], 1008; otherwise [`CloseCode::ABNORMAL`]. A fault's code and 1008 are also sent
    /// to the peer, unless this end has already sent a Close frame.
    pub code: CloseCode,
    /// The originator of the end.
    pub by: Endpoint,
    /// The reason.
    pub cause: Cause,
}

impl End {
    /// Returns whether the closing handshake was completed.
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
            Cause::EndOfStream => f.write_str("end of stream without a closing handshake"),
            Cause::Deadline(Deadline::Silence) => f.write_str("timeout: no bytes received from the peer"),
            Cause::Deadline(Deadline::Close) => f.write_str("timeout: closing handshake not finished"),
            Cause::Deadline(Deadline::Unsent) => f.write_str("timeout: no bytes taken by the peer"),
            Cause::System(error) => write!(f, "transport error: {error}"),
        }
    }
}
