//! The buffers of a TLS connection: those of the thread, and what must be kept between two calls.

use std::cell::RefCell;
use std::io;

/// A buffer whose memory is initialised once, of which the first `len` bytes are used.
#[derive(Debug, Default)]
pub(super) struct Bytes {
    memory: Vec<u8>,
    len: usize,
}

impl Bytes {
    pub(super) fn as_slice(&self) -> &[u8] {
        &self.memory[..self.len]
    }

    pub(super) fn as_mut_slice(&mut self) -> &mut [u8] {
        &mut self.memory[..self.len]
    }

    /// Returns at least `room` bytes after those in use.
    pub(super) fn room(&mut self, room: usize) -> &mut [u8] {
        let needed = self.len.saturating_add(room);
        if self.memory.len() < needed {
            // A thread keeps the memory: no more than is needed.
            self.memory.reserve_exact(needed - self.memory.len());
            self.memory.resize(needed, 0);
        }
        &mut self.memory[self.len..]
    }

    /// Uses the next `n` bytes of the room.
    pub(super) fn add(&mut self, n: usize) {
        self.len += n;
        debug_assert!(self.len <= self.memory.len());
    }

    pub(super) fn extend(&mut self, bytes: &[u8]) {
        self.room(bytes.len())[..bytes.len()].copy_from_slice(bytes);
        self.add(bytes.len());
    }

    pub(super) fn clear(&mut self) {
        self.len = 0;
    }

    /// Removes all bytes, and frees the memory if it is more than `most`.
    fn clear_to(&mut self, most: usize) {
        self.clear();
        if self.memory.len() > most {
            self.memory = Vec::new();
        }
    }
}

/// The buffers of a thread, lent to one call at a time.
#[derive(Debug, Default)]
pub(super) struct ThreadBuffers {
    /// Records as they arrive. They are decrypted in place.
    pub(super) incoming: Bytes,
    /// Records to send.
    pub(super) outgoing: Bytes,
    /// Small pieces that are sent in one record.
    pub(super) gathered: Bytes,
}

/// The bytes that a thread keeps for received records, for those to send, and for small pieces. More is
/// needed only by the messages of a handshake and by a small `max_fragment_size`.
const INCOMING: usize = 128 << 10;
const OUTGOING: usize = 68 << 10;
const GATHERED: usize = 16 << 10;

impl ThreadBuffers {
    fn clear(&mut self) {
        self.incoming.clear_to(INCOMING);
        self.outgoing.clear_to(OUTGOING);
        self.gathered.clear_to(GATHERED);
    }
}

/// The number of buffers that a thread keeps: two for TLS over TLS, of which one uses the other.
const KEPT: usize = 2;

thread_local! {
    static BUFFERS: RefCell<Vec<ThreadBuffers>> = const { RefCell::new(Vec::new()) };
}

/// Calls `f` with the thread's buffers, all of them empty.
///
/// A connection below this one, when TLS runs over TLS, gets other ones. If `f` panics, the buffers are
/// dropped.
pub(super) fn with_thread_buffers<R>(f: impl FnOnce(&mut ThreadBuffers) -> R) -> R {
    let mut buffers = BUFFERS.with_borrow_mut(Vec::pop).unwrap_or_default();
    let result = f(&mut buffers);
    buffers.clear();
    BUFFERS.with_borrow_mut(|all| {
        if all.len() < KEPT {
            all.push(buffers);
        }
    });
    result
}

/// The bytes that a connection keeps between two calls.
#[derive(Default)]
pub(super) struct Kept {
    /// Records that rustls has not used: a part of one, or parts of a handshake message.
    pub(super) incoming: Vec<u8>,
    /// Decrypted bytes that the caller has not received.
    pub(super) plaintext: Queue,
    /// Records that the transport has not taken.
    pub(super) outgoing: Queue,
    /// The transport has taken some of them since plaintext was last accepted behind them.
    pub(super) moved: bool,
    /// Bytes to encrypt when the handshake is complete.
    pub(super) early: Vec<u8>,
    /// An error that follows bytes which the caller received first.
    pub(super) failure: Option<io::Error>,
    /// The error of an automatic answer that could not be sent, reported after what the peer has sent before.
    pub(super) unsendable: Option<io::Error>,
}

impl Kept {
    pub(super) fn is_empty(&self) -> bool {
        self.incoming.is_empty()
            && self.plaintext.is_empty()
            && self.outgoing.is_empty()
            && self.early.is_empty()
            && self.failure.is_none()
            && self.unsendable.is_none()
    }
}

/// Bytes of which the first are used up.
#[derive(Default)]
pub(super) struct Queue {
    bytes: Vec<u8>,
    used: usize,
}

impl Queue {
    pub(super) fn as_slice(&self) -> &[u8] {
        &self.bytes[self.used..]
    }

    pub(super) fn is_empty(&self) -> bool {
        self.used == self.bytes.len()
    }

    pub(super) fn len(&self) -> usize {
        self.bytes.len() - self.used
    }

    pub(super) fn push(&mut self, bytes: &[u8]) {
        // The room of what is used up, if that moves no more bytes than were used.
        if self.used > self.len() {
            self.bytes.drain(..self.used);
            self.used = 0;
        }
        self.bytes.extend_from_slice(bytes);
    }

    /// Uses up the first `n` bytes. An empty queue has no memory.
    pub(super) fn consume(&mut self, n: usize) {
        self.used += n;
        if self.is_empty() {
            *self = Self::default();
        }
    }
}

/// Where decrypted bytes go: the caller's buffer, and what does not fit into it.
pub(super) struct Received<'a> {
    buffer: &'a mut [u8],
    pub(super) filled: usize,
}

impl<'a> Received<'a> {
    pub(super) fn new(buffer: &'a mut [u8]) -> Self {
        Self { buffer, filled: 0 }
    }

    pub(super) fn room(&self) -> usize {
        self.buffer.len() - self.filled
    }

    /// Takes back the last byte, if there is one.
    pub(super) fn pop(&mut self) -> Option<u8> {
        self.filled = self.filled.checked_sub(1)?;
        Some(self.buffer[self.filled])
    }

    /// Copies bytes, as many as fit, and returns their number.
    pub(super) fn push(&mut self, bytes: &[u8]) -> usize {
        let n = bytes.len().min(self.room());
        self.buffer[self.filled..self.filled + n].copy_from_slice(&bytes[..n]);
        self.filled += n;
        n
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_queue_that_is_never_empty_stays_small() {
        let (mut queue, mut sent, mut received) = (Queue::default(), 0_u32, 0_u32);
        for _ in 0..10_000 {
            while queue.len() < 1_000 {
                queue.push(&sent.to_le_bytes());
                sent += 1;
            }
            for chunk in queue.as_slice()[..400].chunks(4) {
                assert_eq!(chunk, received.to_le_bytes());
                received += 1;
            }
            queue.consume(400);
            assert!(queue.bytes.capacity() <= 4_000, "{}", queue.bytes.capacity());
        }
    }
}
