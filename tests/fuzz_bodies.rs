//! The bodies of the fuzz targets as tests: on their corpora, on random bytes, and on bytes that get
//! further than those.

use quickcheck::{Arbitrary, Gen, QuickCheck};
use std::path::Path;

#[path = "../fuzz/bodies/differential.rs"]
mod differential;
#[path = "../fuzz/bodies/extensions.rs"]
mod extensions;
#[path = "../fuzz/bodies/handshake.rs"]
mod handshake;
#[path = "../fuzz/bodies/header.rs"]
mod header;
#[cfg(feature = "deflate")]
#[path = "../fuzz/bodies/inflate.rs"]
mod inflate;
#[path = "../fuzz/bodies/operations.rs"]
mod operations;
#[path = "../fuzz/bodies/receive.rs"]
mod receive;
#[path = "../fuzz/bodies/reference.rs"]
mod reference;

/// What the fuzzers found worth keeping.
fn on_corpus(target: &str, body: fn(&[u8])) {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(target);
    let entries = corpus.read_dir().unwrap_or_else(|error| panic!("{}: {error}", corpus.display()));
    let mut count = 0;
    for entry in entries {
        let path = entry.unwrap().path();
        // Captured, and shown where the body fails.
        println!("{}", path.display());
        body(&std::fs::read(&path).unwrap());
        count += 1;
    }
    assert!(count > 0, "{} is empty", corpus.display());
}

#[test]
fn the_corpora_hold() {
    on_corpus("differential", differential::body);
    on_corpus("extensions", extensions::body);
    on_corpus("handshake", handshake::body);
    on_corpus("header", header::body);
    on_corpus("operations", operations::body);
    on_corpus("receive", receive::body);
}

#[test]
fn operations_hold_whatever_they_are() {
    fn prop(bytes: Vec<u8>) -> bool {
        operations::body(&bytes);
        true
    }
    QuickCheck::new().rng(Gen::new(200)).tests(500).quickcheck(prop as fn(Vec<u8>) -> bool);
}

#[cfg(feature = "deflate")]
#[test]
fn inflate_holds_on_compressed_messages_with_any_bytes_changed() {
    use websocket_stream::deflate::{Deflaters, History, WindowBits};
    fn prop(start: (u8, u8), pieces: Vec<Vec<u8>>, times: u8, level: u8, changes: Vec<(usize, u8)>) -> bool {
        let mut bytes = vec![start.0, start.1];
        let (mut deflaters, mut sent) = (Deflaters::new(), History::new(WindowBits::MAX));
        for piece in pieces.iter().take(2) {
            let message = piece.repeat(usize::from(times));
            match deflaters.deflate_after(&message, &mut sent, level) {
                Some(payload) => bytes.extend(payload),
                None => bytes.extend(piece),
            }
        }
        for (at, byte) in changes.into_iter().take(2) {
            let at = at % bytes.len();
            bytes[at] = byte;
        }
        inflate::body(&bytes);
        true
    }
    QuickCheck::new().tests(1_000).quickcheck(prop as fn(_, _, _, _, _) -> bool);
}

#[test]
fn extensions_hold_on_any_signs_of_their_grammar() {
    fn prop(signs: Vec<u8>) -> bool {
        let list: Vec<u8> = signs.iter().map(|sign| b"ab,;=\"\\ \t("[usize::from(sign % 10)]).collect();
        extensions::body(&list);
        true
    }
    QuickCheck::new().tests(10_000).quickcheck(prop as fn(Vec<u8>) -> bool);
}

#[test]
fn header_holds_on_any_bytes() {
    fn prop(bytes: Vec<u8>) -> bool {
        header::body(&bytes);
        true
    }
    QuickCheck::new().tests(10_000).quickcheck(prop as fn(Vec<u8>) -> bool);
}

/// Frames with any first byte, of one role, with perhaps one byte changed; behind a head of the body's
/// own.
#[derive(Debug, Clone)]
struct Frames {
    from_client: bool,
    bytes: Vec<u8>,
}

