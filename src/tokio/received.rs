//! Received messages that wait for `next`. Small ones that arrived together share an allocation.

use crate::OwnedMessage;
use crate::protocol::Message;
use bytes::Bytes;
use std::collections::VecDeque;

/// The payload bytes that share an allocation. One message that the program keeps keeps them all.
const SHARED: usize = 4 << 10;

/// The payload from which a message has its own allocation.
const ALONE: usize = 1 << 10;

/// Received messages in their order.
#[derive(Debug, Default)]
pub(super) struct Received {
    messages: VecDeque<OwnedMessage>,
    /// The payload bytes of `messages`.
    bytes: usize,
    /// Small messages of one kind that arrived together, one payload after the other: in `text` or in
    /// `binary`.
    text: String,
    binary: Vec<u8>,
    /// Where each of them ends.
    ends: Vec<usize>,
}

impl Received {
    /// Adds a message. Call [`finish`](Self::finish) afterwards.
    pub(super) fn push(&mut self, message: Message<'_>) {
        let len = message.as_bytes().len();
        // An empty one needs no memory at all, and would not show of which kind the gathered ones are.
        if len == 0 || len >= ALONE {
            self.finish();
            self.bytes += len;
            return self.messages.push_back(message.into());
        }
        let (same, other) = match message {
            Message::Text(_) => (self.text.len(), self.binary.len()),
            Message::Binary(_) => (self.binary.len(), self.text.len()),
        };
        if other > 0 || same + len > SHARED {
            self.finish();
        }
        match message {
            Message::Text(text) => self.text.push_str(text),
            Message::Binary(bytes) => self.binary.extend_from_slice(bytes),
        }
        // One of them is empty.
        self.ends.push(self.text.len() + self.binary.len());
    }

    /// Makes messages of those that were gathered.
    #[inline]
    pub(super) fn finish(&mut self) {
        if !self.ends.is_empty() {
            self.share();
        }
    }

    fn share(&mut self) {
        self.bytes += self.text.len() + self.binary.len();
        let all = match self.text.is_empty() {
            true => OwnedMessage::Binary(Bytes::copy_from_slice(&self.binary)),
            false => OwnedMessage::from(self.text.as_str()),
        };
        self.text.clear();
        self.binary.clear();
        if self.ends.len() == 1 {
            self.ends.clear();
            return self.messages.push_back(all);
        }
        let mut start = 0;
        for end in self.ends.drain(..) {
            self.messages.push_back(match &all {
                OwnedMessage::Binary(all) => OwnedMessage::Binary(all.slice(start..end)),
                // Cut between messages, hence between characters.
                OwnedMessage::Text(all) => OwnedMessage::Text(all.slice_ref(&all[start..end])),
            });
            start = end;
        }
    }

    #[inline]
    pub(super) fn pop(&mut self) -> Option<OwnedMessage> {
        let message = self.messages.pop_front()?;
        self.bytes -= message.as_bytes().len();
        Some(message)
    }

    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.messages.is_empty()
    }

    /// Returns the bytes that all messages take: their payloads, and what is kept about each of them, also if
    /// its payload is empty.
    pub(super) fn bytes(&self) -> usize {
        self.bytes + self.messages.len() * size_of::<OwnedMessage>()
    }

    /// Returns the memory that is kept for later, in bytes.
    pub(super) fn kept(&self) -> usize {
        self.messages.capacity() * size_of::<OwnedMessage>()
            + self.ends.capacity() * size_of::<usize>()
            + self.text.capacity()
            + self.binary.capacity()
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
            let mut received = Received::default();
            for (index, message) in messages.iter().enumerate() {
                received.push(message.into());
                if index % (usize::from(finish_each) + 1) == 0 {
                    received.finish();
                }
            }
            received.finish();
            let bytes = messages.iter().map(|message| message.as_bytes().len()).sum();
            let counted = received.bytes == bytes;
            let popped: Vec<_> = std::iter::from_fn(|| received.pop()).collect();
            counted && popped == messages && received.bytes() == 0 && received.is_empty()
        }
    }

    #[test]
    fn small_messages_share_an_allocation_and_large_ones_do_not() {
        let mut received = Received::default();
        let large = "x".repeat(ALONE);
        for text in ["one", "two", large.as_str(), "three"] {
            received.push(text.into());
        }
        received.finish();
        let pointers: Vec<_> =
            std::iter::from_fn(|| received.pop()).map(|message| message.as_bytes().as_ptr()).collect();
        assert_eq!(pointers[1], pointers[0].wrapping_add(3));
        assert_ne!(pointers[2], pointers[1].wrapping_add(3));
    }
}
