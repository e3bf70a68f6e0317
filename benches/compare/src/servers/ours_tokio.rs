//! This library under tokio's current-thread runtime, with a task for each connection.

use super::listen::accept_each;
use super::{Mode, Plan, ours};
use crate::tls;
use std::error::Error;
use std::io;
use std::net::TcpListener;
use std::sync::Arc;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::broadcast;
use websocket_stream::handshake::OriginPolicy;
use websocket_stream::tls::TlsStream;
use websocket_stream::tokio::{AsyncError, AsyncTransport, WebSocket, accept, accept_with};
use websocket_stream::{Config, Event, PreparedMessage, Request};

/// How the echo is written.
#[derive(Debug, Clone, Copy)]
pub enum Style {
    /// A handler that is lent each message.
    Run,
    /// Messages that own their payload.
    Owned,
}

/// What each connection needs.
#[derive(Clone)]
pub struct Common {
    pub mode: Mode,
    style: Style,
    config: Option<Arc<Config>>,
    pub said: broadcast::Sender<PreparedMessage>,
}

impl Common {
    pub fn new(plan: Plan, style: Style) -> io::Result<Self> {
        let config = ours::config(plan.compression)?;
        Ok(Self { mode: plan.mode, style, config, said: broadcast::channel(16).0 })
    }

    pub fn config(&self) -> Option<Arc<Config>> {
        self.config.clone()
    }
}

pub async fn serve(listener: TcpListener, plan: Plan, style: Style) -> io::Result<()> {
    let common = Common::new(plan, style)?;
    match plan.tls {
        true => {
            let tls = tls::server()?;
            serve_on(listener, common, move |socket| {
                TlsStream::server(AsyncTransport::new(socket), tls.clone()).map_err(Box::from)
            })
            .await
        }
        false => serve_on(listener, common, Ok).await,
    }
}

async fn serve_on<S>(
    listener: TcpListener,
    common: Common,
    secure: impl Fn(tokio::net::TcpStream) -> Result<S, Box<dyn Error>>,
) -> io::Result<()>
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    accept_each(listener, move |socket| {
        let Ok(socket) = secure(socket) else { return };
        // As a program writes it that needs only one of them.
        match common.config() {
            None => start(accept(socket), &common),
            Some(config) => {
                let origin = |request: &Request<'_>| OriginPolicy::Same.answer(request);
                start(accept_with(socket, config, origin), &common);
            }
        }
    })
    .await
}

/// Starts a task. Each has room for its own kind only. A connection that fails ends.
fn start<S, E>(ws: impl Future<Output = Result<WebSocket<S>, E>> + Send + 'static, common: &Common)
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    E: Send,
{
    match (common.mode, common.style) {
        (Mode::Broadcast, _) => {
            let said = common.said.clone();
            tokio::spawn(async move {
                if let Ok(ws) = ws.await {
                    let _ = share(ws, said).await;
                }
            });
        }
        (Mode::Echo, Style::Run) => {
            tokio::spawn(async move {
                if let Ok(ws) = ws.await {
                    let _ = echo(ws).await;
                }
            });
        }
        (Mode::Echo, Style::Owned) => {
            tokio::spawn(async move {
                let Ok(mut ws) = ws.await else { return };
                while let Some(Ok(message)) = ws.next().await {
                    if ws.feed(message).await.is_err() {
                        return;
                    }
                }
            });
        }
    }
}

pub async fn echo<S: AsyncRead + AsyncWrite + Unpin + 'static>(
    mut ws: WebSocket<S>,
) -> Result<(), AsyncError> {
    ws.run(|event, out| match event {
        Event::Message(message) => out.send(message),
        _ => Ok(()),
    })
    .await?;
    Ok(())
}

pub async fn share<S: AsyncRead + AsyncWrite + Unpin + 'static>(
    mut ws: WebSocket<S>,
    channel: broadcast::Sender<PreparedMessage>,
) -> Result<(), AsyncError> {
    let mut said = channel.subscribe();
    loop {
        tokio::select! {
            message = ws.next() => match message {
                Some(message) => _ = channel.send(PreparedMessage::new(&message?)),
                None => return Ok(()),
            },
            Ok(message) = said.recv() => ws.send_prepared(&message).await?,
        }
    }
}
