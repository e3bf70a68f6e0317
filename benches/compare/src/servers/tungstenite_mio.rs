//! tungstenite on mio, edge-triggered. As its documentation recommends, messages are written while there are
//! messages to read, and then flushed.

use super::{Mode, Plan};
use mio::{Events, Interest, Poll, Token};
use slab::Slab;
use std::io::{self, ErrorKind, Read, Write};
use std::net::TcpListener;
use tungstenite::handshake::MidHandshake;
use tungstenite::handshake::server::{NoCallback, ServerHandshake};
use tungstenite::protocol::WebSocketConfig;
use tungstenite::{Error, HandshakeError, Message, WebSocket};

const LISTENER: Token = Token(usize::MAX);

type Socket = mio::net::TcpStream;

enum Connection<S: Read + Write> {
    Fresh(S),
    Opening(Box<MidHandshake<ServerHandshake<S, NoCallback>>>),
    Open(Box<WebSocket<S>>),
    Gone,
}

/// `secure` makes the stream of a socket.
pub fn serve<S: Read + Write>(
    listener: TcpListener,
    plan: Plan,
    secure: impl Fn(Socket) -> io::Result<S>,
) -> io::Result<()> {
    listener.set_nonblocking(true)?;
    let mut listener = mio::net::TcpListener::from_std(listener);
    let mut poll = Poll::new()?;
    poll.registry().register(&mut listener, LISTENER, Interest::READABLE)?;
    let mut connections: Slab<Connection<S>> = Slab::new();
    let mut events = Events::with_capacity(1024);
    let mut said = Vec::new();
    let config = config(plan);
    loop {
        poll.poll(&mut events, None)?;
        for event in &events {
            if event.token() == LISTENER {
                accept_all(&listener, &poll, &mut connections, &secure)?;
                continue;
            }
            let Token(key) = event.token();
            let Some(connection) = connections.get_mut(key) else { continue };
            if advance(connection, config, plan.mode, &mut said).is_none() {
                connections.remove(key);
            }
            for message in said.drain(..) {
                broadcast(&mut connections, &message);
            }
        }
    }
}

/// "For scenarios where you expect a lot of connections and don't need high read load performance a smaller
/// buffer, e.g. 4 KiB, would be appropriate"; otherwise, the defaults.
pub fn config(plan: Plan) -> WebSocketConfig {
    let config = WebSocketConfig::default();
    if plan.many { config.read_buffer_size(4 << 10) } else { config }
}

fn accept_all<S: Read + Write>(
    listener: &mio::net::TcpListener,
    poll: &Poll,
    connections: &mut Slab<Connection<S>>,
    secure: &impl Fn(Socket) -> io::Result<S>,
) -> io::Result<()> {
    loop {
        match listener.accept() {
            Ok((mut socket, _)) => {
                socket.set_nodelay(true)?;
                let entry = connections.vacant_entry();
                let both = Interest::READABLE | Interest::WRITABLE;
                poll.registry().register(&mut socket, Token(entry.key()), both)?;
                entry.insert(Connection::Fresh(secure(socket)?));
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
            Err(error) => return Err(error),
        }
    }
}

/// Returns `None` if it is closed.
fn advance<S: Read + Write>(
    connection: &mut Connection<S>,
    config: WebSocketConfig,
    mode: Mode,
    said: &mut Vec<Message>,
) -> Option<()> {
    if let Connection::Open(stream) = connection {
        return drive(stream, mode, said);
    }
    let opened = match std::mem::replace(connection, Connection::Gone) {
        Connection::Fresh(socket) => tungstenite::accept_with_config(socket, Some(config)),
        Connection::Opening(opening) => opening.handshake(),
        Connection::Open(_) | Connection::Gone => return None,
    };
    match opened {
        Ok(stream) => {
            *connection = Connection::Open(Box::new(stream));
            advance(connection, config, mode, said)
        }
        Err(HandshakeError::Interrupted(opening)) => {
            *connection = Connection::Opening(Box::new(opening));
            Some(())
        }
        Err(HandshakeError::Failure(_)) => None,
    }
}

fn drive<S: Read + Write>(stream: &mut WebSocket<S>, mode: Mode, said: &mut Vec<Message>) -> Option<()> {
    loop {
        match stream.read() {
            Ok(message) if message.is_text() || message.is_binary() => match mode {
                Mode::Echo => go_on(stream.write(message))?,
                Mode::Broadcast => said.push(message),
            },
            Ok(_) => {}
            Err(error) => {
                go_on(Err(error))?;
                return go_on(stream.flush());
            }
        }
    }
}

fn broadcast<S: Read + Write>(connections: &mut Slab<Connection<S>>, message: &Message) {
    for (_, connection) in connections {
        if let Connection::Open(stream) = connection {
            // The clone shares the payload. A failed connection reports its error when it is read.
            let _ = stream.send(message.clone());
        }
    }
}

/// A socket that is not ready is not an error: written bytes are buffered, and flushed later.
fn go_on(outcome: Result<(), Error>) -> Option<()> {
    match outcome {
        Err(Error::Io(error)) if error.kind() == ErrorKind::WouldBlock => Some(()),
        outcome => outcome.ok(),
    }
}
