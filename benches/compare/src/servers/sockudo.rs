//! sockudo-ws on a current-thread runtime, with a task for each connection, the handshake of its simple
//! example and the negotiation of its Axum integration.

use super::Plan;
use super::listen::accept_each;
use crate::compression::Compression;
use futures_util::{SinkExt, StreamExt};
use sockudo_ws::deflate::{DeflateConfig, negotiate_server_deflate};
use sockudo_ws::handshake::{build_response, generate_accept_key, parse_request};
use sockudo_ws::{CompressedWebSocketStream, Config, Error, Message};
use std::io;
use std::net::TcpListener;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

pub async fn serve(listener: TcpListener, plan: Plan) -> io::Result<()> {
    let compression = match plan.compression {
        Compression::Off => sockudo_ws::Compression::Disabled,
        Compression::Alone => sockudo_ws::Compression::Shared,
        Compression::Takeover => sockudo_ws::Compression::Dedicated,
    };
    let policy = compression.to_deflate_config().ok_or(io::Error::other("only with compression"))?;
    accept_each(listener, move |socket| {
        tokio::spawn(echo(socket, compression, policy.clone()));
    })
    .await
}

async fn echo(
    mut socket: TcpStream,
    compression: sockudo_ws::Compression,
    policy: DeflateConfig,
) -> Result<(), Error> {
    let mut request = bytes::BytesMut::with_capacity(4096);
    let agreed = loop {
        if socket.read_buf(&mut request).await? == 0 {
            return Err(Error::ConnectionClosed);
        }
        if let Some((request, _)) = parse_request(&request)? {
            let agreed = request.extensions.and_then(|offers| negotiate_server_deflate(offers, &policy));
            let agreed = agreed.ok_or(Error::HandshakeFailed("the client does not compress"))?;
            let answer = agreed.to_response_header();
            let response = build_response(&generate_accept_key(request.key), None, Some(&answer));
            socket.write_all(&response).await?;
            break agreed.config;
        }
    };
    // No server here sends pings.
    let config = Config::builder().compression(compression).idle_timeout(0).auto_ping(false).build();
    let mut stream = CompressedWebSocketStream::server(socket, config, agreed);
    while let Some(message) = stream.next().await {
        let message = message?;
        if matches!(message, Message::Text(_) | Message::Binary(_)) {
            stream.send(message).await?;
        }
    }
    Ok(())
}
