//! Decodes and encodes the 2 to 14 bytes before a payload (RFC 6455, section 5.2).
//!
//! ```text
//!  0        1        2 .. 3 or 2 .. 9      then
//! +--------+--------+--------------------+-------------+---------
//! |F RRR op|M length| extended length    | masking key | payload
//! +--------+--------+--------------------+-------------+---------
//!   4 bits   7 bits   0, 2 or 8 bytes      0 or 4 bytes
//! ```
//!
//! Decoding rejects only what is invalid in every state of every endpoint: a reserved opcode, a length not in
//! its shortest form, or a length with its top bit set. The protocol decides whether a header is allowed in
//! the current state.
#![forbid(unsafe_code)]

use super::OpCode;
use byteorder::{BigEndian, ByteOrder, LittleEndian};
use core::fmt;

/// The maximum size of a header: 2 bytes, 8 of extended length, 4 of masking key.
///
/// ```
/// use websocket_stream::OpCode;
/// use websocket_stream::frame::{Header, MAX_HEADER_SIZE};
///
/// let longest = Header { mask: Some([1, 2, 3, 4]), ..Header::new(OpCode::Binary, 1 << 16) };
/// assert_eq!(longest.encode().len(), MAX_HEADER_SIZE);
/// ```
pub const MAX_HEADER_SIZE: usize = 14;

/// The 7-bit length that announces a 16-bit extended length.
const LEN_16: u8 = 126;
/// The 7-bit length that announces a 64-bit extended length.
const LEN_64: u8 = 127;

/// A frame's header: everything except its payload.
///
/// ```
/// use websocket_stream::frame::{Decoded, Header};
/// use websocket_stream::OpCode;
///
/// // RFC 6455, section 5.7: a single-frame masked text message, "Hello".
/// let bytes = [0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58];
/// let Ok(Decoded::Complete { header, size }) = Header::decode(&bytes) else { panic!() };
/// assert_eq!(size, 6);
/// assert_eq!(header.opcode, OpCode::Text);
/// assert_eq!((header.fin, header.len), (true, 5));
/// assert_eq!(header.mask, Some([0x37, 0xfa, 0x21, 0x3d]));
/// assert_eq!(header.encode().as_ref(), &bytes[..6]);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Header {
    /// Whether this is the last frame of its message.
    pub fin: bool,
    /// The three reserved bits: RSV1 is 4, RSV2 is 2, RSV3 is 1. Zero unless a negotiated extension defines
    /// them.
    pub rsv: u8,
    /// The type of the frame.
    pub opcode: OpCode,
    /// The masking key, if the payload is masked. Clients mask, servers do not.
    pub mask: Option<[u8; 4]>,
    /// The payload's length in bytes, less than 2^63.
    pub len: u64,
}

/// The result of [`Header::decode`].
///
/// ```
/// use websocket_stream::frame::{Decoded, Header};
///
/// // A frame with an extended length, of which one byte is missing.
/// let Ok(Decoded::Partial { needed, least }) = Header::decode(&[0x82, 126, 1]) else { panic!() };
/// assert_eq!(needed, 4);
/// // The payload has at least 126 bytes: a control frame could be refused now.
/// assert_eq!(least.map(|header| header.len), Some(126));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decoded {
    /// The header is complete and occupies the first `size` bytes.
    Complete {
        /// The header.
        header: Header,
        /// The header's size in bytes, 2 to 14. The payload follows.
        size: usize,
    },
    /// The header is incomplete: more bytes are needed.
    Partial {
        /// The smallest header that begins with the first two bytes, once both are present: its length is the
        /// smallest that they allow and its key is zero. If a rule rejects this header, it rejects every
        /// header that these bytes can become.
        least: Option<Header>,
        /// The minimum total size of the header in bytes.
        needed: usize,
    },
}

/// Bytes that are not a valid header in any state of any endpoint.
///
/// ```
/// use websocket_stream::frame::{Header, HeaderError};
///
/// assert_eq!(Header::decode(&[0x83]), Err(HeaderError::ReservedOpcode)); // before the second byte
/// assert_eq!(Header::decode(&[0x82, 126, 0, 5]), Err(HeaderError::LengthNotMinimal));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum HeaderError {
    /// One of the ten opcodes reserved by RFC 6455.
    ReservedOpcode,
    /// A length in more bytes than needed: "the minimal number of bytes MUST be used to encode the length"
    /// (section 5.2).
    LengthNotMinimal,
    /// A 64-bit length with its top bit set: "the most significant bit MUST be 0" (section 5.2).
    LengthTopBit,
}

