//! Tests of the encoder for short messages, against two inflaters.
#![forbid(unsafe_code)]

use super::huffman::{self, Code};
use super::matcher::LAST;
use super::symbols::{DISTANCES, LITERALS, Symbol};
use super::*;
use crate::deflate::tests::naive::Naive;
use quickcheck::{Gen, QuickCheck};
use zlib_rs::{Deflate, DeflateConfig, DeflateFlush, Inflate, InflateFlush};

const TAIL: [u8; 4] = [0x00, 0x00, 0xFF, 0xFF];

impl ShortDeflater {
    /// Compresses, and returns the payload without its tail. Checks it with zlib-rs, whose window only holds
    /// the bytes that the message may refer to, and with the naive inflater.
    fn payload(&mut self, message: &[u8], before: &[u8], farthest: usize, level: u8) -> Option<Vec<u8>> {
        let before = &before[before.len().saturating_sub(farthest.min(reach(message.len())))..];
        let (one, other) = before.split_at(before.len() / 3);
        let mut result = Vec::new();
        let len = self.deflate(message, [one, other], farthest, level, &mut result)?;
        let payload = result[..len].strip_suffix(&TAIL).unwrap();
        assert!(payload.len() < message.len());

        let mut inflate = Inflate::new(false, 15);
        if !before.is_empty() {
            inflate.set_dictionary(before).unwrap();
        }
        let mut inflated = vec![0; message.len() + 1];
        inflate.decompress(&result[..len], &mut inflated, InflateFlush::SyncFlush).unwrap();
        assert_eq!(inflate.total_out(), message.len() as u64);
        assert_eq!(inflate.total_in(), len as u64);
        assert_eq!(&inflated[..message.len()], message);

        let mut naive = Naive { output: before.to_vec(), farthest: 0 };
        assert_eq!(naive.inflate(payload).as_deref(), Some(message));
        assert!(naive.farthest <= farthest, "{} of {farthest}", naive.farthest);
        Some(payload.to_vec())
    }
}

/// Returns the size of a message that zlib-rs compresses.
fn size_by_zlib(message: &[u8], before: &[u8], level: u8) -> usize {
    let config = DeflateConfig { level: i32::from(level), window_bits: -15, ..DeflateConfig::default() };
    let mut deflate = Deflate::new_with_config(config);
    let before = &before[before.len().saturating_sub(reach(message.len()))..];
    if !before.is_empty() {
        deflate.set_dictionary(before).unwrap();
    }
    let mut made = vec![0; message.len() * 2 + 64];
    deflate.compress(message, &mut made, DeflateFlush::SyncFlush).unwrap();
    (usize::try_from(deflate.total_out()).unwrap() - TAIL.len()).min(message.len())
}

/// Returns numbers below `bound`, which repeat with a certain probability what was there before.
fn drawn(len: usize, bound: u64, repeated: u64, seed: u64) -> Vec<u8> {
    let mut random = seed;
    let mut below = |bound: u64| {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (random >> 33) % bound
    };
    let mut bytes = Vec::<u8>::with_capacity(len + 300);
    while bytes.len() < len {
        if !bytes.is_empty() && below(100) < repeated {
            let from = usize::try_from(below(bytes.len() as u64)).unwrap();
            let end = (from + 1 + usize::try_from(below(300)).unwrap()).min(bytes.len());
            bytes.extend_from_within(from..end);
        } else {
            bytes.push(u8::try_from(below(bound)).unwrap());
        }
    }
    bytes.truncate(len);
    bytes
}

#[test]
fn messages_of_every_length_and_alphabet_round_trip() {
    let mut deflater = ShortDeflater::default();
    for len in (0..600).chain([1000, 4096, LONGEST - 1, LONGEST]) {
        for (index, bound) in [1, 2, 3, 16, 100, 256].into_iter().enumerate() {
            let seed = (len * 8 + index) as u64;
            let level = u8::try_from(1 + (len + index) % 9).unwrap();
            let message = drawn(len, bound, seed % 7, seed);
            let before = [drawn(seed as usize % 3000, bound, 3, seed), message.clone()].concat();
            deflater.payload(&message, &[], 1 << 15, level);
            deflater.payload(&message, &before, 1 << (8 + seed % 8), level);
        }
    }
}

