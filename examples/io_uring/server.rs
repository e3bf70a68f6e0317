//! The connections: from bytes received to bytes to send, and what to ask of the ring after each step.
#![forbid(unsafe_code)]

use crate::ring::{Completion, Received, Ring};
use slab::Slab;
use std::io;
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::fd::{AsRawFd, RawFd};
use std::sync::Arc;
use std::time::{Duration, Instant};
use websocket_stream::handshake::{HeadStatus, ServerHandshake};
use websocket_stream::protocol::{Connection, Input, Output};
use websocket_stream::{Config, Event, Response, Role, SendError, State, SystemError, Timeouts, Wheel};

/// The number of unsent bytes above which nothing more is received from a peer.
const PAUSE_ABOVE: usize = 64 << 10;
/// The time to wait for a request, and for the end of a connection, in milliseconds.
const PATIENCE: u64 = 10_000;
/// A larger buffer is freed after it is sent.
const SPARE: usize = 256 << 10;

pub(crate) struct Server {
    ring: Ring,
    listener: RawFd,
    /// When to accept, if no accept is active.
    accept_at: Option<u64>,
    peers: Slab<Peer>,
    deadlines: Wheel,
    config: Arc<Config>,
    /// The buffers of the protocol, used by one connection at a time.
    input: Input,
    output: Output,
    /// Buffers that were sent, for later bytes.
    spare: Vec<Vec<u8>>,
    start: Instant,
}

struct Peer {
    socket: TcpStream,
    stage: Stage,
    receiving: Receiving,
    is_sending: bool,
    /// Bytes to send when the current send is complete.
    unsent: Vec<u8>,
    /// The sending direction has ended.
    is_shut: bool,
}

enum Stage {
    Opening {
        handshake: Box<ServerHandshake>,
        deadline: u64,
    },
    Open(Box<Connection>),
    /// The rest is sent, then the end of the client's stream is awaited.
    Finishing {
        deadline: u64,
    },
    Ended,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Receiving {
    No,
    Yes,
    /// Until the cancelled receive completes.
    Stopping,
    /// The end of the stream was received.
    AtEnd,
}

impl Server {
    pub(crate) fn new(listener: &TcpListener) -> io::Result<Self> {
        let timeouts =
            Timeouts::default().ping_interval(Duration::from_secs(20)).idle(Duration::from_secs(60));
        Ok(Self {
            ring: Ring::new()?,
            listener: listener.as_raw_fd(),
            accept_at: Some(0),
            peers: Slab::new(),
            deadlines: Wheel::new(1000),
            config: Arc::new(Config::default().timeouts(timeouts)),
            input: Input::default(),
            output: Output::new(),
            spare: Vec::new(),
            start: Instant::now(),
        })
    }

    pub(crate) fn run(&mut self) -> io::Result<()> {
        loop {
            let now = self.now();
            if self.accept_at.take_if(|at| *at <= now).is_some() {
                self.ring.accept(self.listener)?;
            }
            self.ring.wait(Duration::from_secs(1))?;
            let now = self.now();
            self.output.set_now(now);
            while let Some(completion) = self.ring.next() {
                self.complete(completion, now)?;
            }
            while let Some(key) = self.deadlines.expired(now) {
                self.on_deadline(key, now)?;
            }
        }
    }

