//! Masking (RFC 6455, section 5.3): each payload byte is combined with a byte of a four-byte key by
//! exclusive or. The same operation masks and unmasks.

mod portable;

/// Masks or unmasks `bytes` in place.
///
/// `offset` is the place of `bytes[0]` in its frame's payload: its key byte is `key[offset % 4]`.
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
    portable::mask(bytes, rotate(key, offset));
}

/// Copies `from` into `to`, masking or unmasking on the way; as many bytes as the shorter one has.
///
/// `offset` is the place of `from[0]` in its frame's payload.
#[inline]
pub fn mask_into(to: &mut [u8], from: &[u8], key: [u8; 4], offset: usize) {
    portable::mask_into(to, from, rotate(key, offset));
}

/// The key as it stands for a slice that begins `offset` bytes into the payload.
#[inline]
fn rotate(key: [u8; 4], offset: usize) -> [u8; 4] {
    core::array::from_fn(|i| key[offset.wrapping_add(i) & 3])
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The definition of section 5.3, byte by byte.
    fn naive(bytes: &[u8], key: [u8; 4], offset: usize) -> Vec<u8> {
        bytes.iter().enumerate().map(|(i, byte)| byte ^ key[(i + offset) % 4]).collect()
    }

    #[test]
    fn every_length_and_offset_is_masked_as_the_definition_says() {
        let key = [0x37, 0xfa, 0x21, 0x3d];
        let bytes: Vec<u8> = (0..300u16).map(|i| (i % 251) as u8).collect();
        for len in 0..bytes.len() {
            for offset in 0..8 {
                // A byte on either side, which must stay.
                let mut masked = vec![0xAA; len + 2];
                masked[1..=len].copy_from_slice(&bytes[..len]);
                mask(&mut masked[1..=len], key, offset);
                let expected = naive(&bytes[..len], key, offset);
                assert_eq!(masked[1..=len], expected, "{len} {offset}");
                assert_eq!((masked[0], masked[len + 1]), (0xAA, 0xAA));

                let mut copied = vec![0; len];
                mask_into(&mut copied, &bytes[..len], key, offset);
                assert_eq!(copied, expected);
            }
        }
    }

    #[test]
    fn copying_stops_at_the_end_of_the_shorter_side() {
        let mut to = [9; 12];
        mask_into(&mut to, b"abc", [0; 4], 0);
        assert_eq!(&to, b"abc\t\t\t\t\t\t\t\t\t");
        let mut to = [9; 2];
        mask_into(&mut to, b"abcdefghijkl", [0; 4], 0);
        assert_eq!(&to, b"ab");
    }
}
