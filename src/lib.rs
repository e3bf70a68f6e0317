//! Non-blocking WebSockets (RFC 6455) for one thread that holds hundreds of thousands of them.
#![cfg_attr(not(feature = "std"), no_std)]
#![cfg_attr(docsrs, feature(doc_cfg))]

extern crate alloc;

#[cfg(feature = "deflate")]
pub mod deflate;
pub mod frame;
pub mod handshake;
mod limits;
pub mod protocol;
#[cfg(feature = "std")]
pub mod stream;
#[cfg(feature = "std")]
pub mod transport;
#[cfg(feature = "std")]
pub mod util;
mod wheel;

pub use frame::{CloseCode, OpCode};
pub use limits::Limits;
pub use protocol::{
    Cause, CloseFrame, Config, Deadline, Deadlines, End, Endpoint, Event, Fault, Message, Role, SendError,
    Status,
};
#[cfg(feature = "std")]
pub use stream::{
    ClientOpening, Error, IfFull, Interest, OpeningError, Outgoing, Prepared, Progress, ReadError,
    ReadResult, Ready, Scratch, Sent, ServerOpening, Turn, WebSocketStream, WriteError, WriteResult,
};
#[cfg(feature = "std")]
pub use transport::NonBlockingTransport;
pub use wheel::Wheel;
