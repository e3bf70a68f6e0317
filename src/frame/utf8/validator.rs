//! A UTF-8 validator that can be fed in pieces.
#![forbid(unsafe_code)]

use super::{Utf8Error, bulk};
use crate::frame::mask::{self, Key};

/// Judges text that arrives in pieces, which may end anywhere, also inside a character.
///
/// ```
/// use websocket_stream::frame::utf8::Utf8Validator;
///
/// let mut text = Utf8Validator::new();
/// text.feed(b"\xe2\x82").unwrap(); // two of the euro sign's three bytes
/// assert!(!text.is_complete());
/// assert_eq!(text.feed(b"\xacb\xff").unwrap_err().at, 2);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Utf8Validator {
    /// The first byte of a character that is not whole yet.
    lead: u8,
    /// How many bytes of that character there are; none between two characters.
    have: u8,
}

impl Utf8Validator {
    /// A validator at the start of a text.
    #[inline]
    pub const fn new() -> Self {
        Self { lead: 0, have: 0 }
    }

    /// Judges the next bytes of the text.
    ///
    /// # Errors
    ///
    /// [`Utf8Error`] with the place of the first byte that cannot be right, whatever may follow.
    #[inline]
    pub fn feed(&mut self, bytes: &[u8]) -> Result<(), Utf8Error> {
        let (cut, rest) = bytes.split_at(self.missing().min(bytes.len()));
        self.step(cut, 0)?;
        let (whole, begun) = rest.split_at(rest.len() - begun(&rest[rest.len().saturating_sub(3)..]));
        if !bulk::judge(whole) {
            return Err(Utf8Error { at: cut.len() + first_wrong(whole) });
        }
        self.step(begun, cut.len() + whole.len())
    }

    /// Unmasks the next bytes of the text in place, and judges them in the same pass.
    ///
    /// # Errors
    ///
    /// As [`feed`](Self::feed); which bytes are unmasked then is not specified.
    #[inline]
    pub(super) fn unmask_and_feed(&mut self, bytes: &mut [u8], key: Key) -> Result<(), Utf8Error> {
        let (cut, rest) = bytes.split_at_mut(self.missing().min(bytes.len()));
        mask::mask_at(cut, key);
        self.step(cut, 0)?;
        let key = key.after(cut.len());

        let end = rest.len().saturating_sub(3);
        let mut last = [0; 3];
        let last = &mut last[..rest.len() - end];
        last.copy_from_slice(&rest[end..]);
        mask::mask_at(last, key.after(end));

        let (whole, begun) = rest.split_at_mut(rest.len() - begun(last));
        if !bulk::unmask_and_judge(whole, key) {
            return Err(Utf8Error { at: cut.len() + first_wrong(whole) });
        }
        mask::mask_at(begun, key.after(whole.len()));
        self.step(begun, cut.len() + whole.len())
    }

    /// Whether the text may end here: no character is left half-way.
    #[inline]
    pub const fn is_complete(&self) -> bool {
        self.have == 0
    }

    /// How many bytes the character needs that is left half-way.
    #[inline]
    pub(super) fn missing(&self) -> usize {
        if self.have == 0 { 0 } else { width(self.lead) - usize::from(self.have) }
    }

    /// Judges byte by byte. The bytes stand `at` bytes into the slice that was given.
    #[inline]
    fn step(&mut self, bytes: &[u8], at: usize) -> Result<(), Utf8Error> {
        match bytes.iter().position(|&byte| !self.push(byte)) {
            Some(wrong) => Err(Utf8Error { at: at + wrong }),
            None => Ok(()),
        }
    }

    /// Whether the text can go on with this byte (RFC 3629, section 4).
    fn push(&mut self, byte: u8) -> bool {
        let fits = match (self.have, self.lead) {
            (0, _) => {
                self.lead = byte;
                width(byte) > 0
            }
            (1, 0xE0) => (0xA0..=0xBF).contains(&byte),
            (1, 0xED) => (0x80..=0x9F).contains(&byte),
            (1, 0xF0) => (0x90..=0xBF).contains(&byte),
            (1, 0xF4) => (0x80..=0x8F).contains(&byte),
            _ => is_continuation(byte),
        };
        self.have += 1;
        if !fits || usize::from(self.have) == width(self.lead) {
            self.have = 0;
        }
        fits
    }
}

/// How many bytes the character has that begins with this one; none where none does.
const fn width(lead: u8) -> usize {
    match lead {
        0x00..=0x7F => 1,
        0xC2..=0xDF => 2,
        0xE0..=0xEF => 3,
        0xF0..=0xF4 => 4,
        _ => 0,
    }
}

