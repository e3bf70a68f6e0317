//! The owned messages of a connection: received ones that wait for `next`, and fed ones that are not sent.

use super::received::Received;
use crate::protocol::{CloseFrame, Message, SendError};
use crate::stream::Outgoing;
use crate::{OwnedCloseFrame, OwnedMessage};
use std::cell::Cell;

thread_local! {
    /// Empty lists, which keep their memory for the next connection that needs some.
    static SPARE: Cell<Option<Box<Lists>>> = const { Cell::new(None) };
}

/// The memory, in bytes, with which empty lists are kept for later.
const KEPT: usize = 128 << 10;

/// The maximum length of a frame's header.
pub(super) const HEADER: usize = 14;

/// Both queues. They take memory only while they have messages.
#[derive(Debug, Default)]
pub(super) struct Queues {
    lists: Option<Box<Lists>>,
    /// Fed messages were dropped, because the closing handshake had begun. The next `flush` or `close`
    /// reports it.
    lost: bool,
    /// The peer's Close frame.
    close_frame: Option<Box<OwnedCloseFrame>>,
}

#[derive(Debug, Default)]
pub(super) struct Lists {
    received: Received,
    /// Nobody receives any more.
    discards: bool,
    /// The fed messages, and behind them the offered one.
    fed: Vec<OwnedMessage>,
    /// The last of `fed` is the message of a future that has not been accepted.
    offered: bool,
    /// The bytes of the fed messages, headers included.
    fed_bytes: usize,
    /// Shorter messages can be fed unchecked, until `fed_bytes` is `room`.
    unchecked: usize,
    room: usize,
}

#[cold]
fn spare() -> Box<Lists> {
    SPARE.try_with(Cell::take).ok().flatten().unwrap_or_default()
}

impl Lists {
    fn is_empty(&self) -> bool {
        self.received.is_empty() && self.fed.is_empty()
    }

    /// Returns the number of fed messages.
    #[inline]
    fn fed(&self) -> usize {
        self.fed.len() - usize::from(self.offered)
    }

    #[inline]
    fn push(&mut self, message: OwnedMessage) {
        // Of a future that was forgotten.
        self.take_offered();
        self.fed.push(message);
    }

    #[inline]
    fn take_offered(&mut self) -> Option<OwnedMessage> {
        match std::mem::take(&mut self.offered) {
            true => self.fed.pop(),
            false => None,
        }
    }
}

impl Queues {
    #[inline]
    fn lists(&mut self) -> &mut Lists {
        self.lists.get_or_insert_with(spare)
    }

    /// Adds a received message. Call [`finish_received`](Self::finish_received) afterwards.
    #[inline]
    pub(super) fn push_received(&mut self, message: Message<'_>) {
        let lists = self.lists();
        if !lists.discards {
            lists.received.push(message);
        }
    }

    #[cold]
    pub(super) fn keep_close_frame(&mut self, frame: CloseFrame<'_>) {
        self.close_frame = Some(Box::new(frame.into()));
    }

    pub(super) fn close_frame(&self) -> Option<&OwnedCloseFrame> {
        self.close_frame.as_deref()
    }

    /// Discards received messages, now and later.
    pub(super) fn discard_received(&mut self) {
        let lists = self.lists();
        lists.discards = true;
        lists.received = Received::default();
    }

    /// Returns whether received messages are discarded.
    pub(super) fn discards(&self) -> bool {
        self.lists.as_ref().is_some_and(|lists| lists.discards)
    }

    /// Ends what was received together.
    #[inline]
    pub(super) fn finish_received(&mut self) {
        if let Some(lists) = &mut self.lists {
            lists.received.finish();
        }
    }

    #[inline]
    pub(super) fn pop_received(&mut self) -> Option<OwnedMessage> {
        let lists = self.lists.as_mut()?;
        let message = lists.received.pop()?;
        if lists.received.is_empty() {
            self.tidy();
        }
        Some(message)
    }

