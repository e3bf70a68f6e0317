//! A WebSocket server: an event loop, rooms, threads; or the part of it that needs no poller.
//!
//! | you want | use |
//! | --- | --- |
//! | a server | [`Server`], with a [`Handler`] |
//! | the server's work in an event loop of your own | [`Connections`], with the same `Handler` |
//! | to reach the server from other threads | [`Handle`] |
//!
//! ```
//! use websocket_stream::server::{Failure, Handler, Peer};
//! use websocket_stream::testing::TestServer;
//! use websocket_stream::Message;
//!
//! /// Everybody receives what anybody sends.
//! struct Room;
//!
//! impl Handler for Room {
//!     type Session = ();
//!
//!     fn opened(&mut self, peer: &mut Peer<'_>, _: &mut ()) -> Result<(), Failure> {
//!         peer.subscribe("room");
//!         Ok(())
//!     }
//!
//!     fn message(&mut self, peer: &mut Peer<'_>, _: &mut (), message: Message<'_>) -> Result<(), Failure> {
//!         peer.publish("room", message);
//!         Ok(())
//!     }
//! }
//!
//! // In a program: `Server::bind("127.0.0.1:9001")?.run(Room)`.
//! let mut server = TestServer::new(Room);
//! let (ann, ben) = (server.connect("/")?, server.connect("/")?);
//! server.send(ann, "hello")?;
//! assert_eq!(server.receive(ben)?, Some(Message::Text("hello")));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! The guide has a chat with a page: <https://docs.rs/websocket-stream/latest/websocket_stream/guide/rooms/>.
//!
//! # An event loop of your own
//!
//! [`Connections`] has an example. [The guide] has whole loops for mio, `polling` and epoll.
//!
//! [The guide]: https://docs.rs/websocket-stream/latest/websocket_stream/guide/event_loops/
//!
//! # Rounds
//!
//! An event loop works in rounds: it waits, calls each connection that is ready, and then delivers what
//! handlers have sent to others. So the small messages that a round publishes reach each member in one write:
//! with N speakers in a room, N writes and not N * N. A message of 4 KiB or more has a write of its own.
//!
//! # Order
//!
//! - What a handler sends to its own peer arrives in the order in which it was sent. Published messages
//!   follow, usually at the end of the round.
//! - For one receiver on the thread, messages that were published or sent through a [`Hub`] arrive in the
//!   order of these calls.
//! - Across threads, what one thread or [`Handle`] sends arrives in its order. Messages of different
//!   publishers can arrive at different members in a different order.
//! - A member receives what is published on its thread after it has subscribed. What it has not received when
//!   it unsubscribes, it does not receive.
//!
//! # Bounds
//!
//! Each connection has the bounds of its [`Config`](crate::Config). The number of connections is bounded by
//! the system's limit of descriptors only. A thread also keeps, until the end of a round, what the handlers
//! have published and sent to others: they are delivered early if that is more than 256 KiB after a call. All
//! answers of a round through [`Hub::answer`] or [`Handle::answer`] count as one call, with the messages that
//! their handlers publish on opening.
//! What threads send to each other is not bounded, and neither is what the closures of [`Handle::run`] own.
#![forbid(unsafe_code)]

mod adopt;
mod calls;
mod config;
mod connections;
mod counters;
mod delivery;
mod error;
mod event_loop;
mod failure;
mod handle;
mod handler;
mod hub;
mod listener;
mod mailbox;
mod opening;
mod peer;
mod posts;
mod proxy;
mod run;
mod secure;
mod shutdown;
mod slot;
mod slots;
mod socket;
mod table;
mod topics;

pub use config::{ServerConfig, SlowPeer};
pub use connections::Connections;
pub use counters::Counters;
pub use error::{HandleError, NotAdopted};
pub use failure::Failure;
pub use handle::Handle;
pub use handler::{Answer, Handler};
pub use hub::Hub;
pub use peer::{NewPeer, Peer};
pub use run::{Server, Threads};
pub use shutdown::Shutdown;
pub use slots::Id;
pub use table::Change;
