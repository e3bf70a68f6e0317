//! A slow and simple inflater written from RFC 1951. It checks the codec's output, and measures how far back
//! the output refers.
#![forbid(unsafe_code)]

/// A bit reader over bytes.
struct Bits<'a> {
    bytes: &'a [u8],
    at: usize,
    /// Where the tail begins.
    tail: usize,
}

impl Bits<'_> {
    fn bit(&mut self) -> Option<usize> {
        let bit = self.bytes.get(self.at / 8)? >> (self.at % 8) & 1;
        self.at += 1;
        Some(usize::from(bit))
    }

    /// "Data elements other than Huffman codes are packed starting with the least-significant bit".
    fn number(&mut self, bits: usize) -> Option<usize> {
        (0..bits).try_fold(0, |number, bit| Some(number | self.bit()? << bit))
    }

    /// Returns nothing if the last symbol is not wholly before the tail.
    fn before_tail(&self) -> Option<()> {
        (self.at <= self.tail).then_some(())
    }

    fn align(&mut self) {
        self.at = self.at.next_multiple_of(8);
    }
}

/// A Huffman code: the number of codes of each length, and the symbols in the order of their codes.
struct Code {
    counts: [usize; 16],
    symbols: Vec<usize>,
}

impl Code {
    fn new(lengths: &[usize]) -> Self {
        let mut symbols: Vec<usize> = (0..lengths.len()).filter(|&symbol| lengths[symbol] > 0).collect();
        symbols.sort_by_key(|&symbol| lengths[symbol]);
        Self {
            counts: core::array::from_fn(|len| lengths.iter().filter(|&&other| other == len).count()),
            symbols,
        }
    }

    /// "Huffman codes are packed starting with the most-significant bit". The symbol is found by counting
    /// (section 3.2.2).
    fn symbol(&self, bits: &mut Bits<'_>) -> Option<usize> {
        let (mut code, mut first, mut before) = (0, 0, 0);
        for &count in &self.counts[1..] {
            code = code << 1 | bits.bit()?;
            first <<= 1;
            if code < first + count {
                return self.symbols.get(before + code - first).copied();
            }
            first += count;
            before += count;
        }
        None
    }

    /// Returns whether the code is complete. A code with at most one symbol, of length 1, need not be.
    fn is_valid(&self) -> bool {
        let used = (1..16).map(|len| self.counts[len] << (15 - len)).sum::<usize>();
        used == 1 << 15 || (self.symbols.len() <= 1 && self.symbols.len() == self.counts[1])
    }
}

const LENGTHS: [(usize, usize); 29] = {
    let mut table = [(0, 0); 29];
    let (mut code, mut base) = (0, 3);
    while code < 28 {
        let extra = if code < 8 { 0 } else { code / 4 - 1 };
        table[code] = (base, extra);
        base += 1 << extra;
        code += 1;
    }
    table[28] = (258, 0);
    table
};

const DISTANCES: [(usize, usize); 30] = {
    let mut table = [(0, 0); 30];
    let (mut code, mut base) = (0, 1);
    while code < 30 {
        let extra = if code < 4 { 0 } else { code / 2 - 1 };
        table[code] = (base, extra);
        base += 1 << extra;
        code += 1;
    }
    table
};

/// The output of all messages so far, and the largest distance in the last one.
#[derive(Debug, Default)]
pub(in crate::deflate) struct Naive {
    pub(in crate::deflate) output: Vec<u8>,
    pub(in crate::deflate) farthest: usize,
}

