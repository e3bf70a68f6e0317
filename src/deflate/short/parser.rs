//! Divides a message into literals and matches.
#![forbid(unsafe_code)]

use super::matcher::{Chains, LONGEST, Match, SHORTEST, Search, Text};
use super::symbols::Symbols;

/// What a level costs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Effort {
    /// The number of bytes before a message that are all inserted into the tables.
    pub(super) near: usize,
    search: Search,
    /// A shorter match is compared with the match at the next position ("lazy matching").
    lazy: u16,
    /// The number of positions that may be compared.
    ahead: u32,
}

impl Effort {
    /// Returns the effort of a level from 1 to 9.
    pub(super) const fn of(level: u8) -> Self {
        let (tries, nice, lazy, ahead) = match level {
            0 | 1 => (1, 16, 0, 0),
            2 => (2, 16, 0, 0),
            3 => (4, 32, 0, 0),
            4 => (6, 32, 12, 1),
            5 => (12, 64, 32, 1),
            6 => (16, 128, 32, 1),
            7 => (64, 128, 64, 2),
            8 => (256, 258, 258, 2),
            _ => (1024, 258, 258, 2),
        };
        let near = if level < 7 { 2 << 10 } else { usize::MAX };
        Self { near, search: Search { tries, nice }, lazy, ahead }
    }
}

/// Divides the bytes from `start` to `end`.
pub(super) fn parse(
    text: &Text,
    start: usize,
    end: usize,
    effort: Effort,
    mut chains: Chains<'_>,
    symbols: &mut Symbols,
) {
    let Effort { search, lazy, ahead, .. } = effort;
    // The bytes from `pending` on are in no sequence yet. The last match begins at `begin`, if there is one.
    let (mut pending, mut begin, mut last) = (start, start, Match { len: 0, distance: 0 });
    let mut at = start;
    while at + SHORTEST <= end {
        let Some(mut found) = chains.find(at, SHORTEST - 1, search) else {
            at += 1;
            continue;
        };
        let mut first = at;
        // Whether a match that begins later is better.
        for _ in 0..ahead {
            if found.len >= lazy || at + 1 + SHORTEST > end {
                break;
            }
            at += 1;
            match chains.find(at, usize::from(found.len), search) {
                Some(later) if later.value() > found.value() + 4 => (found, first) = (later, at),
                _ => break,
            }
        }
        let next = first + usize::from(found.len);
        chains.insert(at + 1..next);
        at = next;
        // The match may begin earlier: not every position is in the table, and it may replace the last one.
        let last_end = begin + usize::from(last.len);
        let earliest = extend_back(text, first, found, begin);
        if earliest <= begin + 1 && last.len > 0 {
            // At most one byte of the last match remains.
            (begin, first) = (earliest, earliest);
        } else {
            if last.len > 0 {
                symbols.push(&text[pending..begin], last);
            }
            pending = last_end;
            first = earliest.max(last_end);
            begin = first;
        }
        last = Match { len: (next - first) as u16, ..found };
    }
    if last.len > 0 {
        symbols.push(&text[pending..begin], last);
    }
    symbols.end(&text[begin + usize::from(last.len)..end]);
}

/// Returns the first index from which on the match before `first` continues backwards, down to `limit`.
fn extend_back(text: &Text, first: usize, found: Match, limit: usize) -> usize {
    let distance = usize::from(found.distance);
    let limit = limit.max(distance).max((first + usize::from(found.len)).saturating_sub(LONGEST));
    let mut index = first;
    while index > limit && text[index - 1] == text[index - 1 - distance] {
        index -= 1;
    }
    index
}
