//! Inflates messages (RFC 7692, section 7.2.2).
#![forbid(unsafe_code)]

use super::{Window, WindowBits};
use crate::frame::utf8::MessageBuffer;
use core::{fmt, slice};
use zlib_rs::{Inflate, InflateFlush, Status};

/// The bytes that a sender removes from the end of a message, then an empty final block. Reaching that
/// block's end shows that the message is complete.
const ENDING: [u8; 9] = [0x00, 0x00, 0xFF, 0xFF, 0x01, 0x00, 0x00, 0xFF, 0xFF];

/// The maximum number of streams in a message (a block with `BFINAL` set ends a stream). Each costs as much
/// time as a window, whatever its content.
const MAX_STREAMS: usize = 1024;

/// The heap bytes of the engine of zlib-rs (window, tables and more), rounded up.
const ENGINE: usize = 48 << 10;

/// The first size of a message buffer in bytes; it grows by doubling.
const FIRST_ROOM: usize = 4 << 10;

/// Inflates the messages of any number of connections: it keeps nothing from one message to the next.
///
/// A message that arrives in pieces is [begun](Self::begin), [fed](Self::feed) piece by piece, and
/// [finished](Self::finish). The split has no effect on the result, nor on which error is returned.
///
/// ```
/// use websocket_stream::deflate::Inflater;
/// use websocket_stream::frame::utf8::MessageBuffer;
///
/// // RFC 7692, section 7.2.3.1.
/// let (mut inflater, mut message) = (Inflater::new(), MessageBuffer::new(true, Vec::new()));
/// inflater.begin();
/// for piece in [&[0xF2, 0x48, 0xCD][..], &[0xC9, 0xC9, 0x07, 0x00]] {
///     inflater.feed(piece, None, 4096, &mut message)?;
/// }
/// inflater.finish(None, 4096, &mut message)?;
/// assert_eq!(message.as_str(), Some("Hello"));
/// # Ok::<(), websocket_stream::deflate::InflateError>(())
/// ```
pub struct Inflater {
    engine: Inflate,
    /// Whether a stream has begun and not ended.
    open: bool,
    /// The number of streams that the message has begun.
    streams: usize,
    /// The bytes that streams after the first were given to refer to, since the last
    /// [`take_primed`](Self::take_primed).
    primed: usize,
}

/// The reason why a payload could not be inflated.
///
/// ```
/// use websocket_stream::deflate::{InflateError, Inflater};
/// use websocket_stream::frame::utf8::MessageBuffer;
///
/// let inflate = |payload: &[u8], limit| {
///     Inflater::new().inflate(payload, None, limit, &mut MessageBuffer::new(true, Vec::new()))
/// };
/// let hello = [0xF2, 0x48, 0xCD, 0xC9, 0xC9, 0x07, 0x00]; // RFC 7692, section 7.2.3.1
/// assert_eq!(inflate(&hello, 5), Ok(()));
/// assert_eq!(inflate(&hello, 4), Err(InflateError::TooLong));
/// assert_eq!(inflate(b"Hello", 5), Err(InflateError::Corrupt));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum InflateError {
    /// The payload is not valid DEFLATE data, or is incomplete.
    Corrupt,
    /// The message is longer than the limit.
    TooLong,
    /// The message is text, but not UTF-8.
    NotUtf8,
}

impl fmt::Display for InflateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Corrupt => "corrupt compressed data",
            Self::TooLong => "inflated message over the limit",
            Self::NotUtf8 => "inflated text that is not UTF-8",
        })
    }
}

impl core::error::Error for InflateError {}

/// How far a run inflated its input.
enum Ran {
    /// To the end of the input.
    Through,
    /// To the end of a final block (`BFINAL`), after this many bytes.
    ToEnd(usize),
    /// Until the message was as long as requested, after this many bytes.
    Full(usize),
}

impl Inflater {
    /// Creates an inflater for any window.
    pub fn new() -> Self {
        Self { engine: Inflate::new(false, 15), open: false, streams: 0, primed: 0 }
    }

    /// Inflates the whole payload of a message into an empty buffer.
    ///
    /// Text is validated as it is inflated. `window` contains the earlier messages that this one may refer
    /// to, and this one is added to it. At most one byte more than `limit` is written. The buffer grows by
    /// doubling.
    ///
    /// # Errors
    ///
    /// [`InflateError`], as soon as the payload shows it. Window and buffer are unusable afterwards.
    pub fn inflate(
        &mut self,
        payload: &[u8],
        window: Option<&mut Window>,
        limit: usize,
        message: &mut MessageBuffer,
    ) -> Result<(), InflateError> {
        self.begin();
        self.feed(payload, window.as_deref(), limit, message)?;
        self.finish(window, limit, message)
    }

    /// Begins a message, and discards the state of the one before it.
    pub fn begin(&mut self) {
        self.open = false;
        self.streams = 0;
    }

    /// Inflates the next piece of the payload, and appends to `message`.
    ///
    /// For the other arguments see [`inflate`](Self::inflate).
    ///
    /// # Errors
    ///
    /// [`InflateError`], as soon as the payload shows it. The message cannot be continued afterwards.
    pub fn feed(
        &mut self,
        piece: &[u8],
        window: Option<&Window>,
        limit: usize,
        message: &mut MessageBuffer,
    ) -> Result<(), InflateError> {
        self.feed_until(usize::MAX, piece, [window, None], limit, message).map(drop)
    }

