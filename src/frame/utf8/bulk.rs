//! Validates many bytes of text at once, or unmasks and validates them in one pass.

use crate::frame::mask::{self, Key, SHORT};

#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
use super::blocks;
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
use words as blocks;

/// From this many bytes on, vectors validate text; fewer do not fill a block of theirs.
const LONG: usize = 64;

/// Returns whether the bytes are UTF-8.
#[inline]
pub(super) fn judge(bytes: &[u8]) -> bool {
    if bytes.len() >= LONG {
        return blocks::judge_long(bytes);
    }
    let ascii = if bytes.len() <= SHORT { is_ascii_short(bytes) } else { bytes.is_ascii() };
    ascii || blocks::judge(bytes)
}

/// Unmasks all the bytes in place, and returns whether the result is UTF-8.
#[inline]
pub(super) fn unmask_and_judge(bytes: &mut [u8], key: Key) -> bool {
    if bytes.len() > SHORT {
        return blocks::unmask_and_judge(bytes, key);
    }
    mask::mask_short_at(bytes, key) || blocks::judge(bytes)
}

/// Returns whether the bytes, at most 32, are ASCII.
#[inline(always)]
fn is_ascii_short(bytes: &[u8]) -> bool {
    const TOP_BITS: u128 = u128::MAX / 0xFF * 0x80;
    match (bytes.first_chunk(), bytes.last_chunk()) {
        (Some(first), Some(last)) => {
            (u128::from_ne_bytes(*first) | u128::from_ne_bytes(*last)) & TOP_BITS == 0
        }
        _ => bytes.is_ascii(),
    }
}

/// For processors without a validator that works on blocks.
#[cfg(any(test, not(any(target_arch = "x86_64", target_arch = "aarch64"))))]
mod words {
    use crate::frame::mask::{self, Key};

    pub(super) fn judge_long(bytes: &[u8]) -> bool {
        simdutf8::basic::from_utf8(bytes).is_ok()
    }

    pub(super) fn judge(bytes: &[u8]) -> bool {
        core::str::from_utf8(bytes).is_ok()
    }

    pub(super) fn unmask_and_judge(bytes: &mut [u8], key: Key) -> bool {
        mask::mask_at(bytes, key);
        simdutf8::basic::from_utf8(bytes).is_ok()
    }
}

#[cfg(test)]
#[allow(unsafe_code)]
mod tests {
    use super::*;
    #[cfg(target_arch = "x86_64")]
    use crate::frame::mask::chosen::Level;

    const KEY: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

    type UnmaskAndJudge = fn(&mut [u8], Key) -> bool;

    /// Every implementation that this processor supports, with its minimum length.
    fn ways() -> Vec<(&'static str, usize, UnmaskAndJudge)> {
        let ways: Vec<(_, _, UnmaskAndJudge)> =
            vec![("chosen", 0, unmask_and_judge), ("two passes", 0, words::unmask_and_judge)];
        #[cfg(target_arch = "x86_64")]
        let ways = {
            let mut ways = ways;
            if std::is_x86_feature_detected!("avx2") {
                // SAFETY: the processor has AVX2; the caller checks the length.
                ways.push(("AVX2", 32, |bytes, key| unsafe { blocks::avx2::unmask_and_judge(bytes, key) }));
            }
            if Level::of_processor() == Level::Avx512 {
                // SAFETY: the processor has AVX-512; the caller checks the length.
                ways.push(("AVX-512", 64, |bytes, key| unsafe {
                    blocks::avx512::unmask_and_judge(bytes, key)
                }));
                // SAFETY: the processor has AVX-512.
                ways.push(("AVX-512, two passes", 0, |bytes, key| unsafe {
                    mask::mask_at(bytes, key);
                    blocks::avx512::judge(bytes)
                }));
            }
            if std::is_x86_feature_detected!("sse4.2") {
                // SAFETY: the processor has SSE 4.2; the caller checks the length.
                ways.push(("SSE 4.2", 16, |bytes, key| unsafe {
                    blocks::sse42::unmask_and_judge(bytes, key)
                }));
            }
            ways
        };
        ways
    }

    /// Asserts that every implementation unmasks these bytes and validates them as std does.
    fn is_as_std_says(bytes: &[u8]) {
        let expected = std::str::from_utf8(bytes).is_ok();
        assert_eq!(judge(bytes), expected, "judging: {bytes:x?}");
        assert_eq!(blocks::judge(bytes), expected, "judging in blocks: {bytes:x?}");
        assert_eq!(words::judge(bytes), expected, "judging in words: {bytes:x?}");
        assert_eq!(words::judge_long(bytes), expected, "judging many words: {bytes:x?}");
        for (offset, (way, least, unmask_and_judge)) in ways().into_iter().enumerate() {
            if bytes.len() < least {
                continue;
            }
            // Bytes before the text, so that it begins at any alignment, and after it; both must not change.
            let before = &[0xAA; 40][..=bytes.len() % 37];
            let whole = [before, bytes, &[0xAA; 64]].concat();
            let mut masked = whole.clone();
            let text = &mut masked[before.len()..][..bytes.len()];
            mask::mask(text, KEY, offset);
            let found = unmask_and_judge(text, Key::new(KEY).after(offset));
            assert_eq!(found, expected, "{way}: {bytes:x?}");
            assert_eq!(masked, whole, "{way}: {bytes:x?}");
        }
    }

