//! tokio-tungstenite on a current-thread runtime, with a task for each connection. Replies are fed while more
//! messages are available, and then flushed.

use super::listen::accept_each;
use super::secure::{self, Accept, Plain};
use super::{Mode, Plan, tungstenite_mio};
use futures_util::{FutureExt, SinkExt, StreamExt};
use std::io;
use std::net::TcpListener;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::broadcast;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::{Error, Message};

type Channel = broadcast::Sender<Message>;

pub async fn serve(listener: TcpListener, plan: Plan) -> io::Result<()> {
    match plan.tls {
        true => serve_on(listener, plan, secure::acceptor()?).await,
        false => serve_on(listener, plan, Plain).await,
    }
}

async fn serve_on(listener: TcpListener, plan: Plan, secure: impl Accept) -> io::Result<()> {
    let config = tungstenite_mio::config(plan);
    let channel: Channel = broadcast::channel(16).0;
    accept_each(listener, move |socket| {
        let (channel, secure) = (channel.clone(), secure.clone());
        tokio::spawn(async move {
            let socket = secure.accept(socket).await?;
            let stream = tokio_tungstenite::accept_async_with_config(socket, Some(config)).await?;
            match plan.mode {
                Mode::Echo => echo(stream).await,
                Mode::Broadcast => share(stream, channel).await,
            }
        });
    })
    .await
}

async fn echo<S: AsyncRead + AsyncWrite + Unpin>(mut stream: WebSocketStream<S>) -> Result<(), Error> {
    while let Some(mut message) = stream.next().await {
        loop {
            let data = message?;
            if data.is_text() || data.is_binary() {
                stream.feed(data).await?;
            }
            match stream.next().now_or_never() {
                Some(Some(next)) => message = next,
                Some(None) => return Ok(()),
                None => break,
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
