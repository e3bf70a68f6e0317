//! An echo server on tokio: sends back every text and binary message.
//!
//! ```text
//! cargo run --release --example tokio_echo -- [--owned] [ADDR]
//! cargo run --release --features deflate --example tokio_echo -- --deflate[=BITS] [--owned] [ADDR]
//! ```
//!
//! A handler replies to messages that it borrows; with `--owned`, a loop receives and sends messages that own
//! their payload. SIGTERM closes every connection with 1001 (going away).

use lexopt::prelude::*;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use websocket_stream::tokio::{AsyncError, WebSocket, accept_with};
use websocket_stream::{CloseCode, Config, Event, OriginPolicy, Timeouts};

#[path = "common/deflate.rs"]
mod deflate;
#[path = "common/terminate.rs"]
mod terminate;

type Failed = Box<dyn std::error::Error + Send + Sync>;

#[tokio::main]
async fn main() -> Result<(), Failed> {
    let (mut address, mut owned, mut config) = ("127.0.0.1:9001".to_owned(), false, Arc::default());
    let mut arguments = lexopt::Parser::from_env();
    while let Some(argument) = arguments.next()? {
        match argument {
            Long("owned") => owned = true,
            Long("deflate") => {
                let bits = arguments.optional_value().map(|bits| bits.string()).transpose()?;
                config = deflate::config(bits.as_deref())?;
            }
            Value(value) => address = value.string()?,
            other => return Err(other.unexpected().into()),
        }
    }
    let config = Arc::new(Arc::unwrap_or_clone(config).timeouts(Timeouts::SERVER));
    let listener = TcpListener::bind(address).await?;
    let mut terminate = terminate::terminate()?;
    let (stop, stopped) = watch::channel(());
    println!("listening on ws://{}", listener.local_addr()?);
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = terminate.recv() => break,
        };
        match accepted {
            Ok((socket, _)) => {
                let served = serve(socket, Arc::clone(&config), owned, stopped.clone());
                tokio::spawn(async { served.await.unwrap_or_else(|error| eprintln!("tokio_echo: {error}")) });
            }
            // For example too many open files: another attempt succeeds when a connection has ended.
            Err(error) => {
                eprintln!("tokio_echo: cannot accept: {error}");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
    // Every task has a receiver until its connection has ended.
    drop(stopped);
    stop.send(()).ok();
    stop.closed().await;
    Ok(())
}

async fn serve(
    socket: TcpStream,
    config: Arc<Config>,
    owned: bool,
    mut stopped: watch::Receiver<()>,
) -> Result<(), Failed> {
    // Any site may have its own messages echoed.
    let mut ws = accept_with(socket, config, |request| OriginPolicy::Any.answer(request)).await?;
    let ended = tokio::select! {
        ended = echo(&mut ws, owned) => ended,
        _ = stopped.changed() => ws.close(CloseCode::GOING_AWAY, "").await.map(|_| ()),
    };
    Ok(ended?)
}

async fn echo(ws: &mut WebSocket<TcpStream>, owned: bool) -> Result<(), AsyncError> {
    if owned {
        while let Some(message) = ws.next().await {
            ws.feed(message?).await?;
        }
        return Ok(());
    }
    ws.run(|event, out| match event {
        Event::Message(message) => out.send(message),
        _ => Ok(()),
    })
    .await?;
    Ok(())
}
