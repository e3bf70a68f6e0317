//! This library, on the floor's loop: one scratch, connections in a slab.

use super::socket::OnTcp;
use super::{Mode, Plan, listen};
use crate::compression::Compression;
use crate::sys::{Epoll, Seen};
use slab::Slab;
use std::collections::VecDeque;
use std::io;
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::time::Instant;
use websocket_stream::handshake::Response;
use websocket_stream::{
    Config, Delivery, Event, IfFull, Message, NonBlockingTransport, PreparedMessage, Progress, Ready,
    Scratch, SendError, ServerOpening, Wants, WebSocketStream,
};

/// A socket as this library uses it, with TLS or without.
pub(super) trait Transport: NonBlockingTransport + OnTcp {}

impl<T: NonBlockingTransport + OnTcp> Transport for T {}

pub(super) enum Connection<T> {
    /// Boxed: few are opening, many are open.
    Opening(Box<ServerOpening<T>>),
    Open(WebSocketStream<T>),
    /// Only during the change from one state to the other.
    Gone,
}

struct Entry<T> {
    connection: Connection<T>,
    watches_writable: bool,
}

impl<T: Transport> Entry<T> {
    /// Waits until the socket is writable, if it has not taken everything.
    #[inline]
    fn watch(&mut self, epoll: &Epoll, key: usize, writable: bool) -> io::Result<()> {
        if !writable || self.watches_writable {
            return Ok(());
        }
        self.watches_writable = true;
        match &self.connection {
            Connection::Opening(opening) => epoll.watch_writable(opening.get_ref().tcp(), key),
            Connection::Open(stream) => epoll.watch_writable(stream.get_ref().tcp(), key),
            Connection::Gone => Ok(()),
        }
    }
}

/// `secure` makes the transport of a socket.
pub fn serve<T: Transport>(
    listener: TcpListener,
    plan: Plan,
    secure: impl Fn(TcpStream) -> io::Result<T>,
) -> io::Result<()> {
    listener.set_nonblocking(true)?;
    let mut epoll = Epoll::new()?;
    epoll.add(&listener, listen::KEY)?;
    let mut server = Server {
        connections: Slab::new(),
        again: VecDeque::new(),
        scratch: Scratch::new(),
        said: Vec::new(),
        mode: plan.mode,
        config: config(plan.compression)?,
    };
    let start = Instant::now();
    loop {
        let wait = if server.again.is_empty() { -1 } else { 0 };
        let ready = epoll.wait(wait)?;
        // One reading of the clock for each iteration of the loop.
        let now = u64::try_from(start.elapsed().as_millis()).map_err(io::Error::other)?;
        // Connections that asked for another call have one call each, after the others.
        for call in 0..ready + server.again.len() {
            let seen = match call < ready {
                true => epoll.seen(call),
                false => match server.again.pop_front() {
                    Some(key) => Seen::to_read(key),
                    None => break,
                },
            };
            if seen.key == listen::KEY {
                listen::accept_all(&listener, |socket| server.add(&epoll, secure(socket)?))?;
            } else {
                server.advance(&epoll, seen, now);
            }
        }
    }
}

struct Server<T> {
    connections: Slab<Entry<T>>,
    /// Connections that asked for another call.
    again: VecDeque<usize>,
    scratch: Scratch,
    /// The message to broadcast.
    said: Vec<u8>,
    mode: Mode,
    config: Option<Arc<Config>>,
}

/// Returns `None` for the default.
#[cfg(feature = "deflate")]
pub(super) fn config(compression: Compression) -> io::Result<Option<Arc<Config>>> {
    use websocket_stream::deflate::{Deflate, WindowBits};
    let window = match compression {
        Compression::Off => return Ok(None),
        Compression::Alone => None,
        Compression::Takeover => Some(WindowBits::MAX),
    };
    let deflate = Deflate::default().send_window(window).receive_window(window);
    Ok(Some(Arc::new(Config::default().deflate(deflate))))
}