    fn now(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    fn complete(&mut self, completion: Completion, now: u64) -> io::Result<()> {
        match completion {
            Completion::Accepted(Ok(socket), more) => {
                if !more {
                    self.accept_at = Some(now);
                }
                self.insert(socket.into(), now)
            }
            Completion::Accepted(Err(error), _) => {
                // For example too many open files: wait until connections have ended.
                eprintln!("io_uring: cannot accept: {error}");
                self.accept_at = Some(now + 100);
                Ok(())
            }
            Completion::Received { key, result, more } => self.received(key, result, more, now),
            Completion::Sent { key, result, bytes } => self.sent(key, result, bytes),
        }
    }

    fn insert(&mut self, socket: TcpStream, now: u64) -> io::Result<()> {
        let _ = socket.set_nodelay(true); // fails if the peer has gone, which the receive will report
        let handshake = Box::new(ServerHandshake::new(&self.config.limits));
        let deadline = now + PATIENCE;
        let key = self.peers.insert(Peer {
            socket,
            stage: Stage::Opening { handshake, deadline },
            receiving: Receiving::No,
            is_sending: false,
            unsent: Vec::new(),
            is_shut: false,
        });
        self.deadlines.set(key, deadline);
        self.advance(key)
    }

    fn received(&mut self, key: usize, result: io::Result<Received>, more: bool, now: u64) -> io::Result<()> {
        let peer = &mut self.peers[key];
        if !more {
            peer.receiving = Receiving::No;
        }
        match result {
            Ok(received) => {
                match self.ring.bytes(&received) {
                    [] => {
                        peer.receiving = Receiving::AtEnd;
                        self.input.end_of_stream();
                    }
                    bytes => self.input.extend(peer.open(bytes, &self.config, now)),
                }
                self.ring.give_back(received);
                peer.echo(&mut self.input, &mut self.output, now);
                self.input.reset(); // for the next connection
            }
            // Cancelled, or all buffers are in use: `advance` receives again when there is room.
            Err(error) if matches!(error.raw_os_error(), Some(libc::ECANCELED | libc::ENOBUFS)) => {}
            Err(error) => peer.fail(&error),
        }
        // Closing has an earlier deadline. The wheel ignores later ones.
        if let Some(deadline) = peer.next_deadline(now) {
            self.deadlines.set(key, deadline);
        }
        self.advance(key)
    }

    fn sent(&mut self, key: usize, result: io::Result<usize>, mut bytes: Vec<u8>) -> io::Result<()> {
        let peer = &mut self.peers[key];
        match result {
            Ok(sent) if sent < bytes.len() => {
                bytes.drain(..sent);
                return self.ring.send(key, peer.socket.as_raw_fd(), bytes);
            }
            Ok(_) => {}
            Err(error) => peer.fail(&error),
        }
        peer.is_sending = false;
        if bytes.capacity() <= SPARE {
            bytes.clear();
            self.spare.push(bytes);
        }
        self.advance(key)
    }

    fn on_deadline(&mut self, key: usize, now: u64) -> io::Result<()> {
        self.peers[key].on_deadline(&mut self.output, now);
        self.advance(key)?;
        if let Some(deadline) = self.peers.get(key).and_then(|peer| peer.next_deadline(now)) {
            self.deadlines.set(key, deadline);
        }
        Ok(())
    }

    /// Sends the unsent bytes, and submits the operation that the connection needs next.
    fn advance(&mut self, key: usize) -> io::Result<()> {
        let peer = &mut self.peers[key];
        let socket = peer.socket.as_raw_fd();
        let made = self.output.as_bytes();
        if !made.is_empty() {
            if peer.unsent.capacity() == 0 {
                peer.unsent = self.spare.pop().unwrap_or_default();
            }
            peer.unsent.extend_from_slice(made);
            let made = made.len();
            self.output.consume(made);
        }
        if !(peer.is_sending || peer.unsent.is_empty() || matches!(peer.stage, Stage::Ended)) {
            peer.is_sending = true;
            self.ring.send(key, socket, std::mem::take(&mut peer.unsent))?;
        }
        peer.end_if_all_is_sent();
        match peer.receiving {
            _ if matches!(peer.stage, Stage::Ended) => {
                if peer.is_sending || matches!(peer.receiving, Receiving::Yes | Receiving::Stopping) {
                    let _ = peer.socket.shutdown(Shutdown::Both); // so that both operations complete
                } else {
                    self.peers.remove(key);
                    self.deadlines.remove(key);
                }
            }
            Receiving::Yes if peer.unsent.len() > PAUSE_ABOVE => {
                peer.receiving = Receiving::Stopping;
                self.ring.cancel_receive(key)?;
            }
            Receiving::No if peer.unsent.len() <= PAUSE_ABOVE => {
                peer.receiving = Receiving::Yes;
                self.ring.receive(key, socket)?;
            }
            _ => {}
        }
        Ok(())
    }
}

impl Peer {
    /// Takes the opening handshake from the received bytes, and returns the rest.
    fn open<'a>(&mut self, bytes: &'a [u8], config: &Arc<Config>, now: u64) -> &'a [u8] {
        let Stage::Opening { handshake, .. } = &mut self.stage else { return bytes };
        let (response, rest) = match handshake.receive(bytes) {
            Ok(HeadStatus::Partial) => return &[],
            Ok(HeadStatus::Complete { used }) => {
                // Any page may connect; a server that trusts cookies must check `OriginPolicy`.
                let is_upgrade = handshake.request().is_some_and(|request| request.is_upgrade());
                let response = if is_upgrade { Response::accept() } else { Response::new(426) };
                (response, &bytes[used..])
            }
            Err(fault) => (Response::from(fault), &[][..]),
        };
        self.stage = match handshake.answer(&response, &mut self.unsent) {
            Ok(()) if response.is_accept() => {
                Stage::Open(Box::new(Connection::with_config(Role::Server, Arc::clone(config))))
            }
            Ok(()) => Stage::Finishing { deadline: now + PATIENCE },
            Err(_) => Stage::Ended, // a response that cannot be sent; these responses can
        };
        rest
    }

