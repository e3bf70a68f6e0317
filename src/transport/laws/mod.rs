//! The laws of [`NonBlockingTransport`], as a suite for any
//! implementation: [`check`] it in a test.
//!
//! ```
//! use websocket_stream::transport::{laws, memory};
//!
//! laws::check(|| Ok(memory::pair(1000)))?;
//! # Ok::<(), laws::LawBroken>(())
//! ```
//!
//! The suite cannot see a signal that is raised, nor return from a call that truly blocks.
#![forbid(unsafe_code)]

mod calls;
mod pair;
mod polled;
mod scenarios;

use super::NonBlockingTransport;
use std::fmt;
use std::io;

/// Puts a transport through the laws. `make` gives a connection each time: the transport under test
/// and its peer, one that is known to be sound (it is judged too).
///
/// # Errors
///
/// The first law found broken.
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

/// Puts a transport through the laws, with the caller's own way to let time pass if neither end gets on.
///
/// `settle` is called again and again, up to a bound, with the peer as long as that is there: it turns a
/// runtime or a poller that the transport depends on. [`check`] flushes and gives up the processor.
///
/// # Errors
///
/// The first law found broken.
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

/// Puts a transport and its poller through the laws: those of [`check`], and that the poller announces the
/// transport again (law 12).
///
/// `make` also registers the transport under test, edge-triggered if the poller knows the difference, for
/// both directions. `poll` polls once, without waiting long, and returns what was announced for that
/// transport since the last call.
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
/// The first law found broken.
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

/// What a poller announced for a transport.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Announced {
    /// Something can be received, or the stream has ended.
    pub readable: bool,
    /// Something can be sent.
    pub writable: bool,
}

/// Lets time pass for one end.
fn wait<T: NonBlockingTransport>(transport: &mut T) {
    if transport.wants_write() {
        // Where this fails, the calls that move bytes say so.
        let _ = transport.flush();
    }
    std::thread::yield_now();
}

/// One of the laws, numbered as in the trait's documentation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Law {
    /// No law: the connection could not be made, or its mode not set.
    Setup = 0,
    /// Nothing blocks.
    NothingBlocks = 1,
    /// `Ok(0)` from `recv` is the end of the stream, and it stays so.
    EndOfStream = 2,
    /// `Ok(0)` from `send` is forbidden.
    NoZeroSend = 3,
    /// `Ok(n)` never exceeds what was given.
    WithinBounds = 4,
    /// Interruptions are retried inside.
    InterruptionsInside = 5,
    /// Order and bytes are kept.
    OrderAndBytes = 6,
    /// `shutdown_write` ends one direction only.
    HalfClose = 7,
    /// A peer that is gone gives errors.
    PeerGone = 8,
    /// Nothing is nothing.
    EmptyBuffers = 9,
    /// It says what it holds.
    SaysWhatItHolds = 10,
    /// Less than all means no more now.
    LessMeansNoMore = 11,
    /// It is announced again.
    AnnouncedAgain = 12,
}

/// A law that does not hold, and what showed it.
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

    /// The same, where bytes or an end that went wrong show that `law` is broken.
    fn under(mut self, law: Law) -> Self {
        if matches!(self.law, Law::OrderAndBytes | Law::EndOfStream) {
            self.law = law;
        }
        self
    }

    /// Which law it is.
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
    fn the_error_is_small_and_says_law_and_cause() {
        const { assert!(size_of::<LawBroken>() <= 32) };
        let reset = io::Error::from(io::ErrorKind::ConnectionReset);
        let broken = LawBroken::because(Law::HalfClose, "the second shutdown failed", reset);
        assert_eq!(broken.to_string(), "law 7 (HalfClose): the second shutdown failed: connection reset");
        assert_eq!(LawBroken::new(Law::Setup, "no pair").to_string(), "law 0 (Setup): no pair");
    }
}
