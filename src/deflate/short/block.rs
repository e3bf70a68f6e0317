//! Writes a message as one block of the cheapest kind (RFC 1951, section 3.2.3), and a sync flush.
#![forbid(unsafe_code)]

use super::bits::{BitWriter, SLACK};
use super::header::Header;
use super::huffman::{self, Code, LONGEST};
use super::symbols::{DISTANCES, END, LITERALS, Symbol, Symbols};
use alloc::vec::Vec;

/// The end of a sync flush: an empty stored block without its first three bits.
const FLUSH: [u8; 4] = [0x00, 0x00, 0xFF, 0xFF];

/// The block types, after `BFINAL`, which is 0.
const FIXED: u32 = 0b010;
const DYNAMIC: u32 = 0b100;

/// The lengths of the fixed codes (section 3.2.6), and the codes.
const FIXED_LENGTHS: [u8; LITERALS] = {
    let mut lengths = [8; LITERALS];
    let mut symbol = 144;
    while symbol < 280 {
        lengths[symbol] = if symbol < 256 { 9 } else { 7 };
        symbol += 1;
    }
    lengths
};

/// Writes blocks, and keeps the room for their codes.
pub(super) struct BlockWriter {
    header: Header,
    lengths: ([u8; LITERALS], [u8; DISTANCES]),
    codes: Codes,
}

struct Codes {
    literals: [Code; LITERALS],
    distances: [Code; DISTANCES],
}

impl Default for BlockWriter {
    fn default() -> Self {
        Self {
            header: Header::default(),
            lengths: ([0; LITERALS], [0; DISTANCES]),
            codes: Codes { literals: [Code::default(); LITERALS], distances: [Code::default(); DISTANCES] },
        }
    }
}

/// Returns the bits that symbols take with codes of these lengths.
fn cost(frequencies: &[u16], lengths: &[u8]) -> usize {
    let costs = frequencies.iter().zip(lengths).map(|(&times, &len)| u32::from(times) * u32::from(len));
    costs.sum::<u32>() as usize
}

impl BlockWriter {
    /// Writes a message. Returns the number of bytes, or `None` if the message would not get smaller.
    pub(super) fn write(&mut self, message: &[u8], symbols: &Symbols, result: &mut Vec<u8>) -> Option<usize> {
        let (literals, distances) = &mut self.lengths;
        huffman::lengths(&symbols.literals, LONGEST, literals);
        huffman::lengths(&symbols.distances, LONGEST, distances);
        let dynamic = self.header.describe(literals, distances)
            + cost(&symbols.literals, literals)
            + cost(&symbols.distances, distances);
        let fixed = cost(&symbols.literals, &FIXED_LENGTHS) + cost(&symbols.distances, &[5; DISTANCES]);
        let is_fixed = fixed <= dynamic;
        // The block, its type, and the type of the empty block.
        let bytes = (fixed.min(dynamic) + symbols.extra + 3 + 3).div_ceil(8);
        if bytes >= message.len() {
            return None;
        }
        let len = bytes + FLUSH.len();
        if result.len() < len + SLACK {
            result.resize(len + SLACK, 0);
        }
        let mut writer = BitWriter::new(result);
        if is_fixed {
            *literals = FIXED_LENGTHS;
            distances.fill(5);
            writer.write(FIXED, 3);
        } else {
            writer.write(DYNAMIC, 3);
            self.header.write(&mut writer);
        }
        huffman::codes(literals, &mut self.codes.literals);
        huffman::codes(distances, &mut self.codes.distances);
        self.codes.write(message, symbols, &mut writer);
        writer.write(0, 3);
        let end = writer.finish();
        debug_assert_eq!(end, bytes);
        result[end..len].copy_from_slice(&FLUSH);
        Some(len)
    }
}

impl Codes {
    fn write(&self, mut message: &[u8], symbols: &Symbols, writer: &mut BitWriter<'_>) {
        for sequence in &symbols.sequences {
            let (literals, rest) = message.split_at(usize::from(sequence.literals));
            for &literal in literals {
                add(&self.literals, usize::from(literal), writer);
                writer.flush();
            }
            if sequence.len == 0 {
                break;
            }
            let (length, far) = (Symbol::of_length(sequence.len), Symbol::of_distance(sequence.distance));
            // At most 15, 5, 15 and 13 bits.
            add(&self.literals, length.code, writer);
            writer.add(length.extra, length.extra_bits);
            add(&self.distances, far.code, writer);
            writer.add(far.extra, far.extra_bits);
            writer.flush();
            message = &rest[usize::from(sequence.len)..];
        }
        add(&self.literals, END, writer);
        writer.flush();
    }
}

/// Writes a symbol's code.
#[inline]
fn add(codes: &[Code], symbol: usize, writer: &mut BitWriter<'_>) {
    let code = codes[symbol];
    writer.add(u32::from(code.bits), u32::from(code.len));
}
