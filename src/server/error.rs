//! Why a [`Handle`](super::Handle) could not reach its server.
#![forbid(unsafe_code)]

use crate::stream::WebSocketStream;
use std::any::Any;
use std::fmt;
use std::net::TcpStream;
use std::sync::{Mutex, PoisonError};

/// The reason why nothing was put into a server's mailbox.
///
/// ```
/// use websocket_stream::server::{HandleError, Server, ServerConfig};
///
/// let server = Server::without_listener().config(ServerConfig::default().mailbox(1000));
/// let handle = server.handle();
/// assert_eq!(handle.publish("news", "first"), Ok(())); // waits for the event loop
/// assert_eq!(handle.publish("news", &[7; 1000]), Err(HandleError::Full));
/// drop(server);
/// assert_eq!(handle.publish("news", "last"), Err(HandleError::Ended));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum HandleError {
    /// The server has ended.
    Ended,
    /// More than [`ServerConfig::mailbox`](super::ServerConfig::mailbox) bytes wait for the event loop: it is
    /// too slow for what other threads send. Try again later, or drop it.
    Full,
}

impl fmt::Display for HandleError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ended => "server ended",
            Self::Full => "mailbox of the event loop full",
        })
    }
}

impl std::error::Error for HandleError {}

/// The error of [`Handle::adopt`](super::Handle::adopt), with the unchanged connection and, for
/// [`Handle::adopt_again`](super::Handle::adopt_again), its value.
///
/// ```
/// use std::net::{TcpListener, TcpStream};
/// use websocket_stream::WebSocketStream;
/// use websocket_stream::server::{HandleError, NotAdopted, Server};
///
/// let handle = Server::without_listener().handle(); // of a server that has ended
/// let listener = TcpListener::bind("127.0.0.1:0")?;
/// let socket = TcpStream::connect(listener.local_addr()?)?;
/// let user = String::from("Ann");
/// let NotAdopted { error, stream, .. } =
///     handle.adopt(WebSocketStream::client(socket)?, user).unwrap_err();
/// assert_eq!(error, HandleError::Ended);
/// assert_eq!(stream.unsent(), 0); // the stream can still say goodbye
/// # Ok::<(), std::io::Error>(())
/// ```
#[non_exhaustive]
pub struct NotAdopted {
    /// The reason.
    pub error: HandleError,
    /// The connection, which can continue elsewhere.
    pub stream: Box<WebSocketStream<TcpStream>>,
    /// For the handler. In a `Mutex`, so that the error is `Sync`, as `?` needs it.
    value: Mutex<Box<dyn Any + Send>>,
}

impl NotAdopted {
    pub(super) fn new(
        error: HandleError,
        stream: WebSocketStream<TcpStream>,
        value: Box<dyn Any + Send>,
    ) -> Self {
        Self { error, stream: Box::new(stream), value: Mutex::new(value) }
    }

    /// Returns the connection and the value.
    pub(super) fn into_parts(self) -> (WebSocketStream<TcpStream>, Box<dyn Any + Send>) {
        (*self.stream, self.value.into_inner().unwrap_or_else(PoisonError::into_inner))
    }
}

impl fmt::Display for NotAdopted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "connection not adopted: {}", self.error)
    }
}

impl fmt::Debug for NotAdopted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NotAdopted").field("error", &self.error).finish_non_exhaustive()
    }
}

impl std::error::Error for NotAdopted {}
