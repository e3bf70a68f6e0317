//! A connection under tokio: one call of the stream in each poll.

use super::clock::now;
use super::error::AsyncError;
use super::queues::Queues;
use super::timers::Timer;
use super::transport::AsyncTransport;
use super::wakers::Side;
use crate::OwnedCloseFrame;
use crate::config::{Config, Role};
use crate::frame::CloseCode;
use crate::protocol::{Cause, Closed, Event, Initiator, Message, SendError, State};
use crate::stream::{
    Delivery, Error, IfFull, Outgoing, Parts, PreparedMessage, Sent, WebSocketStream, with_thread_scratch,
};
use ::tokio::io::{AsyncRead, AsyncWrite};
use std::future::poll_fn;
use std::io;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

/// A WebSocket on any [`AsyncRead`] and [`AsyncWrite`], under tokio.
///
/// [`accept`](super::accept) and `connect` open one. There are two ways to use it:
///
/// - [`run`](Self::run) lends each message to a handler, which replies at once: without a copy, and with one
///   system call for all replies to what arrived together.
/// - [`next`](Self::next) returns messages that own their payload, and [`send`](Self::send) sends one. The
///   type is also a [`Stream`](futures_core::Stream) and a [`Sink`](futures_sink::Sink), and
///   [`split`](Self::split) makes two halves for two tasks.
///
/// Pings are answered, timeouts apply and the closing handshake advances while [`run`](Self::run) or
/// [`next`](Self::next) is awaited. So await one of them, even in a program that only sends: a call that
/// sends receives only while it has to wait for the stream.
///
/// ```
/// use tokio::net::{TcpListener, TcpStream};
/// use websocket_stream::{Event, tokio as websocket};
///
/// async fn echo(socket: TcpStream) -> Result<(), Box<dyn std::error::Error>> {
///     let mut ws = websocket::accept(socket).await?;
///     ws.run(|event, out| match event {
///         Event::Message(message) => out.send(message),
///         _ => Ok(()),
///     })
///     .await?;
///     Ok(())
/// }
/// # let _ = echo;
/// ```
///
/// # Cancellation
///
/// Every future of this type can be dropped at any time, such as by `select!`: no received and no accepted
/// message is lost, sent twice or reordered. Unread and unsent bytes belong to the connection. When a future
/// of [`send`](Self::send) is dropped, its message may be accepted, and is then sent by later calls, or not:
/// do not send it again. [`feed`](Self::feed) has accepted its message only when it returns.
///
/// # Memory
///
/// An idle connection has no buffer: the buffers belong to the thread, and are lent to one poll. The value
/// itself is one pointer, so a task that moves it between its functions stays small.
///
/// # Timeouts
///
/// [`Timeouts`](crate::Timeouts) need a runtime with `enable_time`, else setting one panics, as tokio's own
/// do. Outside of a runtime, they do not pass.
pub struct WebSocket<S>(pub(super) Box<Inner<S>>);

pub(super) struct Inner<S> {
    pub(super) stream: WebSocketStream<AsyncTransport<S>>,
    pub(super) timer: Timer,
    pub(super) queues: Queues,
    /// `next` has returned the end.
    pub(super) ended: bool,
    /// Accepted messages may have been unsent when the connection began to close.
    pub(super) owes: bool,
}

