//! Messages that own their payload: `next`, `send`, and the traits of `futures`.

use super::error::AsyncError;
use super::queues::{HEADER, Queues};
use super::wakers::Side;
use super::websocket::WebSocket;
use crate::OwnedMessage;
use crate::config::Limits;
use crate::frame::CloseCode;
use crate::protocol::{Closed, Event, SendError, State};
use crate::stream::{Outgoing, PreparedMessage, Sent};
use ::tokio::io::{AsyncRead, AsyncWrite};
use futures_core::{FusedStream, Stream};
use futures_sink::Sink;
use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

/// The bytes of fed and unsent messages from which `feed` waits.
const FED: usize = 64 << 10;

/// The payload from which a fed message is sent at once, because it is not copied then.
const SENT_AT_ONCE: usize = 4 << 10;

/// Messages that own their payload.
impl<S: AsyncRead + AsyncWrite + Unpin + 'static> WebSocket<S> {
    /// Returns the next message, or `None` after the closing handshake.
    ///
    /// Fed messages are sent before this waits. Small messages that arrive together share an allocation of at
    /// most 4 KiB, which is freed with the last of them. With
    /// [`Config::streaming`](crate::Config::streaming), which delivers chunks, use [`run`](Self::run).
    ///
    /// ```
    /// # use websocket_stream::tokio::{AsyncError, WebSocket};
    /// async fn echo<S>(ws: &mut WebSocket<S>) -> Result<(), AsyncError>
    /// where
    ///     S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + 'static,
    /// {
    ///     while let Some(message) = ws.next().await {
    ///         // Replies to messages that arrived together leave together.
    ///         ws.feed(message?).await?;
    ///     }
    ///     Ok(())
    /// }
    /// # let _ = echo::<tokio::net::TcpStream>;
    /// ```
    ///
    /// # Errors
    ///
    /// [`AsyncError::Closed`] if the connection ended without a closing handshake. It is returned once, then
    /// `None`.
    // Not an `async fn`, whose future would be larger.
    #[allow(clippy::should_implement_trait, reason = "the name of the method of streams")]
    pub fn next(&mut self) -> impl Future<Output = Option<Result<OwnedMessage, AsyncError>>> {
        poll_fn(|context| self.poll_next_message(context))
    }

    #[inline]
    pub(super) fn poll_next_message(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<OwnedMessage, AsyncError>>> {
        let crowded = self.is_crowded();
        match self.0.queues.pop_received() {
            Some(message) => {
                if crowded && !self.is_crowded() {
                    self.continue_to_receive();
                }
                Poll::Ready(Some(Ok(message)))
            }
            None => self.poll_receive(context),
        }
    }

    /// Wakes the task that received no more while it waits, because too many messages waited.
    #[cold]
    fn continue_to_receive(&mut self) {
        self.0.stream.get_mut().wake(Side::Sender);
    }

    fn poll_receive(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<OwnedMessage, AsyncError>>> {
        if self.0.ended {
            return Poll::Ready(None);
        }
        let wants = self.receive(Side::Receiver, context);
        let received = match self.0.queues.pop_received() {
            Some(message) => Some(Ok(message)),
            None if wants.closed => {
                self.0.ended = true;
                self.end().err().map(Err)
            }
            None => {
                self.wait(context, wants);
                return Poll::Pending;
            }
        };
        self.0.stream.get_mut().end(Side::Receiver);
        Poll::Ready(received)
    }

    /// Sends a message, and waits until the stream has taken it.
    ///
    /// Each call makes a system call. To answer many messages, [`feed`](Self::feed) the answers: they leave
    /// together. Messages that arrive while this waits are kept for [`next`](Self::next). With
    /// [`Config::streaming`](crate::Config::streaming), nothing is received meanwhile.
    ///
    /// If the future is dropped, the message may be accepted already, and is then sent by later calls.
    ///
    /// # Errors
    ///
    /// [`AsyncError::Send`] if the message is not accepted, [`AsyncError::Closed`] if the connection ended
    /// before the stream has taken the message.
    pub fn send<M: Into<OwnedMessage>>(
        &mut self,
        message: M,
    ) -> impl Future<Output = Result<(), AsyncError>> + use<'_, S, M> {
        self.offer_to_send(message.into())
    }

    /// Sends a message that was encoded once, for many connections; see [`send`](Self::send).
    ///
    /// # Errors
    ///
    /// See [`send`](Self::send).
    pub fn send_prepared(
        &mut self,
        message: &PreparedMessage,
    ) -> impl Future<Output = Result<(), AsyncError>> {
        let mut accepted = false;
        poll_fn(move |context| self.poll_send(context, &mut accepted, |out, _| out.send_prepared(message)))
    }

    /// Sends with `send` when there is room, then waits until the stream has taken everything.
    pub(super) fn poll_send(
        &mut self,
        context: &mut Context<'_>,
        accepted: &mut bool,
        send: impl Fn(&mut Outgoing<'_>, &Queues) -> Result<(), SendError>,
    ) -> Poll<Result<(), AsyncError>> {
        while !*accepted {
            self.begin(Side::Sender, context);
            match self.send_after_fed(|out, queues| send(out, queues)) {
                Ok(sent) => {
                    *accepted = true;
                    if sent == Sent::Written {
                        break;
                    }
                }
                Err(AsyncError::Send(SendError::Full)) => ready!(self.poll_room(context)),
                Err(error) => return self.finish(Err(error)),
            }
        }
        self.poll_flush_all(context)
    }

    /// Waits for the stream to take some of the unsent bytes.
    fn poll_room(&mut self, context: &mut Context<'_>) -> Poll<()> {
        match self.advance(Side::Sender, context) {
            // The stream has taken all of them, or the connection has ended.
            Poll::Pending if self.0.stream.wants().write => Poll::Pending,
            _ => Poll::Ready(()),
        }
    }

    pub(super) fn poll_flush_all(&mut self, context: &mut Context<'_>) -> Poll<Result<(), AsyncError>> {
        if !self.is_flushed() {
            self.begin(Side::Sender, context);
            match self.send_fed(Side::Sender) {
                Ok(Sent::Written) => {}
                Ok(Sent::Queued(_)) | Err(AsyncError::Send(SendError::Full)) => {
                    if self.advance(Side::Sender, context).is_pending() && !self.is_flushed() {
                        return Poll::Pending;
                    }
                }
                Err(error) => {
                    self.0.queues.take_lost();
                    return self.finish(Err(error));
                }
            }
        }
        let flushed = match self.0.stream.state() {
            _ if self.0.queues.take_lost() => Err(SendError::Closed.into()),
            State::Closed(end) if !end.is_clean() || self.0.stream.has_lost() => Err(AsyncError::Closed(end)),
            // It has failed, and the end is not delivered: what was unsent is lost.
            State::Draining(end) if self.0.stream.wants().closed => Err(AsyncError::Closed(end)),
            State::Open | State::Closing if self.0.stream.wants().closed => {
                self.send_fed(Side::Sender).map(|_| ())
            }
            _ => Ok(()),
        };
        self.finish(flushed)
    }

    fn is_flushed(&self) -> bool {
        !self.0.queues.has_fed() && !self.0.stream.wants().write
    }

    /// Ends a wait of the sending side.
    fn finish<R>(&mut self, result: R) -> Poll<R> {
        self.0.stream.get_mut().end(Side::Sender);
        Poll::Ready(result)
    }

    /// Accepts a message, which is sent together with others.
    ///
    /// It is sent by [`flush`](Self::flush) or the next [`send`](Self::send), or when
    /// [`next`](Self::next) or [`run`](Self::run) waits. Waits while 64 KiB are fed or unsent.
    ///
    /// If the future is dropped before it returns, the message is not accepted.
    ///
    /// # Errors
    ///
    /// [`AsyncError::Send`] if the message is not accepted, [`AsyncError::Closed`] if the connection has
    /// ended.
    pub fn feed<M: Into<OwnedMessage>>(
        &mut self,
        message: M,
    ) -> impl Future<Output = Result<(), AsyncError>> + use<'_, S, M> {
        self.offer_to_feed(message.into())
    }

    pub(super) fn poll_feed(&mut self, context: &mut Context<'_>) -> Poll<Result<(), AsyncError>> {
        ready!(self.poll_ready_to_feed(context))?;
        Poll::Ready(self.0.queues.take_offered().map_or(Ok(()), |message| self.start_feed(message)))
    }

    pub(super) fn poll_ready_to_feed(&mut self, context: &mut Context<'_>) -> Poll<Result<(), AsyncError>> {
        while self.0.queues.fed_bytes() + self.0.stream.unsent() >= FED {
            self.begin(Side::Sender, context);
            match self.send_fed(Side::Sender) {
                Ok(Sent::Queued(unsent)) if unsent >= FED => {}
                Err(AsyncError::Send(SendError::Full)) => {}
                Ok(_) => break,
                Err(error) => return self.finish(Err(error)),
            }
            ready!(self.poll_room(context));
        }
        self.finish(Ok(()))
    }

    pub(super) fn start_feed(&mut self, message: OwnedMessage) -> Result<(), AsyncError> {
        match self.0.stream.state() {
            State::Open => {}
            State::Closed(end) => return Err(AsyncError::Closed(end)),
            _ => return Err(SendError::Closed.into()),
        }
        let len = message.as_bytes().len();
        let bound = self.0.stream.config().limits.unsent.saturating_sub(Limits::CONTROL_ROOM);
        if len.saturating_add(HEADER) > bound {
            return Err(SendError::TooLong.into());
        }
        if len >= SENT_AT_ONCE {
            match self.send_with(|out| out.send(&message)) {
                // There is room later.
                Err(AsyncError::Send(SendError::Full | SendError::MessageUnfinished)) => {}
                sent => return sent.map(|_| ()),
            }
        }
        self.0.queues.feed(message);
        // For a message that is not longer, nothing needs to be checked until these are sent.
        let room = FED.saturating_sub(self.0.stream.unsent());
        self.0.queues.set_room(SENT_AT_ONCE.min(bound.saturating_sub(HEADER)), room);
        Ok(())
    }

    /// Sends the fed messages, and waits until the stream has taken everything.
    ///
    /// # Errors
    ///
    /// See [`send`](Self::send).
    pub fn flush(&mut self) -> impl Future<Output = Result<(), AsyncError>> {
        poll_fn(|context| self.poll_flush_all(context))
    }

    /// Sends a Close frame, and waits until the connection has ended.
    ///
    /// Messages that [`next`](Self::next) has not returned are dropped. To receive them,
    /// [`start_close`](Self::start_close), and continue with `next` or [`run`](Self::run).
    ///
    /// # Errors
    ///
    /// [`AsyncError::Closed`] if the closing handshake was not completed, for example because the peer has
    /// not answered in time, or if accepted messages were not sent; [`AsyncError::Send`] if the code or the
    /// reason cannot be sent, or with [`SendError::Closed`] if fed messages were not sent.
    pub async fn close(&mut self, code: CloseCode, reason: &str) -> Result<Closed, AsyncError> {
        poll_fn(|context| self.poll_start_close(context, code, reason)).await?;
        let end = poll_fn(|context| {
            self.poll_run(context, &mut |event, _, queues| {
                if let Event::Close(frame) = event {
                    queues.keep_close_frame(frame);
                }
                Ok::<(), AsyncError>(())
            })
        })
        .await?;
        self.all_sent(end)
    }

    /// Returns the end of a connection that has sent everything, also what was fed, before its Close frame.
    fn all_sent(&mut self, end: Closed) -> Result<Closed, AsyncError> {
        if self.0.queues.take_lost() || self.0.queues.has_fed() {
            return Err(SendError::Closed.into());
        }
        // The Close frame itself may be lost: the peer has gone, and has closed before.
        if self.0.owes && self.0.stream.has_lost() { Err(AsyncError::Closed(end)) } else { Ok(end) }
    }

    /// Sends a Close frame without waiting. Does nothing if the connection is closing or closed.
    ///
    /// # Errors
    ///
    /// [`AsyncError::Send`] if the code or the reason cannot be sent, or with [`SendError::Full`] if there
    /// is no room for fed messages, which are sent before: [`flush`](Self::flush) first.
    pub fn start_close(&mut self, code: CloseCode, reason: &str) -> Result<(), AsyncError> {
        let unsent = self.0.queues.has_fed() || self.0.stream.unsent() > 0;
        let was_open = self.state() == State::Open;
        let started = self.send_with(|out| out.close(code, reason));
        if was_open && self.state() != State::Open {
            self.0.owes = unsent;
        }
        match started {
            Ok(_) | Err(AsyncError::Closed(_) | AsyncError::Send(SendError::Closed)) => Ok(()),
            Err(error) => Err(error),
        }
    }

    pub(super) fn poll_start_close(
        &mut self,
        context: &mut Context<'_>,
        code: CloseCode,
        reason: &str,
    ) -> Poll<Result<(), AsyncError>> {
        loop {
            self.begin(Side::Sender, context);
            match self.start_close(code, reason) {
                Err(AsyncError::Send(SendError::Full)) => ready!(self.poll_room(context)),
                started => return self.finish(started),
            }
        }
    }

    /// Waits until the connection has ended, and keeps received messages for [`next`](Self::next).
    pub(super) fn poll_end(&mut self, context: &mut Context<'_>) -> Poll<Result<Closed, AsyncError>> {
        // Chunks that still arrive are dropped, as in `close`: `advance` would leave them to `run`.
        let streaming = self.0.stream.config().streaming;
        if !streaming && !self.0.stream.wants().closed {
            ready!(self.advance(Side::Sender, context));
        }
        // Else the stream has failed, and the end is not delivered: many messages wait for `next`.
        if streaming && !self.0.stream.wants().closed || !matches!(self.0.stream.state(), State::Closed(_)) {
            let wants = self.receive(Side::Sender, context);
            if !wants.closed {
                self.wait(context, wants);
                return Poll::Pending;
            }
        }
        let end = self.end().and_then(|end| self.all_sent(end));
        self.finish(end)
    }
}

