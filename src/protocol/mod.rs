//! Floor 1: the WebSocket protocol without I/O (RFC 6455, sections 5 to 8).
//!
//! A [`Connection`] reads bytes from an [`Input`] and appends bytes to an [`Output`]. The caller owns both,
//! and supplies the time and the masking keys. See [`Connection`] for an example without a socket.
//!
//! ```text
//! bytes -> header -> check -> unmask in place -> (inflate) -> UTF-8 -> message -> event    (receive)
//! message -> (deflate) -> header -> mask -> gathered bytes                                 (send)
//! ```

// Only streams use some of these items, and without `std` there are no streams.
#![cfg_attr(not(feature = "std"), allow(dead_code, unused_imports))]

mod buffer;
mod close;
mod config;
mod connection;
mod deflate;
mod error;
mod event;
mod input;
mod millis;
mod output;
mod payload;
mod pool;
mod receive;
mod send;
mod timers;

pub use config::{Config, Deadlines, Role};
pub use connection::{Connection, Status};
pub use error::{Fault, SendError, SystemError};
pub use event::{Cause, CloseFrame, Deadline, End, Endpoint, Event, Message, Part};
pub use input::Input;
pub use output::{MaskKeys, Output};

pub(crate) use buffer::RecvBuffer as UnreadBytes;
pub(crate) use config::SharedConfig;
pub(crate) use millis::Stamp;
pub(crate) use output::Pong;
pub(crate) use send::Planned;
