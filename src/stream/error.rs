//! Errors of the stream: the system's and the caller's. The peer's faults are ends, not errors.
#![forbid(unsafe_code)]

use crate::frame::OpCode;
use crate::protocol::{Closed, SendError};
use std::{fmt, io};

/// What a call on a stream can fail with.
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// The system refused a call on the transport. The connection is over: drop the stream. From
    /// [`drive`](super::WebSocketStream::drive) its end was told; after any other call the next `drive`
    /// tells it.
    System(io::Error),
    /// The caller sent what could not be accepted. The connection goes on.
    Send(SendError),
}

impl From<SendError> for Error {
    fn from(error: SendError) -> Self {
        Self::Send(error)
    }
}

impl From<io::Error> for Error {
    fn from(error: io::Error) -> Self {
        Self::System(error)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::System(error) => write!(f, "the transport failed: {error}"),
            Self::Send(error) => write!(f, "not accepted: {error}"),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::System(error) => Some(error),
            Self::Send(error) => Some(error),
        }
    }
}

/// What [`WebSocketStream::read`](super::WebSocketStream::read) gives: a message or a control frame.
pub type ReadResult = Result<(OpCode, Vec<u8>), ReadError>;

/// What [`WebSocketStream::write`](super::WebSocketStream::write) gives: how many bytes of the frame
/// the transport took at once. The rest is queued.
pub type WriteResult = Result<usize, WriteError>;

/// Why [`WebSocketStream::read`](super::WebSocketStream::read) gave no message.
#[derive(Debug)]
#[non_exhaustive]
pub enum ReadError {
    /// Nothing is there.
    NoData,
    /// A part of a message is there. It is kept, can be looked at with
    /// [`partial`](super::WebSocketStream::partial), and the next call goes on.
    DataStop,
    /// The connection has ended, cleanly or not.
    Closed(Closed),
    /// A system call failed.
    System(io::Error),
}

impl From<Error> for ReadError {
    fn from(error: Error) -> Self {
        match error {
            Error::System(error) => Self::System(error),
            // Reading sends only what answers by itself, which is never refused.
            Error::Send(_) => Self::NoData,
        }
    }
}

impl fmt::Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoData => f.write_str("no data is there yet"),
            Self::DataStop => f.write_str("only a part of a message is there yet"),
            Self::Closed(end) => write!(f, "the connection has ended: {end}"),
            Self::System(error) => write!(f, "receiving failed: {error}"),
        }
    }
}

impl std::error::Error for ReadError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::System(error) => Some(error),
            _ => None,
        }
    }
}

/// Why [`WebSocketStream::write`](super::WebSocketStream::write) sent nothing.
#[derive(Debug)]
#[non_exhaustive]
pub enum WriteError {
    /// What was given could not be accepted; nothing of it was taken.
    Refused(SendError),
    /// A system call failed.
    System(io::Error),
}

impl From<Error> for WriteError {
    fn from(error: Error) -> Self {
        match error {
            Error::System(error) => Self::System(error),
            Error::Send(error) => Self::Refused(error),
        }
    }
}

impl From<SendError> for WriteError {
    fn from(error: SendError) -> Self {
        Self::Refused(error)
    }
}

impl fmt::Display for WriteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(error) => write!(f, "not accepted: {error}"),
            Self::System(error) => write!(f, "sending failed: {error}"),
        }
    }
}

impl std::error::Error for WriteError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Refused(error) => Some(error),
            Self::System(error) => Some(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_small() {
        assert!(size_of::<Error>() <= 32);
        assert!(size_of::<ReadError>() <= 32);
        assert!(size_of::<WriteError>() <= 32);
        assert!(size_of::<Closed>() <= 16);
    }
}
