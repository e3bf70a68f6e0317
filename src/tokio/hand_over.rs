//! A connection that leaves tokio for an event loop of this crate.

use super::websocket::{Busy, WebSocket};
use crate::server::{Handle, NotAdopted};
use crate::stream::{Parts, WebSocketStream};
use ::tokio::net::TcpStream;
use std::any::Any;
use std::{fmt, io};

/// The reason why a connection was not handed over.
///
/// ```
/// use tokio::net::{TcpListener, TcpStream};
/// use websocket_stream::Role;
/// use websocket_stream::server::{NotAdopted, Server};
/// use websocket_stream::tokio::{HandOverError, WebSocket};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let listener = TcpListener::bind("127.0.0.1:0").await?;
/// let socket = TcpStream::connect(listener.local_addr()?).await?;
/// let ws = WebSocket::new(socket, Role::Client, Default::default())?;
/// let handle = Server::without_listener().handle(); // of a server that has ended
/// let error = ws.hand_over(&handle, ()).unwrap_err();
/// assert!(matches!(error, HandOverError::NotAdopted(NotAdopted { stream: _, .. })));
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub enum HandOverError {
    /// Received messages wait for [`WebSocket::next`], or fed ones to be sent. The connection is unchanged.
    Busy(WebSocket<TcpStream>),
    /// The event loop has not taken the connection.
    NotAdopted(NotAdopted),
    /// A system call failed.
    System(io::Error),
}

impl fmt::Display for HandOverError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Busy(_) => f.write_str("connection not handed over: messages wait"),
            Self::NotAdopted(error) => error.fmt(f),
            Self::System(error) => write!(f, "connection not handed over: {error}"),
        }
    }
}

impl std::error::Error for HandOverError {}

impl From<io::Error> for HandOverError {
    fn from(error: io::Error) -> Self {
        Self::System(error)
    }
}

impl WebSocket<TcpStream> {
    /// Gives the connection to a [`Server`](crate::server::Server), outside of tokio.
    ///
    /// The server calls [`Handler::adopted`](crate::server::Handler::adopted) with `value`. There, an idle
    /// connection takes about 100 bytes. The connection keeps its configuration: give it
    /// [`Timeouts::SERVER`](crate::Timeouts::SERVER), because the default timeouts never find a dead peer.
    ///
    /// # Errors
    ///
    /// [`HandOverError`] with the reason.
    pub fn hand_over(self, server: &Handle, value: impl Any + Send) -> Result<(), HandOverError> {
        let Parts { transport, connection, unread, unsent } =
            self.into_parts().map_err(|Busy(ws)| HandOverError::Busy(ws))?;
        let transport = transport.into_std()?;
        let stream = WebSocketStream::from_parts(Parts { transport, connection, unread, unsent })?;
        server.adopt(stream, value).map_err(HandOverError::NotAdopted)
    }
}
