//! Floor 1: the WebSocket protocol without I/O (RFC 6455, sections 5 to 8).
//!
//! A [`Connection`] moves through the bytes of an [`Input`] and writes into an [`Output`]; both
//! belong to the caller. Time and masking keys come in as arguments. See [`Connection`] for a whole
//! conversation without a socket.
//!
//! ```text
//! bytes -> header -> check -> unmask in place -> (inflate) -> UTF-8 -> message -> event    (receive)
//! message -> (deflate) -> header -> mask -> gathered bytes                                 (send)
//! ```

mod check;
mod closing;
#[cfg(feature = "deflate")]
mod compression;
mod config;
mod connection;
#[cfg(feature = "deflate")]
mod contexts;
mod deadlines;
mod end;
mod error;
mod event;
mod fragments;
mod in_parts;
#[cfg(feature = "deflate")]
mod inflated_parts;
#[cfg(feature = "deflate")]
mod inflation;
mod input;
mod keys;
mod output;
mod receive;
mod send;
mod stamp;

pub use config::{Config, Deadlines, Role};
pub use connection::{Connection, Status};
pub use end::{Cause, Deadline, End, Endpoint, SystemError};
pub use error::{Fault, SendError};
pub use event::{CloseFrame, Event, Message, Part};
pub use input::Input;
pub use keys::MaskKeys;
pub use output::Output;

#[cfg(feature = "std")]
pub(crate) use {config::SharedConfig, input::UnreadBytes, output::Pong, send::Planned, stamp::Stamp};
