//! Huffman codes of limited length (RFC 1951, section 3.2.2).
#![forbid(unsafe_code)]

/// The longest code that RFC 1951 allows.
pub(super) const LONGEST: usize = 15;

/// The most symbols of an alphabet.
const MOST: usize = super::symbols::LITERALS;

/// A code: its bits, the first one lowest, and their number.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Code {
    pub(super) bits: u16,
    pub(super) len: u8,
}

/// Sets the lengths of the codes for symbols that occur this often. Symbols that do not occur get none.
///
/// There are always two codes at least, because some inflaters expect that.
pub(super) fn lengths(frequencies: &[u16], longest: usize, lengths: &mut [u8]) {
    lengths.fill(0);
    // The symbols that occur, rare ones first: the frequency, and the symbol below it.
    let mut used = [0_u32; MOST];
    let mut count = 0;
    for (first, some) in (0_u32..).step_by(4).zip(frequencies.chunks(4)) {
        if some == [0; 4] {
            continue;
        }
        for (symbol, &frequency) in (first..).zip(some) {
            used[count.min(MOST - 1)] = u32::from(frequency) << 16 | symbol;
            count += usize::from(frequency > 0);
        }
    }
    let used = &mut used[..count];
    if let [] | [_] = used {
        let symbol = used.first().map_or(0, |used| (used & 0xFFFF) as usize);
        lengths[symbol] = 1;
        lengths[usize::from(symbol == 0)] = 1;
        return;
    }
    used.sort_unstable();
    let mut counts = count_lengths(used);
    limit(&mut counts, longest);
    let mut symbols = used.iter().map(|used| (used & 0xFFFF) as usize);
    for len in (1..=longest).rev() {
        for symbol in symbols.by_ref().take(usize::from(counts[len])) {
            lengths[symbol] = u8::try_from(len).unwrap_or(0);
        }
    }
}

/// Returns the number of codes of each length, of any length up to 31, for symbols sorted by frequency.
///
/// The algorithm is that of Moffat and Katajainen, "In-place calculation of minimum-redundancy codes" (1995):
/// the two rarest nodes are joined until one is left. Then, the depth of each node is one more than that of
/// its parent.
fn count_lengths(used: &[u32]) -> [u16; 32] {
    let leaves = used.len();
    // The weights of the inner nodes in the order in which they are made; then, the indices of their parents.
    let mut nodes = [0_u32; MOST];
    let (mut leaf, mut inner) = (0, 0);
    for made in 0..leaves - 1 {
        let mut weight = 0;
        for _ in 0..2 {
            let from_leaf = leaf < leaves && (inner >= made || used[leaf] >> 16 <= nodes[inner]);
            if from_leaf {
                weight += used[leaf] >> 16;
                leaf += 1;
            } else {
                weight += nodes[inner];
                nodes[inner] = made as u32;
                inner += 1;
            }
        }
        nodes[made] = weight;
    }
    // The depths of the inner nodes, from the root down.
    let root = leaves - 2;
    nodes[root] = 0;
    let mut at_depth = [0_u16; 32];
    at_depth[0] = 1;
    for node in (0..root).rev() {
        let depth = nodes[nodes[node] as usize] + 1;
        nodes[node] = depth;
        at_depth[depth as usize & 31] += 1;
    }
    // At each depth, the places that are no inner nodes are leaves.
    let mut counts = [0; 32];
    let mut places = 1_u16;
    for (count, inner) in counts.iter_mut().zip(at_depth) {
        *count = places.saturating_sub(inner);
        places = inner.saturating_mul(2);
    }
    counts
}

/// Shortens the codes that are too long, and lengthens others until there is a code for each.
fn limit(counts: &mut [u16; 32], longest: usize) {
    let too_long: u16 = counts[longest + 1..].iter().sum();
    if too_long == 0 {
        return;
    }
    counts[longest] += too_long;
    // The sum of all codes' shares of the code space, in units of the longest code's share.
    let mut taken: u32 = (1..=longest).map(|len| u32::from(counts[len]) << (longest - len)).sum();
    while taken > 1 << longest {
        // One of the longest codes goes below a shorter one, which becomes one bit longer.
        counts[longest] -= 1;
        if let Some(len) = (1..longest).rev().find(|&len| counts[len] > 0) {
            counts[len] -= 1;
            counts[len + 1] += 2;
        }
        taken -= 1;
    }
}

/// Sets the codes of these lengths.
pub(super) fn codes(lengths: &[u8], codes: &mut [Code]) {
    let mut counts = [0_u16; LONGEST + 1];
    for &len in lengths {
        counts[usize::from(len) & LONGEST] += 1;
    }
    counts[0] = 0;
    let mut next = [0_u16; LONGEST + 1];
    for len in 1..=LONGEST {
        next[len] = (next[len - 1] + counts[len - 1]) << 1;
    }
    for (code, &len) in codes.iter_mut().zip(lengths) {
        if len > 0 {
            let number = &mut next[usize::from(len) & LONGEST];
            // "Huffman codes are packed starting with the most-significant bit".
            *code = Code { bits: number.reverse_bits() >> (16 - len), len };
            *number += 1;
        }
    }
}
