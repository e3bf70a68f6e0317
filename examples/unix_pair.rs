//! Two ends of one WebSocket in one process, over a pair of Unix sockets, with `read` and `write`.
//!
//! ```text
//! cargo run --example unix_pair
//! ```
//!
//! Nothing blocks here: the bytes that one end writes are available when the other end reads.

#![cfg_attr(not(unix), allow(unused))]

use std::error::Error;
#[cfg(unix)]
use std::os::unix::net::UnixStream;
use websocket_stream::{CloseCode, OpCode, ReadError, WebSocketStream};

#[cfg(not(unix))]
fn main() {
    eprintln!("unix_pair: std has no Unix sockets on this system");
}

#[cfg(unix)]
fn main() -> Result<(), Box<dyn Error>> {
    let (a, b) = UnixStream::pair()?;
    let mut server = WebSocketStream::new(a)?;
    let mut client = WebSocketStream::client(b)?;

    // No data has arrived yet, and the call does not wait for it.
    assert!(matches!(server.read(), Err(ReadError::NoData)));

    client.write(OpCode::Text, b"Hello")?;
    client.write(OpCode::Binary, &[1, 2, 3])?;
    client.write(OpCode::Ping, b"there?")?;
    read_all("server", &mut server, |stream, opcode, payload| {
        // Echoes each message; pings are answered automatically.
        if !opcode.is_control() {
            stream.write(opcode, payload)?;
        }
        Ok(())
    })?;
    read_all("client", &mut client, |_, _, _| Ok(()))?;

    // The closing handshake: a Close frame in each direction, then the end of the stream.
    client.write(OpCode::Close, &[&CloseCode::NORMAL.get().to_be_bytes()[..], b"bye"].concat())?;
    read_all("server", &mut server, |_, _, _| Ok(()))?;
    read_all("client", &mut client, |_, _, _| Ok(()))?;
    read_all("server", &mut server, |_, _, _| Ok(()))
}

#[cfg(unix)]
type Stream = WebSocketStream<UnixStream>;

/// Reads until no data is left.
#[cfg(unix)]
fn read_all(
    name: &str,
    stream: &mut Stream,
    mut each: impl FnMut(&mut Stream, OpCode, &[u8]) -> Result<(), Box<dyn Error>>,
) -> Result<(), Box<dyn Error>> {
    loop {
        match stream.read() {
            Ok((opcode, payload)) => {
                println!("{name} read {opcode:?} {}", payload.escape_ascii());
                each(stream, opcode, &payload)?;
            }
            Err(ReadError::NoData | ReadError::DataStop) => return Ok(()),
            Err(ReadError::Closed(end)) => {
                println!("{name}: {end}");
                return Ok(());
            }
            Err(error) => return Err(error.into()),
        }
    }
}
