//! What both ends' openings share: a transport, a deadline, and bytes in both directions.
#![forbid(unsafe_code)]

use super::outcome::{OpeningError, OpeningParts};
use crate::Limits;
use crate::handshake::HeadLimits;
#[cfg(feature = "deflate")]
use crate::handshake::{Extensions, Params};
use crate::protocol::{Role, SharedConfig};
use crate::stream::{Interest, WebSocketStream};
use crate::transport::{NonBlockingTransport, Received, flush_checked, recv_checked, send_checked};
use std::io;

/// The bytes received in one call of an opening: a whole head of a usual size.
pub(super) const RECEIVE_BYTES: usize = 4096;

/// A transport in the opening handshake, bytes to send, and bytes that arrived behind the head.
#[derive(Debug)]
pub(super) struct Wire<T> {
    pub(super) transport: T,
    role: Role,
    pub(super) config: SharedConfig,
    /// The bytes of the request or the answer, of which the transport took `sent`.
    pub(super) out: Vec<u8>,
    sent: usize,
    /// Bytes that arrived behind the head.
    pub(super) unread: Vec<u8>,
    /// The time of the first call that had one.
    began: Option<u64>,
    /// Why there will be no WebSocket. Every further call repeats it.
    failure: Option<OpeningError>,
    /// The peer's end of stream has been received.
    ended: bool,
    /// This end has shut down its sending direction.
    shut: bool,
    #[cfg(feature = "deflate")]
    pub(super) agreed: Option<crate::deflate::Agreed>,
    /// The handshake is done.
    pub(super) open: bool,
}

pub(super) fn head_limits(limits: &Limits) -> HeadLimits {
    HeadLimits { bytes: limits.head_bytes, headers: limits.head_headers }
}

