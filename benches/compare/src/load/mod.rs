//! The load: one thread on a core of its own, with no WebSocket library, the same for every server.

pub mod compressed;
pub mod echo;
pub mod frames;
mod handshake;
mod json;
pub mod open;
mod random;

use crate::compression::Compression;
pub use echo::Load;
pub use frames::{Batch, Shape};
pub use random::Random;
use std::io;
use std::rc::Rc;

/// One connection's part: what it sends, batch by batch, and what it makes of the replies.
pub trait Script {
    /// Takes up the next batch.
    fn next(&mut self);

    /// The batch, which is sent in one piece.
    fn request(&self) -> &[u8];

    /// Judges the next bytes of the reply; whether it is whole now.
    fn receive(&mut self, bytes: &[u8]) -> io::Result<bool>;

    /// The payload bytes of all replies so far; 0 where they are as long as what was sent.
    fn payload(&self) -> u64;
}

/// What is said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Messages {
    Plain(Shape),
    /// JSON of so many bytes, compressed in both directions.
    Json {
        bytes: usize,
        compression: Compression,
    },
}

impl Messages {
    pub fn compression(self) -> Compression {
        match self {
            Self::Plain(_) => Compression::Off,
            Self::Json { compression, .. } => compression,
        }
    }

    /// After so many batches a connection repeats itself.
    pub fn distinct(self) -> u64 {
        match self {
            Self::Plain(_) => 1,
            Self::Json { bytes, .. } => compressed::distinct(bytes) as u64,
        }
    }

    /// The scripts of connections, by their index, for a server that knows the protocol or, raw, sends
    /// back what it gets.
    pub fn scripts(self, in_flight: usize, raw: bool) -> Box<dyn Fn(usize) -> Box<dyn Script>> {
        match self {
            Self::Plain(shape) => Box::new(move |index| {
                let batch = Batch::new(shape, in_flight, index);
                Box::new(if raw { batch.raw() } else { batch })
            }),
            Self::Json { bytes, compression } => {
                let pool = Rc::new(compressed::Pool::new(bytes, compression));
                Box::new(move |index| Box::new(compressed::Conversation::new(&pool, in_flight, index)))
            }
        }
    }
}
