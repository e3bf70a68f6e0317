//! What a configuration means for a call, worked out once for all connections that share it.
#![forbid(unsafe_code)]

use crate::Limits;
use crate::protocol::{Role, SharedConfig};

/// The figures of a [`Config`](crate::Config) that every call needs.
#[derive(Debug)]
pub(super) struct Terms {
    /// Whose they are. It is held, so that no other one can come to lie in its place.
    config: SharedConfig,
    /// A frame with fewer bytes of payload can be a message that is told whole.
    pub(super) whole_bound: u64,
    /// So many bytes may be unsent, headers included, with a message that is accepted.
    pub(super) data_bound: usize,
    /// A call's budget: bytes, and events; of both at least one.
    pub(super) bytes: usize,
    pub(super) events: usize,
    /// Nothing is received while more is unsent, as a server and as a client.
    pauses: [Option<usize>; 2],
    /// Gathered bytes of replies that are sent in the middle of a call, if nothing else is unsent.
    pub(super) gather: usize,
}

/// The most bytes of replies that are gathered before they are sent in the middle of a call.
const GATHER: usize = 64 << 10;

impl Terms {
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

    /// The unsent bytes above which this end receives nothing.
    pub(super) fn pause(&self, role: Role) -> Option<usize> {
        let [server, client] = self.pauses;
        match role {
            Role::Server => server,
            Role::Client => client,
        }
    }

    /// Makes them those of a configuration, which they almost always are.
    #[inline(always)]
    pub(super) fn become_those_of(&mut self, config: &SharedConfig) {
        if !self.config.is_same(config) {
            self.change(config);
        }
    }

    #[cold]
    fn change(&mut self, config: &SharedConfig) {
        *self = Self::new(config.clone());
    }
}

impl Default for Terms {
    fn default() -> Self {
        Self::new(SharedConfig::default())
    }
}
