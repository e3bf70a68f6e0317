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
//! On mio, which is edge-triggered:
//!
//! ```no_run
//! use mio::net::{TcpListener, TcpStream};
//! use mio::{Events, Interest, Poll, Token};
//! use std::io::ErrorKind;
//! use std::time::Instant;
//! use websocket_stream::Ready;
//! use websocket_stream::server::{Connections, Handler, ServerConfig};
//!
//! const LISTENER: Token = Token(usize::MAX);
//!
//! fn serve<H: Handler>(mut handler: H) -> std::io::Result<()> {
//!     let (mut poll, mut events) = (Poll::new()?, Events::with_capacity(1024));
//!     let mut listener = TcpListener::bind("127.0.0.1:9001".parse().unwrap())?;
//!     poll.registry().register(&mut listener, LISTENER, Interest::READABLE)?;
//!     let mut connections = Connections::<TcpStream, _>::new(ServerConfig::default());
//!     let (start, mut now) = (Instant::now(), 0);
//!     loop {
//!         match poll.poll(&mut events, connections.timeout(now)) {
//!             Err(error) if error.kind() != ErrorKind::Interrupted => return Err(error),
//!             _ => {}
//!         }
//!         now = start.elapsed().as_millis() as u64;
//!         for event in &events {
//!             match event.token() {
//!                 // A real server also survives errors of `accept`, as `Server` does.
//!                 LISTENER => while let Ok((socket, address)) = listener.accept() {
//!                     let key = connections.insert(socket, Some(address.ip()), now)?;
//!                     let Some(socket) = connections.transport(key) else { continue };
//!                     let both = Interest::READABLE | Interest::WRITABLE;
//!                     poll.registry().register(socket, Token(key), both)?;
//!                 }
//!                 Token(key) => connections.ready(key, Ready::from(event), now, &mut handler),
//!             }
//!         }
//!         connections.turn(now, &mut handler);
//!     }
//! }
//! # let _ = serve::<Never>;
//! # struct Never;
//! # impl Handler for Never {
//! #     type Session = ();
//! #     fn message(
//! #         &mut self,
//! #         _: &mut websocket_stream::server::Peer<'_>,
//! #         _: &mut (),
//! #         _: websocket_stream::Message<'_>,
//! #     ) -> Result<(), websocket_stream::server::Failure> { Ok(()) }
//! # }
//! ```
//!
//! On `polling`, which reports a socket once until it is armed again:
//!
//! ```no_run
//! use polling::{Event, Events, Poller};
//! use std::net::{TcpListener, TcpStream};
//! use std::time::Instant;
//! use websocket_stream::{Ready, Wants};
//! use websocket_stream::server::{Change, Connections, Handler, ServerConfig};
//!
//! const LISTENER: usize = usize::MAX - 1;
//!
//! fn interest(key: usize, wants: Wants) -> Event {
//!     Event::new(key, wants.read, wants.write)
//! }
//!
//! fn serve<H: Handler>(mut handler: H) -> std::io::Result<()> {
//!     let (poller, mut events) = (Poller::new()?, Events::new());
//!     let listener = TcpListener::bind("127.0.0.1:9001")?;
//!     listener.set_nonblocking(true)?;
//!     // SAFETY: each socket is removed from the poller before it is dropped.
//!     unsafe { poller.add(&listener, Event::readable(LISTENER))? };
//!     let mut connections = Connections::<TcpStream, _>::new(ServerConfig::default()).track_wants();
//!     let (start, mut now) = (Instant::now(), 0);
//!     loop {
//!         events.clear();
//!         poller.wait(&mut events, connections.timeout(now))?;
//!         now = start.elapsed().as_millis() as u64;
//!         for event in events.iter() {
//!             if event.key == LISTENER {
//!                 while let Ok((socket, address)) = listener.accept() {
//!                     let key = connections.insert(socket, Some(address.ip()), now)?;
//!                     let Some(socket) = connections.transport(key) else { continue };
//!                     // SAFETY: as above.
//!                     unsafe { poller.add(&*socket, Event::readable(key))? };
//!                 }
//!                 poller.modify(&listener, Event::readable(LISTENER))?;
//!             } else {
//!                 let ready = Ready { readable: event.readable, writable: event.writable, closed: false };
//!                 connections.ready(event.key, ready, now, &mut handler);
//!                 if let (Some(wants), Some(socket)) =
//!                     (connections.wants(event.key), connections.transport(event.key))
//!                 {
//!                     poller.modify(&*socket, interest(event.key, wants))?;
//!                 }
//!             }
//!         }
//!         connections.turn(now, &mut handler);
//!         while let Some(change) = connections.next_change() {
//!             match change {
//!                 Change::Wants { key, wants } => if let Some(socket) = connections.transport(key) {
//!                     poller.modify(&*socket, interest(key, wants))?;
//!                 },
//!                 Change::Gone { transport, .. } => poller.delete(&transport)?,
//!             }
//!         }
//!     }
//! }
//! # let _ = serve::<Never>;
//! # struct Never;
//! # impl Handler for Never {
//! #     type Session = ();
//! #     fn message(
//! #         &mut self,
//! #         _: &mut websocket_stream::server::Peer<'_>,
//! #         _: &mut (),
//! #         _: websocket_stream::Message<'_>,
//! #     ) -> Result<(), websocket_stream::server::Failure> { Ok(()) }
//! # }
//! ```
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
