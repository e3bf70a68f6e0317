//! What compression keeps beside a message: what was agreed on, and what was sent and received before.
#![forbid(unsafe_code)]

use super::Role;
use super::stamp::Stamp;
use crate::deflate::{Agreed, Context, Deflaters, History, WindowBits};
use alloc::boxed::Box;
use core::num::NonZeroU8;

/// RSV1, the "Per-Message Compressed" bit (section 6).
pub(super) const COMPRESSED: u8 = 0x4;

/// What a connection remembers of earlier messages, from the first one on that makes it so; and of the
/// fragments of one that is being sent.
#[derive(Debug, Default)]
pub(super) struct Contexts {
    pub(super) sent: Option<History>,
    /// When something was last added to it; where that is not known, the next time that is told.
    pub(super) sent_at: Option<Stamp>,
    /// The fragmented message that is being sent is compressed.
    pub(super) fragmenting: bool,
    pub(super) received: Option<History>,
}

/// What an [`Output`] has for compressing; taken from it for the length of a message.
#[derive(Debug, Default)]
pub(crate) struct Compressor(pub(super) Box<Deflaters>);

impl Compressor {
    /// Compresses a message that stands alone.
    #[cfg(feature = "std")]
    pub(crate) fn deflate(&mut self, message: &[u8], context: Context, level: u8) -> Option<&[u8]> {
        self.0.deflate(message, context, level)
    }
}

/// What one end has to know of what was agreed on, in a byte: how far back what it sends may refer,
/// and into what window of earlier messages the peer's may.
#[derive(Debug, Clone, Copy)]
pub(super) struct Directions(NonZeroU8);

impl Directions {
    /// The ways of sending: with and without takeover, each for eight windows.
    const SENDING: u8 = 16;

    pub(super) fn new(role: Role, agreed: Agreed) -> Self {
        let (own, peers) = match role {
            Role::Server => (agreed.server, agreed.client),
            Role::Client => (agreed.client, agreed.server),
        };
        let index = |bits: WindowBits| bits.get() - WindowBits::MIN.get();
        let sending = index(own.bits()) + if own.takeover() { Self::SENDING / 2 } else { 0 };
        let receiving = if peers.takeover() { index(peers.bits()) + 1 } else { 0 };
        Self(NonZeroU8::MIN.saturating_add(sending + Self::SENDING * receiving))
    }

    pub(super) fn sending(self) -> Context {
        let index = (self.0.get() - 1) % Self::SENDING;
        Context::new(bits(index % (Self::SENDING / 2)), index >= Self::SENDING / 2)
    }

    pub(super) fn receiving(self) -> Option<WindowBits> {
        Some(bits(((self.0.get() - 1) / Self::SENDING).checked_sub(1)?))
    }
}

fn bits(index: u8) -> WindowBits {
    WindowBits::new(WindowBits::MIN.get() + index).unwrap_or(WindowBits::MAX)
}

impl Contexts {
    /// Heap bytes held, its own included.
    pub(super) fn held(&self) -> usize {
        let held = |history: &Option<History>| history.as_ref().map_or(0, History::held);
        size_of::<Self>() + held(&self.sent) + held(&self.received)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.sent.is_none() && self.received.is_none() && !self.fragmenting
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_byte_says_what_was_agreed_on() {
        for (index, takeover, other, others) in
            (0..8).flat_map(|index| [(index, false), (index, true)]).flat_map(|own| {
                (0..8).flat_map(move |other| [(own.0, own.1, other, false), (own.0, own.1, other, true)])
            })
        {
            let (own, peers) = (Context::new(bits(index), takeover), Context::new(bits(other), others));
            for (role, agreed) in [
                (Role::Server, Agreed { server: own, client: peers }),
                (Role::Client, Agreed { server: peers, client: own }),
            ] {
                let directions = Directions::new(role, agreed);
                assert_eq!(directions.sending(), own);
                assert_eq!(directions.receiving(), others.then(|| bits(other)));
            }
        }
    }
}