    /// Sends back the messages in the input.
    fn echo(&mut self, input: &mut Input, output: &mut Output, now: u64) {
        if let Stage::Open(connection) = &mut self.stage {
            while let Some(event) = connection.receive(input, output) {
                match event {
                    Event::Message(message) => match connection.send(message, output) {
                        Ok(()) | Err(SendError::Closed) => {}
                        Err(error) => eprintln!("io_uring: not echoed: {error}"),
                    },
                    Event::Closed(_) => {
                        self.stage = Stage::Finishing { deadline: now + PATIENCE };
                        return;
                    }
                    _ => {} // pings and Close frames are answered already
                }
            }
        } else if let (Stage::Opening { .. }, Receiving::AtEnd) = (&self.stage, self.receiving) {
            self.stage = Stage::Ended;
        }
    }

    /// Ends the sending direction after the last bytes, and the connection once both directions have ended.
    fn end_if_all_is_sent(&mut self) {
        let is_last = match &self.stage {
            Stage::Open(connection) => matches!(connection.state(), State::Draining(_)),
            Stage::Finishing { .. } => true,
            Stage::Opening { .. } | Stage::Ended => false,
        };
        if !is_last || self.is_sending || !self.unsent.is_empty() {
            return;
        }
        if !std::mem::replace(&mut self.is_shut, true) {
            let _ = self.socket.shutdown(Shutdown::Write); // fails if the peer has gone
        }
        if self.receiving == Receiving::AtEnd {
            self.stage = Stage::Ended;
        }
    }

    fn on_deadline(&mut self, output: &mut Output, now: u64) {
        let is_over = match &mut self.stage {
            Stage::Opening { deadline, .. } | Stage::Finishing { deadline } => *deadline <= now,
            Stage::Open(connection) => {
                matches!(connection.on_deadline(output), Some(Event::Closed(_)))
            }
            Stage::Ended => false,
        };
        if is_over {
            self.stage = Stage::Ended;
        }
    }

    fn next_deadline(&self, now: u64) -> Option<u64> {
        match &self.stage {
            Stage::Opening { deadline, .. } | Stage::Finishing { deadline } => Some(*deadline),
            Stage::Open(connection) => connection.next_deadline(now),
            Stage::Ended => None,
        }
    }

    /// Ends the connection, because the socket has failed.
    fn fail(&mut self, error: &io::Error) {
        if let Stage::Open(connection) = &mut self.stage {
            connection.transport_failed(SystemError::from(error));
        }
        self.stage = Stage::Ended;
    }
}