impl fmt::Display for HeaderError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ReservedOpcode => "reserved opcode",
            Self::LengthNotMinimal => "payload length not in its shortest form",
            Self::LengthTopBit => "payload length with its top bit set",
        })
    }
}

impl core::error::Error for HeaderError {}

impl Header {
    /// Creates the header of an unfragmented, unmasked frame.
    #[inline]
    pub const fn new(opcode: OpCode, len: u64) -> Self {
        Self { fin: true, rsv: 0, opcode, mask: None, len }
    }

    /// Decodes a header from the start of `bytes`.
    ///
    /// # Errors
    ///
    /// [`HeaderError`], as soon as the bytes present show the fault.
    #[inline]
    pub fn decode(bytes: &[u8]) -> Result<Decoded, HeaderError> {
        match bytes.first_chunk() {
            // Almost every frame takes this path: no header is longer than these bytes.
            Some(start) => {
                let (header, size) = Self::decode_whole(start)?;
                Ok(Decoded::Complete { header, size })
            }
            None => Self::decode_short(bytes),
        }
    }

    /// Decodes a header of any size, and returns its size too.
    #[inline(always)]
    fn decode_whole(bytes: &[u8; MAX_HEADER_SIZE]) -> Result<(Self, usize), HeaderError> {
        let &[first, ..] = bytes;
        let opcode = OpCode::from_bits(first & 0x0F).ok_or(HeaderError::ReservedOpcode)?;
        let Extent { len, masked, key, size } = Extent::of(bytes)?;
        let mask = masked.then_some(key.to_le_bytes());
        Ok((Self { fin: first & 0x80 != 0, rsv: (first >> 4) & 0x07, opcode, mask, len }, size))
    }

    /// Decodes a header from fewer bytes than the longest header has.
    fn decode_short(bytes: &[u8]) -> Result<Decoded, HeaderError> {
        let mut start = [0; MAX_HEADER_SIZE];
        let there = bytes.len().min(MAX_HEADER_SIZE);
        start[..there].copy_from_slice(&bytes[..there]);
        if there < 2 {
            if there == 1 {
                OpCode::from_bits(start[0] & 0x0F).ok_or(HeaderError::ReservedOpcode)?;
            }
            return Ok(Decoded::Partial { least: None, needed: 2 });
        }
        // Until a length has arrived, assume the smallest that its form allows.
        match start[1] & 0x7F {
            LEN_16 if there < 4 => BigEndian::write_u16(&mut start[2..], u16::from(LEN_16)),
            LEN_64 if there < 10 => BigEndian::write_u64(&mut start[2..], u64::from(u16::MAX) + 1),
            _ => {}
        }
        let (header, size) = Self::decode_whole(&start)?;
        if size <= there {
            return Ok(Decoded::Complete { header, size });
        }
        let least = Self { mask: header.mask.map(|_| [0; 4]), ..header };
        Ok(Decoded::Partial { least: Some(least), needed: size })
    }

    /// Encodes the header, with its length in the shortest form.
    ///
    /// A length of 2^63 or more has no encoding; its top bit is cleared.
    #[inline(always)]
    pub fn encode(&self) -> EncodedHeader {
        let first = u8::from(self.fin) << 7 | (self.rsv & 0x07) << 4 | self.opcode.bits();
        let (masked, key_size) = if self.mask.is_some() { (0x80, 4_u8) } else { (0, 0) };
        let key = u128::from(u32::from_le_bytes(self.mask.unwrap_or_default()));
        // The header is built in one number, lowest byte first: the first two bytes, the length
        // (byte-swapped, so that it is in network order), then the key.
        let encoded = |len7: u8, rest: u128, size: u8| {
            let start = u128::from(u16::from_le_bytes([first, masked | len7]));
            let size = u128::from(size + key_size) << (8 * EncodedHeader::SIZE_AT);
            EncodedHeader { bytes: (start | rest << 16 | size).to_le_bytes() }
        };
        match self.len {
            0..=125 => encoded((self.len & 0x7F) as u8, key, 2),
            126..=0xFFFF => {
                encoded(LEN_16, u128::from(((self.len & 0xFFFF) as u16).swap_bytes()) | key << 16, 4)
            }
            _ => encoded(LEN_64, u128::from((self.len & (u64::MAX >> 1)).swap_bytes()) | key << 64, 10),
        }
    }
}

/// The fields that follow from a header's second byte.
#[derive(Clone, Copy)]
pub(crate) struct Extent {
    /// The payload's length.
    pub(crate) len: u64,
    pub(crate) masked: bool,
    /// The masking key as a little-endian number; meaningless if the frame is not masked.
    pub(crate) key: u32,
    /// The size of the header in bytes.
    pub(crate) size: usize,
}

