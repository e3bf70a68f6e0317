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
