//! yawc, like the echo server in its documentation: hyper upgrades, with a task for each connection. If each
//! message is compressed on its own, the engines are in a pool, as recommended for many connections.

use super::Plan;
use super::listen::accept_each;
use crate::compression::Compression;
use ::yawc::{DeflatePool, OpCode, Options, UpgradeFut, WebSocket, WebSocketError};
use futures_util::{SinkExt, StreamExt};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use std::io;
use std::net::TcpListener;

pub async fn serve(listener: TcpListener, plan: Plan) -> io::Result<()> {
    let options = options(plan);
    accept_each(listener, move |socket| {
        let options = options.clone();
        let service = service_fn(move |mut request| {
            let options = options.clone();
            async move {
                let (response, upgraded) = WebSocket::upgrade_with_options(&mut request, options)?;
                tokio::spawn(tokio::task::unconstrained(echo(upgraded)));
                Ok::<_, WebSocketError>(response)
            }
        });
        let connection = http1::Builder::new().serve_connection(TokioIo::new(socket), service);
        tokio::spawn(connection.with_upgrades());
    })
    .await
}

fn options(plan: Plan) -> Options {
    let mut options = Options::default().with_utf8();
    options = match plan.compression {
        Compression::Off => options,
        // If a window is requested without a size, it takes the smallest.
        Compression::Takeover => options
            .with_balanced_compression()
            .with_server_max_window_bits(15)
            .with_client_max_window_bits(15),
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
    while let Some(frame) = stream.next().await {
        if matches!(frame.opcode(), OpCode::Text | OpCode::Binary) {
            stream.send(frame).await?;
        }
    }
    Ok(())
}
