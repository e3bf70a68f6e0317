//! What a handler sends with, and the result of sending.
#![forbid(unsafe_code)]

use super::scratch::CallLimits;
use crate::frame::{CloseCode, OpCode};
use crate::protocol::{Connection, FrameHead, Message, Output, SendError, State};
use crate::transport::{LONGEST_SLICE, NonBlockingTransport, send_checked, send_vectored_checked};
use std::io::{self, IoSlice};

/// The payload size, in bytes, from which a payload is sent without a copy.
const SENT_IN_PLACE: usize = 4 << 10;

/// The result of sending a message that was accepted.
///
/// ```
/// use websocket_stream::transport::testing::memory;
/// use websocket_stream::{Ready, Scratch, Sent, WebSocketStream};
///
/// let (a, b) = memory::pair(100); // takes up to 100 bytes
/// let (mut stream, mut peer) = (WebSocketStream::new(a)?, WebSocketStream::client(b)?);
/// let mut scratch = Scratch::new();
/// let header = 2;
///
/// assert_eq!(stream.send(&mut scratch.at(0), &[1; 60])?, Sent::Written);
/// assert_eq!(stream.send(&mut scratch.at(0), &[2; 60])?, Sent::Queued(2 * (header + 60) - 100));
/// assert!(stream.wants().write);
/// // The peer reads, and the poller reports that the stream is writable.
/// assert_eq!(peer.read()?.1, [1; 60]);
/// assert_eq!(stream.flush(&mut scratch.at(0))?, Sent::Written);
/// assert_eq!(peer.read()?.1, [2; 60]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sent {
    /// The transport took the whole frame and everything before it.
    Written,
    /// Accepted. The connection now has this number of unsent bytes: wait until the transport is writable,
    /// then drive or flush the stream.
    Queued(usize),
}

/// The sending half of a connection, lent to its handler.
///
/// Small messages are gathered and sent together at the end of the call. A server sends a payload of 4 KiB
/// or more at once, without a copy. A client copies every payload, because it must mask it. The connection
/// keeps bytes that the transport does not take, up to [`Limits::unsent`](crate::Limits::unsent).
///
/// `Ok` means accepted: the message is sent now, or queued and sent later, unless the connection ends first.
/// An error means that nothing of the message was accepted. See
/// [the guarantees](crate::guarantees#results-of-sending).
///
/// ```
/// use websocket_stream::{Event, Message, OpCode, Outgoing, Ready, Scratch, SendError, testing};
///
/// /// Answers a text with its words, and sends other messages back.
/// fn handle(event: Event<'_>, out: &mut Outgoing<'_>) -> Result<(), SendError> {
///     match event {
///         Event::Message(Message::Text(text)) => text.split(' ').try_for_each(|word| out.send(word)),
///         Event::Message(other) => out.send(other),
///         _ => Ok(()),
///     }
/// }
/// let (mut server, mut client) = testing::open_pair(4096)?;
/// let mut scratch = Scratch::new();
/// client.send(&mut scratch.at(0), "to be")?;
/// server.drive(&mut scratch.at(0), Ready::READABLE, handle)?;
/// assert_eq!(server.get_ref().calls().send, 2); // the opening handshake, and both words together
/// assert_eq!([client.read()?.1, client.read()?.1], [&b"to"[..], b"be"]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Outgoing<'a> {
    pub(super) transport: &'a mut (dyn NonBlockingTransport + 'a),
    pub(super) connection: &'a mut Connection,
    pub(super) output: &'a mut Output,
    /// The error of a system call, after which nothing is sent.
    pub(super) failed: &'a mut Option<io::Error>,
    pub(super) limits: &'a CallLimits,
}

