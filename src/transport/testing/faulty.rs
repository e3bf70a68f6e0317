//! A faulty transport for tests: short calls, refusals, interruptions and a disaster, all drawn from a seed.
//!
//! ```
//! use std::io::ErrorKind;
//! use websocket_stream::transport::NonBlockingTransport;
//! use websocket_stream::transport::testing::{faulty::{Faulty, Weather}, memory};
//!
//! let (a, mut b) = memory::pair(1 << 10);
//! let mut a = Faulty::new(a, 42).weather(Weather { short: 256, ..Weather::CALM });
//! assert!((1..=100).contains(&a.send(&[7; 100])?), "perhaps not all of it");
//! assert!(b.recv(&mut [0; 100])? > 0);
//! # Ok::<(), std::io::Error>(())
//! ```
#![forbid(unsafe_code)]

use crate::transport::NonBlockingTransport;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use std::io::{self, ErrorKind, IoSlice};

/// The frequency of each fault, in calls out of 256: 0 is never, 256 is always.
///
/// ```
/// use websocket_stream::transport::testing::faulty::{Faulty, Weather};
/// use websocket_stream::transport::{NonBlockingTransport, testing::memory};
///
/// let (a, _b) = memory::pair(4096);
/// let mut a = Faulty::new(a, 7).weather(Weather { refused: 128, ..Weather::CALM });
/// let refused = (0..1000).filter(|_| a.send(&[1]).is_err()).count();
/// assert!((400..600).contains(&refused)); // about 128 of 256
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Weather {
    /// The call returns `WouldBlock` without need.
    pub refused: u16,
    /// The call moves only the first of the bytes that it could, often a single one. This breaks law 11 of
    /// transports: do not wait for readiness after such a call.
    pub short: u16,
    /// The call returns [`Interrupted`](ErrorKind::Interrupted). This breaks law 5 of transports, but a
    /// caller should tolerate it.
    pub interrupted: u16,
}

impl Weather {
    /// No faults.
    pub const CALM: Self = Self { refused: 0, short: 0, interrupted: 0 };
    /// A third of the calls are refused, half of the others are short, and some are interrupted.
    pub const STORM: Self = Self { refused: 85, short: 128, interrupted: 16 };
}

/// A permanent failure of a transport.
///
/// See the example of [`Faulty`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Disaster {
    /// The connection is reset: the inner transport is dropped, so that its peer notices too.
    Reset,
    /// The peer appears to have ended its direction. The other direction still works.
    EndOfStream,
    /// Sending fails with [`BrokenPipe`](ErrorKind::BrokenPipe); receiving still works.
    BrokenPipe,
    /// Every call returns `WouldBlock` forever, as if the cable were cut.
    Silence,
}

/// A transport with temporary faults, and at most one permanent failure.
///
/// One seed and one sequence of calls always have the same outcomes.
///
/// ```
/// use websocket_stream::transport::testing::faulty::{Disaster, Faulty, Weather};
/// use websocket_stream::{NonBlockingTransport, Ready, Scratch, WebSocketStream};
///
/// let (a, mut server) = websocket_stream::transport::testing::memory::pair(4096);
/// let faulty = Faulty::new(a, 42).weather(Weather::STORM).disaster(100, Disaster::EndOfStream);
/// let mut client = WebSocketStream::client(faulty)?;
/// server.send(b"\x81\x05Hello")?;
/// let (mut scratch, mut events) = (Scratch::new(), Vec::new());
/// while !client.wants().closed {
///     client.drive(&mut scratch.at(0), Ready::UNKNOWN, |event, _| {
///         events.push(format!("{event:?}"));
///         Ok(())
///     })?;
/// }
/// assert_eq!((events.len(), &*events[0]), (2, "Message(Text(\"Hello\"))")); // and the end
/// assert_eq!(client.get_ref().happened(), Some(Disaster::EndOfStream));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Faulty<T> {
    /// `None` after a reset.
    inner: Option<T>,
    random: StdRng,
    weather: Weather,
    /// The next disaster, and the number of calls before it.
    coming: Option<(u32, Disaster)>,
    happened: Option<Disaster>,
    /// The end of the stream was received, and is permanent.
    ended: bool,
    /// The sending direction was shut down: sends fail, and are no longer refused at random.
    shut: bool,
}

