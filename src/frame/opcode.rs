//! What a frame is: the four opcode bits of its first byte (RFC 6455, section 5.2).
#![forbid(unsafe_code)]

/// What a frame carries: the opcode of RFC 6455, section 5.2.
///
/// The ten values that the RFC reserves have no variant: a frame that carries one of them fails to
/// decode, with [`HeaderError::ReservedOpcode`](super::HeaderError::ReservedOpcode).
///
/// ```
/// use websocket_stream::OpCode;
///
/// assert_eq!(OpCode::from_bits(0x9), Some(OpCode::Ping));
/// assert_eq!(OpCode::from_bits(0x3), None);
/// assert!(OpCode::Ping.is_control());
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum OpCode {
    /// A further fragment of the message begun by an earlier frame.
    Continuation = 0x0,
    /// A text message, or its first fragment. The payload is UTF-8.
    Text = 0x1,
    /// A binary message, or its first fragment.
    Binary = 0x2,
    /// The closing handshake: a close code and a reason, or nothing.
    Close = 0x8,
    /// A question whether the peer still answers.
    Ping = 0x9,
    /// The answer to a ping, or a heartbeat nobody asked for.
    Pong = 0xA,
}

impl OpCode {
    /// The opcode with these four bits, or `None` where the RFC reserves them.
    #[inline]
    pub const fn from_bits(bits: u8) -> Option<Self> {
        Some(match bits {
            0x0 => Self::Continuation,
            0x1 => Self::Text,
            0x2 => Self::Binary,
            0x8 => Self::Close,
            0x9 => Self::Ping,
            0xA => Self::Pong,
            _ => return None,
        })
    }

    /// The four bits on the wire, in the low half of the byte.
    #[inline]
    pub const fn bits(self) -> u8 {
        self as u8
    }

    /// Whether this is a control frame: Close, Ping or Pong (RFC 6455, section 5.5).
    #[inline]
    pub const fn is_control(self) -> bool {
        self.bits() & 0x8 != 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sixteen_values_are_six_opcodes_and_ten_reserved_ones() {
        let known: Vec<u8> = (0..16).filter(|&bits| OpCode::from_bits(bits).is_some()).collect();
        assert_eq!(known, [0x0, 0x1, 0x2, 0x8, 0x9, 0xA]);
        for bits in known {
            let opcode = OpCode::from_bits(bits).unwrap();
            assert_eq!(opcode.bits(), bits);
            assert_eq!(opcode.is_control(), bits >= 8);
        }
    }
}
