//! Taking a stream apart, and putting it together again.
#![forbid(unsafe_code)]

use super::WebSocketStream;
use super::backlog::Backlog;
use super::state::{Incoming, StreamState};
use crate::protocol::{Connection, RecvBuffer};
use crate::transport::NonBlockingTransport;
use std::io;

/// The parts of a stream; see [`WebSocketStream::from_parts`].
///
/// ```
/// use websocket_stream::stream::Parts;
/// use websocket_stream::{NonBlockingTransport, Scratch, testing};
///
/// // The program makes the system calls itself from now on, as with io_uring.
/// let (mut server, client) = testing::open_pair(100)?;
/// server.send(&mut Scratch::new().at(0), &[7; 200])?;
/// let Parts { transport, connection, unread, unsent } = server.into_parts();
/// assert_eq!(client.get_ref().unread(), 100); // all that the transport takes
/// assert_eq!((unread.len(), unsent.len()), (0, 104)); // a header of 4 bytes, and 200, less 100
/// assert_eq!(connection.state(), websocket_stream::State::Open);
/// # let _ = transport;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Parts<T> {
    /// The transport, in non-blocking mode.
    pub transport: T,
    /// The state of the protocol, including an unfinished message, an unfinished closing handshake and the
    /// windows of the compression.
    pub connection: Connection,
    /// Received bytes that the connection has not used.
    pub unread: Vec<u8>,
    /// Accepted bytes that the transport has not taken.
    pub unsent: Vec<u8>,
}

/// Prints lengths instead of bytes.
impl<T: std::fmt::Debug> std::fmt::Debug for Parts<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Parts")
            .field("transport", &self.transport)
            .field("connection", &self.connection)
            .field("unread", &self.unread.len())
            .field("unsent", &self.unsent.len())
            .finish()
    }
}

impl<T: NonBlockingTransport> WebSocketStream<T> {
    /// Puts a stream together again after [`into_parts`](Self::into_parts).
    ///
    /// The transport may be a different object if it continues the byte stream of the old one. Puts it into
    /// non-blocking mode. Drive the stream at once, with [`Ready::UNKNOWN`](super::Ready::UNKNOWN).
    ///
    /// ```
    /// use websocket_stream::stream::Parts;
    /// use websocket_stream::transport::testing::memory;
    /// use websocket_stream::{NonBlockingTransport, ReadError, WebSocketStream};
    ///
    /// let (a, mut peer) = memory::pair(4096);
    /// let mut server = WebSocketStream::new(a)?;
    /// peer.send(&[0x82, 0x84, 0, 0, 0, 0, 1, 2])?; // half of a message
    /// assert!(matches!(server.read(), Err(ReadError::DataStop)));
    ///
    /// // For example, to wrap the transport.
    /// let Parts { transport, connection, unread, unsent } = server.into_parts();
    /// let transport = Box::new(transport);
    /// let mut server = WebSocketStream::from_parts(Parts { transport, connection, unread, unsent })?;
    ///
    /// peer.send(&[3, 4])?;
    /// assert_eq!(server.read()?.1, [1, 2, 3, 4]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// See [`new`](Self::new).
    pub fn from_parts(parts: Parts<T>) -> io::Result<Self> {
        let Parts { mut transport, connection, unread, unsent } = parts;
        transport.set_nonblocking()?;
        let mut backlog = Backlog { unread: RecvBuffer::new(&unread), ..Backlog::default() };
        backlog.unsent.take(unsent, 0);
        Ok(Self { state: StreamState::new(transport, connection, backlog, Incoming::Unannounced) })
    }
}

impl<T> WebSocketStream<T> {
    /// Takes the stream apart; [`from_parts`](Self::from_parts) puts it together again.
    ///
    /// If the transport has failed, the connection is closed, and its [`state`](Connection::state) has the
    /// cause.
    pub fn into_parts(self) -> Parts<T> {
        let StreamState { transport, mut connection, backlog, .. } = self.state;
        if let Some(failure) = backlog.as_ref().and_then(|backlog| backlog.failure) {
            connection.transport_failed(failure);
        }
        let (unread, unsent) = backlog.map_or_else(Default::default, |backlog| {
            (backlog.unread.as_bytes().to_vec(), backlog.unsent.into_vec())
        });
        Parts { transport, connection, unread, unsent }
    }
}
