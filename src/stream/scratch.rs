//! The buffers of a thread, lent to each of its connections for the length of a call.
#![forbid(unsafe_code)]

use super::terms::Terms;
use crate::protocol::{Input, MaskKeys, Output};

/// How many bytes are received at once: enough for the small messages of a busy connection, and it
/// stays in the second-level cache.
const RECEIVE_BYTES: usize = 64 << 10;

/// Buffers for one thread, whatever the number of its connections.
///
/// Made once, and zeroed only then; about 64 KiB at first. It keeps buffers for later messages: at most 9.1 MiB in all,
/// or 12.2 MiB with compression, which [`guarantees`](crate::guarantees#what-stays-when-all-have-gone) lists. Dropping
/// it gives them back. Nothing of one connection is left in it for the next, but for the shared
/// [`Config`](crate::Config).
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
    /// Those of the connection that it is lent to, or was last.
    pub(super) terms: Terms,
}

/// A [`Scratch`], and what time it is.
#[derive(Debug)]
pub struct Turn<'a> {
    pub(super) scratch: &'a mut Scratch,
    /// `None`: the caller told none.
    pub(super) now: Option<u64>,
}

impl Scratch {
    /// Buffers for a thread; masking keys come from the system's cryptographic generator.
    pub fn new() -> Self {
        Self::with_output(Output::new())
    }

    /// The same with a source of masking keys: for tests that compare bytes.
    pub fn with_keys(keys: Box<dyn MaskKeys + Send>) -> Self {
        Self::with_output(Output::with_keys(keys))
    }

    fn with_output(output: Output) -> Self {
        Self { input: Input::with_capacity(RECEIVE_BYTES), output, terms: Terms::default() }
    }

    /// Lends the buffers for one call at this time, in milliseconds from any start of the caller's
    /// monotonic clock. Deadlines are counted in it.
    #[inline]
    pub fn at(&mut self, now: u64) -> Turn<'_> {
        Turn { scratch: self, now: Some(now) }
    }

    /// The same for a caller who tells no time: nothing is due in that call.
    pub(super) fn untimed(&mut self) -> Turn<'_> {
        Turn { scratch: self, now: None }
    }
}

impl Default for Scratch {
    fn default() -> Self {
        Self::new()
    }
}
