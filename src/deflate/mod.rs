//! Floor 1, below the protocol: messages compressed each by itself, permessage-deflate (RFC 7692).
//! Feature `deflate`.
//!
//! A [`Deflate`] in the [`Config`](crate::Config) switches it on, and says what is offered, accepted
//! and done; by default nothing is. This room is what lies below: the negotiation
//! ([`Deflate::offer`], [`accept`](Deflate::accept), [`confirm`](Deflate::confirm)) and the two
//! directions of the codec ([`Deflaters`], [`Inflater`]), without I/O. The compression itself is
//! zlib-rs's.
//!
//! # What it costs
//!
//! Compressors and decompressors belong to the thread: up to 0.3 MiB for each size of window in use,
//! whatever the number of connections. A connection owns only what it must remember, from the first message
//! on that makes it so: the last bytes of what it sent with takeover, and of what it received, as many as there were and
//! at most a window.
//!
//! | window bits | sending with takeover, at most | receiving with takeover, at most | parked |
//! | --- | --- | --- | --- |
//! | no takeover | 0 | 0 | 0 |
//! | 8, 9 | 512 B | 512 B | 512 B |
//! | 10 | 1 KiB | 1 KiB | 1 KiB |
//! | 11 | 2 KiB | 2 KiB | 2 KiB |
//! | 12 | 4 KiB | 4 KiB | 4 KiB |
//! | 13 | 8 KiB | 8 KiB | 8 KiB |
//! | 14 | 16 KiB | 16 KiB | 16 KiB |
//! | 15 | 32 KiB | 32 KiB | 32 KiB |
//!
//! Active, a connection has both windows, and 88 bytes beside them (48 on 32-bit targets). Parked, on request
//! or after [`Deflate::idle`], only the receiving one is left: the peer may still refer to it.
//!
//! A message of which 32 KiB have come, compressed, and which is not whole, is inflated as it comes: until
//! its end, the connection then has a decompressor of its own, 48 KiB, and what the message has become. Less
//! than that is kept as it came.
//!
//! So a compressor that was another connection's first looks through what a message may refer to:
//! of 32 KiB, at most 12 KiB and as much as the message is long. With many connections that costs less
//! than to have compressors of their own (200 KiB and more each) come back into the processor's cache.
//!
//! # Laws
//!
//! 1. What is inflated is bounded while it is inflated, by [`Limits::message`](crate::Limits::message):
//!    at most one byte more is made. What of an unfinished message is not inflated is at most a chunk, 32 KiB.
//! 2. A message that was not sent compressed leaves no trace in what later messages refer to.
//! 3. No message refers to one of another connection.
//!
//! ```
//! use websocket_stream::deflate::{Context, Deflaters, Inflater, WindowBits};
//! use websocket_stream::frame::utf8::MessageBuffer;
//!
//! let text = "so say we all, ".repeat(20);
//! let mut deflaters = Deflaters::new();
//! let context = Context::new(WindowBits::MAX, false);
//! let payload = deflaters.deflate(text.as_bytes(), context, 5).ok_or("it grew")?;
//! assert!(payload.len() < 30);
//!
//! let mut message = MessageBuffer::new(true, Vec::new());
//! Inflater::new().inflate(payload, None, 4096, &mut message)?;
//! assert_eq!(message.as_str(), Some(&text[..]));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
#![forbid(unsafe_code)]

mod deflater;
mod history;
mod inflater;
mod offer;
mod policy;

pub use deflater::Deflaters;
pub use history::History;
pub use inflater::{InflateError, Inflater};
pub use offer::{Agreed, Answer, Context, InvalidAnswer, NAME};
pub use policy::{Deflate, Takeover, WindowBits};

#[cfg(test)]
mod tests;
