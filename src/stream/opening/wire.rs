//! What the openings of both ends share: a transport, a deadline, and bytes in both directions.
#![forbid(unsafe_code)]

use super::deflate::Negotiated;
use super::outcome::{OpeningError, OpeningParts, Progress};
use crate::config::millis;
use crate::protocol::{Connection, Role, SharedConfig};
use crate::stream::{Wants, WebSocketStream};
use crate::transport::{NonBlockingTransport, RecvOutcome, flush_checked, recv_checked, send_checked};
use std::io;

/// The bytes received at once: enough for most heads.
pub(super) const RECEIVE_BYTES: usize = 4096;

/// The bytes behind a request that are received before it is answered.
const EARLY: usize = 16 << 10;

/// A transport in the opening handshake, with its unsent and unread bytes.
#[derive(Debug)]
pub(super) struct Wire<T> {
    pub(super) transport: T,
    role: Role,
    pub(super) config: SharedConfig,
    /// The bytes of the request or the answer; the transport has taken the first `sent`.
    pub(super) out: Vec<u8>,
    sent: usize,
    /// Bytes that arrived after the head.
    pub(super) unread: Vec<u8>,
    /// The time of the first call that had one.
    began: Option<u64>,
    /// The peer's end of stream has been received.
    ended: bool,
    /// This end has shut down its sending direction.
    shut: bool,
    pub(super) negotiated: Negotiated,
    stage: Stage,
}

/// The stage of an opening. All but the first are final.
#[derive(Debug)]
enum Stage {
    Running,
    Open,
    /// A page or a refusal was sent.
    Answered {
        status: u16,
    },
    /// There will be no WebSocket.
    Failed(OpeningError),
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
            ended: false,
            shut: false,
            negotiated: Negotiated::default(),
            stage: Stage::Running,
        })
    }

    /// Returns when the handshake times out; `None` if it is finished.
    pub(super) fn deadline(&self, now: u64) -> Option<u64> {
        let Stage::Running = self.stage else { return None };
        let opening = millis(self.config.get().timeouts.opening)?;
        Some(self.began.map_or(now, |began| began.saturating_add(opening.into())))
    }

    /// Counts the timeout from this time on.
    #[cfg(feature = "server")]
    pub(super) fn count_from(&mut self, began: u64) {
        self.began = Some(began);
    }

    /// Returns whether the handshake has timed out. The time counts from the first call that has one.
    pub(super) fn is_late(&mut self, now: Option<u64>) -> bool {
        let Some(now) = now else { return false };
        self.began.get_or_insert(now);
        self.deadline(now).is_some_and(|deadline| now >= deadline)
    }

    /// Returns the result of every further call, if the opening is finished.
    pub(super) fn finished(&self) -> Option<Result<Progress<'static>, OpeningError>> {
        match &self.stage {
            Stage::Running => None,
            Stage::Open => Some(Ok(Progress::Open)),
            Stage::Answered { status } => Some(Ok(Progress::Answered { status: *status })),
            Stage::Failed(error) => Some(Err(error.repeated())),
        }
    }

    /// Finishes with an open connection.
    pub(super) fn open(&mut self) -> Progress<'static> {
        self.stage = Stage::Open;
        Progress::Open
    }

    /// Finishes with an answer that does not accept the request.
    pub(super) fn answered(&mut self, status: u16) -> Progress<'static> {
        self.stage = Stage::Answered { status };
        Progress::Answered { status }
    }

    /// Finishes with an error.
    pub(super) fn fail(&mut self, error: OpeningError) -> OpeningError {
        self.stage = Stage::Failed(error.repeated());
        error
    }

    pub(super) fn is_open(&self) -> bool {
        matches!(self.stage, Stage::Open)
    }

    /// Returns whether the transport has taken all bytes, even if it has not sent them yet.
    pub(super) fn is_all_taken(&self) -> bool {
        self.sent == self.out.len()
    }

    /// Sends the unsent bytes, and returns whether none are left.
    pub(super) fn flush(&mut self) -> io::Result<bool> {
        if self.sent < self.out.len() {
            self.sent += send_checked(&mut self.transport, &self.out[self.sent..])?;
        }
        if self.is_all_taken() {
            flush_checked(&mut self.transport)?;
        }
        Ok(self.is_all_taken() && !self.transport.wants_write())
    }

    /// Receives once. Returns 0 if no bytes have arrived.
    pub(super) fn receive(&mut self, buffer: &mut [u8]) -> Result<usize, OpeningError> {
        match recv_checked(&mut self.transport, buffer)? {
            RecvOutcome::Bytes(n) => Ok(n),
            RecvOutcome::WouldBlock => Ok(0),
            RecvOutcome::End => {
                self.ended = true;
                Err(OpeningError::EndOfStream)
            }
        }
    }

    /// Receives what a peer sends before it is answered, up to a bound, or the error of its reset.
    pub(super) fn receive_early(&mut self) -> Result<(), OpeningError> {
        let mut buffer = [0; RECEIVE_BYTES];
        if self.unread.len() < EARLY
            && let RecvOutcome::Bytes(n) = recv_checked(&mut self.transport, &mut buffer)?
        {
            self.unread.extend_from_slice(&buffer[..n]);
        }
        Ok(())
    }

    /// Closes the connection after a refusal. Returns what to wait for, or `None` when it is closed.
    ///
    /// Sends everything, shuts down the sending direction and drains the input, because closing with unread
    /// input would reset the peer before it has read the refusal.
    pub(super) fn linger(&mut self) -> io::Result<Option<Wants>> {
        if !self.flush()? {
            return Ok(Some(self.pending_answer()));
        }
        if !self.shut {
            self.shut = true;
            self.transport.shutdown_write()?;
        }
        let mut buffer = [0; RECEIVE_BYTES];
        // A bounded loop, so that a flooding peer cannot occupy the thread.
        for _ in 0..16 {
            match recv_checked(&mut self.transport, &mut buffer)? {
                RecvOutcome::Bytes(_) => {}
                RecvOutcome::WouldBlock => return Ok(Some(self.pending(false))),
                RecvOutcome::End => return Ok(None),
            }
        }
        Ok(Some(self.pending(true)))
    }

    /// Returns what to wait for after everything was received.
    ///
    /// First sends the transport's own bytes, such as those of a TLS handshake, and what the transport takes
    /// after the handshake, because the poller may not announce a transport that is already writable.
    pub(super) fn pending_received(&mut self) -> io::Result<Wants> {
        if !self.is_all_taken() || self.transport.wants_write() {
            self.flush()?;
        }
        Ok(self.pending(false))
    }

    /// Returns what to wait for while an answer is being sent. Not for more input, which the peer may have
    /// sent and which nothing receives before the answer has left.
    pub(super) fn pending_answer(&self) -> Wants {
        Wants { read: false, ..self.pending(false) }
    }

    pub(super) fn pending(&self, again: bool) -> Wants {
        let write = !self.is_all_taken() || self.transport.wants_write();
        Wants { read: !self.ended, write, again, closed: false, refused: None }
    }

    /// Takes the wire apart. `unused` are bytes that the handshake received and did not use.
    pub(super) fn into_parts(self, unused: Vec<u8>) -> OpeningParts<T> {
        let (unread, unsent) = ([unused, self.unread].concat(), self.out[self.sent..].to_vec());
        OpeningParts { transport: self.transport, unread, unsent }
    }

    pub(super) fn into_stream(self) -> WebSocketStream<T> {
        let connection = self.negotiated.apply_to(Connection::from_shared(self.role, self.config));
        WebSocketStream::from_opening(self.transport, connection, &self.unread)
    }
}

