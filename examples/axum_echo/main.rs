//! An echo server in axum, over HTTP/1.1 and HTTP/2. Its page sends a message and shows the reply.
//!
//! ```text
//! cargo run --release --example axum_echo -- [ADDR]
//! cargo run --release --features deflate --example axum_echo -- --deflate[=BITS] [ADDR]
//! cargo run --release --features ring --example axum_echo -- --tls CHAIN.pem KEY.pem [ADDR]
//! ```
//!
//! Browsers use HTTP/2 only over TLS.

use axum::Router;
use axum::extract::State;
use axum::http::Version;
use axum::response::{Html, IntoResponse, Response};
use axum::routing::any;
use lexopt::prelude::*;
use std::sync::Arc;
use tokio::net::TcpListener;
use websocket_stream::axum::WebSocketUpgrade;
use websocket_stream::{Config, Event, Timeouts};

#[path = "../common/deflate.rs"]
mod deflate;
#[path = "../common/terminate.rs"]
mod terminate;
#[cfg(feature = "rustls")]
mod tls;

type Failed = Box<dyn std::error::Error>;

const PAGE: &str = "<!doctype html><title>Echo</title><link rel=icon href=data:,><pre></pre><script>
const socket = new WebSocket(location.origin.replace('http', 'ws'));
socket.onopen = () => socket.send('hello');
socket.onmessage = event => document.querySelector('pre').append(event.data + '\\n');
</script>";

#[tokio::main]
async fn main() -> Result<(), Failed> {
    let (mut address, mut config, mut tls) = ("127.0.0.1:3000".to_owned(), Arc::default(), None);
    let mut arguments = lexopt::Parser::from_env();
    while let Some(argument) = arguments.next()? {
        match argument {
            Long("deflate") => {
                let bits = arguments.optional_value().map(|bits| bits.string()).transpose()?;
                config = deflate::config(bits.as_deref())?;
            }
            Long("tls") => tls = Some([arguments.value()?, arguments.value()?]),
            Value(value) => address = value.string()?,
            other => return Err(other.unexpected().into()),
        }
    }
    let config = Arc::new(Arc::unwrap_or_clone(config).timeouts(Timeouts::SERVER));
    let app = Router::new().route("/", any(echo)).with_state(config);
    let listener = TcpListener::bind(address).await?;
    let address = listener.local_addr()?;
    let mut terminate = terminate::terminate()?;
    let served = async {
        match tls {
            #[cfg(feature = "rustls")]
            Some([chain, key]) => {
                let listener = tls::Listener::new(listener, chain.as_ref(), key.as_ref())?;
                println!("listening on wss://{address}");
                axum::serve(listener, app).await?;
            }
            #[cfg(not(feature = "rustls"))]
            Some(_) => return Err("--tls: this was built without the feature `ring`".into()),
            None => {
                println!("listening on ws://{address}");
                axum::serve(listener, app).await?;
            }
        }
        Ok(())
    };
    tokio::select! {
        served = served => served,
        _ = terminate.recv() => Ok(()),
    }
}

async fn echo(
    State(config): State<Arc<Config>>,
    version: Version,
    upgrade: Option<WebSocketUpgrade>,
) -> Response {
    let Some(upgrade) = upgrade else { return Html(PAGE).into_response() };
    println!("a WebSocket over {version:?}");
    upgrade.config(config).on_upgrade(|mut ws| async move {
        let end = ws.run(|event, out| match event {
            Event::Message(message) => out.send(message),
            _ => Ok(()),
        });
        if let Err(error) = end.await {
            eprintln!("axum_echo: {error}");
        }
    })
}
