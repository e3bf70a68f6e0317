//! Compressed messages on their way in (RFC 7692, section 7.2.2).
//!
//! A message with at most 32 KiB of compressed payload is inflated when it is complete, by the thread's
//! inflater, so a slow peer occupies no inflater. A longer message gets an inflater of its own after the
//! first 32 KiB and is inflated as it arrives. So at most 32 KiB of compressed payload are kept.
//!
//! The 32 KiB count only the message's payload, so events and faults do not depend on how the network splits
//! the stream.
#![forbid(unsafe_code)]

use super::windows::{KeptWindows, PackedParams};
use crate::deflate::{InflateError, Inflater, Window, WindowBits};
use crate::frame::mask;
use crate::frame::utf8::{CutCharacter, MessageBuffer};
use crate::protocol::Fault;
use crate::protocol::payload::CurrentFrame;
use crate::protocol::pool::BufferPool;
use crate::protocol::recv_buffer::RecvBuffer;
use alloc::{boxed::Box, vec::Vec};

/// The maximum compressed payload of an unfinished message that is kept: the size of a window.
const COLLECTED: usize = WindowBits::MAX.size();

/// The size, in bytes, at which a chunk of a streamed message ends. One more byte of payload can increase it
/// to 64 KiB.
const CHUNK: usize = 56 << 10;

/// The number of payload bytes that are unmasked at once, because the rest may belong to the next chunk.
const STRETCH: usize = 4 << 10;

/// The thread's inflater, and the number of bytes inflated since [`take_inflated`](Self::take_inflated).
#[derive(Debug, Default)]
pub(in crate::protocol) struct SpareInflater {
    inflater: Option<Box<Inflater>>,
    inflated: usize,
}

impl SpareInflater {
    #[inline]
    pub(in crate::protocol) fn take_inflated(&mut self) -> usize {
        core::mem::take(&mut self.inflated)
    }

    /// Takes the inflater, reset for a new message. Creates one if it is in use.
    fn take(&mut self) -> Box<Inflater> {
        let mut inflater = self.inflater.take().unwrap_or_default();
        inflater.begin();
        inflater
    }

    fn put(&mut self, mut inflater: Box<Inflater>) {
        self.inflated += inflater.take_primed();
        self.inflater.get_or_insert(inflater);
    }

    /// Inflates into a message, and counts the bytes even if inflating fails.
    fn count<R>(
        inflated: &mut usize,
        message: &mut MessageBuffer,
        inflate: impl FnOnce(&mut MessageBuffer) -> Result<R, InflateError>,
    ) -> Result<R, Fault> {
        let before = message.len();
        let result = inflate(message);
        *inflated += message.len() - before;
        result.map_err(fault)
    }
}

/// What messages are inflated with.
#[derive(Debug)]
pub(in crate::protocol) struct InflateContext<'a> {
    spare: &'a mut SpareInflater,
    earlier: Earlier<'a>,
    /// The maximum size of a message in bytes.
    limit: usize,
}

impl<'a> InflateContext<'a> {
    pub(in crate::protocol) fn new(
        spare: &'a mut SpareInflater,
        kept_windows: &'a mut KeptWindows,
        deflate_params: Option<PackedParams>,
        limit: usize,
    ) -> Self {
        Self {
            spare,
            earlier: Earlier { kept_windows, window: deflate_params.and_then(PackedParams::receiving) },
            limit,
        }
    }
}

/// The messages before the current one.
#[derive(Debug)]
struct Earlier<'a> {
    kept_windows: &'a mut KeptWindows,
    /// `None` if a message cannot refer to earlier messages.
    window: Option<WindowBits>,
}

impl Earlier<'_> {
    fn history(&mut self) -> Option<&mut Window> {
        let bits = self.window?;
        Some(self.kept_windows.get_or_insert().received.get_or_insert_with(|| Window::new(bits)))
    }
}

/// Inflates a message that is complete.
pub(in crate::protocol) fn inflate_whole(
    is_text: bool,
    payload: &[u8],
    pool: &mut BufferPool,
    inflation: &mut InflateContext<'_>,
) -> Result<MessageBuffer, Fault> {
    // The message is lent and then returns to the pool, so a buffer of any size is suitable.
    let mut message = MessageBuffer::new(is_text, pool.take());
    let InflateContext { spare: SpareInflater { inflater, inflated }, earlier, limit } = inflation;
    let inflater = inflater.get_or_insert_default();
    let result = SpareInflater::count(inflated, &mut message, |message| {
        inflater.inflate(payload, earlier.history(), *limit, message)
    });
    *inflated += inflater.take_primed();
    match result {
        Ok(()) => Ok(message),
        Err(fault) => {
            pool.put(message.into_storage());
            Err(fault)
        }
    }
}

