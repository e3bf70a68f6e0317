//! Two halves of a connection, for two tasks.

use super::error::AsyncError;
use super::queues::Queues;
use super::wakers::Side;
use super::websocket::WebSocket;
use crate::frame::CloseCode;
use crate::protocol::{Closed, Message, SendError, State};
use crate::stream::{Delivery, IfFull, Outgoing, PreparedMessage, Sent};
use crate::{OwnedCloseFrame, OwnedMessage};
use ::tokio::io::{AsyncRead, AsyncWrite};
use futures_core::{FusedStream, Stream};
use futures_sink::Sink;
use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

/// The half of a connection that sends; see [`WebSocket::split`].
///
/// ```
/// use websocket_stream::tokio::WebSocket;
/// use websocket_stream::{Role, Sent};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let (a, b) = tokio::io::duplex(64 << 10);
/// let mut peer = WebSocket::new(b, Role::Client, Default::default())?;
/// let (mut sender, receiver) = WebSocket::new(a, Role::Server, Default::default())?.split();
/// for price in ["3.14", "3.15", "3.16"] {
///     sender.feed(price).await?;
/// }
/// sender.flush().await?; // all of them in one write
/// assert_eq!(peer.next().await.ok_or("the end")??.as_text(), Some("3.14"));
/// # drop(receiver);
/// # Ok(())
/// # }
/// ```
pub struct Sender<S>(Arc<Mutex<WebSocket<S>>>);

/// The half of a connection that receives; see [`WebSocket::split`].
///
/// It also answers pings and applies timeouts, so poll it, even if no messages are expected. After it is
/// dropped, calls of the other half discard the messages that arrive.
///
/// ```
/// use websocket_stream::Role;
/// use websocket_stream::tokio::WebSocket;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let (a, b) = tokio::io::duplex(4096);
/// let mut peer = WebSocket::new(b, Role::Client, Default::default())?;
/// let (sender, mut receiver) = WebSocket::new(a, Role::Server, Default::default())?.split();
/// peer.send("hello").await?;
/// assert_eq!(receiver.next().await.ok_or("the end")??.as_text(), Some("hello"));
/// let ws = receiver.reunite(sender).expect("both halves of one connection");
/// assert_eq!(ws.state(), websocket_stream::State::Open);
/// # Ok(())
/// # }
/// ```
pub struct Receiver<S>(Half<S>);

/// The receiver's share of the connection.
struct Half<S> {
    shared: Arc<Mutex<WebSocket<S>>>,
    /// The halves are together again.
    reunited: bool,
}

impl<S> Drop for Half<S> {
    fn drop(&mut self) {
        if !self.reunited {
            let ws = &mut *lock(&self.shared).0;
            ws.queues.discard_received();
            // Perhaps it receives no more, because too many messages waited.
            ws.stream.get_mut().wake(Side::Sender);
        }
    }
}

