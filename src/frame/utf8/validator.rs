//! An incremental UTF-8 validator.
#![forbid(unsafe_code)]

use super::bulk;
use crate::frame::mask::{self, Key};
use core::fmt;

/// Bytes that are not valid UTF-8.
///
/// See the example of [`validate`](super::validate).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Utf8Error {
    /// The index, in the given slice, of the first byte that cannot be part of a valid text. If the bytes end
    /// within a character, the slice's length.
    pub at: usize,
}

impl fmt::Display for Utf8Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "invalid UTF-8 at byte {}", self.at)
    }
}

impl core::error::Error for Utf8Error {}

/// Validates text that arrives in pieces. A piece may end within a character.
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
    /// The first byte of an incomplete character.
    lead: u8,
    /// How many bytes of the incomplete character have arrived; 0 between two characters.
    have: u8,
}

impl Utf8Validator {
    /// Creates a validator at the start of a text.
    #[inline]
    pub const fn new() -> Self {
        Self { lead: 0, have: 0 }
    }

    /// Validates the next bytes of the text.
    ///
    /// # Errors
    ///
    /// [`Utf8Error`] with the index of the first byte that no continuation can make valid.
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

    /// Unmasks the next bytes in place and validates them in one pass.
    ///
    /// # Errors
    ///
    /// See [`feed`](Self::feed). After an error, it is unspecified which bytes are unmasked.
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

    /// Returns whether the text may end here: there is no incomplete character.
    #[inline]
    pub const fn is_complete(&self) -> bool {
        self.have == 0
    }

    /// Returns how many bytes the incomplete character still needs.
    #[inline]
    pub(super) fn missing(&self) -> usize {
        if self.have == 0 { 0 } else { width(self.lead) - usize::from(self.have) }
    }

    /// Validates byte by byte. `at` is the index of `bytes[0]` in the given slice.
    #[inline]
    fn step(&mut self, bytes: &[u8], at: usize) -> Result<(), Utf8Error> {
        match bytes.iter().position(|&byte| !self.push(byte)) {
            Some(wrong) => Err(Utf8Error { at: at + wrong }),
            None => Ok(()),
        }
    }

    /// Consumes a byte, and returns whether it may follow (RFC 3629, section 4).
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

/// Returns the size of a character with this first byte, or 0 if the byte is not valid there.
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

/// Returns how many bytes at the end of a text belong to an incomplete character. `last` is the last three
/// bytes of the text, or all of a shorter one.
#[inline]
pub(super) fn begun(last: &[u8]) -> usize {
    match last.iter().rposition(|&byte| !is_continuation(byte)) {
        Some(at) if width(last[at]) > last.len() - at => last.len() - at,
        _ => 0,
    }
}

/// Returns the index of the first invalid byte, or the slice's length if there is none.
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

    /// Bytes that are UTF-8, nearly UTF-8, or far from it.
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

    /// Returns whether some valid text begins with these bytes (RFC 3629, section 4).
    fn can_go_on(bytes: &[u8]) -> bool {
        let tails: [&[u8]; 4] = [b"", b"\x80", b"\x80\x80", b"\x80\x80\x80"];
        let others: [&[u8]; 4] = [b"\xA0\x80", b"\x90\x80\x80", b"\xBF", b"\xBF\xBF"];
        tails.iter().chain(&others).any(|tail| std::str::from_utf8(&[bytes, tail].concat()).is_ok())
    }

    /// Returns the index of the first invalid byte, if any.
    fn first_wrong(bytes: &[u8]) -> Option<usize> {
        let whole = std::str::from_utf8(bytes).map_or_else(|error| error.valid_up_to(), str::len);
        (whole..bytes.len()).find(|&at| !can_go_on(&bytes[whole..=at]))
    }

    /// Feeds the bytes in pieces, masked if there is a key. Returns whether the text is complete, or the
    /// index of the first invalid byte.
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
    fn the_first_invalid_byte_is_found_however_the_text_is_split() {
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
    fn a_long_text_is_valid_with_every_pair_of_cuts() {
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
    fn feeding_after_an_error_does_not_panic() {
        let mut validator = Utf8Validator::new();
        for byte in (0..=255).cycle().take(2000) {
            let _ = validator.feed(&[byte, 0xFF]);
        }
    }

    #[test]
    fn every_prefix_is_validated_as_std_does() {
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
    fn one_pass_gives_the_result_of_unmasking_then_validating() {
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
    fn the_first_invalid_byte_is_found_in_the_difficult_cases() {
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
    fn an_invalid_byte_after_a_split_character_is_found_at_its_index() {
        // The rest of the split character, then whole characters, then an invalid one.
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
    fn a_text_of_one_repeated_byte_is_validated_as_std_does() {
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
    fn an_error_names_the_invalid_byte() {
        let error = validate(b"ab\xFF").unwrap_err();
        assert_eq!(error.to_string(), "invalid UTF-8 at byte 2");
    }
}