    /// Inflates the next piece of a message that is delivered in chunks.
    ///
    /// `chunk` is the current chunk, and `delivered` contains the end of the earlier ones. Inflating stops
    /// once the chunk has `most` bytes, or a few more. Returns how many bytes of the piece were consumed: all
    /// of them only if all of their output has been written.
    pub(crate) fn feed_chunk(
        &mut self,
        most: usize,
        piece: &[u8],
        [window, delivered]: [Option<&Window>; 2],
        limit: usize,
        chunk: &mut MessageBuffer,
    ) -> Result<usize, InflateError> {
        let Some((last, before)) = piece.split_last() else { return Ok(0) };
        let used = self.feed_until(most, before, [window, delivered], limit, chunk)?;
        if chunk.len() >= most {
            return Ok(used);
        }
        // The output of the bytes before has been written, and one byte inflates to a few kilobytes at most.
        self.feed_until(usize::MAX, slice::from_ref(last), [window, delivered], limit, chunk)?;
        Ok(piece.len())
    }

    /// Inflates until the message has `most` bytes, and returns how many bytes of the piece were consumed.
    fn feed_until(
        &mut self,
        most: usize,
        piece: &[u8],
        earlier: [Option<&Window>; 2],
        limit: usize,
        message: &mut MessageBuffer,
    ) -> Result<usize, InflateError> {
        let mut used = 0;
        while used < piece.len() {
            if !self.open {
                self.open(earlier, message.as_bytes())?;
            }
            used += match self.run(&piece[used..], most, limit, message)? {
                Ran::Through => piece.len() - used,
                Ran::ToEnd(n) => n,
                Ran::Full(n) => return Ok(used + n),
            };
        }
        Ok(used)
    }

    /// Ends the message, and adds it to `window`.
    ///
    /// # Errors
    ///
    /// [`InflateError`] if the message is incomplete.
    pub fn finish(
        &mut self,
        window: Option<&mut Window>,
        limit: usize,
        message: &mut MessageBuffer,
    ) -> Result<(), InflateError> {
        self.finish_chunk(limit, message)?;
        if let Some(window) = window {
            window.push(message.as_bytes());
        }
        Ok(())
    }

    /// Ends a message that is delivered in chunks, with its last chunk. The caller adds it to the window.
    pub(crate) fn finish_chunk(
        &mut self,
        limit: usize,
        chunk: &mut MessageBuffer,
    ) -> Result<(), InflateError> {
        // If the stream is closed, a final block was the end (section 7.2.3.4).
        if self.open {
            let before = chunk.len();
            // 4 if the sender removed the tail of a final block, 9 at the end of `ENDING`.
            let ended = matches!(self.run(&ENDING, usize::MAX, limit, chunk)?, Ran::ToEnd(4 | 9));
            // Output from the tail would be the rest of a block that was cut off.
            if !ended || chunk.len() != before {
                return Err(InflateError::Corrupt);
            }
        }
        if chunk.is_complete() { Ok(()) } else { Err(InflateError::NotUtf8) }
    }

    /// Returns how many bytes were copied to begin more streams than one in a message. That takes as long as
    /// to inflate as many bytes.
    pub(crate) fn take_primed(&mut self) -> usize {
        core::mem::take(&mut self.primed)
    }

    /// Returns the approximate heap bytes in use.
    pub const fn heap_bytes(&self) -> usize {
        ENGINE
    }

    /// Begins a stream that may refer to earlier messages and to the start of this one.
    fn open(&mut self, earlier: [Option<&Window>; 2], message: &[u8]) -> Result<(), InflateError> {
        if self.streams == MAX_STREAMS {
            return Err(InflateError::Corrupt);
        }
        self.streams += 1;
        self.open = true;
        self.engine.reset(false);
        let earlier = earlier.into_iter().flatten().map(Window::as_slices);
        for bytes in earlier.flat_map(<[&[u8]; 2]>::from).chain([message]) {
            if !bytes.is_empty() {
                // The engine copies the end of them, at most a window.
                let copied = bytes.len().min(WindowBits::MAX.size());
                self.primed += if self.streams > 1 { copied } else { 0 };
                self.engine.set_dictionary(bytes).map_err(|_| InflateError::Corrupt)?;
            }
        }
        Ok(())
    }

    /// Inflates a run of input.
    fn run(
        &mut self,
        input: &[u8],
        most: usize,
        limit: usize,
        message: &mut MessageBuffer,
    ) -> Result<Ran, InflateError> {
        let mut used = 0;
        loop {
            if message.len() >= most {
                return Ok(Ran::Full(used));
            }
            // One byte over the limit shows that the message is too long.
            let left = limit.saturating_add(1).saturating_sub(message.len());
            if message.spare().is_empty() {
                message.grow(left.min(message.len().max(FIRST_ROOM)));
            }
            let room = message.spare().len().min(left).min(most - message.len());
            let (took, made) = (self.engine.total_in(), self.engine.total_out());
            let status =
                self.engine.decompress(&input[used..], &mut message.spare()[..room], InflateFlush::SyncFlush);
            let (took, made) = (self.engine.total_in() - took, self.engine.total_out() - made);
            // Neither exceeds the lengths passed.
            let (took, made) =
                (usize::try_from(took).unwrap_or(usize::MAX), usize::try_from(made).unwrap_or(usize::MAX));
            used += took;
            // Output before corrupt data is validated first, so that the error does not depend on the room.
            message.commit(made, None, 0).map_err(|_| InflateError::NotUtf8)?;
            if message.len() > limit {
                return Err(InflateError::TooLong);
            }
            match status.map_err(|_| InflateError::Corrupt)? {
                Status::StreamEnd => {
                    self.open = false;
                    return Ok(Ran::ToEnd(used));
                }
                _ if made == room => {}
                _ if used == input.len() => return Ok(Ran::Through),
                _ if took == 0 && made == 0 => return Err(InflateError::Corrupt),
                _ => {}
            }
        }
    }
}

impl Default for Inflater {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Inflater {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inflater").finish_non_exhaustive()
    }
}
