//! The window of one direction: the last bytes sent or received, which later messages may refer to.
#![forbid(unsafe_code)]

use super::WindowBits;
use alloc::collections::VecDeque;

/// The last bytes of one direction, which later messages may refer to.
///
/// A connection has a window for each direction with context takeover. A window holds at most the negotiated
/// size, and no more bytes than were sent or received. For [`WindowBits::MIN`], it holds up to 512 bytes:
/// some peers that negotiated 256 bytes use 512.
///
/// ```
/// use websocket_stream::deflate::{Window, WindowBits};
///
/// let mut window = Window::new(WindowBits::new(9).ok_or("9 is from 8 to 15")?);
/// window.push(&[1; 500]);
/// window.push(&[2; 100]);
/// let (first, second) = window.as_slices();
/// assert_eq!([first, second].concat(), [[1; 412].as_slice(), &[2; 100]].concat()); // the last 512
/// # Ok::<(), &str>(())
/// ```
#[derive(Debug)]
pub struct Window {
    bytes: VecDeque<u8>,
    bits: WindowBits,
}

impl Window {
    /// Creates an empty window, which uses no heap memory.
    pub const fn new(bits: WindowBits) -> Self {
        Self { bytes: VecDeque::new(), bits }
    }

    /// Returns the negotiated size.
    pub const fn bits(&self) -> WindowBits {
        self.bits
    }

    fn size(&self) -> usize {
        // Some peers that negotiated 8 use 9: zlib has no smaller window (RFC 7692, section 7.1.2.1).
        self.bits.max(WindowBits::NINE).size()
    }

    /// Adds a message, and drops the bytes that are no longer within the window.
    pub fn push(&mut self, message: &[u8]) {
        let size = self.size();
        let message = &message[message.len().saturating_sub(size)..];
        let after = self.bytes.len() + message.len();
        self.bytes.drain(..after.saturating_sub(size));
        if self.bytes.capacity() < after.min(size) {
            // The capacity doubles, up to the size of the window.
            let wanted = after.next_power_of_two().min(size);
            self.bytes.reserve_exact(wanted - self.bytes.len());
        }
        self.bytes.extend(message);
    }

    /// Returns the bytes in order, as two slices. Either may be empty.
    pub fn as_slices(&self) -> (&[u8], &[u8]) {
        self.bytes.as_slices()
    }

    /// Returns the last `n` bytes, or all if there are fewer.
    pub(super) fn last(&self, n: usize) -> [&[u8]; 2] {
        let (first, second) = self.bytes.as_slices();
        let from_first = n.saturating_sub(second.len()).min(first.len());
        [&first[first.len() - from_first..], &second[second.len().saturating_sub(n)..]]
    }

    /// Returns the heap bytes in use.
    pub fn heap_bytes(&self) -> usize {
        self.bytes.capacity()
    }
}
