//! A stream taken apart, and put together again.
#![forbid(unsafe_code)]

use super::WebSocketStream;
use super::spill::Spill;
use super::transport_state::Incoming;
use crate::protocol::{Connection, UnreadBytes};
use crate::transport::NonBlockingTransport;
use std::io;

/// A stream taken apart, with all that it had: see [`WebSocketStream::from_parts`].
pub struct Parts<T> {
    /// The transport, still non-blocking.
    pub transport: T,
    /// The protocol's state: a message of which only a part is there, a closing handshake under way,
    /// what compression remembers.
    pub connection: Connection,
    /// Bytes that were received, and that the connection has not used.
    pub unread: Vec<u8>,
    /// Bytes that the connection has written, and that the transport did not take.
    pub unsent: Vec<u8>,
}

/// Lengths only.
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
    /// Puts a stream together that was [taken apart](Self::into_parts), on the same transport or on
    /// another one that carries the same bytes: what was received and what is unsent is kept to the byte.
    /// Sets the transport non-blocking; then drive it at once, with [`Ready::ALL`](super::Ready::ALL).
    ///
    /// ```
    /// use websocket_stream::stream::Parts;
    /// use websocket_stream::transport::memory;
    /// use websocket_stream::{NonBlockingTransport, ReadError, WebSocketStream};
    ///
    /// let (a, mut peer) = memory::pair(4096);
    /// let mut server = WebSocketStream::new(a)?;
    /// peer.send(&[0x82, 0x84, 0, 0, 0, 0, 1, 2])?; // half of a message
    /// assert!(matches!(server.read(), Err(ReadError::DataStop)));
    ///
    /// // For another kind of socket, say.
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
    /// As [`new`](Self::new).
    pub fn from_parts(parts: Parts<T>) -> io::Result<Self> {
        let Parts { mut transport, connection, unread, unsent } = parts;
        transport.set_nonblocking()?;
        let mut spill = Spill { unread: UnreadBytes::new(&unread), ..Spill::default() };
        spill.unsent.take(unsent, 0);
        Ok(Self::assemble(transport, connection, spill, Incoming::ToTheEnd))
    }
}

impl<T> WebSocketStream<T> {
    /// Takes the stream apart. Nothing is lost: [`from_parts`](Self::from_parts) puts it together again. If the
    /// transport has failed, the connection is over, and its status says why.
    pub fn into_parts(mut self) -> Parts<T> {
        if let Some(failure) = self.spill.as_ref().and_then(|spill| spill.failure) {
            self.connection.transport_failed(failure);
        }
        let (unread, unsent) = self.spill.map_or_else(Default::default, |spill| {
            (spill.unread.as_bytes().to_vec(), spill.unsent.into_vec())
        });
        Parts { transport: self.transport, connection: self.connection, unread, unsent }
    }
}
