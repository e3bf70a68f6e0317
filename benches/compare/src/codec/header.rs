//! Frame headers: from bytes to fields.

use super::table::Table;
use super::timing::{Case, case, times};
use std::hint::black_box;
use std::io::Cursor;
use websocket_stream::OpCode;
use websocket_stream::frame::Header;

/// One payload length for each form of a header.
const LENGTHS: [u64; 3] = [32, 1_000, 100_000];
const KEY: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];
/// Too many for a branch predictor to learn their order.
const HEADERS: usize = 1 << 10;

/// Masked headers in a row, each followed by two or more bytes of payload.
struct Headers {
    bytes: Vec<[u8; 16]>,
    next: usize,
}

impl Headers {
    fn of(length: impl FnMut(usize) -> u64) -> Self {
        let bytes = |length| {
            let header = Header { mask: Some(KEY), ..Header::new(OpCode::Binary, length) }.encode();
            let mut bytes = [0; 16];
            bytes[..header.len()].copy_from_slice(&header);
            bytes
        };
        Self { bytes: (0..HEADERS).map(length).map(bytes).collect(), next: 0 }
    }

    #[inline(always)]
    fn next(&mut self) -> &[u8; 16] {
        self.next = (self.next + 1) % HEADERS;
        black_box(&self.bytes[self.next])
    }
}

pub fn measure() -> Table {
    let mut table = Table::new(
        "header decoding (ns)",
        &["masked frame", "ours", "tungstenite", "soketto", "ours/tungstenite", "ours/soketto"],
    );
    let mut advantage = Vec::new();
    let mut line = |label: String, mut headers: Headers| {
        let times = times(&mut headers, &mut cases());
        let ratios = [times[0] / times[1], times[0] / times[2]];
        advantage.extend(ratios.map(|ratio| 1.0 / ratio));
        table.line(label, times.into_iter().map(Some), ratios);
    };
    for length in LENGTHS {
        line(format!("{length} B"), Headers::of(|_| length));
    }
    line("all three at random".into(), Headers::of(at_random()));
    table.judge("the peers' time over ours", advantage, 1.0);
    table
}

fn at_random() -> impl FnMut(usize) -> u64 {
    let mut state = 1_u64;
    move |_| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        LENGTHS[(state >> 33) as usize % LENGTHS.len()]
    }
}

fn cases() -> [Case<Headers>; 3] {
    let codec = soketto::base::Codec::new();
    [
        case(|headers: &mut Headers| _ = black_box(Header::decode(headers.next()))),
        case(|headers: &mut Headers| {
            let mut bytes = Cursor::new(headers.next());
            _ = black_box(tungstenite::protocol::frame::FrameHeader::parse(&mut bytes));
        }),
        case(move |headers: &mut Headers| _ = black_box(codec.decode_header(headers.next()))),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use websocket_stream::frame::Decoded;

    #[test]
    fn all_decode_the_same() {
        let mut headers = Headers::of(at_random());
        let mut seen = std::collections::BTreeSet::new();
        for _ in 0..HEADERS {
            let bytes = headers.next();
            let Ok(Decoded::Complete { header, size }) = Header::decode(bytes) else { panic!() };
            let mut cursor = Cursor::new(bytes);
            let theirs = tungstenite::protocol::frame::FrameHeader::parse(&mut cursor);
            let (parsed, length) = theirs.unwrap().unwrap();
            assert_eq!((parsed.mask, length), (header.mask, header.len));
            assert_eq!(cursor.position(), size as u64);
            let soketto = soketto::base::Codec::new().decode_header(bytes).unwrap();
            let soketto::Parsing::Done { value, offset } = soketto else { panic!() };
            assert_eq!((value.payload_len() as u64, offset), (header.len, size));
            seen.insert(header.len);
        }
        assert_eq!(seen.into_iter().collect::<Vec<_>>(), LENGTHS);
    }
}
