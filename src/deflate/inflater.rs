//! Compressed payloads to messages (RFC 7692, section 7.2.2).
#![forbid(unsafe_code)]

use super::History;
use crate::frame::utf8::MessageBuffer;
use core::{fmt, slice};
use zlib_rs::{Inflate, InflateFlush, Status};

/// What a sender leaves out at the end of a message, and an empty last block behind it, which shows
/// that the message was whole.
const TAIL: [u8; 9] = [0x00, 0x00, 0xFF, 0xFF, 0x01, 0x00, 0x00, 0xFF, 0xFF];

/// How many streams a message may be made of (blocks with `BFINAL` set end one). Each costs as much as a
/// window, whatever is in it.
const MAX_STREAMS: usize = 1024;

/// The heap bytes of zlib-rs's engine: its window, its tables and the rest, rounded up.
const ENGINE: usize = 48 << 10;

/// Room for the first piece of a message, in bytes; it grows by doubling.
const FIRST_ROOM: usize = 4 << 10;

/// Inflates messages, of any number of connections: nothing stays in it from one to the next.
///
/// A message that comes in pieces is [begun](Self::begin), [fed](Self::feed) with each of them, and
/// [finished](Self::finish). Where it is cut changes nothing: what becomes of it, and what is wrong with
/// what has come, is the same.
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
    /// A stream has begun and not ended.
    open: bool,
    /// How many the message has begun.
    streams: usize,
}

/// Why a payload was not inflated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum InflateError {
    /// It is not what a compressor makes, or not all of it.
    Corrupt,
    /// The message is longer than the limit.
    TooLong,
    /// The message is text and not UTF-8.
    NotUtf8,
}

impl fmt::Display for InflateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Corrupt => "the compressed data is corrupt",
            Self::TooLong => "the inflated message is over the limit",
            Self::NotUtf8 => "the inflated text is not UTF-8",
        })
    }
}

impl core::error::Error for InflateError {}

/// How far a stretch of input went.
enum Ran {
    /// To its end.
    Through,
    /// To the end of a block with `BFINAL` set, behind so many bytes.
    ToEnd(usize),
    /// As far as the message was to become now, by so many bytes.
    Full(usize),
}

impl Inflater {
    /// An inflater for any window.
    pub fn new() -> Self {
        Self { engine: Inflate::new(false, 15), open: false, streams: 0 }
    }

    /// Inflates the whole payload of a message into an empty buffer, as far as `limit` bytes, and
    /// judges text as it comes. Where the peer's messages refer to earlier ones, `history` has those,
    /// and gets this one.
    ///
    /// At most one byte more than the limit is written, and the buffer is at most twice as large as
    /// what is in it, or as it was.
    ///
    /// # Errors
    ///
    /// [`InflateError`], as soon as it shows. History and buffer are of no use then.
    pub fn inflate(
        &mut self,
        payload: &[u8],
        history: Option<&mut History>,
        limit: usize,
        message: &mut MessageBuffer,
    ) -> Result<(), InflateError> {
        self.begin();
        self.feed(payload, history.as_deref(), limit, message)?;
        self.finish(history, limit, message)
    }

    /// Begins a message; of the one before it, nothing is left.
    pub fn begin(&mut self) {
        self.open = false;
        self.streams = 0;
    }

    /// Inflates the next piece of the message's payload; the buffer has what the others became. All
    /// else is as with [`inflate`](Self::inflate).
    ///
    /// # Errors
    ///
    /// [`InflateError`], as soon as it shows. The message cannot go on then.
    pub fn feed(
        &mut self,
        piece: &[u8],
        history: Option<&History>,
        limit: usize,
        message: &mut MessageBuffer,
    ) -> Result<(), InflateError> {
        self.feed_until(usize::MAX, piece, [history, None], limit, message).map(drop)
    }

