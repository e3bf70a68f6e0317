//! The client's end of an opening handshake on a transport.
#![forbid(unsafe_code)]

use super::deflate;
use super::outcome::{OpeningError, Progress};
use super::wire::{RECEIVE_BYTES, Wire, shared_methods};
use crate::handshake::{ClientHandshake, ClientRequest, HeadStatus, ReceivedResponse, ResponseFault};
use crate::protocol::{Config, Role, SharedConfig};
use crate::stream::{Turn, Wants};
use crate::transport::NonBlockingTransport;
use std::sync::Arc;
use std::{io, mem};

/// A client's opening handshake on a transport; see [`ServerOpening`](super::ServerOpening) for an example.
///
/// # Proxies, credentials, redirects
///
/// The transport can be any byte stream to the server: a socket or TLS, directly or through a proxy. To use a
/// proxy, complete its handshake (`CONNECT` or SOCKS) first. [`ClientRequest::basic_auth`] and
/// [`ClientRequest::header`] send credentials. If the server responds with a status other than 101, the error
/// is [`ResponseFault::Refused`], and [`response`](Self::response) returns the response. Redirects are not
/// followed automatically:
///
/// ```
/// use websocket_stream::handshake::{ClientRequest, ResponseFault};
/// use websocket_stream::transport::testing::memory;
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
    /// Begins the handshake on a transport that is connected. On Linux, a socket may still be connecting.
    ///
    /// Puts the transport into non-blocking mode and sets `TCP_NODELAY`.
    ///
    /// # Errors
    ///
    /// The system's error. If the request cannot be sent, an error of kind `InvalidInput` that contains the
    /// [`RequestError`](crate::handshake::RequestError).
    pub fn new(transport: T, request: ClientRequest) -> io::Result<Self> {
        Self::open(transport, request, SharedConfig::default())
    }

    /// Begins the handshake with a configuration that connections can share.
    ///
    /// # Errors
    ///
    /// See [`new`](Self::new).
    pub fn with_config(transport: T, request: ClientRequest, config: Arc<Config>) -> io::Result<Self> {
        Self::open(transport, request, SharedConfig::from(config))
    }

    /// Begins the handshake with bytes that were already received from the transport.
    ///
    /// For example those after the answer of a proxy.
    ///
    /// ```
    /// use websocket_stream::transport::testing::memory;
    /// use websocket_stream::{ClientOpening, ClientRequest, OpeningError, Scratch};
    ///
    /// let (a, _server) = memory::pair(4096);
    /// let request = ClientRequest::new("localhost", "/chat");
    /// let mut opening = ClientOpening::with_received(a, request, Default::default(), b"not HTTP")?;
    /// match opening.advance(&mut Scratch::new().at(0)) {
    ///     Err(OpeningError::Response(_)) => {}
    ///     progress => panic!("{progress:?}"),
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// See [`new`](Self::new). A faulty response is an error of [`advance`](Self::advance).
    pub fn with_received(
        transport: T,
        request: ClientRequest,
        config: Arc<Config>,
        received: &[u8],
    ) -> io::Result<Self> {
        let mut opening = Self::open(transport, request, SharedConfig::from(config))?;
        // Until the head is complete, nothing else is there.
        opening.wire.unread.extend_from_slice(received);
        Ok(opening)
    }

    fn open(transport: T, request: ClientRequest, config: SharedConfig) -> io::Result<Self> {
        let request = deflate::offer(request, config.get());
        let handshake = ClientHandshake::new(request, rand::random(), &config.get().limits)
            .map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
        let mut wire = Wire::new(transport, Role::Client, config)?;
        handshake.write_request(&mut wire.out);
        Ok(Self { wire, handshake })
    }

    /// Advances the handshake as far as possible without waiting.
    ///
    /// # Errors
    ///
    /// The reason why the connection cannot be opened. After [`ResponseFault::Refused`],
    /// [`response`](Self::response) returns the response, for example to follow a redirect. The `unread`
    /// bytes of [`into_parts`](Self::into_parts) are the beginning of its body.
    pub fn advance(&mut self, turn: &mut Turn<'_>) -> Result<Progress<'_>, OpeningError> {
        if let Some(finished) = self.wire.finished() {
            return finished;
        }
        let responded = match self.wire.is_late(turn.now) {
            true => Err(OpeningError::Timeout),
            false => self.respond(),
        };
        match responded {
            Ok(Some(wants)) => Ok(Progress::Pending(wants)),
            Ok(None) => Ok(self.wire.open()),
            Err(error) => Err(self.wire.fail(error)),
        }
    }

    /// Sends the request and receives the response. Returns what to wait for, or `None` if the connection
    /// is open.
    fn respond(&mut self) -> Result<Option<Wants>, OpeningError> {
        // A server may refuse before the whole request is sent, and then reset the connection. Then sending
        // fails, although the refusal has arrived.
        let mut failed = self.wire.flush().err();
        let received = mem::take(&mut self.wire.unread);
        if !received.is_empty() && self.answered(&received).map_err(OpeningError::Response)? {
            return Ok(None);
        }
        // Receive even if the request is not sent: the transport may need the peer's bytes first, for a TLS
        // handshake.
        let mut buffer = [0; RECEIVE_BYTES];
        loop {
            match (self.wire.receive(&mut buffer), failed) {
                (Ok(0), None) => match self.wire.pending_received() {
                    Ok(wants) => return Ok(Some(wants)),
                    // A refusal may have arrived meanwhile.
                    Err(error) => failed = Some(error),
                },
                (Ok(0) | Err(_), Some(failed)) => return Err(failed.into()),
                (Err(error), None) => return Err(error),
                (Ok(n), still) => {
                    if self.answered(&buffer[..n]).map_err(OpeningError::Response)? {
                        return Ok(None);
                    }
                    failed = still;
                }
            }
        }
    }

    /// Uses bytes of the response, keeps the bytes that follow it, and returns whether the connection is
    /// open.
    fn answered(&mut self, bytes: &[u8]) -> Result<bool, ResponseFault> {
        let received = self.handshake.receive(bytes);
        match received {
            Ok(HeadStatus::Partial) => return Ok(false),
            // After the head of a refusal, its body begins.
            Ok(HeadStatus::Complete { used }) | Err(ResponseFault::Refused { used, .. }) => {
                self.wire.unread.extend_from_slice(&bytes[used..]);
            }
            Err(_) => {}
        }
        received?;
        if !self.wire.is_all_taken() {
            return Err(ResponseFault::Early);
        }
        self.wire.negotiated = deflate::confirm(&self.handshake, self.wire.config.get())?;
        Ok(true)
    }

    /// Returns the subprotocol that the server chose.
    pub fn subprotocol(&self) -> Option<&str> {
        self.handshake.subprotocol()
    }

    /// Returns the server's response, of any status, after it has arrived.
    pub fn response(&self) -> Option<ReceivedResponse<'_>> {
        self.handshake.response()
    }
}

shared_methods!(ClientOpening);