impl Extent {
    /// Reads the fields from the start of a header; any bytes may follow the header.
    #[inline(always)]
    pub(crate) fn of(bytes: &[u8; MAX_HEADER_SIZE]) -> Result<Self, HeaderError> {
        Self::without_mask_bit(bytes, bytes[1] & 0x80)
    }

    /// Reads the fields of a header whose mask bit should be `masked`. For a short payload, one comparison
    /// checks both the length and the mask bit.
    #[inline(always)]
    pub(crate) fn of_expected(bytes: &[u8; MAX_HEADER_SIZE], masked: bool) -> Option<Self> {
        Self::without_mask_bit(bytes, u8::from(masked) << 7).ok()
    }

    /// Toggles this mask bit. If the header has the other one, the top bit is then set, which is not a valid
    /// length.
    #[inline(always)]
    fn without_mask_bit(bytes: &[u8; MAX_HEADER_SIZE], bit: u8) -> Result<Self, HeaderError> {
        let (len, extended, key) = match bytes[1] ^ bit {
            short @ ..LEN_16 => (u64::from(short), 0, LittleEndian::read_u32(&bytes[2..])),
            LEN_16 => Self::of_16_bits(bytes)?,
            LEN_64 => Self::of_64_bits(bytes)?,
            _ => return Err(HeaderError::LengthTopBit),
        };
        Ok(Self { len, masked: bit != 0, key, size: 2 + extended + usize::from(bit >> 5) })
    }

    /// Returns a 16-bit length, the bytes that it occupies, and the key after it.
    #[inline]
    fn of_16_bits(bytes: &[u8; MAX_HEADER_SIZE]) -> Result<(u64, usize, u32), HeaderError> {
        let len = BigEndian::read_u16(&bytes[2..]);
        // "the minimal number of bytes MUST be used to encode the length"
        if len < u16::from(LEN_16) {
            return Err(HeaderError::LengthNotMinimal);
        }
        Ok((u64::from(len), 2, LittleEndian::read_u32(&bytes[4..])))
    }

    /// Returns a 64-bit length, the bytes that it occupies, and the key after it.
    #[inline]
    fn of_64_bits(bytes: &[u8; MAX_HEADER_SIZE]) -> Result<(u64, usize, u32), HeaderError> {
        let len = BigEndian::read_u64(&bytes[2..]);
        if len <= u64::from(u16::MAX) {
            return Err(HeaderError::LengthNotMinimal);
        }
        // "the most significant bit MUST be 0"
        if len >> 63 != 0 {
            return Err(HeaderError::LengthTopBit);
        }
        Ok((len, 8, LittleEndian::read_u32(&bytes[10..])))
    }
}

/// An encoded header. Dereferences to its 2 to 14 bytes.
///
/// See the example of [`Header`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EncodedHeader {
    /// The header, zeros, and the header's size in the last byte, so that all of it moves as one word.
    bytes: [u8; 16],
}

impl EncodedHeader {
    /// The index of the size.
    const SIZE_AT: usize = 15;

    /// Returns all 16 bytes, of which only the first [`len`](Self::len) go on the wire, for a copy of fixed
    /// size.
    #[inline]
    pub(crate) const fn to_array(self) -> [u8; 16] {
        self.bytes
    }

    /// Returns the number of bytes that go on the wire.
    #[inline]
    pub(crate) const fn len(&self) -> usize {
        // Read as one number, so that the header stays in a register.
        (u128::from_le_bytes(self.bytes) >> (8 * Self::SIZE_AT)) as usize
    }
}

impl core::ops::Deref for EncodedHeader {
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        &self.bytes[..self.len().min(MAX_HEADER_SIZE)]
    }
}