impl<T> Faulty<T> {
    /// Wraps a transport, with no faults and no disaster.
    pub fn new(inner: T, seed: u64) -> Self {
        let random = StdRng::seed_from_u64(seed);
        Self {
            inner: Some(inner),
            random,
            weather: Weather::CALM,
            coming: None,
            happened: None,
            ended: false,
            shut: false,
        }
    }

    /// Sets the frequency of faults.
    #[must_use]
    pub fn weather(self, weather: Weather) -> Self {
        Self { weather, ..self }
    }

    /// Sets a disaster, which happens after this many more calls that send or receive.
    #[must_use]
    pub fn disaster(self, after: u32, disaster: Disaster) -> Self {
        Self { coming: Some((after, disaster)), ..self }
    }

    /// Returns the disaster that has happened, if any.
    pub fn happened(&self) -> Option<Disaster> {
        self.happened
    }

    /// Returns the inner transport, or `None` after [`Disaster::Reset`].
    pub fn get_ref(&self) -> Option<&T> {
        self.inner.as_ref()
    }

    /// Returns the inner transport mutably, or `None` after [`Disaster::Reset`].
    pub fn get_mut(&mut self) -> Option<&mut T> {
        self.inner.as_mut()
    }

    fn one_of_256(&mut self, odds: u16) -> bool {
        odds > 0 && self.random.random_range(0..256) < odds
    }

    /// Counts a call, and triggers the disaster when it is due.
    fn count(&mut self) {
        match self.coming {
            Some((0, disaster)) => {
                self.coming = None;
                self.happened = Some(disaster);
                match disaster {
                    Disaster::Reset => self.inner = None,
                    Disaster::EndOfStream => self.ended = true,
                    Disaster::BrokenPipe | Disaster::Silence => {}
                }
            }
            Some((after, disaster)) => self.coming = Some((after - 1, disaster)),
            None => {}
        }
    }

    /// Returns the inner transport, and how many of `wanted` bytes the call may move.
    fn call(&mut self, wanted: usize, sending: bool) -> io::Result<(&mut T, usize)> {
        match self.happened {
            Some(Disaster::BrokenPipe) if sending => return Err(ErrorKind::BrokenPipe.into()),
            Some(Disaster::Silence) => return Err(ErrorKind::WouldBlock.into()),
            _ => {}
        }
        if self.one_of_256(self.weather.interrupted) {
            return Err(ErrorKind::Interrupted.into());
        }
        if !(sending && self.shut) && self.one_of_256(self.weather.refused) {
            return Err(ErrorKind::WouldBlock.into());
        }
        let mut most = wanted;
        if wanted > 1 && self.one_of_256(self.weather.short) {
            // Half of the time a single byte: that cut finds the most bugs.
            most = if self.random.random() { 1 } else { self.random.random_range(1..wanted) };
        }
        let inner = self.inner.as_mut().ok_or(ErrorKind::ConnectionReset)?;
        Ok((inner, most))
    }
}

impl<T: NonBlockingTransport> NonBlockingTransport for Faulty<T> {
    fn set_nonblocking(&mut self) -> io::Result<()> {
        self.inner.as_mut().map_or(Ok(()), T::set_nonblocking)
    }

    fn recv(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        self.count();
        if self.ended {
            return Ok(0);
        }
        let (inner, most) = self.call(buffer.len(), false)?;
        let n = inner.recv(&mut buffer[..most])?;
        self.ended = n == 0;
        Ok(n)
    }

