//! The receiving half of a TLS stream: records from the transport, plaintext to the caller.

use super::bytes::{Received, ThreadBuffers, with_thread_buffers};
use super::engine::FULL_RECORD;
use super::stream::{End, TlsStream};
use crate::transport::{NonBlockingTransport, RecvOutcome, recv_checked, send_checked};
use std::io::{self, ErrorKind};
use std::mem;

/// What a record of TLS 1.3 has in addition to its plaintext: header, type and tag.
const OVERHEAD: usize = 22;

/// The bytes of records received at once: exactly four full ones of TLS 1.3. A stream of full records is then
/// received record by record, and no part of one is kept.
const RECEIVE: usize = 4 * (FULL_RECORD + OVERHEAD);

/// The smallest room for records, so that a caller with a small buffer does not cost a system call for each
/// part of a record.
const LEAST_ROOM: usize = 4 << 10;

/// The length of a record's header.
const HEADER: usize = 5;

/// The records kept because rustls needs more, at most: the longest message of a handshake in full records,
/// and one more.
const MAX_KEPT: usize = 80 << 10;

/// The bytes that one call receives in addition to the plaintext, about: it would go on until the transport
/// is empty, and a peer could fill that without end, with records of one byte or of none. With more, the call
/// returns and holds a byte, so that its caller continues after it has done other work.
const MAX_OVERHEAD: usize = 64 << 10;

/// The bytes that a call without plaintext receives: it has no byte to hold, and a peer that sends more is
/// refused.
const MAX_EMPTY: usize = 1 << 20;

/// The bytes after plain HTTP that are discarded, at most.
const DISCARDED: usize = 64 << 10;

/// The answer to a client that speaks HTTP without TLS.
const PLAIN_HTTP: &[u8] = b"HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\n\
    Content-Length: 53\r\nConnection: close\r\n\r\nPlain HTTP was sent to a port that expects HTTPS/WSS\n";

impl<T: NonBlockingTransport> TlsStream<T> {
    /// Receives until the caller's buffer is full or the transport is empty. After fewer bytes than
    /// requested, the caller waits for the next readiness event (law 11), so something may be left in the
    /// transport only if a byte is held.
    pub(super) fn receive(&mut self, received: &mut Received<'_>) -> io::Result<()> {
        self.take_plaintext(received);
        if let Some(failure) = self.kept.as_mut().and_then(|kept| kept.failure.take()) {
            return Err(failure);
        }
        if let End::Refused(left) = self.end {
            return Err(self.discard(left));
        }
        if self.broken {
            return Err(ErrorKind::InvalidData.into());
        }
        let (mut more, mut overhead) = (true, 0_usize);
        while more && received.room() > 0 && self.end == End::Open {
            let before = received.filled;
            let n;
            (n, more) = with_thread_buffers(|buffers| self.receive_once(received, buffers))?;
            overhead = (overhead + n).saturating_sub(received.filled - before);
            if overhead > MAX_OVERHEAD && received.room() > 0 && received.filled > 1 {
                self.kept_mut().plaintext.push(received.pop().as_slice());
                break;
            }
            if overhead > MAX_EMPTY {
                self.broken = true;
                return Err(io::Error::new(ErrorKind::InvalidData, "too many TLS records without data"));
            }
        }
        Ok(())
    }

    /// Advances the handshake for bytes that wait for its end, and keeps what is received behind it. Fails
    /// with `WouldBlock` while they wait. An error is also kept for the next `recv`.
    #[cfg(feature = "tokio")]
    pub(crate) fn finish_handshake(&mut self) -> io::Result<()> {
        let mut more = true;
        while more && self.waits_for_handshake() && self.end == End::Open && !self.broken {
            match with_thread_buffers(|buffers| self.receive_once(&mut Received::new(&mut []), buffers)) {
                Ok((_, again)) => more = again,
                Err(error) if error.kind() == ErrorKind::WouldBlock => more = false,
                Err(error) => self.kept_mut().failure = Some(error),
            }
        }
        if let Some(kept) = &self.kept
            && let Some(error) = kept.failure.as_ref().or(kept.unsendable.as_ref())
        {
            return Err(copy(error));
        }
        match (self.waits_for_handshake(), self.broken) {
            (false, _) => Ok(()),
            (true, false) => Err(ErrorKind::WouldBlock.into()),
            // The task that reads has received the error.
            (true, true) => Err(ErrorKind::BrokenPipe.into()),
        }
    }

