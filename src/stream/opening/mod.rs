//! The opening handshake on a transport, for both ends.
//!
//! `advance` continues an opening until it is open or has failed. The opening owns the transport until the
//! caller takes the stream or the parts. The handshake itself is on floor 1; an opening only moves its bytes.
//! If another HTTP stack moves the bytes, an [`Upgrade`] takes the place of the opening.
#![forbid(unsafe_code)]

mod client;
mod deflate;
mod outcome;
mod server;
mod upgrade;
mod wire;

pub use client::ClientOpening;
pub use outcome::{NotOpen, OpeningError, OpeningParts, Progress};
pub use server::ServerOpening;
pub use upgrade::{Accepted, Upgrade};
