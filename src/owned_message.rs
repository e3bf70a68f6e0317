//! A message that owns its payload, for code that cannot borrow it: a blocking client, and tokio.
#![forbid(unsafe_code)]

use crate::protocol::Message;
use bytes::Bytes;
use bytestring::ByteString;
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

from! { &str: Text, String: Text, ByteString: Text, Vec<u8>: Binary, Bytes: Binary }

/// Copies the bytes.
impl From<&[u8]> for OwnedMessage {
    fn from(bytes: &[u8]) -> Self {
        Self::Binary(Bytes::copy_from_slice(bytes))
    }
}

/// Copies the bytes.
impl<const N: usize> From<&[u8; N]> for OwnedMessage {
    fn from(bytes: &[u8; N]) -> Self {
        Self::from(bytes.as_slice())
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
