//! Publishes a number every second, from a thread of its own, to everyone who connects.
//!
//! ```text
//! cargo run --example ticker [ADDR]
//! ```

use std::time::Duration;
use websocket_stream::Message;
use websocket_stream::server::{Failure, HandleError, Handler, Peer, Server};

struct Ticks;

impl Handler for Ticks {
    type Session = ();

    fn opened(&mut self, peer: &mut Peer<'_>, _: &mut ()) -> Result<(), Failure> {
        peer.subscribe("ticks");
        Ok(())
    }

    fn message(&mut self, _: &mut Peer<'_>, _: &mut (), _: Message<'_>) -> Result<(), Failure> {
        Ok(())
    }
}

fn main() -> std::io::Result<()> {
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:9003".to_owned());
    let server = Server::bind(address)?;
    println!("listening on ws://{}", server.local_addr().expect("a TCP listener"));
    let handle = server.handle();
    std::thread::spawn(move || {
        for tick in 0_u64.. {
            if handle.publish("ticks", &tick.to_string()) == Err(HandleError::Ended) {
                break;
            }
            std::thread::sleep(Duration::from_secs(1));
        }
    });
    server.run(Ticks)
}
