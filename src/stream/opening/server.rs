//! The opening handshake on a transport, the server's end.
#![forbid(unsafe_code)]

#[cfg(feature = "deflate")]
use super::wire::deflate_params;
use super::wire::{RECEIVE_BYTES, Wire, head_limits};
use super::{OpeningError, Progress};
use crate::handshake::Received as Head;
use crate::handshake::{Request, RequestFault, Response, ResponseError, ServerHandshake};
use crate::protocol::{Config, Role, SharedConfig};
use crate::stream::{Interest, Turn};
use crate::transport::NonBlockingTransport;
use std::io;
use std::sync::Arc;

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
/// assert!(matches!(client.advance(&mut scratch.at(0))?, Progress::Pending(_)));
/// match server.advance(&mut scratch.at(0))? {
///     Progress::Decide(request) => assert_eq!(request.path(), "/chat"),
///     _ => unreachable!(),
/// }
/// server.answer(&Response::accept())?;
/// assert!(matches!(server.advance(&mut scratch.at(0))?, Progress::Open));
/// assert!(matches!(client.advance(&mut scratch.at(0))?, Progress::Open));
/// let (_server, _client) = (server.into_stream()?, client.into_stream()?);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Plain HTTP
///
/// Requests that ask for no WebSocket come to be decided, too, so that a health check or a page can be
/// served on the same port:
///
/// ```
/// use websocket_stream::handshake::{Request, Response};
///
/// fn decide(request: &Request<'_>) -> Response {
///     match (request.is_upgrade(), request.path()) {
///         (true, "/chat") => Response::accept(),
///         (false, "/health") => Response::new(200).header("Content-Type", "text/plain").body("up\n"),
///         _ => Response::new(404),
///     }
/// }
/// # use websocket_stream::{NonBlockingTransport, Progress, Ready, Scratch, ServerOpening};
/// # let (a, mut peer) = websocket_stream::transport::memory::pair(4096);
/// # let (mut scratch, mut opening) = (Scratch::new(), ServerOpening::new(a)?);
/// # peer.send(b"GET /health HTTP/1.1\r\nHost: a\r\n\r\n")?;
/// # let Progress::Decide(request) = opening.advance(&mut scratch.at(0))? else { panic!() };
/// # let response = decide(&request);
/// # opening.answer(&response)?;
/// # opening.advance(&mut scratch.at(0))?;
/// # let mut answer = [0; 200];
/// # let n = peer.recv(&mut answer)?;
/// # assert!(answer[..n].starts_with(b"HTTP/1.1 200 OK\r\n") && answer[..n].ends_with(b"\r\n\r\nup\n"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// Each is one response, after which the connection ends. What needs more, a body or the next request on
/// the same connection, is an HTTP server's: [`into_parts`](Self::into_parts) gives it the transport and
/// all the bytes that came, the request's first.
#[derive(Debug)]
pub struct ServerOpening<T> {
    wire: Wire<T>,
    handshake: ServerHandshake,
    /// How many bytes it has received.
    received: usize,
    state: ServerState,
}

