//! One connection in the table: its stage, its session, and what is known about it between two calls.
#![forbid(unsafe_code)]

use super::opening::Opening;
use super::slots::Occupant;
use crate::protocol::State;
use crate::stream::{Error, Ready, Sent, Wants, WebSocketStream};
use crate::transport::NonBlockingTransport;

pub(super) struct Slot<T, S> {
    pub(super) stage: Stage<T, S>,
    generation: u32,
    pub(super) flags: Flags,
}

pub(super) enum Stage<T, S> {
    /// Boxed: few connections are opening, many are open.
    Opening(Box<Opening<T, S>>),
    Open(WebSocketStream<T>, S),
    Vacant,
}

/// What is known about a connection between two calls. In general, none is set while it only waits for
/// messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Flags(u8);

impl Flags {
    pub(super) const NONE: Self = Self(0);
    /// It asked for another call and waits for it in the queue.
    pub(super) const QUEUED: Self = Self(1);
    /// For that call, the poller has reported that it is writable.
    const QUEUED_WRITABLE: Self = Self(1 << 1);
    /// For that call, the poller has reported its end.
    const QUEUED_CLOSED: Self = Self(1 << 2);
    /// It has unsent bytes, and waits until it is writable.
    pub(super) const UNSENT: Self = Self(1 << 3);
    /// It does not wait until it is readable.
    pub(super) const PAUSED: Self = Self(1 << 4);
    /// The handler has failed: it receives no more events but the end.
    pub(super) const FAILED: Self = Self(1 << 5);
    /// The end was delivered.
    pub(super) const ENDED: Self = Self(1 << 6);
    /// Any call can make its deadline earlier, because an unused compression window is dropped.
    pub(super) const ASKS: Self = Self(1 << 7);

    #[inline]
    pub(super) fn has(self, flag: Self) -> bool {
        self.0 & flag.0 != 0
    }

    #[inline]
    pub(super) fn set(&mut self, flag: Self, on: bool) {
        self.0 = if on { self.0 | flag.0 } else { self.0 & !flag.0 };
    }

    /// Adds to the readiness for the call that is queued.
    pub(super) fn defer(&mut self, ready: Ready) {
        self.0 |= if ready.writable { Self::QUEUED_WRITABLE.0 } else { 0 };
        self.0 |= if ready.closed { Self::QUEUED_CLOSED.0 } else { 0 };
    }

    /// Takes the readiness for the call that was queued. Returns `None` if none was.
    pub(super) fn take_queued(&mut self) -> Option<Ready> {
        if !self.has(Self::QUEUED) {
            return None;
        }
        let ready = Ready {
            readable: true,
            writable: self.has(Self::QUEUED_WRITABLE),
            closed: self.has(Self::QUEUED_CLOSED),
        };
        self.0 &= !(Self::QUEUED.0 | Self::QUEUED_WRITABLE.0 | Self::QUEUED_CLOSED.0);
        Some(ready)
    }
}

impl<T, S> Slot<T, S> {
    pub(super) fn new(generation: u32, stage: Stage<T, S>) -> Self {
        Self { stage, generation, flags: Flags::NONE }
    }
}

impl<T: NonBlockingTransport, S> Slot<T, S> {
    /// Returns whether there is nothing to note after sending outside of a call: it only waits for messages,
    /// as before.
    #[inline]
    pub(super) fn is_unchanged(&self, sent: &Result<Sent, Error>) -> bool {
        let Stage::Open(stream, _) = &self.stage else { return false };
        matches!(sent, Ok(Sent::Written))
            && self.flags == Flags::NONE
            && stream.state() == State::Open
            && stream.wants() == Wants::READ
    }
}

impl<T, S> Occupant for Slot<T, S> {
    #[inline]
    fn generation(&self) -> u32 {
        self.generation
    }

    #[inline]
    fn is_vacant(&self) -> bool {
        matches!(self.stage, Stage::Vacant)
    }
}

// A socket takes 8 bytes more on Windows.
#[cfg(all(test, unix, target_pointer_width = "64"))]
mod tests {
    use super::*;
    use crate::server::secure::Socket;

    #[test]
    fn a_connection_with_an_empty_session_takes_88_bytes_or_96_if_it_can_be_compressed() {
        let expected = if cfg!(feature = "deflate") { 96 } else { 88 };
        assert_eq!(size_of::<Slot<Socket, ()>>(), expected);
    }
}
