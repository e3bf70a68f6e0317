//! Compressed messages on their way in (RFC 7692, section 7.2.2).
//!
//! One that is whole when at most a chunk of its payload has come is inflated then, and so is one that
//! lies whole in the input, by the inflater of the thread: a peer that is slow keeps none. From the chunk
//! on, a message has an inflater of its own and is inflated as it comes.
//!
//! So beside what a message becomes, at most a chunk of what it was is ever kept. And as the chunk is
//! counted in the message's payload, what is heard and judged of a stream is the same wherever it is cut.
#![forbid(unsafe_code)]

use super::contexts::{Contexts, Directions};
use super::{Fault, Input};
use crate::deflate::{History, InflateError, Inflater, WindowBits};
use crate::frame::{mask, utf8::MessageBuffer};
use alloc::{boxed::Box, vec::Vec};

/// So many bytes of an unfinished message's payload are kept compressed, at the most: as many as a window
/// has.
pub(super) const CHUNK: usize = WindowBits::MAX.size();

/// What an [`Input`] has to inflate with, for any connection.
#[derive(Debug, Default)]
pub(super) struct Inflation {
    /// Made where there is none.
    pub(super) inflater: Option<Box<Inflater>>,
    /// How many bytes were inflated since it was last asked.
    pub(super) inflated: usize,
}

/// What a compressed message may refer to.
#[derive(Debug)]
pub(super) struct Earlier<'a> {
    contexts: &'a mut Option<Box<Contexts>>,
    window: Option<WindowBits>,
}

/// Where the payload of a compressed message is that has come.
#[derive(Debug)]
pub(super) enum Compressed {
    /// In the input, unmasked.
    Whole { at: usize, len: usize },
    /// Here: it came in pieces.
    Collected(MessageBuffer),
}

/// A message that is inflated as it comes.
#[derive(Debug)]
pub(super) struct Inflating {
    inflater: Box<Inflater>,
    message: MessageBuffer,
    /// How many bytes of its payload have come.
    came: usize,
}

impl<'a> Earlier<'a> {
    pub(super) fn new(contexts: &'a mut Option<Box<Contexts>>, directions: Option<Directions>) -> Self {
        Self { contexts, window: directions.and_then(Directions::receiving) }
    }

    /// The messages before it, where it may refer to them.
    pub(super) fn history(&mut self) -> Option<&mut History> {
        let bits = self.window?;
        let contexts = self.contexts.get_or_insert_default();
        Some(contexts.received.get_or_insert_with(|| History::new(bits)))
    }
}

impl Inflation {
    /// Inflates a whole message.
    pub(super) fn inflate(
        &mut self,
        payload: &[u8],
        message: &mut MessageBuffer,
        earlier: &mut Earlier<'_>,
        limit: usize,
    ) -> Result<(), Fault> {
        let inflater = self.inflater.get_or_insert_default();
        counted(&mut self.inflated, message, |message| {
            inflater.inflate(payload, earlier.history(), limit, message)
        })
    }
}

impl Input {
    /// How many bytes were inflated since the last call of this.
    #[inline]
    pub(crate) fn take_inflated(&mut self) -> usize {
        core::mem::take(&mut self.inflation.inflated)
    }
}

impl Inflating {
    /// Begins with what has come so far, by the thread's inflater, which comes back with the message.
    pub(super) fn begin(
        is_text: bool,
        payload: &[u8],
        input: &mut Input,
        earlier: &mut Earlier<'_>,
        limit: usize,
    ) -> Result<Self, Fault> {
        let mut inflater = input.inflation.inflater.take().unwrap_or_default();
        inflater.begin();
        let mut inflating = Self { inflater, message: MessageBuffer::new(is_text, Vec::new()), came: 0 };
        inflating.make_room(payload.len(), input, limit);
        inflating.feed(payload, &mut input.inflation, earlier, limit)?;
        Ok(inflating)
    }

    /// Goes on with the next `n` unread bytes, which begin `offset` bytes behind the start of a frame.
    pub(super) fn go_on(
        &mut self,
        n: usize,
        (key, offset): (Option<[u8; 4]>, usize),
        input: &mut Input,
        earlier: &mut Earlier<'_>,
        limit: usize,
    ) -> Result<(), Fault> {
        self.make_room(n, input, limit);
        let (piece, inflation) = input.piece(n);
        if let Some(key) = key {
            mask(piece, key, offset);
        }
        self.feed(piece, inflation, earlier, limit)
    }

    /// Room for what so many bytes become if they are like those before, but for no more than has come; in
    /// a used buffer if one fits.
    fn make_room(&mut self, n: usize, input: &mut Input, limit: usize) {
        let before = self.message.len();
        let likely = n.saturating_mul(before) / self.came.max(1);
        let least = likely.min(before).max(n).min(limit.saturating_sub(before));
        input.make_room(&mut self.message, least, limit);
    }

    fn feed(
        &mut self,
        piece: &[u8],
        inflation: &mut Inflation,
        earlier: &mut Earlier<'_>,
        limit: usize,
    ) -> Result<(), Fault> {
        self.came += piece.len();
        counted(&mut inflation.inflated, &mut self.message, |message| {
            self.inflater.feed(piece, earlier.history().as_deref(), limit, message)
        })
    }

    /// The message is whole: it moves to the input, to be lent from there.
    pub(super) fn finish(
        mut self,
        input: &mut Input,
        earlier: &mut Earlier<'_>,
        limit: usize,
    ) -> Result<(), Fault> {
        self.inflater.finish(earlier.history(), limit, &mut self.message)?;
        input.inflation.inflater.get_or_insert(self.inflater);
        input.finish(self.message);
        Ok(())
    }

    /// How many bytes of its payload have come.
    pub(super) fn came(&self) -> usize {
        self.came
    }

    /// Heap bytes held.
    pub(super) fn held(&self) -> usize {
        size_of::<Inflater>() + self.inflater.held() + self.message.capacity()
    }
}

/// Inflates into a message, and counts what that made, also where it fails.
pub(super) fn counted<R>(
    inflated: &mut usize,
    message: &mut MessageBuffer,
    inflate: impl FnOnce(&mut MessageBuffer) -> Result<R, InflateError>,
) -> Result<R, Fault> {
    let before = message.len();
    let result = inflate(message);
    *inflated += message.len() - before;
    Ok(result?)
}

impl From<InflateError> for Fault {
    fn from(error: InflateError) -> Self {
        match error {
            InflateError::Corrupt => Self::InvalidDeflate,
            InflateError::TooLong => Self::MessageTooLong,
            InflateError::NotUtf8 => Self::InvalidUtf8,
        }
    }
}