/// An incomplete compressed message.
#[derive(Debug)]
pub(in crate::protocol) struct InflatingMessage {
    is_text: bool,
    /// The number of compressed payload bytes that have arrived.
    received: usize,
    state: State,
}

#[derive(Debug)]
enum State {
    /// The compressed payload, up to 32 KiB.
    Collecting(MessageBuffer),
    /// The message so far.
    Running { inflater: Box<Inflater>, message: MessageBuffer },
}

impl InflatingMessage {
    pub(in crate::protocol) fn new(is_text: bool) -> Self {
        Self { is_text, received: 0, state: State::Collecting(MessageBuffer::new(false, Vec::new())) }
    }

    /// Returns the number of compressed bytes that have arrived.
    pub(in crate::protocol) fn received(&self) -> usize {
        self.received
    }

    /// Uses unread bytes of the frame's payload: all of them, or those that complete the first 32 KiB.
    pub(in crate::protocol) fn append(
        &mut self,
        frame: &mut CurrentFrame,
        bytes: &mut RecvBuffer,
        pool: &mut BufferPool,
        inflation: &mut InflateContext<'_>,
    ) -> Result<(), Fault> {
        let (here, unread, key) = (frame.arrived(bytes), bytes.len(), frame.key());
        let n = match &mut self.state {
            State::Collecting(payload) => {
                let n = here.min(COLLECTED - payload.len());
                let wanted = frame.message_len(payload.len(), inflation.limit).min(COLLECTED);
                pool.make_room(payload, n, wanted, unread);
                payload.append(&bytes.as_bytes()[..n], wanted, key, 0).map_err(|_| Fault::InvalidUtf8)?;
                if payload.len() == COLLECTED && !frame.ends_message_after(n) {
                    self.run(pool, unread, inflation)?;
                }
                n
            }
            State::Running { inflater, message } => {
                let payload = next(bytes, here);
                if let Some(key) = key {
                    mask(payload, key, 0);
                }
                feed(payload, self.received, inflater, message, pool, unread, inflation)?;
                here
            }
        };
        self.received += n;
        frame.consume(bytes, n);
        Ok(())
    }

    /// Inflates the collected payload. The message keeps the thread's inflater until it is complete.
    fn run(
        &mut self,
        pool: &mut BufferPool,
        unread: usize,
        inflation: &mut InflateContext<'_>,
    ) -> Result<(), Fault> {
        let State::Collecting(payload) = &self.state else { return Ok(()) };
        let mut inflater = inflation.spare.take();
        let mut message = MessageBuffer::new(self.is_text, Vec::new());
        feed(payload.as_bytes(), 0, &mut inflater, &mut message, pool, unread, inflation)?;
        self.state = State::Running { inflater, message };
        Ok(())
    }

    /// Completes the message, which has fully arrived.
    pub(in crate::protocol) fn finish(
        self,
        pool: &mut BufferPool,
        inflation: &mut InflateContext<'_>,
    ) -> Result<MessageBuffer, Fault> {
        match self.state {
            State::Collecting(payload) => {
                let message = inflate_whole(self.is_text, payload.as_bytes(), pool, inflation);
                pool.put(payload.into_storage());
                message
            }
            State::Running { mut inflater, mut message } => {
                inflater.finish(inflation.earlier.history(), inflation.limit, &mut message).map_err(fault)?;
                inflation.spare.put(inflater);
                Ok(message)
            }
        }
    }

    /// Returns the heap memory in bytes.
    pub(in crate::protocol) fn heap_bytes(&self) -> usize {
        match &self.state {
            State::Collecting(payload) => payload.capacity(),
            State::Running { inflater, message } => {
                size_of::<Inflater>() + inflater.heap_bytes() + message.capacity()
            }
        }
    }
}

/// Returns the next `n` unread bytes, to be unmasked in place.
fn next(bytes: &mut RecvBuffer, n: usize) -> &mut [u8] {
    let (bytes, unread) = bytes.split();
    &mut bytes[unread.start..][..n]
}

/// Inflates the next bytes of a payload of which `received` bytes were inflated before.
fn feed(
    payload: &[u8],
    received: usize,
    inflater: &mut Inflater,
    message: &mut MessageBuffer,
    pool: &mut BufferPool,
    unread: usize,
    inflation: &mut InflateContext<'_>,
) -> Result<(), Fault> {
    let InflateContext { spare, earlier, limit } = inflation;
    // Room for these bytes if they are compressed as much as the earlier ones. At most doubles the message,
    // unless the bytes themselves are more.
    let (n, before) = (payload.len(), message.len());
    let likely = n.saturating_mul(before) / received.max(1);
    let least = likely.min(before).max(n).min(limit.saturating_sub(before));
    pool.make_room(message, least, *limit, unread);
    SpareInflater::count(&mut spare.inflated, message, |message| {
        inflater.feed(payload, earlier.history().as_deref(), *limit, message)
    })
}

