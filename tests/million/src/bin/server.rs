//! An echo server that also sends to everyone what begins with `=`.
//!
//! usage: server ADDRESS

use std::time::Duration;
use websocket_stream::server::{Failure, Handler, Peer, Server, ServerConfig};
use websocket_stream::{Message, Timeouts};

struct Everyone;

impl Handler for Everyone {
    type Session = ();

    fn opened(&mut self, peer: &mut Peer<'_>, _: &mut ()) -> Result<(), Failure> {
        peer.subscribe("everyone");
        Ok(())
    }

    fn message(&mut self, peer: &mut Peer<'_>, _: &mut (), message: Message<'_>) -> Result<(), Failure> {
        match message {
            Message::Text(text) if text.starts_with('=') => peer.publish("everyone", text),
            message => peer.send(message)?,
        }
        Ok(())
    }
}

fn main() -> std::io::Result<()> {
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:0".to_owned());
    // Pings, as every server sends them. In an emulated machine, opening a million takes minutes.
    let timeouts = Timeouts::default()
        .opening(Duration::from_secs(120))
        .ping_interval(Duration::from_secs(300))
        .idle(Duration::from_secs(900))
        .write(Duration::from_secs(300));
    let config = ServerConfig::default();
    let connection = config.connection.clone().timeouts(timeouts);
    let server = Server::bind(address)?.config(config.connection(connection));
    if let Some(address) = server.local_addr() {
        println!("listening on ws://{address}");
    }
    server.run(Everyone)
}
