//! The last bytes of what a peer has sent, to which its next message may refer.
#![forbid(unsafe_code)]

use super::WindowBits;
use alloc::collections::VecDeque;

/// All that a connection keeps for receiving with takeover: at most its window, and no more of it
/// than has come.
#[derive(Debug)]
pub struct History {
    bytes: VecDeque<u8>,
    size: usize,
}

impl History {
    /// An empty one, which owns nothing yet.
    pub const fn new(bits: WindowBits) -> Self {
        // Some peers that agreed on 8 use 9: zlib knows no smaller window (RFC 7692, section 7.1.2.1).
        let size = if bits.size() < 512 { 512 } else { bits.size() };
        Self { bytes: VecDeque::new(), size }
    }

    /// Adds a message; what is out of the window's reach is forgotten.
    pub fn push(&mut self, message: &[u8]) {
        let message = &message[message.len().saturating_sub(self.size)..];
        let after = self.bytes.len() + message.len();
        self.bytes.drain(..after.saturating_sub(self.size));
        if self.bytes.capacity() < after.min(self.size) {
            // By doubling, to the window's size and not beyond it.
            let wanted = after.next_power_of_two().min(self.size);
            self.bytes.reserve_exact(wanted - self.bytes.len());
        }
        self.bytes.extend(message);
    }

    /// The bytes in order, in two pieces of which either may be empty.
    pub fn as_slices(&self) -> (&[u8], &[u8]) {
        self.bytes.as_slices()
    }

    /// The heap bytes it holds.
    pub fn held(&self) -> usize {
        self.bytes.capacity()
    }
}
