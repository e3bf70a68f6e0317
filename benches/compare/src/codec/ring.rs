//! Buffers for the benchmarks.

use std::hint::black_box;

const LINE: usize = 64;
const PAGE: usize = 4 << 10;
/// The total size of small buffers on either side; both sides fit into the first-level cache.
const SIDE: usize = 12 << 10;

/// Pairs of buffers used in rotation, like a server's received bytes: each was last written long enough ago
/// that no load waits for an overlapping store.
///
/// ```text
/// start               + distance
///   | to | to | to | .. | from | from | from | ..
/// ```
pub struct Ring {
    bytes: Vec<u8>,
    len: usize,
    stride: usize,
    count: usize,
    start: usize,
    distance: usize,
    next: usize,
}

impl Ring {
    /// Makes buffers of `len` bytes, each `misaligned` bytes after the start of a cache line.
    pub fn new(len: usize, misaligned: usize) -> Self {
        let stride = (len + misaligned).next_multiple_of(LINE);
        let count = (SIDE / stride).max(1);
        // Whole pages and half a page: no load appears to depend on a store at an equal offset.
        let distance = (count * stride).next_multiple_of(PAGE) + PAGE / 2;
        let bytes = vec![7; 2 * distance + LINE];
        let start = bytes.as_ptr().align_offset(LINE) + misaligned;
        Self { bytes, len, stride, count, start, distance, next: 0 }
    }

    /// Makes buffers with this content.
    pub fn of(content: &[u8]) -> Self {
        let mut ring = Self::new(content.len(), 0);
        for _ in 0..ring.count {
            ring.next().0.copy_from_slice(content);
        }
        ring
    }

    /// Returns the next pair: the buffer to write, and the one to read.
    #[inline(always)]
    pub fn next(&mut self) -> (&mut [u8], &[u8]) {
        let at = self.start + self.next * self.stride;
        self.next = if self.next + 1 == self.count { 0 } else { self.next + 1 };
        let (to, from) = self.bytes[at..].split_at_mut(self.distance);
        black_box((&mut to[..self.len], &from[..self.len]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buffers_have_the_requested_alignment_and_never_overlap() {
        for len in [1, 8, 32, 125, 1 << 10, 12 << 10, 64 << 10] {
            for misaligned in [0, 1] {
                let mut ring = Ring::new(len, misaligned);
                let count = ring.count;
                let mut places = Vec::new();
                for _ in 0..count {
                    let (to, from) = ring.next();
                    assert_eq!((to.len(), from.len()), (len, len));
                    places.extend([to.as_ptr() as usize, from.as_ptr() as usize]);
                }
                assert_eq!(ring.next().0.as_ptr() as usize, places[0], "the rotation starts again");
                assert!(places.iter().all(|place| place % LINE == misaligned));
                places.sort_unstable();
                assert!(places.windows(2).all(|pair| pair[0] + len <= pair[1]));
            }
        }
    }

    #[test]
    fn every_buffer_holds_the_content() {
        let mut ring = Ring::of(b"abc");
        for _ in 0..ring.count {
            assert_eq!(ring.next().0, b"abc");
        }
    }
}