/// Without the feature, there is nothing to configure.
#[cfg(not(feature = "deflate"))]
pub(super) fn config(compression: Compression) -> io::Result<Option<Arc<Config>>> {
    match compression {
        Compression::Off => Ok(None),
        _ => Err(io::Error::other("built without the feature `deflate`")),
    }
}

impl<T: Transport> Server<T> {
    fn add(&mut self, epoll: &Epoll, socket: T) -> io::Result<()> {
        let entry = self.connections.vacant_entry();
        epoll.add(socket.tcp(), entry.key())?;
        let opening = match &self.config {
            None => ServerOpening::new(socket)?,
            Some(config) => ServerOpening::with_config(socket, Arc::clone(config))?,
        };
        let connection = Connection::Opening(Box::new(opening));
        entry.insert(Entry { connection, watches_writable: false });
        Ok(())
    }

    #[inline]
    fn advance(&mut self, epoll: &Epoll, seen: Seen, now: u64) {
        let Some(entry) = self.connections.get_mut(seen.key) else { return };
        let wants = match &mut entry.connection {
            Connection::Open(stream) => {
                drive(stream, &mut self.scratch, now, ready(seen), self.mode, &mut self.said)
            }
            connection => open(connection, &mut self.scratch, now),
        };
        match wants {
            Some(wants) if entry.watch(epoll, seen.key, wants.write).is_ok() => {
                if wants.again {
                    self.again.push_back(seen.key);
                }
            }
            _ => drop(self.connections.remove(seen.key)),
        }
        if !self.said.is_empty() {
            self.broadcast(epoll, now);
        }
    }

    fn broadcast(&mut self, epoll: &Epoll, now: u64) {
        let message = PreparedMessage::new(Message::Binary(&self.said));
        for (key, entry) in &mut self.connections {
            if let Connection::Open(stream) = &mut entry.connection {
                // A failed connection reports its end when it is driven.
                let sent = stream.send_prepared(&mut self.scratch.at(now), &message, IfFull::Drop);
                let _ = entry.watch(epoll, key, matches!(sent, Ok(Delivery::Queued(_))));
            }
        }
        self.said.clear();
    }
}

#[inline]
pub(super) fn ready(seen: Seen) -> Ready {
    Ready { readable: seen.readable(), writable: seen.writable(), closed: seen.closed() }
}

/// Returns `None` if it is closed.
#[inline]
fn drive<T: Transport>(
    stream: &mut WebSocketStream<T>,
    scratch: &mut Scratch,
    now: u64,
    ready: Ready,
    mode: Mode,
    said: &mut Vec<u8>,
) -> Option<Wants> {
    let mut turn = scratch.at(now);
    let wants = match mode {
        Mode::Echo => stream.drive(&mut turn, ready, |event, out| match event {
            Event::Message(message) => out.send(message),
            _ => Ok(()),
        }),
        Mode::Broadcast => stream.drive(&mut turn, ready, |event, _| {
            if let Event::Message(message) = event {
                said.extend_from_slice(message.as_bytes());
            }
            Ok::<_, SendError>(())
        }),
    };
    match wants {
        Ok(wants) if !wants.closed => Some(wants),
        _ => None,
    }
}

#[cold]
pub(super) fn open<T: Transport>(
    connection: &mut Connection<T>,
    scratch: &mut Scratch,
    now: u64,
) -> Option<Wants> {
    let Connection::Opening(opening) = connection else { return None };
    match opening.advance(&mut scratch.at(now)).ok()? {
        Progress::Decide(_) => opening.answer(&Response::accept()).ok()?,
        Progress::Pending(wants) => return Some(wants),
        Progress::Answered { .. } => return None,
        Progress::Open => {}
    }
    if let Progress::Pending(wants) = opening.advance(&mut scratch.at(now)).ok()? {
        return Some(wants);
    }
    let Connection::Opening(opening) = std::mem::replace(connection, Connection::Gone) else { return None };
    let stream = opening.into_stream().ok()?;
    // Bytes after the head are read in the next call.
    let wants = stream.wants();
    *connection = Connection::Open(stream);
    Some(wants)
}
