//! What a thread lends to a connection for one call: buffers and limits.
#![forbid(unsafe_code)]

use crate::Limits;
use crate::protocol::{Input, MaskKeys, Output, Role, SharedConfig};
use std::cell::Cell;

/// The bytes received at once. Large enough for the small messages of a busy connection, and small enough to
/// stay in the second-level cache.
const RECEIVE_BYTES: usize = 64 << 10;

/// The number of gathered reply bytes at which they are sent in the middle of a call.
const GATHER: usize = 64 << 10;

/// The buffers of one thread, shared by all of its connections.
///
/// A new scratch takes about 64 KiB, which are zeroed only once. It keeps used buffers for later messages: up
/// to 9.1 MiB in all, or 12.5 MiB with compression;
/// [`guarantees`](crate::guarantees#memory-that-a-thread-keeps) lists them. Dropping the scratch frees all
/// of them. No connection can read the bytes of another one. Between two calls, a scratch also keeps the
/// shared [`Config`](crate::Config) of the connection that used it last.
///
/// ```
/// use websocket_stream::Scratch;
///
/// let mut scratch = Scratch::new();
/// let now = 0; // milliseconds, from the caller's clock
/// let turn = scratch.at(now);
/// # drop(turn);
/// ```
#[derive(Debug)]
pub struct Scratch {
    pub(super) input: Input,
    pub(super) output: Output,
    /// The limits of the connection that uses the scratch, or used it last.
    pub(super) limits: CallLimits,
}

/// A [`Scratch`] that is lent for one call, and the time of that call.
///
/// ```
/// use std::time::Instant;
/// use websocket_stream::{Error, Ready, Scratch, Turn, testing};
///
/// /// Everything that one event needs: all its calls share the buffers and the time.
/// fn greet(stream: &mut testing::MemoryWebSocket, turn: &mut Turn<'_>) -> Result<(), Error> {
///     stream.send(turn, "Hello")?;
///     stream.drive(turn, Ready::READABLE, |_, _| Ok(()))?;
///     Ok(())
/// }
/// let (start, mut scratch) = (Instant::now(), Scratch::new());
/// let (mut server, mut client) = testing::open_pair(4096)?;
/// let now = start.elapsed().as_millis() as u64; // once for each round of the event loop
/// greet(&mut server, &mut scratch.at(now))?;
/// assert_eq!(client.read()?.1, b"Hello");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Turn<'a> {
    pub(super) scratch: &'a mut Scratch,
    /// `None` for a call without a time.
    pub(super) now: Option<u64>,
}

impl Scratch {
    /// Creates buffers for a thread.
    ///
    /// Masking keys come from a cryptographic generator, seeded by the system.
    pub fn new() -> Self {
        Self::with_output(Output::new())
    }

    /// Creates buffers with another source of masking keys, for tests that compare bytes.
    pub fn with_keys(keys: Box<dyn MaskKeys + Send>) -> Self {
        Self::with_output(Output::with_keys(keys))
    }

    fn with_output(output: Output) -> Self {
        Self { input: Input::with_capacity(RECEIVE_BYTES), output, limits: CallLimits::default() }
    }

    /// Lends the buffers for one call at time `now`.
    ///
    /// The time is in milliseconds, from a monotonic clock of the caller with any fixed start. Timeouts count
    /// in this time.
    #[inline]
    pub fn at(&mut self, now: u64) -> Turn<'_> {
        Turn { scratch: self, now: Some(now) }
    }

    /// Lends the buffers for one call without a time, in which no deadline passes.
    pub(super) fn untimed(&mut self) -> Turn<'_> {
        Turn { scratch: self, now: None }
    }
}

impl Default for Scratch {
    fn default() -> Self {
        Self::new()
    }
}

thread_local! {
    /// Taken for one call, and given back.
    static SCRATCH: Cell<Option<Box<Scratch>>> = const { Cell::new(None) };
}

/// Lends the thread's own scratch, or a new one if the scratch is already lent or the thread is ending.
#[inline]
pub(crate) fn with_thread_scratch<R>(f: impl FnOnce(&mut Scratch) -> R) -> R {
    let mut scratch = SCRATCH.try_with(Cell::take).ok().flatten().unwrap_or_else(new_scratch);
    let result = f(&mut scratch);
    // Fails only if the thread is ending.
    let _ = SCRATCH.try_with(|kept| kept.set(Some(scratch)));
    result
}

#[cold]
fn new_scratch() -> Box<Scratch> {
    Box::default()
}

/// The limits that every call needs, computed once for all connections that share a
/// [`Config`](crate::Config).
#[derive(Debug)]
pub(super) struct CallLimits {
    /// Keeps the configuration alive, so that its address stays unique.
    config: SharedConfig,
    /// The payload size, in bytes, from which no frame is delivered as a whole message.
    pub(super) whole_bound: u64,
    /// The maximum number of unsent bytes when a message is accepted, including that message and its header.
    pub(super) data_bound: usize,
    /// The maximum number of bytes that a call receives; at least 1.
    pub(super) bytes: usize,
    /// The maximum number of events that a call delivers; at least 1.
    pub(super) events: usize,
    /// The number of unsent bytes above which a server, and a client, receives nothing.
    pauses: [Option<usize>; 2],
    /// The number of gathered reply bytes at which they are sent in the middle of a call, if no earlier bytes
    /// are unsent.
    pub(super) gather: usize,
}

impl CallLimits {
    fn new(config: SharedConfig) -> Self {
        let limits = &config.get().limits;
        let &Limits { call_bytes, call_events, pause_reading, .. } = limits;
        let pauses = [Role::Server, Role::Client].map(|role| pause_reading.above(role, limits));
        Self {
            whole_bound: config.get().whole_bound(),
            data_bound: config.get().limits.data_bound(),
            bytes: call_bytes.max(1),
            events: call_events.max(1),
            pauses,
            gather: pauses.into_iter().flatten().fold(GATHER, usize::min).max(1),
            config,
        }
    }

    /// Returns the number of unsent bytes above which this role receives nothing.
    pub(super) fn pause(&self, role: Role) -> Option<usize> {
        let [server, client] = self.pauses;
        match role {
            Role::Server => server,
            Role::Client => client,
        }
    }

    /// Loads the limits of a configuration, unless they are loaded already, as they almost always are.
    #[inline(always)]
    pub(super) fn load_for(&mut self, config: &SharedConfig) {
        if !self.config.is_same(config) {
            self.load(config);
        }
    }

    #[cold]
    fn load(&mut self, config: &SharedConfig) {
        *self = Self::new(config.clone());
    }
}

impl Default for CallLimits {
    fn default() -> Self {
        Self::new(SharedConfig::default())
    }
}
