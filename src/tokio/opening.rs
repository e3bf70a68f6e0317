//! Opening handshakes under tokio.

use super::clock::now;
use super::error::AcceptError;
use super::timers::Timer;
use super::transport::AsyncTransport;
use super::websocket::WebSocket;
use crate::config::Config;
use crate::handshake::{ClientRequest, OriginPolicy, Request, Response};
use crate::stream::{
    ClientOpening, NotOpen, OpeningError, Progress, ServerOpening, Wants, WebSocketStream,
    with_thread_scratch,
};
use ::tokio::io::{AsyncRead, AsyncWrite};
use std::future::poll_fn;
use std::io::{self, ErrorKind};
use std::sync::Arc;
use std::task::{Context, Poll, ready};

/// Accepts a WebSocket on a stream, such as a `TcpStream`.
///
/// A request from a page of another origin is refused with 403, and a request in plain HTTP with 426; see
/// [`accept_with`] to decide.
///
/// ```
/// use websocket_stream::ClientRequest;
/// use websocket_stream::tokio::{accept, client};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let (a, b) = tokio::io::duplex(4096); // in a program, a `TcpStream` that was accepted
/// let request = ClientRequest::new("localhost", "/");
/// let (server, client) = tokio::join!(accept(a), client(b, request, Default::default()));
/// let (mut server, mut client) = (server?, client?);
/// server.send("welcome").await?;
/// assert_eq!(client.next().await.ok_or("the end")??.as_text(), Some("welcome"));
/// # Ok(())
/// # }
/// ```
///
/// # Errors
///
/// [`AcceptError`] with the reason.
pub fn accept<S>(io: S) -> impl Future<Output = Result<WebSocket<S>, AcceptError>>
where
    S: AsyncRead + AsyncWrite + Unpin + 'static,
{
    decided(Opening::new(io), |request| OriginPolicy::Same.answer(request))
}