#[test]
fn a_text_as_long_as_the_buffer_round_trips() {
    let mut deflater = ShortDeflater::default();
    for bound in [2, 40, 256] {
        let all = drawn(TEXT, bound, 5, bound);
        let (before, message) = all.split_at(TEXT - LONGEST);
        assert_eq!(before.len(), reach(LONGEST));
        for level in 1..=9 {
            assert!(deflater.payload(message, before, 1 << 15, level).is_some() || bound == 256);
        }
    }
}

#[test]
fn the_farthest_byte_is_referred_to_and_none_beyond_it() {
    let mut deflater = ShortDeflater::default();
    for bits in 8..=13 {
        let size = 1 << bits;
        let word = drawn(100, 256, 0, bits);
        let message = [&word[..], &[b'a'; 100]].concat();
        // The word is as far back as the window reaches, or one byte further.
        for (beyond, is_found) in [(0, true), (1, false)] {
            let before = [&word[..], &drawn(size + beyond - 100, 256, 0, 99)[..]].concat();
            let payload = deflater.payload(&message, &before, size, 5).unwrap();
            assert_eq!(payload.len() < 80, is_found, "{bits} bits, {beyond} beyond: {}", payload.len());
        }
    }
}

#[test]
fn a_message_has_the_same_payload_whatever_was_compressed_before() {
    fn prop(messages: Vec<(u16, u8, u8)>, level: u8) {
        let mut deflater = ShortDeflater::default();
        for (seed, bound, repeated) in messages {
            let draw = |len| drawn(len, u64::from(bound) + 1, u64::from(repeated % 20), u64::from(seed));
            let message = draw(usize::from(seed) % LONGEST);
            let before = draw(usize::from(seed) / 2);
            let mut anew = ShortDeflater::default();
            let payload = deflater.payload(&message, &before, 1 << 15, level % 9 + 1);
            assert_eq!(payload, anew.payload(&message, &before, 1 << 15, level % 9 + 1));
        }
    }
    QuickCheck::new().rng(Gen::new(20)).tests(50).quickcheck(prop as fn(Vec<(u16, u8, u8)>, u8));
}

#[test]
fn the_counter_of_positions_starts_again_before_it_overflows() {
    let message = drawn(5000, 20, 3, 1);
    let before = drawn(5000, 20, 3, 2);
    let mut anew = ShortDeflater::default();
    let expected = anew.payload(&message, &before, 1 << 15, 5);
    let mut deflater = ShortDeflater::default();
    for next in [LAST - 25_000, LAST - 10_001, LAST - 10_000, LAST - 1, LAST, LAST + 9_000] {
        deflater.matcher.next = next;
        for _ in 0..4 {
            assert_eq!(deflater.payload(&message, &before, 1 << 15, 5), expected, "{next}");
        }
        assert!(deflater.matcher.next < LAST + 20_000);
    }
}

#[test]
fn noise_does_not_get_smaller() {
    let mut deflater = ShortDeflater::default();
    for len in [0, 1, 2, 100, 1000, LONGEST] {
        assert_eq!(deflater.payload(&drawn(len, 256, 0, len as u64), &[], 1 << 15, 9), None, "{len}");
    }
}

/// Prices, as in the messages of a ticker: each resembles the one before.
fn ticker(len: usize, seed: u64) -> Vec<u8> {
    let mut text = format!("{{\"type\":\"ticker\",\"sequence\":{},\"prices\":[", 1000 + seed);
    for index in 0.. {
        if text.len() >= len {
            break;
        }
        let price = 100_000 + index * 7919 % 50_000 + (seed + index) / 3;
        text += &format!(
            "{{\"symbol\":\"S{index}\",\"bid\":{price},\"ask\":{},\"time\":{}}},",
            price + 3,
            seed * 37
        );
    }
    text.truncate(len);
    text.into_bytes()
}

/// Pieces of this crate's documentation and code.
fn prose(len: usize, seed: u64) -> Vec<u8> {
    let all =
        concat!(include_str!("../policy.rs"), include_str!("../offer.rs"), include_str!("../inflater.rs"));
    let start = usize::try_from(seed).unwrap() * len % (all.len() - len);
    all.as_bytes()[start..start + len].to_vec()
}

