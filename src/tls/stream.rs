//! The TLS stream: rustls between a transport and its caller.
//!
//! ```text
//! recv:  transport -> incoming (thread) -> rustls -> caller's buffer, or kept
//! send:  caller's bytes -> rustls -> outgoing (thread) -> transport, or kept
//! ```

use super::bytes::{Bytes, Kept, Received, ThreadBuffers, with_thread_buffers};
use super::engine::{Engine, FULL_RECORD, Sink};
use super::pieces::Pieces;
use crate::transport::NonBlockingTransport;
use rustls::client::UnbufferedClientConnection;
use rustls::pki_types::ServerName;
use rustls::server::UnbufferedServerConnection;
use rustls::unbuffered::EncryptError;
use rustls::{ClientConfig, CommonState, ServerConfig};
use std::fmt;
use std::io::{self, ErrorKind, IoSlice};
use std::sync::Arc;

/// What a record of TLS 1.3 has in addition to its plaintext: header, type and tag.
const OVERHEAD: usize = 22;

/// The bytes of records received at once: exactly four full ones of TLS 1.3. A stream of full records is then
/// received record by record, and no part of one is kept.
const RECEIVE: usize = 4 * (FULL_RECORD + OVERHEAD);

/// The smallest room for records, so that a caller with a small buffer does not cost a system call for each
/// part of a record.
const LEAST_ROOM: usize = 4 << 10;

/// The plaintext that is encrypted before records are sent: the limit of the records that are kept if the
/// transport takes none, except for one more.
const SEND: usize = 64 << 10;

/// The limit of plaintext that waits for the end of the handshake: room for the opening request.
const EARLY: usize = 64 << 10;

/// The length of a record's header.
const HEADER: usize = 5;

/// The answer to a client that speaks HTTP without TLS.
const PLAIN_HTTP: &[u8] = b"HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\n\
    Content-Length: 53\r\nConnection: close\r\n\r\nPlain HTTP was sent to a port that expects HTTPS/WSS\n";

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
    transport: T,
    engine: Engine,
    kept: Option<Box<Kept>>,
    /// No bytes have arrived yet.
    fresh: bool,
    broken: bool,
    end: End,
    shutdown: Shutdown,
}

/// The end of the peer's direction.
#[derive(Debug, Clone, Copy, PartialEq)]
enum End {
    Open,
    /// Announced by the peer; the caller does not know it yet.
    Waits,
    Reported,
}

