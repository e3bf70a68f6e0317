//! Connections that were opened elsewhere, and continue on a server's event loop.
#![forbid(unsafe_code)]

use super::failure::Failure;
use super::handler::Handler;
use super::peer::Peer;
use super::slot::{Flags, Slot, Stage};
use super::table::Table;
use crate::stream::{Ready, WebSocketStream};
use crate::transport::NonBlockingTransport;
use crate::wheel::Wheel;
use std::io::{self, ErrorKind};

impl<T: NonBlockingTransport, S> Table<T, S> {
    /// Adds a connection that is open, and returns its key. Then call [`opened`](Self::opened).
    pub(super) fn adopt(&mut self, mut stream: WebSocketStream<T>, session: S) -> io::Result<usize> {
        // Earlier calls may have had the times of another clock.
        stream.restart_timeouts();
        let key = self
            .slots
            .insert(Wheel::MAX_KEY, |generation| Slot::new(generation, Stage::Open(stream, session)))
            .ok_or(ErrorKind::OutOfMemory)?;
        self.common.hub.cells.accepted.add(1);
        Ok(key)
    }

    /// Continues with a connection that has just opened: `method` is what the handler is called with. Bytes
    /// may have arrived unannounced.
    pub(super) fn opened<H: Handler<Session = S>>(
        &mut self,
        key: usize,
        now: u64,
        handler: &mut H,
        method: impl FnOnce(&mut H, &mut Peer<'_>, &mut S) -> Result<(), Failure>,
    ) {
        if let Some(slot) = self.slots.get_mut(key)
            && let Stage::Open(stream, _) = &slot.stage
        {
            slot.flags.set(Flags::ASKS, stream.config().drops_windows());
        }
        let cells = &self.common.hub.cells;
        cells.opened.add(1);
        cells.open.add(1);
        self.with_peer(key, now, handler, method);
        if self.common.terms.shutting_down {
            // It was accepted before.
            self.close_for_shutdown(key, now, handler);
        }
        self.call(key, Ready::UNKNOWN, now, handler);
    }
}
