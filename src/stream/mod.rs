//! Floor 3: a [`Connection`](crate::protocol::Connection) on a transport.
//!
//! Between two calls, a [`WebSocketStream`] keeps only its state, and unread and unsent bytes if there are
//! any. The buffers belong to the thread's [`Scratch`], which is lent to one call at a time.
//!
//! ```text
//!             +------- CallGuard: borrows stream and scratch, cleans both up when dropped --+
//! transport --|-> Scratch.input   -> Connection -> handler(event, outgoing)                 |
//! transport <-|-- Scratch.output  <- Connection <-------------------/                       |
//!             |     ^ unread and unsent bytes v                                             |
//!             |     Backlog, allocated only if there are such bytes                         |
//!             +-----------------------------------------------------------------------------+
//! ```
//!
//! Each file imports only from files above it in this list:
//!
//! ```text
//! error, readiness         what a call returns
//! backlog, state           what a stream keeps between two calls
//! scratch                  what a thread lends to a call
//! outgoing, prepared       what a handler sends with
//! call/                    one call: the guard, receiving, sending, the loop around the handler
//! websocket                the public stream
//! compat, parts, opening/  read and write, taking a stream apart, opening handshakes
//! descriptor               the descriptors of streams and openings on sockets
//! ```

mod backlog;
mod call;
mod compat;
#[cfg(any(unix, windows))]
mod descriptor;
mod error;
mod opening;
mod outgoing;
mod parts;
mod prepared;
mod readiness;
mod scratch;
mod state;
mod websocket;

pub use error::{Error, ReadError, ReadResult, WriteError, WriteResult};
pub use opening::{
    Accepted, ClientOpening, NotOpen, OpeningError, OpeningParts, Progress, ServerOpening, Upgrade,
};
pub use outgoing::{Outgoing, Sent};
pub use parts::Parts;
pub use prepared::{Delivery, IfFull, PreparedMessage};
pub use readiness::{Ready, Wants};
#[cfg(feature = "tokio")]
pub(crate) use scratch::with_thread_scratch;
pub use scratch::{Scratch, Turn};
pub use websocket::WebSocketStream;
