//! Tests of the codec against an independent inflater.
#![forbid(unsafe_code)]

use super::naive::Naive;
use crate::deflate::*;
use crate::frame::utf8::MessageBuffer;
use quickcheck::{Arbitrary, Gen, QuickCheck};

/// A message that compresses: it repeats pieces of itself and of other messages.
#[derive(Debug, Clone)]
struct Repetitive(Vec<u8>);

impl Arbitrary for Repetitive {
    fn arbitrary(g: &mut Gen) -> Self {
        let words: [&[u8]; 6] = [b"{\"id\":", b"\"name\"", b", ", b"aaaaaaaaaaaaaaaaaaaaaaaa", b"1234", b"}"];
        let times = *g.choose(&[1, 1, 1, 2, 8, 20]).unwrap();
        let mut bytes = Vec::new();
        for piece in Vec::<u8>::arbitrary(g) {
            match piece {
                0..200 => bytes.extend(words[usize::from(piece) % words.len()]),
                _ => bytes.push(u8::arbitrary(g)),
            }
        }
        Self(bytes.repeat(times))
    }

    fn shrink(&self) -> Box<dyn Iterator<Item = Self>> {
        Box::new(self.0.shrink().map(Self))
    }
}

fn inflate(payload: &[u8], window: Option<&mut Window>, limit: usize) -> Result<Vec<u8>, InflateError> {
    let mut message = MessageBuffer::new(false, Vec::new());
    Inflater::new().inflate(payload, window, limit, &mut message)?;
    Ok(message.as_bytes().to_vec())
}

const LIMIT: usize = 16 << 20;

const ALONE: Context = Context::new(WindowBits::MAX, false);

#[test]
fn messages_with_takeover_round_trip_and_refer_no_further_than_negotiated() {
    fn prop(messages: Vec<Repetitive>, bits: WindowBits, level: u8) -> bool {
        let mut deflaters = Deflaters::new();
        let (mut sent, mut window, mut naive) = (Window::new(bits), Window::new(bits), Naive::default());
        for Repetitive(message) in messages.iter().take(20) {
            let Some(payload) = deflaters.deflate_after(message, &mut sent, level) else {
                // It was sent uncompressed, and is not in the window.
                continue;
            };
            assert!(payload.len() < message.len());
            assert_eq!(naive.inflate(payload).as_ref(), Some(message));
            assert!(naive.farthest <= bits.size(), "{} with {bits:?}", naive.farthest);
            assert_eq!(inflate(payload, Some(&mut window), LIMIT).as_ref(), Ok(message));
        }
        window.heap_bytes() <= bits.size().max(512) && sent.heap_bytes() == window.heap_bytes()
    }
    QuickCheck::new().tests(100).quickcheck(prop as fn(Vec<Repetitive>, WindowBits, u8) -> bool);
}

#[test]
fn fragments_inflate_to_one_message_within_their_maximum_size() {
    fn prop(messages: Vec<Vec<Repetitive>>, bits: WindowBits, level: u8, takeover: bool, noise: u8) {
        let mut deflaters = Deflaters::new();
        let (mut window, mut naive) = (Window::new(bits), Naive::default());
        let mut sent = Window::new(bits);
        for pieces in messages.iter().take(4) {
            let pieces = &pieces[..pieces.len().min(8)];
            let (mut payload, mut message) = (Vec::new(), Vec::new());
            for (index, Repetitive(piece)) in pieces.iter().enumerate() {
                let fin = index + 1 == pieces.len();
                let piece = match index {
                    0 => [&piece[..], b"which can be compressed, which can be compressed"].concat(),
                    // Incompressible data.
                    _ if noise & 1 << (index % 8) != 0 => {
                        noisy(piece.len().min(80_000) * (1 + index % 2), u64::from(noise))
                    }
                    _ => piece.clone(),
                };
                let made = match index {
                    0 if fin => deflaters.deflate_after(&piece, &mut sent, level).unwrap(),
                    0 => deflaters.deflate_first(&piece, &mut sent, level).unwrap(),
                    _ => deflaters.deflate_next(&piece, fin, &mut sent, level),
                };
                assert!(made.len() <= Deflaters::most_of_fragment(piece.len()));
                payload.extend_from_slice(made);
                message.extend(piece);
            }
            assert_eq!(naive.inflate(&payload).as_ref(), Some(&message));
            assert!(naive.farthest <= bits.size(), "{} with {bits:?}", naive.farthest);
            assert_eq!(inflate(&payload, Some(&mut window), LIMIT), Ok(message));
            if !takeover {
                (sent, window, naive) = (Window::new(bits), Window::new(bits), Naive::default());
            }
        }
    }
    QuickCheck::new()
        .rng(Gen::new(12))
        .tests(100)
        .quickcheck(prop as fn(Vec<Vec<Repetitive>>, WindowBits, u8, bool, u8));
}

