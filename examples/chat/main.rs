//! A chat: each member of a room receives what any member of the room says.
//!
//! ```text
//! cargo run --example chat -- [--redis URL] [ADDR]
//! ```
//!
//! In a browser, `http://ADDR/ROOM` is a page to use it. The path of a WebSocket is its room, and its query
//! can have a name: `ws://ADDR/tea?name=Ann`. `protocol.rs` describes the messages. A new member receives the
//! last messages of the room that this server has seen. If a member does not take its messages, it misses
//! some, and receives a note with their number. Nobody waits for a slow member.
//!
//! With `--redis`, servers on several machines share their rooms, by Redis' publish and subscribe.
//!
//! SIGINT and SIGTERM close every connection with 1012 (service restart): pages connect again.

mod chat;
#[path = "../common/http.rs"]
mod http;
mod link;
mod protocol;
mod redis_link;
mod rooms;
#[path = "../common/signals.rs"]
mod signals;

use lexopt::prelude::*;
use std::error::Error;
use std::process::ExitCode;
use std::time::Duration;
use websocket_stream::server::{Server, ServerConfig, Shutdown, SlowPeer};
use websocket_stream::{CloseCode, Limits, Timeouts};

const DEFAULT: &str = "127.0.0.1:9002";
const USAGE: &str = "usage: chat [--redis URL] [ADDR]   (default: 127.0.0.1:9002)";

/// The unsent bytes above which a member misses messages.
const SLOW: usize = 128 << 10;

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("chat: {message}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), Box<dyn Error>> {
    let (mut address, mut redis) = (None, None);
    let mut arguments = lexopt::Parser::from_env();
    while let Some(argument) = arguments.next()? {
        match argument {
            Long("redis") => redis = Some(arguments.value()?.string()?),
            Short('h') | Long("help") => {
                println!("{USAGE}");
                return Ok(());
            }
            Value(value) if address.is_none() => address = Some(value.string()?),
            other => return Err(format!("{}\n{USAGE}", other.unexpected()).into()),
        }
    }
    let server = Server::bind(address.as_deref().unwrap_or(DEFAULT))?.config(settings());
    let shutdown = Shutdown::within(Duration::from_secs(6))
        .spread(Duration::from_secs(1))
        .code(CloseCode::SERVICE_RESTART);
    signals::stop_gracefully(server.handle(), shutdown)?;
    let chat = chat::Chat::new(&server.handle(), redis.as_deref())?;
    println!("listening on ws://{}", server.local_addr().ok_or("no address")?);
    server.run(chat)?;
    Ok(())
}

fn settings() -> ServerConfig {
    let limits = Limits::default().message(64 << 10).frame(64 << 10).unsent(512 << 10);
    let timeouts = Timeouts::default()
        .ping_interval(Duration::from_secs(20))
        .idle(Duration::from_secs(60))
        .write(Duration::from_secs(30));
    ServerConfig::default().limits(limits).timeouts(timeouts).slow_peer(SlowPeer::Drop { above: SLOW })
}
