//! An echo server: sends back every text and binary message.
//!
//! ```text
//! cargo run --release --example echo_server -- [--verbose] [--threads N] [ADDR] [--unix PATH]
//! cargo run --release --features deflate --example echo_server -- --deflate[=BITS] [ADDR] [--unix PATH]
//! cargo run --release --example echo_server -- --tls CHAIN.pem KEY.pem [ADDR]
//! ```
//!
//! In a browser, `http://ADDR` is a page to try it; `/health` answers health checks. SIGINT and SIGTERM close
//! every connection with 1001 (going away), and stop the server when all are closed; a second signal ends it
//! at once. With `--verbose`, it prints each connection that ends without a closing handshake.

#[path = "../common/deflate.rs"]
mod deflate;
#[path = "../common/http.rs"]
mod http;
#[path = "../common/signals.rs"]
mod signals;
mod tls;

use lexopt::prelude::*;
use std::error::Error;
use std::ffi::OsString;
use std::fmt::Display;
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;
use websocket_stream::server::{Answer, Failure, Handler, NewPeer, Peer, Server, ServerConfig, Shutdown};
use websocket_stream::{Closed, Message, OpeningError, OriginPolicy, Request};

const DEFAULT: &str = "127.0.0.1:9001";
const USAGE: &str = "usage: echo_server [--deflate[=BITS]] [--tls CHAIN.pem KEY.pem] [--verbose] [--threads N] \
    [ADDR] [--unix PATH]   (default: 127.0.0.1:9001)";

struct Echo {
    verbose: bool,
}

impl Handler for Echo {
    type Session = ();

    fn message(&mut self, peer: &mut Peer<'_>, _: &mut (), message: Message<'_>) -> Result<(), Failure> {
        Ok(peer.send(message)?)
    }

    fn http(&mut self, _: &mut NewPeer<'_>, request: &Request<'_>) -> Answer {
        http::answer(request, |path| (path == "/").then_some(include_str!("page.html"))).into()
    }

    fn closed(&mut self, _: &mut Peer<'_>, _: &mut (), end: Closed) {
        if !end.is_clean() {
            self.report(&end);
        }
    }

    fn not_opened(&mut self, _: &mut NewPeer<'_>, error: &OpeningError) {
        self.report(error);
    }

    fn cannot_accept(&mut self, error: &io::Error) {
        self.report(error);
    }
}

impl Echo {
    fn report(&self, what: &dyn Display) {
        if self.verbose {
            eprintln!("echo_server: {what}");
        }
    }
}

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("echo_server: {message}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), Box<dyn Error>> {
    let (mut address, mut path, mut threads, mut verbose) = (None, None, 1, false);
    let mut config = Arc::default();
    let mut certificate = None;
    let mut arguments = lexopt::Parser::from_env();
    while let Some(argument) = arguments.next()? {
        match argument {
            Long("unix") => path = Some(arguments.value()?),
            Long("deflate") => {
                let bits = arguments.optional_value().map(|bits| bits.string()).transpose()?;
                config = deflate::config(bits.as_deref())?;
            }
            Long("tls") => certificate = Some([arguments.value()?.into(), arguments.value()?.into()]),
            Long("threads") => threads = arguments.value()?.parse()?,
            Short('v') | Long("verbose") => verbose = true,
            Short('h') | Long("help") => {
                println!("{USAGE}");
                return Ok(());
            }
            Value(value) if address.is_none() => address = Some(value.string()?),
            other => return Err(format!("{}\n{USAGE}", other.unexpected()).into()),
        }
    }
    let (server, url) = listen(address, path, certificate)?;
    // Any site may have its own messages echoed.
    let settings = ServerConfig::default().origin(OriginPolicy::Any);
    let timeouts = settings.connection.timeouts.clone();
    let server = server.config(settings.connection(Arc::unwrap_or_clone(config).timeouts(timeouts)));
    // Longer than the timeout of a closing handshake.
    let shutdown = Shutdown::within(Duration::from_secs(6)).spread(Duration::from_secs(1));
    signals::stop_gracefully(server.handle(), shutdown)?;
    // A reader of this line may send a signal at once.
    println!("listening on {url}");
    server.threads(threads).run(|_| Echo { verbose })?;
    Ok(())
}

#[cfg(unix)]
fn bind_unix(path: &Path) -> io::Result<Server> {
    Server::bind_unix(path)
}

#[cfg(not(unix))]
fn bind_unix(_path: &Path) -> io::Result<Server> {
    Err(io::Error::new(io::ErrorKind::Unsupported, "no Unix sockets on this system"))
}

/// Returns a server on an address or on a path, and its URL.
fn listen(
    address: Option<String>,
    path: Option<OsString>,
    certificate: Option<[PathBuf; 2]>,
) -> Result<(Server, String), String> {
    match (path, address) {
        (Some(_), None) if certificate.is_some() => {
            Err(format!("TLS is for an address, not for a path\n{USAGE}"))
        }
        (Some(_), Some(_)) => Err(format!("either an address or a path\n{USAGE}")),
        (Some(path), None) => {
            let name = path.display().to_string();
            let server = bind_unix(path.as_ref()).map_err(|error| explain(&name, &error))?;
            Ok((server, format!("ws+unix://{name}")))
        }
        (None, address) => {
            let address = address.as_deref().unwrap_or(DEFAULT);
            let server = Server::bind(address).map_err(|error| explain(address, &error))?;
            let bound = server.local_addr().map_or_else(|| address.to_owned(), |bound| bound.to_string());
            match certificate {
                Some([chain, key]) => Ok((tls::secure(server, &chain, &key)?, format!("wss://{bound}"))),
                None => Ok((server, format!("ws://{bound}"))),
            }
        }
    }
}

fn explain(address: &str, error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::AddrInUse => format!("{address} is taken by another program: {error}"),
        _ => format!("cannot listen on {address}: {error}"),
    }
}
