//! The floors: echo the received bytes unchanged. No protocol above TCP or TLS; one receive and one send for
//! each readiness event.

use super::socket::Socket;
use super::{Mode, listen};
use crate::sys::Epoll;
use slab::Slab;
use std::io::{self, ErrorKind};
use std::net::{TcpListener, TcpStream};

/// Bytes received at once.
const BUFFER: usize = 64 << 10;

struct Connection<S> {
    socket: S,
    /// Bytes that the socket has not taken; nothing is read until they are sent.
    unsent: Vec<u8>,
    watches_writable: bool,
}

/// `secure` makes the stream of a socket.
pub fn serve<S: Socket>(
    listener: TcpListener,
    mode: Mode,
    secure: impl Fn(TcpStream) -> io::Result<S>,
) -> io::Result<()> {
    listener.set_nonblocking(true)?;
    let mut epoll = Epoll::new()?;
    epoll.add(&listener, listen::KEY)?;
    let mut connections: Slab<Connection<S>> = Slab::new();
    let mut buffer = vec![0; BUFFER];
    loop {
        for index in 0..epoll.wait(-1)? {
            let seen = epoll.seen(index);
            if seen.key == listen::KEY {
                listen::accept_all(&listener, |socket| {
                    let entry = connections.vacant_entry();
                    socket.set_nodelay(true)?;
                    epoll.add(&socket, entry.key())?;
                    entry.insert(Connection {
                        socket: secure(socket)?,
                        unsent: Vec::new(),
                        watches_writable: false,
                    });
                    Ok(())
                })?;
                continue;
            }
            let Some(connection) = connections.get_mut(seen.key) else { continue };
            let outcome = match mode {
                Mode::Echo => echo(connection, &mut buffer).and_then(|()| connection.watch(&epoll, seen.key)),
                Mode::Broadcast => broadcast(&mut connections, seen.key, &mut buffer),
            };
            if outcome.is_err() {
                connections.remove(seen.key);
            }
        }
    }
}

impl<S: Socket> Connection<S> {
    /// Waits until the socket is writable, if it has not taken everything.
    fn watch(&mut self, epoll: &Epoll, key: usize) -> io::Result<()> {
        if (!self.unsent.is_empty() || self.socket.wants_write()) && !self.watches_writable {
            self.watches_writable = true;
            epoll.watch_writable(self.socket.tcp(), key)?;
        }
        Ok(())
    }
}

/// Echoes everything available, until the socket is drained or takes no more.
fn echo<S: Socket>(connection: &mut Connection<S>, buffer: &mut [u8]) -> io::Result<()> {
    let Connection { socket, unsent, .. } = connection;
    some(socket.flush().map(|()| 0))?;
    if !unsent.is_empty() {
        let sent = some(socket.send(unsent))?;
        unsent.drain(..sent);
        if !unsent.is_empty() {
            return Ok(());
        }
        *unsent = Vec::new();
    }
    loop {
        let received = match socket.recv(buffer) {
            Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
            received => some(received)?,
        };
        if received == 0 {
            return Ok(());
        }
        let sent = some(socket.send(&buffer[..received]))?;
        if sent < received {
            unsent.extend_from_slice(&buffer[sent..received]);
            return Ok(());
        }
        if socket.is_drained(received, buffer.len()) {
            return Ok(());
        }
    }
}

/// Sends one connection's message to all.
fn broadcast<S: Socket>(
    connections: &mut Slab<Connection<S>>,
    from: usize,
    buffer: &mut [u8],
) -> io::Result<()> {
    let Some(connection) = connections.get_mut(from) else { return Ok(()) };
    let received = match connection.socket.recv(buffer) {
        Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
        received => some(received)?,
    };
    if received > 0 {
        for (_, connection) in connections.iter_mut() {
            // The load generator waits for all of them, so a socket always has room.
            connection.socket.send(&buffer[..received])?;
        }
    }
    Ok(())
}

/// Returns the number of bytes moved, or 0 if the socket was not ready.
fn some(outcome: io::Result<usize>) -> io::Result<usize> {
    match outcome {
        Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(0),
        outcome => outcome,
    }
}
