//! The opening handshake on a transport, for both ends: one object, advanced by `&mut` until it is
//! done, which never moves the transport away on its own.
#![forbid(unsafe_code)]

use super::{Interest, Ready, Turn, WebSocketStream};
use crate::Limits;
use crate::handshake::Received as Head;
use crate::handshake::{
    ClientHandshake, ClientRequest, HeadLimits, ReceivedResponse, Request, RequestFault, Response,
    ResponseError, ResponseFault, ServerHandshake,
};
#[cfg(feature = "deflate")]
use crate::handshake::{Extensions, Params};
use crate::protocol::{Config, Role, SharedConfig};
use crate::transport::{NonBlockingTransport, Received, recv_checked, send_checked};
use std::sync::Arc;
use std::{fmt, io};

/// How far an opening is.
#[derive(Debug)]
pub enum Progress<'a> {
    /// Wait for this, and for [`next_deadline`](ServerOpening::next_deadline).
    Pending(Interest),
    /// A server's request is there: [`answer`](ServerOpening::answer) it, now or later. Never given
    /// by a client's opening.
    Decide(Request<'a>),
    /// It is open: take the stream with `into_stream`.
    Open,
}

/// Why an opening ended without a WebSocket.
#[derive(Debug)]
#[non_exhaustive]
pub enum OpeningError {
    /// The client's request was faulty. It was told so as far as the transport took the answer.
    Request(RequestFault),
    /// The server's response was faulty, or a refusal.
    Response(ResponseFault),
    /// The caller refused the request; the refusal is sent.
    Refused,
    /// The peer ended the stream in the middle of the handshake.
    EndOfStream,
    /// The handshake took longer than [`Deadlines::handshake`](crate::Deadlines::handshake).
    Deadline,
    /// The system refused a call on the transport.
    System(io::Error),
}

impl From<io::Error> for OpeningError {
    fn from(error: io::Error) -> Self {
        Self::System(error)
    }
}

impl fmt::Display for OpeningError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Request(fault) => write!(f, "no WebSocket was opened: {fault}"),
            Self::Response(fault) => write!(f, "no WebSocket was opened: {fault}"),
            Self::Refused => f.write_str("the request was refused"),
            Self::EndOfStream => f.write_str("the peer ended the stream in the opening handshake"),
            Self::Deadline => f.write_str("the opening handshake took too long"),
            Self::System(error) => write!(f, "the transport failed in the opening handshake: {error}"),
        }
    }
}

impl std::error::Error for OpeningError {}

/// There is no stream yet: the opening, given back as it was.
#[derive(Debug)]
pub struct NotOpen<O>(
    /// The opening.
    pub Box<O>,
);

impl<O> fmt::Display for NotOpen<O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the opening handshake is not made yet: advance it until it is open")
    }
}

impl<O: fmt::Debug> std::error::Error for NotOpen<O> {}

/// What both ends' openings have: a transport, bytes to send, and bytes that came behind the head.
#[derive(Debug)]
struct Wire<T> {
    transport: T,
    config: SharedConfig,
    out: Vec<u8>,
    sent: usize,
    unread: Vec<u8>,
    began: Option<u64>,
    /// The poller said that the peer has ended its direction.
    closed: bool,
    ended: bool,
    shut: bool,
    #[cfg(feature = "deflate")]
    agreed: Option<crate::deflate::Agreed>,
    /// The handshake is made.
    open: bool,
}

fn head_limits(limits: &Limits) -> HeadLimits {
    HeadLimits { bytes: limits.head_bytes, headers: limits.head_headers }
}