/// Returns bytes that do not compress.
fn noisy(len: usize, seed: u64) -> Vec<u8> {
    let mut random = seed;
    std::iter::repeat_with(|| {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        random.to_be_bytes()[0]
    })
    .take(len)
    .collect()
}

#[test]
fn a_fragment_that_would_grow_is_sent_in_stored_blocks() {
    // At level 1, a byte above 143 takes nine bits.
    let piece: Vec<u8> = noisy(3 * 0xFFFF + 1, 1).iter().map(|byte| byte | 0x80).collect();
    let text = b"which can be compressed, which can be compressed";
    for fin in [false, true] {
        let (mut deflaters, mut sent) = (Deflaters::new(), Window::new(WindowBits::MAX));
        let mut payload = deflaters.deflate_first(text, &mut sent, 1).unwrap().to_vec();
        let stored = deflaters.deflate_next(&piece, fin, &mut sent, 1);
        assert_eq!(stored.len(), piece.len() + 4 * 5 + usize::from(fin));
        payload.extend_from_slice(stored);
        if !fin {
            payload.extend_from_slice(deflaters.deflate_next(b"", true, &mut sent, 1));
        }
        assert_eq!(inflate(&payload, None, LIMIT).unwrap(), [&text[..], &piece].concat());
    }
}

#[test]
fn each_message_has_its_own_level_whatever_the_level_before() {
    let text: Vec<u8> =
        (0..2000u32).flat_map(|n| format!("{} is followed by ", n * n).into_bytes()).collect();
    let alone = |level| Deflaters::new().deflate(&text, ALONE, level).map(<[u8]>::to_vec);
    assert!(alone(1) != alone(5) && alone(5) != alone(9));
    let mut deflaters = Deflaters::new();
    for level in [1, 9, 1, 5, 9, 5] {
        assert!(deflaters.deflate(&text, ALONE, level) == alone(level).as_deref(), "{level}");
    }
}

#[test]
fn a_message_is_sent_compressed_only_if_it_gets_smaller() {
    let mut deflaters = Deflaters::new();
    for (len, repeated) in (0..40).flat_map(|len| (0..40).map(move |repeated| (len, repeated))) {
        let message = [noisy(len, 1), vec![b'a'; repeated]].concat();
        let mut sent = [Window::new(WindowBits::MAX), Window::new(WindowBits::MAX)];
        assert!(deflaters.deflate(&message, ALONE, 6).is_none_or(|made| made.len() < message.len()));
        let [whole, first] = &mut sent;
        assert!(deflaters.deflate_after(&message, whole, 6).is_none_or(|made| made.len() < message.len()));
        assert!(deflaters.deflate_first(&message, first, 6).is_none_or(|made| made.len() < message.len()));
    }
}

#[test]
fn messages_without_takeover_round_trip_and_refer_only_to_themselves() {
    fn prop(messages: Vec<Repetitive>, bits: WindowBits, level: u8) {
        let mut deflaters = Deflaters::new();
        for Repetitive(message) in &messages {
            let Some(payload) = deflaters.deflate(message, Context::new(bits, false), level) else {
                continue;
            };
            let mut naive = Naive::default();
            assert_eq!(naive.inflate(payload).as_ref(), Some(message));
            assert!(naive.farthest <= bits.size(), "{} with {bits:?}", naive.farthest);
            assert_eq!(inflate(payload, None, LIMIT).as_ref(), Ok(message));
        }
    }
    QuickCheck::new().tests(100).quickcheck(prop as fn(Vec<Repetitive>, WindowBits, u8));
}

#[test]
fn corrupted_payloads_have_the_outcome_of_the_naive_inflater() {
    fn prop(message: Repetitive, dynamic: bool, changes: Vec<(usize, u8)>, cut: Option<usize>) {
        let mut deflaters = Deflaters::new();
        let context = Context::new(WindowBits::MAX, false);
        let level = if dynamic { 6 } else { 1 };
        let Some(payload) = deflaters.deflate(&message.0, context, level) else { return };
        let mut payload = payload.to_vec();
        for (at, byte) in changes.into_iter().take(3) {
            let at = at % payload.len();
            payload[at] = byte;
        }
        if let Some(cut) = cut {
            payload.truncate(cut % payload.len());
        }
        let expected = Naive::default().inflate(&payload);
        assert_eq!(inflate(&payload, None, LIMIT).ok(), expected, "{payload:x?}");
    }
    QuickCheck::new().tests(1_000).quickcheck(prop as fn(Repetitive, bool, Vec<(usize, u8)>, Option<usize>));
}

