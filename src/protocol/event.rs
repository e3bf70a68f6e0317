//! What a connection tells its user.
#![forbid(unsafe_code)]

use super::End;
use crate::frame::{CloseCode, OpCode};
use alloc::{string::String, vec::Vec};

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
