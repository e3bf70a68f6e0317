//! Frames to messages (RFC 6455, sections 5 and 6.2), in one pass over the bytes.
//!
//! A message, chunk or control frame that is complete in the receive buffer is taken from there. Everything
//! unfinished is collected in a [`Pending`]: an idle receiver is one null pointer.
//!
//! ```text
//! RecvBuffer -> Receiver -> Assembly -> MessageBuffer, or Streaming, or InflatingMessage
//!                  |  ^-- what the sinks return: a buffer, a chunk's payload
//!                  v
//!               Received
//! ```
#![forbid(unsafe_code)]

mod assembly;
mod check;
mod streaming;

pub(super) use assembly::ReceiveContext;
pub(super) use check::Expected;

use super::deflate::inflate_whole;
use super::payload::{CurrentFrame, Payload, ShortBuffer};
use super::pool::BufferPool;
use super::recv_buffer::RecvBuffer;
use super::{Fault, Role};
use crate::Limits;
use crate::frame::utf8::MessageBuffer;
use crate::frame::{Decoded, Extent, Header, MAX_HEADER_SIZE, OpCode, mask};
use alloc::boxed::Box;
use assembly::{Assembly, Sink};
use check::{check, check_start, no_header};

/// The receiving half of a connection.
#[derive(Debug, Default)]
pub(super) struct Receiver {
    pending: Option<Box<Pending>>,
}

/// A frame or a message that is unfinished.
#[derive(Debug, Default)]
struct Pending {
    frame: Frame,
    /// The message whose fragments are being received.
    message: Option<Assembly>,
}

/// The current frame.
#[derive(Debug)]
enum Frame {
    /// The bytes of an incomplete header that have arrived, if any.
    Header { bytes: [u8; MAX_HEADER_SIZE], len: usize },
    /// A data frame.
    Data(CurrentFrame),
    /// A control frame and the unmasked payload that has arrived.
    Control(CurrentFrame, ShortBuffer),
}

/// A message in one frame.
#[derive(Debug, Clone, Copy)]
pub(super) struct WholeFrame {
    pub(super) is_text: bool,
    /// Size of the header in bytes.
    pub(super) header: usize,
    /// Size of the payload in bytes.
    pub(super) payload: usize,
    pub(super) key: Option<u32>,
}

/// What [`Receiver::next`] found.
#[derive(Debug)]
pub(super) enum Received {
    /// A message that arrived in pieces, or compressed.
    Message(MessageBuffer),
    /// A chunk of a message that is streamed.
    Chunk { is_text: bool, payload: Payload, first: bool, last: bool },
    /// A control frame.
    Control { opcode: OpCode, payload: Payload },
}

impl Receiver {
    /// Finds the header of a whole message of fewer than `bound` bytes, if nothing is unfinished.
    ///
    /// Almost every frame is found here. [`RecvBuffer::take`] decides whether the frame is complete.
    /// Everything else, faults included, is left to [`next`](Self::next).
    #[inline(always)]
    pub(super) fn next_whole(&self, bytes: &RecvBuffer, role: Role, bound: u64) -> Option<WholeFrame> {
        let start = bytes.peek()?;
        if self.pending.is_some() {
            return None;
        }
        // The first byte of such a frame: FIN, no reserved bit, the opcode.
        let is_text = match start[0] {
            0x81 => true,
            0x82 => false,
            _ => return None,
        };
        // Bytes after the unread ones may complete a header here, but never a frame.
        let masked = role == Role::Server;
        let Extent { len, key, size, .. } = Extent::of_expected(start, masked)?;
        if len >= bound {
            return None;
        }
        let payload = usize::try_from(len).ok()?;
        Some(WholeFrame { is_text, header: size, payload, key: masked.then_some(key) })
    }

    /// Uses the bytes up to the next control frame, chunk, or message that arrived in pieces or
    /// compressed. Returns `None` if all bytes were used.
    pub(super) fn next(
        &mut self,
        bytes: &mut RecvBuffer,
        mut context: ReceiveContext<'_>,
    ) -> Result<Option<Received>, Fault> {
        if self.pending.is_none() {
            let unread = bytes.as_bytes();
            if unread.is_empty() {
                return Ok(None);
            }
            let expected = context.expected;
            let decoded = Header::decode(unread).map_err(|error| no_header(unread, error, expected))?;
            if let Decoded::Complete { header, size } = decoded {
                check(&header, expected)?;
                if let Some(received) = take_complete(header, size, bytes, &mut context)? {
                    return Ok(Some(received));
                }
            }
        }
        self.collect(bytes, context)
    }