impl<S: AsyncRead + AsyncWrite + Unpin + 'static> WebSocket<S> {
    /// Creates one end on a stream that is already upgraded, with a configuration that connections can share.
    ///
    /// # Errors
    ///
    /// The system's error, if the stream is a `TcpStream` and its `TCP_NODELAY` cannot be set.
    pub fn new(io: S, role: Role, config: Arc<Config>) -> io::Result<Self> {
        WebSocketStream::with_config(AsyncTransport::new(io), role, config).map(Self::from_stream)
    }

    /// Continues a stream, in whatever state it is. Its timeouts count from now.
    pub fn from_stream(mut stream: WebSocketStream<AsyncTransport<S>>) -> Self {
        stream.restart_timeouts();
        Self(Box::new(Inner {
            stream,
            timer: Timer::default(),
            queues: Queues::default(),
            ended: false,
            owes: true,
        }))
    }

    /// Takes the connection apart; [`WebSocketStream::from_parts`] continues it on the same stream, or on
    /// what that becomes outside of tokio.
    ///
    /// # Errors
    ///
    /// [`Busy`] with the unchanged connection, if messages wait for [`next`](Self::next), or fed ones to be
    /// sent.
    pub fn into_parts(self) -> Result<Parts<S>, Busy<S>> {
        if self.0.queues.has_received() || self.0.queues.has_fed() {
            return Err(Busy(self));
        }
        let Parts { transport, connection, unread, unsent } = self.0.stream.into_parts();
        Ok(Parts { transport: transport.into_inner(), connection, unread, unsent })
    }

    /// Lends each event to a handler, until the connection has ended.
    ///
    /// Returns how it ended. The handler may return the result of its sends: replies to messages that arrive
    /// after a Close frame was sent are ignored, as in [`WebSocketStream::drive`]. To stop before the end,
    /// drop the future: the connection continues with the next call. Of what arrives while another call
    /// waits, only messages are kept for the handler. With [`Config::streaming`](crate::Config::streaming),
    /// fed messages leave before anything is received.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().enable_time().build()?.block_on(async {
    /// # use websocket_stream::tokio::WebSocket;
    /// # let (a, b) = tokio::io::duplex(4096);
    /// # let mut ws = WebSocket::new(a, websocket_stream::Role::Server, Default::default())?;
    /// # let mut client = WebSocket::new(b, websocket_stream::Role::Client, Default::default())?;
    /// # let client = async move {
    /// #     client.send("2").await.unwrap();
    /// #     assert_eq!(client.next().await.unwrap().unwrap().as_text(), Some("4"));
    /// #     client.close(websocket_stream::CloseCode::NORMAL, "").await
    /// # };
    /// # let server = async move {
    /// use websocket_stream::Event;
    ///
    /// let end = ws
    ///     .run(|event, out| match event {
    ///         Event::Message(message) => {
    ///             let number: u64 = message.as_text().and_then(|text| text.parse().ok()).unwrap_or(0);
    ///             out.send(&(number * 2).to_string())
    ///         }
    ///         _ => Ok(()),
    ///     })
    ///     .await?;
    /// assert!(end.is_clean());
    /// # Ok::<(), websocket_stream::tokio::AsyncError>(())
    /// # };
    /// # let (_, served) = tokio::join!(client, server);
    /// # served?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`AsyncError::Closed`] if the connection ended without a closing handshake. [`AsyncError::Send`] with
    /// an error of the handler: the connection continues, after that event, with the next call.
    pub fn run<'a>(
        &'a mut self,
        mut handler: impl FnMut(Event<'_>, &mut Outgoing<'_>) -> Result<(), SendError> + 'a,
    ) -> impl Future<Output = Result<Closed, AsyncError>> + 'a {
        self.try_run(move |event, out| match handler(event, out) {
            Ok(()) | Err(SendError::Closed) => Ok(()),
            Err(error) => Err(AsyncError::Send(error)),
        })
    }

    /// Calls [`run`](Self::run) with a handler that has its own error type.
    ///
    /// # Errors
    ///
    /// The handler's error, after which the connection continues with the next call, or
    /// [`AsyncError::Closed`], converted.
    // Not an `async fn`, whose future would have room for its arguments twice.
    pub fn try_run<'a, E: From<AsyncError> + 'a>(
        &'a mut self,
        mut handler: impl FnMut(Event<'_>, &mut Outgoing<'_>) -> Result<(), E> + 'a,
    ) -> impl Future<Output = Result<Closed, E>> + 'a {
        poll_fn(move |context| self.poll_run(context, &mut |event, out, _| handler(event, out)))
    }

    pub(super) fn poll_run<E: From<AsyncError>>(
        &mut self,
        context: &mut Context<'_>,
        handler: &mut impl FnMut(Event<'_>, &mut Outgoing<'_>, &mut Queues) -> Result<(), E>,
    ) -> Poll<Result<Closed, E>> {
        // Fed messages leave before the replies.
        ready!(self.poll_fed(context));
        // Messages that an earlier call has received.
        while self.0.queues.has_received() {
            if let Err(error) = self.hand_out_received(handler) {
                return Poll::Ready(Err(error));
            }
        }
        let wants = match self.drive(Side::Receiver, context, None, &mut *handler) {
            Ok(wants) => wants,
            Err(error) => {
                self.0.stream.get_mut().end(Side::Receiver);
                return Poll::Ready(Err(error));
            }
        };
        if !wants.closed {
            self.wait(context, wants);
            return Poll::Pending;
        }
        self.0.stream.get_mut().end(Side::Receiver);
        self.0.ended = true;
        Poll::Ready(self.end().map_err(E::from))
    }

    /// Sends the fed messages, unless the program has begun a message in fragments.
    fn poll_fed(&mut self, context: &mut Context<'_>) -> Poll<()> {
        while self.0.queues.has_fed() {
            self.begin(Side::Receiver, context);
            match self.send_fed(Side::Receiver) {
                Err(AsyncError::Send(SendError::Full)) => {
                    if self.advance(Side::Receiver, context).is_ready() {
                        break;
                    }
                    if self.0.queues.has_fed() {
                        return Poll::Pending;
                    }
                }
                _ => break,
            }
        }
        Poll::Ready(())
    }

    /// Hands one message that was received for [`next`](Self::next) to a handler.
    fn hand_out_received<E: From<AsyncError>>(
        &mut self,
        handler: &mut impl FnMut(Event<'_>, &mut Outgoing<'_>, &mut Queues) -> Result<(), E>,
    ) -> Result<(), E> {
        let Some(message) = self.0.queues.pop_received() else { return Ok(()) };
        let mut handled = Ok(());
        // Also if the connection has ended since. A failure is reported as the end.
        let _ = self.send_past_fed(Side::Receiver, |out, queues| {
            handled = handler(Event::Message((&message).into()), out, queues);
            Ok(())
        });
        handled
    }

    /// Returns how the connection ended, as the result of a call that waited for it.
    pub(super) fn end(&self) -> Result<Closed, AsyncError> {
        match self.0.stream.state() {
            State::Closed(end) if end.is_clean() => Ok(end),
            State::Closed(end) => Err(AsyncError::Closed(end)),
            _ => Err(AsyncError::Send(SendError::Closed)),
        }
    }
}