/// A block that ends within the last byte of the tail: its other bits are a header of no kind.
#[test]
fn a_block_that_ends_within_the_tail_is_corrupt() {
    let payload: Vec<u8> = concat!(
        "7490210e02510c44d10804c190209aaf6b76412130380e80661236010141e0488fc03108dc06c1819674476c",
        "56cc13ed4f3b9d36ff51cec7b28660efb629575c9a02c1a2aa971b4a7e0b749c42e0f67cb9e5140431a11155",
        "8736232bc19485888c10cc7844dbebe735043b8abe37ceb841405dc3e4c60c01bb",
    )
    .as_bytes()
    .chunks(2)
    .map(|digits| u8::from_str_radix(std::str::from_utf8(digits).unwrap(), 16).unwrap())
    .collect();
    assert_eq!(inflate(&payload, None, LIMIT), Err(InflateError::Corrupt));
    assert_eq!(Naive::default().inflate(&payload), None);
}

#[test]
fn the_examples_of_the_rfc_inflate() {
    // Section 7.2.3.1, and 7.2.3.2 with takeover: the second message refers to the first.
    let first = [0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00];
    let mut window = Window::new(WindowBits::MAX);
    assert_eq!(inflate(&first, Some(&mut window), LIMIT).unwrap(), b"Hello");
    assert_eq!(inflate(&[0xf2, 0x00, 0x11, 0x00, 0x00], Some(&mut window), LIMIT).unwrap(), b"Hello");
    assert_eq!(inflate(&[0xf2, 0x00, 0x11, 0x00, 0x00], None, LIMIT), Err(InflateError::Corrupt));
    // Section 7.2.3.3: a stored block. Section 7.2.3.4: a block with BFINAL set. Section 7.2.3.5: two blocks.
    let stored = [0x00, 0x05, 0x00, 0xfa, 0xff, 0x48, 0x65, 0x6c, 0x6c, 0x6f, 0x00];
    assert_eq!(inflate(&stored, None, LIMIT).unwrap(), b"Hello");
    let last = [0xf3, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00, 0x00];
    assert_eq!(inflate(&last, None, LIMIT).unwrap(), b"Hello");
    let two = [0xf2, 0x48, 0x05, 0x00, 0x00, 0x00, 0xff, 0xff, 0xca, 0xc9, 0xc9, 0x07, 0x00];
    assert_eq!(inflate(&two, None, LIMIT).unwrap(), b"Hello");
    // Section 7.2.3.6: an empty message, and one without any bytes.
    assert_eq!(inflate(&[0x00], None, LIMIT).unwrap(), b"");
    assert_eq!(inflate(&[], None, LIMIT).unwrap(), b"");
}

#[test]
fn a_message_continues_after_a_final_block_and_still_refers_to_earlier_bytes() {
    let last = [0xf3, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00];
    let again = [0xf2, 0x00, 0x11, 0x00, 0x00];
    let message = [&last[..], &last, &again].concat();
    let mut window = Window::new(WindowBits::MAX);
    assert_eq!(inflate(&message, Some(&mut window), LIMIT).unwrap(), b"HelloHelloHello");
    assert_eq!(inflate(&again, Some(&mut window), LIMIT).unwrap(), b"Hello");
    // The final 0x00 may be missing, but not the end of the block itself.
    assert_eq!(inflate(&last, None, LIMIT).unwrap(), b"Hello");
    assert_eq!(inflate(&last[..6], None, LIMIT), Err(InflateError::Corrupt));
}

#[test]
fn endless_final_blocks_are_corrupt_and_not_endless_work() {
    let message = [0x03, 0x00].repeat(1 << 20);
    assert_eq!(inflate(&message, None, LIMIT), Err(InflateError::Corrupt));
    // The streams of each message are counted separately.
    let mut inflater = Inflater::new();
    for _ in 0..2 {
        let mut message = MessageBuffer::new(false, Vec::new());
        assert_eq!(inflater.inflate(&[0x03, 0x00].repeat(1000), None, LIMIT, &mut message), Ok(()));
    }
}