    /// The same for a message that is lent in parts, of which `message` is the one that becomes now, and
    /// `told` has the end of those before. It stops where there are `most` bytes in the part, or a few
    /// more, and gives how many of the piece it used: all of them only where nothing is left behind that
    /// they become.
    pub(crate) fn feed_part(
        &mut self,
        most: usize,
        piece: &[u8],
        [history, told]: [Option<&History>; 2],
        limit: usize,
        message: &mut MessageBuffer,
    ) -> Result<usize, InflateError> {
        let Some((last, before)) = piece.split_last() else { return Ok(0) };
        let used = self.feed_until(most, before, [history, told], limit, message)?;
        if message.len() >= most {
            return Ok(used);
        }
        // Nothing is left behind of those before it, and a byte becomes a few kilobytes at the most.
        self.feed_until(usize::MAX, slice::from_ref(last), [history, told], limit, message)?;
        Ok(piece.len())
    }

    /// Inflates up to where the message has `most` bytes, and gives how many of the piece it used.
    fn feed_until(
        &mut self,
        most: usize,
        piece: &[u8],
        earlier: [Option<&History>; 2],
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

    /// Ends the message, and adds it to the history.
    ///
    /// # Errors
    ///
    /// [`InflateError`], where the message is not whole.
    pub fn finish(
        &mut self,
        history: Option<&mut History>,
        limit: usize,
        message: &mut MessageBuffer,
    ) -> Result<(), InflateError> {
        self.finish_part(limit, message)?;
        if let Some(history) = history {
            history.push(message.as_bytes());
        }
        Ok(())
    }

    /// The same for a message that is lent in parts, with the last one of them; what later messages may
    /// refer to is for the caller to add.
    pub(crate) fn finish_part(
        &mut self,
        limit: usize,
        message: &mut MessageBuffer,
    ) -> Result<(), InflateError> {
        // A last block may have been the end (section 7.2.3.4).
        if self.open {
            let before = message.len();
            // A last block whose own tail was left out ends with it.
            let ended = matches!(self.run(&TAIL, usize::MAX, limit, message)?, Ran::ToEnd(4 | 9));
            // What the tail makes would be the rest of a block that was cut off.
            if !ended || message.len() != before {
                return Err(InflateError::Corrupt);
            }
        }
        if message.is_complete() { Ok(()) } else { Err(InflateError::NotUtf8) }
    }

    /// The heap bytes it holds, about.
    pub const fn held(&self) -> usize {
        ENGINE
    }

    /// Begins a stream that may refer to earlier messages and to the beginning of this one.
    fn open(&mut self, earlier: [Option<&History>; 2], message: &[u8]) -> Result<(), InflateError> {
        if self.streams == MAX_STREAMS {
            return Err(InflateError::Corrupt);
        }
        self.streams += 1;
        self.open = true;
        self.engine.reset(false);
        let earlier = earlier.into_iter().flatten().map(History::as_slices);
        for bytes in earlier.flat_map(<[&[u8]; 2]>::from).chain([message]) {
            if !bytes.is_empty() {
                self.engine.set_dictionary(bytes).map_err(|_| InflateError::Corrupt)?;
            }
        }
        Ok(())
    }

    /// Inflates a stretch of input.
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
            // One byte more shows that there is more.
            let left = limit.saturating_add(1).saturating_sub(message.len());
            if message.spare().is_empty() {
                message.grow(left.min(message.len().max(FIRST_ROOM)));
            }
            let room = message.spare().len().min(left).min(most - message.len());
            let (took, made) = (self.engine.total_in(), self.engine.total_out());
            let status =
                self.engine.decompress(&input[used..], &mut message.spare()[..room], InflateFlush::SyncFlush);
            let (took, made) = (self.engine.total_in() - took, self.engine.total_out() - made);
            // Neither is more than was given.
            let (took, made) =
                (usize::try_from(took).unwrap_or(usize::MAX), usize::try_from(made).unwrap_or(usize::MAX));
            used += took;
            // What came before what is corrupt is judged first, however much room there was.
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
