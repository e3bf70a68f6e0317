//! A transport that checks its caller.

use std::io::{self, ErrorKind, IoSlice};
use websocket_stream::transport::NonBlockingTransport;
use websocket_stream::transport::faulty::Faulty;
use websocket_stream::transport::memory::MemoryStream;

/// Fails the test if a caller continues with a direction that has failed, ended or refused.
pub(crate) struct Watched {
    pub(crate) inner: Faulty<MemoryStream>,
    failed: bool,
    ended: bool,
    shut: bool,
    /// It did not take all bytes in this call on the stream, so it must not be called again.
    pub(crate) refused: bool,
}

impl Watched {
    pub(crate) fn new(inner: Faulty<MemoryStream>) -> Self {
        Watched { inner, failed: false, ended: false, shut: false, refused: false }
    }

    /// What a poller would report: readable, writable.
    pub(crate) fn readiness(&self) -> (bool, bool) {
        use websocket_stream::transport::faulty::Disaster;
        let Some(inner) = self.inner.get_ref() else { return (true, true) };
        match self.inner.happened() {
            None | Some(Disaster::Reset) => (inner.is_readable(), inner.is_writable()),
            Some(Disaster::BrokenPipe) => (inner.is_readable(), true),
            Some(Disaster::Silence) => (false, false),
            Some(_) => (true, inner.is_writable()),
        }
    }

    fn before_send(&self) {
        assert!(!self.failed, "sent on a transport that has failed");
        assert!(!self.shut, "sent after the end of its direction");
        assert!(!self.refused, "sent again after a refusal in this call");
    }

    fn after_send(&mut self, given: usize, sent: io::Result<usize>) -> io::Result<usize> {
        match &sent {
            Ok(n) => self.refused = *n < given,
            Err(error) => self.failure(error),
        }
        sent
    }

    fn failure(&mut self, error: &io::Error) {
        match error.kind() {
            ErrorKind::WouldBlock => self.refused = true,
            ErrorKind::Interrupted => {}
            _ => self.failed = true,
        }
    }
}

impl NonBlockingTransport for Watched {
    fn set_nonblocking(&mut self) -> io::Result<()> {
        self.inner.set_nonblocking()
    }

    fn recv(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        assert!(!self.ended, "received after the end of the stream");
        assert!(!buffer.is_empty(), "received into an empty buffer");
        let received = self.inner.recv(buffer);
        match &received {
            Ok(n) => self.ended = *n == 0,
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(error) => self.failure(error),
        }
        received
    }

    fn send(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.before_send();
        let sent = self.inner.send(bytes);
        self.after_send(bytes.len(), sent)
    }

    fn send_vectored(&mut self, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
        self.before_send();
        let sent = self.inner.send_vectored(pieces);
        self.after_send(pieces.iter().map(|piece| piece.len()).sum(), sent)
    }

    fn shutdown_write(&mut self) -> io::Result<()> {
        self.shut = true;
        self.inner.shutdown_write()
    }
}
