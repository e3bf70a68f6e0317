//! A message that comes in pieces.
#![forbid(unsafe_code)]

use super::check::Progress;
use super::in_parts::{InParts, Place};
#[cfg(feature = "deflate")]
use super::inflation::{CHUNK, Compressed, Inflating};
use super::receive::{Found, Given};
use super::{Fault, Input};
use crate::Limits;
use crate::frame::{Header, OpCode, utf8::MessageBuffer};
use alloc::vec::Vec;

/// What has come of it.
#[derive(Debug)]
pub(super) struct Fragments {
    /// How many fragments have begun.
    count: u32,
    payload: Payload,
}

/// As far as it has come.
#[derive(Debug)]
enum Payload {
    Plain(MessageBuffer),
    /// Told as it comes.
    InParts(InParts),
    /// Compressed, up to a chunk of it. What the message is, shows when it is inflated.
    #[cfg(feature = "deflate")]
    Compressed {
        is_text: bool,
        bytes: MessageBuffer,
    },
    /// What was compressed.
    #[cfg(feature = "deflate")]
    Inflating(Inflating),
}

impl Fragments {
    /// Of the message with this first header.
    pub(super) fn new(header: &Header, in_parts: bool) -> Self {
        if in_parts {
            return Self { count: 0, payload: Payload::InParts(InParts::new(header)) };
        }
        let is_text = header.opcode == OpCode::Text;
        #[cfg(feature = "deflate")]
        if header.rsv != 0 {
            let bytes = MessageBuffer::new(false, Vec::new());
            return Self { count: 0, payload: Payload::Compressed { is_text, bytes } };
        }
        Self { count: 0, payload: Payload::Plain(MessageBuffer::new(is_text, Vec::new())) }
    }

    /// A fragment begins.
    pub(super) fn begin_fragment(&mut self) {
        self.count += 1;
    }

    /// What the next header is judged by.
    pub(super) fn progress(&self) -> Progress {
        let len = match &self.payload {
            Payload::Plain(buffer) => buffer.len(),
            Payload::InParts(message) => message.came(),
            #[cfg(feature = "deflate")]
            Payload::Compressed { bytes, .. } => bytes.len(),
            #[cfg(feature = "deflate")]
            Payload::Inflating(inflating) => inflating.came(),
        };
        Progress { len, fragments: self.count }
    }

    /// Takes unread bytes of a frame, of whose payload so many were taken before: some of the next `n`,
    /// which are not consumed. Gives how many, and where the part lies that is to be told, if one is.
    pub(super) fn append(
        &mut self,
        n: usize,
        header: &Header,
        before: usize,
        input: &mut Input,
        given: &mut Given<'_>,
    ) -> Result<(usize, Option<Place>), Fault> {
        let limits = given.expected.limits;
        match &mut self.payload {
            Payload::Plain(buffer) => {
                let wanted = wanted(header, before, buffer, limits);
                input.make_room(buffer, n, wanted);
                buffer
                    .append(&input.unread()[..n], wanted, header.mask, before)
                    .map_err(|_| Fault::InvalidUtf8)?;
                Ok((n, None))
            }
            Payload::InParts(message) => message.append(n, header, before, input, given),
            #[cfg(feature = "deflate")]
            Payload::Compressed { is_text, bytes } => {
                let n = n.min(CHUNK - bytes.len());
                let wanted = wanted(header, before, bytes, limits).min(CHUNK);
                input.make_room(bytes, n, wanted);
                bytes
                    .append(&input.unread()[..n], wanted, header.mask, before)
                    .map_err(|_| Fault::InvalidUtf8)?;
                let is_whole = header.fin && left(header, before + n) == 0;
                if bytes.len() == CHUNK && !is_whole {
                    let inflating = Inflating::begin(
                        *is_text,
                        bytes.as_bytes(),
                        input,
                        &mut given.earlier,
                        limits.message,
                    )?;
                    self.payload = Payload::Inflating(inflating);
                }
                Ok((n, None))
            }
            #[cfg(feature = "deflate")]
            Payload::Inflating(inflating) => {
                inflating.go_on(n, (header.mask, before), input, &mut given.earlier, limits.message)?;
                Ok((n, None))
            }
        }
    }