/// Sending without waiting.
impl<S: AsyncRead + AsyncWrite + Unpin + 'static> WebSocket<S> {
    /// Calls `f` with an [`Outgoing`], to send several messages, fragments or a ping, without waiting.
    ///
    /// What the stream does not take at once is sent by later calls, so await one.
    ///
    /// # Errors
    ///
    /// [`AsyncError::Send`] with the error of `f`, or [`AsyncError::Closed`] if the connection has ended.
    pub fn send_with(
        &mut self,
        f: impl FnOnce(&mut Outgoing<'_>) -> Result<(), SendError>,
    ) -> Result<Sent, AsyncError> {
        self.send_after_fed(|out, _| f(out))
    }

    /// Sends the fed messages, then what `f` sends: in the order in which they were accepted.
    pub(super) fn send_after_fed(
        &mut self,
        f: impl FnOnce(&mut Outgoing<'_>, &Queues) -> Result<(), SendError>,
    ) -> Result<Sent, AsyncError> {
        if let State::Closed(end) = self.0.stream.state() {
            return Err(AsyncError::Closed(end));
        }
        self.send_past_fed(Side::Sender, |out, queues| match queues.send_fed(out) {
            // A message in fragments was begun before the fed ones.
            Err(SendError::MessageUnfinished) => {
                f(out, queues)?;
                // A later call sends what is left, and reports what is lost.
                let _ = queues.send_fed(out);
                Ok(())
            }
            sent => sent.and_then(|()| f(out, queues)),
        })
    }

    /// Sends the fed messages without waiting.
    pub(super) fn send_fed(&mut self, side: Side) -> Result<Sent, AsyncError> {
        match self.0.stream.state() {
            State::Closed(end) => Err(AsyncError::Closed(end)),
            _ => self.send_past_fed(side, |out, queues| queues.send_fed(out)),
        }
    }

    /// Calls `f` for a task of `side`, also if the connection has ended, and leaves the fed messages to it.
    fn send_past_fed(
        &mut self,
        side: Side,
        f: impl FnOnce(&mut Outgoing<'_>, &mut Queues) -> Result<(), SendError>,
    ) -> Result<Sent, AsyncError> {
        let now = now();
        let Inner { stream, queues, .. } = &mut *self.0;
        let sent =
            with_thread_scratch(|scratch| stream.send_with(&mut scratch.at(now), |out| f(out, queues)));
        let ordinary = matches!(sent, Ok(Sent::Written)) && self.0.stream.state() == State::Open;
        if !ordinary || self.0.stream.config().drops_windows() {
            self.set_timer(side, now);
        }
        let wants = self.0.stream.wants();
        if wants.again || wants.closed {
            self.0.stream.get_mut().wake(Side::Receiver);
        }
        match sent {
            Ok(sent) => Ok(sent),
            Err(Error::Send(error)) => Err(AsyncError::Send(error)),
            Err(Error::System(error)) => Err(AsyncError::Closed(Closed {
                code: CloseCode::ABNORMAL,
                by: if self.0.stream.state() == State::Closing {
                    Initiator::Local
                } else {
                    Initiator::Transport
                },
                cause: Cause::System((&error).into()),
            })),
        }
    }

    /// Sends a message without waiting.
    ///
    /// # Errors
    ///
    /// See [`send_with`](Self::send_with); [`SendError::Full`] if there is no room.
    pub fn try_send<'m>(&mut self, message: impl Into<Message<'m>>) -> Result<Sent, AsyncError> {
        self.send_with(|out| out.send(message))
    }

    /// Sends a message that was encoded once, for many connections, without waiting.
    ///
    /// With [`IfFull::Drop`], drops the message if the send buffer is full.
    ///
    /// # Errors
    ///
    /// See [`send_with`](Self::send_with). With [`IfFull::Drop`], never [`SendError::Full`].
    pub fn try_send_prepared(
        &mut self,
        message: &PreparedMessage,
        if_full: IfFull,
    ) -> Result<Delivery, AsyncError> {
        match (self.send_with(|out| out.send_prepared(message)), if_full) {
            (Err(AsyncError::Send(SendError::Full)), IfFull::Drop) => Ok(Delivery::Dropped),
            (sent, _) => sent.map(Delivery::from),
        }
    }
}

/// State.
impl<S> WebSocket<S> {
    /// Returns whether the connection is open, closing or closed, and how it ended.
    pub fn state(&self) -> State {
        self.0.stream.state()
    }

    /// Returns the peer's Close frame, once any call but [`run`](Self::run) has received it. The handler of
    /// `run` receives it as [`Event::Close`] instead.
    ///
    /// ```
    /// use websocket_stream::tokio::WebSocket;
    /// use websocket_stream::{CloseCode, Role};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let (a, b) = tokio::io::duplex(4096);
    /// let mut ws = WebSocket::new(a, Role::Client, Default::default())?;
    /// let mut server = WebSocket::new(b, Role::Server, Default::default())?;
    /// server.start_close(CloseCode::new(4001), "token expired")?;
    /// # let server = tokio::spawn(async move { server.run(|_, _| Ok(())).await });
    /// assert!(ws.next().await.is_none());
    /// let frame = ws.close_frame().ok_or("no Close frame")?;
    /// assert_eq!((frame.code, frame.reason.as_str()), (CloseCode::new(4001), "token expired"));
    /// # server.await??;
    /// # Ok(())
    /// # }
    /// ```
    pub fn close_frame(&self) -> Option<&OwnedCloseFrame> {
        self.0.queues.close_frame()
    }

    /// Returns the inner stream.
    pub fn get_ref(&self) -> &S {
        self.0.stream.get_ref().get_ref()
    }

    /// Returns the inner stream, mutably. Sending or receiving on it directly corrupts the stream of frames.
    pub fn get_mut(&mut self) -> &mut S {
        self.0.stream.get_mut().get_mut()
    }

    /// Returns the connection on its transport.
    pub fn stream(&self) -> &WebSocketStream<AsyncTransport<S>> {
        &self.0.stream
    }
}

impl<S> std::fmt::Debug for WebSocket<S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WebSocket")
            .field("role", &self.0.stream.role())
            .field("state", &self.state())
            .finish_non_exhaustive()
    }
}

/// The error of [`WebSocket::into_parts`], with the unchanged connection: received messages wait for
/// [`WebSocket::next`], or fed ones to be sent.
///
/// ```
/// use websocket_stream::tokio::{Busy, WebSocket};
/// use websocket_stream::Role;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let (a, _b) = tokio::io::duplex(4096);
/// let mut ws = WebSocket::new(a, Role::Server, Default::default())?;
/// ws.feed("hello").await?;
/// let Err(Busy(mut ws)) = ws.into_parts() else { panic!() };
/// ws.flush().await?;
/// assert!(ws.into_parts().is_ok());
/// # Ok(())
/// # }
/// ```
pub struct Busy<S>(pub WebSocket<S>);

impl<S> std::fmt::Debug for Busy<S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Busy").field(&self.0).finish()
    }
}

impl<S> std::fmt::Display for Busy<S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("messages wait to be returned or sent")
    }
}

impl<S> std::error::Error for Busy<S> {}
