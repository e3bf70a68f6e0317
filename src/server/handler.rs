//! What a program implements: the trait, and what its methods return.
#![forbid(unsafe_code)]

use super::hub::Hub;
use super::peer::Peer;
use super::secure::TlsState;
use super::slots::Id;
use crate::frame::CloseCode;
use crate::handshake::{Request, Response};
use crate::protocol::{Chunk, CloseFrame, Closed, Message, SendError};
use crate::stream::OpeningError;
use std::any::Any;
use std::borrow::Cow;
use std::error::Error;
use std::fmt;
use std::io;
use std::net::IpAddr;

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
    /// Not called for a request that was answered, with whatever status, nor for a connection without a
    /// request that a shutdown drops.
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

/// A peer whose opening handshake is in progress.
///
/// ```
/// # use websocket_stream::Message;
/// # use websocket_stream::server::{Answer, Failure, Handler, Peer};
/// use websocket_stream::server::NewPeer;
/// use websocket_stream::{Request, Response, testing::TestServer};
///
/// /// A page with the client's address, from `Handler::http`.
/// fn page(peer: &NewPeer<'_>) -> Response {
///     Response::new(200).body(peer.ip().map_or("unknown".to_owned(), |ip| ip.to_string()))
/// }
/// # struct Site;
/// # impl Handler for Site {
/// #     type Session = ();
/// #     fn http(&mut self, peer: &mut NewPeer<'_>, _: &Request<'_>) -> Answer { page(peer).into() }
/// #     fn message(&mut self, _: &mut Peer<'_>, _: &mut (), _: Message<'_>) -> Result<(), Failure> {
/// #         Ok(())
/// #     }
/// # }
/// let page = TestServer::new(Site).http("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")?;
/// assert!(page.ends_with("127.0.0.1"));
/// # Ok::<(), std::io::Error>(())
/// ```
pub struct NewPeer<'a> {
    pub(super) id: Id,
    pub(super) ip: Option<IpAddr>,
    pub(super) hub: &'a mut Hub,
    #[cfg_attr(not(feature = "rustls"), expect(dead_code, reason = "there is no TLS"))]
    pub(super) tls: Option<&'a TlsState>,
}

impl NewPeer<'_> {
    /// Returns the id of the connection, for a later answer.
    pub fn id(&self) -> Id {
        self.id
    }

    /// Returns the client's address, if it is known: from the PROXY protocol or a trusted header if the
    /// server is configured so, else from the socket.
    pub fn ip(&self) -> Option<IpAddr> {
        self.ip
    }

    /// Returns all connections of this thread.
    pub fn hub(&mut self) -> &mut Hub {
        self.hub
    }

    /// Returns what TLS has negotiated, with the client's certificates if the configuration asks for them.
    ///
    /// `None` without TLS, and always with [`Connections`](super::Connections), whose transports the program
    /// has itself.
    #[cfg(feature = "rustls")]
    pub fn tls(&self) -> Option<&rustls::CommonState> {
        self.tls
    }
}

impl fmt::Debug for NewPeer<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NewPeer").field("id", &self.id).field("ip", &self.ip).finish_non_exhaustive()
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

