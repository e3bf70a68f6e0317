//! The opening handshake on a transport, for both ends.
//!
//! An opening is advanced by `&mut` until it is done, and never moves the transport away on its own. The
//! handshake itself is floor 1's; an opening only moves its bytes.
#![forbid(unsafe_code)]

mod client;
mod outcome;
mod server;
mod wire;

pub use client::ClientOpening;
pub use outcome::{NotOpen, OpeningError, OpeningParts, Progress};
pub use server::ServerOpening;