/// A compressed message that is delivered in chunks, each inflated as it arrives.
///
/// Payload that belongs to the next chunk stays in the receive buffer, so no output stays in the inflater:
/// when all bytes are used, all of their output was delivered.
#[derive(Debug)]
pub(in crate::protocol) struct InflatingStream {
    is_text: bool,
    /// `None` before the first byte.
    inflater: Option<Box<Inflater>>,
    /// The number of inflated bytes that were delivered.
    delivered: usize,
    /// The last bytes that were delivered, to which later ones may refer.
    window: Window,
    cut: CutCharacter,
}

impl InflatingStream {
    pub(in crate::protocol) fn new(is_text: bool) -> Self {
        let window = Window::new(WindowBits::MAX);
        Self { is_text, inflater: None, delivered: 0, window, cut: CutCharacter::default() }
    }

    /// Uses unread bytes of the frame's payload, up to a chunk. Returns the chunk if it is not empty.
    pub(in crate::protocol) fn append(
        &mut self,
        frame: &mut CurrentFrame,
        bytes: &mut RecvBuffer,
        pool: &mut BufferPool,
        inflation: &mut InflateContext<'_>,
    ) -> Result<Option<MessageBuffer>, Fault> {
        let mut chunk = MessageBuffer::new(self.is_text, pool.take());
        let result = self.inflate(frame, bytes, &mut chunk, inflation);
        if result.is_ok() && !chunk.is_empty() {
            return Ok(Some(chunk));
        }
        pool.put(chunk.into_storage());
        result.map(|()| None)
    }

    fn inflate(
        &mut self,
        frame: &mut CurrentFrame,
        bytes: &mut RecvBuffer,
        chunk: &mut MessageBuffer,
        inflation: &mut InflateContext<'_>,
    ) -> Result<(), Fault> {
        let n = frame.arrived(bytes);
        let ends = frame.ends_message_after(n);
        if n == 0 && !ends {
            return Ok(());
        }
        let limit = inflation.limit.saturating_sub(self.delivered);
        let inflater = self.inflater.get_or_insert_with(|| inflation.spare.take());
        let InflateContext { spare, earlier, .. } = inflation;
        chunk.append(self.cut.as_bytes(), 0, None, 0).map_err(|_| Fault::InvalidUtf8)?;
        let mut used = 0;
        while used < n && chunk.len() < CHUNK {
            let stretch = &mut next(bytes, n)[used..];
            let stretch = &mut stretch[..STRETCH.min(n - used)];
            let unmask = |bytes: &mut [u8], at| {
                if let Some(key) = frame.key() {
                    mask(bytes, key, at);
                }
            };
            unmask(stretch, used);
            let earlier = [earlier.history().map(|history| &*history), Some(&self.window)];
            let taken = SpareInflater::count(&mut spare.inflated, chunk, |chunk| {
                inflater.feed_chunk(CHUNK, stretch, earlier, limit, chunk)
            })?;
            used += taken;
            // The other bytes belong to the next chunk, so mask them again.
            unmask(&mut stretch[taken..], used);
        }
        if ends && used == n {
            inflater.finish_chunk(limit, chunk).map_err(fault)?;
            if let Some(history) = earlier.history() {
                let (first, second) = self.window.as_slices();
                for bytes in [first, second, chunk.as_bytes()] {
                    history.push(bytes);
                }
            }
        } else {
            self.cut = chunk.cut();
            self.delivered += chunk.len();
            self.window.push(chunk.as_bytes());
        }
        frame.consume(bytes, used);
        Ok(())
    }

    /// Ends the message, which was fully inflated.
    pub(in crate::protocol) fn finish(self, inflation: &mut InflateContext<'_>) {
        if let Some(inflater) = self.inflater {
            inflation.spare.put(inflater);
        }
    }

    /// Returns the heap memory in bytes.
    pub(in crate::protocol) fn heap_bytes(&self) -> usize {
        let inflater =
            self.inflater.as_ref().map_or(0, |inflater| size_of::<Inflater>() + inflater.heap_bytes());
        size_of::<Self>() + inflater + self.window.heap_bytes()
    }
}

/// Returns the peer's fault behind an error of the inflater.
fn fault(error: InflateError) -> Fault {
    match error {
        InflateError::Corrupt => Fault::InvalidDeflate,
        InflateError::TooLong => Fault::MessageTooLong,
        InflateError::NotUtf8 => Fault::InvalidUtf8,
    }
}
