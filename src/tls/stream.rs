//! The TLS stream: rustls between a transport and its caller.
//!
//! ```text
//! recv:  transport -> incoming (thread) -> rustls -> caller's buffer, or kept
//! send:  caller's bytes -> rustls -> outgoing (thread) -> transport, or kept
//! ```

use super::bytes::{Bytes, Kept, Received, with_thread_buffers};
use super::engine::{Engine, Sink};
use crate::transport::NonBlockingTransport;
use rustls::client::UnbufferedClientConnection;
use rustls::pki_types::ServerName;
use rustls::server::UnbufferedServerConnection;
use rustls::{ClientConfig, CommonState, ServerConfig};
use std::fmt;
use std::io::{self, ErrorKind, IoSlice};
use std::sync::Arc;

/// A TLS connection on a transport, of either role.
///
/// It keeps the laws of [`NonBlockingTransport`]. The handshake advances with each call, so an opening on it
/// needs no step of its own. Bytes sent before its end wait for it.
///
/// # Errors
///
/// A fault of the peer, such as an untrusted certificate, is an error of kind `InvalidData` that contains the
/// [`rustls::Error`]; the peer receives the alert first. An end of the stream that the peer has not announced
/// is an error of kind `UnexpectedEof`, because a third party may have cut the stream off.
///
/// ```
/// # #[cfg(feature = "ring")] {
/// # use rustls::pki_types::ServerName;
/// # use std::sync::Arc;
/// use std::io::ErrorKind;
/// use websocket_stream::NonBlockingTransport;
/// use websocket_stream::tls::TlsStream;
/// use websocket_stream::transport::testing::memory;
///
/// let provider = Arc::new(rustls::crypto::ring::default_provider());
/// let config = rustls::ClientConfig::builder_with_provider(provider)
///     .with_safe_default_protocol_versions()?
///     .with_root_certificates(rustls::RootCertStore::empty())
///     .with_no_client_auth();
/// let (a, mut b) = memory::pair(4096);
/// let mut tls = TlsStream::client(a, Arc::new(config), ServerName::try_from("example.com")?)?;
///
/// tls.flush()?; // sends the first message of the handshake
/// assert_eq!(tls.recv(&mut [0; 100]).unwrap_err().kind(), ErrorKind::WouldBlock);
/// b.send(b"HTTP/1.1 400 Bad Request\r\n\r\n")?;
/// let error = tls.recv(&mut [0; 100]).unwrap_err();
/// assert_eq!(error.kind(), ErrorKind::InvalidData);
/// assert!(error.get_ref().is_some_and(|inner| inner.is::<rustls::Error>()));
/// # }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct TlsStream<T> {
    pub(super) transport: T,
    pub(super) engine: Engine,
    pub(super) kept: Option<Box<Kept>>,
    /// No bytes have arrived yet.
    pub(super) fresh: bool,
    pub(super) broken: bool,
    pub(super) end: End,
    pub(super) shutdown: Shutdown,
}

/// The end of the peer's direction.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum End {
    Open,
    /// Announced by the peer; the caller does not know it yet.
    Waits,
    Reported,
    /// A server has refused plain HTTP, and discards up to this number of bytes before it reports the error.
    Refused(usize),
}

/// The progress of ending this end's direction.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Shutdown {
    Open,
    /// The announcement is still to be made.
    Asked,
    /// The announcement is still to be sent.
    Announced,
    Done,
}

impl<T> TlsStream<T> {
    /// Makes a client's connection to the server of this name, which its certificate must have.
    ///
    /// # Errors
    ///
    /// rustls' error, if the configuration cannot be used.
    pub fn client(
        transport: T,
        config: Arc<ClientConfig>,
        name: ServerName<'static>,
    ) -> Result<Self, rustls::Error> {
        let engine = Engine::Client(UnbufferedClientConnection::new(config, name)?);
        let mut stream = Self::new(transport, engine);
        // Makes the first message.
        stream.process_kept();
        Ok(stream)
    }

    /// Makes a server's connection.
    ///
    /// A client that speaks HTTP without TLS receives status 400. The error is of kind `InvalidData`, when
    /// the client has ended the connection or has sent another 64 KiB.
    ///
    /// # Errors
    ///
    /// rustls' error, if the configuration cannot be used.
    pub fn server(transport: T, config: Arc<ServerConfig>) -> Result<Self, rustls::Error> {
        Ok(Self::new(transport, Engine::Server(UnbufferedServerConnection::new(config)?)))
    }

    /// Adds bytes that were received from the transport before, such as those after a proxy's header.
    #[must_use]
    pub fn with_received(mut self, bytes: &[u8]) -> Self {
        if !bytes.is_empty() {
            self.kept_mut().incoming.extend_from_slice(bytes);
        }
        self
    }

    fn new(transport: T, engine: Engine) -> Self {
        Self {
            transport,
            engine,
            kept: None,
            fresh: true,
            broken: false,
            end: End::Open,
            shutdown: Shutdown::Open,
        }
    }

    /// Returns the transport below.
    pub fn get_ref(&self) -> &T {
        &self.transport
    }

    /// Returns the transport below, mutably, for example to register it with a poller.
    pub fn get_mut(&mut self) -> &mut T {
        &mut self.transport
    }

    /// Replaces the transport below by another that continues its byte stream.
    ///
    /// For example to register a socket with another poller.
    ///
    /// # Errors
    ///
    /// The error of `replace`, after which the connection is lost.
    pub fn map_transport<U>(self, replace: impl FnOnce(T) -> io::Result<U>) -> io::Result<TlsStream<U>> {
        let Self { transport, engine, kept, fresh, broken, end, shutdown } = self;
        let transport = replace(transport)?;
        Ok(TlsStream { transport, engine, kept, fresh, broken, end, shutdown })
    }