/// Accepts a WebSocket with a configuration that connections can share, and a decision about the request.
///
/// The decision also gets requests in plain HTTP. To decide with an `await`, use [`Opening`].
///
/// Nothing else checks the page's origin: a server that knows its users by a cookie uses [`OriginPolicy`], as
/// [`accept`] does. For a configuration alone, the decision is
/// `|request| OriginPolicy::Same.answer(request)`.
///
/// ```
/// use std::sync::Arc;
/// use tokio::net::TcpStream;
/// use websocket_stream::tokio::{AcceptError, WebSocket, accept_with};
/// use websocket_stream::{Config, OriginPolicy, Response};
///
/// async fn chat(socket: TcpStream, config: Arc<Config>) -> Result<WebSocket<TcpStream>, AcceptError> {
///     accept_with(socket, config, |request| match request.path() {
///         "/health" => Response::new(200).body("up\n"),
///         _ if !OriginPolicy::Same.allows(request) => Response::forbidden(),
///         "/chat" => Response::accept().subprotocol(request.select_subprotocol(&["chat"])),
///         _ => Response::new(404),
///     })
///     .await
/// }
/// # let _ = chat;
/// ```
///
/// # Errors
///
/// [`AcceptError`] with the reason, or with the status of an answer that does not accept.
pub fn accept_with<S, D>(
    io: S,
    config: Arc<Config>,
    decide: D,
) -> impl Future<Output = Result<WebSocket<S>, AcceptError>>
where
    S: AsyncRead + AsyncWrite + Unpin + 'static,
    D: FnOnce(&Request<'_>) -> Response,
{
    decided(Opening::with_config(io, config), decide)
}

/// Finishes an opening with a decision about its request.
fn decided<S, D>(
    opening: io::Result<Opening<S>>,
    decide: D,
) -> impl Future<Output = Result<WebSocket<S>, AcceptError>>
where
    S: AsyncRead + AsyncWrite + Unpin + 'static,
    D: FnOnce(&Request<'_>) -> Response,
{
    let (mut opening, mut decide) = (Some(opening), Some(decide));
    // Not an `async` block, so that the future of a task stays small.
    poll_fn(move |context| {
        let Some(Ok(Opening(handshake))) = &mut opening else {
            // Also if it is polled again after its end.
            let error = opening.take().and_then(Result::err).unwrap_or(ErrorKind::InvalidInput.into());
            return Poll::Ready(Err(error.into()));
        };
        loop {
            match ready!(handshake.poll(context))? {
                Step::Decide => match (handshake.opening.request(), decide.take()) {
                    (Some(request), Some(decide)) => handshake.answer(&decide(&request))?,
                    _ => return Poll::Pending,
                },
                Step::Answered { status } => return Poll::Ready(Err(AcceptError::Answered { status })),
                Step::Open => {
                    let Some(Ok(Opening(handshake))) = opening.take() else { return Poll::Pending };
                    return Poll::Ready(handshake.into_websocket().map_err(AcceptError::from));
                }
            }
        }
    })
}

/// Opens a WebSocket as a client, on a stream that is connected.
///
/// ```
/// use websocket_stream::tokio::{accept_with, client};
/// use websocket_stream::{ClientRequest, Response};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let (a, b) = tokio::io::duplex(4096); // in a program, a stream to the server, such as a tunnel
/// let server = accept_with(a, Default::default(), |request| match request.header("Cookie") {
///     Some(_) => Response::accept(),
///     None => Response::forbidden(),
/// });
/// let request = ClientRequest::new("localhost", "/").header("Cookie", "session=31415926");
/// let (server, client) = tokio::join!(server, client(b, request, Default::default()));
/// assert!(server.is_ok() && client.is_ok());
/// # Ok(())
/// # }
/// ```
///
/// # Errors
///
/// [`OpeningError`] with the reason.
// Not an `async fn`, whose future would have room for its arguments.
pub fn client<S>(
    io: S,
    request: ClientRequest,
    config: Arc<Config>,
) -> impl Future<Output = Result<WebSocket<S>, OpeningError>>
where
    S: AsyncRead + AsyncWrite + Unpin + 'static,
{
    let handshake = ClientOpening::with_config(AsyncTransport::new(io), request, config).map(Handshake::new);
    async {
        let mut handshake = handshake?;
        poll_fn(|context| handshake.poll(context)).await?;
        Ok(WebSocket::from_stream(opened(handshake.opening.into_stream())?))
    }
}

/// A server's opening handshake, for a program that awaits something before it answers.
///
/// The program alone decides, also about the page's origin: see [`OriginPolicy`].
///
/// ```
/// # use websocket_stream::tokio::{AcceptError, Opening, WebSocket};
/// # use websocket_stream::{OriginPolicy, Response};
/// # use tokio::net::TcpStream;
/// # async fn name_of(token: Vec<u8>) -> Option<String> { String::from_utf8(token).ok() }
/// async fn open(socket: TcpStream) -> Result<(String, WebSocket<TcpStream>), AcceptError> {
///     let mut opening = Opening::new(socket)?;
///     let request = opening.request().await?;
///     let is_allowed = OriginPolicy::Same.allows(&request);
///     let token = request.header("Authorization").unwrap_or_default().to_vec();
///     match name_of(token).await {
///         Some(name) if is_allowed => Ok((name, opening.answer(&Response::accept()).await?)),
///         // An error, with status 403.
///         _ => Ok((String::new(), opening.answer(&Response::forbidden()).await?)),
///     }
/// }
/// # let _ = open;
/// ```
// In a box, so that the future of a task does not keep room for it.
pub struct Opening<S>(Box<Handshake<ServerOpening<AsyncTransport<S>>>>);

/// The handshake of either end, and its timeout.
struct Handshake<O> {
    opening: O,
    timer: Timer,
}

impl<O> Handshake<O> {
    fn new(opening: O) -> Box<Self> {
        Box::new(Self { opening, timer: Timer::default() })
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin + 'static> Opening<S> {
    /// Begins the handshake on an accepted stream.
    ///
    /// # Errors
    ///
    /// The system's error, if the stream is a `TcpStream` and its `TCP_NODELAY` cannot be set.
    pub fn new(io: S) -> io::Result<Self> {
        let opening = ServerOpening::new(AsyncTransport::new(io))?;
        Ok(Self(Handshake::new(opening)))
    }

    /// Begins the handshake with a configuration that connections can share.
    ///
    /// # Errors
    ///
    /// See [`new`](Self::new).
    pub fn with_config(io: S, config: Arc<Config>) -> io::Result<Self> {
        let opening = ServerOpening::with_config(AsyncTransport::new(io), config)?;
        Ok(Self(Handshake::new(opening)))
    }

    /// Returns the request once it has arrived, for a WebSocket or in plain HTTP.
    ///
    /// # Errors
    ///
    /// [`OpeningError`], also after the timeout of the opening handshake.
    pub async fn request(&mut self) -> Result<Request<'_>, OpeningError> {
        poll_fn(|context| self.0.poll(context)).await?;
        self.0.opening.request().ok_or_else(|| OpeningError::System(ErrorKind::InvalidInput.into()))
    }

    /// Answers the request, and opens the connection if the answer accepts it.
    ///
    /// # Errors
    ///
    /// [`AcceptError`] with the reason, or with the status of an answer that does not accept. An answer that
    /// cannot be sent is replaced by status 500, whose body is the reason.
    pub fn answer(
        mut self,
        response: &Response,
    ) -> impl Future<Output = Result<WebSocket<S>, AcceptError>> + use<S> {
        let answered = self.0.answer(response);
        async move {
            answered?;
            match poll_fn(|context| self.0.poll(context)).await? {
                Step::Answered { status } => Err(AcceptError::Answered { status }),
                Step::Decide | Step::Open => Ok(self.0.into_websocket()?),
            }
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin + 'static> Handshake<ServerOpening<AsyncTransport<S>>> {
    fn answer(&mut self, response: &Response) -> io::Result<()> {
        let answered = self.opening.answer_or_500(response);
        answered.map_err(|error| io::Error::new(ErrorKind::InvalidInput, error))
    }

    fn into_websocket(self) -> io::Result<WebSocket<S>> {
        opened(self.opening.into_stream()).map(WebSocket::from_stream)
    }
}

/// Returns the stream of a handshake that is known to be finished.
fn opened<S, O>(stream: Result<WebSocketStream<S>, NotOpen<O>>) -> io::Result<WebSocketStream<S>> {
    stream.map_err(|_| ErrorKind::InvalidInput.into())
}

/// The progress of a handshake.
enum Step {
    Decide,
    Open,
    Answered { status: u16 },
}

/// What both ends' openings have in common.
trait Advance {
    fn advance_at(&mut self, context: &Context<'_>, now: u64) -> Result<Result<Step, Wants>, OpeningError>;
    fn deadline(&self, now: u64) -> Option<u64>;
}

macro_rules! advance {
    ($opening:ident) => {
        impl<S: AsyncRead + AsyncWrite + Unpin + 'static> Advance for $opening<AsyncTransport<S>> {
            fn advance_at(
                &mut self,
                context: &Context<'_>,
                now: u64,
            ) -> Result<Result<Step, Wants>, OpeningError> {
                self.get_mut().set_waker(context.waker());
                let wants = with_thread_scratch(|scratch| {
                    Ok::<_, OpeningError>(match self.advance(&mut scratch.at(now))? {
                        Progress::Decide(_) => Ok(Step::Decide),
                        Progress::Open => Ok(Step::Open),
                        Progress::Answered { status } => Ok(Step::Answered { status }),
                        Progress::Pending(wants) => Err(wants),
                    })
                })?;
                Ok(wants.map_err(|wants| {
                    let waits = self.get_ref().waits();
                    // An answer is sent before anything more is received.
                    let is_woken = if wants.write { waits.write } else { waits.read || !wants.read };
                    Wants { again: wants.again || !is_woken, ..wants }
                }))
            }

            fn deadline(&self, now: u64) -> Option<u64> {
                self.next_deadline(now)
            }
        }
    };
}

advance!(ServerOpening);
advance!(ClientOpening);

impl<O: Advance> Handshake<O> {
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Result<Step, OpeningError>> {
        let now = now();
        match self.opening.advance_at(context, now) {
            Ok(Ok(step)) => Poll::Ready(Ok(step)),
            Ok(Err(wants)) => {
                self.timer.set(self.opening.deadline(now), now, context.waker());
                self.timer.set_waker(context.waker());
                if wants.again {
                    context.waker().wake_by_ref();
                }
                Poll::Pending
            }
            Err(error) => Poll::Ready(Err(error)),
        }
    }
}

impl<S> std::fmt::Debug for Opening<S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Opening").finish_non_exhaustive()
    }
}
