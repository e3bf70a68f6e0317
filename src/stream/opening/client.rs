//! The client's end of an opening handshake on a transport.
#![forbid(unsafe_code)]

use super::outcome::{OpeningError, Progress};
#[cfg(feature = "deflate")]
use super::wire::deflate_params;
use super::wire::{RECEIVE_BYTES, Wire, head_limits, shared_methods};
use crate::handshake::Received as Head;
use crate::handshake::{ClientHandshake, ClientRequest, ReceivedResponse, ResponseFault};
use crate::protocol::{Config, Role, SharedConfig};
use crate::stream::{Interest, Turn};
use crate::transport::NonBlockingTransport;
use std::io;
use std::sync::Arc;

/// Opens a WebSocket as a client; see [`ServerOpening`](super::ServerOpening) for an example.
///
/// # Proxies, credentials, redirects
///
/// The transport can be anything that carries bytes to the server: a socket, TLS on one, or either of them
/// behind a proxy. Connect through the proxy (`CONNECT`, SOCKS) first, and begin after its answer.
/// [`ClientRequest::basic_auth`] and [`ClientRequest::header`] send credentials. If the server answers with
/// any status but 101, the error is [`ResponseFault::Refused`], and [`response`](Self::response) lends the
/// answer. No redirect is followed automatically:
///
/// ```
/// use websocket_stream::handshake::{ClientRequest, ResponseFault};
/// use websocket_stream::transport::memory;
/// use websocket_stream::{ClientOpening, NonBlockingTransport, OpeningError, Ready, Scratch};
///
/// let (a, mut server) = memory::pair(4096);
/// let mut scratch = Scratch::new();
/// let request = ClientRequest::new("example.com", "/chat")
///     .basic_auth("Aladdin", "open sesame")
///     .header("Cookie", "seen=1");
/// let mut opening = ClientOpening::new(a, request)?;
/// opening.advance(&mut scratch.at(0))?;
///
/// server.send(b"HTTP/1.1 302 Found\r\nLocation: wss://chat.example.com/\r\n\r\n")?;
/// match opening.advance(&mut scratch.at(0)) {
///     Err(OpeningError::Response(ResponseFault::Refused { status: 300..400, .. })) => {}
///     other => panic!("{other:?}"),
/// }
/// let response = opening.response().ok_or("no response")?;
/// assert_eq!(response.header("Location"), Some(&b"wss://chat.example.com/"[..]));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct ClientOpening<T> {
    wire: Wire<T>,
    handshake: ClientHandshake,
}

impl<T: NonBlockingTransport> ClientOpening<T> {
    /// Begins on a transport that is connected, or connecting.
    ///
    /// Sets the transport non-blocking, and sets `TCP_NODELAY`.
    ///
    /// # Errors
    ///
    /// The system's error, or one of kind `InvalidInput` with the
    /// [`RequestError`](crate::handshake::RequestError) if the request cannot be sent.
    pub fn new(transport: T, request: ClientRequest) -> io::Result<Self> {
        Self::open(transport, request, SharedConfig::default())
    }

    /// Begins with a configuration that connections may share.
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
        let mut wire = Wire::new(transport, Role::Client, config)?;
        handshake.write_request(&mut wire.out);
        Ok(Self { wire, handshake })
    }

    /// Advances the handshake as far as possible without waiting.
    ///
    /// # Errors
    ///
    /// Why there will be no WebSocket. After [`ResponseFault::Refused`], look at the
    /// [`response`](Self::response), to follow a redirect, for example; its body begins with the `unread`
    /// bytes of [`into_parts`](Self::into_parts).
    pub fn advance(&mut self, turn: &mut Turn<'_>) -> Result<Progress<'_>, OpeningError> {
        self.wire.begin(turn.now).map_err(|error| self.wire.fail(error))?;
        if self.wire.open {
            return Ok(Progress::Open);
        }
        match self.respond() {
            Ok(Some(interest)) => Ok(Progress::Pending(interest)),
            Ok(None) => Ok(Progress::Open),
            Err(error) => Err(self.wire.fail(error)),
        }
    }

    /// Sends the request and receives the response. Returns what to wait for, or `None` if the connection
    /// is open.
    fn respond(&mut self) -> Result<Option<Interest>, OpeningError> {
        // A server may refuse before all of the request is sent, and then reset the connection: the
        // refusal has arrived though sending fails.
        let mut failed = self.wire.flush().err();
        // Receive even if not all is sent: the transport may need the peer's bytes first, as in a TLS
        // handshake.
        let mut buffer = [0; RECEIVE_BYTES];
        loop {
            match (self.wire.receive(&mut buffer), failed) {
                (Ok(0), None) => return Ok(Some(self.wire.pending_received()?)),
                (Ok(0) | Err(_), Some(failed)) => return Err(failed.into()),
                (Err(error), None) => return Err(error),
                (Ok(n), still) => {
                    if self.answered(&buffer[..n]).map_err(OpeningError::Response)? {
                        self.wire.open = true;
                        return Ok(None);
                    }
                    failed = still;
                }
            }
        }
    }

    /// Uses bytes of the response, keeps those behind it, and reports whether the connection is open.
    fn answered(&mut self, bytes: &[u8]) -> Result<bool, ResponseFault> {
        let received = self.handshake.receive(bytes);
        match received {
            Ok(Head::Partial) => return Ok(false),
            // The body of a refusal begins behind its head.
            Ok(Head::Complete { used }) | Err(ResponseFault::Refused { used, .. }) => {
                self.wire.unread.extend_from_slice(&bytes[used..]);
            }
            Err(_) => {}
        }
        received?;
        if !self.wire.is_given() {
            return Err(ResponseFault::Early);
        }
        #[cfg(feature = "deflate")]
        {
            self.wire.agreed = self.confirm_deflate()?;
        }
        Ok(true)
    }

    /// Checks what the server has agreed on.
    #[cfg(feature = "deflate")]
    fn confirm_deflate(&self) -> Result<Option<crate::deflate::Agreed>, ResponseFault> {
        use crate::deflate::InvalidAnswer;

        let Some(policy) = self.wire.config.get().deflate else { return Ok(None) };
        let mut answers = self.handshake.extensions().into_iter().flat_map(deflate_params);
        let Some(answer) = answers.next() else { return Ok(None) };
        if answers.next().is_some() {
            return Err(ResponseFault::Extensions);
        }
        match policy.confirm(answer) {
            Ok(agreed) => Ok(Some(agreed)),
            Err(InvalidAnswer::Params) => Err(ResponseFault::ExtensionParams),
            Err(InvalidAnswer::ContextTakeover) => Err(ResponseFault::ContextTakeover),
            Err(InvalidAnswer::WindowBits) => Err(ResponseFault::WindowBits),
        }
    }

    /// Returns the subprotocol that the server chose.
    pub fn subprotocol(&self) -> Option<&str> {
        self.handshake.subprotocol()
    }

    /// Lends the server's response after it has arrived, whatever its status.
    pub fn response(&self) -> Option<ReceivedResponse<'_>> {
        self.handshake.response()
    }
}

shared_methods!(ClientOpening);