impl Outgoing<'_> {
    /// Sends a whole message.
    ///
    /// The message is compressed if compression was negotiated and makes the message smaller.
    ///
    /// # Errors
    ///
    /// [`SendError::Full`], [`SendError::TooLong`], [`SendError::Closed`] or
    /// [`SendError::MessageUnfinished`].
    #[inline(always)]
    pub fn send<'m>(&mut self, message: impl Into<Message<'m>>) -> Result<(), SendError> {
        let message = message.into();
        if self.connection.compresses(message.as_bytes().len()) {
            return self.reborrow().send_compressed(message.opcode(), message.as_bytes(), true);
        }
        self.send_plain(message)
    }

    /// Sends a whole message without compression; see [`Connection::send_plain`].
    ///
    /// # Errors
    ///
    /// See [`send`](Self::send).
    #[inline(always)]
    pub fn send_plain<'m>(&mut self, message: impl Into<Message<'m>>) -> Result<(), SendError> {
        let message = message.into();
        if message.as_bytes().len() < SENT_IN_PLACE {
            let (opcode, payload) = (message.opcode(), message.as_bytes());
            match self.connection.send_within(self.limits.data_bound, opcode, true, payload, self.output) {
                Err(SendError::Full) => {}
                answer => return answer,
            }
        }
        // The functions for few messages get a copy, so that this value can stay in registers.
        self.reborrow().send_frame(message.opcode(), message.as_bytes(), true)
    }

    /// Sends one fragment of a message; see [`Connection::send_fragment`].
    ///
    /// # Errors
    ///
    /// See [`Connection::send_fragment`].
    pub fn send_fragment(&mut self, opcode: OpCode, payload: &[u8], fin: bool) -> Result<(), SendError> {
        if opcode.is_control() {
            return Err(SendError::ControlOpcode);
        }
        if self.connection.compresses_fragment(opcode, payload.len()) {
            return self.send_compressed(opcode, payload, fin);
        }
        self.send_frame(opcode, payload, fin)
    }

    /// Sends a ping with up to 125 bytes of payload.
    ///
    /// # Errors
    ///
    /// [`SendError::ControlTooLong`], [`SendError::Full`] or [`SendError::Closed`].
    pub fn ping(&mut self, payload: &[u8]) -> Result<(), SendError> {
        self.send_control(|connection, output| connection.ping(payload, output))
    }

    /// Sends an unsolicited pong with up to 125 bytes of payload. Pings are answered automatically.
    ///
    /// # Errors
    ///
    /// See [`ping`](Self::ping).
    pub fn pong(&mut self, payload: &[u8]) -> Result<(), SendError> {
        self.send_control(|connection, output| connection.pong(payload, output))
    }

    /// Begins the closing handshake; see [`Connection::close`].
    ///
    /// # Errors
    ///
    /// See [`Connection::close`].
    pub fn close(&mut self, code: CloseCode, reason: &str) -> Result<(), SendError> {
        self.connection.close(code, reason, self.output)
    }

    /// Returns the number of accepted bytes that the transport has not taken. This includes what the call has
    /// gathered, and has not sent yet.
    #[inline]
    pub fn unsent(&self) -> usize {
        self.output.len()
    }

    /// Returns the number of unsent bytes if the transport is full, else 0. Sends what the call has gathered
    /// if that is much.
    #[cfg(feature = "server")]
    pub(crate) fn unsent_if_full(&mut self) -> usize {
        let works = self.output.gathered() < self.limits.gather
            || flush_gathered(self.transport, self.output, self.failed);
        if works && self.output.may_send() { 0 } else { self.output.len() }
    }

    /// Returns the state of the connection.
    #[inline]
    pub fn state(&self) -> State {
        self.connection.state()
    }

    /// Borrows this value for a shorter time, to put it into a struct beside other borrowed values.
    ///
    /// ```
    /// use websocket_stream::{Message, Outgoing, SendError};
    ///
    /// /// What a handler of this program gets.
    /// struct Peer<'a> {
    ///     name: &'a str,
    ///     out: Outgoing<'a>,
    /// }
    ///
    /// fn handle(name: &str, message: Message<'_>, out: &mut Outgoing<'_>) -> Result<(), SendError> {
    ///     let mut peer = Peer { name, out: out.reborrow() };
    ///     peer.out.send(peer.name)?;
    ///     peer.out.send(message)
    /// }
    /// # let _ = handle;
    /// ```
    #[inline]
    pub fn reborrow(&mut self) -> Outgoing<'_> {
        Outgoing {
            transport: &mut *self.transport,
            connection: &mut *self.connection,
            output: &mut *self.output,
            failed: &mut *self.failed,
            limits: self.limits,
        }
    }

    // Cold compared with a small message, whose path in the caller's loop it must not slow down.
    #[cold]
    #[inline(never)]
    pub(super) fn send_frame(&mut self, opcode: OpCode, payload: &[u8], fin: bool) -> Result<(), SendError> {
        self.admit(opcode, fin, payload.len())?;
        let head = self.connection.frame_head(opcode, fin, payload.len(), self.output);
        self.send_with_head(&head, payload);
        Ok(())
    }

    #[inline(never)]
    fn send_compressed(&mut self, opcode: OpCode, payload: &[u8], fin: bool) -> Result<(), SendError> {
        self.admit(opcode, fin, Connection::max_compressed_len(opcode, payload.len()))?;
        let mut compressor = self.output.take_compressor();
        let (head, payload) = self.connection.compress(opcode, fin, payload, &mut compressor, self.output);
        self.send_with_head(&head, payload);
        self.output.put_compressor(compressor);
        Ok(())
    }

    /// Sends a frame that was already admitted.
    #[inline(always)]
    pub(super) fn send_with_head(&mut self, head: &FrameHead, payload: &[u8]) {
        match head.key {
            None if self.sends_in_place(payload.len()) => self.send_in_place(&head.header, payload),
            key => self.output.push(&head.header, payload, key),
        }
    }

    /// Checks that a frame with `len` bytes of payload may be sent now and fits into the send buffer.
    #[inline(always)]
    pub(super) fn admit(&mut self, opcode: OpCode, fin: bool, len: usize) -> Result<(), SendError> {
        match self.connection.admit(self.limits.data_bound, opcode, fin, len, self.output) {
            Err(SendError::Full) => self.make_room(opcode, fin, len),
            answer => answer,
        }
    }

    /// Sends the bytes that this call has gathered, which may make room for a frame.
    #[cold]
    #[inline(never)]
    fn make_room(&mut self, opcode: OpCode, fin: bool, len: usize) -> Result<(), SendError> {
        flush_gathered(self.transport, self.output, self.failed);
        self.connection
            .admit(self.limits.data_bound, opcode, fin, len, self.output)
            .map_err(|error| self.connection.refusal(error, len))
    }

    /// Sends a control frame, if need be after the bytes that this call has gathered.
    fn send_control(
        &mut self,
        send: impl Fn(&mut Connection, &mut Output) -> Result<(), SendError>,
    ) -> Result<(), SendError> {
        match send(self.connection, self.output) {
            Err(SendError::Full) => {
                flush_gathered(self.transport, self.output, self.failed);
                send(self.connection, self.output)
            }
            sent => sent,
        }
    }

    /// Returns whether an unmasked payload of this size is sent without a copy.
    pub(super) fn sends_in_place(&self, len: usize) -> bool {
        (SENT_IN_PLACE..=LONGEST_SLICE).contains(&len)
            && self.output.gathered() <= LONGEST_SLICE
            && self.output.may_send()
            && self.failed.is_none()
    }

    /// Sends a frame after the gathered bytes, and copies only what the transport does not take.
    pub(super) fn send_in_place(&mut self, header: &[u8], payload: &[u8]) {
        let gathered = self.output.as_bytes();
        let pieces = [IoSlice::new(gathered), IoSlice::new(header), IoSlice::new(payload)];
        let gathered = gathered.len();
        let all = gathered + header.len() + payload.len();
        match send_vectored_checked(self.transport, &pieces) {
            Ok(taken) if taken == all => self.output.consume_all(),
            Ok(taken) => {
                self.output.consume(taken.min(gathered));
                let taken = taken - taken.min(gathered);
                let from_header = taken.min(header.len());
                let from_payload = taken - from_header;
                if from_payload < payload.len() {
                    self.output.keep(&header[from_header..]);
                    self.output.keep(&payload[from_payload..]);
                }
            }
            Err(error) => *self.failed = Some(error),
        }
    }
}

impl std::fmt::Debug for Outgoing<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Outgoing").field("unsent", &self.unsent()).finish_non_exhaustive()
    }
}

/// Sends as many of the gathered bytes as the transport takes.
#[inline(always)]
pub(super) fn send_gathered<T: NonBlockingTransport + ?Sized>(
    transport: &mut T,
    output: &mut Output,
) -> io::Result<()> {
    let gathered = output.as_bytes();
    if !gathered.is_empty() {
        let all = gathered.len();
        match send_checked(transport, gathered)? {
            taken if taken == all => output.consume_all(),
            taken => output.consume(taken),
        }
    }
    Ok(())
}

/// Sends the gathered bytes, unless the transport has failed or is known to be full. Keeps an error, and
/// returns whether the transport works.
#[inline(always)]
pub(super) fn flush_gathered<T: NonBlockingTransport + ?Sized>(
    transport: &mut T,
    output: &mut Output,
    failed: &mut Option<io::Error>,
) -> bool {
    if failed.is_some() {
        return false;
    }
    if output.may_send()
        && let Err(error) = send_gathered(transport, output)
    {
        *failed = Some(error);
        return false;
    }
    true
}
