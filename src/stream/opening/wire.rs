//! What both ends' openings do on their transport.
#![forbid(unsafe_code)]

use super::{OpeningError, OpeningParts};
use crate::Limits;
use crate::handshake::HeadLimits;
#[cfg(feature = "deflate")]
use crate::handshake::{Extensions, Params};
use crate::protocol::{Role, SharedConfig};
use crate::stream::{Interest, WebSocketStream};
use crate::transport::{NonBlockingTransport, Received, flush_checked, recv_checked, send_checked};
use std::io;

/// What both ends' openings have: a transport, bytes to send, and bytes that came behind the head.
#[derive(Debug)]
pub(super) struct Wire<T> {
    pub(super) transport: T,
    role: Role,
    pub(super) config: SharedConfig,
    pub(super) out: Vec<u8>,
    pub(super) sent: usize,
    pub(super) unread: Vec<u8>,
    pub(super) began: Option<u64>,
    /// Why there will be no WebSocket: every further call says so again.
    failure: Option<OpeningError>,
    pub(super) ended: bool,
    pub(super) shut: bool,
    #[cfg(feature = "deflate")]
    pub(super) agreed: Option<crate::deflate::Agreed>,
    /// The handshake is made.
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

/// The bytes received in one call of an opening; a whole head of a usual size.
pub(super) const RECEIVE_BYTES: usize = 4096;

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

    /// `None` for a handshake that is made or has failed.
    pub(super) fn deadline(&self, now: u64) -> Option<u64> {
        if self.open || self.failure.is_some() {
            return None;
        }
        let handshake = self.config.get().deadlines.handshake?;
        Some(self.began.map_or(now, |began| began.saturating_add(handshake.into())))
    }

    /// Fails again as before, or because the deadline has passed.
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

    /// Keeps an error, which is final.
    pub(super) fn fail(&mut self, error: OpeningError) -> OpeningError {
        self.failure.get_or_insert(error.repeated());
        error
    }

    /// Whether the transport has taken all; it may hold some of it.
    pub(super) fn is_given(&self) -> bool {
        self.sent == self.out.len()
    }

    /// Whether all is sent.
    pub(super) fn flush(&mut self) -> io::Result<bool> {
        if self.sent < self.out.len() {
            self.sent += send_checked(&mut self.transport, &self.out[self.sent..])?;
        }
        if self.is_given() {
            flush_checked(&mut self.transport)?;
        }
        Ok(self.is_given() && !self.transport.wants_write())
    }

    /// Receives once, into a buffer on the stack.
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

    /// After a refusal: everything sent, the sending direction shut, the rest drained, so that the
    /// refusal is not lost to a reset. Where that is not done, what to wait for.
    pub(super) fn linger(&mut self) -> io::Result<Option<Interest>> {
        if !self.flush()? {
            return Ok(Some(self.pending(false)));
        }
        if !self.shut {
            self.shut = true;
            self.transport.shutdown_write()?;
        }
        let mut buffer = [0; RECEIVE_BYTES];
        // Bounded, so that a peer that floods does not hold the thread.
        for _ in 0..16 {
            match recv_checked(&mut self.transport, &mut buffer)? {
                Received::Bytes(_) => {}
                Received::WouldBlock => return Ok(Some(self.pending(false))),
                Received::End => return Ok(None),
            }
        }
        Ok(Some(self.pending(true)))
    }

    /// What to wait for after everything was received. What answers by itself in the transport, as in TLS's
    /// handshake, is sent first: no poller announces room that is there already.
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

    /// What is left of it, with bytes that its owner took and did not use.
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
