//! A message that is told in parts, as it comes ([`Config::in_parts`](super::Config::in_parts)).
//!
//! A part is lent from where it lies: in the input, or where it was inflated. Kept from one to the next
//! are only the first bytes of a character that was cut, and of a compressed message an inflater and a
//! window.
#![forbid(unsafe_code)]

#[cfg(feature = "deflate")]
use super::inflated_parts::InflatingInParts;
use super::receive::Given;
use super::{Fault, Input};
use crate::frame::utf8::{CutCharacter, Utf8Error};
use crate::frame::{Header, OpCode};
#[cfg(feature = "deflate")]
use alloc::boxed::Box;

/// A part that is to be told.
#[derive(Debug, Clone, Copy)]
pub(super) struct Piece {
    pub(super) text: bool,
    pub(super) place: Place,
    pub(super) first: bool,
    pub(super) last: bool,
}

/// Where it lies.
#[derive(Debug, Clone, Copy)]
pub(super) enum Place {
    /// In the input, still masked where there is a key.
    Input { at: usize, len: usize, key: Option<u32> },
    /// A character that was cut; it was moved to [`Input::finish_character`].
    Character,
    /// Inflated; it was moved to [`Input::finish`].
    #[cfg_attr(not(feature = "deflate"), expect(dead_code, reason = "nothing is inflated"))]
    Inflated,
}

/// How far the message has come.
#[derive(Debug)]
pub(super) struct InParts {
    text: bool,
    /// A part of it was told.
    begun: bool,
    /// How many bytes of its payload have come.
    came: usize,
    source: Source,
}

#[derive(Debug)]
enum Source {
    Plain(CutCharacter),
    #[cfg(feature = "deflate")]
    Compressed(Box<InflatingInParts>),
}

impl InParts {
    /// Of the message with this first header.
    pub(super) fn new(header: &Header) -> Self {
        let text = header.opcode == OpCode::Text;
        #[cfg(feature = "deflate")]
        let source = match header.rsv {
            0 => Source::Plain(CutCharacter::default()),
            _ => Source::Compressed(Box::new(InflatingInParts::new(text))),
        };
        #[cfg(not(feature = "deflate"))]
        let source = Source::Plain(CutCharacter::default());
        Self { text, begun: false, came: 0, source }
    }

    /// How many bytes of its payload have come.
    pub(super) fn came(&self) -> usize {
        self.came
    }

    /// Takes some of the next `n` unread bytes, which are not consumed. Gives how many, and the part that
    /// they make, which has to be told before more is taken: all of them, or there is such a part.
    #[cfg_attr(not(feature = "deflate"), expect(unused_variables, reason = "nothing is inflated"))]
    pub(super) fn append(
        &mut self,
        n: usize,
        header: &Header,
        before: usize,
        input: &mut Input,
        given: &mut Given<'_>,
    ) -> Result<(usize, Option<Place>), Fault> {
        let (n, place) = match &mut self.source {
            Source::Plain(cut) if self.text => {
                whole_characters(cut, n, header, before, input).map_err(|_| Fault::InvalidUtf8)?
            }
            Source::Plain(_) => (n, Place::unread(n, header, before, input)),
            #[cfg(feature = "deflate")]
            Source::Compressed(inflating) => {
                let (n, made) = inflating.go_on(n, header, before, input, given)?;
                (n, made.then_some(Place::Inflated))
            }
        };
        self.came += n;
        Ok((n, place))
    }

    /// The part that lies there; the message goes on behind it.
    pub(super) fn part(&mut self, place: Place) -> Piece {
        let first = !core::mem::replace(&mut self.begun, true);
        Piece { text: self.text, place, first, last: false }
    }

    /// All of the message has come: its last part, which may be empty.
    pub(super) fn finish(self, place: Option<Place>, input: &mut Input) -> Result<Piece, Fault> {
        match self.source {
            // A message must not end inside a character.
            Source::Plain(cut) if !cut.is_empty() => return Err(Fault::InvalidUtf8),
            Source::Plain(_) => {}
            #[cfg(feature = "deflate")]
            Source::Compressed(mut inflating) => inflating.finish(input),
        }
        let place = place.unwrap_or(Place::Input { at: input.position(), len: 0, key: None });
        Ok(Piece { text: self.text, place, first: !self.begun, last: true })
    }

    /// Heap bytes held.
    pub(super) fn held(&self) -> usize {
        match &self.source {
            Source::Plain(_) => 0,
            #[cfg(feature = "deflate")]
            Source::Compressed(inflating) => inflating.held(),
        }
    }
}

impl Piece {
    /// A message that lies whole in the input.
    pub(super) fn whole(header: &Header, at: usize, len: usize) -> Self {
        let place = Place::input(at, len, header, 0);
        Self { text: header.opcode == OpCode::Text, place, first: true, last: true }
    }
}

impl Place {
    /// The next `n` unread bytes, where there are any.
    fn unread(n: usize, header: &Header, before: usize, input: &Input) -> Option<Self> {
        (n > 0).then(|| Self::input(input.position(), n, header, before))
    }

    /// Bytes of a frame's payload, of which so many came before.
    fn input(at: usize, len: usize, header: &Header, before: usize) -> Self {
        let key = header.mask.map(|mut key| {
            key.rotate_left(before % 4);
            u32::from_le_bytes(key)
        });
        Self::Input { at, len, key }
    }
}

/// Whole characters of a text, and how many of the next `n` unread bytes these are: first the one that was
/// cut, then all others but the one that will be.
fn whole_characters(
    cut: &mut CutCharacter,
    n: usize,
    header: &Header,
    before: usize,
    input: &mut Input,
) -> Result<(usize, Option<Place>), Utf8Error> {
    let unread = &input.unread()[..n];
    if cut.is_empty() {
        let begun = cut.begin(unread, header.mask, before)?;
        return Ok((n, Place::unread(n - begun, header, before, input)));
    }
    let n = cut.go_on(unread, header.mask, before)?;
    let whole = cut.take_whole().map(|character| input.finish_character(&character));
    Ok((n, whole.map(|()| Place::Character)))
}
