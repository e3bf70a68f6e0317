//! The load generator: one thread on its own core, without a WebSocket library, identical for every server.

pub mod compressed;
pub mod echo;
pub mod frames;
mod handshake;
mod json;
pub mod link;
pub mod open;
mod random;

use crate::compression::Compression;
pub use echo::Load;
pub use frames::{Batch, MIXED, Payload, Shape};
pub use json::Content;
pub use random::Random;
use std::io;
use std::rc::Rc;

/// One connection's part: its requests, batch by batch, and the check of the replies.
pub trait Script {
    /// Selects the next batch.
    fn next(&mut self);

    /// Returns the batch, which is sent at once.
    fn request(&self) -> &[u8];

    /// Checks the next bytes of the reply. Returns whether the reply is complete.
    fn receive(&mut self, bytes: &[u8]) -> io::Result<bool>;

    /// Returns the payload bytes of all replies so far, or 0 if they are as long as the requests.
    fn payload(&self) -> u64;
}

/// The kind of messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Messages {
    Plain(Shape),
    /// JSON of this length, compressed in both directions.
    Json {
        content: Content,
        bytes: usize,
        compression: Compression,
    },
}

impl Messages {
    /// Returns these messages with another compression.
    pub fn with(self, compression: Compression) -> Self {
        match self {
            Self::Plain(_) => self,
            Self::Json { content, bytes, .. } => Self::Json { content, bytes, compression },
        }
    }

    pub fn compression(self) -> Compression {
        match self {
            Self::Plain(_) => Compression::Off,
            Self::Json { compression, .. } => compression,
        }
    }

    /// Returns the number of batches after which a connection repeats itself.
    pub fn distinct(self) -> u64 {
        match self {
            Self::Plain(_) => 1,
            Self::Json { bytes, .. } => compressed::distinct(bytes) as u64,
        }
    }

    /// Returns the scripts of connections, by their index, for a server with the protocol, or a raw one that
    /// echoes its input.
    pub fn scripts(self, in_flight: usize, raw: bool) -> Box<dyn Fn(usize) -> Box<dyn Script>> {
        match self {
            Self::Plain(shape) => Box::new(move |index| {
                let batch = Batch::new(shape, in_flight, index);
                Box::new(if raw { batch.raw() } else { batch })
            }),
            Self::Json { content, bytes, compression } => {
                let pool = Rc::new(compressed::Pool::new(content, bytes, compression));
                Box::new(move |index| Box::new(compressed::Conversation::new(&pool, in_flight, index)))
            }
        }
    }
}
