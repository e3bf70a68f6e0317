//! Unmasking and validating text. The floor is the best validator alone.

use super::ring::Ring;
use super::table::{Table, length};
use super::timing::{Case, case, times};
use crate::load::MIXED;
use std::hint::black_box;
use websocket_stream::frame::{mask, utf8};

const LENGTHS: [usize; 6] = [32, 125, 1 << 10, 16 << 10, 64 << 10, 1 << 20];
const ASCII: &str = "The quick brown fox jumps over the lazy dog. ";
/// Zeros, so that unmasked text stays text from one round to the next.
const KEY: [u8; 4] = [0; 4];

pub fn measure() -> Table {
    let mut table = Table::new(
        "unmasking and validating text (ns)",
        &[
            "text",
            "simdutf8 alone",
            "ours, one pass",
            "our mask, simdutf8",
            "fastwebsockets' unmask, simdutf8",
            "simdutf8 alone/ours",
            "two passes/ours",
        ],
    );
    let (mut short_ascii, mut long_ascii, mut mixed) = (Vec::new(), Vec::new(), Vec::new());
    for (name, sentence) in [("ASCII", ASCII), ("mixed", MIXED)] {
        for bytes in LENGTHS {
            let times = times(&mut Ring::of(text(sentence, bytes).as_bytes()), &mut cases());
            let ratios = [times[0] / times[1], times[2] / times[1]];
            let judged = match (name, bytes) {
                ("mixed", _) => &mut mixed,
                (_, ..=0x4000) => &mut short_ascii,
                _ => &mut long_ascii,
            };
            judged.push(ratios[0]);
            table.line(format!("{name}, {}", length(bytes)), times.into_iter().map(Some), ratios);
        }
    }
    table.judge("against simdutf8 alone, ASCII up to 16 KiB", short_ascii, 0.75);
    table.judge("against simdutf8 alone, ASCII beyond", long_ascii, 0.65);
    table.judge("against simdutf8 alone, mixed", mixed, 0.75);
    table
}

/// Returns text of this length, made of these sentences; spaces replace a character that would be cut.
fn text(sentence: &str, bytes: usize) -> String {
    let mut text = sentence.repeat(bytes / sentence.len() + 1);
    text.truncate((0..=bytes).rev().find(|&at| text.is_char_boundary(at)).unwrap_or(0));
    let missing = bytes - text.len();
    text + &" ".repeat(missing)
}

fn cases() -> [Case<Ring>; 4] {
    let key = black_box(KEY);
    [
        case(|ring: &mut Ring| judged(simdutf8::basic::from_utf8(ring.next().0).is_ok())),
        case(move |ring: &mut Ring| judged(utf8::unmask_and_validate(ring.next().0, key).is_ok())),
        case(move |ring: &mut Ring| {
            let bytes = ring.next().0;
            mask(bytes, key, 0);
            judged(simdutf8::basic::from_utf8(bytes).is_ok());
        }),
        case(move |ring: &mut Ring| {
            let bytes = ring.next().0;
            fastwebsockets::unmask(bytes, key);
            judged(simdutf8::basic::from_utf8(bytes).is_ok());
        }),
    ]
}

/// Fails if the text is refused, because its time would be meaningless.
#[inline(always)]
fn judged(valid: bool) {
    assert!(black_box(valid), "the text is UTF-8");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_have_their_length_and_only_the_mixed_one_is_not_ascii() {
        for bytes in LENGTHS {
            assert_eq!((text(ASCII, bytes).len(), text(MIXED, bytes).len()), (bytes, bytes));
            assert!(text(ASCII, bytes).is_ascii() && !text(MIXED, bytes).is_ascii());
        }
    }

    #[test]
    fn all_leave_the_text_as_it_is() {
        let text = text(MIXED, 1 << 10);
        for mut case in cases() {
            let mut ring = Ring::of(text.as_bytes());
            case(&mut ring, 100);
            assert_eq!(ring.next().0, text.as_bytes());
        }
    }
}