impl AsRef<[u8]> for EncodedHeader {
    #[inline]
    fn as_ref(&self) -> &[u8] {
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use quickcheck::{Arbitrary, Gen, QuickCheck};

    impl Arbitrary for Header {
        fn arbitrary(g: &mut Gen) -> Self {
            let opcodes = [0x0, 0x1, 0x2, 0x8, 0x9, 0xA].map(|bits| OpCode::from_bits(bits).unwrap());
            // Each of the three forms, and the lengths around their borders, in equal shares.
            let borders = [0, 1, 125, 126, 127, 0xFFFF, 0x1_0000, 0x1_0001, (1 << 63) - 1];
            let len = match u8::arbitrary(g) % 4 {
                0 => *g.choose(&borders).unwrap(),
                1 => u64::arbitrary(g) % 126,
                2 => u64::from(u16::arbitrary(g)),
                _ => u64::arbitrary(g) >> 1,
            };
            Header {
                fin: bool::arbitrary(g),
                rsv: u8::arbitrary(g) & 7,
                opcode: *g.choose(&opcodes).unwrap(),
                mask: bool::arbitrary(g).then(|| core::array::from_fn(|_| u8::arbitrary(g))),
                len,
            }
        }
    }

    #[test]
    fn any_header_encodes_and_decodes_to_itself() {
        fn prop(header: Header, tail: Vec<u8>) -> bool {
            let mut bytes = header.encode().to_vec();
            let size = bytes.len();
            bytes.extend(tail);
            Header::decode(&bytes) == Ok(Decoded::Complete { header, size })
        }
        QuickCheck::new().tests(10_000).quickcheck(prop as fn(Header, Vec<u8>) -> bool);
    }

    #[test]
    fn every_prefix_of_a_header_is_partial_and_needs_no_more_than_the_header() {
        fn prop(header: Header) -> bool {
            let bytes = header.encode();
            (0..bytes.len()).all(|end| match Header::decode(&bytes[..end]) {
                Ok(Decoded::Partial { least, needed }) => {
                    let short = least.is_none_or(|least| {
                        let key = header.mask.map(|_| [0; 4]);
                        least.len <= header.len && least == Header { len: least.len, mask: key, ..header }
                    });
                    end < needed && needed <= bytes.len() && short && (least.is_some() == (end >= 2))
                }
                _ => false,
            })
        }
        QuickCheck::new().tests(5_000).quickcheck(prop as fn(Header) -> bool);
    }

    #[test]
    fn decoded_bytes_encode_to_themselves() {
        fn prop(bytes: Vec<u8>) -> bool {
            match Header::decode(&bytes) {
                Ok(Decoded::Complete { header, size }) => header.encode().as_ref() == &bytes[..size],
                _ => true,
            }
        }
        QuickCheck::new().tests(10_000).quickcheck(prop as fn(Vec<u8>) -> bool);
    }

    #[test]
    fn all_first_two_bytes_decode_to_what_their_bits_say() {
        for pair in 0..=u16::MAX {
            let [first, second] = pair.to_be_bytes();
            let decoded = Header::decode(&[first, second]);
            let Some(opcode) = OpCode::from_bits(first & 15) else {
                assert_eq!(decoded, Err(HeaderError::ReservedOpcode));
                continue;
            };
            let header = match decoded {
                Ok(Decoded::Complete { header, size: 2 }) => header,
                Ok(Decoded::Partial { least: Some(header), needed }) => {
                    assert!(needed > 2);
                    header
                }
                other => panic!("{first:#x} {second:#x}: {other:?}"),
            };
            assert_eq!(header.opcode, opcode);
            assert_eq!(header.fin, first >= 128);
            assert_eq!(header.rsv, first >> 4 & 7);
            assert_eq!(header.mask.is_some(), second >= 128);
        }
    }

    #[test]
    fn a_length_in_a_longer_form_than_it_needs_is_refused() {
        for len in [0u64, 1, 125] {
            let [.., a, b] = len.to_be_bytes();
            assert_eq!(Header::decode(&[0x82, 126, a, b]), Err(HeaderError::LengthNotMinimal));
        }
        for len in [0u64, 125, 126, 0xFFFF] {
            let mut bytes = vec![0x82, 127];
            bytes.extend(len.to_be_bytes());
            assert_eq!(Header::decode(&bytes), Err(HeaderError::LengthNotMinimal));
        }
    }

    #[test]
    fn a_length_with_its_top_bit_set_is_refused_before_the_key_is_there() {
        for len in [1u64 << 63, u64::MAX] {
            let mut bytes = vec![0x82, 0xFF];
            bytes.extend(len.to_be_bytes());
            assert_eq!(Header::decode(&bytes), Err(HeaderError::LengthTopBit));
        }
        let mut bytes = vec![0x82, 0x7F];
        bytes.extend(((1u64 << 63) - 1).to_be_bytes());
        let header = Header::new(OpCode::Binary, (1 << 63) - 1);
        assert_eq!(Header::decode(&bytes), Ok(Decoded::Complete { header, size: 10 }));
    }

    #[test]
    fn a_reserved_opcode_is_refused_at_the_first_byte() {
        for bits in [3, 4, 5, 6, 7, 0xB, 0xC, 0xD, 0xE, 0xF] {
            assert_eq!(Header::decode(&[0x80 | bits]), Err(HeaderError::ReservedOpcode));
        }
        assert_eq!(Header::decode(&[]), Ok(Decoded::Partial { least: None, needed: 2 }));
    }
}