    /// Returns whether there are received messages.
    pub(super) fn has_received(&self) -> bool {
        self.lists.as_ref().is_some_and(|lists| !lists.received.is_empty())
    }

    /// Returns the bytes that the received messages take.
    pub(super) fn received_bytes(&self) -> usize {
        self.lists.as_ref().map_or(0, |lists| lists.received.bytes())
    }

    pub(super) fn feed(&mut self, message: OwnedMessage) {
        let lists = self.lists();
        lists.fed_bytes += message.as_bytes().len() + HEADER;
        lists.push(message);
    }

    /// Allows to feed messages that are shorter than this unchecked, until this number of bytes is fed.
    pub(super) fn set_room(&mut self, unchecked: usize, room: usize) {
        let lists = self.lists();
        (lists.unchecked, lists.room) = (unchecked, room);
    }

    /// Keeps the message of a future, so that the task that has the future stays small.
    #[inline]
    pub(super) fn offer(&mut self, message: OwnedMessage) {
        let lists = self.lists();
        lists.push(message);
        lists.offered = true;
    }

    pub(super) fn offered(&self) -> Option<&OwnedMessage> {
        self.lists.as_ref().filter(|lists| lists.offered)?.fed.last()
    }

    /// Takes the offered message, if there is one.
    #[inline]
    pub(super) fn take_offered(&mut self) -> Option<OwnedMessage> {
        let message = self.lists.as_mut()?.take_offered()?;
        self.tidy();
        Some(message)
    }

    /// Feeds the offered message, if that needs no check. Returns whether none is offered any more.
    #[inline]
    pub(super) fn feed_offered(&mut self) -> bool {
        let Some(lists) = &mut self.lists else { return true };
        if lists.offered
            && let Some(message) = lists.fed.last()
        {
            let len = message.as_bytes().len();
            let bytes = lists.fed_bytes + len + HEADER;
            if len < lists.unchecked && bytes <= lists.room {
                lists.fed_bytes = bytes;
                lists.offered = false;
            }
        }
        !lists.offered
    }

    /// Returns the bytes of the fed messages, headers included.
    pub(super) fn fed_bytes(&self) -> usize {
        self.lists.as_ref().map_or(0, |lists| lists.fed_bytes)
    }

    pub(super) fn has_fed(&self) -> bool {
        self.lists.as_ref().is_some_and(|lists| lists.fed() > 0)
    }

    /// Sends the fed messages.
    ///
    /// # Errors
    ///
    /// The reason why some are left: `Full` or `MessageUnfinished`. After any other reason, none are left.
    pub(super) fn send_fed(&mut self, out: &mut Outgoing<'_>) -> Result<(), SendError> {
        let Some(lists) = &mut self.lists else { return Ok(()) };
        lists.unchecked = 0;
        let mut refused = Ok(());
        let mut handled = 0;
        for message in &lists.fed[..lists.fed()] {
            match out.send(message) {
                Ok(()) => {}
                Err(error @ (SendError::Full | SendError::MessageUnfinished)) => {
                    refused = Err(error);
                    break;
                }
                Err(error) => {
                    self.lost = true;
                    refused = Err(error);
                }
            }
            handled += 1;
            lists.fed_bytes -= message.as_bytes().len() + HEADER;
        }
        lists.fed.drain(..handled);
        if lists.fed.is_empty() {
            self.tidy();
        }
        refused
    }

    /// Returns whether fed messages were dropped since the last call.
    pub(super) fn take_lost(&mut self) -> bool {
        std::mem::take(&mut self.lost)
    }

    /// Gives empty lists back to the thread.
    fn tidy(&mut self) {
        if let Some(lists) = self.lists.take_if(|lists| lists.is_empty() && !lists.discards)
            && lists.received.kept() + lists.fed.capacity() * size_of::<OwnedMessage>() <= KEPT
        {
            let _ = SPARE.try_with(|spare| spare.set(Some(lists)));
        }
    }
}
