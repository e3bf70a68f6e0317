//! How a connection ended.
#![forbid(unsafe_code)]

use super::Fault;
use crate::frame::CloseCode;
use core::fmt;
#[cfg(feature = "std")]
use std::io;

/// Who did something: one of the two ends of a connection, or neither.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Endpoint {
    /// This one.
    Local,
    /// The other one.
    Peer,
    /// The system between them, or the transport: what it reported need be the fault of neither.
    Neither,
}

/// A deadline that passed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Deadline {
    /// [`Deadlines::silence`](super::Deadlines::silence).
    Silence,
    /// [`Deadlines::close`](super::Deadlines::close).
    Close,
    /// [`Deadlines::unsent`](super::Deadlines::unsent).
    Unsent,
}

/// Why a connection ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Cause {
    /// The closing handshake was made (RFC 6455, section 7.1.4): a clean end.
    Handshake,
    /// The peer broke the protocol or passed a limit.
    Fault(Fault),
    /// The stream ended without a closing handshake.
    EndOfStream,
    /// A deadline passed.
    Deadline(Deadline),
    /// The system, or the transport, reported an error.
    System(SystemError),
}

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

/// How a connection ended: told once, as [`Event::End`](super::Event::End).
///
/// ```
/// use websocket_stream::protocol::{Connection, Input, Output, Role};
/// use websocket_stream::{Cause, CloseCode, End, Endpoint, Event, Fault};
///
/// let mut connection = Connection::new(Role::Server);
/// let (mut input, mut output) = (Input::default(), Output::new());
/// input.extend(b"\x83\x80\0\0\0\0"); // an opcode that does not exist
/// input.end_of_stream();
/// let Some(Event::End(end)) = connection.receive(&mut input, &mut output) else { panic!() };
/// let cause = Cause::Fault(Fault::ReservedOpcode);
/// assert_eq!(end, End { code: CloseCode::PROTOCOL_ERROR, by: Endpoint::Local, cause });
/// assert!(!end.is_clean());
/// assert_eq!(end.to_string(), "failed with 1002 (protocol error): the peer used a reserved opcode");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct End {
    /// The close code: the one of the Close frame that began the closing handshake, that of the peer's
    /// fault or slowness, or [`CloseCode::ABNORMAL`] where there was none. The peer is told of its fault
    /// unless this end had sent its Close frame before.
    pub code: CloseCode,
    /// Who began it.
    pub by: Endpoint,
    /// Why.
    pub cause: Cause,
}

impl End {
    /// Whether the closing handshake was made.
    #[inline]
    pub const fn is_clean(&self) -> bool {
        matches!(self.cause, Cause::Handshake)
    }

    pub(crate) const fn abnormal(by: Endpoint, cause: Cause) -> Self {
        Self { code: CloseCode::ABNORMAL, by, cause }
    }
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let by = match self.by {
            Endpoint::Local => "this end",
            Endpoint::Peer => "the peer",
            Endpoint::Neither => "neither end",
        };
        match self.cause {
            Cause::Handshake => write!(f, "closed by {by} with {}", self.code),
            Cause::Fault(fault) => write!(f, "failed with {}: {fault}", self.code),
            Cause::EndOfStream => f.write_str("the stream ended without a closing handshake"),
            Cause::Deadline(Deadline::Silence) => f.write_str("the peer was silent for too long"),
            Cause::Deadline(Deadline::Close) => f.write_str("the closing handshake took too long"),
            Cause::Deadline(Deadline::Unsent) => f.write_str("the peer took nothing for too long"),
            Cause::System(error) => write!(f, "the transport failed: {error}"),
        }
    }
}
