//! Frames to messages (RFC 6455, sections 5 and 6.2): each byte is looked at once.
//!
//! A frame that lies whole in the input, and is a whole message or a control frame, is found where it
//! lies. Everything else is collected in a [`Pending`], which exists only while something is
//! unfinished: an idle receiver is one null pointer.
#![forbid(unsafe_code)]

use super::check::{Expected, check, check_start, no_header};
use super::fragments::{Fragments, left};
use super::in_parts::Piece;
#[cfg(feature = "deflate")]
use super::inflation::{Compressed, Earlier};
use super::input::ControlBuffer;
use super::{Fault, Input, Role};
#[cfg(feature = "std")]
use crate::Limits;
use crate::frame::{Decoded, Extent, Header, MAX_HEADER_SIZE, OpCode, mask};
use alloc::boxed::Box;

/// The receiving half of a connection.
#[derive(Debug, Default)]
pub(super) struct Receiver {
    pending: Option<Box<Pending>>,
}

/// What is unfinished.
#[derive(Debug)]
struct Pending {
    frame: Unfinished,
    /// The message whose fragments are being received.
    message: Option<Fragments>,
}

/// How far the current frame has come.
#[derive(Debug)]
enum Unfinished {
    /// Between two frames of a message.
    Nothing,
    /// The bytes of a header that have come, if any.
    Header { bytes: [u8; MAX_HEADER_SIZE], len: usize },
    /// A data frame, of whose payload so many bytes went into the message.
    Data { header: Header, received: usize },
    /// A control frame and its payload so far.
    Control { header: Header, payload: ControlBuffer },
}

/// What a receiver needs of the connection's.
#[derive(Debug)]
pub(super) struct Given<'a> {
    pub(super) expected: Expected<'a>,
    /// Messages are told in parts.
    pub(super) in_parts: bool,
    #[cfg(feature = "deflate")]
    pub(super) earlier: Earlier<'a>,
}

/// A message in one frame.
#[derive(Debug, Clone, Copy)]
pub(super) struct Whole {
    /// Text, or binary.
    pub(super) text: bool,
    /// The bytes of its header, and of its payload.
    pub(super) header: usize,
    pub(super) len: usize,
    pub(super) key: Option<u32>,
}

/// What [`Receiver::next`] came upon.
#[derive(Debug)]
pub(super) enum Found {
    /// All input is used; what is unfinished waits for more.
    Nothing,
    /// A message that came in pieces, or compressed; it was moved to [`Input::finish`].
    Finished,
    /// A part of a message.
    Part(Piece),
    /// A control frame whose unmasked payload lies in the input.
    Control { opcode: OpCode, at: usize, len: usize },
    /// A control frame that came in pieces; its payload was moved to [`Input::finish_control`].
    FinishedControl { opcode: OpCode },
}

impl Receiver {
    /// The way of almost every frame: the header of a whole message of fewer than `bound` bytes,
    /// with nothing unfinished before it. Whether it lies whole in the input is for [`Input::take`] to say.
    /// Everything else, faults too, is left to [`next`](Self::next).
    #[inline(always)]
    pub(super) fn next_whole(&self, input: &Input, role: Role, bound: u64) -> Option<Whole> {
        let start = input.peek()?;
        if self.pending.is_some() {
            return None;
        }
        // The first byte that such a frame has: FIN, no reserved bit, the opcode.
        let text = match start[0] {
            0x81 => true,
            0x82 => false,
            _ => return None,
        };
        // What is behind the unread bytes may make a header here, but never a whole frame.
        let masked = role == Role::Server;
        let Extent { len, key, size, .. } = Extent::of_expected(start, masked)?;
        if len >= bound {
            return None;
        }
        Some(Whole { text, header: size, len: usize::try_from(len).ok()?, key: masked.then_some(key) })
    }

    /// Moves through the input up to the next control frame, or message that came in pieces or is
    /// compressed.
    pub(super) fn next(&mut self, input: &mut Input, mut given: Given<'_>) -> Result<Found, Fault> {
        if self.pending.is_none() {
            let unread = input.unread();
            if unread.is_empty() {
                return Ok(Found::Nothing);
            }
            let expected = given.expected;
            let decoded = Header::decode(unread).map_err(|error| no_header(unread, error, expected))?;
            if let Decoded::Complete { header, size } = decoded {
                check(&header, expected)?;
                if let Some(found) = whole(&header, size, input, &mut given)? {
                    return Ok(found);
                }
            }
        }
        self.collect(input, given)
    }

