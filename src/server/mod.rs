//! A WebSocket server: an event loop, rooms, threads; or the part of it that needs no poller.
//!
//! | you want | use |
//! | --- | --- |
//! | a server | [`Server`], with a [`Handler`] |
//! | the server's work in an event loop of your own | [`Connections`], with the same `Handler` |
//! | to reach the server from other threads | [`Handle`] |
//!
//! # A chat
//!
//! With rooms, the last messages for those who join, and a note to a member that was too slow.
//!
//! ```no_run
//! use std::collections::{HashMap, VecDeque};
//! use websocket_stream::server::{
//!     Answer, Failure, Handler, NewPeer, Peer, Server, ServerConfig, SlowPeer,
//! };
//! use websocket_stream::{CloseCode, Message, Request, Response};
//!
//! /// The last messages of each room.
//! #[derive(Default)]
//! struct Chat {
//!     rooms: HashMap<String, VecDeque<String>>,
//! }
//!
//! #[derive(Default)]
//! struct Member {
//!     room: String,
//!     name: String,
//! }
//!
//! impl Handler for Chat {
//!     type Session = Member;
//!
//!     fn open(&mut self, _: &mut NewPeer<'_>, member: &mut Member, request: &Request<'_>) -> Answer {
//!         let name = request.query_pairs().find(|(key, _)| key == "name");
//!         let Some((_, name)) = name.filter(|(_, name)| name.len() <= 32) else {
//!             return Response::new(400).body("a name is required").into();
//!         };
//!         (member.room, member.name) = (request.path().to_owned(), name.into_owned());
//!         Response::accept().into()
//!     }
//!
//!     fn opened(&mut self, peer: &mut Peer<'_>, member: &mut Member) -> Result<(), Failure> {
//!         for text in self.rooms.entry(member.room.clone()).or_default() {
//!             peer.send(text.as_str())?;
//!         }
//!         peer.subscribe(&member.room);
//!         Ok(())
//!     }
//!
//!     fn message(
//!         &mut self,
//!         peer: &mut Peer<'_>,
//!         member: &mut Member,
//!         message: Message<'_>,
//!     ) -> Result<(), Failure> {
//!         let Message::Text(text) = message else {
//!             return Err(Failure::close(CloseCode::UNSUPPORTED_DATA, "text only"));
//!         };
//!         let text = format!("{}: {text}", member.name);
//!         peer.publish(&member.room, text.as_str());
//!         let history = self.rooms.entry(member.room.clone()).or_default();
//!         history.push_back(text);
//!         if history.len() > 20 {
//!             history.pop_front();
//!         }
//!         Ok(())
//!     }
//!
//!     fn drained(&mut self, peer: &mut Peer<'_>, _: &mut Member, missed: u64) -> Result<(), Failure> {
//!         Ok(if missed > 0 { peer.send(&format!("(you missed {missed} messages)"))? })
//!     }
//! }
//!
//! fn main() -> std::io::Result<()> {
//!     let config = ServerConfig::default().slow_peer(SlowPeer::Drop { above: 256 << 10 });
//!     Server::bind("127.0.0.1:9002")?.config(config).run(Chat::default())
//! }
//! ```
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
//! handlers have sent to others. So whatever a round publishes reaches each member in one write: with N
//! speakers in a room, N writes and not N * N.
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
//! have published and sent to others: they are delivered early if that is more than 256 KiB after a call.
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
mod handle;
mod handler;
mod hub;
mod listener;
mod opening;
mod peer;
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
pub use handle::Handle;
pub use handler::{Answer, Failure, Handler, NewPeer};
pub use hub::Hub;
pub use peer::Peer;
pub use run::{Server, Threads};
pub use shutdown::Shutdown;
pub use slots::Id;
pub use table::Change;