    fn send(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if bytes.is_empty() {
            return Ok(0);
        }
        self.count();
        let (inner, most) = self.call(bytes.len(), true)?;
        inner.send(&bytes[..most])
    }

    fn send_vectored(&mut self, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
        let total = pieces.iter().fold(0, |sum: usize, piece| sum.saturating_add(piece.len()));
        if total == 0 {
            return Ok(0);
        }
        self.count();
        let (inner, most) = self.call(total, true)?;
        let mut left = most;
        let mut cut = Vec::with_capacity(pieces.len());
        for piece in pieces {
            let n = piece.len().min(left);
            cut.push(IoSlice::new(&piece[..n]));
            left -= n;
        }
        inner.send_vectored(&cut)
    }

    fn shutdown_write(&mut self) -> io::Result<()> {
        self.shut = true;
        match self.happened {
            Some(Disaster::Silence) => Ok(()),
            _ => self.inner.as_mut().map_or(Ok(()), T::shutdown_write),
        }
    }

    fn set_nodelay(&mut self) -> io::Result<()> {
        self.inner.as_mut().map_or(Ok(()), T::set_nodelay)
    }

    fn holds_input(&self) -> bool {
        // After a broken pipe, the other direction still works.
        matches!(self.happened, None | Some(Disaster::BrokenPipe))
            && self.inner.as_ref().is_some_and(T::holds_input)
    }

    fn wants_write(&self) -> bool {
        // At the end of the peer's stream, this direction still works.
        matches!(self.happened, None | Some(Disaster::EndOfStream))
            && self.inner.as_ref().is_some_and(T::wants_write)
    }