    /// The part that lies there; the message goes on behind it.
    pub(super) fn part(&mut self, place: Place) -> Option<Found> {
        match &mut self.payload {
            Payload::InParts(message) => Some(Found::Part(message.part(place))),
            _ => None,
        }
    }

    /// All of it has come: it moves to the input, to be lent from there; or its last part is to be told.
    #[cfg_attr(not(feature = "deflate"), expect(unused_variables, reason = "nothing is inflated"))]
    pub(super) fn finish(
        self,
        place: Option<Place>,
        input: &mut Input,
        given: &mut Given<'_>,
    ) -> Result<Found, Fault> {
        match self.payload {
            Payload::Plain(buffer) => {
                // "the endpoint MUST _Fail the WebSocket Connection_" where text is not UTF-8, also
                // where it ends inside a character.
                if !buffer.is_complete() {
                    return Err(Fault::InvalidUtf8);
                }
                input.finish(buffer);
            }
            Payload::InParts(message) => return message.finish(place, input).map(Found::Part),
            #[cfg(feature = "deflate")]
            Payload::Compressed { is_text, bytes } => {
                let limit = given.expected.limits.message;
                input.inflate(is_text, Compressed::Collected(bytes), &mut given.earlier, limit)?;
            }
            #[cfg(feature = "deflate")]
            Payload::Inflating(inflating) => {
                inflating.finish(input, &mut given.earlier, given.expected.limits.message)?;
            }
        }
        Ok(Found::Finished)
    }

    /// What has come of it, unless it is compressed, or told in parts.
    pub(super) fn plain(&self) -> Option<&[u8]> {
        match &self.payload {
            Payload::Plain(buffer) => Some(buffer.as_bytes()),
            _ => None,
        }
    }

    /// Room for the rest of a frame's payload, of which so many bytes were taken, at the place where it
    /// will stay; or `None` where less than `least` bytes are missing, or have come of the message, and
    /// where it is compressed.
    #[cfg(feature = "std")]
    pub(super) fn direct_room(
        &mut self,
        least: usize,
        header: &Header,
        before: usize,
        input: &mut Input,
        limits: &Limits,
    ) -> Option<&mut [u8]> {
        let buffer = self.plain_mut()?;
        let left = left(header, before);
        // Grows with what has come, not with what the header claims.
        if left.min(buffer.len()) < least {
            return None;
        }
        input.make_room(buffer, least, wanted(header, before, buffer, limits));
        let spare = buffer.spare();
        let n = spare.len().min(left);
        Some(&mut spare[..n])
    }

    /// The first `n` bytes of [`direct_room`](Self::direct_room) were received.
    #[cfg(feature = "std")]
    pub(super) fn direct_filled(&mut self, n: usize, header: &Header, before: usize) -> Result<(), Fault> {
        let Some(buffer) = self.plain_mut() else { return Ok(()) };
        buffer.commit(n, header.mask, before).map_err(|_| Fault::InvalidUtf8)
    }

    #[cfg(feature = "std")]
    fn plain_mut(&mut self) -> Option<&mut MessageBuffer> {
        match &mut self.payload {
            Payload::Plain(buffer) => Some(buffer),
            _ => None,
        }
    }

    /// Heap bytes held.
    pub(super) fn held(&self) -> usize {
        match &self.payload {
            Payload::Plain(buffer) => buffer.capacity(),
            Payload::InParts(message) => message.held(),
            #[cfg(feature = "deflate")]
            Payload::Compressed { bytes, .. } => bytes.capacity(),
            #[cfg(feature = "deflate")]
            Payload::Inflating(inflating) => inflating.held(),
        }
    }
}

/// How many bytes of the frame's payload are missing. It was judged against `Limits::frame` and
/// `Limits::message`, so it fits a `usize`.
pub(super) fn left(header: &Header, before: usize) -> usize {
    usize::try_from(header.len).unwrap_or(usize::MAX) - before
}

/// The bytes that a message can come to have, of whose current frame so many were taken.
fn wanted(header: &Header, before: usize, buffer: &MessageBuffer, limits: &Limits) -> usize {
    if header.fin { buffer.len() + left(header, before) } else { limits.message }
}