    /// Returns what the handshake has negotiated: version, cipher suite, ALPN protocol, the peer's
    /// certificates, and whether a session was resumed.
    pub fn common_state(&self) -> &CommonState {
        self.engine.common_state()
    }

    pub(super) fn kept_mut(&mut self) -> &mut Kept {
        self.kept.get_or_insert_default()
    }

    /// Frees the memory for kept bytes if there are none.
    pub(super) fn shrink(&mut self) {
        if self.kept.as_ref().is_some_and(|kept| kept.is_empty()) {
            self.kept = None;
        }
    }

    pub(super) fn has_outgoing(&self) -> bool {
        self.kept.as_ref().is_some_and(|kept| !kept.outgoing.is_empty())
    }

    /// Lets rustls process the kept records, and keeps the records that it makes.
    fn process_kept(&mut self) {
        with_thread_buffers(|buffers| {
            let mut received = Received::new(&mut []);
            // There are no records yet, so there is no fault.
            let _ = self.process(&mut Vec::new(), &mut received, &mut buffers.outgoing);
            let outgoing = buffers.outgoing.as_slice();
            if !outgoing.is_empty() {
                self.kept_mut().outgoing.push(outgoing);
            }
        });
    }

    /// Lets rustls process records, and returns the number of bytes that are used up.
    pub(super) fn process(
        &mut self,
        records: &mut [u8],
        received: &mut Received<'_>,
        outgoing: &mut Bytes,
    ) -> (usize, io::Result<()>) {
        let mut unused = Default::default();
        let rest = match &mut self.kept {
            Some(kept) => &mut kept.plaintext,
            None => &mut unused,
        };
        let outcome = self.engine.receive(records, &mut Sink { received, rest, outgoing });
        if !unused.is_empty() {
            self.kept_mut().plaintext = unused;
        }
        if outcome.ended && self.end == End::Open {
            self.end = End::Waits;
        }
        let result = outcome.result.map_err(|error| {
            self.broken = true;
            io::Error::new(ErrorKind::InvalidData, error)
        });
        (outcome.used, result)
    }
}

/// Not inlined: a caller may have plain transports as well, whose code would become larger.
impl<T: NonBlockingTransport> NonBlockingTransport for TlsStream<T> {
    fn set_nonblocking(&mut self) -> io::Result<()> {
        self.transport.set_nonblocking()
    }

    fn set_nodelay(&mut self) -> io::Result<()> {
        self.transport.set_nodelay()
    }

    #[inline(never)]
    fn recv(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        let mut received = Received::new(buffer);
        let result = self.receive(&mut received);
        let filled = received.filled;
        match result {
            Ok(()) => {}
            Err(error) if filled == 0 => return Err(error),
            // No readiness event will announce it again.
            Err(error) => self.kept_mut().failure = Some(error),
        }
        self.shrink();
        match self.end {
            _ if filled > 0 => Ok(filled),
            End::Open | End::Refused(_) => Err(ErrorKind::WouldBlock.into()),
            End::Waits | End::Reported => {
                self.end = End::Reported;
                Ok(0)
            }
        }
    }

    #[inline(never)]
    fn send(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.send_vectored(&[IoSlice::new(bytes)])
    }

    #[inline(never)]
    fn send_vectored(&mut self, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
        if self.shutdown != Shutdown::Open || self.broken {
            return Err(ErrorKind::BrokenPipe.into());
        }
        if pieces.iter().all(|piece| piece.is_empty()) {
            return Ok(0);
        }
        self.flush_outgoing()?;
        if self.engine.common_state().is_handshaking() {
            return self.keep_early(pieces);
        }
        with_thread_buffers(|buffers| match self.has_outgoing() {
            true => self.keep_pieces(pieces, buffers),
            false => self.send_pieces(pieces, buffers),
        })
    }

    #[inline(never)]
    fn shutdown_write(&mut self) -> io::Result<()> {
        if self.shutdown != Shutdown::Open {
            return Ok(());
        }
        self.shutdown = Shutdown::Asked;
        let announced = match self.broken {
            true => {
                self.shutdown = Shutdown::Announced;
                self.flush_outgoing()
            }
            false => with_thread_buffers(|buffers| self.after_handshake(&mut buffers.outgoing)),
        };
        match announced {
            // There is nobody left to notify.
            Err(error) if matches!(error.kind(), ErrorKind::BrokenPipe | ErrorKind::ConnectionReset) => {
                Ok(())
            }
            announced => announced,
        }
    }

    fn holds_input(&self) -> bool {
        let holds = |kept: &Kept| !kept.plaintext.is_empty() || kept.failure.is_some();
        self.end == End::Waits || self.kept.as_deref().is_some_and(holds)
    }

    fn wants_write(&self) -> bool {
        self.has_outgoing() || self.transport.wants_write()
    }

    #[inline(never)]
    fn flush(&mut self) -> io::Result<()> {
        self.flush_outgoing()?;
        if self.transport.wants_write() {
            self.transport.flush()?;
            self.finish_shutdown()?;
        }
        if self.wants_write() { Err(ErrorKind::WouldBlock.into()) } else { Ok(()) }
    }
}

impl<T: fmt::Debug> fmt::Debug for TlsStream<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsStream")
            .field("transport", &self.transport)
            .field("version", &self.common_state().protocol_version())
            .field("is_handshaking", &self.common_state().is_handshaking())
            .finish_non_exhaustive()
    }
}