    fn flush(&mut self) -> io::Result<()> {
        match self.happened {
            Some(Disaster::Silence) => Err(ErrorKind::WouldBlock.into()),
            _ => self.inner.as_mut().map_or(Ok(()), T::flush),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transport::testing::laws::{self, Law};
    use crate::transport::testing::memory;

    fn kind(outcome: io::Result<usize>) -> Result<usize, ErrorKind> {
        outcome.map_err(|error| error.kind())
    }

    #[test]
    fn without_interruptions_it_keeps_the_laws_except_the_one_about_short_calls() {
        let check = |seed, weather| {
            laws::check(|| {
                let (a, b) = memory::pair(3000);
                Ok((Faulty::new(a, seed).weather(weather), b))
            })
        };
        for seed in 0..2 {
            for weather in [Weather { short: 0, ..Weather::STORM }, Weather { short: 64, ..Weather::STORM }] {
                let weather = Weather { interrupted: 0, ..weather };
                check(seed, weather).unwrap_or_else(|broken| panic!("seed {seed}: {broken}"));
            }
            let broken = check(seed, Weather { short: 256, ..Weather::CALM }).unwrap_err();
            assert_eq!(broken.law(), Law::LessMeansNoMore, "seed {seed}: {broken}");
        }
    }

    #[test]
    fn one_seed_always_gives_one_sequence_of_outcomes() {
        let outcomes = |seed| {
            let (a, b) = memory::pair(1 << 16);
            let mut a = Faulty::new(a, seed).weather(Weather::STORM);
            let outcomes: Vec<_> = (0..100).map(|_| kind(a.send(&[0; 50]))).collect();
            drop(b);
            outcomes
        };
        let first = outcomes(1);
        assert_eq!(first, outcomes(1));
        assert_ne!(first, outcomes(2));
        for wanted in [Ok(1), Ok(50), Err(ErrorKind::WouldBlock), Err(ErrorKind::Interrupted)] {
            assert!(first.contains(&wanted), "{wanted:?}");
        }
        assert!(first.iter().any(|outcome| matches!(outcome, Ok(2..50))));
    }

    #[test]
    fn pieces_are_cut_like_one_slice() {
        let (a, mut b) = memory::pair(100);
        let mut a = Faulty::new(a, 3).weather(Weather { short: 256, ..Weather::CALM });
        let mut expected = Vec::new();
        for _ in 0..10 {
            let pieces = [IoSlice::new(b"ab"), IoSlice::new(b""), IoSlice::new(b"cdefg")];
            let taken = a.send_vectored(&pieces).unwrap();
            assert!((1..7).contains(&taken));
            expected.extend_from_slice(&b"abcdefg"[..taken]);
        }
        let mut received = [0; 100];
        let n = b.recv(&mut received).unwrap();
        assert_eq!(received[..n], expected);
        assert_eq!(kind(a.send_vectored(&[IoSlice::new(b"")])), Ok(0));
    }

    #[test]
    fn both_ends_notice_a_reset() {
        let (a, mut b) = memory::pair(10);
        let mut a = Faulty::new(a, 0).disaster(1, Disaster::Reset);
        assert_eq!(kind(b.send(b"x")), Ok(1));
        assert_eq!(kind(a.send(b"y")), Ok(1));
        assert_eq!((a.happened(), a.get_ref().is_some()), (None, true));
        assert_eq!(kind(a.recv(&mut [0])), Err(ErrorKind::ConnectionReset));
        assert_eq!(kind(a.send(b"y")), Err(ErrorKind::ConnectionReset));
        assert_eq!((a.happened(), a.get_ref().is_some()), (Some(Disaster::Reset), false));
        assert!(a.shutdown_write().is_ok());
        assert_eq!(kind(b.recv(&mut [0])), Ok(1));
        assert_eq!(kind(b.recv(&mut [0])), Err(ErrorKind::ConnectionReset));
    }

    #[test]
    fn the_other_disasters_leave_the_rest_working() {
        let at_once = |disaster| {
            let (a, mut b) = memory::pair(10);
            assert_eq!(kind(b.send(b"xy")), Ok(2));
            (Faulty::new(a, 0).disaster(0, disaster), b)
        };
        let (mut a, mut b) = at_once(Disaster::EndOfStream);
        assert_eq!((kind(a.recv(&mut [0])), kind(a.recv(&mut [0]))), (Ok(0), Ok(0)));
        assert_eq!((kind(a.send(b"z")), kind(b.recv(&mut [0]))), (Ok(1), Ok(1)));

        let (mut a, _b) = at_once(Disaster::BrokenPipe);
        assert_eq!((kind(a.send(b"z")), kind(a.recv(&mut [0]))), (Err(ErrorKind::BrokenPipe), Ok(1)));

        let (mut a, mut b) = at_once(Disaster::Silence);
        let nothing = Err(ErrorKind::WouldBlock);
        assert_eq!((kind(a.send(b"z")), kind(a.recv(&mut [0]))), (nothing, nothing));
        assert!(a.shutdown_write().is_ok());
        assert_eq!(kind(b.recv(&mut [0])), nothing);
    }

    /// A transport that always holds input.
    struct Full;

    impl NonBlockingTransport for Full {
        fn set_nonblocking(&mut self) -> io::Result<()> {
            Ok(())
        }

        fn recv(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            Ok(buffer.len())
        }

        fn send(&mut self, bytes: &[u8]) -> io::Result<usize> {
            Ok(bytes.len())
        }

        fn shutdown_write(&mut self) -> io::Result<()> {
            Ok(())
        }

        fn holds_input(&self) -> bool {
            true
        }
    }

    #[test]
    fn input_that_is_held_can_be_received_after_a_broken_pipe_only() {
        for (disaster, holds) in
            [(Disaster::BrokenPipe, true), (Disaster::EndOfStream, false), (Disaster::Reset, false)]
        {
            let mut a = Faulty::new(Full, 0).disaster(0, disaster);
            assert!(a.holds_input());
            assert_eq!(a.send(b"z").is_err(), disaster != Disaster::EndOfStream);
            assert_eq!(a.holds_input(), holds, "{disaster:?}");
        }
    }
}
