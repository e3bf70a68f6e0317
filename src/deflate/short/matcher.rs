//! Finds earlier occurrences of the next bytes, by hash chains whose table is never cleared.
//!
//! Each entry of the table is a position in all texts so far, as if they followed each other. An entry below
//! the start of the current text belongs to an earlier text, possibly of another connection, and counts as
//! empty.
#![forbid(unsafe_code)]

use alloc::boxed::Box;

/// The bytes that are read beyond the end of a text, and never compared.
pub(super) const PADDING: usize = 8;

/// The shortest match. Shorter ones rarely take fewer bits than their literals.
pub(super) const SHORTEST: usize = 4;
/// The longest match.
pub(super) const LONGEST: usize = 258;

/// The maximum number of bytes in a text.
pub(super) const TEXT: usize = 1 << 15;

/// The bytes before a message, the message, and [`PADDING`].
pub(super) type Text = [u8; TEXT + PADDING];

/// The maximum size of the table of positions, as a power of two. A short text only uses part of it.
const TABLE_BITS: u32 = 15;

/// Positions from here on are not used: the counter starts again.
pub(super) const LAST: u32 = 1 << 31;

/// The tables of positions, which all texts share.
pub(super) struct Matcher {
    /// The last position of each hash.
    table: Box<[u32; 1 << TABLE_BITS]>,
    /// For each index in the text, the index before it with an equal hash, or 65,535. Valid for the indices
    /// that have been inserted.
    chain: Box<[u16; TEXT]>,
    /// The first position that no text has used.
    pub(super) next: u32,
}

impl Default for Matcher {
    fn default() -> Self {
        Self { table: Box::new([0; 1 << TABLE_BITS]), chain: Box::new([0; TEXT]), next: 1 }
    }
}

/// The hash chains of one text.
pub(super) struct Chains<'a> {
    text: &'a Text,
    table: &'a mut [u32; 1 << TABLE_BITS],
    chain: &'a mut [u16; TEXT],
    /// The position of the text's first byte.
    base: u32,
    /// The length of the text.
    len: usize,
    /// The longest distance of a match.
    farthest: usize,
}

/// Bytes that repeat the bytes `distance` before them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Match {
    pub(super) len: u16,
    /// 32,768 at most.
    pub(super) distance: u16,
}

impl Match {
    /// Returns its value compared with others: a byte more is worth four bits of distance.
    #[inline]
    pub(super) fn value(self) -> u32 {
        4 * u32::from(self.len) + 16 - self.distance.max(1).ilog2()
    }
}

/// A limit to the search for a match.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Search {
    /// The number of earlier occurrences that are examined.
    pub(super) tries: u32,
    /// A match of this length ends the search.
    pub(super) nice: usize,
}

impl Matcher {
    /// Starts a new text of `len` bytes, and inserts the bytes before the index `start`: the last `near` of
    /// them, and every second one of the others.
    ///
    /// The parser extends a match backwards, so it finds all matches of at least five bytes.
    pub(super) fn begin<'a>(
        &'a mut self,
        text: &'a Text,
        start: usize,
        len: usize,
        farthest: usize,
        near: usize,
    ) -> Chains<'a> {
        if self.next >= LAST {
            self.table.fill(0);
            self.next = 1;
        }
        let base = self.next;
        self.next += len as u32;
        let (table, chain) = (&mut *self.table, &mut *self.chain);
        let mut chains = Chains { text, table, chain, base, len, farthest };
        let near = start.saturating_sub(near);
        chains.insert((0..near).step_by(2));
        chains.insert(near..start);
        chains
    }
}

impl Chains<'_> {
    /// Adds an index to its chain, and returns the one before it.
    #[inline]
    fn push(&mut self, index: usize) -> usize {
        let hash = load_u32(self.text, index).wrapping_mul(0x9E37_79B1) >> (u32::BITS - TABLE_BITS);
        let entry = &mut self.table[hash as usize];
        // Negative if the entry belongs to an earlier text. Then, all bits are set, without a branch.
        let before = entry.wrapping_sub(self.base).cast_signed();
        let before = (before | before >> 31) as u16;
        *entry = self.base + index as u32;
        self.chain[index & (TEXT - 1)] = before;
        usize::from(before)
    }

    /// Inserts indices.
    #[inline]
    pub(super) fn insert(&mut self, indices: impl Iterator<Item = usize>) {
        for index in indices {
            self.push(index);
        }
    }

    /// Inserts an index, and returns the longest match there, if it is longer than `longer_than`, which is at
    /// least 3.
    #[inline]
    pub(super) fn find(&mut self, index: usize, longer_than: usize, search: Search) -> Option<Match> {
        let mut candidate = self.push(index);
        let most = (self.len - index).min(LONGEST);
        // The end of a chain is far beyond any index.
        if index.wrapping_sub(candidate) > self.farthest || most <= longer_than {
            return None;
        }
        let Search { mut tries, nice } = search;
        let first = load_u32(self.text, index);
        let (mut longest, mut found) = (longer_than, 0);
        // The last byte that a longer match has, and the three before it.
        let mut last = load_u32(self.text, index + longest - 3);
        loop {
            if load_u32(self.text, candidate + longest - 3) == last && load_u32(self.text, candidate) == first
            {
                let len = common(self.text, candidate, index, most);
                if len > longest {
                    (longest, found) = (len, index - candidate);
                    if len >= nice || len == most {
                        break;
                    }
                    last = load_u32(self.text, index + longest - 3);
                }
            }
            tries -= 1;
            candidate = usize::from(self.chain[candidate & (TEXT - 1)]);
            if tries == 0 || index.wrapping_sub(candidate) > self.farthest {
                break;
            }
        }
        (found > 0).then_some(Match { len: longest as u16, distance: found as u16 })
    }
}

/// Returns how many bytes are equal from two indices on, at most `most`. The first four are known to be.
#[inline]
fn common(text: &Text, one: usize, other: usize, most: usize) -> usize {
    let mut len = SHORTEST;
    while len < most {
        let differing = load_u64(text, one + len) ^ load_u64(text, other + len);
        if differing != 0 {
            len += (differing.trailing_zeros() / 8) as usize;
            break;
        }
        len += 8;
    }
    len.min(most)
}

#[inline]
fn load_u32(text: &Text, index: usize) -> u32 {
    let index = index & (TEXT - 1);
    text[index..index + 4].first_chunk().map_or(0, |bytes| u32::from_le_bytes(*bytes))
}

#[inline]
fn load_u64(text: &Text, index: usize) -> u64 {
    let index = index & (TEXT - 1);
    text[index..index + 8].first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes))
}