/// The progress of ending this end's direction.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Shutdown {
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
    /// A client that speaks HTTP without TLS receives status 400, and the error is of kind `InvalidData`.
    ///
    /// # Errors
    ///
    /// rustls' error, if the configuration cannot be used.
    pub fn server(transport: T, config: Arc<ServerConfig>) -> Result<Self, rustls::Error> {
        Ok(Self::new(transport, Engine::Server(UnbufferedServerConnection::new(config)?)))
    }

    /// Adds bytes that were received from the transport before, such as those behind a proxy's header.
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

    /// Returns what the handshake has negotiated: version, cipher suite, ALPN protocol, the peer's
    /// certificates, and whether a session was resumed.
    pub fn common_state(&self) -> &CommonState {
        self.engine.common_state()
    }

    fn kept_mut(&mut self) -> &mut Kept {
        self.kept.get_or_insert_default()
    }

    /// Frees the memory for kept bytes if there are none.
    fn shrink(&mut self) {
        if self.kept.as_ref().is_some_and(|kept| kept.is_empty()) {
            self.kept = None;
        }
    }

    fn has_outgoing(&self) -> bool {
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
    fn process(
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

impl<T: NonBlockingTransport> TlsStream<T> {
    /// Receives until the caller's buffer is full or the transport is empty. After fewer bytes than
    /// requested, the caller waits for the next readiness event (law 11), so nothing may be left in the
    /// transport then.
    fn receive(&mut self, received: &mut Received<'_>) -> io::Result<()> {
        self.take_plaintext(received);
        if let Some(failure) = self.kept.as_mut().and_then(|kept| kept.failure.take()) {
            return Err(failure);
        }
        if self.broken {
            return Err(ErrorKind::InvalidData.into());
        }
        let mut more = true;
        while more && received.room() > 0 && self.end == End::Open {
            more = with_thread_buffers(|buffers| self.receive_once(received, buffers))?;
        }
        Ok(())
    }

    /// Receives once, and returns whether the transport may have more.
    fn receive_once(
        &mut self,
        received: &mut Received<'_>,
        ThreadBuffers { incoming, outgoing, .. }: &mut ThreadBuffers,
    ) -> io::Result<bool> {
        let held = self.kept.as_ref().map_or(0, |kept| kept.incoming.len());
        // Room for what was kept, which is copied there only if a whole record can be processed.
        incoming.room(held);
        incoming.add(held);
        // Records whose plaintext the caller has room for.
        let plaintext = received.room().min(RECEIVE);
        let room = (plaintext + plaintext.div_ceil(FULL_RECORD) * OVERHEAD).clamp(LEAST_ROOM, RECEIVE);
        let n = match self.transport.recv(&mut incoming.room(room)[..room]) {
            Ok(0) => return self.cut_off().map(|()| false),
            Ok(n) => n,
            // With bytes that were received before the first call, there is something to process.
            Err(error) if error.kind() == ErrorKind::WouldBlock && self.fresh && held > 0 => 0,
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                self.flush_outgoing()?;
                return Ok(false);
            }
            Err(error) => return Err(error),
        };
        incoming.add(n);
        let more = n == room || self.transport.holds_input();
        let records = incoming.as_mut_slice();
        if let Some(kept) = &mut self.kept
            && held > 0
        {
            if record_len(&kept.incoming).is_some_and(|len| held + n < len) {
                kept.incoming.extend_from_slice(&records[held..]);
                return Ok(more);
            }
            records[..held].copy_from_slice(&kept.incoming);
            kept.incoming.clear();
        }
        if std::mem::take(&mut self.fresh) && self.engine.is_server() && is_http(records) {
            return Err(self.refuse_plain_http());
        }
        let (used, result) = self.process(records, received, outgoing);
        if used < records.len() && result.is_ok() && self.end == End::Open {
            self.kept_mut().incoming.extend_from_slice(&records[used..]);
        }
        // Automatic answers, including the alert that reports a fault to the peer.
        let sent = self.send_records(outgoing);
        result.and(sent)?;
        self.after_handshake(outgoing)?;
        Ok(more)
    }

    /// Handles the end of the transport's stream, which the peer must have announced.
    fn cut_off(&mut self) -> io::Result<()> {
        self.broken = true;
        Err(io::Error::new(ErrorKind::UnexpectedEof, "TLS stream ended without close_notify"))
    }

    /// Answers a client that does not speak TLS, and ends the stream.
    fn refuse_plain_http(&mut self) -> io::Error {
        self.broken = true;
        // If they fail, the client does not receive the answer.
        let _ = self.transport.send(PLAIN_HTTP);
        let _ = self.transport.shutdown_write();
        io::Error::new(ErrorKind::InvalidData, "plain HTTP on a TLS port")
    }

    fn take_plaintext(&mut self, received: &mut Received<'_>) {
        if let Some(kept) = &mut self.kept {
            let n = received.push(kept.plaintext.as_slice());
            kept.plaintext.consume(n);
        }
    }

    /// Sends what waited for the end of the handshake.
    fn after_handshake(&mut self, outgoing: &mut Bytes) -> io::Result<()> {
        if self.engine.common_state().is_handshaking() {
            return Ok(());
        }
        if let Some(kept) = &mut self.kept
            && !kept.early.is_empty()
        {
            let early = std::mem::take(&mut kept.early);
            self.encrypt(&early, outgoing)?;
            self.send_records(outgoing)?;
        }
        if self.shutdown == Shutdown::Asked {
            self.announce_end(outgoing)?;
        }
        Ok(())
    }

    fn encrypt(&mut self, plaintext: &[u8], outgoing: &mut Bytes) -> io::Result<()> {
        let incoming = self.kept.as_mut().map_or(&mut [][..], |kept| &mut kept.incoming);
        self.engine.encrypt(incoming, plaintext, outgoing).map_err(exhausted)
    }

    /// Announces the end of this direction, behind all records before it.
    fn announce_end(&mut self, outgoing: &mut Bytes) -> io::Result<()> {
        self.shutdown = Shutdown::Announced;
        let incoming = self.kept.as_mut().map_or(&mut [][..], |kept| &mut kept.incoming);
        self.engine.close_notify(incoming, outgoing).map_err(exhausted)?;
        self.send_records(outgoing)
    }

    /// Sends new records behind the kept ones, and keeps those that the transport does not take.
    fn send_records(&mut self, records: &mut Bytes) -> io::Result<()> {
        if self.has_outgoing() {
            self.kept_mut().outgoing.push(records.as_slice());
            records.clear();
            return self.flush_outgoing();
        }
        let mut sent = 0;
        let result = send_all(&mut self.transport, records.as_slice(), &mut sent);
        if result.is_ok() && sent < records.as_slice().len() {
            self.kept_mut().outgoing.push(&records.as_slice()[sent..]);
        }
        records.clear();
        result?;
        self.finish_shutdown()
    }

    /// Sends the kept records, as many as the transport takes.
    fn flush_outgoing(&mut self) -> io::Result<()> {
        if let Some(kept) = &mut self.kept
            && !kept.outgoing.is_empty()
        {
            let mut sent = 0;
            let result = send_all(&mut self.transport, kept.outgoing.as_slice(), &mut sent);
            kept.outgoing.consume(sent);
            result?;
            self.shrink();
        }
        self.finish_shutdown()
    }

    /// Shuts the transport down after the announcement was sent.
    fn finish_shutdown(&mut self) -> io::Result<()> {
        if self.shutdown == Shutdown::Announced && !self.has_outgoing() && !self.transport.wants_write() {
            self.shutdown = Shutdown::Done;
            self.transport.shutdown_write()?;
        }
        Ok(())
    }

    /// Encrypts and sends pieces, until the transport does not take all. Returns the number of bytes that
    /// were encrypted.
    fn send_pieces(&mut self, pieces: &[IoSlice<'_>], buffers: &mut ThreadBuffers) -> io::Result<usize> {
        let mut pieces = Pieces::new(pieces);
        let mut taken = 0;
        loop {
            let mut encrypted = 0;
            while encrypted < SEND
                && let Some(plaintext) = pieces.next(SEND - encrypted, &mut buffers.gathered)
            {
                self.encrypt(plaintext, &mut buffers.outgoing)?;
                encrypted += plaintext.len();
            }
            if encrypted == 0 {
                return Ok(taken);
            }
            match self.send_records(&mut buffers.outgoing) {
                Err(error) if taken == 0 => return Err(error),
                // Report the bytes taken first. The next call returns an error again.
                Err(_) => return Ok(taken),
                Ok(()) => taken += encrypted,
            }
            if self.has_outgoing() {
                return Ok(taken);
            }
        }
    }

    /// Keeps plaintext until the handshake is complete.
    fn keep_early(&mut self, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
        let early = &mut self.kept_mut().early;
        let before = early.len();
        for piece in pieces {
            let room = EARLY - early.len();
            early.extend_from_slice(&piece[..piece.len().min(room)]);
        }
        match early.len() - before {
            0 => Err(ErrorKind::WouldBlock.into()),
            n => Ok(n),
        }
    }
}

impl<T: NonBlockingTransport> NonBlockingTransport for TlsStream<T> {
    fn set_nonblocking(&mut self) -> io::Result<()> {
        self.transport.set_nonblocking()
    }

    fn set_nodelay(&mut self) -> io::Result<()> {
        self.transport.set_nodelay()
    }

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
            End::Open => Err(ErrorKind::WouldBlock.into()),
            End::Waits | End::Reported => {
                self.end = End::Reported;
                Ok(0)
            }
        }
    }

    fn send(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.send_vectored(&[IoSlice::new(bytes)])
    }

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
        if self.has_outgoing() {
            return Err(ErrorKind::WouldBlock.into());
        }
        with_thread_buffers(|buffers| self.send_pieces(pieces, buffers))
    }

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

