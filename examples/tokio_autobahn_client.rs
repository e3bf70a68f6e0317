//! A client on tokio for the Autobahn test suite's fuzzing server: runs every case and echoes each message it
//! receives.
//!
//! ```text
//! cargo run --release --example tokio_autobahn_client -- [--insecure] URL AGENT [--deflate[=BITS]]
//! ```
//!
//! With `--insecure`, it accepts any certificate of a server behind TLS (`wss://`).

use lexopt::prelude::*;
use std::error::Error;
use std::time::Duration;
use websocket_stream::client::Connector;
use websocket_stream::tokio::connect_with;
use websocket_stream::{Event, Message};

#[path = "common/deflate.rs"]
mod deflate;
#[cfg(feature = "rustls")]
#[path = "client/insecure.rs"]
mod insecure;

const USAGE: &str = "usage: tokio_autobahn_client [--insecure] URL AGENT [--deflate[=BITS]]";

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    // The server may take as long as it wants for an answer.
    let mut connector = Connector::new().no_proxy().timeout(Duration::from_secs(60));
    let mut names = Vec::new();
    let mut arguments = lexopt::Parser::from_env();
    while let Some(argument) = arguments.next()? {
        match argument {
            #[cfg(feature = "rustls")]
            Long("insecure") => connector = connector.tls(insecure::config()?),
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

    let mut count = None;
    session(&connector, &format!("{url}/getCaseCount"), |message| {
        count = message.as_text().map(str::parse::<u32>);
        false
    })
    .await?;
    let count = count.ok_or("the server reported no number of cases")??;
    for case in 1..=count {
        // A case may end in any way; the server judges the result.
        if let Err(error) =
            session(&connector, &format!("{url}/runCase?case={case}&agent={agent}"), |_| true).await
        {
            eprintln!("case {case}: {error}");
        }
    }
    session(&connector, &format!("{url}/updateReports?agent={agent}"), |_| false).await?;
    println!("{count} cases were run; the server wrote its reports");
    Ok(())
}

/// Runs one connection from its opening to its end. Echoes the messages for which `echo` returns true.
async fn session(
    connector: &Connector,
    url: &str,
    mut echo: impl FnMut(Message<'_>) -> bool,
) -> Result<(), Box<dyn Error>> {
    let mut ws = connect_with(connector, url).await?;
    ws.run(|event, out| match event {
        Event::Message(message) if echo(message) => out.send(message),
        _ => Ok(()),
    })
    .await?;
    Ok(())
}
