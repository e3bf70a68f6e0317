//! Compresses short messages: LZ77 and Huffman codes (RFC 1951), in one block.
//!
//! zlib clears a hash table of 128 KiB for each message, which takes longer than compressing 512 bytes. Here,
//! nothing is cleared, so the time is proportional to the message and to the part of the window before it.
//!
//! | file | what it does |
//! | --- | --- |
//! | `matcher.rs` | finds earlier occurrences, by hash chains |
//! | `parser.rs` | divides a message into literals and matches |
//! | `symbols.rs` | the symbols of RFC 1951 for literals, lengths and distances, and their frequencies |
//! | `huffman.rs` | the shortest codes for these frequencies |
//! | `header.rs` | the description of the codes at the start of a block |
//! | `block.rs` | the cheapest kind of block, written bit by bit (`bits.rs`) |
#![forbid(unsafe_code)]
#![expect(clippy::cast_possible_truncation, reason = "indices, lengths and symbols are at most 32,768")]

mod bits;
mod block;
mod header;
mod huffman;
mod matcher;
mod parser;
mod symbols;

#[cfg(test)]
mod tests;

use alloc::boxed::Box;
use alloc::vec::Vec;
use block::BlockWriter;
use matcher::{Matcher, PADDING, TEXT, Text};
use parser::Effort;
use symbols::Symbols;

/// The longest message that is compressed here, in bytes.
pub(super) const LONGEST: usize = (TEXT - REACH) / 2;

/// How far back a message may refer, besides its own length, in bytes.
///
/// Reading and hashing older bytes takes time, and hardly makes messages smaller (by 1% for 512 bytes of
/// JSON, 2% for 8 KiB).
const REACH: usize = 12 << 10;

/// Returns how many bytes before a message of `len` bytes it may refer to.
pub(super) fn reach(len: usize) -> usize {
    REACH.saturating_add(len)
}

/// Compresses short messages, one after the other, for any number of connections.
pub(super) struct ShortDeflater {
    text: Box<Text>,
    matcher: Matcher,
    symbols: Symbols,
    writer: BlockWriter,
}

impl Default for ShortDeflater {
    fn default() -> Self {
        Self {
            text: Box::new([0; TEXT + PADDING]),
            matcher: Matcher::default(),
            symbols: Symbols::default(),
            writer: BlockWriter::default(),
        }
    }
}

impl ShortDeflater {
    /// Compresses a message of at most [`LONGEST`] bytes, after `before`, and ends it with a sync flush.
    ///
    /// No reference reaches further back than `farthest` bytes, nor before `before`. Returns the number of
    /// bytes in `result`, or `None` if the message does not get smaller.
    pub(super) fn deflate(
        &mut self,
        message: &[u8],
        before: [&[u8]; 2],
        farthest: usize,
        level: u8,
        result: &mut Vec<u8>,
    ) -> Option<usize> {
        let mut end = 0;
        for bytes in before.into_iter().chain([message]) {
            self.text[end..end + bytes.len()].copy_from_slice(bytes);
            end += bytes.len();
        }
        let start = end - message.len();
        self.symbols.clear();
        let effort = Effort::of(level);
        let chains = self.matcher.begin(&self.text, start, end, farthest, effort.near);
        parser::parse(&self.text, start, end, effort, chains, &mut self.symbols);
        self.writer.write(message, &self.symbols, result)
    }
}