/// Sends bytes, as many as the transport takes now, and adds their number to `sent`.
fn send_all<T: NonBlockingTransport>(transport: &mut T, bytes: &[u8], sent: &mut usize) -> io::Result<()> {
    if bytes.is_empty() {
        return Ok(());
    }
    match transport.send(bytes) {
        Ok(n) => *sent += n,
        Err(error) if error.kind() == ErrorKind::WouldBlock => {}
        Err(error) => return Err(error),
    }
    Ok(())
}

/// Returns the length of the first record, header included, if its header is there.
fn record_len(records: &[u8]) -> Option<usize> {
    let &[_, _, _, high, low] = records.first_chunk::<HEADER>()?;
    Some(HEADER + usize::from(u16::from_be_bytes([high, low])))
}

/// Returns whether a client's first bytes begin an HTTP request. A TLS record never begins with a letter.
fn is_http(bytes: &[u8]) -> bool {
    bytes.first().is_some_and(u8::is_ascii_uppercase)
}

fn exhausted(_: EncryptError) -> io::Error {
    io::Error::other("TLS keys are used up")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_answer_to_plain_http_has_the_length_it_claims() {
        let text = std::str::from_utf8(PLAIN_HTTP).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        assert!(head.contains(&format!("Content-Length: {}\r\n", body.len())), "{}", body.len());
    }
}