#[derive(Debug, Clone, Copy)]
enum ServerState {
    Receiving,
    Accepted,
    Answered { status: u16 },
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
        let wire = Wire::new(transport, Role::Server, config)?;
        Ok(Self { wire, handshake, received: 0, state: ServerState::Receiving })
    }

    /// Goes on as far as it can without waiting.
    ///
    /// # Errors
    ///
    /// Why there will be no WebSocket; the transport can be dropped then.
    pub fn advance(&mut self, turn: &mut Turn<'_>) -> Result<Progress<'_>, OpeningError> {
        let begun = self.wire.begin(turn.now);
        begun.map_err(|late| self.refusal().unwrap_or(late)).map_err(|error| self.wire.fail(error))?;
        if self.wire.open {
            return Ok(Progress::Open);
        }
        match self.respond() {
            Ok(Some(interest)) => Ok(Progress::Pending(interest)),
            Ok(None) if self.wire.open => Ok(Progress::Open),
            Ok(None) => Ok(match self.handshake.request() {
                Some(request) => Progress::Decide(request),
                None => Progress::Pending(self.wire.pending(false)),
            }),
            Err(error) => Err(self.wire.fail(error)),
        }
    }

    /// Receives the request and sends the answer, as far as they go: what to wait for, or nothing where
    /// the connection is open or the request is to be decided on.
    fn respond(&mut self) -> Result<Option<Interest>, OpeningError> {
        if let ServerState::Receiving = self.state {
            // TLS's handshake, say.
            self.wire.flush()?;
        }
        let mut buffer = [0; RECEIVE_BYTES];
        while let ServerState::Receiving = self.state {
            if self.handshake.request().is_some() {
                break;
            }
            let n = self.wire.receive(&mut buffer)?;
            if n == 0 {
                return Ok(Some(self.wire.pending_received()?));
            }
            match self.handshake.receive(&buffer[..n]) {
                Ok(Head::Partial) => {}
                Ok(Head::Complete { used }) => self.wire.unread.extend_from_slice(&buffer[used..n]),
                // The caller decides on it.
                Err(RequestFault::NotAnUpgrade) => {
                    let head = self.handshake.request().map_or(0, |request| request.as_bytes().len());
                    let used = head.saturating_sub(self.received);
                    self.wire.unread.extend_from_slice(buffer[..n].get(used..).unwrap_or_default());
                }
                Err(fault) => {
                    let told = self.tell(fault);
                    debug_assert!(told.is_ok(), "{fault:?}: {told:?}");
                }
            }
            self.received += n;
        }
        if let Some(error) = self.refusal() {
            return match self.wire.linger() {
                Ok(Some(interest)) => Ok(Some(interest)),
                Ok(None) | Err(_) => Err(error),
            };
        }
        if let ServerState::Accepted = self.state {
            self.wire.open = self.wire.flush()?;
            if !self.wire.open {
                return Ok(Some(self.wire.pending(false)));
            }
        }
        Ok(None)
    }

    /// Answers the request with what is wrong with it.
    fn tell(&mut self, fault: RequestFault) -> Result<(), ResponseError> {
        let told = self.handshake.answer(&Response::from(fault), &mut self.wire.out);
        if told != Err(ResponseError::Answered) {
            self.state = ServerState::Faulty(fault);
        }
        told
    }

    /// Why there will be no WebSocket, where that is decided.
    fn refusal(&self) -> Option<OpeningError> {
        match self.state {
            ServerState::Receiving | ServerState::Accepted => None,
            ServerState::Answered { status } => Some(OpeningError::Answered { status }),
            ServerState::Faulty(fault) => Some(OpeningError::Request(fault)),
        }
    }

    /// The request, once it is there, answered or not.
    pub fn request(&self) -> Option<Request<'_>> {
        self.handshake.request()
    }

    /// Answers the request. [`advance`](Self::advance) sends the answer.
    ///
    /// A request that asks for no WebSocket ([`Request::is_upgrade`]) can have any other answer: a page,
    /// the health of the server. It has no body that was read. Where it is accepted nonetheless, it is
    /// told that it should have asked for an upgrade (426), and the opening ends with
    /// [`RequestFault::NotAnUpgrade`].
    ///
    /// With `Config::deflate`, compression is agreed on where the client offers it, unless the
    /// response names extensions itself.
    ///
    /// # Errors
    ///
    /// [`ResponseError`] where the answer cannot be sent as it is; another one can be given.
    pub fn answer(&mut self, response: &Response) -> Result<(), ResponseError> {
        if response.is_accept() && self.handshake.request().is_some_and(|request| !request.is_upgrade()) {
            return self.tell(RequestFault::NotAnUpgrade);
        }
        #[cfg(feature = "deflate")]
        if let Some(answer) = self.deflate_answer(response) {
            let response = response.clone().extensions(&answer.to_string());
            self.handshake.answer(&response, &mut self.wire.out)?;
            self.wire.agreed = Some(answer.agreed());
            self.state = ServerState::Accepted;
            return Ok(());
        }
        self.handshake.answer(response, &mut self.wire.out)?;
        self.state = match response.is_accept() {
            true => ServerState::Accepted,
            false => ServerState::Answered { status: response.status() },
        };
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
}

shared_methods!(ServerOpening);
