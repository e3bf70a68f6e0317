//! axum's own WebSockets (tokio-tungstenite) on a current-thread runtime. Replies are fed while more messages
//! are available, and then flushed.
//!
//! The buffers have axum's defaults in every workload, although the default of `read_buffer_size`, 128 KiB
//! for each connection, is too large for thousands of idle ones.

use super::Mode;
use ::axum::Router;
use ::axum::extract::State;
use ::axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use ::axum::response::Response;
use ::axum::routing::any;
use ::axum::serve::ListenerExt;
use futures_util::{FutureExt, SinkExt, StreamExt};
use std::io;
use std::net::TcpListener;
use tokio::sync::broadcast;

type Channel = broadcast::Sender<Message>;

pub async fn serve(listener: TcpListener, mode: Mode) -> io::Result<()> {
    listener.set_nonblocking(true)?;
    let listener = tokio::net::TcpListener::from_std(listener)?.tap_io(|socket| {
        // If this fails, the connection has already closed.
        let _ = socket.set_nodelay(true);
    });
    let channel: Channel = broadcast::channel(16).0;
    let router = Router::new().route("/", any(upgrade)).with_state((mode, channel));
    ::axum::serve(listener, router).await
}

async fn upgrade(upgrade: WebSocketUpgrade, State((mode, channel)): State<(Mode, Channel)>) -> Response {
    upgrade.on_upgrade(async move |socket| {
        // A connection that fails ends.
        let _ = match mode {
            Mode::Echo => echo(socket).await,
            Mode::Broadcast => share(socket, channel).await,
        };
    })
}

async fn echo(mut socket: WebSocket) -> Result<(), ::axum::Error> {
    while let Some(mut message) = socket.next().await {
        loop {
            let data = message?;
            if matches!(data, Message::Text(_) | Message::Binary(_)) {
                socket.feed(data).await?;
            }
            match socket.next().now_or_never() {
                Some(Some(next)) => message = next,
                Some(None) => return Ok(()),
                None => break,
            }
        }
        socket.flush().await?;
    }
    Ok(())
}

async fn share(mut socket: WebSocket, channel: Channel) -> Result<(), ::axum::Error> {
    let mut said = channel.subscribe();
    loop {
        tokio::select! {
            message = socket.next() => match message {
                Some(message) => _ = channel.send(message?),
                None => return Ok(()),
            },
            Ok(message) = said.recv() => socket.send(message).await?,
        }
    }
}
