//! Floor 3: a [`Connection`](crate::protocol::Connection) on a transport.
//!
//! [`WebSocketStream`] keeps between two calls only what it must; the buffers are a [`Scratch`]'s,
//! which belongs to the thread and is lent for the length of a call.
//!
//! ```text
//!            +--------------------- Call: borrows all of it, stows on every way out ----+
//! transport -|-> Scratch.input  -> Connection -> handler(event, outgoing)               |
//! transport <-|-- Scratch.output <- Connection <-------------------/                    |
//!            |      ^ unread, unsent v                                                  |
//!            |      Spill, only while there is something to keep                        |
//!            +--------------------------------------------------------------------------+
//! ```

mod asking;
mod call;
mod course;
#[cfg(unix)]
mod descriptor;
mod driving;
mod ending;
mod error;
mod opening;
mod original;
mod outgoing;
mod parts;
mod prepared;
mod readiness;
mod receiving;
mod scratch;
mod sending;
mod spill;
mod terms;
mod transport_state;
mod websocket;

pub use error::{Error, ReadError, ReadResult, WriteError, WriteResult};
pub use opening::{ClientOpening, NotOpen, OpeningError, OpeningParts, Progress, ServerOpening};
pub use outgoing::Outgoing;
pub use parts::Parts;
pub use prepared::{IfFull, Prepared};
pub use readiness::{Interest, Ready};
pub use scratch::{Scratch, Turn};
pub use websocket::{Sent, WebSocketStream};
