//! Runs a server in memory, for tests of a `Handler`.

use super::{MOST_ROUNDS, MemoryWebSocket, ready};
use crate::handshake::ClientRequest;
use crate::server::{Connections, Counters, Handler, Hub, ServerConfig, Shutdown};
use crate::transport::testing::faulty::{Disaster, Faulty};
use crate::transport::testing::memory::{self, MemoryStream};
use crate::{
    ClientOpening, CloseCode, Closed, Error, Event, Message, OpeningError, Progress, Ready, Scratch,
    SendError, Wants,
};
use std::collections::VecDeque;
use std::io::{self, ErrorKind};
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

/// The bytes that a transport buffers in each direction.
const CAPACITY: usize = 64 << 10;

/// A server in memory with its clients, for tests of a [`Handler`].
///
/// There are no sockets, no threads and no clock: time passes only in [`advance`](Self::advance).
///
/// ```
/// use websocket_stream::Message;
/// use websocket_stream::server::{Failure, Handler, Peer};
/// use websocket_stream::testing::TestServer;
///
/// struct Room;
///
/// impl Handler for Room {
///     type Session = ();
///
///     fn opened(&mut self, peer: &mut Peer<'_>, _: &mut ()) -> Result<(), Failure> {
///         peer.subscribe("room");
///         Ok(())
///     }
///
///     fn message(&mut self, peer: &mut Peer<'_>, _: &mut (), message: Message<'_>) -> Result<(), Failure> {
///         peer.publish_to_others("room", message);
///         Ok(())
///     }
/// }
///
/// let mut server = TestServer::new(Room);
/// let (ann, ben) = (server.connect("/")?, server.connect("/")?);
/// server.send(ann, "hello")?;
/// assert_eq!(server.receive(ben)?, Some(Message::Text("hello")));
/// assert_eq!(server.receive(ann)?, None);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Faults
///
/// Any connection can be slow or broken. A seed always gives the same faults:
///
/// ```
/// use websocket_stream::ClientRequest;
/// use websocket_stream::testing::TestServer;
/// use websocket_stream::transport::testing::faulty::{Disaster, Faulty, Weather};
/// # use websocket_stream::Message;
/// # use websocket_stream::server::{Failure, Handler, Peer};
/// # struct Echo;
/// # impl Handler for Echo {
/// #     type Session = ();
/// #     fn message(&mut self, peer: &mut Peer<'_>, _: &mut (), m: Message<'_>) -> Result<(), Failure> {
/// #         Ok(peer.send(m)?)
/// #     }
/// # }
///
/// for seed in 0..20 {
///     let mut server = TestServer::new(Echo);
///     let faults = |stream| {
///         Faulty::new(stream, seed).weather(Weather::STORM).disaster(60, Disaster::Reset)
///     };
///     let client = server.connect_with(ClientRequest::new("localhost", "/"), faults)?;
///     while server.closed(client)?.is_none() {
///         if server.send(client, "hello").is_ok() && let Some(echo) = server.receive(client)? {
///             assert_eq!(echo, Message::Text("hello"));
///         }
///     }
///     assert_eq!(server.counters().closed_abnormally, 1);
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct TestServer<H: Handler> {
    connections: Connections<Faulty<MemoryStream>, H::Session>,
    handler: H,
    /// The keys below this one may have a connection.
    keys: usize,
    clients: Vec<Client>,
    /// The buffers of the clients.
    scratch: Scratch,
    now: u64,
}

/// A client of a [`TestServer`].
///
/// See the example of [`TestServer`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct TestClient(usize);

struct Client {
    /// `None` after it has broken off.
    stream: Option<MemoryWebSocket>,
    /// Messages that have arrived: whether they are text, and their payload.
    arrived: VecDeque<(bool, Vec<u8>)>,
    /// The message that was returned last.
    lent: (bool, Vec<u8>),
    closed: Option<Closed>,
}

impl<H: Handler> TestServer<H> {
    /// Creates a server with the default configuration.
    pub fn new(handler: H) -> Self {
        Self::with_config(handler, ServerConfig::default())
    }

    /// Creates a server with this configuration.
    pub fn with_config(handler: H, config: ServerConfig) -> Self {
        let connections = Connections::new(config);
        Self { connections, handler, keys: 0, clients: Vec::new(), scratch: Scratch::new(), now: 0 }
    }

