//! The header of a block with dynamic Huffman codes: the lengths of its codes (RFC 1951, section 3.2.7).
#![forbid(unsafe_code)]

use super::bits::BitWriter;
use super::huffman::{self, Code};
use super::symbols::{DISTANCES, END, LITERALS};
use alloc::vec::Vec;

/// The number of symbols that describe lengths.
const SYMBOLS: usize = 19;
/// The order in which their own lengths are sent.
const ORDER: [usize; SYMBOLS] = [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15];
/// "Copy the previous code length 3 - 6 times."
const COPY: u8 = 16;
/// "Repeat a code length of 0 for 3 - 10 times", and "for 11 - 138 times".
const ZEROS: u8 = 17;
const MANY_ZEROS: u8 = 18;

/// The description of a block's codes.
#[derive(Default)]
pub(super) struct Header {
    /// The symbols, and the number that follows each.
    items: Vec<(u8, u8)>,
    literals: usize,
    distances: usize,
    /// The number of `lengths` that are sent.
    sent: usize,
    lengths: [u8; SYMBOLS],
    codes: [Code; SYMBOLS],
}

/// Returns the number of bits after a symbol.
fn extra_bits(symbol: u8) -> u32 {
    match symbol {
        COPY => 2,
        ZEROS => 3,
        MANY_ZEROS => 7,
        _ => 0,
    }
}

impl Header {
    /// Describes these lengths, and returns the size of the header in bits.
    pub(super) fn describe(&mut self, literals: &[u8; LITERALS], distances: &[u8; DISTANCES]) -> usize {
        let used = |lengths: &[u8]| lengths.iter().rposition(|&len| len > 0).map_or(1, |last| last + 1);
        self.literals = used(literals).max(END + 1);
        self.distances = used(distances);
        let mut all = [0; LITERALS + DISTANCES];
        all[..self.literals].copy_from_slice(&literals[..self.literals]);
        let all = &mut all[..self.literals + self.distances];
        all[self.literals..].copy_from_slice(&distances[..self.distances]);

        self.items.clear();
        for run in all.chunk_by(|one, other| one == other) {
            self.describe_run(run[0], run.len());
        }
        let mut frequencies = [0; SYMBOLS];
        for &(symbol, _) in &self.items {
            frequencies[usize::from(symbol)] += 1;
        }
        let lengths = &mut self.lengths;
        huffman::lengths(&frequencies, 7, lengths);
        huffman::codes(lengths, &mut self.codes);
        self.sent = ORDER.iter().rposition(|&symbol| lengths[symbol] > 0).map_or(4, |last| (last + 1).max(4));
        let items = self.items.iter();
        let items =
            items.map(|&(symbol, _)| usize::from(lengths[usize::from(symbol)]) + extra_bits(symbol) as usize);
        5 + 5 + 4 + 3 * self.sent + items.sum::<usize>()
    }

    fn describe_run(&mut self, len: u8, mut times: usize) {
        if len == 0 {
            while times >= 3 {
                let run = times.min(138);
                let (symbol, least) = if run < 11 { (ZEROS, 3) } else { (MANY_ZEROS, 11) };
                self.items.push((symbol, (run - least) as u8));
                times -= run;
            }
        } else {
            self.items.push((len, 0));
            times -= 1;
            while times >= 3 {
                let run = times.min(6);
                self.items.push((COPY, (run - 3) as u8));
                times -= run;
            }
        }
        for _ in 0..times {
            self.items.push((len, 0));
        }
    }

    pub(super) fn write(&self, writer: &mut BitWriter<'_>) {
        writer.add((self.literals - 257) as u32, 5);
        writer.add((self.distances - 1) as u32, 5);
        writer.write((self.sent - 4) as u32, 4);
        for &symbol in &ORDER[..self.sent] {
            writer.write(u32::from(self.lengths[symbol]), 3);
        }
        for &(symbol, number) in &self.items {
            let code = self.codes[usize::from(symbol)];
            writer.add(u32::from(code.bits), u32::from(code.len));
            writer.write(u32::from(number), extra_bits(symbol));
        }
    }
}
