//! tokio-websockets on a current-thread runtime, with a task for each connection. Polling for the next
//! message flushes, so the server first takes all available messages, and then feeds and flushes their
//! replies.

use super::listen::accept_each;
use super::secure::{self, Accept, Plain};
use super::{Mode, Plan};
use futures_util::{FutureExt, SinkExt, StreamExt};
use std::io;
use std::net::TcpListener;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::broadcast;
use tokio_websockets::{Error, Message, ServerBuilder, WebSocketStream};

type Channel = broadcast::Sender<Message>;

pub async fn serve(listener: TcpListener, plan: Plan) -> io::Result<()> {
    match plan.tls {
        true => serve_on(listener, plan.mode, secure::acceptor()?).await,
        false => serve_on(listener, plan.mode, Plain).await,
    }
}

async fn serve_on(listener: TcpListener, mode: Mode, secure: impl Accept) -> io::Result<()> {
    let channel: Channel = broadcast::channel(16).0;
    accept_each(listener, move |socket| {
        let (channel, secure) = (channel.clone(), secure.clone());
        tokio::spawn(async move {
            let socket = secure.accept(socket).await?;
            let (_request, stream) = ServerBuilder::new().accept(socket).await?;
            match mode {
                Mode::Echo => echo(stream).await,
                Mode::Broadcast => share(stream, channel).await,
            }
        });
    })
    .await
}

async fn echo<S: AsyncRead + AsyncWrite + Unpin>(mut stream: WebSocketStream<S>) -> Result<(), Error> {
    let mut messages = Vec::new();
    while let Some(message) = stream.next().await {
        messages.push(message?);
        while let Some(Some(message)) = stream.next().now_or_never() {
            messages.push(message?);
        }
        for message in messages.drain(..) {
            if message.is_text() || message.is_binary() {
                stream.feed(message).await?;
            }
        }
        stream.flush().await?;
    }
    Ok(())
}

async fn share<S: AsyncRead + AsyncWrite + Unpin>(
    mut stream: WebSocketStream<S>,
    channel: Channel,
) -> Result<(), Error> {
    let mut said = channel.subscribe();
    loop {
        tokio::select! {
            message = stream.next() => match message {
                Some(message) => _ = channel.send(message?),
                None => return Ok(()),
            },
            Ok(message) = said.recv() => stream.send(message).await?,
        }
    }
}
