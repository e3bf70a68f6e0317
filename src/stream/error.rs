//! Errors of a stream: those of the system and of the caller. A peer's fault is not an error, but ends the
//! connection with [`Closed`].
//!
//! The text of an error includes the text of the error that it wraps, so its `source` is the source of the
//! wrapped error.
#![forbid(unsafe_code)]

use crate::frame::OpCode;
use crate::protocol::{Closed, SendError};
use std::{fmt, io};

/// The reason why a call on a stream failed.
///
/// ```
/// use std::io::ErrorKind;
/// use websocket_stream::{Error, Scratch, SendError, testing};
///
/// let (mut server, _client) = testing::open_pair(4096)?;
/// let mut scratch = Scratch::new();
/// // The caller's mistake: the connection continues.
/// let refused = server.send_with(&mut scratch.at(0), |out| out.ping(&[0; 126]));
/// assert!(matches!(refused, Err(Error::Send(SendError::ControlTooLong))));
/// // The transport's failure: the connection has ended.
/// server.get_ref().plan_send([Err(ErrorKind::ConnectionReset)]);
/// let failed = server.send(&mut scratch.at(0), "Hello");
/// assert!(matches!(failed, Err(Error::System(error)) if error.kind() == ErrorKind::ConnectionReset));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// A system call on the transport failed, which ends the connection.
    ///
    /// The next [`drive`](super::WebSocketStream::drive) delivers [`Event::Closed`](crate::Event::Closed).
    /// As the error type of a [`try_drive`](super::WebSocketStream::try_drive) handler, this is returned
    /// after that event was delivered: drop the stream.
    System(io::Error),
    /// The message was not accepted. The connection continues.
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
            Self::System(error) => write!(f, "transport error: {error}"),
            Self::Send(error) => write!(f, "message not accepted: {error}"),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::System(error) => error.source(),
            Self::Send(_) => None,
        }
    }
}

/// The result of [`WebSocketStream::read`](super::WebSocketStream::read): the opcode and the payload of a
/// message or a control frame.
///
/// See the example of [`ReadError`].
pub type ReadResult = Result<(OpCode, Vec<u8>), ReadError>;

/// The result of [`WebSocketStream::write`](super::WebSocketStream::write): the number of the frame's bytes
/// that the transport took at once. The rest is queued.
///
/// See the example of [`WriteError`].
pub type WriteResult = Result<usize, WriteError>;

/// The reason why [`WebSocketStream::read`](super::WebSocketStream::read) returned no message.
///
/// ```
/// use websocket_stream::{OpCode, ReadError, testing};
///
/// let (mut server, mut client) = testing::open_pair(4096)?;
/// client.write(OpCode::Text, b"Hello")?;
/// client.write(OpCode::Binary, b"\x01")?;
/// let mut messages = Vec::new();
/// let end = loop {
///     match server.read() {
///         Ok((OpCode::Text | OpCode::Binary, payload)) => messages.push(payload),
///         Ok(_) => {} // a control frame, already answered
///         Err(ReadError::NoData | ReadError::DataStop) => break None, // wait until it is readable
///         Err(ReadError::Closed(end)) => break Some(end),
///         Err(error) => return Err(error.into()),
///     }
/// };
/// assert_eq!((messages, end), (vec![b"Hello".to_vec(), vec![1]], None));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub enum ReadError {
    /// No data has arrived.
    NoData,
    /// A message has arrived only in part.
    ///
    /// The stream keeps the received part, and the next call continues the message.
    /// [`partial`](super::WebSocketStream::partial) returns the payload received so far.
    DataStop,
    /// The connection has ended, cleanly or not.
    Closed(Closed),
    /// A system call failed.
    System(io::Error),
}

impl fmt::Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoData => f.write_str("no data yet"),
            Self::DataStop => f.write_str("incomplete message"),
            Self::Closed(end) => write!(f, "connection closed: {end}"),
            Self::System(error) => write!(f, "receive error: {error}"),
        }
    }
}

impl std::error::Error for ReadError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::System(error) => error.source(),
            Self::NoData | Self::DataStop | Self::Closed(_) => None,
        }
    }
}

/// The reason why [`WebSocketStream::write`](super::WebSocketStream::write) failed.
///
/// ```
/// use websocket_stream::{OpCode, SendError, WriteError, testing};
///
/// let (mut server, _client) = testing::open_pair(4096)?;
/// let refused = server.write(OpCode::Text, b"\xff");
/// assert!(matches!(refused, Err(WriteError::Refused(SendError::NotUtf8))));
/// // Nothing was sent, and the connection continues.
/// assert_eq!(server.write(OpCode::Binary, b"\xff")?, 3);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub enum WriteError {
    /// The message was not accepted, and nothing of it is sent.
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
            Self::Refused(error) => write!(f, "message not accepted: {error}"),
            Self::System(error) => write!(f, "send error: {error}"),
        }
    }
}

impl std::error::Error for WriteError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Refused(_) => None,
            Self::System(error) => error.source(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::error::Error as _;

    #[test]
    fn errors_are_small() {
        assert!(size_of::<Error>() <= 32);
        assert!(size_of::<ReadError>() <= 32);
        assert!(size_of::<WriteError>() <= 32);
        assert!(size_of::<Closed>() <= 16);
    }

    #[test]
    fn an_error_prints_the_error_inside_it_and_does_not_return_it_as_its_source() {
        /// An error with a source, as TLS transports report it.
        #[derive(Debug)]
        struct Outer(SendError);
        impl fmt::Display for Outer {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("outer")
            }
        }
        impl std::error::Error for Outer {
            fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
                Some(&self.0)
            }
        }
        let system = || io::Error::other(Outer(SendError::Full));
        let errors: [Box<dyn std::error::Error>; 4] = [
            Box::new(Error::System(system())),
            Box::new(ReadError::System(system())),
            Box::new(WriteError::System(system())),
            Box::new(crate::OpeningError::System(system())),
        ];
        for error in errors {
            assert!(error.to_string().ends_with(": outer"), "{error}");
            let source = error.source().expect("the source of the error inside");
            assert_eq!(source.to_string(), SendError::Full.to_string());
        }
        assert!(Error::Send(SendError::Full).source().is_none());
    }
}
