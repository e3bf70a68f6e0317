//! A message that is delivered in chunks as it arrives.
//!
//! A chunk is lent from the receive buffer, or from the buffer into which it was inflated. Between two
//! chunks, only the first bytes of a cut character are kept, and for a compressed message an inflater and a
//! window.
#![forbid(unsafe_code)]

use crate::frame::utf8::CutCharacter;
use crate::protocol::Fault;
use crate::protocol::deflate::{InflateContext, InflatingStream};
use crate::protocol::payload::{CurrentFrame, Payload, ShortBuffer};
use crate::protocol::pool::BufferPool;
use crate::protocol::recv_buffer::RecvBuffer;
use alloc::boxed::Box;

/// An incomplete message that is streamed.
#[derive(Debug)]
pub(super) struct Streaming {
    is_text: bool,
    /// A chunk was delivered.
    begun: bool,
    /// The number of payload bytes that have arrived.
    received: usize,
    source: Source,
}

#[derive(Debug)]
enum Source {
    Plain(CutCharacter),
    Compressed(Box<InflatingStream>),
}

impl Streaming {
    pub(super) fn new(is_text: bool, is_compressed: bool) -> Self {
        let source = match is_compressed {
            true => Source::Compressed(Box::new(InflatingStream::new(is_text))),
            false => Source::Plain(CutCharacter::default()),
        };
        Self { is_text, begun: false, received: 0, source }
    }

    pub(super) fn is_text(&self) -> bool {
        self.is_text
    }

    /// Returns the number of payload bytes that have arrived.
    pub(super) fn received(&self) -> usize {
        self.received
    }

    /// Begins a chunk. Returns whether this is the first chunk of the message.
    pub(super) fn begin(&mut self) -> bool {
        !core::mem::replace(&mut self.begun, true)
    }

    /// Uses unread bytes of the frame's payload: all of them, or as many as the next chunk needs. Returns
    /// that chunk's payload.
    pub(super) fn append(
        &mut self,
        frame: &mut CurrentFrame,
        bytes: &mut RecvBuffer,
        pool: &mut BufferPool,
        inflation: &mut InflateContext<'_>,
    ) -> Result<Option<Payload>, Fault> {
        let remaining = frame.remaining();
        let chunk = match &mut self.source {
            Source::Plain(cut) if self.is_text => whole_characters(cut, frame, bytes)?,
            Source::Plain(_) => {
                let n = frame.arrived(bytes);
                take(frame, bytes, n, n)
            }
            Source::Compressed(inflating) => {
                inflating.append(frame, bytes, pool, inflation)?.map(Payload::Collected)
            }
        };
        self.received += remaining - frame.remaining();
        Ok(chunk)
    }

    /// Ends the message, which has fully arrived.
    pub(super) fn finish(self, inflation: &mut InflateContext<'_>) -> Result<(), Fault> {
        match self.source {
            // A message must not end inside a character.
            Source::Plain(cut) if !cut.is_empty() => Err(Fault::InvalidUtf8),
            Source::Plain(_) => Ok(()),
            Source::Compressed(inflating) => {
                inflating.finish(inflation);
                Ok(())
            }
        }
    }

    /// Returns the heap memory in bytes.
    pub(super) fn heap_bytes(&self) -> usize {
        match &self.source {
            Source::Plain(_) => 0,
            Source::Compressed(inflating) => inflating.heap_bytes(),
        }
    }
}

/// Uses the next `n` unread bytes. Returns the first `len` as a chunk, unless `len` is 0.
fn take(frame: &mut CurrentFrame, bytes: &mut RecvBuffer, n: usize, len: usize) -> Option<Payload> {
    let payload = Payload::Buffered { at: bytes.position(), len, key: frame.key() };
    frame.consume(bytes, n);
    (len > 0).then_some(payload)
}

/// Uses the unread bytes of a text and returns its whole characters. If a character was cut before, uses only
/// the bytes up to its end.
fn whole_characters(
    cut: &mut CutCharacter,
    frame: &mut CurrentFrame,
    bytes: &mut RecvBuffer,
) -> Result<Option<Payload>, Fault> {
    let unread = &bytes.as_bytes()[..frame.arrived(bytes)];
    if cut.is_empty() {
        let n = unread.len();
        let begun = cut.begin(unread, frame.key(), 0).map_err(|_| Fault::InvalidUtf8)?;
        return Ok(take(frame, bytes, n, n - begun));
    }
    let n = cut.go_on(unread, frame.key(), 0).map_err(|_| Fault::InvalidUtf8)?;
    frame.consume(bytes, n);
    Ok(cut.take_whole().map(|character| {
        let mut short = ShortBuffer::default();
        short.append(character.as_bytes(), None);
        Payload::Short(short)
    }))
}