    /// Opens a connection for this target, such as `/chat?name=Ann`.
    ///
    /// # Errors
    ///
    /// See [`connect_with`](Self::connect_with).
    pub fn connect(&mut self, target: &str) -> Result<TestClient, OpeningError> {
        self.connect_with(ClientRequest::new("localhost", target), |stream| Faulty::new(stream, 0))
    }

    /// Opens a connection with this request, through a transport with faults.
    ///
    /// `faults` wraps the server's end. The client has the address 127.0.0.1.
    ///
    /// # Errors
    ///
    /// [`OpeningError::Response`] if the handler refuses the request; another error if a fault or a limit
    /// ends the opening. [`OpeningError::Timeout`] if the handler has not answered.
    pub fn connect_with(
        &mut self,
        request: ClientRequest,
        faults: impl FnOnce(MemoryStream) -> Faulty<MemoryStream>,
    ) -> Result<TestClient, OpeningError> {
        let stream = self.insert(faults)?;
        let mut opening = ClientOpening::new(stream, request)?;
        loop {
            let before = opening.get_ref().calls();
            let is_open = matches!(opening.advance(&mut self.scratch.at(0))?, Progress::Open);
            // The server notices what the opening has done.
            self.run()?;
            if is_open {
                break;
            }
            let is_quiet = before.sent == opening.get_ref().calls().sent && !opening.get_ref().is_readable();
            if is_quiet {
                return Err(OpeningError::Timeout);
            }
        }
        let stream = opening.into_stream().map_err(io::Error::other)?;
        self.clients.push(Client {
            stream: Some(stream),
            arrived: VecDeque::new(),
            lent: (false, Vec::new()),
            closed: None,
        });
        Ok(TestClient(self.clients.len() - 1))
    }

