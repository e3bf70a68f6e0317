//! Whose fault it was: the peer's ([`Fault`]), the caller's ([`SendError`]) or the system's ([`SystemError`]).
#![forbid(unsafe_code)]

use crate::frame::{CloseCode, HeaderError};
use core::fmt;
#[cfg(feature = "std")]
use std::io;

/// How a peer broke the protocol, or passed a limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Fault {
    /// A reserved bit is set that no extension gave a meaning (RFC 6455, section 5.2).
    ReservedBits,
    /// A reserved opcode (section 5.2).
    ReservedOpcode,
    /// A length that is not in its shortest form (section 5.2).
    LengthNotMinimal,
    /// A length of 2^63 or more (section 5.2).
    LengthTopBit,
    /// A control frame that is not the last of its message (section 5.5).
    FragmentedControl,
    /// A control frame with more than 125 bytes of payload (section 5.5).
    ControlTooLong,
    /// An unmasked frame from a client (section 5.1).
    Unmasked,
    /// A masked frame from a server (section 5.1).
    Masked,
    /// A continuation frame where no message was begun (section 5.4).
    UnexpectedContinuation,
    /// A new message where the last one has not ended (section 5.4).
    ExpectedContinuation,
    /// A Close frame with a single byte of payload (section 5.5.1).
    TruncatedCloseCode,
    /// A close code that may not be sent (section 7.4).
    InvalidCloseCode,
    /// Text, or a reason for closing, that is not UTF-8 (section 8.1).
    InvalidUtf8,
    /// Compressed data that does not inflate (RFC 7692, section 7.2.2).
    InvalidDeflate,
    /// A frame over [`Limits::frame`](crate::Limits::frame).
    FrameTooLong,
    /// A message over [`Limits::message`](crate::Limits::message), as it came or inflated.
    MessageTooLong,
    /// More fragments in a message than [`Limits::fragments`](crate::Limits::fragments).
    TooManyFragments,
}

impl Fault {
    /// The close code that the peer is told: the one table from fault to code.
    pub const fn close_code(self) -> CloseCode {
        match self {
            Self::ReservedBits
            | Self::ReservedOpcode
            | Self::LengthNotMinimal
            | Self::LengthTopBit
            | Self::FragmentedControl
            | Self::ControlTooLong
            | Self::Unmasked
            | Self::Masked
            | Self::UnexpectedContinuation
            | Self::ExpectedContinuation
            | Self::TruncatedCloseCode
            | Self::InvalidCloseCode => CloseCode::PROTOCOL_ERROR,
            Self::InvalidUtf8 | Self::InvalidDeflate => CloseCode::INVALID_PAYLOAD,
            Self::FrameTooLong | Self::MessageTooLong => CloseCode::TOO_BIG,
            Self::TooManyFragments => CloseCode::POLICY_VIOLATION,
        }
    }
}

impl From<HeaderError> for Fault {
    fn from(error: HeaderError) -> Self {
        match error {
            HeaderError::ReservedOpcode => Self::ReservedOpcode,
            HeaderError::LengthNotMinimal => Self::LengthNotMinimal,
            HeaderError::LengthTopBit => Self::LengthTopBit,
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ReservedBits => "the peer set a reserved bit",
            Self::ReservedOpcode => "the peer used a reserved opcode",
            Self::LengthNotMinimal => "the peer wrote a length in a longer form than it needs",
            Self::LengthTopBit => "the peer claimed a length of 2^63 bytes or more",
            Self::FragmentedControl => "the peer fragmented a control frame",
            Self::ControlTooLong => "the peer sent a control frame of more than 125 bytes",
            Self::Unmasked => "the client did not mask its frame",
            Self::Masked => "the server masked its frame",
            Self::UnexpectedContinuation => "the peer continued a message that was not begun",
            Self::ExpectedContinuation => "the peer began a message before the last one ended",
            Self::TruncatedCloseCode => "the peer sent half a close code",
            Self::InvalidCloseCode => "the peer sent a close code that may not be sent",
            Self::InvalidUtf8 => "the peer sent text that is not UTF-8",
            Self::InvalidDeflate => "the peer sent compressed data that does not inflate",
            Self::FrameTooLong => "the peer's frame is over the limit",
            Self::MessageTooLong => "the peer's message is over the limit",
            Self::TooManyFragments => "the peer's message has more fragments than the limit",
        })
    }
}

