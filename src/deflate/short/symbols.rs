//! The symbols of RFC 1951, section 3.2.5, for a message that is divided into literals and matches.
#![forbid(unsafe_code)]

use super::matcher::Match;
use alloc::vec::Vec;

/// The number of literals, lengths and the end of a block. The last two have codes, but never occur.
pub(super) const LITERALS: usize = 288;
/// The number of symbols for distances.
pub(super) const DISTANCES: usize = 30;
/// The end of a block.
pub(super) const END: usize = 256;

/// Literals, and the match after them.
#[derive(Clone, Copy)]
pub(super) struct Sequence {
    pub(super) literals: u16,
    /// 0 at the end of a message.
    pub(super) len: u16,
    pub(super) distance: u16,
}

/// A message as sequences, and how often each symbol occurs.
pub(super) struct Symbols {
    pub(super) sequences: Vec<Sequence>,
    pub(super) literals: [u16; LITERALS],
    pub(super) distances: [u16; DISTANCES],
    /// The number of bits that follow symbols.
    pub(super) extra: usize,
}

impl Default for Symbols {
    fn default() -> Self {
        Self { sequences: Vec::new(), literals: [0; LITERALS], distances: [0; DISTANCES], extra: 0 }
    }
}

/// A symbol, and the bits that follow it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Symbol {
    pub(super) code: usize,
    pub(super) extra: u32,
    pub(super) extra_bits: u32,
}

/// For each length, from 3 on, its symbol, from 257 on.
const LENGTH_CODES: [u8; 256] = {
    let mut codes = [0; 256];
    let (mut code, mut next) = (0, 0);
    while code < 28 {
        // Four symbols for each power of two from 8 on, one for each length below.
        let end = next + if code < 4 { 1 } else { 1 << (code / 4 - 1) };
        while next < end && next < 255 {
            codes[next] = code as u8;
            next += 1;
        }
        code += 1;
    }
    codes[255] = 28;
    codes
};

impl Symbol {
    /// Returns the symbol of a length from 3 to 258.
    #[inline]
    pub(super) fn of_length(len: u16) -> Self {
        let from_three = (len - 3) as u8;
        let code = LENGTH_CODES[usize::from(from_three)];
        // Four symbols for each power of two, but the last one, code 28, is for 258 alone.
        let extra_bits = (code / 4).saturating_sub(1) % 6;
        let extra = u32::from(from_three) & ((1 << extra_bits) - 1);
        Self { code: 257 + usize::from(code), extra, extra_bits: u32::from(extra_bits) }
    }

    /// Returns the symbol of a distance from 1 to 32,768.
    #[inline]
    pub(super) fn of_distance(distance: u16) -> Self {
        let from_one = u32::from(distance.wrapping_sub(1));
        if from_one < 2 {
            return Self { code: from_one as usize, extra: 0, extra_bits: 0 };
        }
        // Two symbols for each power of two.
        let extra_bits = from_one.ilog2() - 1;
        let code = 2 * extra_bits + (from_one >> extra_bits);
        Self { code: code as usize, extra: from_one & ((1 << extra_bits) - 1), extra_bits }
    }
}

impl Symbols {
    pub(super) fn clear(&mut self) {
        self.sequences.clear();
        self.literals = [0; LITERALS];
        self.distances = [0; DISTANCES];
        self.extra = 0;
    }

    /// Adds literals and a match.
    #[inline]
    pub(super) fn push(&mut self, literals: &[u8], found: Match) {
        let Match { len, distance } = found;
        self.count(literals);
        let (length, far) = (Symbol::of_length(len), Symbol::of_distance(distance));
        self.literals[length.code] += 1;
        self.distances[far.code] += 1;
        self.extra += (length.extra_bits + far.extra_bits) as usize;
        self.sequences.push(Sequence { literals: number(literals), len, distance });
    }

    /// Adds the literals after the last match.
    pub(super) fn end(&mut self, literals: &[u8]) {
        self.count(literals);
        self.literals[END] = 1;
        self.sequences.push(Sequence { literals: number(literals), len: 0, distance: 0 });
    }

    #[inline]
    fn count(&mut self, literals: &[u8]) {
        for &literal in literals {
            self.literals[usize::from(literal)] += 1;
        }
    }
}

/// Returns the number of literals, which is at most that of a short message's bytes.
fn number(literals: &[u8]) -> u16 {
    u16::try_from(literals.len()).unwrap_or(u16::MAX)
}
