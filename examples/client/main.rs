//! A WebSocket client for the terminal and for pipes.
//!
//! ```text
//! cargo run --release --example client -- wss://HOST/PATH
//! echo hello | cargo run --release --example client -- --proxy http://proxy:3128 wss://HOST/PATH
//! ```

#[path = "../common/deflate.rs"]
mod deflate;
mod input;
#[cfg(feature = "rustls")]
mod insecure;
mod session;
#[path = "../common/wait.rs"]
mod wait;

use lexopt::prelude::*;
use session::Session;
use std::fmt::Display;
use std::io::{self, Write};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;
use websocket_stream::client::{ConnectError, Connector, Proxy};
use websocket_stream::{CloseCode, Closed, Config, Timeouts};

const HELP: &str = "\
Connects to a WebSocket, sends the lines of the standard input, and prints the messages that arrive.

usage: client [OPTION]... URL

URL: ws://, wss:// or ws+unix:///SOCKET/PATH:/REQUEST/PATH

  -H, --header 'NAME: VALUE'  adds a header to the request
      --auth USER:PASSWORD    sends Basic credentials (or use ws://USER:PASSWORD@HOST/)
      --origin ORIGIN         sends an Origin, as a browser would
      --subprotocol NAME      offers a subprotocol; may be repeated
      --proxy URL             connects through http://, https:// or socks5://[USER:PASSWORD@]HOST[:PORT]
      --no-proxy              ignores http_proxy, https_proxy, all_proxy and no_proxy
      --redirects NUMBER      follows up to this number of redirects (default: 0)
      --insecure              accepts any certificate
      --timeout SECONDS       limits the time for connecting (default: 30)
      --ping SECONDS          sends a ping after this time of silence, and gives up after twice the time
      --deflate[=BITS]        compresses messages, with a window of 2^BITS bytes (8 to 15) if there are BITS
  -b, --binary                sends the input in binary messages and writes messages unchanged; without it,
                              a text for each line, and binary messages are printed with escapes
  -h, --help                  prints this help

The connection is closed at the end of the input, after all of it was sent. The server then has 60 seconds for
its last messages.

exit status: 0 if it was closed normally (1000, or no code), 1 if it could not be made or broke off, 2 for
wrong arguments, 101 to 115 for the close codes 1001 to 1015, 120 for any other close code";

/// The time for the closing handshake. It includes the time that a slow link needs for what both systems have
/// taken and not delivered.
const CLOSE: Duration = Duration::from_secs(60);

/// What the arguments ask for.
struct Arguments {
    url: String,
    connector: Connector,
    is_binary: bool,
}

/// Why the program ends without a connection.
enum Failure {
    Usage(String),
    Connect(ConnectError),
    /// The conversation has failed, or the help could not be printed.
    System(io::Error),
}

fn main() -> ExitCode {
    match run() {
        Ok(None) => ExitCode::SUCCESS,
        Ok(Some(end)) => {
            let status = status(&end);
            if status > 0 {
                report(end);
            }
            ExitCode::from(status)
        }
        Err(Failure::Usage(reason)) => {
            report(format_args!("{reason} (--help lists the options)"));
            ExitCode::from(2)
        }
        Err(Failure::Connect(error @ (ConnectError::Url(_) | ConnectError::Request(_)))) => {
            report(error);
            ExitCode::from(2)
        }
        Err(Failure::Connect(error)) => {
            report(error);
            ExitCode::FAILURE
        }
        Err(Failure::System(error)) => {
            report(error);
            ExitCode::FAILURE
        }
    }
}

/// Prints what went wrong. If the standard error is closed, nobody wants to know.
fn report(what: impl Display) {
    let _ = writeln!(io::stderr(), "client: {what}");
}

fn run() -> Result<Option<Closed>, Failure> {
    let Some(arguments) = arguments().map_err(|error| Failure::Usage(error.to_string()))? else {
        writeln!(io::stdout(), "{HELP}").map_err(Failure::System)?;
        return Ok(None);
    };
    let stream = arguments.connector.connect(&arguments.url).map_err(Failure::Connect)?;
    Session::new(stream, arguments.is_binary).run().map(Some).map_err(Failure::System)
}

/// Returns the exit status for the end of the connection.
fn status(end: &Closed) -> u8 {
    match end.code {
        _ if !end.is_clean() => 1,
        CloseCode::NORMAL | CloseCode::NO_STATUS => 0,
        code => match u16::from(code) {
            code @ 1001..=1015 => u8::try_from(code - 900).unwrap_or(1),
            _ => 120,
        },
    }
}

/// Returns `None` if the help is asked for.
fn arguments() -> Result<Option<Arguments>, lexopt::Error> {
    let (mut connector, mut url, mut is_binary) = (Connector::new(), None, false);
    let (mut config, mut timeouts) = (Arc::new(Config::default()), Timeouts::default().close(CLOSE));
    let mut parser = lexopt::Parser::from_env();
    while let Some(argument) = parser.next()? {
        match argument {
            Short('H') | Long("header") => {
                let header = parser.value()?.string()?;
                let (name, value) = header.split_once(':').ok_or("a header has the form 'NAME: VALUE'")?;
                connector = connector.header(name, value.trim());
            }
            Long("auth") => {
                let credentials = parser.value()?.string()?;
                let (user, password) = credentials.split_once(':').unwrap_or((&credentials, ""));
                connector = connector.basic_auth(user, password);
            }
            Long("origin") => connector = connector.origin(&parser.value()?.string()?),
            Long("subprotocol") => connector = connector.subprotocol(&parser.value()?.string()?),
            Long("proxy") => connector = connector.proxy(parser.value()?.parse::<Proxy>()?),
            Long("no-proxy") => connector = connector.no_proxy(),
            Long("redirects") => connector = connector.redirects(parser.value()?.parse()?),
            Long("insecure") => connector = accept_any_certificate(connector)?,
            Long("timeout") => connector = connector.timeout(seconds(&mut parser)?),
            Long("ping") => {
                let interval = seconds(&mut parser)?;
                if interval.is_zero() {
                    return Err("--ping: the time must not be 0".into());
                }
                timeouts = timeouts.ping_interval(interval).idle(interval.saturating_mul(2));
            }
            Long("deflate") => {
                let bits = parser.optional_value().map(|bits| bits.string()).transpose()?;
                config = deflate::config(bits.as_deref())?;
            }
            Short('b') | Long("binary") => is_binary = true,
            Short('h') | Long("help") => return Ok(None),
            Value(value) if url.is_none() => url = Some(value.string()?),
            argument => return Err(argument.unexpected()),
        }
    }
    let url = url.ok_or("missing URL")?;
    let connector = connector.config(Config::clone(&config).timeouts(timeouts));
    Ok(Some(Arguments { url, connector, is_binary }))
}

fn seconds(parser: &mut lexopt::Parser) -> Result<Duration, lexopt::Error> {
    let text = parser.value()?.string()?;
    let seconds = text.parse().ok().and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    Ok(seconds.ok_or_else(|| format!("{text:?} is not a number of seconds"))?)
}

#[cfg(feature = "rustls")]
fn accept_any_certificate(connector: Connector) -> Result<Connector, lexopt::Error> {
    match insecure::config() {
        Ok(config) => Ok(connector.tls(config)),
        Err(error) => Err(error.to_string().into()),
    }
}

#[cfg(not(feature = "rustls"))]
fn accept_any_certificate(_: Connector) -> Result<Connector, lexopt::Error> {
    Err("--insecure: this was built without TLS".into())
}
