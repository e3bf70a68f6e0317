//! How a connection ended.
#![forbid(unsafe_code)]

use super::Fault;
use crate::frame::CloseCode;
use core::fmt;

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
    /// The system reported an error; its errno, or 0 where it had none.
    System(i32),
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
            Cause::System(errno) => write!(f, "the system reported error {errno}"),
        }
    }
}
