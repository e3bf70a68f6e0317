//! What an opening returns: how far it is, why it failed, and what is left of it.
#![forbid(unsafe_code)]

use crate::handshake::{Request, RequestFault, ResponseFault};
use crate::protocol::SystemError;
use crate::stream::Wants;
use std::{fmt, io};

/// Reports how far an opening is.
#[derive(Debug)]
pub enum Progress<'a> {
    /// Wait for this, and for [`next_deadline`](super::ServerOpening::next_deadline).
    Pending(Wants),
    /// A request has arrived, for a WebSocket or for a page.
    ///
    /// [`answer`](super::ServerOpening::answer) it, now or later, and advance again. Until then the opening
    /// receives nothing: wait for no readiness, only for
    /// [`next_deadline`](super::ServerOpening::next_deadline). A client's opening never returns this.
    Decide(Request<'a>),
    /// The connection is open: take the stream with `into_stream`.
    Open,
}

/// Why an opening ended without a WebSocket.
#[derive(Debug)]
#[non_exhaustive]
pub enum OpeningError {
    /// The client's request was faulty. The answer reports that, if the transport took it.
    Request(RequestFault),
    /// The server's response was faulty, or a refusal.
    Response(ResponseFault),
    /// The caller answered with another status than 101: a page, a redirect, a refusal. The answer is sent.
    Answered {
        /// The status.
        status: u16,
    },
    /// The peer ended the stream in the middle of the handshake.
    EndOfStream,
    /// The handshake took longer than [`Timeouts::opening`](crate::Timeouts::opening).
    Timeout,
    /// The system refused a call on the transport.
    System(io::Error),
}

impl OpeningError {
    /// Returns whether another attempt may succeed later.
    ///
    /// It may after a transport's error, a deadline, or a temporary refusal (status 408, 425, 429, 500, 502,
    /// 503 or 504). It fails again after a faulty request or response, any other refusal, an untrusted
    /// certificate (TLS transports report `InvalidData`), or a call that the system does not permit.
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
            Self::EndOfStream | Self::Timeout => true,
            Self::System(error) => {
                !matches!(error.kind(), InvalidData | InvalidInput | PermissionDenied | Unsupported)
            }
        }
    }

    /// The error of a further call on an opening that has failed.
    pub(super) fn repeated(&self) -> Self {
        match self {
            Self::Request(fault) => Self::Request(*fault),
            Self::Response(fault) => Self::Response(fault.repeated()),
            Self::Answered { status } => Self::Answered { status: *status },
            Self::EndOfStream => Self::EndOfStream,
            Self::Timeout => Self::Timeout,
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
            Self::Request(fault) => write!(f, "invalid request: {fault}"),
            Self::Response(fault) => write!(f, "no WebSocket from the server: {fault}"),
            Self::Answered { status } => write!(f, "request answered with status {status}, not 101"),
            Self::EndOfStream => f.write_str("end of stream in the opening handshake"),
            Self::Timeout => f.write_str("timeout: opening handshake"),
            Self::System(error) => write!(f, "transport error in the opening handshake: {error}"),
        }
    }
}

impl std::error::Error for OpeningError {
    /// What lies behind the error inside, whose own text is part of this error's.
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Request(fault) => fault.source(),
            Self::Response(fault) => fault.source(),
            Self::System(error) => error.source(),
            Self::Answered { .. } | Self::EndOfStream | Self::Timeout => None,
        }
    }
}

/// Everything that an unfinished opening consists of.
pub struct OpeningParts<T> {
    /// The transport, non-blocking.
    pub transport: T,
    /// Bytes that were received and not used. A server's begin with the request until it is answered; a
    /// client's with the body of a refusal.
    pub unread: Vec<u8>,
    /// Bytes of the request or answer that the transport did not take.
    pub unsent: Vec<u8>,
}

/// Prints lengths instead of bytes.
impl<T: fmt::Debug> fmt::Debug for OpeningParts<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OpeningParts")
            .field("transport", &self.transport)
            .field("unread", &self.unread.len())
            .field("unsent", &self.unsent.len())
            .finish()
    }
}

/// Returns the opening unchanged if there is no stream yet.
pub struct NotOpen<O>(
    /// The opening.
    pub Box<O>,
);

impl<O> fmt::Display for NotOpen<O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the opening handshake is not made yet: advance it until it is open")
    }
}

/// Works for any transport, so that `?` can pass the error on.
impl<O> fmt::Debug for NotOpen<O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NotOpen").finish_non_exhaustive()
    }
}

impl<O> std::error::Error for NotOpen<O> {}
