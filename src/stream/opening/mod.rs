//! The opening handshake on a transport, for both ends: one object, advanced by `&mut` until it is
//! done, which never moves the transport away on its own.
#![forbid(unsafe_code)]

/// What is the same for both openings, which have a `wire`.
macro_rules! shared_methods {
    ($opening:ident) => {
        impl<T: NonBlockingTransport> $opening<T> {
            /// When [`advance`](Self::advance) next wants to be called though nothing is ready, in the
            /// caller's milliseconds: then the handshake has taken too long. `None` where that deadline
            /// is off, and once it is open. It counts from the first `advance`; before that it is `now`.
            pub fn next_deadline(&self, now: u64) -> Option<u64> {
                self.wire.deadline(now)
            }

            /// The transport.
            pub fn get_ref(&self) -> &T {
                &self.wire.transport
            }

            /// The transport, to register it with a poller.
            pub fn get_mut(&mut self) -> &mut T {
                &mut self.wire.transport
            }

            /// The stream, once it is [`Progress::Open`]. Bytes that came behind the head are in it, and
            /// are read first: drive it once at once, with any [`Ready`](crate::Ready).
            ///
            /// # Errors
            ///
            /// [`NotOpen`](crate::NotOpen) with the opening as it was, before
            /// [`advance`](Self::advance) has given [`Progress::Open`].
            pub fn into_stream(self) -> Result<crate::WebSocketStream<T>, crate::NotOpen<Self>> {
                match self.wire.open {
                    true => Ok(self.wire.into_stream()),
                    false => Err(crate::NotOpen(Box::new(self))),
                }
            }

            /// Takes the opening apart, to go on without it: with an HTTP server of one's own, say.
            pub fn into_parts(self) -> crate::stream::OpeningParts<T> {
                self.wire.into_parts(self.handshake.into_unused())
            }
        }
    };
}

mod client;
mod server;
mod wire;

pub use client::ClientOpening;
pub use server::ServerOpening;

use super::Interest;
use crate::handshake::{Request, RequestFault, ResponseFault};
use crate::protocol::SystemError;
use std::{fmt, io};

/// How far an opening is.
#[derive(Debug)]
pub enum Progress<'a> {
    /// Wait for this, and for [`next_deadline`](ServerOpening::next_deadline).
    Pending(Interest),
    /// A server's request is there, for a WebSocket or for a page:
    /// [`answer`](ServerOpening::answer) it, now or later, and advance again. Until then it receives
    /// nothing: wait for no readiness, only for [`next_deadline`](ServerOpening::next_deadline). Never given
    /// by a client's opening.
    Decide(Request<'a>),
    /// It is open: take the stream with `into_stream`.
    Open,
}

/// Why an opening ended without a WebSocket.
#[derive(Debug)]
#[non_exhaustive]
pub enum OpeningError {
    /// The client's request was faulty. It was told so as far as the transport took the answer.
    Request(RequestFault),
    /// The server's response was faulty, or a refusal.
    Response(ResponseFault),
    /// The caller answered with another status than 101: a page, a redirect, a refusal. It is sent.
    Answered {
        /// The status.
        status: u16,
    },
    /// The peer ended the stream in the middle of the handshake.
    EndOfStream,
    /// The handshake took longer than [`Deadlines::handshake`](crate::Deadlines::handshake).
    Deadline,
    /// The system refused a call on the transport.
    System(io::Error),
}

impl OpeningError {
    /// Returns whether the same opening may succeed later: after an error on the way, a deadline that
    /// passed, or a refusal that is for now (status 408, 425, 429, 500, 502, 503 or 504).
    ///
    /// A faulty request or response, any other refusal, a certificate that is not trusted (TLS transports
    /// report it as `InvalidData`) and a call that the system does not permit fail again.
    ///
    /// ```
    /// use std::io::{Error, ErrorKind};
    /// use websocket_stream::OpeningError;
    ///
    /// let reset = OpeningError::from(Error::from(ErrorKind::ConnectionReset));
    /// assert!(reset.can_retry());
    /// let untrusted = OpeningError::from(Error::new(ErrorKind::InvalidData, "unknown issuer"));
    /// assert!(!untrusted.can_retry());
    /// ```
    pub fn can_retry(&self) -> bool {
        use io::ErrorKind::{InvalidData, InvalidInput, PermissionDenied, Unsupported};
        match self {
            Self::Response(ResponseFault::Refused { status, .. }) => {
                matches!(status, 408 | 425 | 429 | 500 | 502 | 503 | 504)
            }
            Self::Request(_) | Self::Response(_) | Self::Answered { .. } => false,
            Self::EndOfStream | Self::Deadline => true,
            Self::System(error) => {
                !matches!(error.kind(), InvalidData | InvalidInput | PermissionDenied | Unsupported)
            }
        }
    }

    /// The error for a further call on an opening that has failed.
    fn repeated(&self) -> Self {
        match self {
            Self::Request(fault) => Self::Request(*fault),
            Self::Response(fault) => Self::Response(fault.repeated()),
            Self::Answered { status } => Self::Answered { status: *status },
            Self::EndOfStream => Self::EndOfStream,
            Self::Deadline => Self::Deadline,
            Self::System(error) => Self::System(SystemError::from(error).into()),
        }
    }
}

impl From<io::Error> for OpeningError {
    fn from(error: io::Error) -> Self {
        Self::System(error)
    }
}

impl fmt::Display for OpeningError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Request(fault) => write!(f, "no WebSocket was opened: {fault}"),
            Self::Response(fault) => write!(f, "no WebSocket was opened: {fault}"),
            Self::Answered { status } => {
                write!(f, "the request was answered with status {status} and no WebSocket")
            }
            Self::EndOfStream => f.write_str("the peer ended the stream in the opening handshake"),
            Self::Deadline => f.write_str("the opening handshake took too long"),
            Self::System(error) => write!(f, "the transport failed in the opening handshake: {error}"),
        }
    }
}

impl std::error::Error for OpeningError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Request(fault) => Some(fault),
            Self::Response(fault) => Some(fault),
            Self::System(error) => Some(error),
            Self::Answered { .. } | Self::EndOfStream | Self::Deadline => None,
        }
    }
}

/// An opening taken apart.
pub struct OpeningParts<T> {
    /// The transport, non-blocking.
    pub transport: T,
    /// Bytes that were received and not used. A server's begin with the request until that is answered,
    /// a client's with the body of a response that refuses.
    pub unread: Vec<u8>,
    /// Bytes of the request or the answer that the transport did not take.
    pub unsent: Vec<u8>,
}

/// Lengths only.
impl<T: fmt::Debug> fmt::Debug for OpeningParts<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OpeningParts")
            .field("transport", &self.transport)
            .field("unread", &self.unread.len())
            .field("unsent", &self.unsent.len())
            .finish()
    }
}

/// There is no stream yet: the opening, given back as it was.
pub struct NotOpen<O>(
    /// The opening.
    pub Box<O>,
);

impl<O> fmt::Display for NotOpen<O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the opening handshake is not made yet: advance it until it is open")
    }
}

/// For any transport, so that it can be passed on with `?`.
impl<O> fmt::Debug for NotOpen<O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NotOpen").finish_non_exhaustive()
    }
}

impl<O> std::error::Error for NotOpen<O> {}
