//! An echo server: one thread, one scratch, thousands of connections, its own event loop.
//!
//! ```text
//! cargo run --release --example echo_server -- [--verbose] [ADDR] [--unix PATH]
//! cargo run --release --features deflate --example echo_server -- --deflate[=BITS] [ADDR] [--unix PATH]
//! ```
//!
//! It echoes every text and binary message. SIGINT and SIGTERM close every connection with 1001 (going away),
//! and stop the server when all are closed. With `--verbose`, it prints each connection that ends without a
//! closing handshake.

mod connection;
#[path = "../common/deflate.rs"]
mod deflate;
mod listener;
mod server;
#[path = "../common/socket.rs"]
mod socket;

use lexopt::prelude::*;
use std::process::ExitCode;
use std::sync::Arc;

const DEFAULT: &str = "127.0.0.1:9001";
const USAGE: &str =
    "usage: echo_server [--deflate[=BITS]] [--verbose] [ADDR] [--unix PATH]   (default: 127.0.0.1:9001)";

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("echo_server: {message}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), Box<dyn std::error::Error>> {
    let mut address = None;
    let mut path = None;
    let mut config = Arc::default();
    let mut verbose = false;
    let mut arguments = lexopt::Parser::from_env();
    while let Some(argument) = arguments.next()? {
        match argument {
            Long("unix") => path = Some(arguments.value()?),
            Long("deflate") => {
                let bits = arguments.optional_value().map(|bits| bits.string()).transpose()?;
                config = deflate::config(bits.as_deref())?;
            }
            Short('v') | Long("verbose") => verbose = true,
            Short('h') | Long("help") => {
                println!("{USAGE}");
                return Ok(());
            }
            Value(value) if address.is_none() => address = Some(value.string()?),
            other => return Err(format!("{}\n{USAGE}", other.unexpected()).into()),
        }
    }
    let listener = match (path, address) {
        (Some(path), None) => listener::Listener::unix(path.as_ref())?,
        (Some(_), Some(_)) => return Err(format!("either an address or a path\n{USAGE}").into()),
        (None, address) => listener::Listener::tcp(address.as_deref().unwrap_or(DEFAULT))?,
    };
    let listening = format!("listening on {listener}");
    let mut server = server::Server::new(listener, config, verbose)?;
    // A reader of this line may send a signal at once.
    println!("{listening}");
    server.run()?;
    Ok(())
}
