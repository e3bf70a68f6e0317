//! Writes bits into bytes: "packed starting with the least-significant bit" (RFC 1951, section 3.1.1).
#![forbid(unsafe_code)]

/// The bytes that the writer may touch beyond its output.
pub(super) const SLACK: usize = 8;

/// Writes numbers of a few bits each into a slice, which must have room for them and [`SLACK`] bytes.
pub(super) struct BitWriter<'a> {
    bytes: &'a mut [u8],
    /// The whole bytes written so far.
    len: usize,
    /// Bits that are not in `bytes` yet, and their number, which is below 8 after a flush.
    pending: u64,
    count: u32,
}

impl<'a> BitWriter<'a> {
    pub(super) fn new(bytes: &'a mut [u8]) -> Self {
        Self { bytes, len: 0, pending: 0, count: 0 }
    }

    /// Adds the `count` lowest bits of a number, which has no others. At most 56 bits may be added between
    /// two flushes.
    #[inline]
    pub(super) fn add(&mut self, number: u32, count: u32) {
        self.pending |= u64::from(number) << self.count;
        self.count += count;
    }

    /// Moves whole bytes to the output.
    #[inline]
    pub(super) fn flush(&mut self) {
        if let Some(bytes) = self.bytes.get_mut(self.len..).and_then(<[u8]>::first_chunk_mut::<SLACK>) {
            *bytes = self.pending.to_le_bytes();
        }
        self.len += (self.count / 8) as usize;
        self.pending >>= self.count & !7;
        self.count &= 7;
    }

    /// Adds a number, and moves whole bytes to the output.
    #[inline]
    pub(super) fn write(&mut self, number: u32, count: u32) {
        self.add(number, count);
        self.flush();
    }

    /// Fills the last byte with zeros, and returns the number of bytes.
    pub(super) fn finish(mut self) -> usize {
        self.count = self.count.next_multiple_of(8);
        self.flush();
        self.len
    }
}