/// See [`WebSocket::next`].
impl<S: AsyncRead + AsyncWrite + Unpin + 'static> Stream for WebSocket<S> {
    type Item = Result<OwnedMessage, AsyncError>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.get_mut().poll_next_message(context)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin + 'static> FusedStream for WebSocket<S> {
    fn is_terminated(&self) -> bool {
        self.0.ended && !self.0.queues.has_received()
    }
}

/// See [`WebSocket::feed`] and [`WebSocket::flush`]. Closing sends a Close frame with
/// [`CloseCode::NORMAL`], and waits until the connection has ended.
impl<S: AsyncRead + AsyncWrite + Unpin + 'static> Sink<OwnedMessage> for WebSocket<S> {
    type Error = AsyncError;

    fn poll_ready(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<(), AsyncError>> {
        self.get_mut().poll_ready_to_feed(context)
    }

    fn start_send(self: Pin<&mut Self>, message: OwnedMessage) -> Result<(), AsyncError> {
        self.get_mut().start_feed(message)
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<(), AsyncError>> {
        self.get_mut().poll_flush_all(context)
    }

    fn poll_close(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<(), AsyncError>> {
        let ws = self.get_mut();
        if ws.state() == State::Open {
            ready!(ws.poll_start_close(context, CloseCode::NORMAL, ""))?;
        }
        ws.poll_end(context).map_ok(|_| ())
    }
}
