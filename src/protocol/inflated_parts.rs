//! A compressed message that is told in parts (RFC 7692, section 7.2.2): inflated from its first byte on,
//! a bounded part at a time.
//!
//! What of its payload would become more than a part stays in the input. So nothing that has come is
//! hidden in the inflater: where the input is used, all that it becomes is told.
#![forbid(unsafe_code)]

use super::fragments::left;
use super::inflation::counted;
use super::receive::Given;
use super::{Fault, Input};
use crate::deflate::{History, Inflater, WindowBits};
use crate::frame::utf8::{CutCharacter, MessageBuffer};
use crate::frame::{Header, mask};
use alloc::boxed::Box;

/// A part of a message that is inflated and told in parts has about so many bytes at the most; with what
/// one more byte can become, 64 KiB.
const PART: usize = 56 << 10;

/// So much of a payload is unmasked at a time, where it may be that it becomes more than a part.
const STRETCH: usize = 4 << 10;

/// A message that is inflated as it comes, from its first byte on, and told in parts.
#[derive(Debug)]
pub(super) struct InflatingInParts {
    text: bool,
    /// From the first byte on.
    inflater: Option<Box<Inflater>>,
    /// How many bytes of the message were told, and the last of them, to which others may refer.
    told: usize,
    window: History,
    cut: CutCharacter,
}

impl InflatingInParts {
    pub(super) fn new(text: bool) -> Self {
        let window = History::new(WindowBits::MAX);
        Self { text, inflater: None, told: 0, window, cut: CutCharacter::default() }
    }

    /// Goes on with the next `n` unread bytes up to a part. Gives how many it used, and whether there is
    /// a part, which moves to the input.
    pub(super) fn go_on(
        &mut self,
        n: usize,
        header: &Header,
        before: usize,
        input: &mut Input,
        given: &mut Given<'_>,
    ) -> Result<(usize, bool), Fault> {
        let mut part = MessageBuffer::new(self.text, input.storage());
        let result = self.inflate(n, header, before, input, &mut part, given);
        match result {
            Ok(used) if !part.is_empty() => {
                input.finish(part);
                Ok((used, true))
            }
            _ => {
                input.pool(part.into_storage());
                result.map(|used| (used, false))
            }
        }
    }

    fn inflate(
        &mut self,
        n: usize,
        header: &Header,
        before: usize,
        input: &mut Input,
        part: &mut MessageBuffer,
        given: &mut Given<'_>,
    ) -> Result<usize, Fault> {
        let ends = header.fin && left(header, before) == n;
        if n == 0 && !ends {
            return Ok(0);
        }
        let limit = given.expected.limits.message.saturating_sub(self.told);
        let inflater = self.inflater.get_or_insert_with(|| {
            let mut inflater = input.inflation.inflater.take().unwrap_or_default();
            inflater.begin();
            inflater
        });
        part.append(self.cut.as_bytes(), 0, None, 0).map_err(|_| Fault::InvalidUtf8)?;
        let mut used = 0;
        while used < n && part.len() < PART {
            let stretch = STRETCH.min(n - used);
            let (unread, inflation) = input.piece(n);
            let stretch = &mut unread[used..used + stretch];
            let masked = |bytes: &mut [u8], at| {
                if let Some(key) = header.mask {
                    mask(bytes, key, at);
                }
            };
            masked(stretch, before + used);
            let earlier = [given.earlier.history().map(|history| &*history), Some(&self.window)];
            let taken = counted(&mut inflation.inflated, part, |part| {
                inflater.feed_part(PART, stretch, earlier, limit, part)
            })?;
            used += taken;
            // The others come with the next part.
            masked(&mut stretch[taken..], before + used);
        }
        if ends && used == n {
            inflater.finish_part(limit, part)?;
            if let Some(history) = given.earlier.history() {
                let (first, second) = self.window.as_slices();
                for bytes in [first, second, part.as_bytes()] {
                    history.push(bytes);
                }
            }
            return Ok(used);
        }
        self.cut = part.cut();
        self.told += part.len();
        self.window.push(part.as_bytes());
        Ok(used)
    }

    /// The message was told.
    pub(super) fn finish(&mut self, input: &mut Input) {
        if let Some(inflater) = self.inflater.take() {
            input.inflation.inflater.get_or_insert(inflater);
        }
    }

    /// Heap bytes held.
    pub(super) fn held(&self) -> usize {
        let inflater = self.inflater.as_ref().map_or(0, |inflater| size_of::<Inflater>() + inflater.held());
        size_of::<Self>() + inflater + self.window.held()
    }
}
