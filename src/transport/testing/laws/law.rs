//! The laws by number, and what a broken one is reported as.
#![forbid(unsafe_code)]

use crate::transport::NonBlockingTransport;
use std::{fmt, io};

/// The readiness that a poller announced for a transport.
///
/// See the example of [`check_polled`](super::check_polled).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Announced {
    /// Bytes, or the end of the stream, can be received.
    pub readable: bool,
    /// Bytes can be sent.
    pub writable: bool,
}

/// Waits for one end.
pub(super) fn wait<T: NonBlockingTransport>(transport: &mut T) {
    if transport.wants_write() {
        // If this fails, the calls that move bytes report the error.
        let _ = transport.flush();
    }
    std::thread::yield_now();
}

/// One of the laws, numbered as in the documentation of the trait.
///
/// See the example of [`LawBroken`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Law {
    /// Not a law: the connection could not be made, or its mode not be set.
    Setup = 0,
    /// Nothing blocks.
    NothingBlocks = 1,
    /// `Ok(0)` from `recv` is the end of the stream. It is permanent.
    EndOfStream = 2,
    /// `Ok(0)` from `send` is forbidden.
    NoZeroSend = 3,
    /// `Ok(n)` never exceeds the length of the argument.
    WithinBounds = 4,
    /// Interruptions are retried inside.
    InterruptionsInside = 5,
    /// Order and bytes are kept.
    OrderAndBytes = 6,
    /// `shutdown_write` ends one direction only.
    HalfClose = 7,
    /// Sending and receiving report a peer that is gone.
    PeerGone = 8,
    /// Empty buffers have no effect.
    EmptyBuffers = 9,
    /// It reports what it holds.
    SaysWhatItHolds = 10,
    /// Less than all means no more now.
    LessMeansNoMore = 11,
    /// It is announced again.
    AnnouncedAgain = 12,
}

/// A law that was broken, and the evidence.
///
/// ```
/// use websocket_stream::transport::testing::faulty::{Faulty, Weather};
/// use websocket_stream::transport::testing::laws::{self, Law};
/// use websocket_stream::transport::testing::memory;
///
/// let broken = laws::check(|| {
///     let (a, b) = memory::pair(1000);
///     Ok((Faulty::new(a, 1).weather(Weather { interrupted: 8, ..Weather::CALM }), b))
/// });
/// let broken = broken.unwrap_err();
/// assert_eq!(broken.law(), Law::InterruptionsInside);
/// assert!(broken.to_string().contains("interruption returned to the caller"));
/// ```
#[derive(Debug)]
pub struct LawBroken {
    law: Law,
    what: &'static str,
    source: Option<io::Error>,
}

impl LawBroken {
    pub(super) fn new(law: Law, what: &'static str) -> Self {
        LawBroken { law, what, source: None }
    }

    pub(super) fn because(law: Law, what: &'static str, source: io::Error) -> Self {
        LawBroken { law, what, source: Some(source) }
    }

    /// Changes the law to `law`, if the evidence was wrong bytes or a wrong end.
    pub(super) fn under(mut self, law: Law) -> Self {
        if matches!(self.law, Law::OrderAndBytes | Law::EndOfStream) {
            self.law = law;
        }
        self
    }

    /// Returns the law that was broken.
    pub fn law(&self) -> Law {
        self.law
    }
}

impl fmt::Display for LawBroken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "law {} ({:?}): {}", self.law as u8, self.law, self.what)?;
        self.source.as_ref().map_or(Ok(()), |source| write!(f, ": {source}"))
    }
}

impl std::error::Error for LawBroken {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        // The text of `self.source` is in this error's own.
        self.source.as_ref().and_then(std::error::Error::source)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_error_is_small_and_names_law_and_cause() {
        const { assert!(size_of::<LawBroken>() <= 32) };
        let reset = io::Error::from(io::ErrorKind::ConnectionReset);
        let broken = LawBroken::because(Law::HalfClose, "the second shutdown failed", reset);
        assert_eq!(broken.to_string(), "law 7 (HalfClose): the second shutdown failed: connection reset");
        assert_eq!(LawBroken::new(Law::Setup, "no pair").to_string(), "law 0 (Setup): no pair");
    }
}
