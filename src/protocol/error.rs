//! Errors by origin: the peer ([`Fault`]), the caller ([`SendError`]) or the system ([`SystemError`]).
#![forbid(unsafe_code)]

use crate::frame::{CloseCode, HeaderError};
use core::fmt;
#[cfg(feature = "std")]
use std::io;

/// A violation of the protocol, or of a limit, by the peer.
///
/// ```
/// use websocket_stream::{Cause, CloseCode, Config, Fault, Limits, ReadError, Scratch, testing};
///
/// let config = Config::default().limits(Limits::default().message(4)).into();
/// let (mut server, mut client) = testing::open_pair_with(4096, config, Default::default())?;
/// client.send(&mut Scratch::new().at(0), "Hello")?;
/// // The server reports the fault, and the client receives its close code.
/// let Err(ReadError::Closed(end)) = server.read() else { panic!() };
/// assert_eq!(end.cause, Cause::Fault(Fault::MessageTooLong));
/// assert_eq!(client.read()?.1, CloseCode::TOO_BIG.get().to_be_bytes());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Fault {
    /// A reserved bit without a negotiated meaning (RFC 6455, section 5.2).
    ReservedBits,
    /// A reserved opcode (section 5.2).
    ReservedOpcode,
    /// A length that is not in its shortest form (section 5.2).
    LengthNotMinimal,
    /// A length of 2^63 or more (section 5.2).
    LengthTopBit,
    /// A control frame without the FIN bit (section 5.5).
    FragmentedControl,
    /// A control frame with more than 125 bytes of payload (section 5.5).
    ControlTooLong,
    /// An unmasked frame from a client (section 5.1).
    Unmasked,
    /// A masked frame from a server (section 5.1).
    Masked,
    /// A continuation frame without a message to continue (section 5.4).
    UnexpectedContinuation,
    /// A new message before the end of the previous one (section 5.4).
    ExpectedContinuation,
    /// A Close frame with one byte of payload (section 5.5.1).
    TruncatedCloseCode,
    /// A close code that may not be sent (section 7.4).
    InvalidCloseCode,
    /// Text, or a close reason, that is not UTF-8 (section 8.1).
    InvalidUtf8,
    /// Compressed data that cannot be inflated (RFC 7692, section 7.2.2).
    InvalidDeflate,
    /// A frame longer than [`Limits::frame`](crate::Limits::frame).
    FrameTooLong,
    /// A message longer than [`Limits::message`](crate::Limits::message), as received or as inflated.
    MessageTooLong,
    /// A message with more fragments than [`Limits::fragments`](crate::Limits::fragments).
    TooManyFragments,
}

impl Fault {
    /// Returns the close code that is sent to the peer.
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

impl Fault {
    pub(super) const fn of_header(error: HeaderError) -> Self {
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
            Self::ReservedBits => "reserved bit without a negotiated meaning",
            Self::ReservedOpcode => "reserved opcode",
            Self::LengthNotMinimal => "payload length not in its shortest form",
            Self::LengthTopBit => "payload length of 2^63 bytes or more",
            Self::FragmentedControl => "fragmented control frame",
            Self::ControlTooLong => "control frame with more than 125 bytes of payload",
            Self::Unmasked => "unmasked frame from a client",
            Self::Masked => "masked frame from a server",
            Self::UnexpectedContinuation => "continuation frame without a message to continue",
            Self::ExpectedContinuation => "new message before the end of the previous one",
            Self::TruncatedCloseCode => "Close frame with one byte of payload",
            Self::InvalidCloseCode => "invalid close code in a Close frame",
            Self::InvalidUtf8 => "text or close reason that is not UTF-8",
            Self::InvalidDeflate => "invalid compressed data",
            Self::FrameTooLong => "frame longer than the limit",
            Self::MessageTooLong => "message longer than the limit",
            Self::TooManyFragments => "message with more fragments than the limit",
        })
    }
}

impl core::error::Error for Fault {}

/// The reason why a message or a control frame was not accepted. Nothing was sent or kept.
///
/// ```
/// use websocket_stream::{Config, Error, Limits, Scratch, SendError, testing};
///
/// let config = Config::default().limits(Limits::default().unsent(4096)).into();
/// let (mut server, _client) = testing::open_pair_with(100, config, Default::default())?;
/// let mut scratch = Scratch::new();
/// let mut send = |size| server.send(&mut scratch.at(0), &vec![7; size]);
/// assert!(send(3000).is_ok());
/// // The client takes nothing more: a second message fits later, and a longer one never.
/// assert!(matches!(send(3000), Err(Error::Send(SendError::Full))));
/// assert!(matches!(send(5000), Err(Error::Send(SendError::TooLong))));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SendError {
    /// Too little of [`Limits::unsent`](crate::Limits::unsent) is free. Try again when fewer bytes are
    /// unsent, or drop the message.
    Full,
    /// The message is longer than [`Limits::unsent`](crate::Limits::unsent) allows, so it never fits. Raise
    /// the limit, or send the message in fragments.
    TooLong,
    /// The closing handshake has begun or the connection has ended, so nothing more can be sent.
    Closed,
    /// The payload of a control frame is longer than 125 bytes (RFC 6455, section 5.5), or a close reason is
    /// longer than 123 bytes.
    ControlTooLong,
    /// The close code may not be sent (section 7.4.1).
    InvalidCloseCode,
    /// The text is not UTF-8 (section 5.6).
    NotUtf8,
    /// A fragmented message is unfinished. Only its fragments and control frames can be sent.
    MessageUnfinished,
    /// A fragment without a message to continue, or a continuation in place of a whole message.
    NoMessageBegun,
    /// The opcode of a fragment is that of a control frame.
    ControlOpcode,
}

impl fmt::Display for SendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Full => "send buffer full",
            Self::TooLong => "message longer than the send buffer",
            Self::Closed => "connection closing or closed",
            Self::ControlTooLong => "control frame payload over 125 bytes, or close reason over 123 bytes",
            Self::InvalidCloseCode => "close code that cannot be sent",
            Self::NotUtf8 => "text message that is not UTF-8",
            Self::MessageUnfinished => "unfinished fragmented message",
            Self::NoMessageBegun => "fragment without a message to continue",
            Self::ControlOpcode => "control opcode in a fragment",
        })
    }
}

impl core::error::Error for SendError {}

/// An error of the system or the transport: its kind, and its number if it has one.
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
    /// Creates an error from the system's number (`errno`); 0 counts as no number.
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

impl core::error::Error for SystemError {}

#[cfg(all(test, feature = "std"))]
mod tests {
    use super::SystemError;
    use std::io::{Error, ErrorKind};

    #[test]
    fn a_number_and_a_kind_are_kept_and_printed() {
        let reset = SystemError::from_errno(104);
        assert_eq!(reset.errno(), Some(104));
        assert_eq!(reset.to_string(), Error::from_raw_os_error(104).to_string());
        assert_eq!(Error::from(reset).raw_os_error(), Some(104));
        assert_eq!(SystemError::from(&Error::from(reset)), reset);
        let unnumbered = SystemError::from_errno(0);
        assert_eq!((unnumbered.errno(), unnumbered.kind()), (None, ErrorKind::Other));
        assert_eq!(Error::from(unnumbered).kind(), ErrorKind::Other);
    }
}