/// Messages may be larger than with zlib, but on average over these kinds, by no more than this.
#[test]
fn messages_are_on_average_at_most_half_a_percent_larger_than_by_zlib() {
    for level in [1, 3, 5, 6, 9] {
        for takeover in [false, true] {
            let (mut sum, mut cases) = (0.0, 0.0);
            for len in [128, 512, 2048, 8192] {
                for kind in [ticker, prose, |len, seed| drawn(len, 60, 4, seed)] {
                    let mut deflater = ShortDeflater::default();
                    let (mut before, mut ours, mut zlibs) = (Vec::new(), 0, 0);
                    for seed in 0..20 {
                        let message = kind(len, seed);
                        let payload = deflater.payload(&message, &before, 1 << 15, level);
                        ours += payload.map_or(message.len(), |payload| payload.len());
                        zlibs += size_by_zlib(&message, &before, level);
                        if takeover {
                            before.extend(message);
                        }
                    }
                    sum += f64::from(ours as u32) / f64::from(zlibs as u32);
                    cases += 1.0;
                }
            }
            let mean = sum / cases;
            assert!(mean < 1.005, "level {level}, takeover {takeover}: {mean:.4}");
        }
    }
}

#[test]
fn codes_are_complete_and_within_their_limit() {
    fn prop(frequencies: Vec<u16>, longest: bool) {
        let frequencies: Vec<u16> = frequencies.into_iter().take(LITERALS).map(|times| times / 8).collect();
        if frequencies.len() < 2 {
            return;
        }
        check(&frequencies, if longest || frequencies.len() > 100 { 15 } else { 7 });
    }
    fn check(frequencies: &[u16], longest: usize) {
        let mut lengths = vec![0xFF; frequencies.len()];
        huffman::lengths(frequencies, longest, &mut lengths);
        let used = lengths.iter().filter(|&&len| len > 0);
        assert!(used.clone().count() >= 2);
        assert!(used.clone().all(|&len| usize::from(len) <= longest), "{lengths:?}");
        assert_eq!(used.map(|&len| 1_u32 << (15 - len)).sum::<u32>(), 1 << 15, "{lengths:?}");
        assert!(frequencies.iter().zip(&lengths).all(|(&times, &len)| times == 0 || len > 0));
        // No code begins another one.
        let mut codes = vec![Code::default(); lengths.len()];
        huffman::codes(&lengths, &mut codes);
        for (index, one) in codes.iter().enumerate().filter(|(_, code)| code.len > 0) {
            for other in codes[..index].iter().filter(|code| code.len > 0) {
                let bits = one.len.min(other.len);
                assert_ne!(one.bits & ((1 << bits) - 1), other.bits & ((1 << bits) - 1));
            }
        }
    }
    // Frequencies that make the deepest trees: each is the sum of the two before.
    for (count, longest) in [(2, 7), (7, 7), (8, 7), (9, 7), (19, 7), (17, 15), (20, 15), (22, 15)] {
        let mut frequencies = vec![1_u16, 1];
        while frequencies.len() < count {
            frequencies.push(frequencies[frequencies.len() - 1] + frequencies[frequencies.len() - 2]);
        }
        check(&frequencies, longest);
    }
    check(&[0, 0], 7);
    check(&[5, 0], 7);
    check(&[0, 5], 7);
    QuickCheck::new().rng(Gen::new(300)).tests(300).quickcheck(prop as fn(Vec<u16>, bool));
}

#[test]
fn each_length_and_distance_has_its_symbol_of_rfc_1951() {
    // Section 3.2.5: the first length or distance of each symbol, and its extra bits.
    let mut next = 3;
    for code in 257..285 {
        let extra_bits = if code < 265 { 0 } else { (code - 261) / 4 };
        for extra in 0..(1 << extra_bits) {
            if next < 258 {
                assert_eq!(Symbol::of_length(next), Symbol { code: code as usize, extra, extra_bits });
                next += 1;
            }
        }
    }
    assert_eq!(Symbol::of_length(258), Symbol { code: 285, extra: 0, extra_bits: 0 });
    let mut next = 1_u32;
    for code in 0..DISTANCES as u32 {
        let extra_bits = if code < 4 { 0 } else { code / 2 - 1 };
        for extra in 0..(1 << extra_bits) {
            let distance = next as u16;
            assert_eq!(Symbol::of_distance(distance), Symbol { code: code as usize, extra, extra_bits });
            next += 1;
        }
    }
    assert_eq!(next, 32_769);
}
