//! TLS over any transport, by rustls, as a transport that obeys the laws of [`NonBlockingTransport`].
//!
//! Copy this file, and pass in your configuration: TLS is not built into the library, so that you can choose.

use rustls::Connection;
use std::io::{self, ErrorKind, Read, Write};
use websocket_stream::NonBlockingTransport;

/// The limit of plaintext that waits to be encrypted, and of ciphertext to be sent: room for the opening
/// request, which waits for the TLS handshake.
const BUFFERED: usize = 64 << 10;

/// A TLS connection on a transport.
pub(crate) struct Tls<T> {
    socket: T,
    tls: Connection,
    /// Bytes that are decrypted but not yet returned.
    decrypted: usize,
    /// Whether the peer has ended its direction, and that is not yet returned.
    end_waits: bool,
    /// An error that follows bytes which were returned first.
    failed: Option<io::Error>,
    shutdown: Shutdown,
}

/// The progress of ending this end's direction.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Shutdown {
    Open,
    /// The peer is still to be notified.
    Asked,
    /// The notification is still to be sent.
    Queued,
    Done,
}

impl<T: NonBlockingTransport> Tls<T> {
    /// Makes a client's or a server's connection on a transport.
    pub(crate) fn new(socket: T, tls: impl Into<Connection>) -> Self {
        let mut tls = tls.into();
        tls.set_buffer_limit(Some(BUFFERED));
        let shutdown = Shutdown::Open;
        Self { socket, tls, decrypted: 0, end_waits: false, failed: None, shutdown }
    }

    /// The transport below, to register it with a poller.
    #[allow(dead_code, reason = "this example has no poller")]
    pub(crate) fn get_ref(&self) -> &T {
        &self.socket
    }

    /// Receives until `buffer` is full or the socket is empty. After fewer bytes than requested, the caller
    /// waits for the next readiness event (law 11), so nothing may be left in the socket then.
    fn receive(&mut self, buffer: &mut [u8], filled: &mut usize) -> io::Result<()> {
        loop {
            match self.tls.reader().read(&mut buffer[*filled..]) {
                // The peer has announced the end of its direction.
                Ok(0) => return Ok(()),
                Ok(n) => {
                    *filled += n;
                    self.decrypted = self.decrypted.saturating_sub(n);
                    if *filled == buffer.len() {
                        return Ok(());
                    }
                    continue;
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                // The stream ended without an announcement: a third party may have cut it off.
                Err(error) => return Err(error),
            }
            self.tls.read_tls(&mut Records(&mut self.socket))?;
            let state = self.tls.process_new_packets();
            // Automatic answers, including the alert that reports a fault to the peer.
            self.send_records()?;
            let state = state.map_err(|error| io::Error::new(ErrorKind::InvalidData, error))?;
            self.decrypted = state.plaintext_bytes_to_read();
            self.end_waits = state.peer_has_closed();
        }
    }

    /// Sends encrypted bytes, as many as the socket takes.
    fn send_records(&mut self) -> io::Result<()> {
        if self.shutdown == Shutdown::Asked && !self.tls.is_handshaking() {
            self.tls.send_close_notify();
            self.shutdown = Shutdown::Queued;
        }
        while self.tls.wants_write() {
            match self.tls.write_tls(&mut Records(&mut self.socket)) {
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            }
        }
        if self.shutdown == Shutdown::Queued && !self.socket.wants_write() {
            self.shutdown = Shutdown::Done;
            self.socket.shutdown_write()?;
        }
        Ok(())
    }
}

impl<T: NonBlockingTransport> NonBlockingTransport for Tls<T> {
    fn set_nonblocking(&mut self) -> io::Result<()> {
        self.socket.set_nonblocking()
    }

    fn set_nodelay(&mut self) -> io::Result<()> {
        self.socket.set_nodelay()
    }

    fn recv(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        if let Some(error) = self.failed.take() {
            return Err(error);
        }
        let mut filled = 0;
        match self.receive(buffer, &mut filled) {
            Ok(()) if filled == 0 => self.end_waits = false,
            Ok(()) => {}
            Err(error) if filled == 0 => return Err(error),
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            // No readiness event will announce it again.
            Err(error) => self.failed = Some(error),
        }
        Ok(filled)
    }

    fn send(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.shutdown != Shutdown::Open {
            return Err(ErrorKind::BrokenPipe.into());
        }
        let mut taken = 0;
        while taken < bytes.len() {
            // Sending encrypted bytes makes room.
            let n = self.tls.writer().write(&bytes[taken..])?;
            self.send_records()?;
            match n {
                0 if taken == 0 => return Err(ErrorKind::WouldBlock.into()),
                0 => break,
                n => taken += n,
            }
        }
        Ok(taken)
    }

    fn shutdown_write(&mut self) -> io::Result<()> {
        if self.shutdown == Shutdown::Open {
            self.shutdown = Shutdown::Asked;
        }
        match self.send_records() {
            // There is nobody left to notify.
            Err(error) if matches!(error.kind(), ErrorKind::BrokenPipe | ErrorKind::ConnectionReset) => {
                Ok(())
            }
            sent => sent,
        }
    }

    fn holds_input(&self) -> bool {
        self.decrypted > 0 || self.end_waits || self.failed.is_some()
    }

    fn wants_write(&self) -> bool {
        let shuts_down = matches!(self.shutdown, Shutdown::Asked | Shutdown::Queued);
        self.tls.wants_write() || self.socket.wants_write() || shuts_down
    }

    fn flush(&mut self) -> io::Result<()> {
        self.send_records()?;
        if self.socket.wants_write() {
            self.socket.flush()?;
            self.send_records()?;
        }
        if self.wants_write() { Err(ErrorKind::WouldBlock.into()) } else { Ok(()) }
    }
}

/// The transport below, in the form that rustls expects.
struct Records<'a, T>(&'a mut T);

impl<T: NonBlockingTransport> Read for Records<'_, T> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.recv(buffer)
    }
}

impl<T: NonBlockingTransport> Write for Records<'_, T> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.send(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
