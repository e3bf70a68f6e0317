//! Floor 1: the opening handshake without I/O (RFC 6455, section 4), for both ends.
//!
//! The bytes of a head are collected and looked at once; what comes behind it stays with the caller.
//! Work is linear in the bytes received, and both bytes and headers are bounded.

mod client;
mod fault;
mod head;
mod key;
mod response;
mod server;
mod token;

pub use client::{ClientHandshake, ClientRequest};
pub use fault::{BuildError, RequestFault, ResponseFault};
pub use head::Answer;
pub use response::Response;
pub use server::{Request, ServerHandshake};
