//! The plaintext of the next record, from several pieces.

use super::bytes::Bytes;
use super::engine::FULL_RECORD;
use std::io::IoSlice;

/// Pieces to send, of which the first bytes are used.
pub(super) struct Pieces<'a, 'b> {
    pieces: &'a [IoSlice<'b>],
    /// The bytes of the first piece that are used.
    used: usize,
}

impl<'a, 'b> Pieces<'a, 'b> {
    pub(super) fn new(pieces: &'a [IoSlice<'b>]) -> Self {
        Self { pieces, used: 0 }
    }

    /// Returns up to `limit` bytes for the next records: a piece where it lies if it fills a record or is the
    /// last, else several pieces that are gathered into one record.
    pub(super) fn next<'c>(&mut self, limit: usize, gathered: &'c mut Bytes) -> Option<&'c [u8]>
    where
        'a: 'c,
    {
        let first = self.skip_empty()?;
        if first.len() >= FULL_RECORD || self.pieces.len() == 1 {
            let n = first.len().min(limit);
            self.used += n;
            return Some(&first[..n]);
        }
        gathered.clear();
        let limit = limit.min(FULL_RECORD);
        while gathered.as_slice().len() < limit
            && let Some(piece) = self.skip_empty()
        {
            let n = piece.len().min(limit - gathered.as_slice().len());
            gathered.extend(&piece[..n]);
            self.used += n;
        }
        Some(gathered.as_slice())
    }

    /// Returns the rest of the first piece that is not used up.
    fn skip_empty(&mut self) -> Option<&'a [u8]> {
        while let [first, rest @ ..] = self.pieces {
            if self.used < first.len() {
                return Some(&first[self.used..]);
            }
            (self.pieces, self.used) = (rest, 0);
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_pieces_share_a_record_and_large_ones_stay_where_they_are() {
        let (head, body, tail) = ([1; 10], vec![2; 3 * FULL_RECORD], [3; 7]);
        let slices = [IoSlice::new(&head), IoSlice::new(&[]), IoSlice::new(&body), IoSlice::new(&tail)];
        let (mut pieces, mut gathered) = (Pieces::new(&slices), Bytes::default());
        let (mut lens, mut all) = (Vec::new(), Vec::new());
        while let Some(next) = pieces.next(64 << 10, &mut gathered) {
            lens.push(next.len());
            all.extend_from_slice(next);
        }
        assert_eq!(lens, [FULL_RECORD, 2 * FULL_RECORD + 10, 7]);
        assert!(all == [&head[..], &body, &tail].concat());
    }
}