/// Defines the public methods of both openings, which have the fields `wire` and `handshake`.
macro_rules! shared_methods {
    ($opening:ident) => {
        impl<T: NonBlockingTransport> $opening<T> {
            /// Returns when [`advance`](Self::advance) must be called even if nothing is ready.
            ///
            /// The handshake then times out. The time is in the caller's milliseconds. Returns `None` if the
            /// timeout is off, and after the connection is open or the opening has failed. The timeout counts
            /// from the first `advance` with a time; before that call, returns `now`.
            pub fn next_deadline(&self, now: u64) -> Option<u64> {
                self.wire.deadline(now)
            }

            /// Returns the transport.
            pub fn get_ref(&self) -> &T {
                &self.wire.transport
            }

            /// Returns the transport, mutably, for example to register it with a poller.
            pub fn get_mut(&mut self) -> &mut T {
                &mut self.wire.transport
            }

            /// Returns the stream after [`Progress::Open`].
            ///
            /// Drive the stream at once, with any [`Ready`](crate::Ready), because bytes may have arrived
            /// after the head.
            ///
            /// # Errors
            ///
            /// [`NotOpen`](crate::NotOpen), with the unchanged opening, if [`advance`](Self::advance) has not
            /// returned [`Progress::Open`].
            pub fn into_stream(self) -> Result<crate::WebSocketStream<T>, crate::NotOpen<Self>> {
                match self.wire.is_open() {
                    true => Ok(self.wire.into_stream()),
                    false => Err(crate::NotOpen(Box::new(self))),
                }
            }

            /// Takes the opening apart, for example to continue with an HTTP server.
            pub fn into_parts(self) -> crate::stream::OpeningParts<T> {
                self.wire.into_parts(self.handshake.into_unused())
            }
        }
    };
}
pub(super) use shared_methods;
