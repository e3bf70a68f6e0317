//! Masking (RFC 6455, section 5.3): each payload byte is combined with a byte of a four-byte key by exclusive
//! or. One operation both masks and unmasks.
//!
//! The only algorithm is in [`vector`], for vectors of any width. The instruction sets supply the vectors:
//!
//! ```text
//! up to 32 bytes      two overlapping words, or two vectors that every such processor has, inlined
//! more, x86_64        AVX-512 from 64 bytes on, or AVX2, if the processor has it, else SSE2
//! more, aarch64       NEON
//! more, elsewhere     words of 16 bytes
//! ```
//!
//! With `std` the processor's features are detected once at run time; without it, the build target decides.
#![allow(unsafe_code)]

#[cfg(target_arch = "aarch64")]
pub(super) mod aarch64;
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
pub(super) mod portable;
pub(super) mod vector;
#[cfg(target_arch = "x86_64")]
pub(super) mod x86_64;

#[cfg(target_arch = "aarch64")]
pub(super) use aarch64 as chosen;
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
pub(super) use portable as chosen;
pub(super) use vector::Key;
#[cfg(target_arch = "x86_64")]
pub(super) use x86_64 as chosen;

/// The most bytes that are masked without a call.
pub(super) const SHORT: usize = 32;

/// Masks or unmasks `bytes` in place.
///
/// `offset` is the index of `bytes[0]` in its frame's payload: its key byte is `key[offset % 4]`.
///
/// ```
/// use websocket_stream::frame::mask;
///
/// let key = [0x37, 0xfa, 0x21, 0x3d];
/// let mut bytes = [0x7f, 0x9f, 0x4d, 0x51, 0x58];
/// let (head, tail) = bytes.split_at_mut(2);
/// mask(head, key, 0);
/// mask(tail, key, 2);
/// assert_eq!(&bytes, b"Hello");
/// ```
#[inline]
pub fn mask(bytes: &mut [u8], key: [u8; 4], offset: usize) {
    mask_at(bytes, Key::new(key).after(offset));
}

/// Masks `bytes` in place, with a key that is already rotated.
#[inline(always)]
pub(super) fn mask_at(bytes: &mut [u8], key: Key) {
    let to = bytes.as_mut_ptr();
    // SAFETY: both pointers are to the `len` bytes of `bytes`.
    unsafe { copy_masked(to, to, bytes.len(), key) };
}

/// Masks at most 32 bytes in place, and returns whether the result is ASCII.
#[inline(always)]
pub(super) fn mask_short_at(bytes: &mut [u8], key: Key) -> bool {
    let (to, len) = (bytes.as_mut_ptr(), bytes.len().min(SHORT));
    // SAFETY: both pointers are to the `len` bytes of `bytes`, at most 32; every processor has the baseline.
    unsafe { vector::copy_short::<chosen::Baseline>(to, to, len, key) }
}

/// Copies `from` into `to`, masking or unmasking the bytes.
///
/// Copies as many bytes as the shorter slice has. `offset` is the index of `from[0]` in its frame's payload.
///
/// ```
/// use websocket_stream::frame::mask_into;
///
/// // Into a buffer for sending, without a change to the message.
/// let (key, message) = ([0x37, 0xfa, 0x21, 0x3d], b"Hello");
/// let mut buffer = [0; 5];
/// mask_into(&mut buffer, message, key, 0);
/// assert_eq!(buffer, [0x7f, 0x9f, 0x4d, 0x51, 0x58]);
/// ```
#[inline]
pub fn mask_into(to: &mut [u8], from: &[u8], key: [u8; 4], offset: usize) {
    mask_into_at(to, from, Key::new(key).after(offset));
}

/// Copies without masking, and a short payload without a call.
///
/// # Panics
///
/// Panics if the lengths differ.
#[inline(always)]
pub(crate) fn copy(to: &mut [u8], from: &[u8]) {
    if from.len() <= SHORT && to.len() == from.len() {
        mask_into_at(to, from, Key::NONE);
    } else {
        to.copy_from_slice(from);
    }
}

/// Copies as [`mask_into`] does, with a key that is already rotated.
#[inline(always)]
pub(super) fn mask_into_at(to: &mut [u8], from: &[u8], key: Key) {
    let len = to.len().min(from.len());
    // SAFETY: both slices have at least `len` bytes, and a `&mut` slice does not overlap another.
    unsafe { copy_masked(to.as_mut_ptr(), from.as_ptr(), len, key) };
}

/// Copies `len` bytes, masking them. `to` and `from` may be equal.
///
/// # Safety
///
/// `from` is valid for reads of `len` bytes, `to` for writes of `len` bytes; they are equal, or do not
/// overlap.
#[inline(always)]
unsafe fn copy_masked(to: *mut u8, from: *const u8, len: usize, key: Key) {
    if len <= SHORT {
        // SAFETY: guaranteed by the caller.
        unsafe { vector::copy_short::<chosen::Baseline>(to, from, len, key) };
    } else {
        // SAFETY: guaranteed by the caller; `len` is more than `SHORT`.
        unsafe { chosen::copy_long(to, from, len, key) };
    }
}

#[cfg(test)]
mod tests {
    use super::vector::Vector;
    use super::*;

