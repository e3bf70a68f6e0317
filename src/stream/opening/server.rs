//! The server's end of an opening handshake on a transport.
#![forbid(unsafe_code)]

use super::deflate;
use super::outcome::{OpeningError, Progress};
use super::wire::{RECEIVE_BYTES, Wire, shared_methods};
use crate::handshake::{
    HeadStatus, Request, RequestFault, Response, ResponseError, ServerHandshake, Verdict,
};
use crate::protocol::{Config, Role, SharedConfig};
use crate::stream::{Turn, Wants};
use crate::transport::NonBlockingTransport;
use std::sync::Arc;
use std::{io, mem};

/// A server's opening handshake on a transport.
///
/// ```
/// use websocket_stream::handshake::Response;
/// use websocket_stream::transport::testing::memory;
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
/// # Origin
///
/// The program alone decides which pages may connect. A server that knows its users by a cookie answers with
/// [`OriginPolicy::answer`](crate::handshake::OriginPolicy::answer).
///
/// # Plain HTTP
///
/// A request that does not ask for a WebSocket is delivered too, so that a health check or a page can share
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
/// # let (a, mut peer) = websocket_stream::transport::testing::memory::pair(4096);
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
/// The connection ends after that response. For a request with a body, or for more than one request per
/// connection, hand over to an HTTP server before you answer: [`into_parts`](Self::into_parts) returns the
/// transport and all bytes that have arrived, beginning with the request.
#[derive(Debug)]
pub struct ServerOpening<T> {
    wire: Wire<T>,
    handshake: ServerHandshake,
    /// [`Progress::Decide`] was returned.
    asked: bool,
}

/// How far one call of [`ServerOpening::advance`] came.
enum Step {
    /// It waits for the transport.
    Wait(Wants),
    /// The request has arrived and is not answered.
    Decide,
    /// An accepting answer was sent.
    Open,
    /// Another answer was sent.
    Answered { status: u16 },
}

impl<T: NonBlockingTransport> ServerOpening<T> {
    /// Begins the handshake on an accepted transport.
    ///
    /// Puts the transport into non-blocking mode and sets `TCP_NODELAY`.
    ///
    /// # Errors
    ///
    /// The system's error.
    pub fn new(transport: T) -> io::Result<Self> {
        Self::open(transport, SharedConfig::default())
    }

    /// Begins the handshake with a configuration that connections can share.
    ///
    /// # Errors
    ///
    /// The system's error.
    pub fn with_config(transport: T, config: Arc<Config>) -> io::Result<Self> {
        Self::open(transport, SharedConfig::from(config))
    }

    /// Begins the handshake after some bytes of the request have been received, or all of it.
    ///
    /// For a program that has received more than its own protocol's header, such as that of the PROXY
    /// protocol.
    ///
    /// ```
    /// use websocket_stream::transport::testing::memory;
    /// use websocket_stream::{NonBlockingTransport, Progress, Scratch, ServerOpening};
    ///
    /// let (a, mut client) = memory::pair(4096);
    /// let mut opening = ServerOpening::with_received(a, Default::default(), b"GET /chat HT")?;
    /// client.send(b"TP/1.1\r\nHost: localhost\r\n\r\n")?;
    /// match opening.advance(&mut Scratch::new().at(0))? {
    ///     Progress::Decide(request) => assert_eq!(request.path(), "/chat"),
    ///     progress => panic!("{progress:?}"),
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// The system's error. A faulty request is an error of [`advance`](Self::advance).
    pub fn with_received(transport: T, config: Arc<Config>, received: &[u8]) -> io::Result<Self> {
        let mut opening = Self::open(transport, SharedConfig::from(config))?;
        opening.receive(received);
        Ok(opening)
    }

    fn open(transport: T, config: SharedConfig) -> io::Result<Self> {
        let handshake = ServerHandshake::new(&config.get().limits);
        let wire = Wire::new(transport, Role::Server, config)?;
        Ok(Self { wire, handshake, asked: false })
    }

