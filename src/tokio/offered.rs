//! The futures of `send` and `feed`. Their message is with the connection until it is accepted, because a
//! task has room for each of its futures, also while it waits for others.

use super::error::AsyncError;
use super::websocket::WebSocket;
use crate::OwnedMessage;
use ::tokio::io::{AsyncRead, AsyncWrite};
use std::pin::Pin;
use std::task::{Context, Poll};

impl<S: AsyncRead + AsyncWrite + Unpin + 'static> WebSocket<S> {
    pub(super) fn offer_to_feed(&mut self, message: OwnedMessage) -> FeedMessage<'_, S> {
        FeedMessage(Offer::new(self, message))
    }

    pub(super) fn offer_to_send(&mut self, message: OwnedMessage) -> SendMessage<'_, S> {
        SendMessage { offer: Offer::new(self, message), accepted: false }
    }
}

/// A connection that has a message of a future, and takes it no later than this is dropped.
struct Offer<'a, S>(&'a mut WebSocket<S>);

impl<'a, S> Offer<'a, S> {
    #[inline]
    fn new(ws: &'a mut WebSocket<S>, message: OwnedMessage) -> Self {
        ws.0.queues.offer(message);
        Self(ws)
    }
}

impl<S> Drop for Offer<'_, S> {
    #[inline]
    fn drop(&mut self) {
        self.0.0.queues.take_offered();
    }
}

/// The future of [`WebSocket::feed`].
pub(super) struct FeedMessage<'a, S>(Offer<'a, S>);

impl<S: AsyncRead + AsyncWrite + Unpin + 'static> Future for FeedMessage<'_, S> {
    type Output = Result<(), AsyncError>;

    #[inline]
    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let ws = &mut *self.get_mut().0.0;
        match ws.0.queues.feed_offered() {
            true => Poll::Ready(Ok(())),
            false => ws.poll_feed(context),
        }
    }
}

/// The future of [`WebSocket::send`].
pub(super) struct SendMessage<'a, S> {
    offer: Offer<'a, S>,
    accepted: bool,
}

impl<S: AsyncRead + AsyncWrite + Unpin + 'static> Future for SendMessage<'_, S> {
    type Output = Result<(), AsyncError>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let Self { offer: Offer(ws), accepted } = self.get_mut();
        let sent = ws.poll_send(context, accepted, |out, queues| {
            queues.offered().map_or(Ok(()), |message| out.send(message))
        });
        if *accepted {
            ws.0.queues.take_offered();
        }
        sent
    }
}