/// The parameters of each permessage-deflate in a list.
#[cfg(feature = "deflate")]
fn deflate_params(extensions: Extensions<'_>) -> impl Iterator<Item = Params<'_>> {
    let deflate = extensions.filter(|extension| extension.name == crate::deflate::NAME);
    deflate.map(|extension| extension.params())
}

/// The bytes received in one call of an opening; a whole head of a usual size.
const RECEIVE_BYTES: usize = 4096;

impl<T: NonBlockingTransport> Wire<T> {
    fn new(mut transport: T, config: SharedConfig) -> io::Result<Self> {
        transport.set_nonblocking()?;
        transport.set_nodelay()?;
        Ok(Self {
            transport,
            config,
            out: Vec::new(),
            sent: 0,
            unread: Vec::new(),
            began: None,
            closed: false,
            ended: false,
            shut: false,
            #[cfg(feature = "deflate")]
            agreed: None,
            open: false,
        })
    }

    fn deadline(&self, now: u64) -> Option<u64> {
        let handshake = self.config.get().deadlines.handshake?;
        Some(self.began.map_or(now, |began| began.saturating_add(handshake.into())))
    }

    fn begin(&mut self, now: Option<u64>, ready: Ready) -> Result<(), OpeningError> {
        self.closed |= ready.closed;
        let Some(now) = now else { return Ok(()) };
        self.began.get_or_insert(now);
        match self.deadline(now) {
            Some(deadline) if now >= deadline => Err(OpeningError::Deadline),
            _ => Ok(()),
        }
    }

    /// Whether all is sent.
    fn flush(&mut self) -> io::Result<bool> {
        if self.sent < self.out.len() {
            self.sent += send_checked(&mut self.transport, &self.out[self.sent..])?;
        }
        if self.sent == self.out.len() && self.transport.wants_write() {
            match self.transport.flush() {
                Err(error) if error.kind() != io::ErrorKind::WouldBlock => return Err(error),
                _ => {}
            }
        }
        Ok(self.sent == self.out.len() && !self.transport.wants_write())
    }

    /// Receives once, into a buffer on the stack.
    fn receive(&mut self, buffer: &mut [u8]) -> Result<usize, OpeningError> {
        match recv_checked(&mut self.transport, buffer)? {
            Received::Bytes(n) => Ok(n),
            Received::WouldBlock => Ok(0),
            Received::End => {
                self.ended = true;
                Err(OpeningError::EndOfStream)
            }
        }
    }

    /// After a refusal: everything sent, the sending direction shut, the rest drained, so that the
    /// refusal is not lost to a reset. Where that is not done, what to wait for.
    fn linger(&mut self) -> io::Result<Option<Interest>> {
        if !self.flush()? {
            return Ok(Some(self.pending(false)));
        }
        if !self.shut {
            self.shut = true;
            self.transport.shutdown_write()?;
        }
        let mut buffer = [0; RECEIVE_BYTES];
        // Bounded, so that a peer that floods does not hold the thread.
        for _ in 0..16 {
            match recv_checked(&mut self.transport, &mut buffer)? {
                Received::Bytes(_) => {}
                Received::WouldBlock => return Ok(Some(self.pending(false))),
                Received::End => return Ok(None),
            }
        }
        Ok(Some(self.pending(true)))
    }

    fn pending(&self, again: bool) -> Interest {
        let writable = self.sent < self.out.len() || self.transport.wants_write();
        Interest { readable: !self.ended, writable, again, over: false }
    }

    fn into_stream(self, role: Role) -> WebSocketStream<T> {
        let stream =
            WebSocketStream::from_opening(self.transport, role, self.config, &self.unread, self.closed);
        #[cfg(feature = "deflate")]
        if let Some(agreed) = self.agreed {
            return stream.with_deflate(agreed);
        }
        stream
    }
}

/// A server's opening handshake.
///
/// ```
/// use websocket_stream::handshake::Response;
/// use websocket_stream::transport::memory;
/// use websocket_stream::{ClientOpening, Progress, Ready, Scratch, ServerOpening};
/// use websocket_stream::handshake::ClientRequest;
///
/// let (a, b) = memory::pair(4096);
/// let mut scratch = Scratch::new();
/// let mut server = ServerOpening::new(a)?;
/// let mut client = ClientOpening::new(b, ClientRequest::new("localhost", "/chat"))?;
///
/// assert!(matches!(client.advance(&mut scratch.at(0), Ready::ALL)?, Progress::Pending(_)));
/// match server.advance(&mut scratch.at(0), Ready::ALL)? {
///     Progress::Decide(request) => assert_eq!(request.path(), "/chat"),
///     _ => unreachable!(),
/// }
/// server.answer(&Response::accept())?;
/// assert!(matches!(server.advance(&mut scratch.at(0), Ready::ALL)?, Progress::Open));
/// assert!(matches!(client.advance(&mut scratch.at(0), Ready::ALL)?, Progress::Open));
/// let (_server, _client) = (server.into_stream()?, client.into_stream()?);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct ServerOpening<T> {
    wire: Wire<T>,
    handshake: ServerHandshake,
    state: ServerState,
}

#[derive(Debug, Clone, Copy)]
enum ServerState {
    Receiving,
    Accepted,
    Refused,
    Faulty(RequestFault),
}

impl<T: NonBlockingTransport> ServerOpening<T> {
    /// Begins on a transport that was accepted. Sets it non-blocking, and `TCP_NODELAY`.
    ///
    /// # Errors
    ///
    /// The system's.
    pub fn new(transport: T) -> io::Result<Self> {
        Self::open(transport, SharedConfig::default())
    }

    /// The same with a configuration that others may share.
    ///
    /// # Errors
    ///
    /// The system's.
    pub fn with_config(transport: T, config: Arc<Config>) -> io::Result<Self> {
        Self::open(transport, SharedConfig::from(config))
    }