    /// Sends a message from a client. The server receives it in the next call that runs the server, such as
    /// [`receive`](Self::receive) or [`run`](Self::run).
    ///
    /// # Errors
    ///
    /// [`SendError::Closed`](crate::SendError::Closed) in an [`Error`] if the connection has ended. See
    /// [`WebSocketStream::send`](crate::WebSocketStream::send).
    pub fn send<'m>(&mut self, client: TestClient, message: impl Into<Message<'m>>) -> Result<(), Error> {
        let stream = stream(&mut self.clients, client).ok_or(SendError::Closed)?;
        stream.send(&mut self.scratch.at(0), message).map(drop)
    }

    /// Returns the next message that a client has received, or `None` if none arrives.
    ///
    /// A client receives, and answers pings, only here and in [`closed`](Self::closed). Until then it is a
    /// slow peer, whose transport takes 64 KiB.
    ///
    /// # Errors
    ///
    /// See [`run`](Self::run).
    pub fn receive(&mut self, client: TestClient) -> io::Result<Option<Message<'_>>> {
        self.run_with(client)?;
        let Some(client) = self.clients.get_mut(client.0) else { return Ok(None) };
        let Some(next) = client.arrived.pop_front() else { return Ok(None) };
        client.lent = next;
        Ok(Some(match &client.lent {
            (true, text) => Message::Text(std::str::from_utf8(text).map_err(io::Error::other)?),
            (false, bytes) => Message::Binary(bytes),
        }))
    }

    /// Begins the closing handshake from a client.
    ///
    /// # Errors
    ///
    /// See [`WebSocketStream::close`](crate::WebSocketStream::close).
    pub fn close(&mut self, client: TestClient, code: CloseCode, reason: &str) -> Result<(), Error> {
        let stream = stream(&mut self.clients, client).ok_or(SendError::Closed)?;
        stream.close(&mut self.scratch.at(0), code, reason).map(drop)
    }

    /// Returns how a client's connection ended, as the client reports it, or `None` if it is open, or was
    /// open when the client broke off.
    ///
    /// # Errors
    ///
    /// See [`run`](Self::run).
    pub fn closed(&mut self, client: TestClient) -> io::Result<Option<Closed>> {
        self.run_with(client)?;
        Ok(self.clients.get(client.0).and_then(|client| client.closed))
    }

    /// Drops a client's end, as if its program had ended.
    pub fn break_off(&mut self, client: TestClient) {
        if let Some(client) = self.clients.get_mut(client.0) {
            client.stream = None;
        }
    }

    /// Returns a client's end, for example to limit its transport or to send fragments, or `None` if it has
    /// broken off.
    pub fn client(&mut self, client: TestClient) -> Option<&mut MemoryWebSocket> {
        stream(&mut self.clients, client)
    }

    /// Sends a request in plain HTTP, and returns the answer.
    ///
    /// For example, `server.http("GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n")`.
    ///
    /// # Errors
    ///
    /// See [`run`](Self::run).
    pub fn http(&mut self, request: &str) -> io::Result<String> {
        use crate::transport::NonBlockingTransport;

        let mut stream = self.insert(|stream| Faulty::new(stream, 0))?;
        let (mut unsent, mut answer, mut buffer) = (request.as_bytes(), Vec::new(), [0; 4096]);
        loop {
            while !unsent.is_empty() && stream.is_writable() {
                unsent = &unsent[stream.send(unsent)?..];
            }
            self.run()?;
            match stream.recv(&mut buffer) {
                Ok(0) => break,
                Ok(n) => answer.extend_from_slice(&buffer[..n]),
                // A long request is sent in several parts.
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    if unsent.is_empty() || !stream.is_writable() {
                        break;
                    }
                }
                Err(error) => return Err(error),
            }
        }
        Ok(String::from_utf8_lossy(&answer).into_owned())
    }

    /// Adds a connection, and returns the client's end.
    fn insert(
        &mut self,
        faults: impl FnOnce(MemoryStream) -> Faulty<MemoryStream>,
    ) -> io::Result<MemoryStream> {
        let (server, client) = memory::pair(CAPACITY);
        let ip = IpAddr::from(Ipv4Addr::LOCALHOST);
        let key = self.connections.insert(faults(server), Some(ip), self.now)?;
        self.keys = self.keys.max(key + 1);
        Ok(client)
    }

    /// Runs the server and one client until both are quiet.
    fn run_with(&mut self, client: TestClient) -> io::Result<()> {
        for _ in 0..MOST_ROUNDS {
            self.run()?;
            let client = self.clients.get_mut(client.0);
            if !client.is_some_and(|client| client.drive(&mut self.scratch)) {
                return Ok(());
            }
        }
        Err(ErrorKind::TimedOut.into())
    }

    /// Does what the server's event loop would do, until nothing is ready.
    ///
    /// All other methods that wait for something call it.
    ///
    /// # Errors
    ///
    /// `TimedOut` after 100,000 rounds, for example if two connections send to each other forever.
    pub fn run(&mut self) -> io::Result<()> {
        for _ in 0..MOST_ROUNDS {
            let mut is_quiet = true;
            for key in 0..self.keys {
                let ready = self.ready(key);
                if ready != Ready::NONE {
                    is_quiet = false;
                    self.connections.ready(key, ready, self.now, &mut self.handler);
                }
            }
            self.connections.turn(self.now, &mut self.handler);
            if is_quiet && self.connections.timeout(self.now) != Some(Duration::ZERO) {
                return Ok(());
            }
        }
        Err(ErrorKind::TimedOut.into())
    }

    /// Returns what a level-triggered poller would report of a connection.
    fn ready(&mut self, key: usize) -> Ready {
        let Some(Wants { read, write, .. }) = self.connections.wants(key) else { return Ready::NONE };
        let Some(transport) = self.connections.transport(key) else { return Ready::NONE };
        match (transport.happened(), transport.get_ref()) {
            (Some(Disaster::Silence), _) => Ready::NONE,
            (happened, Some(stream)) => Ready {
                readable: read && (stream.is_readable() || happened == Some(Disaster::EndOfStream)),
                writable: write && (stream.is_writable() || happened == Some(Disaster::BrokenPipe)),
                closed: false,
            },
            (_, None) => Ready { readable: read, writable: write, closed: false }, // it was reset
        }
    }

    /// Lets time pass, from one timeout to the next. As in a [`Server`](crate::server::Server), a timeout
    /// passes up to a second late, never early.
    ///
    /// # Errors
    ///
    /// See [`run`](Self::run).
    pub fn advance(&mut self, time: Duration) -> io::Result<()> {
        let time = u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        let until = self.now.saturating_add(time);
        self.run()?;
        while let Some(deadline) = self.connections.next_deadline(self.now).filter(|at| *at <= until) {
            // At least a millisecond, whatever the deadline.
            self.now = deadline.max(self.now.saturating_add(1)).min(until);
            self.run()?;
            if self.now == until {
                break;
            }
        }
        self.now = until;
        self.run()
    }

    /// Begins a graceful stop: with a [`Shutdown`], or within a `Duration`. Then let time pass.
    pub fn shut_down(&mut self, shutdown: impl Into<Shutdown>) {
        self.connections.shut_down(&shutdown.into(), self.now);
    }

    /// Returns the handler.
    pub fn handler(&mut self) -> &mut H {
        &mut self.handler
    }

    /// Returns the hub of all connections, for example to publish. Then call [`run`](Self::run).
    pub fn hub(&mut self) -> &mut Hub {
        self.connections.hub()
    }

    /// Returns the server's counters.
    pub fn counters(&self) -> Counters {
        self.connections.counters()
    }
}

