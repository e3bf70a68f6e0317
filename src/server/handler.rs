//! What a program implements.
#![forbid(unsafe_code)]

use super::failure::Failure;
use super::hub::Hub;
use super::peer::{NewPeer, Peer};
use crate::handshake::{Request, Response};
use crate::protocol::{Chunk, CloseFrame, Closed, Message};
use crate::stream::OpeningError;
use std::any::Any;
use std::io;

/// A program on a [`Server`](super::Server) or on [`Connections`](super::Connections).
///
/// Only [`message`](Self::message) must be implemented. The methods are called on the thread of the event
/// loop, one after the other: what takes long belongs on another thread, which answers through a
/// [`Handle`](super::Handle).
///
/// For each connection that is open, [`opened`](Self::opened) is called once, then the others, and
/// [`closed`](Self::closed) once at the end.
///
/// A method that returns an error ends its connection; see [`Failure`]. If a method panics on a `Server`, the
/// connection is closed with 1011, and the server continues.
///
/// ```
/// use websocket_stream::server::{Answer, Failure, Handler, NewPeer, Peer};
/// use websocket_stream::{Closed, Message, Request, Response};
///
/// /// Members of a room receive what any of them sends.
/// struct Chat;
///
/// #[derive(Default)]
/// struct Member {
///     room: String,
/// }
///
/// impl Handler for Chat {
///     type Session = Member;
///
///     fn open(&mut self, _: &mut NewPeer<'_>, member: &mut Member, request: &Request<'_>) -> Answer {
///         member.room = request.path().to_owned();
///         Response::accept().subprotocol(request.select_subprotocol(&["chat"])).into()
///     }
///
///     fn opened(&mut self, peer: &mut Peer<'_>, member: &mut Member) -> Result<(), Failure> {
///         peer.subscribe(&member.room);
///         Ok(())
///     }
///
///     fn message(
///         &mut self,
///         peer: &mut Peer<'_>,
///         member: &mut Member,
///         message: Message<'_>,
///     ) -> Result<(), Failure> {
///         peer.publish(&member.room, message);
///         Ok(())
///     }
/// }
/// ```
pub trait Handler {
    /// What the server keeps for each connection, from its opening handshake to its end.
    type Session: Default;

    /// Decides about a request for a WebSocket. The default accepts it.
    ///
    /// Called only if the page that sent the request is allowed by [`ServerConfig::origin`]; other requests
    /// are refused with 403.
    ///
    /// [`ServerConfig::origin`]: super::ServerConfig::origin
    fn open(&mut self, peer: &mut NewPeer<'_>, session: &mut Self::Session, request: &Request<'_>) -> Answer {
        let _ = (peer, session, request);
        Response::accept().into()
    }

    /// Answers a request in plain HTTP, such as a health check. The default is status 426.
    ///
    /// The connection ends after the answer. The body of a request is not read.
    fn http(&mut self, peer: &mut NewPeer<'_>, request: &Request<'_>) -> Answer {
        let _ = (peer, request);
        Response::new(426).into()
    }

    /// Reports an opening handshake that has failed: faulty, too late, or ended by the client. The default
    /// ignores it.
    ///
    /// Not called for a request that was refused, also because of its origin or by a shutdown, or that was
    /// answered with a page; nor for a connection without a request that a shutdown drops.
    fn not_opened(&mut self, peer: &mut NewPeer<'_>, error: &OpeningError) {
        let _ = (peer, error);
    }

    /// Reports that the system could not accept connections, probably because descriptors have run out. The
    /// default ignores it.
    ///
    /// Called about once a second, and in between when connections have ended. The waiting connections are
    /// accepted when there is room.
    fn cannot_accept(&mut self, error: &io::Error) {
        let _ = error;
    }

    /// Handles a new connection, before its first message.
    ///
    /// # Errors
    ///
    /// See [`Failure`].
    fn opened(&mut self, peer: &mut Peer<'_>, session: &mut Self::Session) -> Result<(), Failure> {
        let _ = (peer, session);
        Ok(())
    }

    /// Handles a connection that another HTTP stack has opened, before its first message; see
    /// [`Handle::adopt`](super::Handle::adopt). `value` is what was given with it.
    ///
    /// The default ignores the value, and calls [`opened`](Self::opened).
    ///
    /// # Errors
    ///
    /// See [`Failure`].
    fn adopted(
        &mut self,
        peer: &mut Peer<'_>,
        session: &mut Self::Session,
        value: Box<dyn Any + Send>,
    ) -> Result<(), Failure> {
        let _ = value;
        self.opened(peer, session)
    }

