//! What an opening returns: its progress, its error, and its parts.
#![forbid(unsafe_code)]

use crate::handshake::{Request, RequestFault, ResponseFault};
use crate::protocol::SystemError;
use crate::stream::Wants;
use std::{fmt, io};

/// The progress of an opening.
///
/// ```
/// use websocket_stream::transport::testing::memory;
/// use websocket_stream::{NonBlockingTransport, Progress, Response, Scratch, ServerOpening};
///
/// let (a, mut client) = memory::pair(4096);
/// let (mut opening, mut scratch) = (ServerOpening::new(a)?, Scratch::new());
/// let Progress::Pending(wants) = opening.advance(&mut scratch.at(0))? else { panic!() };
/// assert!(wants.read); // until the request arrives
/// client.send(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n")?;
/// let Progress::Decide(request) = opening.advance(&mut scratch.at(0))? else { panic!() };
/// assert_eq!(request.path(), "/health");
/// opening.answer(&Response::new(200))?; // a page; if it accepts, `Progress::Open` follows
/// client.shutdown_write()?;
/// assert!(matches!(opening.advance(&mut scratch.at(0))?, Progress::Answered { status: 200 }));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub enum Progress<'a> {
    /// The opening waits for the transport: do what these `Wants` ask for, and set a timer for
    /// [`next_deadline`](super::ServerOpening::next_deadline).
    Pending(Wants),
    /// A request has arrived, for a WebSocket or in plain HTTP. Only a server's opening returns this.
    ///
    /// [`answer`](super::ServerOpening::answer) the request, now or later, and advance again. Until then, the
    /// opening receives nothing: wait only for [`next_deadline`](super::ServerOpening::next_deadline).
    Decide(Request<'a>),
    /// The connection is open: take the stream with `into_stream`.
    Open,
    /// The program has answered with a status other than 101: a page, a redirect or a refusal. The answer was
    /// sent, unless the client did not take it in time: drop the opening. Only a server's opening returns
    /// this.
    Answered {
        /// The status code.
        status: u16,
    },
}

/// The reason why an opening failed.
///
/// ```
/// use websocket_stream::transport::testing::memory;
/// use websocket_stream::{ClientOpening, ClientRequest, NonBlockingTransport, OpeningError, Scratch};
///
/// let fail = |answer: &[u8]| {
///     let (a, mut server) = memory::pair(4096);
///     let mut client = ClientOpening::new(a, ClientRequest::new("localhost", "/"))?;
///     server.send(answer)?;
///     Ok::<_, std::io::Error>(client.advance(&mut Scratch::new().at(0)).unwrap_err())
/// };
/// let (refused, faulty) = (fail(b"HTTP/1.1 503 Busy\r\n\r\n")?, fail(b"SSH-2.0-OpenSSH\r\n\r\n")?);
/// assert!(matches!((&refused, &faulty), (OpeningError::Response(_), OpeningError::Response(_))));
/// assert!(refused.can_retry() && !faulty.can_retry());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub enum OpeningError {
    /// The client's request is faulty. The opening has answered with the fault's status, if the transport
    /// took the answer.
    Request(RequestFault),
    /// The server's response is faulty, or is a refusal.
    Response(ResponseFault),
    /// The peer ended the stream during the handshake.
    EndOfStream,
    /// The handshake took longer than [`Timeouts::opening`](crate::Timeouts::opening).
    Timeout,
    /// A system call on the transport failed.
    System(io::Error),
}

