//! A message for many connections, encoded once.
#![forbid(unsafe_code)]

use super::{Outgoing, Sent};
use crate::frame::{Header, OpCode, utf8};
use crate::protocol::{Message, Role, SendError, Standalone};
use std::sync::Arc;

/// A whole message that is encoded once, for many connections.
///
/// A clone only increments a reference count. A server sends the same bytes to every peer. A client masks
/// each frame with a fresh key (RFC 6455, section 5.3), so its connections share only the message.
///
/// ```
/// use websocket_stream::transport::testing::memory;
/// use websocket_stream::{Delivery, IfFull, PreparedMessage, Scratch, WebSocketStream};
///
/// let mut scratch = Scratch::new();
/// let (mut room, mut peers) = (Vec::new(), Vec::new());
/// for _ in 0..3 {
///     let (a, b) = memory::pair(4096);
///     room.push(WebSocketStream::new(a)?);
///     peers.push(WebSocketStream::client(b)?);
/// }
///
/// let tick = PreparedMessage::new("tick");
/// for stream in &mut room {
///     match stream.send_prepared(&mut scratch.at(0), &tick, IfFull::Drop) {
///         Ok(Delivery::Written | Delivery::Queued(_)) => {}
///         // The peer is too slow for this tick, and gets the next one.
///         Ok(Delivery::Dropped) => {}
///         // The error concerns this peer only: its connection is closing, for example.
///         Err(_) => {}
///     }
///     // `stream.wants()` may have changed: update the poller.
///     assert!(!stream.wants().write);
/// }
/// for peer in &mut peers {
///     assert_eq!(peer.read()?.1, b"tick");
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PreparedMessage(Arc<Encoded>);

/// What to do with a message for which the send buffer has no room, because the peer is slow.
///
/// See the example of [`Delivery`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum IfFull {
    /// Refuse the message with [`SendError::Full`].
    Refuse,
    /// Drop the message and return [`Delivery::Dropped`]: for messages that the next message replaces.
    ///
    /// Messages are dropped only when [`Limits::unsent`](crate::Limits::unsent) is used up. To keep less for
    /// each slow peer, lower that limit; the default is high for a broadcast.
    Drop,
}

/// The result of sending a prepared message.
///
/// ```
/// use websocket_stream::{Config, Delivery, IfFull, Limits, PreparedMessage, Scratch, testing};
///
/// let config = Config::default().limits(Limits::default().unsent(1024)).into();
/// let (mut server, _client) = testing::open_pair_with(300, config, Default::default())?;
/// let mut scratch = Scratch::new();
/// let price = PreparedMessage::new(&[7; 296]); // a frame of 300 bytes
/// let mut send = |if_full| server.send_prepared(&mut scratch.at(0), &price, if_full);
/// assert_eq!(send(IfFull::Drop)?, Delivery::Written);
/// assert_eq!(send(IfFull::Drop)?, Delivery::Queued(300));
/// // The peer is too slow, and the next price replaces this one.
/// assert_eq!(send(IfFull::Drop)?, Delivery::Dropped);
/// assert!(send(IfFull::Refuse).is_err());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Delivery {
    /// The transport took the whole frame and everything before it.
    Written,
    /// Accepted. The connection now has this number of unsent bytes; see [`Sent::Queued`].
    Queued(usize),
    /// The send buffer was full and the message was dropped, because of [`IfFull::Drop`].
    Dropped,
}

impl From<Sent> for Delivery {
    fn from(sent: Sent) -> Self {
        match sent {
            Sent::Written => Self::Written,
            Sent::Queued(unsent) => Self::Queued(unsent),
        }
    }
}

/// A server's frame, and the length of its header.
#[derive(PartialEq, Eq)]
struct Encoded {
    frame: Box<[u8]>,
    header: usize,
    is_text: bool,
    compressed: Option<Standalone>,
}

impl std::fmt::Debug for Encoded {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let len = self.frame.len() - self.header;
        f.debug_struct("Encoded").field("is_text", &self.is_text).field("len", &len).finish()
    }
}

impl PreparedMessage {
    /// Encodes a message.
    pub fn new<'m>(message: impl Into<Message<'m>>) -> Self {
        Self(Arc::new(Encoded::new(message.into())))
    }

    /// Encodes a message and compresses it once, with the level and threshold of `deflate`.
    ///
    /// A connection with negotiated compression sends the compressed form, unless its window is smaller than
    /// the message. All other connections send the plain form. No connection compresses the message again.
    ///
    /// ```
    /// use websocket_stream::deflate::Deflate;
    /// use websocket_stream::{PreparedMessage, Scratch};
    ///
    /// let mut scratch = Scratch::new();
    /// let news = "one message for many connections; ".repeat(20);
    /// let prepared = PreparedMessage::compressed(&mut scratch.at(0), &*news, &Deflate::default());
    /// assert_eq!(prepared.payload(), news.as_bytes());
    /// ```
    #[cfg(feature = "deflate")]
    pub fn compressed<'m>(
        turn: &mut super::Turn<'_>,
        message: impl Into<Message<'m>>,
        deflate: &crate::deflate::Deflate,
    ) -> Self {
        let message = message.into();
        let mut encoded = Encoded::new(message);
        encoded.compressed = Standalone::new(message.as_bytes(), deflate, &mut turn.scratch.output);
        Self(Arc::new(encoded))
    }

    /// Returns the message.
    ///
    /// This validates a text message again. [`payload`](Self::payload) costs nothing.
    ///
    /// ```
    /// use websocket_stream::{Message, PreparedMessage};
    ///
    /// assert_eq!(PreparedMessage::new("tick").message(), Message::Text("tick"));
    /// ```
    pub fn message(&self) -> Message<'_> {
        let text = self.is_text().then(|| utf8::validate(self.payload()).ok()).flatten();
        text.map_or(Message::Binary(self.payload()), Message::Text)
    }

    /// Returns the payload of the message.
    pub fn payload(&self) -> &[u8] {
        &self.0.frame[self.0.header..]
    }

    /// Returns whether this is a text message.
    pub fn is_text(&self) -> bool {
        self.0.is_text
    }

    fn opcode(&self) -> OpCode {
        if self.0.is_text { OpCode::Text } else { OpCode::Binary }
    }
}

impl Encoded {
    fn new(message: Message<'_>) -> Self {
        let payload = message.as_bytes();
        let header = Header::new(message.opcode(), payload.len() as u64).encode();
        let frame = [&header, payload].concat().into_boxed_slice();
        Self { frame, header: header.len(), is_text: message.is_text(), compressed: None }
    }
}

impl Outgoing<'_> {
    /// Sends a message that was encoded once, for many connections.
    ///
    /// Sends the compressed form if the message has one and compression was negotiated.
    ///
    /// # Errors
    ///
    /// See [`send`](Self::send).
    pub fn send_prepared(&mut self, message: &PreparedMessage) -> Result<(), SendError> {
        let payload = message.payload();
        if let Some(compressed) = &message.0.compressed
            && self.connection.can_send_standalone(compressed)
        {
            self.admit(message.opcode(), true, compressed.payload().len())?;
            let head = self.connection.standalone_head(message.opcode(), payload, compressed, self.output);
            self.send_with_head(&head, compressed.payload());
            return Ok(());
        }
        if self.connection.role() == Role::Client {
            return self.send_frame(message.opcode(), payload, true);
        }
        self.admit(message.opcode(), true, payload.len())?;
        match self.sends_in_place(payload.len()) {
            true => self.send_in_place(&[], &message.0.frame),
            false => self.output.push_encoded(&message.0.frame),
        }
        Ok(())
    }
}
