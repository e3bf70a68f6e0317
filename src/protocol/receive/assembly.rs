//! A message that is assembled from fragments or from pieces of one frame.
#![forbid(unsafe_code)]

use super::check::{Expected, MessageProgress};
use super::streaming::Streaming;
use crate::frame::{Header, OpCode, utf8::MessageBuffer};
use crate::protocol::Fault;
use crate::protocol::deflate::{InflateContext, InflatingMessage};
use crate::protocol::payload::{CurrentFrame, Payload};
use crate::protocol::pool::BufferPool;
use crate::protocol::recv_buffer::RecvBuffer;
use alloc::vec::Vec;

/// What a receiver needs besides the bytes.
pub(in crate::protocol) struct ReceiveContext<'a> {
    pub(in crate::protocol) expected: Expected<'a>,
    /// Messages are delivered in chunks.
    pub(in crate::protocol) streaming: bool,
    pub(in crate::protocol) pool: &'a mut BufferPool,
    pub(in crate::protocol) inflation: InflateContext<'a>,
}

/// An incomplete message.
#[derive(Debug)]
pub(super) struct Assembly {
    /// The number of fragments that have begun.
    fragments: u32,
    pub(super) sink: Sink,
}

/// The destination of a message's payload as it arrives.
#[derive(Debug)]
pub(super) enum Sink {
    /// Collects the payload.
    Plain(MessageBuffer),
    /// Inflates and collects the payload.
    Compressed(InflatingMessage),
    /// Delivers the payload in chunks.
    Streaming(Streaming),
}

impl Assembly {
    /// Begins the message with this first header.
    pub(super) fn new(header: &Header, streaming: bool) -> Self {
        let is_text = header.opcode == OpCode::Text;
        let is_compressed = header.rsv != 0;
        let sink = match (streaming, is_compressed) {
            (true, _) => Sink::Streaming(Streaming::new(is_text, is_compressed)),
            (false, true) => Sink::Compressed(InflatingMessage::new(is_text)),
            (false, false) => Sink::Plain(MessageBuffer::new(is_text, Vec::new())),
        };
        Self { fragments: 0, sink }
    }

    /// Counts a fragment that begins.
    pub(super) fn begin_fragment(&mut self) {
        self.fragments += 1;
    }

    /// Returns what the next header is checked against.
    pub(super) fn progress(&self) -> MessageProgress {
        let len = match &self.sink {
            Sink::Plain(buffer) => buffer.len(),
            Sink::Compressed(message) => message.received(),
            Sink::Streaming(message) => message.received(),
        };
        MessageProgress { len, fragments: self.fragments }
    }

    /// Uses unread bytes of the frame's payload: all of them, or as many as the next chunk needs. Returns
    /// that chunk's payload; only a streamed message has chunks.
    pub(super) fn append(
        &mut self,
        frame: &mut CurrentFrame,
        bytes: &mut RecvBuffer,
        context: &mut ReceiveContext<'_>,
    ) -> Result<Option<Payload>, Fault> {
        match &mut self.sink {
            Sink::Plain(buffer) => {
                let n = frame.arrived(bytes);
                let wanted = frame.message_len(buffer.len(), context.expected.limits.message);
                context.pool.make_room(buffer, n, wanted, bytes.len());
                buffer
                    .append(&bytes.as_bytes()[..n], wanted, frame.key(), 0)
                    .map_err(|_| Fault::InvalidUtf8)?;
                frame.consume(bytes, n);
                Ok(None)
            }
            Sink::Compressed(message) => {
                message.append(frame, bytes, context.pool, &mut context.inflation)?;
                Ok(None)
            }
            Sink::Streaming(message) => message.append(frame, bytes, context.pool, &mut context.inflation),
        }
    }

    /// Returns the heap memory in bytes.
    pub(super) fn heap_bytes(&self) -> usize {
        match &self.sink {
            Sink::Plain(buffer) => buffer.capacity(),
            Sink::Compressed(message) => message.heap_bytes(),
            Sink::Streaming(message) => message.heap_bytes(),
        }
    }
}