    /// The same, where a frame or a message is unfinished, or will be.
    fn collect(&mut self, input: &mut Input, mut given: Given<'_>) -> Result<Found, Fault> {
        loop {
            let pending = self
                .pending
                .get_or_insert_with(|| Box::new(Pending { frame: Unfinished::Nothing, message: None }));
            match &mut pending.frame {
                Unfinished::Nothing | Unfinished::Header { .. } => {
                    let message = pending.message.as_ref().map(Fragments::progress);
                    let expected = Expected { message, ..given.expected };
                    let Some(header) = pending.frame.read_header(input, expected)? else {
                        return Ok(Found::Nothing);
                    };
                    pending.begin(header, given.in_parts);
                }
                Unfinished::Data { header, received } => {
                    let here = left(header, *received).min(input.unread().len());
                    let (n, place) = match &mut pending.message {
                        Some(message) => message.append(here, header, *received, input, &mut given)?,
                        None => (here, None),
                    };
                    input.consume(n);
                    *received += n;
                    let (fin, ended) = (header.fin, left(header, *received) == 0);
                    if ended {
                        pending.frame = Unfinished::Nothing;
                    }
                    if ended && fin {
                        let message = pending.message.take();
                        self.pending = None;
                        return match message {
                            Some(message) => message.finish(place, input, &mut given),
                            None => Ok(Found::Nothing),
                        };
                    }
                    if let (Some(message), Some(place)) = (&mut pending.message, place)
                        && let Some(part) = message.part(place)
                    {
                        return Ok(part);
                    }
                    if !ended && n == here {
                        return Ok(Found::Nothing);
                    }
                }
                Unfinished::Control { header, payload } => {
                    let left = left(header, payload.as_bytes().len());
                    let n = left.min(input.unread().len());
                    payload.append(&input.unread()[..n], header.mask);
                    input.consume(n);
                    if n < left {
                        return Ok(Found::Nothing);
                    }
                    let opcode = header.opcode;
                    input.finish_control(payload);
                    pending.frame = Unfinished::Nothing;
                    if pending.message.is_none() {
                        self.pending = None;
                    }
                    return Ok(Found::FinishedControl { opcode });
                }
            }
        }
    }

    /// The payload so far of a message that is unfinished, unless it is compressed or told in parts.
    pub(super) fn partial(&self) -> Option<&[u8]> {
        self.pending.as_ref()?.message.as_ref()?.plain()
    }

    /// Whether a frame or a message is unfinished.
    #[inline]
    pub(super) fn is_idle(&self) -> bool {
        self.pending.is_none()
    }

    /// Heap bytes held.
    pub(super) fn held(&self) -> usize {
        self.pending.as_ref().map_or(0, |pending| {
            let message = pending.message.as_ref().map_or(0, Fragments::held);
            size_of::<Pending>() + message
        })
    }

    /// Room for the rest of a data frame's payload, at the place where it will stay; or `None` where
    /// less than `least` bytes of it are missing, or have come.
    #[cfg(feature = "std")]
    pub(super) fn direct_room(
        &mut self,
        least: usize,
        input: &mut Input,
        limits: &Limits,
    ) -> Option<&mut [u8]> {
        let pending = self.pending.as_mut()?;
        let Unfinished::Data { header, received } = &pending.frame else { return None };
        pending.message.as_mut()?.direct_room(least, header, *received, input, limits)
    }

    /// The first `n` bytes of [`direct_room`](Self::direct_room) were received.
    #[cfg(feature = "std")]
    pub(super) fn direct_filled(&mut self, n: usize) -> Result<(), Fault> {
        let Some(pending) = self.pending.as_mut() else { return Ok(()) };
        if let (Unfinished::Data { header, received }, Some(message)) =
            (&mut pending.frame, &mut pending.message)
        {
            message.direct_filled(n, header, *received)?;
            *received += n;
        }
        Ok(())
    }

    /// Forgets what is unfinished.
    pub(super) fn clear(&mut self) {
        self.pending = None;
    }
}

impl Pending {
    /// Begins the frame whose header has come.
    fn begin(&mut self, header: Header, in_parts: bool) {
        if header.opcode.is_control() {
            self.frame = Unfinished::Control { header, payload: ControlBuffer::default() };
            return;
        }
        self.message.get_or_insert_with(|| Fragments::new(&header, in_parts)).begin_fragment();
        self.frame = Unfinished::Data { header, received: 0 };
    }
}

impl Unfinished {
    /// Reads a header that may have begun in earlier input, or keeps what there is of it.
    fn read_header(&mut self, input: &mut Input, expected: Expected<'_>) -> Result<Option<Header>, Fault> {
        let (mut bytes, before) = match self {
            Self::Header { bytes, len } => (*bytes, *len),
            _ => ([0; MAX_HEADER_SIZE], 0),
        };
        let n = (MAX_HEADER_SIZE - before).min(input.unread().len());
        let len = before + n;
        bytes[before..len].copy_from_slice(&input.unread()[..n]);
        let decoded = Header::decode(&bytes[..len]);
        match decoded.map_err(|error| no_header(&bytes[..len], error, expected))? {
            Decoded::Complete { header, size } => {
                check(&header, expected)?;
                input.consume(size - before);
                *self = Self::Nothing;
                Ok(Some(header))
            }
            Decoded::Partial { least, .. } => {
                if let Some(least) = least {
                    check_start(&least, expected)?;
                }
                input.consume(n);
                *self = Self::Header { bytes, len };
                Ok(None)
            }
        }
    }
}

/// The frame at the start of the input, where it is whole and a control frame, a compressed message, or
/// one that is told in parts and not compressed.
fn whole(
    header: &Header,
    size: usize,
    input: &mut Input,
    given: &mut Given<'_>,
) -> Result<Option<Found>, Fault> {
    let Header { fin, rsv, opcode, .. } = *header;
    let len = left(header, 0);
    let message = !opcode.is_control();
    if message && !(fin && (rsv != 0) != given.in_parts) || len > input.unread().len() - size {
        return Ok(None);
    }
    let at = input.position() + size;
    input.consume(size + len);
    if message && given.in_parts {
        return Ok(Some(Found::Part(Piece::whole(header, at, len))));
    }
    if let Some(key) = header.mask {
        mask(input.range(at, len), key, 0);
    }
    #[cfg(feature = "deflate")]
    if message {
        let payload = Compressed::Whole { at, len };
        let limit = given.expected.limits.message;
        input.inflate(opcode == OpCode::Text, payload, &mut given.earlier, limit)?;
        return Ok(Some(Found::Finished));
    }
    Ok(Some(Found::Control { opcode, at, len }))
}