#[test]
fn a_message_over_the_limit_is_refused_after_one_byte_more() {
    let mut deflaters = Deflaters::new();
    for (len, limit) in
        [(0usize, 0usize), (1000, 1000), (1001, 1000), (4096, 4096), (4097, 4096), (5 << 20, 1 << 20)]
    {
        let bytes = vec![b'a'; len];
        let payload = deflaters.deflate(&bytes, ALONE, 9).unwrap_or(&[0x00]);
        // Even if there is room for more.
        for room in [0, 6 << 20] {
            let mut message = MessageBuffer::new(false, vec![0; room]);
            let inflated = Inflater::new().inflate(payload, None, limit, &mut message);
            if len <= limit {
                assert!(inflated == Ok(()) && message.as_bytes() == bytes, "{len} bytes, {limit} allowed");
            } else {
                assert_eq!(inflated, Err(InflateError::TooLong));
                assert!(message.len() <= limit + 1 && message.capacity() <= room.max(2 * (limit + 1)));
            }
        }
    }
}

#[test]
fn the_first_error_is_returned_whatever_the_room_in_the_buffer() {
    // One stored block, and a block of an invalid type.
    for len in [1, 4 << 10, 5000, 0xFFFF_u16] {
        let mut payload = vec![0];
        payload.extend(len.to_le_bytes());
        payload.extend((!len).to_le_bytes());
        payload.resize(payload.len() + usize::from(len), 0xFF);
        payload.push(0x06);
        let mut inflater = Inflater::new();
        for (is_text, limit, error) in [
            (true, usize::MAX, InflateError::NotUtf8),
            (false, usize::MAX, InflateError::Corrupt),
            (false, usize::from(len) - 1, InflateError::TooLong),
        ] {
            for room in [0, 2, 3000, 100_000] {
                let mut message = MessageBuffer::new(is_text, vec![0; room]);
                let result = inflater.inflate(&payload, None, limit, &mut message);
                assert_eq!(result, Err(error), "{len} bytes into {room}");
            }
        }
    }
}

/// Returns the outcome of feeding these pieces, and that of finishing the message after them.
fn inflate_pieces<'a>(
    pieces: impl IntoIterator<Item = &'a [u8]>,
    text: bool,
    window: Option<&mut Window>,
    limit: usize,
) -> (Result<Vec<u8>, InflateError>, Result<Vec<u8>, InflateError>) {
    let mut inflater = Inflater::new();
    // Start with an unfinished message, which must not matter.
    let mut other = MessageBuffer::new(false, Vec::new());
    assert_eq!(inflater.feed(&[0x03, 0x00, 0xf2, 0x48], None, LIMIT, &mut other), Ok(()));
    inflater.begin();
    let mut message = MessageBuffer::new(text, Vec::new());
    for piece in pieces {
        if let Err(error) = inflater.feed(piece, window.as_deref(), limit, &mut message) {
            return (Err(error), Err(error));
        }
    }
    let part = message.as_bytes().to_vec();
    let whole = inflater.finish(window, limit, &mut message).map(|()| message.as_bytes().to_vec());
    (Ok(part), whole)
}

#[test]
fn a_message_has_one_outcome_after_each_prefix_wherever_it_is_split() {
    type Choices = (bool, bool, Option<u16>);
    fn prop(
        messages: (Repetitive, Repetitive),
        (dynamic, text, limit): Choices,
        changes: Vec<(usize, u8)>,
        cuts: Vec<usize>,
    ) {
        let level = if dynamic { 6 } else { 1 };
        let (mut deflaters, mut sent) = (Deflaters::new(), Window::new(WindowBits::MAX));
        let mut window = Window::new(WindowBits::MAX);
        if let Some(payload) = deflaters.deflate_after(&messages.0.0, &mut sent, level) {
            assert!(inflate(payload, Some(&mut window), LIMIT).is_ok());
        }
        let Some(payload) = deflaters.deflate_after(&messages.1.0, &mut sent, level) else { return };
        // Twice, with the end of a stream between.
        let mut payload = [payload, &[0x00, 0x00, 0xFF, 0xFF, 0x03, 0x00], payload].concat();
        for (at, byte) in changes.into_iter().take(2) {
            let at = at % payload.len();
            payload[at] = byte;
        }
        let limit = limit.map_or(LIMIT, usize::from);
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut % (payload.len() + 1)).collect();
        cuts.sort_unstable();
        let again = |window: &Window| {
            let mut copy = Window::new(WindowBits::MAX);
            let (first, second) = window.as_slices();
            copy.push(&[first, second].concat());
            copy
        };
        for &end in cuts.iter().take(3).chain([&payload.len()]) {
            let prefix = &payload[..end];
            let at_once = inflate_pieces([prefix], text, Some(&mut again(&window)), limit);
            let by_byte = inflate_pieces(prefix.chunks(1), text, Some(&mut again(&window)), limit);
            assert_eq!(at_once, by_byte, "{prefix:x?}");
            let ends = cuts.iter().copied().filter(|&cut| cut < end).chain([end]);
            let starts = [0].into_iter().chain(ends.clone());
            let pieces = starts.zip(ends).map(|(from, to)| &prefix[from..to]);
            assert_eq!(at_once, inflate_pieces(pieces, text, Some(&mut again(&window)), limit));
            let mut message = MessageBuffer::new(text, Vec::new());
            let whole = Inflater::new().inflate(prefix, Some(&mut again(&window)), limit, &mut message);
            assert_eq!(at_once.1, whole.map(|()| message.as_bytes().to_vec()));
        }
    }
    QuickCheck::new()
        .tests(500)
        .quickcheck(prop as fn((Repetitive, Repetitive), Choices, Vec<(usize, u8)>, Vec<usize>));
}

