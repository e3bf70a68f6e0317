//! What a handler's methods get: the current connection, open or not yet.
#![forbid(unsafe_code)]

use super::config::SlowPeer;
use super::hub::Hub;
use super::secure::TlsState;
use super::slots::Id;
use crate::frame::{CloseCode, OpCode};
use crate::protocol::{Message, SendError, State};
use crate::stream::{Outgoing, PreparedMessage};
use std::fmt;
use std::net::IpAddr;

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

/// The current connection, lent to a method of a [`Handler`](super::Handler).
///
/// What is sent here leaves at the end of the call, in one write if it is small. What is published, or sent
/// to others, leaves at the end of the round.
///
/// ```
/// # use websocket_stream::server::Handler;
/// use websocket_stream::server::{Failure, Peer};
/// use websocket_stream::{CloseCode, Message, testing::TestServer};
///
/// /// Greets, until the peer says goodbye. From `Handler::message`.
/// fn greet(peer: &mut Peer<'_>, message: Message<'_>) -> Result<(), Failure> {
///     match message.as_text() {
///         Some("bye") => Ok(peer.close(CloseCode::NORMAL, "bye")?),
///         _ => Ok(peer.send("hello")?),
///     }
/// }
/// # struct Greeter;
/// # impl Handler for Greeter {
/// #     type Session = ();
/// #     fn message(&mut self, p: &mut Peer<'_>, _: &mut (), m: Message<'_>) -> Result<(), Failure> {
/// #         greet(p, m)
/// #     }
/// # }
/// let mut server = TestServer::new(Greeter);
/// let client = server.connect("/")?;
/// server.send(client, "hi")?;
/// assert_eq!(server.receive(client)?, Some(Message::Text("hello")));
/// server.send(client, "bye")?;
/// assert!(server.closed(client)?.is_some_and(|end| end.is_clean()));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Peer<'a> {
    pub(super) out: Outgoing<'a>,
    pub(super) hub: &'a mut Hub,
}

impl<'a> Peer<'a> {
    #[inline(always)]
    pub(super) fn new(out: &'a mut Outgoing<'_>, hub: &'a mut Hub) -> Self {
        Self { out: out.reborrow(), hub }
    }
}

impl Peer<'_> {
    /// Returns the id of the connection, for [`Hub::send_to`].
    #[inline]
    pub fn id(&self) -> Id {
        self.hub.peer()
    }

    /// Sends a message to this peer; see [`Outgoing::send`].
    ///
    /// # Errors
    ///
    /// See [`Outgoing::send`].
    #[inline(always)]
    pub fn send<'m>(&mut self, message: impl Into<Message<'m>>) -> Result<(), SendError> {
        let message = message.into();
        self.out.send(message)?;
        self.hub.traffic.sent(message.as_bytes().len());
        Ok(())
    }

    /// Sends a message to this peer without compression; see [`Outgoing::send_plain`].
    ///
    /// # Errors
    ///
    /// See [`Outgoing::send`].
    pub fn send_plain<'m>(&mut self, message: impl Into<Message<'m>>) -> Result<(), SendError> {
        let message = message.into();
        self.out.send_plain(message)?;
        self.hub.traffic.sent(message.as_bytes().len());
        Ok(())
    }

    /// Sends a message that was encoded once, for many connections; see [`Outgoing::send_prepared`].
    ///
    /// # Errors
    ///
    /// See [`Outgoing::send`].
    pub fn send_prepared(&mut self, message: &PreparedMessage) -> Result<(), SendError> {
        self.out.send_prepared(message)?;
        self.hub.traffic.sent(message.payload().len());
        Ok(())
    }

    /// Sends one fragment of a message; see [`Outgoing::send_fragment`].
    ///
    /// Until the last fragment, no other message can be sent. So what is published to this peer meanwhile
    /// counts as too much for it; see [`SlowPeer`](super::SlowPeer).
    ///
    /// # Errors
    ///
    /// See [`Connection::send_fragment`](crate::protocol::Connection::send_fragment).
    pub fn send_fragment(&mut self, opcode: OpCode, payload: &[u8], fin: bool) -> Result<(), SendError> {
        self.out.send_fragment(opcode, payload, fin)?;
        self.hub.traffic.sent(payload.len());
        self.hub.traffic.messages_sent -= u64::from(!fin);
        Ok(())
    }

    /// Sends a ping with up to 125 bytes of payload. The answer is given to
    /// [`Handler::pong`](super::Handler::pong).
    ///
    /// # Errors
    ///
    /// See [`Outgoing::ping`].
    pub fn ping(&mut self, payload: &[u8]) -> Result<(), SendError> {
        self.out.ping(payload)
    }

    /// Begins the closing handshake. A reason is cut off after 123 bytes.
    ///
    /// Messages that the peer has sent already may still be delivered.
    ///
    /// # Errors
    ///
    /// [`SendError::Closed`] if it is closing already, [`SendError::InvalidCloseCode`] for a code that cannot
    /// be sent.
    pub fn close(&mut self, code: CloseCode, reason: &str) -> Result<(), SendError> {
        self.out.close(code, cut(reason))
    }

    /// Subscribes to a topic, and returns whether the peer was not a member before.
    ///
    /// The peer then receives what is published from now on.
    pub fn subscribe(&mut self, topic: &str) -> bool {
        self.hub.subscribe(self.hub.peer(), topic)
    }

    /// Ends the subscription to a topic, and returns whether the peer was a member.
    ///
    /// The end of the connection ends all of its subscriptions.
    pub fn unsubscribe(&mut self, topic: &str) -> bool {
        self.hub.topics.unsubscribe(self.hub.key, topic)
    }

    /// Sends a message to all members of a topic, this peer included if it is one; see [`Hub::publish`].
    pub fn publish<'m>(&mut self, topic: &str, message: impl Into<Message<'m>>) {
        self.hub.publish(topic, message);
    }

    /// Sends a message to all other members of a topic; see [`Hub::publish`].
    pub fn publish_to_others<'m>(&mut self, topic: &str, message: impl Into<Message<'m>>) {
        let slow_peer = self.hub.slow_peer;
        self.hub.publish_to(topic, message.into(), Some(self.hub.peer()), slow_peer);
    }

    /// Publishes a message with its own policy for members that are too slow.
    pub fn publish_with<'m>(&mut self, topic: &str, message: impl Into<Message<'m>>, slow_peer: SlowPeer) {
        self.hub.publish_with(topic, message, slow_peer);
    }

    /// Sends a message to another connection, or to this one; see [`Hub::send_to`].
    pub fn send_to<'m>(&mut self, id: Id, message: impl Into<Message<'m>>) {
        self.hub.send_to(id, message);
    }

    /// Returns all connections of this thread.
    pub fn hub(&mut self) -> &mut Hub {
        self.hub
    }

    /// Returns the number of accepted bytes that the transport has not taken, or 0 while it is not full.
    ///
    /// If this is not 0, [`Handler::drained`](super::Handler::drained) follows when the peer has taken them.
    /// So a large file is sent in pieces until this is too many, and continued there.
    pub fn unsent(&mut self) -> usize {
        self.out.unsent_if_full()
    }

    /// Returns the state of the connection.
    pub fn state(&self) -> State {
        self.out.state()
    }
}

/// The longest reason of a Close frame in bytes.
const MAX_REASON: usize = 123;

/// Returns as much of a reason as fits into a Close frame.
pub(super) fn cut(reason: &str) -> &str {
    let fits = (0..=MAX_REASON.min(reason.len())).rev().find(|&end| reason.is_char_boundary(end));
    &reason[..fits.unwrap_or(0)]
}
