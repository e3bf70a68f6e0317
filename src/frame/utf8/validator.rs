//! A UTF-8 validator that can be fed in pieces.
#![forbid(unsafe_code)]

use super::Utf8Error;

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
    /// The bytes of a character that is not whole yet.
    tail: [u8; 3],
    len: u8,
}

impl Utf8Validator {
    /// A validator at the start of a text.
    #[inline]
    pub const fn new() -> Self {
        Self { tail: [0; 3], len: 0 }
    }

    /// Judges the next bytes of the text.
    ///
    /// # Errors
    ///
    /// [`Utf8Error`] with the place of the first byte that cannot be right, whatever may follow.
    pub fn feed(&mut self, bytes: &[u8]) -> Result<(), Utf8Error> {
        let mut rest = bytes;
        // A character that is not whole goes on, a byte at a time.
        while self.len > 0 {
            let Some((&byte, after)) = rest.split_first() else { return Ok(()) };
            let mut character = [0; 4];
            let len = usize::from(self.len);
            character[..len].copy_from_slice(&self.tail[..len]);
            character[len] = byte;
            match core::str::from_utf8(&character[..=len]) {
                Ok(_) => self.len = 0,
                Err(error) if error.error_len().is_none() => {
                    self.tail[len] = byte;
                    self.len += 1;
                }
                Err(_) => return Err(Utf8Error { at: bytes.len() - rest.len() }),
            }
            rest = after;
        }
        if simdutf8::basic::from_utf8(rest).is_ok() {
            return Ok(());
        }
        match core::str::from_utf8(rest) {
            Ok(_) => Ok(()),
            Err(error) if error.error_len().is_none() => {
                let tail = &rest[error.valid_up_to()..];
                self.tail[..tail.len()].copy_from_slice(tail);
                self.len = u8::try_from(tail.len()).unwrap_or(0);
                Ok(())
            }
            Err(error) => {
                // What std calls invalid is a start that could have gone on, or no start at all. The
                // byte that cannot be right is the one behind the start, or the only one.
                let start = error.valid_up_to();
                let behind = start + error.error_len().unwrap_or(1);
                let could_go_on = core::str::from_utf8(&rest[start..behind])
                    .is_err_and(|error| error.error_len().is_none());
                let at = bytes.len() - rest.len() + if could_go_on { behind } else { start };
                Err(Utf8Error { at })
            }
        }
    }

    /// Whether the text may end here: no character is left half-way.
    #[inline]
    pub const fn is_complete(&self) -> bool {
        self.len == 0
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
        (0..bytes.len()).find(|&at| !can_go_on(&bytes[..=at]))
    }

    #[test]
    fn the_first_byte_that_cannot_be_right_is_found_however_the_text_is_split() {
        fn prop(text: Text, cuts: Vec<usize>) -> bool {
            let bytes = &text.0;
            let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut % (bytes.len() + 1)).collect();
            cuts.extend([0, bytes.len()]);
            cuts.sort_unstable();
            let mut validator = Utf8Validator::new();
            let found = cuts
                .windows(2)
                .find_map(|cut| validator.feed(&bytes[cut[0]..cut[1]]).err().map(|error| cut[0] + error.at));
            let whole = found.is_none() && validator.is_complete();
            found == first_wrong(bytes) && whole == std::str::from_utf8(bytes).is_ok()
        }
        QuickCheck::new().tests(5_000).quickcheck(prop as fn(Text, Vec<usize>) -> bool);
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
}
