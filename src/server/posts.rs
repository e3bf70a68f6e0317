//! What waits for the end of a round: messages from one connection to others, and notes.
#![forbid(unsafe_code)]

use super::config::SlowPeer;
use super::shutdown::Shutdown;
use super::slots::Id;
use crate::frame::CloseCode;
use crate::handshake::Response;
use crate::protocol::Message;
use crate::stream::PreparedMessage;
use std::any::Any;
use std::collections::HashMap;
use std::sync::Arc;

/// The posts of a topic in this round.
#[derive(Default)]
pub(super) struct Published {
    pub(super) posts: Vec<usize>,
    /// The slots of members that subscribed after the first post, with the number of posts before that.
    pub(super) late: HashMap<usize, usize>,
}

/// Something to deliver at the end of the round.
pub(super) enum Post {
    /// To the members of the topic that `Hub::published` has it for, and to those on other threads.
    Publish {
        message: Payload,
        except: Option<Id>,
        slow_peer: SlowPeer,
        abroad: Option<Arc<str>>,
    },
    Send {
        to: Id,
        message: Payload,
    },
    Close {
        to: Id,
        code: CloseCode,
        reason: String,
    },
    /// For another thread; on its own thread, it is in `Hub::following`.
    Notify(Note),
    /// For another thread; on its own thread, it is in `Hub::answers`.
    Answer {
        to: Id,
        response: Response,
    },
    /// It was for another thread.
    Moved,
}

/// The bytes that a post takes besides its message.
const POST: usize = 128;

impl Post {
    /// Returns about how many bytes it takes.
    pub(super) fn bytes(&self) -> usize {
        let message = match self {
            Self::Publish { message, .. } | Self::Send { message, .. } => message.len(),
            Self::Close { reason, .. } => reason.len(),
            Self::Answer { response, .. } => response.content().len(),
            Self::Notify(_) | Self::Moved => 0,
        };
        POST + message
    }

    /// Returns the only receiver.
    pub(super) fn receiver(&self) -> Option<Id> {
        match self {
            Self::Send { to, .. } | Self::Close { to, .. } | Self::Answer { to, .. } => Some(*to),
            Self::Notify(note) => Some(note.to),
            Self::Publish { .. } | Self::Moved => None,
        }
    }
}

/// What one connection is notified of.
pub(super) struct Note {
    pub(super) to: Id,
    pub(super) value: Box<dyn Any + Send>,
}

/// A note, or what waits for the notes before it.
pub(super) enum Following {
    Note(Note),
    Publish {
        topic: Arc<str>,
        message: Payload,
        except: Option<Id>,
        slow_peer: SlowPeer,
        goes_abroad: bool,
        /// The slots of members that subscribed after it.
        late: Vec<usize>,
    },
    Post(Post),
}

impl Following {
    /// Returns about how many bytes it takes.
    pub(super) fn bytes(&self) -> usize {
        match self {
            Self::Note(_) => POST,
            Self::Publish { message, .. } => POST + message.len(),
            Self::Post(post) => post.bytes(),
        }
    }
}

/// Something for other threads.
pub(super) enum Abroad {
    /// For all other threads.
    Publish { topic: Arc<str>, message: PreparedMessage, slow_peer: SlowPeer },
    /// For the thread of the id.
    Post(Id, Post),
    /// For all other threads.
    Shutdown(Shutdown),
}

/// A message that is kept until the end of the round.
pub(super) enum Payload {
    Text(String),
    Binary(Vec<u8>),
    Prepared(PreparedMessage),
}

impl Payload {
    pub(super) fn len(&self) -> usize {
        match self {
            Self::Text(text) => text.len(),
            Self::Binary(bytes) => bytes.len(),
            Self::Prepared(message) => message.payload().len(),
        }
    }

    pub(super) fn message(&self) -> Message<'_> {
        match self {
            Self::Text(text) => Message::Text(text),
            Self::Binary(bytes) => Message::Binary(bytes),
            Self::Prepared(message) => message.message(),
        }
    }
}

impl From<Message<'_>> for Payload {
    fn from(message: Message<'_>) -> Self {
        match message {
            Message::Text(text) => Self::Text(text.to_owned()),
            Message::Binary(bytes) => Self::Binary(bytes.to_vec()),
        }
    }
}