    /// Continues a frame or a message that is unfinished, or begins one.
    fn collect(
        &mut self,
        bytes: &mut RecvBuffer,
        mut context: ReceiveContext<'_>,
    ) -> Result<Option<Received>, Fault> {
        loop {
            let pending = self.pending.get_or_insert_with(Box::default);
            match &mut pending.frame {
                Frame::Header { bytes: begun, len } => {
                    let message = pending.message.as_ref().map(Assembly::progress);
                    let expected = Expected { message, ..context.expected };
                    let Some(header) = read_header(begun, len, bytes, expected)? else {
                        return Ok(None);
                    };
                    pending.begin(header, context.streaming);
                }
                Frame::Data(frame) => {
                    let Some(message) = &mut pending.message else { return Ok(None) };
                    let chunk = message.append(frame, bytes, &mut context)?;
                    if frame.ends_message_after(0) {
                        let message = pending.message.take();
                        self.pending = None;
                        return message.map(|message| finish(message, chunk, &mut context)).transpose();
                    }
                    let is_complete = frame.remaining() == 0;
                    if is_complete {
                        pending.frame = Frame::default();
                    }
                    if let (Some(payload), Sink::Streaming(message)) = (chunk, &mut message.sink) {
                        let (is_text, first) = (message.is_text(), message.begin());
                        return Ok(Some(Received::Chunk { is_text, payload, first, last: false }));
                    }
                    if !is_complete && bytes.is_empty() {
                        return Ok(None);
                    }
                }
                Frame::Control(frame, payload) => {
                    let n = frame.arrived(bytes);
                    payload.append(&bytes.as_bytes()[..n], frame.key());
                    frame.consume(bytes, n);
                    if frame.remaining() > 0 {
                        return Ok(None);
                    }
                    let opcode = frame.header().opcode;
                    let payload = Payload::Short(core::mem::take(payload));
                    pending.frame = Frame::default();
                    if pending.message.is_none() {
                        self.pending = None;
                    }
                    return Ok(Some(Received::Control { opcode, payload }));
                }
            }
        }
    }

    /// Returns the payload received so far of an unfinished message that is neither compressed nor streamed.
    pub(super) fn partial(&self) -> Option<&[u8]> {
        match &self.pending.as_ref()?.message.as_ref()?.sink {
            Sink::Plain(buffer) => Some(buffer.as_bytes()),
            _ => None,
        }
    }

    /// Returns whether the next frame is a Close frame, or has a header that is not allowed, if nothing is
    /// unfinished.
    #[cold]
    pub(super) fn ends_next(&self, unread: &[u8], expected: Expected<'_>) -> bool {
        let ends = |header: &Header, fault: bool| header.opcode == OpCode::Close || fault;
        // The first byte is enough: assume a second one that is allowed.
        let start;
        let unread = match *unread {
            [first] => {
                start = [first, if expected.role == Role::Server { 0x80 } else { 0 }];
                &start
            }
            _ => unread,
        };
        !unread.is_empty()
            && self.pending.is_none()
            && match Header::decode(unread) {
                Ok(Decoded::Complete { header, .. }) => ends(&header, check(&header, expected).is_err()),
                Ok(Decoded::Partial { least, .. }) => {
                    least.is_some_and(|least| ends(&least, check_start(&least, expected).is_err()))
                }
                Err(_) => true,
            }
    }

    /// Returns whether no frame and no message is unfinished.
    #[inline]
    pub(super) fn is_idle(&self) -> bool {
        self.pending.is_none()
    }

    /// Returns the heap memory in bytes.
    pub(super) fn heap_bytes(&self) -> usize {
        self.pending.as_ref().map_or(0, |pending| {
            let message = pending.message.as_ref().map_or(0, |message| message.heap_bytes());
            size_of::<Pending>() + message
        })
    }

    /// Returns room in the message for the rest of a data frame's payload.
    ///
    /// Returns `None` if fewer than `least` bytes are missing or fewer have arrived, or if the message is
    /// compressed or streamed.
    pub(super) fn direct_room(
        &mut self,
        least: usize,
        unread: usize,
        pool: &mut BufferPool,
        limits: &Limits,
    ) -> Option<&mut [u8]> {
        let (frame, buffer) = self.pending.as_mut()?.plain_data()?;
        // The room grows with the bytes that have arrived, not with the length that the header announces.
        if frame.remaining().min(buffer.len()) < least {
            return None;
        }
        pool.make_room(buffer, least, frame.message_len(buffer.len(), limits.message), unread);
        let spare = buffer.spare();
        let n = spare.len().min(frame.remaining());
        Some(&mut spare[..n])
    }

