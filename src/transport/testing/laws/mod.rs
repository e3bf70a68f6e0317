//! A test suite for the laws of [`NonBlockingTransport`]: [`check`] any implementation in a test.
//!
//! ```
//! use websocket_stream::transport::testing::{laws, memory};
//!
//! laws::check(|| Ok(memory::pair(1000)))?;
//! # Ok::<(), laws::LawBroken>(())
//! ```
//!
//! The suite cannot detect a raised signal, nor return from a call that really blocks.
#![forbid(unsafe_code)]

mod calls;
mod law;
mod pair;
mod polled;
mod scenarios;

pub use law::{Announced, Law, LawBroken};

use crate::transport::NonBlockingTransport;
use law::wait;
use std::io;

/// Tests a transport against the laws.
///
/// Each call of `make` returns a new connection: the transport under test, and its peer, which should be
/// known to be sound (it is tested too).
///
/// ```
/// use std::net::{TcpListener, TcpStream};
/// use websocket_stream::transport::testing::laws;
///
/// let listener = TcpListener::bind("127.0.0.1:0")?;
/// laws::check(|| {
///     let socket = TcpStream::connect(listener.local_addr()?)?;
///     Ok((socket, listener.accept()?.0))
/// })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
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
/// ```
/// use std::cell::Cell;
/// use websocket_stream::transport::testing::{laws, memory};
///
/// let waits = Cell::new(0);
/// laws::check_with(|| Ok(memory::pair(1000)), |_, _| waits.set(waits.get() + 1))?;
/// assert!(waits.get() > 0);
/// # Ok::<(), laws::LawBroken>(())
/// ```
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
/// use websocket_stream::transport::testing::laws::{self, Announced};
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
