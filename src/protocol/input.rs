//! The bytes that a connection receives, and the messages that its events borrow.
#![forbid(unsafe_code)]

use super::deflate::SpareInflater;
use super::payload::ShortBuffer;
use super::pool::BufferPool;
use super::recv_buffer::RecvBuffer;
use super::{Fault, Message};
use crate::frame::utf8::MessageBuffer;
use core::fmt;

/// Received bytes on their way into a [`Connection`](super::Connection), and the message that is lent.
///
/// A message that is complete in the unread bytes is lent from there. Any other message is collected by its
/// connection, and moves here when it is complete.
///
/// An input is not tied to one connection: after [`reset`](Self::reset), it can serve another. It keeps up to
/// four message buffers (8 MiB) for later messages.
///
/// ```
/// use std::io::Read;
/// use websocket_stream::protocol::{Connection, Event, Input, Output, Role};
///
/// let mut client = Connection::new(Role::Client);
/// let (mut input, mut output) = (Input::with_capacity(4096), Output::new());
/// let mut socket = &b"\x82\x03abc\x82\x05de"[..]; // a message, and the start of another
/// let n = socket.read(input.spare())?; // received in place, without a copy
/// input.filled(n);
/// let event = client.receive(&mut input, &mut output);
/// assert!(matches!(event, Some(Event::Message(message)) if message.as_bytes() == b"abc"));
/// assert_eq!(client.receive(&mut input, &mut output), None);
/// assert_eq!(client.partial(), Some(&b"de"[..]));
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Default)]
pub struct Input {
    pub(super) bytes: RecvBuffer,
    pub(super) end_of_stream: bool,
    pub(super) lent: Lent,
    pub(super) pool: BufferPool,
    pub(super) spare_inflater: SpareInflater,
}

/// A payload that an event borrows and that lies outside the receive buffer.
#[derive(Default)]
pub(super) struct Lent {
    message: Option<MessageBuffer>,
    /// Whether a message is lent, in a byte of its own because it is read for each message.
    is_lent: bool,
    short: ShortBuffer,
}

impl Lent {
    /// Keeps a message and lends it. Text must not end inside a character: "the endpoint MUST _Fail the
    /// WebSocket Connection_" (RFC 6455, section 8.1).
    pub(super) fn message(&mut self, message: MessageBuffer) -> Result<Message<'_>, Fault> {
        self.is_lent = true;
        let message = &*self.message.insert(message);
        match message.is_text() {
            true => message.as_str().map(Message::Text).ok_or(Fault::InvalidUtf8),
            false => Ok(Message::Binary(message.as_bytes())),
        }
    }

    /// Keeps a short payload and lends it.
    pub(super) fn short(&mut self, short: ShortBuffer) -> &mut [u8] {
        self.short = short;
        self.short.as_mut_bytes()
    }
}

impl Input {
    /// Creates an input with room for `capacity` unread bytes.
    pub fn with_capacity(capacity: usize) -> Self {
        Self { bytes: RecvBuffer::with_capacity(capacity), ..Self::default() }
    }

    /// Appends received bytes, and grows if there is no room.
    pub fn extend(&mut self, bytes: &[u8]) {
        self.bytes.extend(bytes);
    }

    /// Returns the room after the unread bytes. Receive into it, then call [`filled`](Self::filled).
    #[inline]
    pub fn spare(&mut self) -> &mut [u8] {
        self.spare_and_end().0
    }

    /// Returns the room, its position, and the end of the unread bytes. The caller advances the end by the
    /// number of bytes received.
    #[inline(always)]
    pub(crate) fn spare_and_end(&mut self) -> (&mut [u8], usize, &mut usize) {
        self.bytes.spare_and_end()
    }

    /// Adds the first `n` bytes of [`spare`](Self::spare) to the unread bytes, or all of it if it has fewer.
    #[inline]
    pub fn filled(&mut self, n: usize) {
        self.bytes.filled(n);
    }

    /// Marks the end of the peer's stream, after the unread bytes.
    #[inline]
    pub fn end_of_stream(&mut self) {
        self.end_of_stream = true;
    }

    /// Returns the received bytes that were not used.
    #[inline]
    pub fn unread(&self) -> &[u8] {
        self.bytes.as_bytes()
    }

    /// Takes back the lent message, and keeps its buffer for the next one.
    #[inline]
    pub(super) fn recycle(&mut self) {
        self.lent.is_lent = false;
        if let Some(message) = self.lent.message.take() {
            self.pool.put(message.into_storage());
        }
    }

    /// Returns whether the input has no unread bytes, no lent message and no end of stream.
    #[inline]
    pub(crate) fn is_clean(&self) -> bool {
        self.bytes.is_empty() && !(self.end_of_stream | self.lent.is_lent)
    }

    /// Removes all that belongs to one connection: unread bytes, the message that was lent, the end of the
    /// stream. The buffers stay for the next connection.
    ///
    /// ```
    /// use websocket_stream::protocol::Input;
    ///
    /// let mut input = Input::default();
    /// input.extend(b"from a peer");
    /// input.reset();
    /// assert!(input.unread().is_empty());
    /// ```
    pub fn reset(&mut self) {
        self.recycle();
        self.bytes.clear();
        self.end_of_stream = false;
    }

    /// Exchanges the receive buffer with another one.
    pub(crate) fn swap_bytes(&mut self, other: &mut RecvBuffer) {
        core::mem::swap(&mut self.bytes, other);
    }

    /// Returns the number of bytes inflated since the last call.
    #[inline]
    pub(crate) fn take_inflated(&mut self) -> usize {
        self.spare_inflater.take_inflated()
    }
}

/// Prints lengths instead of bytes.
impl fmt::Debug for Input {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Input")
            .field("unread", &self.unread().len())
            .field("capacity", &self.bytes.room())
            .field("end_of_stream", &self.end_of_stream)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;

    #[test]
    fn what_is_lent_goes_with_a_reset() {
        let mut input = Input::default();
        assert_eq!(input.lent.message(MessageBuffer::new(false, vec![0; 10])), Ok(Message::Binary(b"")));
        assert!(!input.is_clean());
        input.reset();
        assert!(input.is_clean() && input.lent.message.is_none());
        assert_eq!(input.pool.take().capacity(), 10);
    }

    #[test]
    fn lengths_are_printed_instead_of_bytes() {
        assert!(alloc::format!("{:?}", Input::default()).starts_with("Input { unread: 0, capacity: "));
    }
}
