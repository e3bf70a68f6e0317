//! A test suite for the laws of [`NonBlockingTransport`]: [`check`] any implementation in a test.
//!
//! ```
//! use websocket_stream::transport::{laws, memory};
//!
//! laws::check(|| Ok(memory::pair(1000)))?;
//! # Ok::<(), laws::LawBroken>(())
//! ```
//!
//! The suite cannot detect a raised signal, nor return from a call that really blocks.
#![forbid(unsafe_code)]

mod calls;
mod pair;
mod polled;
mod scenarios;

use super::NonBlockingTransport;
use std::fmt;
use std::io;

/// Tests a transport against the laws.
///
/// Each call of `make` returns a new connection: the transport under test, and its peer, which should be
/// known to be sound (it is tested too).
///
/// # Errors
///
/// The first law that is broken.
pub fn check<A, B>(make: impl FnMut() -> io::Result<(A, B)>) -> Result<(), LawBroken>
where
    A: NonBlockingTransport,
    B: NonBlockingTransport,
{
    check_with(make, |a, b| {
        wait(a);
        if let Some(b) = b {
            wait(b);
        }
    })
}

/// Tests a transport against the laws, with a custom way to wait.
///
/// If neither end makes progress, `settle` is called repeatedly, up to a limit, with the peer as long as it
/// exists. It should run the runtime or poller that the transport depends on. [`check`] flushes and yields
/// the processor.
///
/// # Errors
///
/// The first law that is broken.
pub fn check_with<A, B>(
    mut make: impl FnMut() -> io::Result<(A, B)>,
    mut settle: impl FnMut(&mut A, Option<&mut B>),
) -> Result<(), LawBroken>
where
    A: NonBlockingTransport,
    B: NonBlockingTransport,
{
    scenarios::run(&mut make, &mut settle)
}

/// Tests a transport together with its poller.
///
/// In addition to the laws of [`check`], the poller must announce the transport again (law 12). `make` also
/// registers the transport under test for both directions, edge-triggered if the poller supports that. `poll`
/// polls once, without waiting long, and returns what was announced for the transport since the last call.
///
/// ```
/// # #[cfg(feature = "mio")] {
/// use mio::net::UnixStream;
/// use mio::{Events, Interest, Poll, Token};
/// use std::cell::RefCell;
/// use std::time::Duration;
/// use websocket_stream::transport::laws::{self, Announced};
///
/// let (poll, mut events) = (RefCell::new(Poll::new()?), Events::with_capacity(4));
/// laws::check_polled(
///     || {
///         let (mut a, b) = UnixStream::pair()?;
///         poll.borrow().registry().register(&mut a, Token(0), Interest::READABLE | Interest::WRITABLE)?;
///         Ok((a, b))
///     },
///     |_, _| {
///         let mut announced = Announced::default();
///         let polled = poll.borrow_mut().poll(&mut events, Some(Duration::ZERO));
///         for event in polled.iter().flat_map(|()| &events) {
///             announced.readable |= event.is_readable();
///             announced.writable |= event.is_writable();
///         }
///         announced
///     },
/// )?;
/// # }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
///
/// The first law that is broken.
pub fn check_polled<A, B>(
    mut make: impl FnMut() -> io::Result<(A, B)>,
    mut poll: impl FnMut(&mut A, Option<&mut B>) -> Announced,
) -> Result<(), LawBroken>
where
    A: NonBlockingTransport,
    B: NonBlockingTransport,
{
    scenarios::run(&mut make, &mut |a, b| {
        poll(a, b);
    })?;
    polled::run(&mut make, &mut poll)
}

/// The readiness that a poller announced for a transport.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Announced {
    /// Bytes, or the end of the stream, can be received.
    pub readable: bool,
    /// Bytes can be sent.
    pub writable: bool,
}

/// Waits for one end.
fn wait<T: NonBlockingTransport>(transport: &mut T) {
    if transport.wants_write() {
        // If this fails, the calls that move bytes report the error.
        let _ = transport.flush();
    }
    std::thread::yield_now();
}

/// One of the laws, numbered as in the documentation of the trait.
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
#[derive(Debug)]
pub struct LawBroken {
    law: Law,
    what: &'static str,
    source: Option<io::Error>,
}

impl LawBroken {
    fn new(law: Law, what: &'static str) -> Self {
        LawBroken { law, what, source: None }
    }

    fn because(law: Law, what: &'static str, source: io::Error) -> Self {
        LawBroken { law, what, source: Some(source) }
    }

    /// Changes the law to `law`, if the evidence was wrong bytes or a wrong end.
    fn under(mut self, law: Law) -> Self {
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
        self.source.as_ref().map(|source| source as _)
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