    /// Handles a message.
    ///
    /// # Errors
    ///
    /// See [`Failure`].
    fn message(
        &mut self,
        peer: &mut Peer<'_>,
        session: &mut Self::Session,
        message: Message<'_>,
    ) -> Result<(), Failure>;

    /// Handles a part of a message. Only with [`Config::streaming`](crate::Config::streaming), in place of
    /// whole messages.
    ///
    /// # Errors
    ///
    /// See [`Failure`].
    fn chunk(
        &mut self,
        peer: &mut Peer<'_>,
        session: &mut Self::Session,
        chunk: Chunk<'_>,
    ) -> Result<(), Failure> {
        let _ = (peer, session, chunk);
        Ok(())
    }

    /// Handles a pong, solicited or not, for example to measure a round trip.
    ///
    /// Pings are answered automatically, and need no method.
    ///
    /// # Errors
    ///
    /// See [`Failure`].
    fn pong(
        &mut self,
        peer: &mut Peer<'_>,
        session: &mut Self::Session,
        payload: &[u8],
    ) -> Result<(), Failure> {
        let _ = (peer, session, payload);
        Ok(())
    }

    /// Handles what another thread, or another connection, has for this one; see
    /// [`Handle::notify`](super::Handle::notify). The default ignores it.
    ///
    /// For the result of slow work, such as a query of a database: it can change the session, subscribe the
    /// peer, and reply.
    ///
    /// ```
    /// use std::any::Any;
    /// use websocket_stream::server::{Failure, Handler, Id, Peer};
    /// use websocket_stream::{Message, testing::TestServer};
    ///
    /// struct Login {
    ///     /// To the thread that asks the database. It calls `Handle::notify` with a `User`.
    ///     queries: std::sync::mpsc::Sender<(Id, String)>,
    /// }
    ///
    /// struct User(String);
    ///
    /// impl Handler for Login {
    ///     type Session = Option<User>;
    ///
    ///     fn message(
    ///         &mut self,
    ///         peer: &mut Peer<'_>,
    ///         user: &mut Option<User>,
    ///         message: Message<'_>,
    ///     ) -> Result<(), Failure> {
    ///         match (user, message) {
    ///             (Some(User(name)), _) => peer.send(&format!("you are {name}"))?,
    ///             (None, Message::Text(token)) => self.queries.send((peer.id(), token.to_owned()))?,
    ///             (None, Message::Binary(_)) => {}
    ///         }
    ///         Ok(())
    ///     }
    ///
    ///     fn notified(
    ///         &mut self,
    ///         peer: &mut Peer<'_>,
    ///         user: &mut Option<User>,
    ///         value: Box<dyn Any + Send>,
    ///     ) -> Result<(), Failure> {
    ///         *user = value.downcast().ok().map(|user| *user);
    ///         peer.subscribe("members");
    ///         Ok(())
    ///     }
    /// }
    ///
    /// let (queries, asked) = std::sync::mpsc::channel();
    /// let mut server = TestServer::new(Login { queries });
    /// let client = server.connect("/")?;
    /// server.send(client, "token")?;
    /// server.run()?; // the message reaches the handler
    /// let (id, _token) = asked.recv()?;
    /// server.hub().notify(id, User("Ann".into())); // in a program, `Handle::notify`
    /// server.run()?;
    /// server.send(client, "who am I?")?;
    /// assert_eq!(server.receive(client)?, Some(Message::Text("you are Ann")));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// See [`Failure`].
    fn notified(
        &mut self,
        peer: &mut Peer<'_>,
        session: &mut Self::Session,
        value: Box<dyn Any + Send>,
    ) -> Result<(), Failure> {
        let _ = (peer, session, value);
        Ok(())
    }

    /// Called when a peer has taken all bytes after some were unsent: continue to send what was too much.
    ///
    /// `missed` is the number of published messages that were dropped meanwhile; see
    /// [`SlowPeer::Drop`](super::SlowPeer::Drop).
    ///
    /// # Errors
    ///
    /// See [`Failure`].
    fn drained(
        &mut self,
        peer: &mut Peer<'_>,
        session: &mut Self::Session,
        missed: u64,
    ) -> Result<(), Failure> {
        let _ = (peer, session, missed);
        Ok(())
    }

