//! One message to many: encoded once, shared by all connections that send it.
#![forbid(unsafe_code)]

#[cfg(feature = "deflate")]
use super::Turn;
use super::{Outgoing, Sent};
#[cfg(feature = "deflate")]
use crate::deflate::{Context, Deflate, WindowBits};
use crate::frame::{Header, OpCode, utf8};
use crate::protocol::{Message, Role, SendError};
use std::sync::Arc;

/// Holds a whole message that is encoded once; a clone costs a reference count.
///
/// A server sends the same bytes to every peer. A client's frames are masked, each with a fresh key
/// (RFC 6455, section 5.3), so there only the message is shared.
///
/// ```
/// use websocket_stream::transport::memory;
/// use websocket_stream::{Delivery, IfFull, Prepared, Scratch, WebSocketStream};
///
/// let mut scratch = Scratch::new();
/// let (mut room, mut peers) = (Vec::new(), Vec::new());
/// for _ in 0..3 {
///     let (a, b) = memory::pair(4096);
///     room.push(WebSocketStream::new(a)?);
///     peers.push(WebSocketStream::client(b)?);
/// }
///
/// let tick = Prepared::new("tick");
/// for stream in &mut room {
///     match stream.send_prepared(&mut scratch.at(0), &tick, IfFull::Drop) {
///         Ok(Delivery::Written | Delivery::Queued(_)) => {}
///         // A peer that is too slow for this tick gets the next one.
///         Ok(Delivery::Dropped) => {}
///         // Concerns this peer only: it is closing, for example.
///         Err(_) => {}
///     }
///     // After a send the interest may have changed: update the poller.
///     assert!(!stream.interest().writable);
/// }
/// for peer in &mut peers {
///     assert_eq!(peer.read()?.1, b"tick");
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prepared(Arc<Encoded>);

/// Selects what happens to a message that does not fit, because the peer is slow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum IfFull {
    /// Refuse the message with [`SendError::Full`].
    Refuse,
    /// Drop the message and return [`Delivery::Dropped`]: for messages that the next one makes worthless.
    ///
    /// [`Limits::unsent`](crate::Limits::unsent) bounds the bytes that wait before that; its default is more
    /// than most rooms should keep for each slow peer.
    Drop,
}

/// What became of a prepared message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Delivery {
    /// The transport took the whole frame, and everything before it.
    Written,
    /// The connection keeps this many bytes and sends them later; see [`Sent::Queued`].
    Queued(usize),
    /// The message did not fit and was dropped, as [`IfFull::Drop`] asks. No byte of it is sent.
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
    #[cfg(feature = "deflate")]
    compressed: Option<Compressed>,
}

/// The message's payload compressed without context, and the window that it needs.
#[cfg(feature = "deflate")]
#[derive(PartialEq, Eq)]
struct Compressed {
    payload: Box<[u8]>,
    bits: WindowBits,
}

impl std::fmt::Debug for Encoded {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let len = self.frame.len() - self.header;
        f.debug_struct("Encoded").field("is_text", &self.is_text).field("len", &len).finish()
    }
}

impl Prepared {
    /// Encodes a message.
    pub fn new<'m>(message: impl Into<Message<'m>>) -> Self {
        Self(Arc::new(Encoded::new(message.into())))
    }

    /// Encodes a message and compresses it once, with the level and threshold of `deflate`.
    ///
    /// Connections that agreed on compression send the compressed form, unless their window is smaller than
    /// the message; all others send the plain form. No connection compresses it again.
    ///
    /// ```
    /// use websocket_stream::deflate::Deflate;
    /// use websocket_stream::{Prepared, Scratch};
    ///
    /// let mut scratch = Scratch::new();
    /// let news = "all who listen hear the same; ".repeat(20);
    /// let prepared = Prepared::compressed(&mut scratch.at(0), &*news, &Deflate::default());
    /// assert_eq!(prepared.payload(), news.as_bytes());
    /// ```
    #[cfg(feature = "deflate")]
    pub fn compressed<'m>(turn: &mut Turn<'_>, message: impl Into<Message<'m>>, deflate: &Deflate) -> Self {
        let message = message.into();
        let mut encoded = Encoded::new(message);
        let payload = message.as_bytes();
        if payload.len() >= deflate.threshold {
            let bits = WindowBits::of(payload.len());
            let mut compressor = turn.scratch.output.take_compressor();
            let compressed = compressor.deflate(payload, Context::new(bits, false), deflate.level);
            encoded.compressed = compressed.map(|payload| Compressed { payload: payload.into(), bits });
            turn.scratch.output.put_compressor(compressor);
        }
        Self(Arc::new(encoded))
    }

    /// Returns the message. A text message is validated again; [`payload`](Self::payload) is free.
    ///
    /// ```
    /// use websocket_stream::{Message, Prepared};
    ///
    /// assert_eq!(Prepared::new("tick").message(), Message::Text("tick"));
    /// ```
    pub fn message(&self) -> Message<'_> {
        let text = self.is_text().then(|| utf8::validate(self.payload()).ok()).flatten();
        text.map_or(Message::Binary(self.payload()), Message::Text)
    }

    /// Returns the message's payload.
    pub fn payload(&self) -> &[u8] {
        &self.0.frame[self.0.header..]
    }

    /// Returns whether it is a text message.
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
        Self {
            frame,
            header: header.len(),
            is_text: message.is_text(),
            #[cfg(feature = "deflate")]
            compressed: None,
        }
    }
}

impl Outgoing<'_> {
    /// Sends a message that was encoded once, compressed if that was done and agreed on.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send).
    pub fn send_prepared(&mut self, message: &Prepared) -> Result<(), SendError> {
        let payload = message.payload();
        #[cfg(feature = "deflate")]
        if let Some(Compressed { payload: compressed, bits }) = &message.0.compressed
            && self.connection.can_send_within(*bits)
        {
            self.admit(message.opcode(), true, compressed.len())?;
            let planned =
                self.connection.plan_prepared(message.opcode(), payload, compressed.len(), self.output);
            self.send_planned(&planned, compressed);
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
