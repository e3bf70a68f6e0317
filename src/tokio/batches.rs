//! Received messages that wait for `next`. Small ones that arrived together share an allocation.

use crate::OwnedMessage;
use crate::protocol::Message;
use std::collections::VecDeque;

/// The payload bytes that share an allocation. One message that the program keeps keeps them all.
const SHARED: usize = 4 << 10;

/// The payload from which a message has its own allocation.
const ALONE: usize = 1 << 10;

/// Received messages in their order.
#[derive(Debug, Default)]
pub(super) struct Batches {
    batches: VecDeque<Batch>,
    /// The payload lengths of all messages.
    lens: VecDeque<u32>,
    /// The payload bytes of all messages.
    bytes: usize,
    /// The payloads of the batch that is being gathered, of which one is empty.
    text: String,
    binary: Vec<u8>,
    /// The messages in it.
    gathered: usize,
}

/// Messages of one kind, one payload after the other.
#[derive(Debug)]
struct Batch {
    payload: OwnedMessage,
    /// Where the first message begins.
    start: usize,
    /// The number of messages.
    count: usize,
}

impl Batches {
    /// Adds a message. Call [`finish`](Self::finish) afterwards.
    pub(super) fn push(&mut self, message: Message<'_>) {
        let len = message.as_bytes().len();
        let gathered = self.text.len() + self.binary.len();
        let changes = match message {
            Message::Text(_) => !self.binary.is_empty(),
            Message::Binary(_) => !self.text.is_empty(),
        };
        // The kind of empty messages is that of the batch, which must not be open yet.
        if changes || gathered + len > SHARED || gathered == 0 {
            self.finish();
        }
        self.bytes += len;
        self.lens.push_back(u32::try_from(len).unwrap_or(u32::MAX));
        if len >= ALONE || len == 0 {
            self.finish();
            return self.batches.push_back(Batch { payload: message.into(), start: 0, count: 1 });
        }
        match message {
            Message::Text(text) => self.text.push_str(text),
            Message::Binary(bytes) => self.binary.extend_from_slice(bytes),
        }
        self.gathered += 1;
    }

    /// Ends the batch that is being gathered.
    pub(super) fn finish(&mut self) {
        if self.gathered > 0 {
            let payload = match self.text.is_empty() {
                true => OwnedMessage::from(self.binary.as_slice()),
                false => OwnedMessage::from(self.text.as_str()),
            };
            self.text.clear();
            self.binary.clear();
            self.batches.push_back(Batch { payload, start: 0, count: std::mem::take(&mut self.gathered) });
        }
    }

    #[inline]
    pub(super) fn pop(&mut self) -> Option<OwnedMessage> {
        let batch = self.batches.front_mut()?;
        let len = self.lens.pop_front()?;
        if batch.count == 1 {
            let Batch { payload, start, .. } = self.batches.pop_front()?;
            self.bytes -= payload.as_bytes().len() - start;
            return Some(if start == 0 { payload } else { slice(&payload, start, None) });
        }
        let end = batch.start + len as usize;
        let message = slice(&batch.payload, batch.start, Some(end));
        (batch.start, batch.count) = (end, batch.count - 1);
        self.bytes -= len as usize;
        Some(message)
    }

    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.batches.is_empty()
    }

    /// Returns the payload bytes of all messages.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Returns the memory that is kept for later, in bytes.
    pub(super) fn kept(&self) -> usize {
        self.batches.capacity() * size_of::<Batch>()
            + self.lens.capacity() * size_of::<u32>()
            + self.text.capacity()
            + self.binary.capacity()
    }
}

/// Returns a part of a payload, which it shares. Text is cut between messages.
fn slice(payload: &OwnedMessage, start: usize, end: Option<usize>) -> OwnedMessage {
    let end = end.unwrap_or(payload.as_bytes().len());
    match payload {
        OwnedMessage::Text(text) => OwnedMessage::Text(text.slice_ref(&text[start..end])),
        OwnedMessage::Binary(bytes) => OwnedMessage::Binary(bytes.slice(start..end)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use quickcheck::quickcheck;

    /// Messages of lengths around the bounds.
    fn messages(seed: Vec<(bool, u16)>) -> Vec<OwnedMessage> {
        let lens = [0, 1, 2, 31, 500, ALONE - 1, ALONE, SHARED - 1, SHARED, SHARED + 1];
        let make = |(index, (is_text, len)): (usize, (bool, u16))| {
            let len = lens[usize::from(len) % lens.len()];
            let fill = &"abcdefghijklmnopqrstuvwxyz"[index % 26..][..1];
            match is_text {
                // Characters of two bytes, too.
                true if index % 3 == 0 => OwnedMessage::from("\u{e4}".repeat(len / 2)),
                true => OwnedMessage::from(fill.repeat(len)),
                false => OwnedMessage::from(fill.repeat(len).into_bytes()),
            }
        };
        seed.into_iter().enumerate().map(make).collect()
    }

    quickcheck! {
        fn messages_are_returned_as_they_were_pushed(seed: Vec<(bool, u16)>, finish_each: u8) -> bool {
            let messages = messages(seed);
            let mut batches = Batches::default();
            for (index, message) in messages.iter().enumerate() {
                batches.push(message.into());
                if index % (usize::from(finish_each) + 1) == 0 {
                    batches.finish();
                }
            }
            batches.finish();
            let bytes = messages.iter().map(|message| message.as_bytes().len()).sum();
            let counted = batches.bytes() == bytes;
            let popped: Vec<_> = std::iter::from_fn(|| batches.pop()).collect();
            counted && popped == messages && batches.bytes() == 0 && batches.is_empty()
        }
    }

    #[test]
    fn small_messages_share_an_allocation_and_large_ones_do_not() {
        let mut batches = Batches::default();
        let large = "x".repeat(ALONE);
        for text in ["one", "two", large.as_str(), "three"] {
            batches.push(text.into());
        }
        batches.finish();
        let pointers: Vec<_> =
            std::iter::from_fn(|| batches.pop()).map(|message| message.as_bytes().as_ptr()).collect();
        assert_eq!(pointers[1], pointers[0].wrapping_add(3));
        assert_ne!(pointers[2], pointers[1].wrapping_add(3));
    }
}