#[test]
fn text_is_validated_as_it_is_inflated() {
    let mut bytes = vec![b'a'; 1 << 20];
    bytes[5000] = 0xFF;
    let mut deflaters = Deflaters::new();
    let payload = deflaters.deflate(&bytes, ALONE, 6).unwrap();
    let mut message = MessageBuffer::new(true, Vec::new());
    let inflated = Inflater::new().inflate(payload, None, LIMIT, &mut message);
    assert_eq!(inflated, Err(InflateError::NotUtf8));
    assert!(message.capacity() <= 16 << 10, "{}", message.capacity());
}

#[test]
fn a_message_that_would_grow_is_not_added_to_the_window() {
    let text = b"to be sent compressed, and once more compressed";
    let noise = noisy(300, 1);
    let mut deflaters = Deflaters::new();
    let (mut sent, mut window) = (Window::new(WindowBits::MAX), Window::new(WindowBits::MAX));
    for message in [&text[..], &noise, &noise, &text.repeat(2), &noise, &text.repeat(3)] {
        match deflaters.deflate_after(message, &mut sent, 6) {
            Some(payload) => assert_eq!(inflate(payload, Some(&mut window), LIMIT).unwrap(), message),
            None => assert_eq!(message, noise),
        }
    }
}

/// zlib-rs 0.6.8, if reset after its output ran out of room, loses part of its buffer each time and panics in
/// the end.
#[test]
fn many_messages_that_would_grow_do_not_panic() {
    let mut random = 7u64;
    let mut deflaters = Deflaters::new();
    for round in 0..700u32 {
        let len = [0, 1, 5, 200, 300, 1000, 10_000][usize::try_from(round % 7).unwrap()];
        let noise: Vec<u8> = std::iter::repeat_with(|| {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            // In a block with fixed codes, bytes above 143 take nine bits.
            random.to_be_bytes()[0] | if round & 1 == 0 { 0 } else { 0x80 }
        })
        .take(len)
        .collect();
        let level = u8::try_from(1 + round % 9).unwrap();
        let bits = WindowBits::new(u8::try_from(8 + round / 9 % 8).unwrap()).unwrap();
        if let Some(payload) = deflaters.deflate(&noise, Context::new(bits, false), level) {
            let payload = payload.to_vec();
            assert_eq!(inflate(&payload, None, LIMIT).unwrap(), noise);
        }
        let text = noise.repeat(2);
        if let Some(payload) = deflaters.deflate(&text, Context::new(bits, false), level) {
            assert_eq!(inflate(payload, None, LIMIT).unwrap(), text);
        }
    }
}

#[test]
fn a_window_holds_the_last_bytes_and_no_more_than_its_size() {
    let mut window = Window::new(WindowBits::new(10).unwrap());
    assert_eq!(window.heap_bytes(), 0);
    let mut all = Vec::new();
    for len in [1usize, 100, 3, 900, 5, 5000, 1024, 1, 0, 1023] {
        let message: Vec<u8> = (0..len).map(|at| u8::try_from((at * len) % 251).unwrap()).collect();
        window.push(&message);
        all.extend(message);
        let (first, second) = window.as_slices();
        assert_eq!([first, second].concat(), all[all.len().saturating_sub(1024)..]);
        assert!(
            window.heap_bytes() <= 1024.min(all.len().next_power_of_two().max(8)),
            "{}",
            window.heap_bytes()
        );
    }
}