/// The parameters of each permessage-deflate in a list.
#[cfg(feature = "deflate")]
pub(super) fn deflate_params(extensions: Extensions<'_>) -> impl Iterator<Item = Params<'_>> {
    let deflate = extensions.filter(|extension| extension.name == crate::deflate::NAME);
    deflate.map(|extension| extension.params())
}

impl<T: NonBlockingTransport> Wire<T> {
    pub(super) fn new(mut transport: T, role: Role, config: SharedConfig) -> io::Result<Self> {
        transport.set_nonblocking()?;
        transport.set_nodelay()?;
        Ok(Self {
            transport,
            role,
            config,
            out: Vec::new(),
            sent: 0,
            unread: Vec::new(),
            began: None,
            failure: None,
            ended: false,
            shut: false,
            #[cfg(feature = "deflate")]
            agreed: None,
            open: false,
        })
    }

    /// When the handshake has taken too long. `None` if it is done or has failed.
    pub(super) fn deadline(&self, now: u64) -> Option<u64> {
        if self.open || self.failure.is_some() {
            return None;
        }
        let handshake = self.config.get().deadlines.handshake?;
        Some(self.began.map_or(now, |began| began.saturating_add(handshake.into())))
    }

    /// Begins a call: fails if the opening has failed before, or the deadline has passed.
    pub(super) fn begin(&mut self, now: Option<u64>) -> Result<(), OpeningError> {
        if let Some(failure) = &self.failure {
            return Err(failure.repeated());
        }
        let Some(now) = now else { return Ok(()) };
        self.began.get_or_insert(now);
        match self.deadline(now) {
            Some(deadline) if now >= deadline => Err(OpeningError::Deadline),
            _ => Ok(()),
        }
    }

    /// Keeps an error for further calls.
    pub(super) fn fail(&mut self, error: OpeningError) -> OpeningError {
        self.failure.get_or_insert(error.repeated());
        error
    }

    /// Whether the transport has taken all bytes, even if it has not sent all of them.
    pub(super) fn is_given(&self) -> bool {
        self.sent == self.out.len()
    }

    /// Sends what is unsent, and reports whether nothing is left.
    pub(super) fn flush(&mut self) -> io::Result<bool> {
        if self.sent < self.out.len() {
            self.sent += send_checked(&mut self.transport, &self.out[self.sent..])?;
        }
        if self.is_given() {
            flush_checked(&mut self.transport)?;
        }
        Ok(self.is_given() && !self.transport.wants_write())
    }

    /// Receives once; 0 bytes if nothing is there.
    pub(super) fn receive(&mut self, buffer: &mut [u8]) -> Result<usize, OpeningError> {
        match recv_checked(&mut self.transport, buffer)? {
            Received::Bytes(n) => Ok(n),
            Received::WouldBlock => Ok(0),
            Received::End => {
                self.ended = true;
                Err(OpeningError::EndOfStream)
            }
        }
    }

    /// Closes the connection after a refusal: sends everything, shuts down the sending direction, and
    /// drains the input, so that no reset overtakes the refusal. Returns what to wait for, or `None` when
    /// done.
    pub(super) fn linger(&mut self) -> io::Result<Option<Interest>> {
        if !self.flush()? {
            return Ok(Some(self.pending(false)));
        }
        if !self.shut {
            self.shut = true;
            self.transport.shutdown_write()?;
        }
        let mut buffer = [0; RECEIVE_BYTES];
        // Bounded, so that a flooding peer does not occupy the thread.
        for _ in 0..16 {
            match recv_checked(&mut self.transport, &mut buffer)? {
                Received::Bytes(_) => {}
                Received::WouldBlock => return Ok(Some(self.pending(false))),
                Received::End => return Ok(None),
            }
        }
        Ok(Some(self.pending(true)))
    }

    /// What to wait for after everything was received. Sends first what the transport answers on its own,
    /// as in a TLS handshake: no poller announces room that is there already.
    pub(super) fn pending_received(&mut self) -> io::Result<Interest> {
        if self.transport.wants_write() {
            self.flush()?;
        }
        Ok(self.pending(false))
    }

    pub(super) fn pending(&self, again: bool) -> Interest {
        let writable = !self.is_given() || self.transport.wants_write();
        Interest { readable: !self.ended, writable, again, over: false, refused: None }
    }

    /// Takes the wire apart; `unused` are bytes that the handshake received and did not use.
    pub(super) fn into_parts(self, unused: Vec<u8>) -> OpeningParts<T> {
        let (unread, unsent) = ([unused, self.unread].concat(), self.out[self.sent..].to_vec());
        OpeningParts { transport: self.transport, unread, unsent }
    }

    pub(super) fn into_stream(self) -> WebSocketStream<T> {
        let Self { transport, role, config, .. } = self;
        let stream = WebSocketStream::from_opening(transport, role, config, &self.unread);
        #[cfg(feature = "deflate")]
        if let Some(agreed) = self.agreed {
            return stream.with_deflate(agreed);
        }
        stream
    }
}

/// The public methods that both openings share. Each opening has a `wire` and a `handshake`.
macro_rules! shared_methods {
    ($opening:ident) => {
        impl<T: NonBlockingTransport> $opening<T> {
            /// Returns when [`advance`](Self::advance) must be called even if nothing is ready.
            ///
            /// The handshake has taken too long then. The result is in the caller's milliseconds; `None` if
            /// that deadline is off, and once the connection is open. The deadline counts from the first
            /// `advance`; before that the result is `now`.
            pub fn next_deadline(&self, now: u64) -> Option<u64> {
                self.wire.deadline(now)
            }

            /// Returns the transport.
            pub fn get_ref(&self) -> &T {
                &self.wire.transport
            }

            /// Returns the transport, to register it with a poller.
            pub fn get_mut(&mut self) -> &mut T {
                &mut self.wire.transport
            }

            /// Returns the stream after [`Progress::Open`].
            ///
            /// Drive it once at once, with any [`Ready`](crate::Ready): bytes may have arrived behind the
            /// head, and the stream keeps them.
            ///
            /// # Errors
            ///
            /// [`NotOpen`](crate::NotOpen) with the unchanged opening, if [`advance`](Self::advance) has not
            /// returned [`Progress::Open`].
            pub fn into_stream(self) -> Result<crate::WebSocketStream<T>, crate::NotOpen<Self>> {
                match self.wire.open {
                    true => Ok(self.wire.into_stream()),
                    false => Err(crate::NotOpen(Box::new(self))),
                }
            }

            /// Takes the opening apart, to continue with another HTTP server, for example.
            pub fn into_parts(self) -> crate::stream::OpeningParts<T> {
                self.wire.into_parts(self.handshake.into_unused())
            }
        }
    };
}
pub(super) use shared_methods;
