//! The messages, each a JSON object in a text message.
//!
//! From a member:
//!
//! ```text
//! {"type":"say","text":"Hello"}    says something to the room
//! {"type":"typing"}                reports that the member is typing
//! ```
//!
//! To a member:
//!
//! ```text
//! {"type":"welcome","name":"Ann","link":true}
//!     the first message: the member's name as it was accepted, and whether the link to other servers is
//!     up; null if there are none
//! {"type":"message","id":"f3-1","name":"Ann","text":"Hello","time":1750000000000}
//!     someone has said something; also, after the welcome, the room's last messages
//! {"type":"typing","id":"f3-2","name":"Ann"}
//!     another member is typing
//! {"type":"note","text":"(you missed 3 messages)"}
//!     a note from the server
//! {"type":"link","up":false}
//!     the link to other servers is lost, or is back
//! ```
//!
//! `time` is in milliseconds since 1970. In rare cases, after a failure of the link, a message is delivered
//! twice, with one `id`.

use serde_json::{Value, json};
use std::borrow::Cow;
use websocket_stream::Message;

/// The longest name in characters.
const NAME: usize = 32;

/// The longest id in bytes.
const ID: usize = 64;

/// The longest message from another server in bytes: what a member may send, and the rest of the object.
const SHARED: usize = 128 << 10;

/// A message from a member.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum FromMember {
    Say(String),
    Typing,
}

impl FromMember {
    /// Returns `None` if it is not a message of this protocol.
    pub(crate) fn parse(message: Message<'_>) -> Option<Self> {
        let Message::Text(text) = message else { return None };
        let mut value: Value = serde_json::from_str(text).ok()?;
        match value["type"].as_str()? {
            "say" => match value["text"].take() {
                Value::String(text) => Some(Self::Say(text)),
                _ => None,
            },
            "typing" => Some(Self::Typing),
            _ => None,
        }
    }
}

/// What one server sends to the others, and to the members of a room.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Shared {
    Message { id: String, name: String, text: String, time: u64 },
    Typing { id: String, name: String },
}

impl Shared {
    /// Parses what another server has sent. Returns `None` if it is not of this protocol.
    pub(crate) fn parse(bytes: &[u8]) -> Option<Self> {
        if bytes.len() > SHARED {
            return None;
        }
        let value: Value = serde_json::from_slice(bytes).ok()?;
        let text = |key: &str| value[key].as_str().map(str::to_owned);
        let id = text("id").filter(|id| id.len() <= ID)?;
        let name = accepted_name(&text("name")?).into_owned();
        match value["type"].as_str()? {
            "message" => Some(Self::Message { id, name, text: text("text")?, time: value["time"].as_u64()? }),
            "typing" => Some(Self::Typing { id, name }),
            _ => None,
        }
    }

    pub(crate) fn id(&self) -> &str {
        let (Self::Message { id, .. } | Self::Typing { id, .. }) = self;
        id
    }

    pub(crate) fn to_json(&self) -> String {
        match self {
            Self::Message { id, name, text, time } => {
                json!({"type": "message", "id": id, "name": name, "text": text, "time": time})
            }
            Self::Typing { id, name } => json!({"type": "typing", "id": id, "name": name}),
        }
        .to_string()
    }
}

pub(crate) fn welcome(name: &str, link: Option<bool>) -> String {
    json!({"type": "welcome", "name": name, "link": link}).to_string()
}

pub(crate) fn note(text: &str) -> String {
    json!({"type": "note", "text": text}).to_string()
}

pub(crate) fn link(is_up: bool) -> String {
    json!({"type": "link", "up": is_up}).to_string()
}

/// Returns a name that can be shown: bounded, and without control characters.
pub(crate) fn accepted_name(name: &str) -> Cow<'_, str> {
    let is_plain = |c: &char| {
        !c.is_control()
            && !matches!(c, '\u{200e}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    let name: String = name.trim().chars().filter(is_plain).take(NAME).collect();
    if name.is_empty() { Cow::Borrowed("guest") } else { Cow::Owned(name) }
}
