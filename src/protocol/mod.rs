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

mod close;
mod connection;
mod deflate;
mod error;
mod event;
mod input;
mod millis32;
mod output;
mod payload;
mod pool;
mod receive;
mod recv_buffer;
mod send;
mod timers;

pub use crate::config::{Config, Role};
pub use connection::{Connection, State};
pub use error::{Fault, SendError, SystemError};
pub use event::{Cause, Chunk, CloseFrame, Closed, Event, Initiator, Message, Timeout};
pub use input::Input;
pub use output::{MaskKeys, Output};

pub(crate) use crate::config::SharedConfig;
pub(crate) use deflate::Standalone;
pub(crate) use millis32::Millis32;
pub(crate) use output::Pong;
pub(crate) use recv_buffer::RecvBuffer;
pub(crate) use send::FrameHead;