    /// Does what depends on time, such as publishing at an interval, or closing the connections of users who
    /// do nothing. Called on each thread at the interval of [`ServerConfig::tick`], and never if there is
    /// none. The default does nothing.
    ///
    /// [`Hub::now`] returns the time. If the thread was busy for several intervals, the call is made once.
    ///
    /// ```
    /// use std::collections::HashMap;
    /// use std::time::Duration;
    /// use websocket_stream::server::{Failure, Handler, Hub, Id, Peer, ServerConfig};
    /// use websocket_stream::testing::TestServer;
    /// use websocket_stream::{CloseCode, Closed, Message};
    ///
    /// /// When each user has last sent a message.
    /// #[derive(Default)]
    /// struct Active(HashMap<Id, Duration>);
    ///
    /// impl Handler for Active {
    ///     type Session = ();
    ///
    ///     fn opened(&mut self, peer: &mut Peer<'_>, _: &mut ()) -> Result<(), Failure> {
    ///         self.0.insert(peer.id(), peer.hub().now());
    ///         Ok(())
    ///     }
    ///
    ///     fn message(&mut self, peer: &mut Peer<'_>, _: &mut (), _: Message<'_>) -> Result<(), Failure> {
    ///         self.0.insert(peer.id(), peer.hub().now());
    ///         Ok(())
    ///     }
    ///
    ///     fn closed(&mut self, peer: &mut Peer<'_>, _: &mut (), _: Closed) {
    ///         self.0.remove(&peer.id());
    ///     }
    ///
    ///     fn tick(&mut self, hub: &mut Hub) {
    ///         let now = hub.now();
    ///         for (id, active) in &self.0 {
    ///             if now - *active > Duration::from_secs(60) {
    ///                 hub.close(*id, CloseCode::NORMAL, "you did nothing for a minute");
    ///             }
    ///         }
    ///     }
    /// }
    ///
    /// let config = ServerConfig::default().tick(Duration::from_secs(10));
    /// let mut server = TestServer::with_config(Active::default(), config);
    /// let user = server.connect("/")?;
    /// server.advance(Duration::from_secs(60))?;
    /// assert!(server.closed(user)?.is_none());
    /// server.advance(Duration::from_secs(20))?;
    /// assert!(server.closed(user)?.is_some_and(|end| end.is_clean()));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// [`Hub::now`]: super::Hub::now
    /// [`ServerConfig::tick`]: super::ServerConfig::tick
    fn tick(&mut self, hub: &mut Hub) {
        let _ = hub;
    }

    /// Handles the Close frame with which the peer begins to close, or answers. It is answered already.
    ///
    /// # Errors
    ///
    /// See [`Failure`].
    fn close(
        &mut self,
        peer: &mut Peer<'_>,
        session: &mut Self::Session,
        frame: CloseFrame<'_>,
    ) -> Result<(), Failure> {
        let _ = (peer, session, frame);
        Ok(())
    }

    /// Handles the end of a connection. The peer is still subscribed to its topics, but receives nothing.
    fn closed(&mut self, peer: &mut Peer<'_>, session: &mut Self::Session, end: Closed) {
        let _ = (peer, session, end);
    }

    /// Reports the error with which another method ended its connection. The default ignores it.
    ///
    /// Not called for a [`Failure::close`], nor if a reply was refused because the connection was closing.
    fn failed(&mut self, peer: &mut Peer<'_>, session: &mut Self::Session, failure: &Failure) {
        let _ = (peer, session, failure);
    }
}

/// The answer to a request, now or later.
///
/// ```
/// use websocket_stream::server::{Answer, Id, NewPeer};
/// use websocket_stream::{Request, Response};
///
/// /// From `Handler::open`: `waiting` are the requests that a database decides about.
/// fn open(peer: &mut NewPeer<'_>, request: &Request<'_>, waiting: &mut Vec<Id>) -> Answer {
///     if request.header("Cookie").is_none() {
///         return Response::new(401).into(); // now
///     }
///     waiting.push(peer.id());
///     Answer::Later
/// }
/// # let _ = open;
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub enum Answer {
    /// Answers now.
    Now(Response),
    /// Answers later, with [`Hub::answer`](super::Hub::answer) or [`Handle::answer`](super::Handle::answer).
    ///
    /// The client waits until then, or until [`Timeouts::opening`](crate::Timeouts::opening) has passed. What
    /// is sent to its id before [`Handler::opened`] is lost.
    Later,
}

impl From<Response> for Answer {
    fn from(response: Response) -> Self {
        Self::Now(response)
    }
}
