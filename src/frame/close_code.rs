//! Close codes: the two bytes that open a Close frame's payload (RFC 6455, section 7.4).
#![forbid(unsafe_code)]

use core::fmt;

/// The reason a connection ends: a close code (RFC 6455, section 7.4).
///
/// Any `u16` is accepted, because a peer may send any. [`is_sendable`](Self::is_sendable) distinguishes the
/// codes that may appear in a Close frame from those that are only reported locally.
///
/// ```
/// use websocket_stream::CloseCode;
///
/// assert!(CloseCode::NORMAL.is_sendable());
/// assert!(CloseCode::new(4000).is_sendable());
/// assert!(!CloseCode::ABNORMAL.is_sendable()); // reported if the stream ends without a Close frame
/// assert_eq!(CloseCode::TOO_BIG.to_string(), "1009 (message too big)");
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CloseCode(u16);

impl CloseCode {
    /// 1000: the connection has fulfilled its purpose.
    pub const NORMAL: Self = Self(1000);
    /// 1001: a server is going down, or a browser has left the page.
    pub const GOING_AWAY: Self = Self(1001);
    /// 1002: the peer violated the protocol.
    pub const PROTOCOL_ERROR: Self = Self(1002);
    /// 1003: this endpoint does not accept this kind of data.
    pub const UNSUPPORTED_DATA: Self = Self(1003);
    /// 1005, never sent: a Close frame without a code arrived.
    pub const NO_STATUS: Self = Self(1005);
    /// 1006, never sent: the connection ended without a Close frame.
    pub const ABNORMAL: Self = Self(1006);
    /// 1007: the payload does not match its type, for example text that is not UTF-8.
    pub const INVALID_PAYLOAD: Self = Self(1007);
    /// 1008: the message violates this endpoint's policy.
    pub const POLICY_VIOLATION: Self = Self(1008);
    /// 1009: the message is larger than this endpoint accepts.
    pub const TOO_BIG: Self = Self(1009);
    /// 1010: the server did not agree to an extension that the client requires.
    pub const MANDATORY_EXTENSION: Self = Self(1010);
    /// 1011: the endpoint failed because of an internal error.
    pub const INTERNAL_ERROR: Self = Self(1011);
    /// 1012: the service is restarting.
    pub const SERVICE_RESTART: Self = Self(1012);
    /// 1013: the service is overloaded; try again later.
    pub const TRY_AGAIN_LATER: Self = Self(1013);
    /// 1014: a gateway received an invalid response from its upstream.
    pub const BAD_GATEWAY: Self = Self(1014);
    /// 1015, never sent: the TLS handshake failed.
    pub const TLS_HANDSHAKE: Self = Self(1015);

    /// Creates a close code. Any number is accepted; see [`is_sendable`](Self::is_sendable).
    #[inline]
    pub const fn new(code: u16) -> Self {
        Self(code)
    }

    /// Returns the number on the wire.
    #[inline]
    pub const fn get(self) -> u16 {
        self.0
    }

    /// Returns whether this code may appear in a Close frame, in either direction.
    ///
    /// The sendable codes are 1000 to 1003, 1007 to 1011, 1012 to 1014 (registered later with IANA), 3000 to
    /// 3999 (registered by libraries and applications) and 4000 to 4999 (private use). 1004 is reserved;
    /// 1005, 1006 and 1015 "MUST NOT be set as a status code in a Close control frame" (RFC 6455, section
    /// 7.4.1).
    #[inline]
    pub const fn is_sendable(self) -> bool {
        matches!(self.0, 1000..=1003 | 1007..=1014 | 3000..=4999)
    }

    /// Describes the code in a few words.
    pub const fn meaning(self) -> &'static str {
        match self.0 {
            1000 => "normal closure",
            1001 => "going away",
            1002 => "protocol error",
            1003 => "unsupported data",
            1005 => "no status received",
            1006 => "abnormal closure",
            1007 => "invalid payload data",
            1008 => "policy violation",
            1009 => "message too big",
            1010 => "mandatory extension",
            1011 => "internal error",
            1012 => "service restart",
            1013 => "try again later",
            1014 => "bad gateway",
            1015 => "TLS handshake",
            3000..=3999 => "registered code",
            4000..=4999 => "private code",
            _ => "undefined code",
        }
    }
}

impl From<u16> for CloseCode {
    fn from(code: u16) -> Self {
        Self(code)
    }
}

impl From<CloseCode> for u16 {
    fn from(code: CloseCode) -> Self {
        code.0
    }
}

impl fmt::Display for CloseCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.0, self.meaning())
    }
}

impl fmt::Debug for CloseCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CloseCode({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exactly_the_codes_that_the_registry_allows_are_sendable() {
        for code in 0..=u16::MAX {
            let defined = [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014];
            let allowed = defined.contains(&code) || (3000..5000).contains(&code);
            assert_eq!(CloseCode::new(code).is_sendable(), allowed, "{code}");
        }
    }

    #[test]
    fn each_code_has_the_number_and_meaning_given_in_the_registry() {
        let registry = [
            (CloseCode::NORMAL, 1000, "normal closure"),
            (CloseCode::GOING_AWAY, 1001, "going away"),
            (CloseCode::PROTOCOL_ERROR, 1002, "protocol error"),
            (CloseCode::UNSUPPORTED_DATA, 1003, "unsupported data"),
            (CloseCode::new(1004), 1004, "undefined code"),
            (CloseCode::NO_STATUS, 1005, "no status received"),
            (CloseCode::ABNORMAL, 1006, "abnormal closure"),
            (CloseCode::INVALID_PAYLOAD, 1007, "invalid payload data"),
            (CloseCode::POLICY_VIOLATION, 1008, "policy violation"),
            (CloseCode::TOO_BIG, 1009, "message too big"),
            (CloseCode::MANDATORY_EXTENSION, 1010, "mandatory extension"),
            (CloseCode::INTERNAL_ERROR, 1011, "internal error"),
            (CloseCode::SERVICE_RESTART, 1012, "service restart"),
            (CloseCode::TRY_AGAIN_LATER, 1013, "try again later"),
            (CloseCode::BAD_GATEWAY, 1014, "bad gateway"),
            (CloseCode::TLS_HANDSHAKE, 1015, "TLS handshake"),
            (CloseCode::new(2999), 2999, "undefined code"),
            (CloseCode::new(3000), 3000, "registered code"),
            (CloseCode::new(3999), 3999, "registered code"),
            (CloseCode::new(4000), 4000, "private code"),
            (CloseCode::new(4999), 4999, "private code"),
            (CloseCode::new(5000), 5000, "undefined code"),
        ];
        for (code, number, meaning) in registry {
            assert_eq!((code.get(), code.meaning()), (number, meaning));
            assert_eq!((CloseCode::from(number), u16::from(code)), (code, number));
        }
    }

    #[test]
    fn a_code_converts_to_its_number_and_back() {
        for code in 0..=u16::MAX {
            assert_eq!(u16::from(CloseCode::from(code)), code);
        }
    }

    #[test]
    fn a_code_prints_its_number_and_its_meaning() {
        assert_eq!(CloseCode::NORMAL.to_string(), "1000 (normal closure)");
        assert_eq!(format!("{:?}", CloseCode::new(4321)), "CloseCode(4321 (private code))");
        assert_eq!(CloseCode::new(1).to_string(), "1 (undefined code)");
    }
}
