//! What compression keeps between messages: the negotiated parameters, and windows of earlier messages.
#![forbid(unsafe_code)]

use crate::deflate::{Context, DeflateParams, Deflaters, Window, WindowBits};
use crate::protocol::Role;
use crate::protocol::millis32::Millis32;
use alloc::boxed::Box;
use core::num::NonZeroU8;

/// RSV1, the "Per-Message Compressed" bit (RFC 7692, section 6).
pub(super) const COMPRESSED: u8 = 0x4;

/// The windows of a connection. There are none until the first message to which later ones may refer.
#[derive(Debug, Default)]
pub(in crate::protocol) struct KeptWindows(Option<Box<Windows>>);

/// The last bytes of earlier messages, and the state of a fragmented message that is being sent.
#[derive(Debug, Default)]
pub(super) struct Windows {
    pub(super) sent: Option<Window>,
    /// When `sent` last grew. If that call had no time, the time of the next call that has one.
    pub(super) sent_at: Option<Millis32>,
    /// The fragmented message that is being sent is compressed.
    pub(super) fragmenting: bool,
    pub(super) received: Option<Window>,
}

/// The thread's compressors, taken from the [`Output`](crate::protocol::Output) while a message is
/// compressed.
#[derive(Debug, Default)]
pub(crate) struct Compressor(pub(super) Box<Deflaters>);

impl Compressor {
    /// Frees a result buffer that has grown for a large message.
    pub(in crate::protocol) fn trim(&mut self) {
        self.0.trim();
    }
}

/// The negotiated parameters as one end needs them, in one byte.
///
/// The byte holds this end's window and takeover, and the peer's window if the peer uses takeover.
#[derive(Debug, Clone, Copy)]
pub(in crate::protocol) struct PackedParams(NonZeroU8);

impl PackedParams {
    /// The number of ways to send: with and without takeover, for each of eight windows.
    const SENDING: u8 = 16;

    pub(super) fn new(role: Role, params: DeflateParams) -> Self {
        let (own, peers) = match role {
            Role::Server => (params.server, params.client),
            Role::Client => (params.client, params.server),
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

/// Returns the reserved bits that have a meaning in the first frame of a message.
#[inline]
pub(in crate::protocol) fn extension_bits(deflate_params: Option<PackedParams>) -> u8 {
    if deflate_params.is_some() { COMPRESSED } else { 0 }
}

fn bits(index: u8) -> WindowBits {
    WindowBits::new(WindowBits::MIN.get() + index).unwrap_or(WindowBits::MAX)
}

impl KeptWindows {
    #[inline]
    pub(super) fn get(&self) -> Option<&Windows> {
        self.0.as_deref()
    }

    pub(super) fn get_mut(&mut self) -> Option<&mut Windows> {
        self.0.as_deref_mut()
    }

    pub(super) fn get_or_insert(&mut self) -> &mut Windows {
        self.0.get_or_insert_default()
    }

    /// Returns whether nothing is kept.
    #[inline]
    pub(in crate::protocol) fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// Forgets when the windows grew.
    pub(in crate::protocol) fn forget_time(&mut self) {
        if let Some(windows) = &mut self.0 {
            windows.sent_at = None;
        }
    }

    /// Drops everything.
    pub(in crate::protocol) fn clear(&mut self) {
        self.0 = None;
    }

    /// Drops the window of sent messages, so that the next message is compressed on its own.
    pub(super) fn drop_sent(&mut self) {
        if let Some(windows) = &mut self.0 {
            windows.sent = None;
            if windows.received.is_none() && !windows.fragmenting {
                self.0 = None;
            }
        }
    }

    /// Returns the heap memory in bytes.
    pub(in crate::protocol) fn heap_bytes(&self) -> usize {
        let bytes = |window: &Option<Window>| window.as_ref().map_or(0, Window::heap_bytes);
        self.get().map_or(0, |windows| size_of::<Windows>() + bytes(&windows.sent) + bytes(&windows.received))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_byte_holds_the_parameters_of_both_directions() {
        for (index, takeover, other, others) in
            (0..8).flat_map(|index| [(index, false), (index, true)]).flat_map(|own| {
                (0..8).flat_map(move |other| [(own.0, own.1, other, false), (own.0, own.1, other, true)])
            })
        {
            let (own, peers) = (Context::new(bits(index), takeover), Context::new(bits(other), others));
            for (role, params) in [
                (Role::Server, DeflateParams { server: own, client: peers }),
                (Role::Client, DeflateParams { server: peers, client: own }),
            ] {
                let deflate_params = PackedParams::new(role, params);
                assert_eq!(deflate_params.sending(), own);
                assert_eq!(deflate_params.receiving(), others.then(|| bits(other)));
            }
        }
    }
}