    fn open(transport: T, config: SharedConfig) -> io::Result<Self> {
        let handshake = ServerHandshake::new(head_limits(&config.get().limits));
        Ok(Self { wire: Wire::new(transport, config)?, handshake, state: ServerState::Receiving })
    }

    /// Goes on as far as it can without waiting.
    ///
    /// # Errors
    ///
    /// Why there will be no WebSocket; the transport can be dropped then.
    pub fn advance(&mut self, turn: &mut Turn<'_>, ready: Ready) -> Result<Progress<'_>, OpeningError> {
        let begun = self.wire.begin(turn.now, ready);
        begun.map_err(|late| self.refusal().unwrap_or(late))?;
        if self.wire.open {
            return Ok(Progress::Open);
        }
        let mut buffer = [0; RECEIVE_BYTES];
        while let ServerState::Receiving = self.state {
            if self.handshake.request().is_some() {
                break;
            }
            let n = self.wire.receive(&mut buffer)?;
            if n == 0 {
                return Ok(Progress::Pending(self.wire.pending(false)));
            }
            match self.handshake.receive(&buffer[..n]) {
                Ok(Head::Partial) => {}
                Ok(Head::Complete { used }) => self.wire.unread.extend_from_slice(&buffer[used..n]),
                Err(fault) => {
                    fault.write_response(&mut self.wire.out);
                    self.state = ServerState::Faulty(fault);
                }
            }
        }
        if let Some(error) = self.refusal() {
            return match self.wire.linger() {
                Ok(Some(interest)) => Ok(Progress::Pending(interest)),
                Ok(None) | Err(_) => Err(error),
            };
        }
        if let ServerState::Accepted = self.state {
            self.wire.open = self.wire.flush()?;
            return Ok(match self.wire.open {
                true => Progress::Open,
                false => Progress::Pending(self.wire.pending(false)),
            });
        }
        Ok(match self.handshake.request() {
            Some(request) => Progress::Decide(request),
            None => Progress::Pending(self.wire.pending(false)),
        })
    }

    /// Why there will be no WebSocket, where that is decided.
    fn refusal(&self) -> Option<OpeningError> {
        match self.state {
            ServerState::Receiving | ServerState::Accepted => None,
            ServerState::Refused => Some(OpeningError::Refused),
            ServerState::Faulty(fault) => Some(OpeningError::Request(fault)),
        }
    }

    /// The request, once it is there and until it is answered.
    pub fn request(&self) -> Option<Request<'_>> {
        self.handshake.request()
    }

    /// Answers the request. [`advance`](Self::advance) sends the answer.
    ///
    /// With `Config::deflate`, compression is agreed on where the client offers it, unless the
    /// response names extensions itself.
    ///
    /// # Errors
    ///
    /// [`ResponseError`] where the answer cannot be sent as it is; another one can be given.
    pub fn answer(&mut self, response: &Response) -> Result<(), ResponseError> {
        #[cfg(feature = "deflate")]
        if let Some(answer) = self.deflate_answer(response) {
            let response = response.clone().extensions(&answer.to_string());
            self.handshake.answer(&response, &mut self.wire.out)?;
            self.wire.agreed = Some(answer.agreed());
            self.state = ServerState::Accepted;
            return Ok(());
        }
        self.handshake.answer(response, &mut self.wire.out)?;
        self.state = if response.is_accept() { ServerState::Accepted } else { ServerState::Refused };
        Ok(())
    }

    /// What is agreed on by a response that accepts.
    #[cfg(feature = "deflate")]
    fn deflate_answer(&self, response: &Response) -> Option<crate::deflate::Answer> {
        let policy = self.wire.config.get().deflate?;
        if !response.is_accept() || response.chosen_extensions().is_some() {
            return None;
        }
        policy.accept(deflate_params(self.handshake.request()?.extensions()))
    }

    /// When [`advance`](Self::advance) next wants to be called though nothing is ready, in the
    /// caller's milliseconds: then the handshake has taken too long. `None` where that deadline is
    /// off. It counts from the first `advance`; before that it is `now`.
    pub fn next_deadline(&self, now: u64) -> Option<u64> {
        self.wire.deadline(now)
    }

    /// The transport.
    pub fn get_ref(&self) -> &T {
        &self.wire.transport
    }

    /// The transport, to register it with a poller.
    pub fn get_mut(&mut self) -> &mut T {
        &mut self.wire.transport
    }

    /// The stream, once it is [`Progress::Open`]. Bytes that came behind the head are in it, and are
    /// read first: drive it once at once, with [`Ready::ALL`].
    ///
    /// # Errors
    ///
    /// [`NotOpen`] with the opening as it was, before [`advance`](Self::advance) has given
    /// [`Progress::Open`].
    pub fn into_stream(self) -> Result<WebSocketStream<T>, NotOpen<Self>> {
        if self.wire.open { Ok(self.wire.into_stream(Role::Server)) } else { Err(NotOpen(Box::new(self))) }
    }
}

