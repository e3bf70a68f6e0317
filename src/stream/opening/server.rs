//! The server's end of an opening handshake on a transport.
#![forbid(unsafe_code)]

use super::outcome::{OpeningError, Progress};
#[cfg(feature = "deflate")]
use super::wire::deflate_params;
use super::wire::{RECEIVE_BYTES, Wire, head_limits, shared_methods};
use crate::handshake::Received as Head;
use crate::handshake::{Request, RequestFault, Response, ResponseError, ServerHandshake, Verdict};
use crate::protocol::{Config, Role, SharedConfig};
use crate::stream::{Interest, Turn};
use crate::transport::NonBlockingTransport;
use std::io;
use std::sync::Arc;

/// Opens a WebSocket as a server.
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
/// Requests that ask for no WebSocket have to be answered, too, so that a health check or a page can share
/// the port:
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
/// The connection ends after that response. For a request with a body, or a next request on the same
/// connection, use an HTTP server: [`into_parts`](Self::into_parts) returns the transport and all bytes that
/// have arrived, those of the request first.
#[derive(Debug)]
pub struct ServerOpening<T> {
    wire: Wire<T>,
    handshake: ServerHandshake,
}

impl<T: NonBlockingTransport> ServerOpening<T> {
    /// Begins on a transport that was accepted.
    ///
    /// Sets the transport non-blocking, and sets `TCP_NODELAY`.
    ///
    /// # Errors
    ///
    /// The system's error.
    pub fn new(transport: T) -> io::Result<Self> {
        Self::open(transport, SharedConfig::default())
    }

    /// Begins with a configuration that connections may share.
    ///
    /// # Errors
    ///
    /// The system's error.
    pub fn with_config(transport: T, config: Arc<Config>) -> io::Result<Self> {
        Self::open(transport, SharedConfig::from(config))
    }

    fn open(transport: T, config: SharedConfig) -> io::Result<Self> {
        let handshake = ServerHandshake::new(head_limits(&config.get().limits));
        let wire = Wire::new(transport, Role::Server, config)?;
        Ok(Self { wire, handshake })
    }

    /// Advances the handshake as far as possible without waiting.
    ///
    /// # Errors
    ///
    /// Why there will be no WebSocket; drop the opening then.
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

    /// Receives the request and sends the answer. Returns what to wait for, or `None` if the connection is
    /// open or the request waits for its answer.
    fn respond(&mut self) -> Result<Option<Interest>, OpeningError> {
        if self.handshake.verdict().is_none() {
            // The transport may have bytes of its own to send, as in a TLS handshake.
            self.wire.flush()?;
        }
        let mut buffer = [0; RECEIVE_BYTES];
        while self.handshake.is_receiving() {
            let n = self.wire.receive(&mut buffer)?;
            if n == 0 {
                return Ok(Some(self.wire.pending_received()?));
            }
            match self.handshake.receive(&buffer[..n]) {
                Ok(Head::Partial) => {}
                Ok(Head::Complete { used }) => self.wire.unread.extend_from_slice(&buffer[used..n]),
                Err(fault) => self.handshake.refuse(fault, &mut self.wire.out),
            }
        }
        if let Some(error) = self.refusal() {
            return match self.wire.linger() {
                Ok(Some(interest)) => Ok(Some(interest)),
                Ok(None) | Err(_) => Err(error),
            };
        }
        if let Some(Verdict::Accepted) = self.handshake.verdict() {
            self.wire.open = self.wire.flush()?;
            if !self.wire.open {
                return Ok(Some(self.wire.pending(false)));
            }
        }
        Ok(None)
    }

    /// Why there will be no WebSocket, if that is decided.
    fn refusal(&self) -> Option<OpeningError> {
        match self.handshake.verdict()? {
            Verdict::Accepted => None,
            Verdict::Refused { status } => Some(OpeningError::Answered { status }),
            Verdict::Faulty(fault) => Some(OpeningError::Request(fault)),
        }
    }

    /// Lends the request after it has arrived, answered or not.
    pub fn request(&self) -> Option<Request<'_>> {
        self.handshake.request()
    }

    /// Answers the request. [`advance`](Self::advance) sends the answer.
    ///
    /// A request that asks for no WebSocket ([`Request::is_upgrade`]) can have any answer but an accepting
    /// one: a page, the health of the server. A body that follows the request is not read. An accepting
    /// answer is replaced by a 426, and the opening ends with [`RequestFault::NotAnUpgrade`].
    ///
    /// With `Config::deflate`, an accepting answer agrees on compression if the client offers it, unless
    /// the response names extensions itself.
    ///
    /// # Errors
    ///
    /// [`ResponseError`] if the answer cannot be sent as it is; give another one.
    pub fn answer(&mut self, response: &Response) -> Result<(), ResponseError> {
        match self.write_answer(response) {
            Err(ResponseError::NotAnUpgrade) => {
                self.handshake.refuse(RequestFault::NotAnUpgrade, &mut self.wire.out);
                Ok(())
            }
            written => written,
        }
    }

    fn write_answer(&mut self, response: &Response) -> Result<(), ResponseError> {
        #[cfg(feature = "deflate")]
        if let Some(answer) = self.deflate_answer(response) {
            let response = response.clone().extensions(&answer.to_string());
            self.handshake.answer(&response, &mut self.wire.out)?;
            self.wire.agreed = Some(answer.agreed());
            return Ok(());
        }
        self.handshake.answer(response, &mut self.wire.out)
    }

    /// What an accepting response agrees on.
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
