//! What a server counts.
#![forbid(unsafe_code)]

use crate::protocol::{Cause, Closed, Fault};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

/// Defines [`Counters`], and the cells that one thread writes and any thread reads.
macro_rules! counters {
    ($($(#[$doc:meta])+ $name:ident,)+) => {
        /// What a server has counted since its start, for all of its threads together.
        ///
        /// `open`, `opening` and `unsent` are current values, the others only grow. The values are read one
        /// after the other while the server runs, so they can differ by what has just happened.
        ///
        /// ```
        /// # use websocket_stream::Message;
        /// # use websocket_stream::server::{Failure, Handler, Peer};
        /// use websocket_stream::testing::TestServer;
        /// # struct Echo;
        /// # impl Handler for Echo {
        /// #     type Session = ();
        /// #     fn message(&mut self, p: &mut Peer<'_>, _: &mut (), m: Message<'_>) -> Result<(), Failure> {
        /// #         Ok(p.send(m)?)
        /// #     }
        /// # }
        ///
        /// let mut server = TestServer::new(Echo);
        /// let client = server.connect("/")?;
        /// server.send(client, "hello")?;
        /// server.run()?;
        /// server.break_off(client);
        /// server.run()?;
        /// let counters = server.counters();
        /// assert_eq!((counters.opened, counters.open, counters.closed_abnormally), (1, 0, 1));
        /// assert_eq!((counters.messages_received, counters.bytes_sent), (1, 5));
        /// # Ok::<(), Box<dyn std::error::Error>>(())
        /// ```
        #[derive(Debug, Clone, Default, PartialEq, Eq)]
        #[non_exhaustive]
        pub struct Counters {
            $($(#[$doc])+ pub $name: u64,)+
            /// The connections that ended with a fault of the peer, by fault. A fault that has not happened
            /// is not in the list.
            pub faults: Vec<(Fault, u64)>,
        }

        #[derive(Debug, Default)]
        pub(super) struct Cells {
            $(pub(super) $name: Cell,)+
            faults: Mutex<Vec<(Fault, u64)>>,
        }

        impl Cells {
            /// Adds the values to those of other threads.
            pub(super) fn add_to(&self, counters: &mut Counters) {
                $(counters.$name = counters.$name.wrapping_add(self.$name.get());)+
                for &(fault, count) in &*self.faults.lock().unwrap_or_else(PoisonError::into_inner) {
                    add_fault(&mut counters.faults, fault, count);
                }
            }
        }
    };
}

counters! {
    /// The connections that are open, closing ones included.
    open,
    /// The connections in the opening handshake, undecided ones included.
    opening,
    /// The connections that were accepted by the system.
    accepted,
    /// The connections that were opened.
    opened,
    /// The requests in plain HTTP that were answered.
    http,
    /// The requests for a WebSocket that were answered with another status than 101.
    refused,
    /// The opening handshakes that failed: faulty, too late, or ended by the client.
    failed_openings,
    /// The connections that ended with a closing handshake.
    closed_cleanly,
    /// The connections that ended in another way. Those with a fault of the peer are also in `faults`.
    closed_abnormally,
    /// The connections that were closed because of an error of the handler.
    failures,
    /// The connections that were closed because the handler panicked.
    panics,
    /// The connections that were dropped when the grace period of a shutdown was over.
    cut_off,
    /// The messages received. A message that is delivered in chunks counts once.
    messages_received,
    /// The bytes of their payloads.
    bytes_received,
    /// The messages accepted for sending, once for each receiver. Fragments count as one message.
    messages_sent,
    /// The bytes of their payloads, before compression.
    bytes_sent,
    /// The messages, published or sent to one connection, that it did not get: it was too slow, or closing.
    dropped,
    /// The accepted bytes that the transports have not taken.
    unsent,
}

fn add_fault(faults: &mut Vec<(Fault, u64)>, fault: Fault, count: u64) {
    match faults.iter_mut().find(|entry| entry.0 == fault) {
        Some(entry) => entry.1 += count,
        None => faults.push((fault, count)),
    }
}

impl Cells {
    /// Counts the end of an open connection.
    pub(super) fn count_end(&self, end: Closed) {
        if end.is_clean() { &self.closed_cleanly } else { &self.closed_abnormally }.add(1);
        if let Cause::Fault(fault) = end.cause {
            add_fault(&mut self.faults.lock().unwrap_or_else(PoisonError::into_inner), fault, 1);
        }
    }
}

/// A number that one thread writes.
#[derive(Debug, Default)]
pub(super) struct Cell(AtomicU64);

impl Cell {
    #[inline]
    pub(super) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    #[inline]
    pub(super) fn set(&self, value: u64) {
        self.0.store(value, Ordering::Relaxed);
    }

    #[inline]
    pub(super) fn add(&self, value: u64) {
        self.set(self.get().wrapping_add(value));
    }

    #[inline]
    pub(super) fn subtract(&self, value: u64) {
        self.set(self.get().wrapping_sub(value));
    }
}

/// The messages of a thread, kept in plain numbers until the end of a round.
#[derive(Debug, Default)]
#[repr(C)]
pub(super) struct Traffic {
    // In this order, each pair is updated by two instructions. Side by side, the compiler would combine them
    // in a vector, which takes six.
    pub(super) messages_received: u64,
    pub(super) messages_sent: u64,
    pub(super) bytes_received: u64,
    pub(super) bytes_sent: u64,
}

impl Traffic {
    #[inline]
    pub(super) fn sent(&mut self, bytes: usize) {
        self.messages_sent += 1;
        self.bytes_sent += bytes as u64;
    }

    #[inline]
    pub(super) fn received(&mut self, bytes: usize) {
        self.messages_received += 1;
        self.bytes_received += bytes as u64;
    }

    #[inline]
    pub(super) fn store(&self, cells: &Cells) {
        cells.messages_received.set(self.messages_received);
        cells.bytes_received.set(self.bytes_received);
        cells.messages_sent.set(self.messages_sent);
        cells.bytes_sent.set(self.bytes_sent);
    }
}
