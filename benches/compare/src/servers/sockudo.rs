//! sockudo-ws on a current-thread runtime, with a task for each connection, the handshake of its simple
//! example, and the negotiation of its Axum integration. The loop is the one that its README recommends for
//! echoes: replies are fed, and polling for the next message writes them when all available messages are
//! taken.

use super::listen::accept_each;
use super::secure::{self, Accept, Plain};
use super::{Mode, Plan};
use crate::compression::Compression;
use futures_util::{Sink, SinkExt, Stream, StreamExt};
use sockudo_ws::deflate::{DeflateConfig, negotiate_server_deflate};
use sockudo_ws::handshake::{build_response, generate_accept_key, parse_request};
use sockudo_ws::pubsub::PubSub;
use sockudo_ws::{CompressedWebSocketStream, Config, Error, Message, WebSocketStream};
use std::io;
use std::net::TcpListener;
use std::sync::Arc;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::mpsc;

/// The topic that every connection subscribes to.
const ALL: &str = "all";

pub async fn serve(listener: TcpListener, plan: Plan) -> io::Result<()> {
    match plan.tls {
        true => serve_on(listener, plan, secure::acceptor()?).await,
        false => serve_on(listener, plan, Plain).await,
    }
}

async fn serve_on(listener: TcpListener, plan: Plan, secure: impl Accept) -> io::Result<()> {
    let compression = match plan.compression {
        Compression::Off => sockudo_ws::Compression::Disabled,
        Compression::Alone => sockudo_ws::Compression::Shared,
        Compression::Takeover => sockudo_ws::Compression::Dedicated,
    };
    // No server here sends pings.
    let mut config = Config::builder().compression(compression).idle_timeout(0).auto_ping(false);
    if plan.many {
        // Its default is 16 KiB for each connection. The size of the receive buffer, 64 KiB, is fixed.
        config = config.write_buffer_size(1024);
    }
    let config = config.build();
    let policy = compression.to_deflate_config();
    let shared = Arc::new(PubSub::new());
    accept_each(listener, move |socket| {
        let (config, policy) = (config.clone(), policy.clone());
        let (shared, secure) = (Arc::clone(&shared), secure.clone());
        tokio::spawn(async move {
            let mut socket = secure.accept(socket).await?;
            let agreed = shake_hands(&mut socket, policy.as_ref()).await?;
            match (agreed, plan.mode) {
                (Some(agreed), _) => echo(CompressedWebSocketStream::server(socket, config, agreed)).await,
                (None, Mode::Echo) => echo(WebSocketStream::server(socket, config)).await,
                (None, Mode::Broadcast) => share(WebSocketStream::server(socket, config), &shared).await,
            }
        });
    })
    .await
}

/// Returns the negotiated compression.
async fn shake_hands(
    socket: &mut (impl AsyncRead + AsyncWrite + Unpin),
    policy: Option<&DeflateConfig>,
) -> Result<Option<DeflateConfig>, Error> {
    let mut request = bytes::BytesMut::with_capacity(4096);
    loop {
        if socket.read_buf(&mut request).await? == 0 {
            return Err(Error::ConnectionClosed);
        }
        if let Some((request, _)) = parse_request(&request)? {
            let agreed = request.extensions.zip(policy);
            let agreed = agreed.and_then(|(offers, policy)| negotiate_server_deflate(offers, policy));
            let answer = agreed.as_ref().map(|agreed| agreed.to_response_header());
            let response = build_response(&generate_accept_key(request.key), None, answer.as_deref());
            socket.write_all(&response).await?;
            socket.flush().await?;
            return Ok(agreed.map(|agreed| agreed.config));
        }
    }
}

async fn echo<S>(mut stream: S) -> Result<(), Error>
where
    S: Stream<Item = Result<Message, Error>> + Sink<Message, Error = Error> + Unpin,
{
    while let Some(message) = stream.next().await {
        let message = message?;
        if matches!(message, Message::Text(_) | Message::Binary(_)) {
            stream.feed(message).await?;
        }
    }
    Ok(())
}

/// With the library's own topics.
async fn share<S>(mut stream: WebSocketStream<S>, shared: &PubSub) -> Result<(), Error>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let (sender, mut said) = mpsc::unbounded_channel();
    let subscriber = shared.create_subscriber(sender);
    shared.subscribe(subscriber, ALL);
    let result = loop {
        tokio::select! {
            message = stream.next() => match message {
                Some(Ok(message)) => _ = shared.publish(ALL, message),
                Some(Err(error)) => break Err(error),
                None => break Ok(()),
            },
            Some(message) = said.recv() => if let Err(error) = stream.send(message).await {
                break Err(error);
            },
        }
    };
    shared.remove_subscriber(subscriber);
    result
}
