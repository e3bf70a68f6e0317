//! The last bytes of what one end has sent, to which its next message may refer.
#![forbid(unsafe_code)]

use super::WindowBits;
use alloc::collections::VecDeque;

/// All that a connection keeps for one direction with takeover: at most its window, and no more of it
/// than has come, or gone.
#[derive(Debug)]
pub struct History {
    bytes: VecDeque<u8>,
    bits: WindowBits,
}

impl History {
    /// An empty one, which owns nothing yet.
    pub const fn new(bits: WindowBits) -> Self {
        Self { bytes: VecDeque::new(), bits }
    }

    /// The window that was agreed on.
    pub const fn bits(&self) -> WindowBits {
        self.bits
    }

    fn size(&self) -> usize {
        // Some peers that agreed on 8 use 9: zlib knows no smaller window (RFC 7692, section 7.1.2.1).
        self.bits.max(WindowBits::NINE).size()
    }

    /// Adds a message; what is out of the window's reach is forgotten.
    pub fn push(&mut self, message: &[u8]) {
        let size = self.size();
        let message = &message[message.len().saturating_sub(size)..];
        let after = self.bytes.len() + message.len();
        self.bytes.drain(..after.saturating_sub(size));
        if self.bytes.capacity() < after.min(size) {
            // By doubling, to the window's size and not beyond it.
            let wanted = after.next_power_of_two().min(size);
            self.bytes.reserve_exact(wanted - self.bytes.len());
        }
        self.bytes.extend(message);
    }

    /// The bytes in order, in two pieces of which either may be empty.
    pub fn as_slices(&self) -> (&[u8], &[u8]) {
        self.bytes.as_slices()
    }

    /// The last `n` bytes, or all.
    pub(super) fn last(&self, n: usize) -> [&[u8]; 2] {
        let (first, second) = self.bytes.as_slices();
        let from_first = n.saturating_sub(second.len()).min(first.len());
        [&first[first.len() - from_first..], &second[second.len().saturating_sub(n)..]]
    }

    /// The heap bytes it holds.
    pub fn held(&self) -> usize {
        self.bytes.capacity()
    }
}
