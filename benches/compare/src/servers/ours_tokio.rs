//! This library under tokio's current-thread runtime, with a task for each connection.

use super::listen::accept_each;
use super::{Mode, Plan};
use std::io;
use std::net::TcpListener;
use tokio::net::TcpStream;
use tokio::sync::broadcast;
use websocket_stream::tokio::{AsyncError, WebSocket, accept};
use websocket_stream::{Event, OwnedMessage};

/// How the echo is written.
#[derive(Debug, Clone, Copy)]
pub enum Style {
    /// A handler that is lent each message.
    Run,
    /// Messages that own their payload.
    Owned,
}

type Channel = broadcast::Sender<OwnedMessage>;

pub async fn serve(listener: TcpListener, plan: Plan, style: Style) -> io::Result<()> {
    let channel: Channel = broadcast::channel(16).0;
    accept_each(listener, move |socket| {
        let channel = channel.clone();
        tokio::spawn(async move {
            let Ok(ws) = accept(socket).await else { return };
            // How a connection ended does not matter here.
            let _ = match (plan.mode, style) {
                (Mode::Broadcast, _) => share(ws, channel).await,
                (Mode::Echo, Style::Run) => echo(ws).await,
                (Mode::Echo, Style::Owned) => echo_owned(ws).await,
            };
        });
    })
    .await
}

async fn echo(mut ws: WebSocket<TcpStream>) -> Result<(), AsyncError> {
    ws.run(|event, out| match event {
        Event::Message(message) => out.send(message),
        _ => Ok(()),
    })
    .await?;
    Ok(())
}

async fn echo_owned(mut ws: WebSocket<TcpStream>) -> Result<(), AsyncError> {
    while let Some(message) = ws.next().await {
        ws.feed(message?).await?;
    }
    Ok(())
}

async fn share(mut ws: WebSocket<TcpStream>, channel: Channel) -> Result<(), AsyncError> {
    let mut said = channel.subscribe();
    loop {
        tokio::select! {
            message = ws.next() => match message {
                Some(message) => _ = channel.send(message?),
                None => return Ok(()),
            },
            Ok(message) = said.recv() => ws.send(message).await?,
        }
    }
}