impl core::error::Error for Fault {}

/// Why something was not accepted for sending. Nothing of it was sent or kept: it is still the
/// caller's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SendError {
    /// [`Limits::unsent`](crate::Limits::unsent) would be passed: bytes that the transport has not taken
    /// are in the way. Try again when fewer are unsent, or drop the message.
    Full,
    /// The message is longer than [`Limits::unsent`](crate::Limits::unsent) allows, so it never fits: raise
    /// the limit, or send the message in fragments.
    TooLong,
    /// The closing handshake has begun, or the connection has ended: nothing may follow.
    Closed,
    /// The payload of a ping, pong or Close is over 125 bytes (RFC 6455, section 5.5): 123 are left for a
    /// reason for closing.
    ControlTooLong,
    /// The close code may not be sent (section 7.4.1).
    InvalidCloseCode,
    /// The text is not UTF-8 (section 5.6).
    NotUtf8,
    /// A fragmented message is unfinished: only its fragments and control frames may be sent.
    MessageUnfinished,
    /// A continuation was sent where no message is begun, or in place of a whole message.
    NoMessageBegun,
}

impl fmt::Display for SendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Full => "send buffer full",
            Self::TooLong => "message longer than the send buffer",
            Self::Closed => "the connection is closing; nothing more can be sent",
            Self::ControlTooLong => "a control frame holds at most 125 bytes, a reason for closing 123",
            Self::InvalidCloseCode => "this close code must not be sent",
            Self::NotUtf8 => "a text message must be UTF-8",
            Self::MessageUnfinished => "a fragmented message must be finished first",
            Self::NoMessageBegun => "there is no unfinished message to continue",
        })
    }
}

impl core::error::Error for SendError {}

/// The error that a system or a transport reported: its kind, and its number if it has one.
///
/// ```
/// use std::io::{self, ErrorKind};
/// use websocket_stream::SystemError;
///
/// // What rustls reports for a stream that was cut off has a kind and no number.
/// let truncated = SystemError::from(&io::Error::new(ErrorKind::UnexpectedEof, "no close_notify"));
/// assert_eq!((truncated.kind(), truncated.errno()), (ErrorKind::UnexpectedEof, None));
/// assert_eq!(truncated.to_string(), "unexpected end of file");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct SystemError {
    /// 0 if there is none.
    errno: i32,
    #[cfg(feature = "std")]
    kind: io::ErrorKind,
}

impl SystemError {
    /// Makes an error from the system's number for it (`errno`); 0 counts as no number.
    pub fn from_errno(errno: i32) -> Self {
        Self {
            errno,
            #[cfg(feature = "std")]
            kind: match errno {
                0 => io::ErrorKind::Other,
                _ => io::Error::from_raw_os_error(errno).kind(),
            },
        }
    }

    /// Returns the system's number (`errno`). An error that the transport made itself has none.
    pub const fn errno(&self) -> Option<i32> {
        if self.errno == 0 { None } else { Some(self.errno) }
    }

    /// Returns the kind of the error, such as `ConnectionReset`, or `UnexpectedEof` for a TLS stream
    /// that was cut off.
    #[cfg(feature = "std")]
    pub const fn kind(&self) -> io::ErrorKind {
        self.kind
    }
}

#[cfg(feature = "std")]
impl From<&io::Error> for SystemError {
    fn from(error: &io::Error) -> Self {
        Self { errno: error.raw_os_error().unwrap_or(0), kind: error.kind() }
    }
}

/// Keeps the number and the kind. The text of an error that the transport made itself is lost.
#[cfg(feature = "std")]
impl From<SystemError> for io::Error {
    fn from(error: SystemError) -> Self {
        match error.errno() {
            Some(errno) => Self::from_raw_os_error(errno),
            None => error.kind.into(),
        }
    }
}

#[cfg(feature = "std")]
impl fmt::Display for SystemError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        io::Error::from(*self).fmt(f)
    }
}

#[cfg(not(feature = "std"))]
impl fmt::Display for SystemError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.errno() {
            Some(errno) => write!(f, "system error {errno}"),
            None => f.write_str("unknown system error"),
        }
    }
}
