//! Two ends of one WebSocket in one process, over TLS, in memory.
//!
//! ```text
//! cargo run --example tls_pair
//! ```
//!
//! A real program has sockets and a poller. TLS changes nothing in its loop: the fields of `Wants` report
//! what to wait for, including TLS's own records, and `again` reports decrypted bytes that are still to be
//! read.

mod localhost;

use std::error::Error;
use websocket_stream::tls::TlsStream;
use websocket_stream::transport::testing::memory::{self, MemoryStream};
use websocket_stream::{
    ClientOpening, ClientRequest, CloseCode, Event, Progress, Ready, Response, Scratch, ServerOpening,
    WebSocketStream,
};

type Stream = WebSocketStream<TlsStream<MemoryStream>>;

fn main() -> Result<(), Box<dyn Error>> {
    let (a, b) = memory::pair(1 << 20);
    let mut scratch = Scratch::new();
    let (mut server, mut client) = open(
        ServerOpening::new(TlsStream::server(a, localhost::server()?)?)?,
        ClientOpening::new(
            TlsStream::client(b, localhost::client()?, "localhost".try_into()?)?,
            ClientRequest::new("localhost", "/"),
        )?,
        &mut scratch,
    )?;

    client.send(&mut scratch.at(0), "Hello")?;
    client.send(&mut scratch.at(0), &[7; 100_000])?;
    client.close(&mut scratch.at(0), CloseCode::NORMAL, "bye")?;
    // Drives each end until both are closed.
    let (mut ready, mut closed) = ([Ready::UNKNOWN; 2], [false; 2]);
    while closed != [true; 2] {
        for (index, stream) in [&mut server, &mut client].into_iter().enumerate() {
            let name = ["server", "client"][index];
            let wants = stream.drive(&mut scratch.at(0), ready[index], |event, out| {
                match event {
                    Event::Message(message) if name == "server" => out.send(message)?,
                    Event::Message(message) => {
                        println!(
                            "{name} received {} bytes of {:?}",
                            message.as_bytes().len(),
                            message.opcode()
                        );
                    }
                    Event::Closed(end) => println!("{name}: {end}"),
                    _ => {}
                }
                Ok(())
            })?;
            closed[index] = wants.closed;
            ready[index] = Ready::UNKNOWN;
        }
    }
    Ok(())
}

/// Makes the handshakes of TLS and then of the WebSocket, on both ends.
fn open(
    mut server: ServerOpening<TlsStream<MemoryStream>>,
    mut client: ClientOpening<TlsStream<MemoryStream>>,
    scratch: &mut Scratch,
) -> Result<(Stream, Stream), Box<dyn Error>> {
    loop {
        let client_is_open = matches!(client.advance(&mut scratch.at(0))?, Progress::Open);
        let asked = match server.advance(&mut scratch.at(0))? {
            Progress::Decide(_) => true,
            Progress::Open if client_is_open => return Ok((server.into_stream()?, client.into_stream()?)),
            _ => false,
        };
        if asked {
            server.answer(&Response::accept())?;
        }
    }
}
