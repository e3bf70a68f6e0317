//! Masking in place, and while copying. The floor is a copy of equal length.

use super::ring::Ring;
use super::table::{Table, length};
use super::timing::{Case, case, times};
use std::hint::black_box;
use websocket_stream::frame::{mask, mask_into};

const LENGTHS: [usize; 10] = [1, 8, 32, 64, 125, 1 << 10, 4 << 10, 16 << 10, 64 << 10, 1 << 20];
/// The lengths with a target: long enough to matter, and within a first-level cache of 32 KiB, which 16 KiB
/// on both sides just fill.
const JUDGED: std::ops::RangeInclusive<usize> = 1 << 10..=16 << 10;
const KEY: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

pub fn measure() -> Table {
    let mut table = Table::new(
        "masking (ns)",
        &[
            "bytes",
            "no work",
            "copy",
            "ours, in place",
            "ours, copying",
            "fastwebsockets",
            "soketto",
            "copy/in place",
            "copy/copying",
        ],
    );
    let (mut in_place, mut copying) = (Vec::new(), Vec::new());
    for bytes in LENGTHS {
        for (place, misaligned) in [("", 0), (", off by one", 1)] {
            let times = times(&mut Ring::new(bytes, misaligned), &mut cases());
            let ratios = [times[1] / times[2], times[1] / times[3]];
            if JUDGED.contains(&bytes) {
                in_place.push(ratios[0]);
                copying.push(ratios[1]);
            }
            table.line(length(bytes) + place, times.into_iter().map(Some), ratios);
        }
    }
    table.judge("in place against copying alone, 1 to 16 KiB", in_place, 0.85);
    table.judge("copying and masking against copying alone, 1 to 16 KiB", copying, 0.85);
    table
}

fn cases() -> [Case<Ring>; 6] {
    let key = black_box(KEY);
    let mut header = soketto::base::Header::new(soketto::base::OpCode::Binary);
    header.set_masked(true).set_mask(u32::from_be_bytes(key));
    [
        case(|ring: &mut Ring| _ = ring.next()),
        case(|ring: &mut Ring| {
            let (to, from) = ring.next();
            to.copy_from_slice(from);
        }),
        case(move |ring: &mut Ring| mask(ring.next().0, key, 0)),
        case(move |ring: &mut Ring| {
            let (to, from) = ring.next();
            mask_into(to, from, key, 0);
        }),
        case(move |ring: &mut Ring| fastwebsockets::unmask(ring.next().0, key)),
        case(move |ring: &mut Ring| soketto::base::Codec::apply_mask(&header, ring.next().0)),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_mask_as_defined_by_the_rfc() {
        let content: Vec<u8> = (0..=255).cycle().take(12 << 10).collect();
        let masked: Vec<u8> = content.iter().zip(KEY.iter().cycle()).map(|(byte, key)| byte ^ key).collect();
        for (at, mut case) in cases().into_iter().enumerate() {
            // One pair, so that the result of each call can be inspected.
            let mut ring = Ring::of(&content);
            case(&mut ring, 1);
            let (to, from) = ring.next();
            let source: Vec<u8> = from.iter().zip(KEY.iter().cycle()).map(|(byte, key)| byte ^ key).collect();
            match at {
                0 => assert_eq!(to, content),
                1 => assert_eq!(to, from),
                3 => assert_eq!(to, source),
                _ => assert_eq!(to, masked, "case {at}"),
            }
        }
    }
}