/// A client's opening handshake; see [`ServerOpening`] for an example.
#[derive(Debug)]
pub struct ClientOpening<T> {
    wire: Wire<T>,
    handshake: ClientHandshake,
}

impl<T: NonBlockingTransport> ClientOpening<T> {
    /// Begins on a transport that is connected, or connecting. Sets it non-blocking, and
    /// `TCP_NODELAY`.
    ///
    /// # Errors
    ///
    /// The system's; one of kind `InvalidInput`, with the [`RequestError`](crate::handshake::RequestError), where the request cannot be
    /// sent.
    pub fn new(transport: T, request: ClientRequest) -> io::Result<Self> {
        Self::open(transport, request, SharedConfig::default())
    }

    /// The same with a configuration that others may share.
    ///
    /// # Errors
    ///
    /// As [`new`](Self::new).
    pub fn with_config(transport: T, request: ClientRequest, config: Arc<Config>) -> io::Result<Self> {
        Self::open(transport, request, SharedConfig::from(config))
    }

    fn open(transport: T, request: ClientRequest, config: SharedConfig) -> io::Result<Self> {
        #[cfg(feature = "deflate")]
        let request = match &config.get().deflate {
            Some(policy) => request.more_extensions(&policy.offer()),
            None => request,
        };
        let handshake = ClientHandshake::new(request, rand::random(), head_limits(&config.get().limits))
            .map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
        let mut wire = Wire::new(transport, config)?;
        handshake.write_request(&mut wire.out);
        Ok(Self { wire, handshake })
    }

    /// Goes on as far as it can without waiting.
    ///
    /// # Errors
    ///
    /// Why there will be no WebSocket. After [`ResponseFault::Refused`] the
    /// [`response`](Self::response) can be looked at, to follow a redirect, say.
    pub fn advance(&mut self, turn: &mut Turn<'_>, ready: Ready) -> Result<Progress<'_>, OpeningError> {
        self.wire.begin(turn.now, ready)?;
        if self.wire.open {
            return Ok(Progress::Open);
        }
        if !self.wire.flush()? {
            return Ok(Progress::Pending(self.wire.pending(false)));
        }
        let mut buffer = [0; RECEIVE_BYTES];
        loop {
            let n = self.wire.receive(&mut buffer)?;
            if n == 0 {
                return Ok(Progress::Pending(self.wire.pending(false)));
            }
            match self.handshake.receive(&buffer[..n]).map_err(OpeningError::Response)? {
                Head::Partial => {}
                Head::Complete { used } => {
                    self.wire.unread.extend_from_slice(&buffer[used..n]);
                    #[cfg(feature = "deflate")]
                    {
                        self.wire.agreed = self.confirm_deflate().map_err(OpeningError::Response)?;
                    }
                    self.wire.open = true;
                    return Ok(Progress::Open);
                }
            }
        }
    }

    /// What the server agreed on.
    #[cfg(feature = "deflate")]
    fn confirm_deflate(&self) -> Result<Option<crate::deflate::Agreed>, ResponseFault> {
        let Some(policy) = self.wire.config.get().deflate else { return Ok(None) };
        let mut answers = self.handshake.extensions().into_iter().flat_map(deflate_params);
        let Some(answer) = answers.next() else { return Ok(None) };
        match (policy.confirm(answer), answers.next()) {
            (Ok(agreed), None) => Ok(Some(agreed)),
            _ => Err(ResponseFault::Extensions),
        }
    }

    /// The subprotocol that the server chose.
    pub fn subprotocol(&self) -> Option<&str> {
        self.handshake.subprotocol()
    }

    /// The server's response, once it is there, whatever its status.
    pub fn response(&self) -> Option<ReceivedResponse<'_>> {
        self.handshake.response()
    }

    /// When it takes too long; see [`ServerOpening::next_deadline`].
    pub fn next_deadline(&self, now: u64) -> Option<u64> {
        self.wire.deadline(now)
    }

    /// The transport.
    pub fn get_ref(&self) -> &T {
        &self.wire.transport
    }

    /// The transport, to register it with a poller.
    pub fn get_mut(&mut self) -> &mut T {
        &mut self.wire.transport
    }

    /// The stream, once it is [`Progress::Open`]; see [`ServerOpening::into_stream`].
    ///
    /// # Errors
    ///
    /// As there.
    pub fn into_stream(self) -> Result<WebSocketStream<T>, NotOpen<Self>> {
        if self.wire.open { Ok(self.wire.into_stream(Role::Client)) } else { Err(NotOpen(Box::new(self))) }
    }
}