    /// Adds the first `n` bytes of [`direct_room`](Self::direct_room) to the message.
    pub(super) fn direct_filled(&mut self, n: usize) -> Result<(), Fault> {
        if let Some((frame, buffer)) = self.pending.as_mut().and_then(|pending| pending.plain_data()) {
            buffer.commit(n, frame.key(), 0).map_err(|_| Fault::InvalidUtf8)?;
            frame.advance(n);
        }
        Ok(())
    }

    /// Drops the unfinished frame and message.
    pub(super) fn clear(&mut self) {
        self.pending = None;
    }
}

impl Default for Frame {
    fn default() -> Self {
        Self::Header { bytes: [0; MAX_HEADER_SIZE], len: 0 }
    }
}

impl Pending {
    /// Begins a frame whose header is complete.
    fn begin(&mut self, header: Header, streaming: bool) {
        self.frame = if header.opcode.is_control() {
            Frame::Control(CurrentFrame::new(header), ShortBuffer::default())
        } else {
            self.message.get_or_insert_with(|| Assembly::new(&header, streaming)).begin_fragment();
            Frame::Data(CurrentFrame::new(header))
        };
    }

    /// Returns the data frame and the buffer of its message, unless the message is compressed or streamed.
    fn plain_data(&mut self) -> Option<(&mut CurrentFrame, &mut MessageBuffer)> {
        match (&mut self.frame, &mut self.message.as_mut()?.sink) {
            (Frame::Data(frame), Sink::Plain(buffer)) => Some((frame, buffer)),
            _ => None,
        }
    }
}

/// Completes a message; `chunk` is the payload of a streamed message's last chunk, if it is not empty.
fn finish(
    message: Assembly,
    chunk: Option<Payload>,
    context: &mut ReceiveContext<'_>,
) -> Result<Received, Fault> {
    Ok(match message.sink {
        Sink::Plain(buffer) => Received::Message(buffer),
        Sink::Compressed(message) => Received::Message(message.finish(context.pool, &mut context.inflation)?),
        Sink::Streaming(mut message) => {
            let (is_text, first) = (message.is_text(), message.begin());
            message.finish(&mut context.inflation)?;
            let payload = chunk.unwrap_or(Payload::Short(ShortBuffer::default()));
            Received::Chunk { is_text, payload, first, last: true }
        }
    })
}

/// Continues a header of which `len` bytes arrived earlier. Keeps the bytes if the header is still
/// incomplete.
fn read_header(
    begun: &mut [u8; MAX_HEADER_SIZE],
    len: &mut usize,
    bytes: &mut RecvBuffer,
    expected: Expected<'_>,
) -> Result<Option<Header>, Fault> {
    let before = *len;
    let n = (MAX_HEADER_SIZE - before).min(bytes.len());
    *len += n;
    begun[before..*len].copy_from_slice(&bytes.as_bytes()[..n]);
    let begun = &begun[..*len];
    match Header::decode(begun).map_err(|error| no_header(begun, error, expected))? {
        Decoded::Complete { header, size } => {
            check(&header, expected)?;
            bytes.consume(size - before);
            Ok(Some(header))
        }
        Decoded::Partial { least, .. } => {
            if let Some(least) = least {
                check_start(&least, expected)?;
            }
            bytes.consume(n);
            Ok(None)
        }
    }
}

/// Takes the frame at the start of the unread bytes if it is complete, and is a control frame, a compressed
/// message, or a streamed message that is not compressed.
fn take_complete(
    header: Header,
    size: usize,
    bytes: &mut RecvBuffer,
    context: &mut ReceiveContext<'_>,
) -> Result<Option<Received>, Fault> {
    let Header { fin, rsv, opcode, mask: key, .. } = header;
    // The header was checked against the limits.
    let len = usize::try_from(header.len).unwrap_or(usize::MAX);
    let is_control = opcode.is_control();
    let is_compressed = rsv != 0;
    // A message that is compressed and streamed needs an inflater that outlives this call. One that is
    // neither is left to `Connection::receive_whole`.
    let is_taken = is_control || fin && is_compressed != context.streaming;
    if !is_taken || len > bytes.len() - size {
        return Ok(None);
    }
    let is_text = opcode == OpCode::Text;
    if !is_control && !context.streaming {
        let Some((payload, _)) = bytes.take(size, len) else { return Ok(None) };
        if let Some(key) = key {
            mask(payload, key, 0);
        }
        let message = inflate_whole(is_text, payload, context.pool, &mut context.inflation)?;
        return Ok(Some(Received::Message(message)));
    }
    let payload = Payload::Buffered { at: bytes.position() + size, len, key };
    bytes.consume(size + len);
    Ok(Some(match is_control {
        true => Received::Control { opcode, payload },
        false => Received::Chunk { is_text, payload, first: true, last: true },
    }))
}