/// Locks the connection for one poll. No lock is held across an await.
fn lock<S>(half: &Mutex<WebSocket<S>>) -> MutexGuard<'_, WebSocket<S>> {
    half.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<S: AsyncRead + AsyncWrite + Unpin + 'static> WebSocket<S> {
    /// Splits the connection into two halves, which two tasks can use at once.
    ///
    /// The connection is closed when both halves are dropped. With
    /// [`Config::streaming`](crate::Config::streaming), do not split it: only [`run`](Self::run) receives
    /// chunks.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().enable_time().build()?.block_on(async {
    /// # use websocket_stream::{CloseCode, Role, tokio::WebSocket};
    /// # let (a, b) = tokio::io::duplex(4096);
    /// # let ws = WebSocket::new(a, Role::Server, Default::default())?;
    /// # let mut client = WebSocket::new(b, Role::Client, Default::default())?;
    /// let (mut sender, mut receiver) = ws.split();
    /// let sending = tokio::spawn(async move {
    ///     for number in 0..3 {
    ///         sender.send(number.to_string()).await?;
    ///     }
    ///     sender.close(CloseCode::NORMAL, "").await
    /// });
    /// let receiving = tokio::spawn(async move {
    ///     while let Some(message) = receiver.next().await {
    ///         println!("{}", message?);
    ///     }
    ///     Ok::<(), websocket_stream::tokio::AsyncError>(())
    /// });
    /// # client.send("hello").await?;
    /// # for number in 0..3 {
    /// #     let message = client.next().await.ok_or("the end")??;
    /// #     assert_eq!(message.as_text(), Some(&*number.to_string()));
    /// # }
    /// # assert!(client.next().await.is_none());
    /// # drop(client);
    /// assert!(sending.await??.is_clean());
    /// receiving.await??;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn split(self) -> (Sender<S>, Receiver<S>) {
        let shared = Arc::new(Mutex::new(self));
        (Sender(Arc::clone(&shared)), Receiver(Half { shared, reunited: false }))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin + 'static> Receiver<S> {
    /// Returns the next message; see [`WebSocket::next`].
    ///
    /// # Errors
    ///
    /// See [`WebSocket::next`].
    pub async fn next(&mut self) -> Option<Result<OwnedMessage, AsyncError>> {
        poll_fn(|context| lock(&self.0.shared).poll_next_message(context)).await
    }

    /// Puts the halves together again.
    ///
    /// # Errors
    ///
    /// [`ReuniteError`] with both halves, if they are not of one connection.
    pub fn reunite(mut self, sender: Sender<S>) -> Result<WebSocket<S>, ReuniteError<S>> {
        if !Arc::ptr_eq(&self.0.shared, &sender.0) {
            return Err(ReuniteError(self, sender));
        }
        self.0.reunited = true;
        drop(self);
        // Only the sender is left.
        Arc::try_unwrap(sender.0)
            .map(|shared| shared.into_inner().unwrap_or_else(PoisonError::into_inner))
            .map_err(|shared| {
                let receiver = Self(Half { shared: Arc::clone(&shared), reunited: false });
                ReuniteError(receiver, Sender(shared))
            })
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin + 'static> Sender<S> {
    /// Sends a message, and waits until the stream has taken it; see [`WebSocket::send`].
    ///
    /// # Errors
    ///
    /// See [`WebSocket::send`].
    pub async fn send(&mut self, message: impl Into<OwnedMessage>) -> Result<(), AsyncError> {
        let message = message.into();
        self.send_all(|out, _| out.send(&message)).await
    }

    /// Sends a message that was encoded once, for many connections; see [`send`](Self::send).
    ///
    /// # Errors
    ///
    /// See [`WebSocket::send`].
    pub async fn send_prepared(&mut self, message: &PreparedMessage) -> Result<(), AsyncError> {
        self.send_all(|out, _| out.send_prepared(message)).await
    }

    async fn send_all(
        &mut self,
        send: impl Fn(&mut Outgoing<'_>, &Queues) -> Result<(), SendError>,
    ) -> Result<(), AsyncError> {
        let mut accepted = false;
        poll_fn(|context| lock(&self.0).poll_send(context, &mut accepted, &send)).await
    }

    /// Accepts a message, which is sent together with others; see [`WebSocket::feed`].
    ///
    /// A receiver that waits already does not send it, so [`flush`](Self::flush) after the last one.
    ///
    /// # Errors
    ///
    /// See [`WebSocket::feed`].
    pub async fn feed(&mut self, message: impl Into<OwnedMessage>) -> Result<(), AsyncError> {
        poll_fn(|context| lock(&self.0).poll_ready_to_feed(context)).await?;
        lock(&self.0).start_feed(message.into())
    }

    /// Sends the fed messages, and waits until the stream has taken everything.
    ///
    /// # Errors
    ///
    /// See [`WebSocket::send`].
    pub async fn flush(&mut self) -> Result<(), AsyncError> {
        poll_fn(|context| lock(&self.0).poll_flush_all(context)).await
    }

    /// Sends a message without waiting; see [`WebSocket::try_send`].
    ///
    /// # Errors
    ///
    /// See [`WebSocket::try_send`].
    pub fn try_send<'m>(&mut self, message: impl Into<Message<'m>>) -> Result<Sent, AsyncError> {
        lock(&self.0).try_send(message)
    }

    /// Sends a message that was encoded once, without waiting; see [`WebSocket::try_send_prepared`].
    ///
    /// # Errors
    ///
    /// See [`WebSocket::try_send_prepared`].
    pub fn try_send_prepared(
        &mut self,
        message: &PreparedMessage,
        if_full: IfFull,
    ) -> Result<Delivery, AsyncError> {
        lock(&self.0).try_send_prepared(message, if_full)
    }

    /// Sends a Close frame without waiting; see [`WebSocket::start_close`].
    ///
    /// # Errors
    ///
    /// See [`WebSocket::start_close`].
    pub fn start_close(&mut self, code: CloseCode, reason: &str) -> Result<(), AsyncError> {
        lock(&self.0).start_close(code, reason)
    }

    /// Calls `f` with an [`Outgoing`], without waiting; see [`WebSocket::send_with`].
    ///
    /// `f` runs while the connection is locked: it must not use the other half.
    ///
    /// # Errors
    ///
    /// See [`WebSocket::send_with`].
    pub fn send_with(
        &mut self,
        f: impl FnOnce(&mut Outgoing<'_>) -> Result<(), SendError>,
    ) -> Result<Sent, AsyncError> {
        lock(&self.0).send_with(f)
    }

    /// Sends a Close frame, and waits until the connection has ended.
    ///
    /// Messages that arrive meanwhile are kept for [`Receiver::next`]; with
    /// [`Config::streaming`](crate::Config::streaming), their chunks are dropped.
    ///
    /// # Errors
    ///
    /// See [`WebSocket::close`].
    pub async fn close(&mut self, code: CloseCode, reason: &str) -> Result<Closed, AsyncError> {
        poll_fn(|context| lock(&self.0).poll_start_close(context, code, reason)).await?;
        poll_fn(|context| lock(&self.0).poll_end(context)).await
    }
}

impl<S> Sender<S> {
    /// Returns whether the connection is open, closing or closed, and how it ended.
    pub fn state(&self) -> State {
        lock(&self.0).state()
    }
}

impl<S> Receiver<S> {
    /// Returns the peer's Close frame, once one of the halves has received it.
    pub fn close_frame(&self) -> Option<OwnedCloseFrame> {
        lock(&self.0.shared).close_frame().cloned()
    }

    /// Returns whether the connection is open, closing or closed, and how it ended.
    pub fn state(&self) -> State {
        lock(&self.0.shared).state()
    }
}

/// See [`WebSocket::next`].
impl<S: AsyncRead + AsyncWrite + Unpin + 'static> Stream for Receiver<S> {
    type Item = Result<OwnedMessage, AsyncError>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        lock(&self.0.shared).poll_next_message(context)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin + 'static> FusedStream for Receiver<S> {
    fn is_terminated(&self) -> bool {
        lock(&self.0.shared).is_terminated()
    }
}

