//! Why a call failed.

use crate::protocol::{Closed, SendError};
use crate::stream::OpeningError;
use std::fmt;

/// The reason why a call on a [`WebSocket`](super::WebSocket) failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum AsyncError {
    /// The connection has ended: without a closing handshake, or before a message was sent.
    Closed(Closed),
    /// The message was not accepted. The connection continues, unless the reason is
    /// [`SendError::Closed`].
    Send(SendError),
}

impl From<SendError> for AsyncError {
    fn from(error: SendError) -> Self {
        Self::Send(error)
    }
}

impl fmt::Display for AsyncError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Closed(end) => end.fmt(f),
            Self::Send(error) => write!(f, "message not accepted: {error}"),
        }
    }
}

impl std::error::Error for AsyncError {}

/// The reason why a server's opening handshake has not led to a connection.
#[derive(Debug)]
#[non_exhaustive]
pub enum AcceptError {
    /// The opening handshake has failed.
    Opening(OpeningError),
    /// The program has answered with another status than 101: a page or a refusal.
    Answered {
        /// The status code.
        status: u16,
    },
}

impl From<OpeningError> for AcceptError {
    fn from(error: OpeningError) -> Self {
        Self::Opening(error)
    }
}

impl From<std::io::Error> for AcceptError {
    fn from(error: std::io::Error) -> Self {
        Self::Opening(error.into())
    }
}

impl fmt::Display for AcceptError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Opening(error) => error.fmt(f),
            Self::Answered { status } => write!(f, "request answered with status {status}"),
        }
    }
}

impl std::error::Error for AcceptError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Opening(error) => error.source(),
            Self::Answered { .. } => None,
        }
    }
}