impl Arbitrary for Frames {
    fn arbitrary(g: &mut Gen) -> Self {
        let from_client = bool::arbitrary(g);
        let mut bytes = Vec::new();
        for _ in 0..u8::arbitrary(g) % 8 {
            // All opcodes, with and without FIN; reserved bits and opcodes only by a change.
            let opcode = *g.choose(&[0, 1, 2, 8, 9, 10]).unwrap();
            let fin = *g.choose(&[0x80, 0x80, 0]).unwrap();
            let mut payload: Vec<u8> = match bool::arbitrary(g) {
                true => String::arbitrary(g).into_bytes(),
                false => Vec::arbitrary(g),
            };
            payload.truncate(125);
            let masked = if from_client { 0x80 } else { 0 };
            bytes.extend([fin | opcode, masked | u8::try_from(payload.len()).unwrap()]);
            if from_client {
                bytes.extend([0; 4]);
            }
            bytes.extend(payload);
        }
        if !bytes.is_empty() && u8::arbitrary(g) % 4 == 0 {
            let at = usize::arbitrary(g) % bytes.len();
            bytes[at] = u8::arbitrary(g);
        }
        Frames { from_client, bytes }
    }
}

#[test]
fn receive_holds_on_frames_with_any_byte_changed() {
    fn prop(frames: Frames, [small, large, fragments]: [u8; 3], pieces: u8) -> bool {
        let role = u8::from(!frames.from_client);
        let mut bytes = vec![pieces & !1 | role, small, large, fragments];
        bytes.extend(frames.bytes);
        receive::body(&bytes);
        true
    }
    QuickCheck::new().tests(5_000).quickcheck(prop as fn(Frames, [u8; 3], u8) -> bool);
}

/// What is not made smaller after a failure: each try compresses anew, and there are too many.
#[cfg(feature = "deflate")]
#[derive(Debug, Clone)]
struct AsDrawn<T>(T);

#[cfg(feature = "deflate")]
impl<T: Arbitrary> Arbitrary for AsDrawn<T> {
    fn arbitrary(g: &mut Gen) -> Self {
        Self(T::arbitrary(g))
    }
}

#[cfg(feature = "deflate")]
#[test]
fn receive_holds_on_compressed_messages_in_fragments_with_any_byte_changed() {
    use websocket_stream::deflate::{Deflaters, History, WindowBits};
    /// A message's fragments and how often each repeats itself; whether it is text.
    type Pieces = (Vec<(Vec<u8>, u8)>, bool);
    type Drawn = (Vec<Pieces>, [u8; 4], u8, Option<(usize, u8)>);
    fn prop(AsDrawn((messages, head, window, change)): AsDrawn<Drawn>) -> bool {
        let [first, small, large, _] = head;
        let mut bytes = vec![first | 4, small, large, window << 4 | 15];
        let bits = WindowBits::new(8 + window % 8).unwrap();
        let (mut deflaters, mut sent) = (Deflaters::new(), History::new(bits));
        for (pieces, is_text) in messages.iter().take(4) {
            let pieces = &pieces[..pieces.len().min(5)];
            for (index, (piece, times)) in pieces.iter().enumerate() {
                let mut piece = piece.repeat(usize::from(*times) + 1);
                if *is_text {
                    piece.iter_mut().for_each(|byte| *byte &= 0x7F);
                }
                let fin = index + 1 == pieces.len();
                let payload = match index {
                    // So that the first one gets smaller.
                    0 => {
                        piece.extend([b'='; 50]);
                        match fin {
                            true => deflaters.deflate_after(&piece, &mut sent, 6),
                            false => deflaters.deflate_first(&piece, &mut sent, 6),
                        }
                        .unwrap()
                    }
                    _ => deflaters.deflate_next(&piece, fin, &mut sent, 6),
                };
                let start = if index > 0 { 0 } else { 0x40 | if *is_text { 1 } else { 2 } };
                let masked = if first & 1 == 0 { 0x80 } else { 0 };
                bytes.extend([if fin { 0x80 } else { 0 } | start, masked | 126]);
                let len = payload.len();
                if len < 126 {
                    *bytes.last_mut().unwrap() = masked | u8::try_from(len).unwrap();
                } else {
                    bytes.extend(u16::try_from(len).unwrap().to_be_bytes());
                }
                bytes.extend(vec![0; usize::from(masked / 32)]);
                bytes.extend(payload);
            }
            if first & 8 == 0 {
                sent = History::new(bits);
            }
        }
        if let Some((at, byte)) = change
            && bytes.len() > 4
        {
            let at = 4 + at % (bytes.len() - 4);
            bytes[at] = byte;
        }
        receive::body(&bytes);
        true
    }
    QuickCheck::new().rng(Gen::new(40)).tests(1_000).quickcheck(prop as fn(AsDrawn<Drawn>) -> bool);
}

