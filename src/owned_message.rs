//! A message and a Close frame that own their bytes, for code that cannot borrow them: a blocking client, and
//! tokio.
#![forbid(unsafe_code)]

use crate::frame::CloseCode;
use crate::protocol::{CloseFrame, Message};
#[doc(no_inline)]
pub use bytes::Bytes;
#[doc(no_inline)]
pub use bytestring::ByteString;
use std::borrow::Cow;
use std::fmt;

/// A message that owns its payload.
///
/// A clone shares the payload. A message is made from text or bytes of any kind; a `String`, a `Vec` and a
/// `Bytes` are not copied.
///
/// ```
/// use websocket_stream::OwnedMessage;
///
/// let text = OwnedMessage::from("Hello");
/// assert_eq!(text.as_text(), Some("Hello"));
/// assert_eq!(OwnedMessage::from(vec![1, 2, 3]).as_bytes(), [1, 2, 3]);
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum OwnedMessage {
    /// Text in UTF-8.
    Text(ByteString),
    /// Binary data.
    Binary(Bytes),
}

impl OwnedMessage {
    /// Returns the payload.
    pub fn as_bytes(&self) -> &[u8] {
        match self {
            Self::Text(text) => text.as_bytes(),
            Self::Binary(bytes) => bytes,
        }
    }

    /// Returns the payload, without a copy.
    pub fn into_bytes(self) -> Bytes {
        match self {
            Self::Text(text) => text.into_bytes(),
            Self::Binary(bytes) => bytes,
        }
    }

    /// Returns whether this is a text message.
    pub fn is_text(&self) -> bool {
        matches!(self, Self::Text(_))
    }

    /// Returns the text, if this is a text message.
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            Self::Binary(_) => None,
        }
    }
}

/// Copies the payload.
impl From<Message<'_>> for OwnedMessage {
    fn from(message: Message<'_>) -> Self {
        match message {
            Message::Text(text) => Self::Text(text.into()),
            Message::Binary(bytes) => Self::Binary(Bytes::copy_from_slice(bytes)),
        }
    }
}

impl<'a> From<&'a OwnedMessage> for Message<'a> {
    fn from(message: &'a OwnedMessage) -> Self {
        match message {
            OwnedMessage::Text(text) => Self::Text(text),
            OwnedMessage::Binary(bytes) => Self::Binary(bytes),
        }
    }
}

macro_rules! from {
    ($($payload:ty: $message:ident),+ $(,)?) => {$(
        impl From<$payload> for OwnedMessage {
            fn from(payload: $payload) -> Self {
                Self::$message(payload.into())
            }
        }
    )+};
}

from! {
    &str: Text,
    String: Text,
    Box<str>: Text,
    ByteString: Text,
    Vec<u8>: Binary,
    Box<[u8]>: Binary,
    Bytes: Binary,
}

/// Copies the bytes.
impl From<&[u8]> for OwnedMessage {
    fn from(bytes: &[u8]) -> Self {
        Self::Binary(Bytes::copy_from_slice(bytes))
    }
}

/// Copies the text.
impl From<&String> for OwnedMessage {
    fn from(text: &String) -> Self {
        Self::from(text.as_str())
    }
}

/// Copies the text if it is borrowed.
impl From<Cow<'_, str>> for OwnedMessage {
    fn from(text: Cow<'_, str>) -> Self {
        Self::from(text.into_owned())
    }
}

/// Copies the bytes.
impl From<&Vec<u8>> for OwnedMessage {
    fn from(bytes: &Vec<u8>) -> Self {
        Self::from(bytes.as_slice())
    }
}

/// Shares the payload.
impl From<&OwnedMessage> for OwnedMessage {
    fn from(message: &OwnedMessage) -> Self {
        message.clone()
    }
}

/// Copies the bytes.
impl<const N: usize> From<&[u8; N]> for OwnedMessage {
    fn from(bytes: &[u8; N]) -> Self {
        Self::from(bytes.as_slice())
    }
}

/// The contents of a Close frame that owns its reason (RFC 6455, section 5.5.1).
///
/// ```
/// use websocket_stream::{CloseCode, CloseFrame, OwnedCloseFrame};
///
/// let frame = OwnedCloseFrame::from(CloseFrame { code: CloseCode::GOING_AWAY, reason: "restart" });
/// assert_eq!((frame.code, frame.reason.as_str()), (CloseCode::GOING_AWAY, "restart"));
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct OwnedCloseFrame {
    /// The close code, or [`CloseCode::NO_STATUS`] if the frame was empty.
    pub code: CloseCode,
    /// The reason, for humans; often empty.
    pub reason: String,
}

/// Copies the reason.
impl From<CloseFrame<'_>> for OwnedCloseFrame {
    fn from(frame: CloseFrame<'_>) -> Self {
        Self { code: frame.code, reason: frame.reason.to_owned() }
    }
}

/// Prints a text, or the length of bytes.
impl fmt::Display for OwnedMessage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => f.write_str(text),
            Self::Binary(bytes) => write!(f, "({} bytes)", bytes.len()),
        }
    }
}
