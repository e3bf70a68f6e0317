//! The extractor, and what follows from it: a task with the connection, or a server that adopts it.

use super::WebSocket;
use super::rejection::{Rejection, UpgradeError, into_response};
use super::stream::UpgradedStream;
use crate::config::{Config, Limits};
use crate::handshake::{OriginPolicy, ParsedRequest, Request, RequestFault, Response};
#[cfg(feature = "server")]
use crate::server::Handle;
use crate::stream::{Accepted, Upgrade};
use crate::tokio::AsyncTransport;
use axum_core::extract::{FromRequestParts, OptionalFromRequestParts};
use http::request::Parts;
use hyper::ext::Protocol;
use hyper::upgrade::OnUpgrade;
use std::borrow::Cow;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

/// Extracts a request for a WebSocket, over HTTP/1.1 or HTTP/2.
///
/// A request that is not one is rejected with the status that its fault has. A request from a page of another
/// origin is answered with 403; see [`origin`](Self::origin).
///
/// ```
/// use axum::extract::Path;
/// use axum::response::Response;
/// use websocket_stream::CloseCode;
/// use websocket_stream::axum::WebSocketUpgrade;
///
/// async fn room(Path(room): Path<String>, upgrade: WebSocketUpgrade) -> Response {
///     upgrade.max_message_size(64 << 10).protocols(["chat"]).on_upgrade(|mut ws| async move {
///         ws.send(format!("welcome to {room}")).await?;
///         ws.close(CloseCode::NORMAL, "").await
///     })
/// }
/// # let _ = axum::Router::<()>::new().route("/{room}", axum::routing::any(room));
/// ```
#[must_use = "the request is not answered"]
pub struct WebSocketUpgrade {
    upgrade: Upgrade,
    config: Arc<Config>,
    on_upgrade: OnUpgrade,
    is_allowed: bool,
    protocol: Option<String>,
    /// In a mutex only so that the extractor is `Sync`, and a handler can lend it to an `async fn`.
    on_failed_upgrade: Mutex<Option<OnFailedUpgrade>>,
}

type OnFailedUpgrade = Box<dyn FnOnce(UpgradeError) + Send>;

impl<S: Send + Sync> FromRequestParts<S> for WebSocketUpgrade {
    type Rejection = Rejection;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Rejection> {
        let protocol = parts.extensions.get::<Protocol>().map(Protocol::as_str);
        let request = ParsedRequest::from_http_parts(parts, protocol);
        let config = Arc::<Config>::default();
        let reject = |fault| Rejection::new(&request, fault);
        let upgrade = Upgrade::new(&request, Arc::clone(&config)).map_err(reject)?;
        // It is missing, for example, if the request was extracted before.
        let missing = reject(RequestFault::NotAnUpgrade);
        // A request for another protocol is left to the handler.
        let on_upgrade = parts.extensions.remove::<OnUpgrade>().ok_or(missing)?;
        let is_allowed = OriginPolicy::Same.allows(&upgrade.request());
        let on_failed_upgrade = Mutex::default();
        Ok(Self { upgrade, config, on_upgrade, is_allowed, protocol: None, on_failed_upgrade })
    }
}

/// `None` if the request does not ask for a WebSocket.
impl<S: Send + Sync> OptionalFromRequestParts<S> for WebSocketUpgrade {
    type Rejection = Rejection;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Option<Self>, Rejection> {
        match <Self as FromRequestParts<S>>::from_request_parts(parts, state).await {
            Ok(upgrade) => Ok(Some(upgrade)),
            Err(rejection) if rejection.fault() == RequestFault::NotAnUpgrade => Ok(None),
            Err(rejection) => Err(rejection),
        }
    }
}

