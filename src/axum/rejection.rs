//! Why a request is not upgraded.

use crate::handshake::{Answer, ParsedRequest, RequestFault, Response, ResponseError};
#[cfg(feature = "server")]
use crate::server::NotAdopted;
use axum_core::body::Body;
use axum_core::response::IntoResponse;
use http::StatusCode;
use std::{fmt, io};

/// The answer to a request that is not a valid request for a WebSocket.
///
/// With an `Option<WebSocketUpgrade>`, a route answers requests in plain HTTP itself; with a `Result`, also
/// faulty ones.
///
/// ```
/// use axum::response::{IntoResponse, Response};
/// use websocket_stream::CloseCode;
/// use websocket_stream::axum::{Rejection, WebSocketUpgrade};
/// use websocket_stream::handshake::RequestFault;
///
/// async fn page(upgrade: Result<WebSocketUpgrade, Rejection>) -> Response {
///     match upgrade {
///         Ok(upgrade) => upgrade.on_upgrade(|mut ws| async move {
///             ws.send("hello").await?;
///             ws.close(CloseCode::NORMAL, "").await
///         }),
///         Err(error) if error.fault() == RequestFault::NotAnUpgrade => "a page".into_response(),
///         Err(error) => error.into_response(),
///     }
/// }
/// # let _ = axum::Router::<()>::new().route("/", axum::routing::any(page));
/// ```
#[derive(Debug)]
pub struct Rejection {
    fault: RequestFault,
    answer: Result<Answer, ResponseError>,
}

impl Rejection {
    pub(super) fn new(request: &ParsedRequest<'_>, fault: RequestFault) -> Self {
        Self { fault, answer: request.refuse(&Response::from(fault)) }
    }

    /// Returns the reason.
    pub fn fault(&self) -> RequestFault {
        self.fault
    }
}

impl IntoResponse for Rejection {
    fn into_response(self) -> axum_core::response::Response {
        into_response(self.answer)
    }
}

impl fmt::Display for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.fault.fmt(f)
    }
}

impl std::error::Error for Rejection {}

/// Converts an answer, or the reason why it cannot be sent, which is the program's fault.
pub(super) fn into_response(answer: Result<Answer, ResponseError>) -> axum_core::response::Response {
    let response = match answer {
        Ok(answer) => http::Response::<Body>::try_from(answer).map_err(|error| error.to_string()),
        Err(error) => Err(error.to_string()),
    };
    response.unwrap_or_else(|error| (StatusCode::INTERNAL_SERVER_ERROR, error).into_response())
}

/// The reason why a request was answered, and its connection was then not upgraded.
///
/// ```
/// use axum::response::Response;
/// use websocket_stream::axum::{UpgradeError, WebSocketUpgrade};
///
/// async fn feed(upgrade: WebSocketUpgrade) -> Response {
///     let log = |error: UpgradeError| eprintln!("not upgraded: {error}");
///     upgrade.on_failed_upgrade(log).on_upgrade(|mut ws| async move { ws.send("hello").await })
/// }
/// # let _ = axum::Router::<()>::new().route("/feed", axum::routing::any(feed));
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub enum UpgradeError {
    /// The HTTP connection failed, or its server does not support upgrades.
    Http(hyper::Error),
    /// A system call failed.
    System(io::Error),
    /// The event loop has not taken the connection.
    #[cfg(feature = "server")]
    NotAdopted(NotAdopted),
    /// The connection is not plain TCP over HTTP/1.1, so an event loop cannot take it.
    #[cfg(feature = "server")]
    NotTcp,
}

impl From<hyper::Error> for UpgradeError {
    fn from(error: hyper::Error) -> Self {
        Self::Http(error)
    }
}

impl From<io::Error> for UpgradeError {
    fn from(error: io::Error) -> Self {
        Self::System(error)
    }
}

impl fmt::Display for UpgradeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Http(error) => write!(f, "connection not upgraded: {error}"),
            Self::System(error) => write!(f, "connection not upgraded: {error}"),
            #[cfg(feature = "server")]
            Self::NotAdopted(error) => error.fmt(f),
            #[cfg(feature = "server")]
            Self::NotTcp => f.write_str("connection not adopted: not plain TCP"),
        }
    }
}

impl std::error::Error for UpgradeError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Http(error) => error.source(),
            Self::System(error) => error.source(),
            #[cfg(feature = "server")]
            Self::NotAdopted(_) | Self::NotTcp => None,
        }
    }
}
