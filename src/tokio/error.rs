//! Why a call failed.

use crate::protocol::{Closed, SendError};
use crate::stream::OpeningError;
use std::fmt;

/// The reason why a call on a [`WebSocket`](super::WebSocket) failed.
///
/// ```
/// use websocket_stream::tokio::{AsyncError, WebSocket};
/// use websocket_stream::{Cause, Role};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let (a, b) = tokio::io::duplex(4096);
/// let mut ws = WebSocket::new(a, Role::Server, Default::default())?;
/// drop(b); // the network is lost
/// let Some(Err(AsyncError::Closed(end))) = ws.next().await else { panic!() };
/// assert_eq!(end.cause, Cause::EndOfStream);
/// assert_eq!(ws.send("hello").await, Err(AsyncError::Closed(end)));
/// # Ok(())
/// # }
/// ```
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
///
/// ```
/// use tokio::io::AsyncWriteExt;
/// use websocket_stream::Response;
/// use websocket_stream::tokio::{AcceptError, accept_with};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> std::io::Result<()> {
/// let (a, mut monitor) = tokio::io::duplex(4096);
/// monitor.write_all(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n").await?;
/// monitor.shutdown().await?;
/// let accepted = accept_with(a, Default::default(), |_| Response::new(200).body("up\n")).await;
/// // Not a failure: there is no connection because the program has answered with a page.
/// assert!(matches!(accepted, Err(AcceptError::Answered { status: 200 })));
/// # Ok(())
/// # }
/// ```
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