/// The reason why a handler ends its connection.
///
/// Every type that implements [`Error`] can be converted with `?`; [`new`](Self::new) converts other errors.
/// What follows depends on the error:
///
/// | error | what happens |
/// | --- | --- |
/// | [`SendError::Closed`] | nothing: the connection is closing already |
/// | [`SendError::Full`] | [`Handler::failed`]; the peer is too slow: closed with 1013 (try again later) |
/// | [`Failure::close`] | the connection is closed with that code and reason |
/// | any other | [`Handler::failed`]; the connection is closed with 1011 (internal error) |
///
/// What was sent to the peer before is still delivered; what was published to its topics before, and not yet
/// delivered, reaches only the others. No further messages are received.
///
/// ```
/// # use websocket_stream::server::Handler;
/// use websocket_stream::server::{Failure, Peer};
/// use websocket_stream::{CloseCode, Message, testing::TestServer};
///
/// /// Answers a number with its double, from `Handler::message`.
/// fn double(peer: &mut Peer<'_>, message: Message<'_>) -> Result<(), Failure> {
///     let number: i64 = message.as_text().unwrap_or_default().parse()?; // any error
///     Ok(peer.send(&(2 * number).to_string())?)
/// }
/// # struct Double;
/// # impl Handler for Double {
/// #     type Session = ();
/// #     fn message(&mut self, p: &mut Peer<'_>, _: &mut (), m: Message<'_>) -> Result<(), Failure> {
/// #         double(p, m)
/// #     }
/// # }
/// let mut server = TestServer::new(Double);
/// let client = server.connect("/")?;
/// server.send(client, "twelve")?;
/// assert_eq!(server.closed(client)?.map(|end| end.code), Some(CloseCode::INTERNAL_ERROR));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
// Boxed, so that the result of a method fits in a register.
pub struct Failure(Box<Inner>);

enum Inner {
    Send(SendError),
    Close(CloseCode, Cow<'static, str>),
    Other(Box<dyn Error + Send + Sync>),
}

impl Failure {
    /// Converts an error that is not a type of its own, such as a boxed one or a text.
    pub fn new(error: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self(Box::new(Inner::Other(error.into())))
    }

    /// Closes the connection with this code and reason, which need not be an error.
    ///
    /// A code that cannot be sent counts as 1011, and a reason is cut off after 123 bytes.
    ///
    /// ```
    /// use websocket_stream::CloseCode;
    /// use websocket_stream::server::Failure;
    ///
    /// fn check(name: &str) -> Result<(), Failure> {
    ///     match name {
    ///         "" => Err(Failure::close(CloseCode::POLICY_VIOLATION, "a name is required")),
    ///         _ => Ok(()),
    ///     }
    /// }
    /// let failure = check("").unwrap_err();
    /// assert_eq!(failure.to_string(), "closed with 1008 (policy violation): a name is required");
    /// ```
    pub fn close(code: CloseCode, reason: impl Into<Cow<'static, str>>) -> Self {
        Self(Box::new(Inner::Close(code, reason.into())))
    }

    /// Returns the error that was converted, if any.
    pub fn error(&self) -> Option<&(dyn Error + 'static)> {
        match &*self.0 {
            Inner::Send(error) => Some(error),
            Inner::Close(..) => None,
            Inner::Other(error) => Some(error.as_ref()),
        }
    }

    /// Returns whether the connection was closing when a reply was refused.
    pub(super) fn is_closed(&self) -> bool {
        matches!(*self.0, Inner::Send(SendError::Closed))
    }

    /// Returns the code and the reason of the Close frame that follows.
    pub(super) fn close_frame(&self) -> (CloseCode, &str) {
        match &*self.0 {
            Inner::Send(SendError::Full) => (CloseCode::TRY_AGAIN_LATER, "peer too slow"),
            Inner::Send(_) | Inner::Other(_) => (CloseCode::INTERNAL_ERROR, ""),
            Inner::Close(code, reason) => (*code, reason),
        }
    }
}

impl<E: Error + Send + Sync + 'static> From<E> for Failure {
    #[cold]
    fn from(error: E) -> Self {
        Self(Box::new(match (&error as &dyn Any).downcast_ref::<SendError>() {
            Some(&error) => Inner::Send(error),
            None => Inner::Other(Box::new(error)),
        }))
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &*self.0 {
            Inner::Send(error) => error.fmt(f),
            Inner::Other(error) => error.fmt(f),
            Inner::Close(code, reason) if reason.is_empty() => write!(f, "closed with {code}"),
            Inner::Close(code, reason) => write!(f, "closed with {code}: {reason}"),
        }
    }
}

impl fmt::Debug for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.error() {
            Some(error) => f.debug_tuple("Failure").field(error).finish(),
            None => write!(f, "Failure({self})"),
        }
    }
}