    #[test]
    fn every_byte_before_each_kind_of_byte_and_each_number_of_continuation_bytes() {
        // Across the end of a block.
        let mut bytes = [b'a'; 70];
        // The ends of each range that matters after some byte.
        let kinds = [0x00, 0x7F, 0x80, 0x8F, 0x90, 0x9F, 0xA0, 0xBF, 0xC0, 0xFF];
        for (first, second) in (0..=255).flat_map(|first| kinds.map(|second| (first, second))) {
            bytes[62..64].copy_from_slice(&[first, second]);
            for continuations in 0..=3 {
                bytes[64..68].copy_from_slice(b"aaaa");
                bytes[64..64 + continuations].fill(0xBF);
                let expected = std::str::from_utf8(&bytes).is_ok();
                assert_eq!(judge(&bytes), expected, "{bytes:x?}");
                for (way, least, unmask_and_judge) in ways() {
                    let mut masked = bytes;
                    mask::mask(&mut masked, KEY, 0);
                    assert!(least <= bytes.len());
                    assert_eq!(unmask_and_judge(&mut masked, Key::new(KEY)), expected, "{way}: {bytes:x?}");
                }
            }
        }
    }

    #[test]
    fn the_first_and_last_character_of_each_width_and_their_invalid_neighbours_at_every_index() {
        let characters = [
            '\0',
            '\u{7F}',
            '\u{80}',
            '\u{7FF}',
            '\u{800}',
            '\u{FFF}',
            '\u{1000}',
            '\u{D7FF}',
            '\u{E000}',
            '\u{FFFF}',
            '\u{10000}',
            '\u{3FFFF}',
            '\u{40000}',
            '\u{FFFFF}',
            '\u{100000}',
            '\u{10FFFF}',
        ];
        let wrong: [&[u8]; 17] = [
            b"\x80",
            b"\xBF",
            b"\xC0\x80",
            b"\xC1\xBF",
            b"\xC2",
            b"\xC2\x80\x80",
            b"\xE0\x9F\xBF",
            b"\xED\xA0\x80",
            b"\xED\xBF\xBF",
            b"\xE2\x82",
            b"\xEF\xBF\xBF\x80",
            b"\xF0\x8F\xBF\xBF",
            b"\xF0\x9F\x98",
            b"\xF4\x90\x80\x80",
            b"\xF5\x80\x80\x80",
            b"\xF8\x88\x80\x80",
            b"\xFF",
        ];
        let right = characters.map(|character| character.to_string().into_bytes());
        for sequence in right.iter().map(Vec::as_slice).chain(wrong) {
            for place in 0..130 {
                // After ASCII, and after other text.
                for start in ["a", "é"] {
                    let mut bytes = start.as_bytes().to_vec();
                    bytes.resize(bytes.len().max(place), b'a');
                    bytes.extend(sequence);
                    is_as_std_says(&bytes);
                    bytes.resize(bytes.len().max(130), b'z');
                    is_as_std_says(&bytes);
                }
            }
        }
    }

    #[test]
    fn every_prefix_and_suffix_of_a_text_in_many_scripts() {
        let text = "Franz jagt im völlig verwahrlosten Taxi, Съешь же ещё, 色は匂へど 🦊 ".repeat(4);
        for at in 0..=text.len() {
            is_as_std_says(&text.as_bytes()[..at]);
            is_as_std_says(&text.as_bytes()[at..]);
        }
    }

    #[test]
    fn an_invalid_byte_anywhere_in_a_short_text_of_any_length_is_found() {
        for len in 0..=130 {
            is_as_std_says(&vec![0x80; len]);
            for at in 0..len {
                let mut bytes = vec![b'b'; len];
                bytes[at] = 0x80;
                is_as_std_says(&bytes);
            }
        }
    }

    #[test]
    fn an_invalid_byte_anywhere_in_a_long_text_is_found() {
        let text = "a".repeat(140) + &"é色🦊".repeat(16);
        for at in 0..text.len() {
            for wrong in [0x80, 0xC0, 0xFF] {
                let mut bytes = text.clone().into_bytes();
                bytes[at] = wrong;
                is_as_std_says(&bytes);
            }
        }
    }
}
