//! The owned messages of a connection: received ones that wait for `next`, and fed ones that are not sent.

use crate::OwnedMessage;
use crate::protocol::SendError;
use crate::stream::Outgoing;
use std::cell::Cell;
use std::collections::VecDeque;

thread_local! {
    /// Empty lists, which keep their memory for the next connection that needs some.
    static SPARE: Cell<Option<Box<Lists>>> = const { Cell::new(None) };
}

/// The capacity, in messages, with which an empty list is kept for later.
const KEPT: usize = 1024;

/// The maximum length of a frame's header.
pub(super) const HEADER: usize = 14;

/// Both queues. They take memory only while they have messages.
#[derive(Debug, Default)]
pub(super) struct Queues(Option<Box<Lists>>);

#[derive(Debug, Default)]
pub(super) struct Lists {
    received: VecDeque<OwnedMessage>,
    /// The payload bytes in `received`.
    received_bytes: usize,
    fed: VecDeque<OwnedMessage>,
    /// The bytes in `fed`, headers included.
    fed_bytes: usize,
}

impl Queues {
    fn lists(&mut self) -> &mut Lists {
        self.0.get_or_insert_with(|| SPARE.try_with(Cell::take).ok().flatten().unwrap_or_default())
    }

    pub(super) fn push_received(&mut self, message: OwnedMessage) {
        let lists = self.lists();
        lists.received_bytes += message.as_bytes().len();
        lists.received.push_back(message);
    }

    #[inline]
    pub(super) fn pop_received(&mut self) -> Option<OwnedMessage> {
        let lists = self.0.as_mut()?;
        let message = lists.received.pop_front()?;
        lists.received_bytes -= message.as_bytes().len();
        self.tidy();
        Some(message)
    }

    /// Returns whether there are received messages.
    pub(super) fn has_received(&self) -> bool {
        self.0.as_ref().is_some_and(|lists| !lists.received.is_empty())
    }

    /// Returns the payload bytes of the received messages.
    pub(super) fn received_bytes(&self) -> usize {
        self.0.as_ref().map_or(0, |lists| lists.received_bytes)
    }

    pub(super) fn feed(&mut self, message: OwnedMessage) {
        let lists = self.lists();
        lists.fed_bytes += message.as_bytes().len() + HEADER;
        lists.fed.push_back(message);
    }

    /// Returns the bytes of the fed messages, headers included.
    pub(super) fn fed_bytes(&self) -> usize {
        self.0.as_ref().map_or(0, |lists| lists.fed_bytes)
    }

    pub(super) fn has_fed(&self) -> bool {
        self.0.as_ref().is_some_and(|lists| !lists.fed.is_empty())
    }

    /// Sends the fed messages.
    ///
    /// # Errors
    ///
    /// The reason why some are left: `Full` or `MessageUnfinished`. After any other reason, none are left.
    pub(super) fn send_fed(&mut self, out: &mut Outgoing<'_>) -> Result<(), SendError> {
        let Some(lists) = &mut self.0 else { return Ok(()) };
        let mut refused = Ok(());
        while let Some(message) = lists.fed.front() {
            match out.send(message) {
                Ok(()) => {}
                Err(error @ (SendError::Full | SendError::MessageUnfinished)) => return Err(error),
                Err(error) => refused = Err(error),
            }
            lists.fed_bytes -= message.as_bytes().len() + HEADER;
            lists.fed.pop_front();
        }
        self.tidy();
        refused
    }

    /// Gives empty lists back to the thread.
    fn tidy(&mut self) {
        if let Some(lists) = self.0.take_if(|lists| lists.received.is_empty() && lists.fed.is_empty())
            && lists.received.capacity() <= KEPT
            && lists.fed.capacity() <= KEPT
        {
            let _ = SPARE.try_with(|spare| spare.set(Some(lists)));
        }
    }
}
