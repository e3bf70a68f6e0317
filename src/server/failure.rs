//! Why a handler ends a connection, and the Close frame that follows.
#![forbid(unsafe_code)]

use crate::frame::CloseCode;
use crate::protocol::SendError;
use std::any::Any;
use std::borrow::Cow;
use std::error::Error;
use std::fmt;

/// The reason why a handler ends its connection.
///
/// Every type that implements [`Error`] can be converted with `?`; [`new`](Self::new) converts other errors.
/// What follows depends on the error:
///
/// | error | what happens |
/// | --- | --- |
/// | [`SendError::Closed`] | nothing: the connection is closing already |
/// | [`SendError::Full`] | [`Handler::failed`]; the peer is too slow: closed with 1013 (try again later) |
/// | [`Failure::close`] | the connection is closed with that code and reason |
/// | any other | [`Handler::failed`]; the connection is closed with 1011 (internal error) |
///
/// What was sent to the peer before is still delivered; what was published to its topics before, and not yet
/// delivered, reaches only the others. No further messages are received.
///
/// [`Handler::failed`]: super::Handler::failed
///
/// ```
/// # use websocket_stream::server::Handler;
/// use websocket_stream::server::{Failure, Peer};
/// use websocket_stream::{CloseCode, Message, testing::TestServer};
///
/// /// Answers a number with its double, from `Handler::message`.
/// fn double(peer: &mut Peer<'_>, message: Message<'_>) -> Result<(), Failure> {
///     let number: i64 = message.as_text().unwrap_or_default().parse()?; // any error
///     Ok(peer.send(&(2 * number).to_string())?)
/// }
/// # struct Double;
/// # impl Handler for Double {
/// #     type Session = ();
/// #     fn message(&mut self, p: &mut Peer<'_>, _: &mut (), m: Message<'_>) -> Result<(), Failure> {
/// #         double(p, m)
/// #     }
/// # }
/// let mut server = TestServer::new(Double);
/// let client = server.connect("/")?;
/// server.send(client, "twelve")?;
/// assert_eq!(server.closed(client)?.map(|end| end.code), Some(CloseCode::INTERNAL_ERROR));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
// Boxed, so that the result of a method fits in a register.
pub struct Failure(Box<Inner>);

enum Inner {
    Send(SendError),
    Close(CloseCode, Cow<'static, str>),
    Other(Box<dyn Error + Send + Sync>),
}

impl Failure {
    /// Converts an error that is not a type of its own, such as a boxed one or a text.
    pub fn new(error: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self(Box::new(Inner::Other(error.into())))
    }

    /// Closes the connection with this code and reason, which need not be an error.
    ///
    /// A code that cannot be sent counts as 1011, and a reason is cut off after 123 bytes.
    ///
    /// ```
    /// use websocket_stream::CloseCode;
    /// use websocket_stream::server::Failure;
    ///
    /// fn check(name: &str) -> Result<(), Failure> {
    ///     match name {
    ///         "" => Err(Failure::close(CloseCode::POLICY_VIOLATION, "a name is required")),
    ///         _ => Ok(()),
    ///     }
    /// }
    /// let failure = check("").unwrap_err();
    /// assert_eq!(failure.to_string(), "closed with 1008 (policy violation): a name is required");
    /// ```
    pub fn close(code: CloseCode, reason: impl Into<Cow<'static, str>>) -> Self {
        Self(Box::new(Inner::Close(code, reason.into())))
    }

    /// Returns the error that was converted, if any.
    pub fn error(&self) -> Option<&(dyn Error + 'static)> {
        match &*self.0 {
            Inner::Send(error) => Some(error),
            Inner::Close(..) => None,
            Inner::Other(error) => Some(error.as_ref()),
        }
    }

    /// Returns whether the connection was closing when a reply was refused.
    pub(super) fn is_closed(&self) -> bool {
        matches!(*self.0, Inner::Send(SendError::Closed))
    }

    /// Returns the code and the reason of the Close frame that follows.
    pub(super) fn close_frame(&self) -> (CloseCode, &str) {
        match &*self.0 {
            Inner::Send(SendError::Full) => (CloseCode::TRY_AGAIN_LATER, "peer too slow"),
            Inner::Send(_) | Inner::Other(_) => (CloseCode::INTERNAL_ERROR, ""),
            Inner::Close(code, reason) => (*code, reason),
        }
    }
}

impl<E: Error + Send + Sync + 'static> From<E> for Failure {
    #[cold]
    fn from(error: E) -> Self {
        Self(Box::new(match (&error as &dyn Any).downcast_ref::<SendError>() {
            Some(&error) => Inner::Send(error),
            None => Inner::Other(Box::new(error)),
        }))
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &*self.0 {
            Inner::Send(error) => error.fmt(f),
            Inner::Other(error) => error.fmt(f),
            Inner::Close(code, reason) if reason.is_empty() => write!(f, "closed with {code}"),
            Inner::Close(code, reason) => write!(f, "closed with {code}: {reason}"),
        }
    }
}

impl fmt::Debug for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.error() {
            Some(error) => f.debug_tuple("Failure").field(error).finish(),
            None => write!(f, "Failure({self})"),
        }
    }
}
