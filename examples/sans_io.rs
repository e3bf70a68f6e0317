//! The protocol alone: two connections, whose bytes the program carries from one to the other.
//!
//! ```text
//! cargo run --example sans_io
//! ```
//!
//! Use the protocol this way with io_uring, for streams inside HTTP/2, and in fuzzers: pass received bytes
//! in, and take bytes to send out.

use std::error::Error;
use websocket_stream::CloseCode;
use websocket_stream::protocol::{Connection, Event, Input, Message, Output, Role, SendError, State};

/// One end: its connection, the bytes it received and the bytes it has to send.
struct End {
    name: &'static str,
    connection: Connection,
    input: Input,
    output: Output,
}

impl End {
    fn new(name: &'static str, role: Role) -> Self {
        Self { name, connection: Connection::new(role), input: Input::default(), output: Output::new() }
    }

    /// Prints every event; the server's end echoes each message while it is borrowed.
    fn receive(&mut self) -> Result<(), SendError> {
        while let Some(event) = self.connection.receive(&mut self.input, &mut self.output) {
            println!("{}: {event:?}", self.name);
            if let (Event::Message(message), Role::Server) = (event, self.connection.role()) {
                self.connection.send(message, &mut self.output)?;
            }
        }
        Ok(())
    }

    /// Carries its bytes to the other end, followed by the end of its stream.
    fn carry_to(&mut self, other: &mut End) {
        let bytes = self.output.as_bytes();
        println!("{} -> {}: {} bytes", self.name, other.name, bytes.len());
        other.input.extend(bytes);
        let carried = bytes.len();
        self.output.consume(carried);
        if matches!(self.connection.state(), State::Draining(_) | State::Closed(_)) {
            other.input.end_of_stream();
        }
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut client = End::new("client", Role::Client);
    let mut server = End::new("server", Role::Server);

    client.connection.send(Message::Text("Hello"), &mut client.output)?;
    client.connection.ping(b"there?", &mut client.output)?;
    client.connection.send(Message::Binary(&[1, 2, 3]), &mut client.output)?;
    // The last frame from this end. The echoes still arrive.
    client.connection.close(CloseCode::NORMAL, "bye", &mut client.output)?;

    while !(is_closed(&client) && is_closed(&server)) {
        client.carry_to(&mut server);
        server.receive()?;
        server.carry_to(&mut client);
        client.receive()?;
    }
    Ok(())
}

fn is_closed(end: &End) -> bool {
    matches!(end.connection.state(), State::Closed(_))
}