/// Behind a message of several chunks, in fragments with pings between them, the end may be missing.
#[cfg(feature = "deflate")]
#[test]
fn receive_holds_on_compressed_messages_of_several_chunks_with_any_byte_changed_or_the_end_cut_off() {
    use websocket_stream::deflate::{Deflaters, History, WindowBits};
    type Drawn = ([u8; 4], (u64, u32), Vec<usize>, Option<(usize, u8)>, Option<usize>);
    fn prop(AsDrawn((head, (seed, len), cuts, change, end)): AsDrawn<Drawn>) -> bool {
        let [first, small, window, kind] = head;
        // No small limits, and pieces of 128 bytes and more in turn with small ones.
        let mut bytes = vec![first & !2 | 4, small | 0x80, 255, window << 4 | 15];
        let mut random = seed | 1;
        let mut message = Vec::new();
        while message.len() < 40_000 + usize::try_from(len % 200_000).unwrap() {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            message.extend(format!("{{\"é\":{}}},", random >> 32).into_bytes());
        }
        let bits = WindowBits::new(8 + window % 8).unwrap();
        let (mut deflaters, mut sent) = (Deflaters::new(), History::new(bits));
        let payload = deflaters.deflate_after(&message, &mut sent, 6).unwrap().to_vec();
        let masked = if first & 1 == 0 { 0x80 } else { 0 };
        let mut ends: Vec<usize> = cuts.iter().take(6).map(|cut| cut % (payload.len() + 1)).collect();
        ends.push(payload.len());
        ends.sort_unstable();
        let mut start = 0;
        for (index, &end) in ends.iter().enumerate() {
            let opcode = if index > 0 { 0 } else { 0x41 + kind % 2 };
            let fin = if index + 1 == ends.len() { 0x80 } else { 0 };
            let len = end - start;
            match len {
                0..126 => bytes.extend([fin | opcode, masked | u8::try_from(len).unwrap()]),
                126..0x1_0000 => {
                    bytes.extend([fin | opcode, masked | 126]);
                    bytes.extend(u16::try_from(len).unwrap().to_be_bytes());
                }
                _ => {
                    bytes.extend([fin | opcode, masked | 127]);
                    bytes.extend(u64::try_from(len).unwrap().to_be_bytes());
                }
            }
            bytes.extend(vec![0; usize::from(masked / 32)]);
            bytes.extend(&payload[start..end]);
            start = end;
            // A ping.
            bytes.extend([0x89, masked]);
            bytes.extend(vec![0; usize::from(masked / 32)]);
        }
        if let Some((at, byte)) = change {
            let at = 4 + at % (bytes.len() - 4);
            bytes[at] = byte;
        }
        if let Some(end) = end {
            bytes.truncate(4 + end % (bytes.len() - 4));
        }
        receive::body(&bytes);
        true
    }
    QuickCheck::new().tests(200).quickcheck(prop as fn(AsDrawn<Drawn>) -> bool);
}

#[test]
fn tungstenite_hears_the_same_on_frames_with_any_byte_changed() {
    fn prop(frames: Frames) -> bool {
        let mut bytes = vec![u8::from(!frames.from_client)];
        bytes.extend(frames.bytes);
        differential::body(&bytes);
        true
    }
    QuickCheck::new().tests(5_000).quickcheck(prop as fn(Frames) -> bool);
}

#[test]
fn handshake_holds_on_a_head_with_any_bytes_changed() {
    fn prop(changes: Vec<(usize, u8)>, cut: Option<usize>) -> bool {
        let mut bytes = b"GET /chat?a=b HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n\
            Connection: keep-alive, Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
            Sec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: chat, b\r\n\r\n"
            .to_vec();
        for (at, byte) in changes.into_iter().take(4) {
            let at = at % bytes.len();
            bytes[at] = byte;
        }
        if let Some(cut) = cut {
            bytes.truncate(cut % bytes.len());
        }
        handshake::body(&bytes);
        true
    }
    QuickCheck::new().tests(10_000).quickcheck(prop as fn(Vec<(usize, u8)>, Option<usize>) -> bool);
}
