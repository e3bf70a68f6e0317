//! Non-blocking WebSockets (RFC 6455) for one thread that serves hundreds of thousands of connections.
//!
//! The crate adds WebSockets to a program's own event loop: there is no runtime, no thread and no loop to
//! adopt. Wrap a `TcpStream`, a `UnixStream` or any other [`NonBlockingTransport`], wait with epoll, mio,
//! poll or io_uring, and call the stream when its socket is ready. An idle connection on a socket takes at
//! most 64 bytes (72 on Windows) and no heap memory: the buffers belong to the thread's [`Scratch`], which is
//! lent to one call at a time.
//!
//! Optional floors above the core add a server with rooms, a client by URL, TLS, tokio and axum.
//!
#![cfg_attr(
    all(doc, feature = "axum", feature = "client", feature = "server"),
    doc = "**[The guide](guide)** leads from the first server to many machines."
)]
#![cfg_attr(
    not(all(doc, feature = "axum", feature = "client", feature = "server")),
    doc = "The module `guide`, in the documentation of all features, leads from the first server to many machines."
)]
//!
//! # Which floor to use
//!
//! The crate is built in five floors, each of which uses only those below:
//!
//! ```text
//! 4  server      event loop, rooms, threads      client, tls, tokio, axum, testing
//! 3  stream      openings and connections on a transport, the thread's buffers
//! 2  transport   the trait, its laws, sockets
//! 1  protocol    messages to frames and back     handshake, deflate, limits, timeouts, wheel
//! 0  frame       headers, masking, UTF-8
//! ```
//!
//! | you have | use |
//! | --- | --- |
//! | nothing yet, and want a server | floor 4: the feature `server`, and its `server::Server` |
//! | a socket and an event loop | floor 3: [`ServerOpening`] or [`ClientOpening`], then [`WebSocketStream`] |
//! | a request that hyper or another HTTP stack has parsed | floor 3: [`Upgrade`] |
//! | a URL | floor 4: the feature `client`, or `wss` with TLS, and its `client::Connector` |
//! | TLS | floor 4: the feature `rustls`, and its `tls::TlsStream` as the transport |
//! | a runtime of tokio's | floor 4: the feature `tokio`, and its `tokio::accept` or `tokio::connect` |
//! | an app in axum | floor 4: the feature `axum`, and its `axum::WebSocketUpgrade` |
//! | another byte stream | floor 2: implement [`NonBlockingTransport`], then use floor 3 |
//! | bytes without a stream: io_uring, HTTP/2, a fuzzer | floor 1: [`handshake`], [`protocol::Connection`] |
//! | frames to parse or mask | floor 0: [`frame`] |
//! | a handler to test | floor 4: [`testing`] |
//!
//! Without the feature `std`, only floors 0 and 1 exist, as `no_std` with `alloc`. Sockets are supported on
//! Unix and Windows; elsewhere, any other byte stream can be a transport.
//!
//! # Example
//!
//! An echo server and its client, in memory. `examples/unix_pair.rs` uses sockets with `read` and `write`.
//! `examples/echo_server` is a complete server.
//!
//! ```
//! use websocket_stream::transport::testing::memory;
//! use websocket_stream::{
//!     ClientOpening, ClientRequest, Event, Progress, Ready, Response, Scratch, ServerOpening,
//! };
//!
//! let (a, b) = memory::pair(4096); // both ends of a stream; in a program, sockets
//! let mut scratch = Scratch::new(); // one per thread
//! let now = 0; // milliseconds, from the caller's monotonic clock
//!
//! // The opening handshake: each end advances its opening until the connection is open.
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
//! // From now on, `drive` whenever the socket is ready: it receives, calls the handler and sends.
//! client.send(&mut scratch.at(now), "Hello")?;
//! let wants = server.drive(&mut scratch.at(now), Ready::READABLE, |event, out| match event {
//!     Event::Message(message) => out.send(message), // echoed while it is borrowed
//!     _ => Ok(()),                                  // pings and Close frames are answered already
//! })?;
//! // What to wait for until the next call.
//! assert!(wants.read && !wants.write && !wants.again && !wants.closed);
//! assert_eq!(client.read()?.1, b"Hello");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Where to look
//!
//! | to | see |
//! | --- | --- |
//! | accept or open a connection | [`ServerOpening`], [`ClientOpening`], [`OriginPolicy`] |
//! | receive and send | [`WebSocketStream::drive`], [`Outgoing`] |
//! | wait in an event loop | [`Ready`], [`Wants`], [`Wheel`] |
//! | receive messages of any size | [`Config::streaming`], [`Chunk`] |
//! | send one message to many peers | [`PreparedMessage`] |
//! | compress | feature `deflate`, `Config::deflate` |
//! | bound memory, work and time | [`Config`], [`Limits`], [`Timeouts`] |
//! | find out how a connection ended | [`Closed`], [`Fault`] |
//! | receive or send one message per call | [`WebSocketStream::read`], [`WebSocketStream::write`], [`util`] |
//! | know what the crate guarantees | [`guarantees`] |
#![cfg_attr(not(any(feature = "std", test)), no_std)]
#![cfg_attr(docsrs, feature(doc_cfg))]
// Without `std`, the links from this page and the guarantees to the upper floors are broken.
#![cfg_attr(not(feature = "std"), allow(rustdoc::broken_intra_doc_links))]

extern crate alloc;

#[cfg(feature = "axum")]
pub mod axum;
#[cfg(feature = "client")]
pub mod client;
mod config;
#[cfg(feature = "deflate")]
pub mod deflate;
pub mod frame;
pub mod guarantees;
#[cfg(all(any(doc, doctest), feature = "axum", feature = "client", feature = "server"))]
pub mod guide;
pub mod handshake;
#[cfg(any(feature = "client", feature = "tokio"))]
mod owned_message;
pub mod protocol;
#[cfg(feature = "server")]
pub mod server;
mod setters;
#[cfg(feature = "std")]
pub mod stream;
#[cfg(feature = "std")]
pub mod testing;
#[cfg(feature = "rustls")]
pub mod tls;
#[cfg(feature = "tokio")]
pub mod tokio;
#[cfg(feature = "std")]
pub mod transport;
#[cfg(feature = "std")]
pub mod util;
mod wheel;

pub use config::{Config, Limits, PauseReading, Role, Timeouts};
pub use frame::{CloseCode, OpCode};
pub use handshake::{ClientRequest, OriginPolicy, ParsedRequest, Request, Response};
#[cfg(any(feature = "client", feature = "tokio"))]
pub use owned_message::{ByteString, Bytes, OwnedCloseFrame, OwnedMessage};
pub use protocol::{
    Cause, Chunk, CloseFrame, Closed, Event, Fault, Initiator, Message, SendError, State, SystemError,
    Timeout,
};
#[cfg(feature = "std")]
pub use stream::{
    Accepted, ClientOpening, Delivery, Error, IfFull, NotOpen, OpeningError, Outgoing, PreparedMessage,
    Progress, ReadError, ReadResult, Ready, Scratch, Sent, ServerOpening, Turn, Upgrade, Wants,
    WebSocketStream, WriteError, WriteResult,
};
#[cfg(feature = "std")]
pub use transport::NonBlockingTransport;
pub use wheel::Wheel;
