//! The opening handshake on a transport, the client's end.
#![forbid(unsafe_code)]

#[cfg(feature = "deflate")]
use super::wire::deflate_params;
use super::wire::{RECEIVE_BYTES, Wire, head_limits};
use super::{OpeningError, Progress};
use crate::handshake::Received as Head;
use crate::handshake::{ClientHandshake, ClientRequest, ReceivedResponse, ResponseFault};
use crate::protocol::{Config, Role, SharedConfig};
use crate::stream::{Interest, Turn};
use crate::transport::NonBlockingTransport;
use std::io;
use std::sync::Arc;

/// A client's opening handshake; see [`ServerOpening`](super::ServerOpening) for an example.
///
/// # Proxies, credentials, redirects
///
/// It begins on any transport that carries bytes to the server: a socket, TLS on one, or either of them
/// behind a proxy. Ask the proxy for the way (`CONNECT`, SOCKS) on the socket first, and begin where it
/// has answered. [`ClientRequest::basic_auth`] and [`ClientRequest::header`] say who asks. A server that
/// answers with anything but 101 is [`ResponseFault::Refused`]; its [`response`](Self::response) says
/// where to go instead, or what to show, and nothing is followed by itself:
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
        let mut wire = Wire::new(transport, Role::Client, config)?;
        handshake.write_request(&mut wire.out);
        Ok(Self { wire, handshake })
    }

    /// Goes on as far as it can without waiting.
    ///
    /// # Errors
    ///
    /// Why there will be no WebSocket. After [`ResponseFault::Refused`] the
    /// [`response`](Self::response) can be looked at, to follow a redirect, say; its body begins with the
    /// `unread` bytes of [`into_parts`](Self::into_parts).
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

    /// Sends the request and takes the response, as far as they go: what to wait for, or nothing if the
    /// connection is open.
    fn respond(&mut self) -> Result<Option<Interest>, OpeningError> {
        // A server may answer before all of the request is sent, to refuse it, and then reset the
        // connection: the answer has arrived though sending fails.
        let mut failed = self.wire.flush().err();
        // What a transport holds or does not take may wait for what the peer has to say first, as in TLS's
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

    /// Takes bytes of the response, and what lies behind it. Whether it has opened the connection.
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

    /// What the server agreed on.
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

    /// The subprotocol that the server chose.
    pub fn subprotocol(&self) -> Option<&str> {
        self.handshake.subprotocol()
    }

    /// The server's response, once it is there, whatever its status.
    pub fn response(&self) -> Option<ReceivedResponse<'_>> {
        self.handshake.response()
    }
}

shared_methods!(ClientOpening);