impl OpeningError {
    /// Returns whether another attempt may succeed later.
    ///
    /// True after most errors of the transport, the end of the stream, a timeout, or a temporary refusal
    /// (status 408, 425, 429, 500, 502 to 504, or 520 to 524 and 530 of a proxy whose origin
    /// is down). False after a faulty request or response, any other
    /// refusal, an untrusted certificate (TLS transports report `InvalidData`), or a system call that is not
    /// permitted or not supported.
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
                matches!(status, 408 | 425 | 429 | 500 | 502 | 503 | 504 | 520..=524 | 530)
            }
            Self::Request(_) | Self::Response(_) => false,
            Self::EndOfStream | Self::Timeout => true,
            Self::System(error) => {
                !matches!(error.kind(), InvalidData | InvalidInput | PermissionDenied | Unsupported)
            }
        }
    }

    /// Returns the status of the server's response, if the opening failed because of a refusal.
    ///
    /// ```
    /// use websocket_stream::OpeningError;
    /// use websocket_stream::handshake::ResponseFault;
    ///
    /// let refused = OpeningError::Response(ResponseFault::Refused { status: 401, used: 0 });
    /// assert_eq!(refused.status(), Some(401));
    /// assert_eq!(OpeningError::Timeout.status(), None);
    /// ```
    pub fn status(&self) -> Option<u16> {
        match self {
            Self::Response(ResponseFault::Refused { status, .. }) => Some(*status),
            _ => None,
        }
    }

    /// Returns the error for further calls on a failed opening.
    pub(super) fn repeated(&self) -> Self {
        match self {
            Self::Request(fault) => Self::Request(*fault),
            Self::Response(fault) => Self::Response(fault.repeated()),
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
            Self::Response(fault) => write!(f, "connection not opened: {fault}"),
            Self::EndOfStream => f.write_str("end of stream in the opening handshake"),
            Self::Timeout => f.write_str("timeout: opening handshake"),
            Self::System(error) => write!(f, "transport error in the opening handshake: {error}"),
        }
    }
}

impl std::error::Error for OpeningError {
    /// Returns the source of the wrapped error, because this error's text includes that of the wrapped error.
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::System(error) => error.source(),
            Self::Request(_) | Self::Response(_) | Self::EndOfStream | Self::Timeout => None,
        }
    }
}

/// The parts of an opening; see [`ServerOpening::into_parts`](super::ServerOpening::into_parts).
///
/// ```
/// use websocket_stream::stream::OpeningParts;
/// use websocket_stream::transport::testing::memory;
/// use websocket_stream::{NonBlockingTransport, Progress, Scratch, ServerOpening};
///
/// // A port that also serves another protocol: the request is left to other code.
/// let (a, mut client) = memory::pair(4096);
/// let mut opening = ServerOpening::new(a)?;
/// let request = b"GET /page HTTP/1.1\r\nHost: localhost\r\n\r\n";
/// client.send(request)?;
/// let Progress::Decide(_) = opening.advance(&mut Scratch::new().at(0))? else { panic!() };
/// let OpeningParts { transport: _, unread, unsent } = opening.into_parts();
/// assert_eq!((&unread[..], unsent.len()), (&request[..], 0));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct OpeningParts<T> {
    /// The transport, in non-blocking mode.
    pub transport: T,
    /// Received bytes that were not used. For a server, they begin with the request until it is answered. For
    /// a client, they begin with the body of a refusal.
    pub unread: Vec<u8>,
    /// Bytes of the request or the answer that the transport has not taken.
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

/// The error of `into_stream` before the handshake is finished.
///
/// ```
/// use websocket_stream::transport::testing::memory;
/// use websocket_stream::{ClientOpening, ClientRequest, NotOpen, Progress, Scratch};
///
/// let (a, _server) = memory::pair(4096);
/// let opening = ClientOpening::new(a, ClientRequest::new("localhost", "/"))?;
/// // Too early: the error returns the opening, which continues.
/// let Err(NotOpen(mut opening)) = opening.into_stream() else { panic!() };
/// assert!(matches!(opening.advance(&mut Scratch::new().at(0))?, Progress::Pending(_)));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct NotOpen<O>(
    /// The unchanged opening.
    pub Box<O>,
);

impl<O> fmt::Display for NotOpen<O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("unfinished opening handshake")
    }
}

/// For any transport, so that `?` can convert the error.
impl<O> fmt::Debug for NotOpen<O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NotOpen").finish_non_exhaustive()
    }
}

impl<O> std::error::Error for NotOpen<O> {}