/// See [`WebSocket`], which is a [`Sink`], too.
impl<S: AsyncRead + AsyncWrite + Unpin + 'static> Sink<OwnedMessage> for Sender<S> {
    type Error = AsyncError;

    fn poll_ready(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<(), AsyncError>> {
        lock(&self.0).poll_ready_to_feed(context)
    }

    fn start_send(self: Pin<&mut Self>, message: OwnedMessage) -> Result<(), AsyncError> {
        lock(&self.0).start_feed(message)
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<(), AsyncError>> {
        lock(&self.0).poll_flush_all(context)
    }

    fn poll_close(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<(), AsyncError>> {
        Pin::new(&mut *lock(&self.0)).poll_close(context)
    }
}

impl<S> fmt::Debug for Sender<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sender").field("state", &self.state()).finish_non_exhaustive()
    }
}

impl<S> fmt::Debug for Receiver<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Receiver").field("state", &self.state()).finish_non_exhaustive()
    }
}

/// The error of [`Receiver::reunite`], with both halves: they are not of one connection.
///
/// ```
/// use websocket_stream::Role;
/// use websocket_stream::tokio::{ReuniteError, WebSocket};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let (a, b) = tokio::io::duplex(4096);
/// let (sender, receiver) = WebSocket::new(a, Role::Server, Default::default())?.split();
/// let (other_sender, _) = WebSocket::new(b, Role::Client, Default::default())?.split();
/// let Err(ReuniteError(receiver, _)) = receiver.reunite(other_sender) else { panic!() };
/// assert!(receiver.reunite(sender).is_ok());
/// # Ok(())
/// # }
/// ```
pub struct ReuniteError<S>(pub Receiver<S>, pub Sender<S>);

impl<S> fmt::Debug for ReuniteError<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ReuniteError").field(&self.0).field(&self.1).finish()
    }
}

impl<S> fmt::Display for ReuniteError<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("halves of different connections")
    }
}

impl<S> std::error::Error for ReuniteError<S> {}