const fn is_continuation(byte: u8) -> bool {
    byte & 0xC0 == 0x80
}

/// How many of the last bytes of a text, of which at most three are given, belong to a character that
/// needs more of them.
#[inline]
pub(super) fn begun(last: &[u8]) -> usize {
    match last.iter().rposition(|&byte| !is_continuation(byte)) {
        Some(at) if width(last[at]) > last.len() - at => last.len() - at,
        _ => 0,
    }
}

/// The place of the first byte that cannot be right; where all can, the bytes' length.
#[cold]
pub(super) fn first_wrong(bytes: &[u8]) -> usize {
    let start = core::str::from_utf8(bytes).map_or_else(|error| error.valid_up_to(), str::len);
    match Utf8Validator::new().step(&bytes[start..], start) {
        Err(error) => error.at,
        Ok(()) => bytes.len(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::{unmask_and_validate, validate};
    use super::*;
    use crate::frame::mask;
    use quickcheck::{Arbitrary, Gen, QuickCheck};

    /// Bytes that are UTF-8, nearly, or not at all.
    #[derive(Debug, Clone)]
    struct Text(Vec<u8>);

    impl Arbitrary for Text {
        fn arbitrary(g: &mut Gen) -> Self {
            let mut bytes = String::arbitrary(g).into_bytes();
            for _ in 0..u8::arbitrary(g) % 3 {
                if !bytes.is_empty() {
                    let at = usize::arbitrary(g) % bytes.len();
                    match u8::arbitrary(g) % 3 {
                        0 => bytes[at] = u8::arbitrary(g),
                        1 => bytes.truncate(at),
                        _ => {
                            bytes.insert(at, *g.choose(&[0x80, 0xC0, 0xE0, 0xED, 0xF0, 0xF4, 0xFF]).unwrap())
                        }
                    }
                }
            }
            Self(bytes)
        }

        fn shrink(&self) -> Box<dyn Iterator<Item = Self>> {
            Box::new(self.0.shrink().map(Self))
        }
    }

    /// Whether some text begins with these bytes, after the definition in RFC 3629, section 4.
    fn can_go_on(bytes: &[u8]) -> bool {
        let tails: [&[u8]; 4] = [b"", b"\x80", b"\x80\x80", b"\x80\x80\x80"];
        let others: [&[u8]; 4] = [b"\xA0\x80", b"\x90\x80\x80", b"\xBF", b"\xBF\xBF"];
        tails.iter().chain(&others).any(|tail| std::str::from_utf8(&[bytes, tail].concat()).is_ok())
    }

    /// The place of the first byte that cannot be right, or none.
    fn first_wrong(bytes: &[u8]) -> Option<usize> {
        let whole = std::str::from_utf8(bytes).map_or_else(|error| error.valid_up_to(), str::len);
        (whole..bytes.len()).find(|&at| !can_go_on(&bytes[whole..=at]))
    }

    /// Feeds the bytes in pieces, masked or not: where the first wrong one was found, or else whether
    /// the text is complete.
    fn fed(bytes: &[u8], cuts: &[usize], key: Option<[u8; 4]>) -> Result<bool, usize> {
        let mut validator = Utf8Validator::new();
        for cut in cuts.windows(2) {
            let (from, to) = (cut[0], cut[1]);
            let mut piece = bytes[from..to].to_vec();
            let judged = match key {
                None => validator.feed(&piece),
                Some(key) => {
                    mask::mask(&mut piece, key, from);
                    let judged = validator.unmask_and_feed(&mut piece, Key::new(key).after(from));
                    assert!(judged.is_err() || piece == bytes[from..to]);
                    judged
                }
            };
            judged.map_err(|error| from + error.at)?;
        }
        Ok(validator.is_complete())
    }

    #[test]
    fn the_first_byte_that_cannot_be_right_is_found_however_the_text_is_split() {
        fn prop(text: Text, cuts: Vec<usize>) -> bool {
            let bytes = &text.0;
            let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut % (bytes.len() + 1)).collect();
            cuts.extend([0, bytes.len()]);
            cuts.sort_unstable();
            let expected = match first_wrong(bytes) {
                Some(at) => Err(at),
                None => Ok(std::str::from_utf8(bytes).is_ok()),
            };
            fed(bytes, &cuts, None) == expected && fed(bytes, &cuts, Some([1, 2, 3, 0x84])) == expected
        }
        QuickCheck::new().tests(5_000).quickcheck(prop as fn(Text, Vec<usize>) -> bool);
    }

    #[test]
    fn every_pair_of_cuts_in_a_long_text_is_fed_as_one_piece() {
        let text = "a".repeat(50) + &"é色🦊".repeat(12);
        let bytes = text.as_bytes();
        for first in 0..=bytes.len() {
            for second in first..(first + 70).min(bytes.len()) {
                let cuts = [0, first, second, bytes.len()];
                assert_eq!(fed(bytes, &cuts, None), Ok(true), "{cuts:?}");
                assert_eq!(fed(bytes, &cuts, Some([1, 2, 3, 0x84])), Ok(true), "{cuts:?}");
            }
        }
    }

    #[test]
    fn feeding_on_after_an_error_does_no_harm() {
        let mut validator = Utf8Validator::new();
        for byte in (0..=255).cycle().take(2000) {
            let _ = validator.feed(&[byte, 0xFF]);
        }
    }

    #[test]
    fn every_prefix_is_judged_as_std_judges_it() {
        fn prop(text: Text) -> bool {
            (0..=text.0.len()).all(|end| {
                let prefix = &text.0[..end];
                let expected = std::str::from_utf8(prefix).ok();
                let at = first_wrong(prefix).unwrap_or(end);
                validate(prefix).map_err(|error| error.at) == expected.ok_or(at)
            })
        }
        QuickCheck::new().tests(1_000).quickcheck(prop as fn(Text) -> bool);
    }

    #[test]
    fn unmasking_and_judging_together_is_as_one_after_the_other() {
        fn prop(text: Text, key: u32) -> bool {
            let key = key.to_ne_bytes();
            let mut masked = text.0.clone();
            mask(&mut masked, key, 0);
            let expected = validate(&text.0);
            unmask_and_validate(&mut masked, key) == expected
        }
        QuickCheck::new().tests(2_000).quickcheck(prop as fn(Text, u32) -> bool);
    }

    #[test]
    fn the_places_that_are_easy_to_get_wrong() {
        let cases: [(&[u8], usize); 7] = [
            (b"\xE0\x80", 1),
            (b"\xC0", 0),
            (b"\xF5", 0),
            (b"\xED\xA0", 1),
            (b"\xF4\x90", 1),
            (b"A\x80", 1),
            (b"\xF0\x9F\x98A", 3),
        ];
        for (bytes, at) in cases {
            assert_eq!(Utf8Validator::new().feed(bytes), Err(Utf8Error { at }), "{bytes:x?}");
            assert_eq!(validate(bytes), Err(Utf8Error { at }), "{bytes:x?}");
        }
    }

    #[test]
    fn what_is_wrong_behind_a_character_that_was_cut_is_found_at_its_place() {
        // The rest of the cut character, then what is whole, then what is begun.
        let rest: [&[u8]; 3] = [b"", b"\x82\xAC", b"\xAC"];
        let whole: [&[u8]; 3] = [b"", b"ab", b"a\xC3\xA9b"];
        let wrong: [(&[u8], usize); 4] =
            [(b"\xFF", 0), (b"\xE0\x80", 1), (b"\xF4\x90\x80", 1), (b"\xFFabcd", 0)];
        for rest in rest {
            for whole in whole {
                for (wrong, at) in wrong {
                    let bytes = [&b"\xE2\x82\xAC"[..3 - rest.len()], rest, whole, wrong].concat();
                    let cuts = [0, 3 - rest.len(), bytes.len()];
                    let expected = Err(3 + whole.len() + at);
                    assert_eq!(fed(&bytes, &cuts, None), expected, "{bytes:x?}");
                    assert_eq!(fed(&bytes, &cuts, Some([1, 2, 3, 0x84])), expected, "{bytes:x?}");
                }
            }
        }
    }

    #[test]
    fn a_text_of_one_byte_over_and_over_is_judged_as_std_judges_it() {
        for byte in 0..=255 {
            for len in 0..100 {
                let bytes = vec![byte; len];
                assert_eq!(
                    validate(&bytes).is_ok(),
                    std::str::from_utf8(&bytes).is_ok(),
                    "{len} of {byte:#x}"
                );
                let mut masked = bytes.clone();
                mask(&mut masked, [1, 2, 3, 0x84], 0);
                assert_eq!(unmask_and_validate(&mut masked, [1, 2, 3, 0x84]).ok(), validate(&bytes).ok());
            }
        }
    }

    #[test]
    fn an_error_says_which_byte_is_wrong() {
        let error = validate(b"ab\xFF").unwrap_err();
        assert_eq!(error.to_string(), "the text is not UTF-8: byte 2 cannot be right");
    }
}