    /// Advances the handshake as far as possible without waiting.
    ///
    /// # Errors
    ///
    /// The reason why the connection cannot be opened; drop the opening.
    pub fn advance(&mut self, turn: &mut Turn<'_>) -> Result<Progress<'_>, OpeningError> {
        if let Some(finished) = self.wire.finished() {
            return finished;
        }
        let step = match self.wire.is_late(turn.now) {
            // If the timeout passes while a refusal is being sent, the refusal is the result.
            true => self.refusal().unwrap_or(Err(OpeningError::Timeout)),
            false => self.respond(),
        };
        match step {
            Ok(Step::Wait(wants)) => Ok(Progress::Pending(wants)),
            Ok(Step::Decide) => match self.handshake.request() {
                Some(request) => Ok(Progress::Decide(request)),
                None => Ok(Progress::Pending(self.wire.pending(false))),
            },
            Ok(Step::Open) => Ok(self.wire.open()),
            Ok(Step::Answered { status }) => Ok(self.wire.answered(status)),
            Err(error) => Err(self.wire.fail(error)),
        }
    }

    /// Receives the request and sends the answer.
    fn respond(&mut self) -> Result<Step, OpeningError> {
        if self.handshake.verdict().is_none() {
            // The transport may have bytes of its own to send, for a TLS handshake.
            self.wire.flush()?;
        }
        let mut buffer = [0; RECEIVE_BYTES];
        while self.handshake.is_receiving() {
            let n = self.wire.receive(&mut buffer)?;
            if n == 0 {
                return Ok(Step::Wait(self.wire.pending_received()?));
            }
            self.receive(&buffer[..n]);
        }
        if let Some(refusal) = self.refusal() {
            return match self.wire.linger() {
                Ok(Some(wants)) => Ok(Step::Wait(wants)),
                Ok(None) | Err(_) => refusal,
            };
        }
        if self.handshake.verdict().is_none() && mem::replace(&mut self.asked, true) {
            // A poller may report the peer's reset again and again, though nothing is waited for.
            self.wire.receive_early()?;
        }
        Ok(match self.handshake.verdict() {
            None => Step::Decide,
            Some(_) if self.wire.flush()? => Step::Open,
            Some(_) => Step::Wait(self.wire.pending_answer()),
        })
    }

    /// Uses bytes of the request, and keeps the bytes that follow it.
    fn receive(&mut self, bytes: &[u8]) {
        match self.handshake.receive(bytes) {
            Ok(HeadStatus::Partial) => {}
            Ok(HeadStatus::Complete { used }) => self.wire.unread.extend_from_slice(&bytes[used..]),
            Err(fault) => self.handshake.refuse(fault, &mut self.wire.out),
        }
    }

    /// Returns what follows from an answer that does not accept the request.
    fn refusal(&self) -> Option<Result<Step, OpeningError>> {
        match self.handshake.verdict()? {
            Verdict::Accepted => None,
            Verdict::Refused { status } => Some(Ok(Step::Answered { status })),
            Verdict::Faulty(fault) => Some(Err(OpeningError::Request(fault))),
        }
    }

    /// Returns the request after it has arrived, answered or not.
    pub fn request(&self) -> Option<Request<'_>> {
        self.handshake.request()
    }

    /// Answers the request. [`advance`](Self::advance) sends the answer, and then returns
    /// [`Progress::Open`], or [`Progress::Answered`] if the answer does not accept the request.
    ///
    /// A request that does not ask for a WebSocket (see [`Request::is_upgrade`]) can have any answer except
    /// [`Response::accept`], which is replaced by status 426 and fails the opening with
    /// [`RequestFault::NotAnUpgrade`]. The body of a request is not read.
    ///
    /// With `Config::deflate`, an accepting answer enables compression if the client offers it, unless the
    /// response chooses extensions itself.
    ///
    /// # Errors
    ///
    /// [`ResponseError`] if the answer cannot be sent; call this again with another one.
    pub fn answer(&mut self, response: &Response) -> Result<(), ResponseError> {
        match self.write_answer(response) {
            Err(ResponseError::NotAnUpgrade) => {
                self.handshake.refuse(RequestFault::NotAnUpgrade, &mut self.wire.out);
                Ok(())
            }
            written => written,
        }
    }

    /// Counts the timeout from this time on, instead of the first call.
    #[cfg(feature = "server")]
    pub(crate) fn count_from(&mut self, began: u64) {
        self.wire.count_from(began);
    }

    /// Answers the request: with status 500, and the reason as text, if the answer cannot be sent.
    #[cfg(any(feature = "server", feature = "tokio"))]
    pub(crate) fn answer_or_500(&mut self, response: &Response) -> Result<(), ResponseError> {
        self.answer(response).or_else(|error| {
            let page = Response::new(500).header("Content-Type", "text/plain").body(format!("{error}\n"));
            // Fails only if the request is answered already, or has not arrived.
            self.answer(&page)
        })
    }

    fn write_answer(&mut self, response: &Response) -> Result<(), ResponseError> {
        let request = self.handshake.request();
        let accepted = request.and_then(|request| deflate::accept(response, request, self.wire.config.get()));
        if let Some((response, negotiated)) = accepted {
            self.handshake.answer(&response, &mut self.wire.out)?;
            self.wire.negotiated = negotiated;
            return Ok(());
        }
        self.handshake.answer(response, &mut self.wire.out)
    }
}

shared_methods!(ServerOpening);
