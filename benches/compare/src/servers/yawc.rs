//! yawc, with the upgrade of its echo server and the loop of its own benchmark: replies are fed while more
//! messages are available, and then flushed. A task for each connection.

use super::listen::accept_each;
use super::secure::{self, Accept, Plain};
use super::{Mode, Plan};
use crate::compression::Compression;
use ::yawc::{DeflatePool, Frame, OpCode, Options, UpgradeFut, WebSocket, WebSocketError};
use futures_util::{FutureExt, SinkExt, StreamExt};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use std::io;
use std::net::TcpListener;
use tokio::sync::broadcast;

type Channel = broadcast::Sender<Frame>;

pub async fn serve(listener: TcpListener, plan: Plan) -> io::Result<()> {
    match plan.tls {
        true => serve_on(listener, plan, secure::acceptor()?).await,
        false => serve_on(listener, plan, Plain).await,
    }
}

async fn serve_on(listener: TcpListener, plan: Plan, secure: impl Accept) -> io::Result<()> {
    let options = options(plan);
    let channel: Channel = broadcast::channel(16).0;
    accept_each(listener, move |socket| {
        let (options, channel, secure) = (options.clone(), channel.clone(), secure.clone());
        let service = service_fn(move |mut request| {
            let (options, channel) = (options.clone(), channel.clone());
            async move {
                let (response, upgraded) = WebSocket::upgrade_with_options(&mut request, options)?;
                tokio::spawn(tokio::task::unconstrained(async move {
                    match plan.mode {
                        Mode::Echo => echo(upgraded).await,
                        Mode::Broadcast => share(upgraded, channel).await,
                    }
                }));
                Ok::<_, WebSocketError>(response)
            }
        });
        tokio::spawn(async move {
            if let Ok(socket) = secure.accept(socket).await {
                let connection = http1::Builder::new().serve_connection(TokioIo::new(socket), service);
                // A connection that fails ends.
                let _ = connection.with_upgrades().await;
            }
        });
    })
    .await
}

/// "Larger buffers can reduce reads for bursts of messages", and "many idle connections: start both buffers
/// at 1 KiB". Without compression, the buffers of busy connections have the sizes of yawc's own benchmark.
fn options(plan: Plan) -> Options {
    // The default limit excludes messages of 1 MiB.
    let mut options = Options::default().with_utf8().with_max_payload_read(16 << 20);
    options = match plan.compression {
        Compression::Off if plan.many => options,
        Compression::Off => options.with_read_buffer_capacity(128 << 10).with_backpressure_boundary(64 << 10),
        // If a window is requested without a size, it takes the smallest.
        Compression::Takeover => options
            .with_balanced_compression()
            .with_server_max_window_bits(15)
            .with_client_max_window_bits(15),
        // With each message on its own, the engines are in a pool, as recommended for many connections.
        Compression::Alone => options
            .with_balanced_compression()
            .server_no_context_takeover()
            .client_no_context_takeover()
            .with_deflate_pool(DeflatePool::new(1)),
    };
    if plan.many {
        options = options.with_read_buffer_capacity(1024).with_write_buffer_capacity(1024);
    }
    options
}

async fn echo(upgraded: UpgradeFut) -> Result<(), WebSocketError> {
    let mut stream = upgraded.await?;
    while let Some(mut frame) = stream.next().await {
        loop {
            if matches!(frame.opcode(), OpCode::Text | OpCode::Binary) {
                stream.feed(frame).await?;
            }
            match stream.next().now_or_never() {
                Some(Some(next)) => frame = next,
                Some(None) => return Ok(()),
                None => break,
            }
        }
        stream.flush().await?;
    }
    Ok(())
}

async fn share(upgraded: UpgradeFut, channel: Channel) -> Result<(), WebSocketError> {
    let mut stream = upgraded.await?;
    let mut said = channel.subscribe();
    loop {
        tokio::select! {
            frame = stream.next() => match frame {
                Some(frame) => _ = channel.send(frame),
                None => return Ok(()),
            },
            Ok(frame) = said.recv() => stream.send(frame).await?,
        }
    }
}
