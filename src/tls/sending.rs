//! The sending half of a TLS stream: plaintext from the caller, records to the transport.

use super::bytes::{Bytes, Kept, ThreadBuffers};
use super::pieces::Pieces;
use super::stream::{Shutdown, TlsStream};
use crate::transport::{NonBlockingTransport, send_checked};
use rustls::unbuffered::EncryptError;
use std::io::{self, ErrorKind, IoSlice};
use std::mem;

/// The plaintext that is encrypted before records are sent. After the handshake, this limits the records that
/// are kept if the transport takes none.
const SEND: usize = 64 << 10;

/// The limit of plaintext that waits for the end of the handshake: room for any opening request. With more,
/// the caller would wait for a socket that is writable all the time.
const EARLY: usize = 1 << 20;

impl<T: NonBlockingTransport> TlsStream<T> {
    /// Sends what waited for the end of the handshake.
    pub(super) fn after_handshake(&mut self, outgoing: &mut Bytes) -> io::Result<()> {
        if self.engine.common_state().is_handshaking() {
            return Ok(());
        }
        if let Some(kept) = &mut self.kept
            && !kept.early.is_empty()
        {
            for part in mem::take(&mut kept.early).chunks(SEND) {
                self.encrypt(part, outgoing)?;
                self.send_records(outgoing)?;
            }
        }
        if self.shutdown == Shutdown::Asked {
            self.announce_end(outgoing)?;
        }
        Ok(())
    }

    /// Returns whether something is sent only at the end of the handshake.
    #[cfg(feature = "tokio")]
    pub(super) fn waits_for_handshake(&self) -> bool {
        self.engine.common_state().is_handshaking()
            && (self.shutdown == Shutdown::Asked
                || self.kept.as_ref().is_some_and(|kept| !kept.early.is_empty()))
    }

    fn encrypt(&mut self, plaintext: &[u8], outgoing: &mut Bytes) -> io::Result<()> {
        self.engine.encrypt(kept_records(&mut self.kept), plaintext, outgoing).map_err(exhausted)
    }

    /// Announces the end of this direction, after all earlier records.
    fn announce_end(&mut self, outgoing: &mut Bytes) -> io::Result<()> {
        self.shutdown = Shutdown::Announced;
        self.engine.close_notify(kept_records(&mut self.kept), outgoing).map_err(exhausted)?;
        self.send_records(outgoing)
    }

    /// Sends new records after the kept ones, and keeps those that the transport does not take.
    pub(super) fn send_records(&mut self, records: &mut Bytes) -> io::Result<()> {
        if self.has_outgoing() {
            self.kept_mut().outgoing.push(records.as_slice());
            records.clear();
            return self.flush_outgoing();
        }
        let sent = send_checked(&mut self.transport, records.as_slice());
        if let Ok(n) = sent
            && n < records.as_slice().len()
        {
            self.kept_mut().outgoing.push(&records.as_slice()[n..]);
        }
        records.clear();
        if let Err(error) = sent {
            // Records are missing now.
            self.shutdown = Shutdown::Done;
            return Err(error);
        }
        self.finish_shutdown()
    }

    /// Sends the kept records, as many as the transport takes.
    pub(super) fn flush_outgoing(&mut self) -> io::Result<()> {
        if let Some(kept) = &mut self.kept
            && !kept.outgoing.is_empty()
        {
            let sent = send_checked(&mut self.transport, kept.outgoing.as_slice())?;
            kept.outgoing.consume(sent);
            kept.moved |= sent > 0;
            self.shrink();
        }
        self.finish_shutdown()
    }

    /// Shuts the transport down after the announcement was sent.
    pub(super) fn finish_shutdown(&mut self) -> io::Result<()> {
        if self.shutdown == Shutdown::Announced && !self.has_outgoing() && !self.transport.wants_write() {
            self.shutdown = Shutdown::Done;
            self.transport.shutdown_write()?;
        }
        Ok(())
    }

    /// Encrypts and sends pieces, until the transport does not take all. Returns the number of bytes that
    /// were encrypted.
    pub(super) fn send_pieces(
        &mut self,
        pieces: &[IoSlice<'_>],
        buffers: &mut ThreadBuffers,
    ) -> io::Result<usize> {
        let mut pieces = Pieces::new(pieces);
        let mut taken = 0;
        loop {
            let encrypted = self.encrypt_pieces(&mut pieces, SEND, buffers)?;
            if encrypted == 0 {
                return Ok(taken);
            }
            match self.send_records(&mut buffers.outgoing) {
                Err(error) if taken == 0 => return Err(error),
                // Report the bytes taken first. The next call returns an error, too.
                Err(_) => return Ok(taken),
                Ok(()) => taken += encrypted,
            }
            if self.has_outgoing() {
                return Ok(taken);
            }
        }
    }

    /// Encrypts pieces behind the kept records, of which the transport has just not taken all, if it has
    /// taken some: so the caller can see that the peer takes bytes, and only then.
    pub(super) fn keep_pieces(
        &mut self,
        pieces: &[IoSlice<'_>],
        buffers: &mut ThreadBuffers,
    ) -> io::Result<usize> {
        let kept = self.kept_mut();
        let room = if kept.moved { SEND.saturating_sub(kept.outgoing.len()) } else { 0 };
        let encrypted = self.encrypt_pieces(&mut Pieces::new(pieces), room, buffers)?;
        if encrypted == 0 {
            return Err(ErrorKind::WouldBlock.into());
        }
        let kept = self.kept_mut();
        kept.outgoing.push(buffers.outgoing.as_slice());
        kept.moved = false;
        Ok(encrypted)
    }

    /// Encrypts pieces, at most this number of bytes, and returns how many.
    fn encrypt_pieces(
        &mut self,
        pieces: &mut Pieces<'_, '_>,
        most: usize,
        buffers: &mut ThreadBuffers,
    ) -> io::Result<usize> {
        let mut encrypted = 0;
        while encrypted < most
            && let Some(plaintext) = pieces.next(most - encrypted, &mut buffers.gathered)
        {
            self.encrypt(plaintext, &mut buffers.outgoing)?;
            encrypted += plaintext.len();
        }
        Ok(encrypted)
    }

    /// Keeps plaintext until the handshake is complete.
    pub(super) fn keep_early(&mut self, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
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

/// Returns the records that rustls has not used, which it must see in each call.
fn kept_records(kept: &mut Option<Box<Kept>>) -> &mut [u8] {
    kept.as_mut().map_or(&mut [], |kept| &mut kept.incoming)
}

fn exhausted(_: EncryptError) -> io::Error {
    io::Error::other("exhausted TLS keys")
}
