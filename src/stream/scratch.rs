//! What a thread lends to each of its connections for one call: buffers and limits.
#![forbid(unsafe_code)]

use crate::Limits;
use crate::protocol::{Input, MaskKeys, Output, Role, SharedConfig};

/// The bytes received at once: enough for the small messages of a busy connection, and they stay in the
/// second-level cache.
const RECEIVE_BYTES: usize = 64 << 10;

/// The reply bytes that are gathered before they are sent in the middle of a call.
const GATHER: usize = 64 << 10;

/// Buffers for one thread, shared by all of its connections.
///
/// A new one takes about 64 KiB, which are zeroed only then. It keeps buffers for later messages: up to 9.1 MiB in all,
/// or 12.2 MiB with compression; [`guarantees`](crate::guarantees#what-stays-when-all-have-gone) lists them. Dropping
/// the scratch frees them. No byte of one connection stays in it for the next; only a shared
/// [`Config`](crate::Config) does.
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
    /// The limits of the connection that borrows the scratch, or borrowed it last.
    pub(super) limits: CallLimits,
}

/// A [`Scratch`] lent for one call, and the time of that call.
#[derive(Debug)]
pub struct Turn<'a> {
    pub(super) scratch: &'a mut Scratch,
    /// `None` if the caller gave no time.
    pub(super) now: Option<u64>,
}

impl Scratch {
    /// Makes buffers for a thread; masking keys come from the system's cryptographic generator.
    pub fn new() -> Self {
        Self::with_output(Output::new())
    }

    /// Makes buffers with another source of masking keys: for tests that compare bytes.
    pub fn with_keys(keys: Box<dyn MaskKeys + Send>) -> Self {
        Self::with_output(Output::with_keys(keys))
    }

    fn with_output(output: Output) -> Self {
        Self { input: Input::with_capacity(RECEIVE_BYTES), output, limits: CallLimits::default() }
    }

    /// Lends the buffers for one call at this time, in milliseconds from any start of the caller's
    /// monotonic clock. Deadlines are counted in it.
    #[inline]
    pub fn at(&mut self, now: u64) -> Turn<'_> {
        Turn { scratch: self, now: Some(now) }
    }

    /// Lends the buffers for one call without a time: nothing is due in it.
    pub(super) fn untimed(&mut self) -> Turn<'_> {
        Turn { scratch: self, now: None }
    }
}

impl Default for Scratch {
    fn default() -> Self {
        Self::new()
    }
}

/// The figures of a [`Config`](crate::Config) that every call needs, computed once for all connections
/// that share it.
#[derive(Debug)]
pub(super) struct CallLimits {
    /// Keeps the configuration alive, so that no other one gets its address.
    config: SharedConfig,
    /// A frame with fewer bytes of payload can be a message that is delivered whole.
    pub(super) whole_bound: u64,
    /// The unsent bytes allowed when a message is accepted, including that message and its header.
    pub(super) data_bound: usize,
    /// The bytes that a call receives; at least one.
    pub(super) bytes: usize,
    /// The events that a call delivers; at least one.
    pub(super) events: usize,
    /// The unsent bytes above which nothing is received: of a server, and of a client.
    pauses: [Option<usize>; 2],
    /// The gathered reply bytes that are sent in the middle of a call if no earlier bytes are unsent.
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

    /// The unsent bytes above which this endpoint receives nothing.
    pub(super) fn pause(&self, role: Role) -> Option<usize> {
        let [server, client] = self.pauses;
        match role {
            Role::Server => server,
            Role::Client => client,
        }
    }

    /// Loads the limits of a configuration, which almost always are loaded already.
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
