//! Opcodes: the four bits of a frame's first byte that name its type (RFC 6455, section 5.2).
#![forbid(unsafe_code)]

/// The type of a frame: its opcode (RFC 6455, section 5.2).
///
/// The ten values that the RFC reserves have no variant. A frame that carries one of them fails to decode,
/// with [`HeaderError::ReservedOpcode`](super::HeaderError::ReservedOpcode).
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
    /// A further fragment of a message that an earlier frame began.
    Continuation = 0x0,
    /// A text message, or its first fragment. The payload is UTF-8.
    Text = 0x1,
    /// A binary message, or its first fragment.
    Binary = 0x2,
    /// The closing handshake: a close code and a reason, or an empty payload.
    Close = 0x8,
    /// A request for a pong, to check that the peer still responds.
    Ping = 0x9,
    /// The reply to a ping, or an unsolicited heartbeat.
    Pong = 0xA,
}

impl OpCode {
    /// Returns the opcode with these four bits, or `None` if the RFC reserves them.
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

    /// Returns the four bits on the wire, in the low half of the byte.
    #[inline]
    pub const fn bits(self) -> u8 {
        self as u8
    }

    /// Returns whether this is a control frame: Close, Ping or Pong (RFC 6455, section 5.5).
    #[inline]
    pub const fn is_control(self) -> bool {
        self.bits() & 0x8 != 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sixteen_values_are_six_opcodes_and_ten_reserved_values() {
        let known: Vec<u8> = (0..16).filter(|&bits| OpCode::from_bits(bits).is_some()).collect();
        assert_eq!(known, [0x0, 0x1, 0x2, 0x8, 0x9, 0xA]);
        for bits in known {
            let opcode = OpCode::from_bits(bits).unwrap();
            assert_eq!(opcode.bits(), bits);
            assert_eq!(opcode.is_control(), bits >= 8);
        }
    }
}
