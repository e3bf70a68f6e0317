//! Non-blocking WebSockets (RFC 6455) for one thread that holds hundreds of thousands of them.
//!
//! The library forces no server model on its user: no runtime, no threads, no loop of its own. Wrap a
//! `TcpStream`, a `UnixStream` or anything that is a [`NonBlockingTransport`], wait with epoll, mio, poll
//! or io_uring, and call it when something is ready. An idle connection is at most 64 bytes, with no heap
//! behind it: the buffers are a [`Scratch`]'s, which belongs to the thread and is lent for the length of a
//! call.
//!
//! ```
//! use websocket_stream::handshake::{ClientRequest, Response};
//! use websocket_stream::transport::memory;
//! use websocket_stream::{ClientOpening, Event, Message, Progress, Ready, Scratch, ServerOpening};
//!
//! let (a, b) = memory::pair(4096); // two ends of a stream; a program has sockets here
//! let mut scratch = Scratch::new(); // one for each thread
//! let now = 0; // milliseconds, from the caller's clock
//!
//! // The opening handshake: one object on either side, advanced until it is done.
//! let mut client = ClientOpening::new(b, ClientRequest::new("localhost", "/echo"))?;
//! let mut server = ServerOpening::new(a)?;
//! assert!(matches!(client.advance(&mut scratch.at(now))?, Progress::Pending(_)));
//! if let Progress::Decide(request) = server.advance(&mut scratch.at(now))? {
//!     assert_eq!(request.path(), "/echo");
//!     server.answer(&Response::accept())?;
//! }
//! assert!(matches!(server.advance(&mut scratch.at(now))?, Progress::Open));
//! assert!(matches!(client.advance(&mut scratch.at(now))?, Progress::Open));
//! let (mut server, mut client) = (server.into_stream()?, client.into_stream()?);
//!
//! // Then `drive`, for each readiness: events come in, replies go out.
//! client.send(&mut scratch.at(now), "Hello")?;
//! let interest = server.drive(&mut scratch.at(now), Ready::READABLE, |event, out| match event {
//!     Event::Message(message) => out.send(message), // echoed while it is borrowed
//!     _ => Ok(()),
//! })?;
//! assert!(interest.readable && !interest.writable && !interest.again && !interest.over);
//! assert_eq!(client.read()?.1, b"Hello");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Where to look
//!
//! | to | see |
//! | --- | --- |
//! | accept or open a connection | [`ServerOpening`], [`ClientOpening`], [`handshake`] |
//! | receive and send on a socket | [`WebSocketStream`], [`Outgoing`], [`Ready`], [`Interest`] |
//! | receive uploads of any size | [`Config::in_parts`], [`Part`] |
//! | send one message to many | [`Prepared`] |
//! | bound memory, work and time | [`Limits`], [`Deadlines`], [`Config`], [`Wheel`] |
//! | know how it ended | [`End`], [`Fault`] |
//! | know what can be relied on | [`guarantees`] |
//! | compress | [`Config::deflate`], feature `deflate` |
//! | do without a socket | [`protocol::Connection`] |
//! | parse and mask frames | [`frame`] |
//! | bring a transport | [`transport`] |
//! | test a handler in memory | [`testing`] |
//! | find the original crate's names | [`util`] |
//!
//! # Floors
//!
//! ```text
//! 4  testing     both ends in memory
//! 3  stream      a connection on a transport; a thread's buffers; openings
//! 2  transport   the trait, its laws, sockets
//! 1  protocol    frames to messages and back     handshake     deflate
//! 0  frame       headers, masking, UTF-8         limits
//! ```
//!
//! Each imports only from below. Without the feature `std` floors 0 and 1 remain, as `no_std` with `alloc`.
#![cfg_attr(not(any(feature = "std", test)), no_std)]
#![cfg_attr(docsrs, feature(doc_cfg))]
// The front page and the guarantees tell of the upper floors, too, which are not there then.
#![cfg_attr(not(feature = "std"), allow(rustdoc::broken_intra_doc_links))]

extern crate alloc;

#[cfg(feature = "deflate")]
pub mod deflate;
pub mod frame;
pub mod guarantees;
pub mod handshake;
mod limits;
pub mod protocol;
#[cfg(feature = "std")]
pub mod stream;
#[cfg(feature = "std")]
pub mod testing;
#[cfg(feature = "std")]
pub mod transport;
#[cfg(feature = "std")]
pub mod util;
mod wheel;

pub use frame::{CloseCode, OpCode};
pub use limits::{Limits, PauseReading};
pub use protocol::{
    Cause, CloseFrame, Config, Deadline, Deadlines, End, Endpoint, Event, Fault, Message, Part, Role,
    SendError, Status, SystemError,
};
#[cfg(feature = "std")]
pub use stream::{
    ClientOpening, Delivery, Error, IfFull, Interest, NotOpen, OpeningError, Outgoing, Prepared, Progress,
    ReadError, ReadResult, Ready, Scratch, Sent, ServerOpening, Turn, WebSocketStream, WriteError,
    WriteResult,
};
#[cfg(feature = "std")]
pub use transport::NonBlockingTransport;
pub use wheel::Wheel;
