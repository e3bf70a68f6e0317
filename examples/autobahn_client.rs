//! A client for the Autobahn test suite's fuzzing server: runs every case and echoes each message it
//! receives.
//!
//! ```text
//! cargo run --release --example autobahn_client -- [--insecure] ws://127.0.0.1:9002 AGENT [--deflate[=BITS]]
//! ```
//!
//! With `--insecure`, it accepts any certificate of a server behind TLS (`wss://`).

use lexopt::prelude::*;
use std::error::Error;
use std::process::ExitCode;
use std::time::{Duration, Instant};
use websocket_stream::client::Connector;
use websocket_stream::{Event, Message, Ready, Scratch};

#[path = "common/deflate.rs"]
mod deflate;
#[cfg(feature = "rustls")]
#[path = "client/insecure.rs"]
mod insecure;
#[path = "common/wait.rs"]
mod wait;

const USAGE: &str = "usage: autobahn_client [--insecure] URL AGENT [--deflate[=BITS]]";

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("autobahn_client: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), Box<dyn Error>> {
    // The server may take as long as it wants for an answer.
    let mut connector = Connector::new().no_proxy().timeout(Duration::from_secs(60));
    let mut names = Vec::new();
    let mut arguments = lexopt::Parser::from_env();
    while let Some(argument) = arguments.next()? {
        match argument {
            Long("insecure") => connector = accept_any_certificate(connector)?,
            Long("deflate") => {
                let bits = arguments.optional_value().map(|bits| bits.string()).transpose()?;
                connector = connector.config(deflate::config(bits.as_deref())?);
            }
            Value(value) => names.push(value.string()?),
            other => return Err(format!("{}\n{USAGE}", other.unexpected()).into()),
        }
    }
    let [url, agent] = &names[..] else { return Err(USAGE.into()) };
    let url = url.trim_end_matches('/');
    let mut client = Client { connector, scratch: Scratch::new(), start: Instant::now() };

    let mut count = None;
    client.session(&format!("{url}/getCaseCount"), |message| {
        if let Message::Text(text) = message {
            count = Some(text.parse::<u32>());
        }
        false
    })?;
    let count = count.ok_or("the server reported no number of cases")??;

    for case in 1..=count {
        // A case may end in any way; the server judges the result.
        if let Err(error) = client.session(&format!("{url}/runCase?case={case}&agent={agent}"), |_| true) {
            eprintln!("case {case}: {error}");
        }
    }
    client.session(&format!("{url}/updateReports?agent={agent}"), |_| false)?;
    println!("{count} cases were run; the server wrote its reports");
    Ok(())
}

#[cfg(feature = "rustls")]
fn accept_any_certificate(connector: Connector) -> Result<Connector, Box<dyn Error>> {
    Ok(connector.tls(insecure::config()?))
}

#[cfg(not(feature = "rustls"))]
fn accept_any_certificate(_: Connector) -> Result<Connector, Box<dyn Error>> {
    Err("--insecure: this was built without the feature `rustls`".into())
}

struct Client {
    connector: Connector,
    scratch: Scratch,
    start: Instant,
}

impl Client {
    fn now(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// Runs one connection from its opening to its end. Echoes the messages for which `echo` returns true.
    fn session(
        &mut self,
        url: &str,
        mut echo: impl FnMut(Message<'_>) -> bool,
    ) -> Result<(), Box<dyn Error>> {
        let mut stream = self.connector.connect(url)?;
        let mut ready = Ready::UNKNOWN;
        let mut clean = false;
        loop {
            let now = self.now();
            let driven = stream.drive(&mut self.scratch.at(now), ready, |event, out| match event {
                Event::Message(message) if echo(message) => out.send(message),
                Event::Closed(end) => {
                    clean = end.is_clean();
                    Ok(())
                }
                _ => Ok(()),
            });
            let wants = match driven {
                // The server resets connections after the closing handshake.
                Err(_) if clean => return Ok(()),
                driven => driven?,
            };
            if wants.closed {
                return Ok(());
            }
            let timeout = stream.next_deadline(now).map(|deadline| deadline.saturating_sub(now));
            ready = if wants.again { Ready::READABLE } else { wait::wait(&stream, None, timeout)?.0 };
        }
    }
}