impl WebSocketUpgrade {
    /// Returns the request.
    pub fn request(&self) -> Request<'_> {
        self.upgrade.request()
    }

    /// Decides which pages may open the connection. Default: [`OriginPolicy::Same`].
    pub fn origin(mut self, policy: OriginPolicy<'_>) -> Self {
        self.is_allowed = policy.allows(&self.request());
        self
    }

    /// Sets the configuration of the connection: limits, timeouts, compression.
    ///
    /// Connections should share one. [`max_message_size`](Self::max_message_size) and
    /// [`max_frame_size`](Self::max_frame_size) change a copy. Call this first: it replaces what they have
    /// set.
    pub fn config(mut self, config: impl Into<Arc<Config>>) -> Self {
        self.config = config.into();
        self
    }

    /// Limits the payload bytes of a received message; see [`Limits::message`].
    pub fn max_message_size(self, bytes: usize) -> Self {
        self.limits(|limits| limits.message(bytes))
    }

    /// Limits the payload bytes of a received frame; see [`Limits::frame`].
    pub fn max_frame_size(self, bytes: usize) -> Self {
        self.limits(|limits| limits.frame(bytes as u64))
    }

    fn limits(mut self, change: impl FnOnce(Limits) -> Limits) -> Self {
        let config = Arc::unwrap_or_clone(self.config);
        let limits = change(config.limits.clone());
        self.config = Arc::new(config.limits(limits));
        self
    }

    /// Enables compression, if the client offers it.
    #[cfg(feature = "deflate")]
    pub fn deflate(mut self, deflate: crate::deflate::Deflate) -> Self {
        self.config = Arc::new(Arc::unwrap_or_clone(self.config).deflate(deflate));
        self
    }

    /// Chooses the first of these subprotocols that the client offers.
    pub fn protocols<'a>(mut self, names: impl IntoIterator<Item: Into<Cow<'a, str>>>) -> Self {
        let request = self.upgrade.request();
        self.protocol = names
            .into_iter()
            .map(Into::into)
            .find_map(|name| request.subprotocols().find(|offered| *offered == name).map(str::to_owned));
        self
    }

    /// Returns the subprotocol that was chosen.
    pub fn selected_protocol(&self) -> Option<&str> {
        self.protocol.as_deref()
    }

    /// Calls `f` if the connection is not upgraded after the answer. By default, this is ignored.
    pub fn on_failed_upgrade(mut self, f: impl FnOnce(UpgradeError) + Send + 'static) -> Self {
        self.on_failed_upgrade = Mutex::new(Some(Box::new(f)));
        self
    }

    /// Answers the request, and calls `f` with the WebSocket in a task of its own.
    ///
    /// The result of `f` is dropped, so `f` may return with `?`.
    pub fn on_upgrade<F, R>(self, f: F) -> axum_core::response::Response
    where
        F: FnOnce(WebSocket) -> R + Send + 'static,
        R: Future<Output: Send> + Send + 'static,
    {
        self.answer(|accepted, on_upgrade, on_failed| async move {
            match open(accepted, on_upgrade).await {
                Ok(ws) => drop(f(ws).await),
                Err(error) => report(on_failed, error),
            }
        })
    }

    /// Answers the request, and gives the connection to a [`Server`](crate::server::Server), outside of
    /// tokio.
    ///
    /// The server calls [`Handler::adopted`](crate::server::Handler::adopted) with `value`. Only over plain
    /// TCP and HTTP/1.1: see [`UpgradeError::NotTcp`]. The connection keeps its configuration: give it
    /// [`Timeouts::SERVER`](crate::Timeouts::SERVER), because the default timeouts never find a dead peer.
    ///
    /// ```
    /// use axum::extract::State;
    /// use axum::response::Response;
    /// use websocket_stream::axum::WebSocketUpgrade;
    /// use websocket_stream::server::Handle;
    ///
    /// async fn feed(State(server): State<Handle>, upgrade: WebSocketUpgrade) -> Response {
    ///     let user = "the user of the session".to_owned();
    ///     upgrade.hand_over(server, user)
    /// }
    /// # let _ = axum::Router::<Handle>::new().route("/feed", axum::routing::any(feed));
    /// ```
    #[cfg(feature = "server")]
    pub fn hand_over(
        self,
        server: Handle,
        value: impl std::any::Any + Send,
    ) -> axum_core::response::Response {
        self.answer(|accepted, on_upgrade, on_failed| async move {
            if let Err(error) = adopt(accepted, on_upgrade, &server, value).await {
                report(on_failed, error);
            }
        })
    }

    /// Answers the request, and spawns a task that continues if it is accepted.
    fn answer<R: Future<Output = ()> + Send + 'static>(
        self,
        task: impl FnOnce(Accepted, OnUpgrade, Option<OnFailedUpgrade>) -> R,
    ) -> axum_core::response::Response {
        let Self { upgrade, config, on_upgrade, is_allowed, protocol, on_failed_upgrade } = self;
        let response = match is_allowed {
            true => Response::accept().subprotocol(protocol.as_deref()),
            false => Response::forbidden(),
        };
        match upgrade.with_config(config).answer(&response) {
            Ok((answer, accepted)) => {
                if let Some(accepted) = accepted {
                    let on_failed = on_failed_upgrade.into_inner().unwrap_or_else(PoisonError::into_inner);
                    ::tokio::spawn(task(accepted, on_upgrade, on_failed));
                }
                into_response(Ok(answer))
            }
            Err(error) => into_response(Err(error)),
        }
    }
}

fn report(on_failed: Option<OnFailedUpgrade>, error: UpgradeError) {
    if let Some(on_failed) = on_failed {
        on_failed(error);
    }
}

async fn open(accepted: Accepted, on_upgrade: OnUpgrade) -> Result<WebSocket, UpgradeError> {
    let (stream, unread) = UpgradedStream::new(on_upgrade.await?);
    if let UpgradedStream::Tcp(socket) = &stream {
        socket.set_nodelay(true)?;
    }
    Ok(WebSocket::from_stream(accepted.into_stream(AsyncTransport::new(stream), &unread)?))
}

#[cfg(feature = "server")]
async fn adopt(
    accepted: Accepted,
    on_upgrade: OnUpgrade,
    server: &Handle,
    value: impl std::any::Any + Send,
) -> Result<(), UpgradeError> {
    let (UpgradedStream::Tcp(stream), unread) = UpgradedStream::new(on_upgrade.await?) else {
        return Err(UpgradeError::NotTcp);
    };
    let stream = accepted.into_stream(stream.into_std()?, &unread)?;
    server.adopt(stream, value).map_err(UpgradeError::NotAdopted)
}

impl fmt::Debug for WebSocketUpgrade {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WebSocketUpgrade").field("request", &self.request()).finish_non_exhaustive()
    }
}