impl Naive {
    /// Inflates the payload of one more message and appends it to the output. Returns `None` if the payload
    /// is corrupt.
    pub(in crate::deflate) fn inflate(&mut self, payload: &[u8]) -> Option<Vec<u8>> {
        let start = self.output.len();
        self.farthest = 0;
        if payload.is_empty() {
            return Some(Vec::new());
        }
        let whole = [payload, &[0x00, 0x00, 0xFF, 0xFF]].concat();
        let mut bits = Bits { bytes: &whole, at: 0, tail: 8 * payload.len() };
        // Blocks until the end; after a final block, from the next byte on. A corrupt block can end within
        // the tail: then its other bits are a header that is cut off.
        while bits.at < 8 * whole.len() {
            let last = bits.bit()? == 1;
            match bits.number(2)? {
                0 => self.stored(&mut bits)?,
                1 => {
                    let lengths = [(144, 8), (112, 9), (24, 7), (8, 8)];
                    let lengths: Vec<usize> = lengths.iter().flat_map(|&(n, len)| vec![len; n]).collect();
                    self.compressed(&mut bits, &Code::new(&lengths), &Code::new(&[5; 30]))?;
                }
                2 => {
                    let (literals, distances) = codes(&mut bits)?;
                    self.compressed(&mut bits, &literals, &distances)?;
                }
                _ => return None,
            }
            if last {
                bits.align();
                // An empty block whose tail was removed, or no data at all.
                if matches!(&whole[bits.at / 8..], [0x00, 0x00, 0xFF, 0xFF] | [0x00, 0x00, 0x00, 0xFF, 0xFF])
                {
                    break;
                }
            }
        }
        Some(self.output[start..].to_vec())
    }

    fn stored(&mut self, bits: &mut Bits<'_>) -> Option<()> {
        bits.align();
        let (len, check) = (bits.number(16)?, bits.number(16)?);
        if len != !check & 0xFFFF {
            return None;
        }
        for _ in 0..len {
            let byte = bits.number(8)?;
            bits.before_tail()?;
            self.output.push(u8::try_from(byte).ok()?);
        }
        Some(())
    }

    fn compressed(&mut self, bits: &mut Bits<'_>, literals: &Code, distances: &Code) -> Option<()> {
        loop {
            match literals.symbol(bits)? {
                literal @ 0..=255 => {
                    bits.before_tail()?;
                    self.output.push(u8::try_from(literal).ok()?);
                }
                256 => return Some(()),
                symbol => {
                    let &(base, extra) = LENGTHS.get(symbol - 257)?;
                    let len = base + bits.number(extra)?;
                    let &(base, extra) = DISTANCES.get(distances.symbol(bits)?)?;
                    let distance = base + bits.number(extra)?;
                    bits.before_tail()?;
                    self.farthest = self.farthest.max(distance);
                    let from = self.output.len().checked_sub(distance)?;
                    for at in from..from + len {
                        self.output.push(self.output[at]);
                    }
                }
            }
        }
    }
}

/// Reads the codes of a block with "dynamic Huffman codes" (section 3.2.7). Rejects what zlib rejects: an
/// incomplete code, except for at most one distance.
fn codes(bits: &mut Bits<'_>) -> Option<(Code, Code)> {
    let (literals, distances, lengths) = (bits.number(5)? + 257, bits.number(5)? + 1, bits.number(4)? + 4);
    if literals > 286 || distances > 30 {
        return None;
    }
    let mut code = [0; 19];
    for symbol in [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15].into_iter().take(lengths)
    {
        code[symbol] = bits.number(3)?;
    }
    let code = Code::new(&code);
    if code.counts[1..].iter().enumerate().map(|(len, count)| count << (14 - len)).sum::<usize>() != 1 << 15 {
        return None;
    }
    let mut all = Vec::new();
    while all.len() < literals + distances {
        let (len, times) = match code.symbol(bits)? {
            16 => (*all.last()?, 3 + bits.number(2)?),
            17 => (0, 3 + bits.number(3)?),
            18 => (0, 11 + bits.number(7)?),
            len => (len, 1),
        };
        all.extend(vec![len; times]);
    }
    if all.len() > literals + distances || all[256] == 0 {
        return None;
    }
    let (literals, distances) = (Code::new(&all[..literals]), Code::new(&all[literals..]));
    (literals.is_valid() && distances.is_valid()).then_some((literals, distances))
}