    /// Receives once, and returns the number of bytes, and whether the transport may have more.
    fn receive_once(
        &mut self,
        received: &mut Received<'_>,
        ThreadBuffers { incoming, outgoing, .. }: &mut ThreadBuffers,
    ) -> io::Result<(usize, bool)> {
        let held = self.kept.as_ref().map_or(0, |kept| kept.incoming.len());
        // Room for what was kept, which is copied there only if a whole record can be processed.
        incoming.room(held);
        incoming.add(held);
        // Records whose plaintext the caller has room for.
        let plaintext = received.room().min(RECEIVE);
        let room = (plaintext + plaintext.div_ceil(FULL_RECORD) * OVERHEAD).clamp(LEAST_ROOM, RECEIVE);
        let mut more = false;
        let n = match recv_checked(&mut self.transport, &mut incoming.room(room)[..room])? {
            // The next call receives the end again.
            RecvOutcome::End if self.has_unprocessed() => {
                more = true;
                0
            }
            RecvOutcome::End => return Err(self.cut_off()),
            RecvOutcome::Bytes(n) => n,
            // With bytes that were received before the first call, there is something to process.
            RecvOutcome::WouldBlock if self.fresh && held > 0 => 0,
            RecvOutcome::WouldBlock => {
                if let Some(error) = self.take_unsendable() {
                    return Err(error);
                }
                self.flush_outgoing()?;
                return Ok((0, false));
            }
        };
        incoming.add(n);
        more |= n == room || self.transport.holds_input();
        let records = incoming.as_mut_slice();
        if let Some(kept) = &mut self.kept
            && held > 0
        {
            // What begins like a request has no length of a record.
            let speaks_http = self.fresh && self.engine.is_server() && is_http(&kept.incoming);
            if !speaks_http && record_len(&kept.incoming).is_some_and(|len| held + n < len) {
                kept.incoming.extend_from_slice(&records[held..]);
                return Ok((n, more));
            }
            records[..held].copy_from_slice(&kept.incoming);
            kept.incoming.clear();
        }
        if mem::take(&mut self.fresh) && self.engine.is_server() && is_http(records) {
            self.refuse_plain_http();
            return Err(self.discard(DISCARDED));
        }
        let (used, result) = self.process(records, received, outgoing);
        if used < records.len() && result.is_ok() && self.end == End::Open {
            if records.len() - used > MAX_KEPT {
                self.broken = true;
                return Err(io::Error::new(ErrorKind::InvalidData, "too many records for one TLS message"));
            }
            self.kept_mut().incoming.extend_from_slice(&records[used..]);
        }
        // Automatic answers, including the alert that reports a fault to the peer.
        let sent = self.send_records(outgoing);
        result?;
        // A peer may have refused, and then reset the connection: its alert is still to be received.
        if let Err(error) = sent.and_then(|()| self.after_handshake(outgoing)) {
            self.kept_mut().unsendable = Some(error);
        }
        Ok((n, more || self.has_unsendable()))
    }

    /// Returns whether bytes that were received before the first call are still to be processed.
    fn has_unprocessed(&self) -> bool {
        let Some(kept) = self.kept.as_ref().filter(|_| self.fresh) else { return false };
        self.engine.is_server() && is_http(&kept.incoming)
            || record_len(&kept.incoming).is_some_and(|len| len <= kept.incoming.len())
    }

    /// Handles the end of the transport's stream, which the peer must have announced. Returns what `recv`
    /// fails with.
    fn cut_off(&mut self) -> io::Error {
        let failed = self.take_unsendable();
        self.broken = true;
        failed.unwrap_or_else(|| {
            io::Error::new(ErrorKind::UnexpectedEof, "end of the TLS stream without close_notify")
        })
    }

    fn has_unsendable(&self) -> bool {
        self.kept.as_ref().is_some_and(|kept| kept.unsendable.is_some())
    }

    /// Takes the error of an automatic answer that could not be sent. Nothing more can be sent then.
    fn take_unsendable(&mut self) -> Option<io::Error> {
        let error = self.kept.as_mut()?.unsendable.take()?;
        self.broken = true;
        Some(error)
    }

    /// Answers a client that does not speak TLS, and ends this direction.
    fn refuse_plain_http(&mut self) {
        self.broken = true;
        // If they fail, the client does not receive the answer.
        let _ = send_checked(&mut self.transport, PLAIN_HTTP);
        let _ = self.transport.shutdown_write();
    }

    /// Discards the rest of plain HTTP until the client ends its direction, because closing with unread input
    /// would reset the client before it has read the answer. Returns what `recv` fails with.
    fn discard(&mut self, mut left: usize) -> io::Error {
        let mut buffer = [0; LEAST_ROOM];
        while left > 0 {
            match recv_checked(&mut self.transport, &mut buffer) {
                Ok(RecvOutcome::Bytes(n)) => left = left.saturating_sub(n),
                Ok(RecvOutcome::WouldBlock) => {
                    self.end = End::Refused(left);
                    return ErrorKind::WouldBlock.into();
                }
                Ok(RecvOutcome::End) | Err(_) => break,
            }
        }
        self.end = End::Open;
        io::Error::new(ErrorKind::InvalidData, "plain HTTP on a TLS port")
    }

    fn take_plaintext(&mut self, received: &mut Received<'_>) {
        if let Some(kept) = &mut self.kept {
            let n = received.push(kept.plaintext.as_slice());
            kept.plaintext.consume(n);
        }
    }
}

/// Returns an error that says the same.
#[cfg(feature = "tokio")]
fn copy(error: &io::Error) -> io::Error {
    if let Some(code) = error.raw_os_error() {
        return io::Error::from_raw_os_error(code);
    }
    match error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
        Some(fault) => io::Error::new(error.kind(), fault.clone()),
        None => io::Error::new(error.kind(), error.to_string()),
    }
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