/// Returns a client's end, unless it has broken off.
fn stream(clients: &mut [Client], client: TestClient) -> Option<&mut MemoryWebSocket> {
    clients.get_mut(client.0)?.stream.as_mut()
}

impl Client {
    /// Receives all input, and sends the automatic replies. Returns whether there was something to do.
    fn drive(&mut self, scratch: &mut Scratch) -> bool {
        let Self { stream: Some(stream), arrived, closed, .. } = self else { return false };
        let ready = ready(stream);
        if ready == Ready::NONE {
            return false;
        }
        let driven = stream.drive(&mut scratch.at(0), ready, |event, _| {
            match event {
                Event::Message(Message::Text(text)) => arrived.push_back((true, text.into())),
                Event::Message(Message::Binary(bytes)) => arrived.push_back((false, bytes.into())),
                Event::Closed(end) => *closed = Some(end),
                _ => {}
            }
            Ok(())
        });
        driven.is_ok() // if the transport has failed, `closed` reports it
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::{Answer, Failure, NewPeer, Peer, SlowPeer};
    use crate::transport::testing::faulty::Weather;
    use crate::{Cause, Initiator, Request, Response, Timeout, handshake::ResponseFault};

    /// Echoes to everyone; refuses `/refused`, and never answers `/later`.
    #[derive(Default)]
    struct Room {
        missed: u64,
        ends: Vec<Closed>,
    }

    impl Handler for Room {
        type Session = ();

        fn open(&mut self, _: &mut NewPeer<'_>, _: &mut (), request: &Request<'_>) -> Answer {
            match request.path() {
                "/refused" => Response::new(403).into(),
                "/later" => Answer::Later,
                _ => Response::accept().into(),
            }
        }

        fn http(&mut self, _: &mut NewPeer<'_>, request: &Request<'_>) -> Answer {
            Response::new(200).body("x".repeat(100_000)).header("X-Path", request.path()).into()
        }

        fn opened(&mut self, peer: &mut Peer<'_>, _: &mut ()) -> Result<(), Failure> {
            peer.subscribe("room");
            Ok(())
        }

        fn message(&mut self, peer: &mut Peer<'_>, _: &mut (), message: Message<'_>) -> Result<(), Failure> {
            peer.publish("room", message);
            Ok(())
        }

        fn drained(&mut self, _: &mut Peer<'_>, _: &mut (), missed: u64) -> Result<(), Failure> {
            self.missed += missed;
            Ok(())
        }

        fn closed(&mut self, _: &mut Peer<'_>, _: &mut (), end: Closed) {
            self.ends.push(end);
        }
    }

    #[test]
    fn text_and_binary_messages_of_any_size_arrive_in_order() {
        let mut server = TestServer::new(Room::default());
        let (ann, ben) = (server.connect("/").unwrap(), server.connect("/").unwrap());
        let large = vec![7; CAPACITY * 3];
        server.send(ann, "hello").unwrap();
        server.send(ann, &large[..]).unwrap();
        for client in [ann, ben] {
            assert_eq!(server.receive(client).unwrap(), Some(Message::Text("hello")));
            assert!(server.receive(client).unwrap() == Some(Message::Binary(&large)));
            assert!(server.receive(client).unwrap().is_none());
        }
    }

    #[test]
    fn a_refusal_and_a_missing_answer_are_errors() {
        let mut server = TestServer::new(Room::default());
        let refused = server.connect("/refused");
        let Err(OpeningError::Response(ResponseFault::Refused { status: 403, .. })) = refused else {
            panic!("{refused:?}")
        };
        assert!(matches!(server.connect("/later"), Err(OpeningError::Timeout)));
        server.run().unwrap();
        assert_eq!(server.counters().opening, 1); // it still waits for its answer
        server.advance(Duration::from_secs(10)).unwrap();
        assert_eq!(server.counters().opening, 0);
    }

    #[test]
    fn plain_http_is_answered_whole() {
        let mut server = TestServer::new(Room::default());
        let answer = server.http("GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
        assert!(answer.starts_with("HTTP/1.1 200 ") && answer.contains("\r\nX-Path: /health\r\n"));
        assert!(answer.ends_with(&format!("\r\n\r\n{}", "x".repeat(100_000))));
        assert!(server.http("nonsense\r\n\r\n").unwrap().starts_with("HTTP/1.1 400 "));
    }

    #[test]
    fn a_client_that_does_not_receive_is_slow() {
        let config = ServerConfig::default().slow_peer(SlowPeer::Drop { above: 100_000 });
        let mut server = TestServer::with_config(Room::default(), config);
        let (ann, slow) = (server.connect("/").unwrap(), server.connect("/").unwrap());
        let large = vec![7; 50_000];
        for _ in 0..10 {
            server.send(ann, &large[..]).unwrap();
            assert!(server.receive(ann).unwrap().is_some());
        }
        let mut received = 0;
        while server.receive(slow).unwrap().is_some() {
            received += 1;
        }
        assert!(received < 10);
        assert_eq!(server.handler().missed, 10 - received);
    }

    #[test]
    fn timeouts_pass_one_after_the_other() {
        let mut server = TestServer::new(Room::default());
        let client = server.connect("/").unwrap();
        let is_readable =
            |server: &mut TestServer<Room>| server.client(client).unwrap().get_ref().is_readable();
        server.advance(Duration::from_secs(119)).unwrap();
        assert!(!is_readable(&mut server));
        server.advance(Duration::from_secs(2)).unwrap();
        assert!(is_readable(&mut server), "a ping has arrived");
        assert!(server.receive(client).unwrap().is_none()); // answers it
        server.advance(Duration::from_secs(119)).unwrap();
        assert_eq!(server.handler().ends, []);
        server.advance(Duration::from_secs(3600)).unwrap();
        let [end] = server.handler().ends[..] else { panic!("one end") };
        assert_eq!((end.by, end.cause), (Initiator::Local, Cause::Timeout(Timeout::Idle)));
        assert!(server.closed(client).unwrap().is_some());
        // No time is too long.
        server.advance(Duration::MAX).unwrap();
        server.advance(Duration::MAX).unwrap();
    }

    #[test]
    fn both_ends_can_close_and_a_client_can_break_off() {
        let mut server = TestServer::new(Room::default());
        let [ann, ben, eve] = [(); 3].map(|()| server.connect("/").unwrap());
        server.close(ann, CloseCode::NORMAL, "bye").unwrap();
        assert!(server.closed(ann).unwrap().is_some_and(|end| end.is_clean()));
        server.break_off(eve);
        server.run().unwrap();
        assert_eq!(server.handler().ends.len(), 2);
        assert_eq!(server.handler().ends[1].cause, Cause::EndOfStream);
        assert!(server.closed(eve).unwrap().is_none());
        server.shut_down(Duration::from_secs(1));
        server.advance(Duration::from_millis(500)).unwrap();
        assert_eq!(server.closed(ben).unwrap().map(|end| end.code), Some(CloseCode::GOING_AWAY));
        assert_eq!(server.counters().open, 0);
        assert!(server.send(ben, "late").is_err() && server.send(eve, "late").is_err());
    }

    #[test]
    fn no_disaster_hangs() {
        for disaster in [Disaster::Reset, Disaster::EndOfStream, Disaster::BrokenPipe, Disaster::Silence] {
            for after in 0..20 {
                let mut server = TestServer::new(Room::default());
                let faults = |stream| {
                    Faulty::new(stream, after.into()).weather(Weather::STORM).disaster(after, disaster)
                };
                if let Ok(client) = server.connect_with(ClientRequest::new("localhost", "/"), faults) {
                    for _ in 0..20 {
                        let _ = server.send(client, "hello");
                        server.receive(client).unwrap();
                    }
                }
                server.advance(Duration::from_secs(3600)).unwrap();
                let counters = server.counters();
                assert_eq!((counters.open, counters.opening), (0, 0), "{disaster:?} after {after}");
            }
        }
    }

    #[test]
    fn a_client_of_another_server_is_no_client() {
        let mut server = TestServer::new(Room::default());
        let other = TestServer::new(Room::default()).connect("/").unwrap();
        assert!(server.send(other, "hello").is_err());
        assert!(server.receive(other).unwrap().is_none());
        assert!(server.closed(other).unwrap().is_none() && server.client(other).is_none());
        server.break_off(other);
    }
}
