//! The server's end of an opening handshake whose HTTP messages another stack receives and sends.
#![forbid(unsafe_code)]

use super::deflate::{self, Negotiated};
use crate::handshake::{
    Answer, ParsedHandshake, ParsedRequest, Request, RequestFault, Response, ResponseError,
};
use crate::protocol::{Config, Connection, Role, SharedConfig};
use crate::stream::WebSocketStream;
use crate::transport::NonBlockingTransport;
use std::io;
use std::sync::Arc;

/// A request for a WebSocket that another HTTP stack has parsed, in HTTP/1.1 or HTTP/2.
///
/// The stack sends the answer. When the stack then returns the connection, or the stream of HTTP/2,
/// [`Accepted::into_stream`] makes a [`WebSocketStream`] of it.
///
/// ```
/// use websocket_stream::handshake::ParsedRequest;
/// use websocket_stream::{OriginPolicy, Upgrade};
///
/// let request = ParsedRequest::http11("GET", "/chat").headers([
///     ("host", &b"example.com"[..]),
///     ("upgrade", b"websocket"),
///     ("connection", b"Upgrade"),
///     ("sec-websocket-key", b"dGhlIHNhbXBsZSBub25jZQ=="),
///     ("sec-websocket-version", b"13"),
/// ]);
/// let upgrade = Upgrade::new(&request, Default::default())?;
/// let (answer, accepted) = upgrade.answer(&OriginPolicy::Same.answer(&upgrade.request()))?;
/// assert_eq!(answer.status(), 101); // the HTTP stack sends it
/// let accepted = accepted.ok_or("refused")?;
///
/// // The connection, and the bytes that the stack received after the request.
/// let (transport, unread) = websocket_stream::transport::testing::memory::pair(4096);
/// # let unread = { drop(unread); [0x82, 0x80, 0, 0, 0, 0] };
/// let mut stream = accepted.into_stream(transport, &unread)?;
/// assert_eq!(stream.read()?.1, b"");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Upgrade {
    handshake: ParsedHandshake,
    config: SharedConfig,
}

impl Upgrade {
    /// Judges a request by the rules of a [`ServerOpening`](super::ServerOpening).
    ///
    /// # Errors
    ///
    /// [`RequestFault`]; answer it with [`ParsedRequest::refuse`] and `Response::from(fault)`. It is
    /// [`RequestFault::NotAnUpgrade`] if the request is valid but does not ask for a WebSocket.
    pub fn new(request: &ParsedRequest<'_>, config: Arc<Config>) -> Result<Self, RequestFault> {
        let handshake = ParsedHandshake::new(request, &config.limits)?;
        match handshake.request().is_upgrade() {
            true => Ok(Self { handshake, config: SharedConfig::from(config) }),
            false => Err(RequestFault::NotAnUpgrade),
        }
    }

    /// Uses another configuration for the connection, such as one with compression.
    ///
    /// The limits of a head were those of the first.
    #[must_use]
    pub fn with_config(self, config: Arc<Config>) -> Self {
        Self { config: SharedConfig::from(config), ..self }
    }

    /// Returns the request.
    pub const fn request(&self) -> Request<'_> {
        self.handshake.request()
    }

    /// Returns the answer for the HTTP stack to send, and the connection that it opens if it
    /// [accepts](Response::accept) the request.
    ///
    /// With `Config::deflate`, an accepting answer enables compression if the client offers it, unless the
    /// response chooses extensions itself.
    ///
    /// # Errors
    ///
    /// [`ResponseError`] if the answer cannot be sent; call this again with another one.
    pub fn answer(&self, response: &Response) -> Result<(Answer, Option<Accepted>), ResponseError> {
        let accepted = deflate::accept(response, self.request(), self.config.get());
        let (response, negotiated) = match &accepted {
            Some((response, negotiated)) => (response, *negotiated),
            None => (response, Negotiated::default()),
        };
        let answer = self.handshake.answer(response)?;
        let accepted = response.is_accept().then(|| Accepted { config: self.config.clone(), negotiated });
        Ok((answer, accepted))
    }
}

/// A connection that an [`Upgrade`] has accepted, before its transport is there.
///
/// It can be moved to another thread or task.
///
/// ```
/// use std::{sync::mpsc, thread};
/// use websocket_stream::transport::testing::memory::{self, MemoryStream};
/// use websocket_stream::{Accepted, ParsedRequest, Response, Upgrade};
///
/// let (sender, receiver) = mpsc::channel::<(Accepted, MemoryStream)>();
/// let worker = thread::spawn(move || {
///     let (accepted, transport) = receiver.recv().map_err(std::io::Error::other)?;
///     Ok::<_, std::io::Error>(accepted.into_stream(transport, &[])?.role())
/// });
/// let request = ParsedRequest::http2("CONNECT", "example.com", "/chat", "websocket")
///     .header("sec-websocket-version", "13");
/// let upgrade = Upgrade::new(&request, Default::default())?;
/// let (_answer, accepted) = upgrade.answer(&Response::accept())?;
/// sender.send((accepted.ok_or("refused")?, memory::pair(4096).0))?;
/// assert_eq!(worker.join().expect("no panic")?, websocket_stream::Role::Server);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Accepted {
    config: SharedConfig,
    negotiated: Negotiated,
}

impl Accepted {
    /// Creates the stream, with the agreed compression.
    ///
    /// `unread` are the bytes that the HTTP stack has received after the request. Puts the transport into
    /// non-blocking mode and sets `TCP_NODELAY`. Drive the stream at once, with any
    /// [`Ready`](crate::Ready), because more bytes may have arrived.
    ///
    /// # Errors
    ///
    /// The system's error, with its errno, if one of the two options cannot be set.
    pub fn into_stream<T: NonBlockingTransport>(
        self,
        mut transport: T,
        unread: &[u8],
    ) -> io::Result<WebSocketStream<T>> {
        transport.set_nonblocking()?;
        transport.set_nodelay()?;
        let connection = self.negotiated.apply_to(Connection::from_shared(Role::Server, self.config));
        Ok(WebSocketStream::from_opening(transport, connection, unread))
    }
}
