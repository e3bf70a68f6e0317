//! Floor 1, below the protocol: permessage-deflate (RFC 7692), which compresses each message. Feature
//! `deflate`.
//!
//! A [`Deflate`] in the [`Config`](crate::Config) enables compression, and sets what is offered, accepted
//! and used; it is off by default. This module contains the negotiation ([`Deflate::offer`],
//! [`accept`](Deflate::accept), [`confirm`](Deflate::confirm)) and the two directions of the codec
//! ([`Deflaters`], [`Inflater`]), without I/O. zlib-rs inflates all messages, and compresses those above
//! 10 KiB; an encoder of this library compresses the others. A minor version may change the interface of the
//! codec.
//!
//! # Memory
//!
//! Compressors and inflaters belong to the thread: up to 0.3 MiB for each window size in use, and 0.3 MiB for
//! messages of up to 10 KiB, whatever the number of connections. A connection only stores the [`Window`] of
//! each direction with context takeover, from its first message on: the last bytes sent or received, at most:
//!
//! | window bits | sending with takeover | receiving with takeover | after `drop_send_window` |
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
//! An active connection has both windows, and 88 bytes besides (48 on 32-bit targets). `drop_send_window`
//! frees the sending window, on request or after [`Deflate::drop_window_after`]. The receiving window stays,
//! because the peer may still refer to it.
//!
//! An incomplete message is kept compressed until 32 KiB of it have arrived. From then on it is inflated as
//! it arrives. Until it ends, the connection has an inflater of its own, 48 KiB, and the message inflated so
//! far.
//!
//! A shared compressor must first be primed with the window of the connection: at most 12 KiB plus the
//! length of the message. With many connections, this costs less than loading compressors of their own (200
//! KiB and more each) into the processor's cache again.
//!
//! # Short messages
//!
//! zlib clears a hash table of 128 KiB for each message, which takes longer than compressing 512 bytes. So
//! messages of up to 10 KiB are compressed by an encoder that clears nothing: an entry of its table is a
//! position in all messages so far, and is ignored if it is before the current one. Below level 7, it also
//! hashes only every second position of a window, except for the last 2 KiB. Over text, code, binary records
//! and JSON of 128 B to 10 KiB, messages at level 5 are on average 1 to 9% shorter than those of zlib-rs,
//! depending on the window. A single message may be longer: by up to 10 bytes at 128 B, 50 bytes at 8 KiB.
//!
//! # Laws
//!
//! 1. Inflating is bounded by [`Limits::message`](crate::Limits::message) while it happens: at most one byte
//!    over the limit is written. At most 32 KiB of an unfinished message are kept compressed.
//! 2. A message that was sent uncompressed is not added to the window.
//! 3. No message refers to a message of another connection.
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
mod inflater;
mod offer;
mod policy;
mod short;
mod window;

pub use deflater::Deflaters;
pub use inflater::{InflateError, Inflater};
pub use offer::{Answer, Context, DeflateParams, InvalidAnswer, NAME};
pub use policy::{Deflate, WindowBits};
pub use window::Window;

#[cfg(test)]
mod tests;