    const KEY: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];
    /// The bytes around the payload, which must not change.
    const AROUND: u8 = 0xAA;

    /// A function that copies and masks: `copy_masked`, or one of its parts.
    type Copy = unsafe fn(*mut u8, *const u8, usize, Key);

    /// Every implementation that this processor supports, with its lengths.
    fn ways() -> Vec<(&'static str, core::ops::RangeInclusive<usize>, Copy)> {
        unsafe fn chosen(to: *mut u8, from: *const u8, len: usize, key: Key) {
            // SAFETY: guaranteed by the caller.
            unsafe { copy_masked(to, from, len, key) }
        }
        unsafe fn short(to: *mut u8, from: *const u8, len: usize, key: Key) {
            // SAFETY: guaranteed by the caller; plain words work on any processor.
            unsafe { vector::copy_short::<u128>(to, from, len, key) };
        }
        unsafe fn long<V: Vector>(to: *mut u8, from: *const u8, len: usize, key: Key) {
            // SAFETY: guaranteed by the caller, which checked that the processor has `V`.
            unsafe { vector::copy_long::<V>(to, from, len, key) }
        }
        let ways: Vec<(_, _, Copy)> = vec![
            ("chosen", 0..=700, chosen),
            ("short words", 0..=32, short),
            ("words of 4", 4..=260, long::<u32>),
            ("words of 8", 8..=260, long::<u64>),
            ("words of 16", 16..=260, long::<u128>),
            ("baseline", 16..=260, long::<chosen::Baseline>),
        ];
        #[cfg(target_arch = "x86_64")]
        let ways = {
            let mut ways = ways;
            if std::is_x86_feature_detected!("avx2") {
                ways.push(("AVX2", 32..=260, x86_64::copy_avx2));
            }
            if x86_64::Level::of_processor() == x86_64::Level::Avx512 {
                ways.push(("AVX-512", 64..=700, x86_64::copy_avx512));
            }
            ways
        };
        ways
    }

    /// The definition in section 5.3, byte by byte.
    fn naive(bytes: &[u8], key: [u8; 4], offset: usize) -> Vec<u8> {
        bytes.iter().enumerate().map(|(i, byte)| byte ^ key[(i + offset) % 4]).collect()
    }

    fn bytes(len: usize) -> Vec<u8> {
        (0..=250).cycle().take(len).collect()
    }

    #[test]
    fn every_implementation_masks_every_length_at_every_offset_and_alignment_by_the_definition() {
        let source = bytes(720);
        for (way, lens, copy) in ways() {
            for len in lens {
                for offset in 0..8 {
                    // Varies with the offset, so that all 64 pairs are covered.
                    let place = (len + offset) % 8 + 1;
                    let expected = naive(&source[place..place + len], KEY, offset);
                    let key = Key::new(KEY).after(offset);
                    let whole = |middle: &[u8]| [&[AROUND; 9][..place], middle, &[AROUND; 64]].concat();

                    let mut masked = whole(&source[place..place + len]);
                    let at = masked[place..].as_mut_ptr();
                    // SAFETY: `at` has `len` bytes; `copy` supports this length and this processor.
                    unsafe { copy(at, at, len, key) };
                    assert_eq!(masked, whole(&expected), "{way}, in place: {len} {offset} {place}");

                    let mut copied = whole(&vec![0; len]);
                    let to = copied[place..].as_mut_ptr();
                    // SAFETY: `to` has `len` bytes, and so does `source` from `place` on.
                    unsafe { copy(to, source[place..].as_ptr(), len, key) };
                    assert_eq!(copied, whole(&expected), "{way}, copying: {len} {offset} {place}");
                }
            }
        }
    }

    #[test]
    fn masking_in_pieces_equals_masking_whole() {
        let payload = bytes(200);
        let whole = naive(&payload, KEY, 0);
        for cut in 0..=payload.len() {
            let (head, tail) = payload.split_at(cut);
            let mut pieces = vec![0; payload.len()];
            mask_into(&mut pieces[..cut], head, KEY, 0);
            mask_into(&mut pieces[cut..], tail, KEY, cut);
            assert_eq!(pieces, whole, "{cut}");
            let mut pieces = payload.clone();
            let (head, tail) = pieces.split_at_mut(cut);
            mask(tail, KEY, cut);
            mask(head, KEY, 0);
            assert_eq!(pieces, whole, "{cut}");
        }
    }

    #[test]
    fn an_offset_counts_modulo_four_up_to_the_largest() {
        for offset in [usize::MAX, usize::MAX - 1, usize::MAX / 2, 1 << 31] {
            let mut masked = bytes(70);
            mask(&mut masked, KEY, offset);
            assert_eq!(masked, naive(&bytes(70), KEY, offset % 4));
        }
    }

    #[test]
    fn copying_stops_at_the_end_of_the_shorter_side() {
        for (to_len, from_len) in [(12, 3), (2, 12), (100, 70), (70, 100), (0, 5), (5, 0)] {
            let mut to = vec![AROUND; to_len];
            mask_into(&mut to, &bytes(from_len), KEY, 1);
            let copied = to_len.min(from_len);
            assert_eq!(to[..copied], naive(&bytes(copied), KEY, 1));
            assert!(to[copied..].iter().all(|&byte| byte == AROUND));
        }
    }
    #[test]
    fn copying_without_a_key_panics_if_the_lengths_differ() {
        for (to_len, from_len) in [(12, 3), (2, 12), (40, 32), (32, 40)] {
            let copied = std::panic::catch_unwind(|| copy(&mut vec![0; to_len], &vec![7; from_len]));
            assert!(copied.is_err(), "{to_len} {from_len}");
        }
        for len in 0..70 {
            let mut to = vec![0; len];
            copy(&mut to, &bytes(len));
            assert_eq!(to, bytes(len));
        }
    }
}
