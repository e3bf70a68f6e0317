//! This library, on the same loop as the floor: one scratch, connections in a slab.

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
    Config, Event, IfFull, Interest, Message, Prepared, Progress, Ready, Scratch, Sent, ServerOpening,
    WebSocketStream,
};

pub(super) enum Connection {
    /// Boxed: few are opening, many are open.
    Opening(Box<ServerOpening<TcpStream>>),
    Open(WebSocketStream<TcpStream>),
    /// Only for the moment in which one becomes the other.
    Gone,
}

struct Entry {
    connection: Connection,
    watches_writable: bool,
}

impl Entry {
    /// Waits for the socket to take more, where it has not taken all.
    #[inline]
    fn watch(&mut self, epoll: &Epoll, key: usize, writable: bool) -> io::Result<()> {
        if !writable || self.watches_writable {
            return Ok(());
        }
        self.watches_writable = true;
        match &self.connection {
            Connection::Opening(opening) => epoll.watch_writable(opening.get_ref(), key),
            Connection::Open(stream) => epoll.watch_writable(stream.get_ref(), key),
            Connection::Gone => Ok(()),
        }
    }
}

pub fn serve(listener: TcpListener, plan: Plan) -> io::Result<()> {
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
        // One look at the clock a turn of the loop.
        let now = u64::try_from(start.elapsed().as_millis()).map_err(io::Error::other)?;
        for index in 0..ready {
            let seen = epoll.seen(index);
            if seen.key == listen::KEY {
                listen::accept_all(&listener, |socket| server.add(&epoll, socket))?;
            } else {
                server.advance(&epoll, seen, now);
            }
        }
        // One turn each, behind the others.
        for _ in 0..server.again.len() {
            if let Some(key) = server.again.pop_front() {
                let seen = Seen { key, readable: true, writable: false, closed: false };
                server.advance(&epoll, seen, now);
            }
        }
    }
}

struct Server {
    connections: Slab<Entry>,
    /// Connections that said "again".
    again: VecDeque<usize>,
    scratch: Scratch,
    /// What is to be broadcast.
    said: Vec<u8>,
    mode: Mode,
    config: Option<Arc<Config>>,
}

/// Nothing where the default is wanted.
#[cfg(feature = "deflate")]
fn config(compression: Compression) -> io::Result<Option<Arc<Config>>> {
    use websocket_stream::deflate::{Deflate, Takeover};
    let takeover = match compression {
        Compression::Off => return Ok(None),
        Compression::Alone => Takeover::No,
        Compression::Takeover => Takeover::FULL,
    };
    let deflate = Deflate { send: takeover, receive: takeover, ..Deflate::default() };
    Ok(Some(Arc::new(Config { deflate: Some(deflate), ..Config::default() })))
}

/// The same without the feature.
#[cfg(not(feature = "deflate"))]
fn config(compression: Compression) -> io::Result<Option<Arc<Config>>> {
    match compression {
        Compression::Off => Ok(None),
        _ => Err(super::without_feature()),
    }
}

impl Server {
    fn add(&mut self, epoll: &Epoll, socket: TcpStream) -> io::Result<()> {
        let entry = self.connections.vacant_entry();
        epoll.add(&socket, entry.key())?;
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
        let ready = Ready { readable: seen.readable, writable: seen.writable, closed: seen.closed };
        let interest = match &mut entry.connection {
            Connection::Open(stream) => {
                drive(stream, &mut self.scratch, now, ready, self.mode, &mut self.said)
            }
            connection => open(connection, &mut self.scratch, now, ready),
        };
        let watched = |interest: &Interest| entry.watch(epoll, seen.key, interest.writable).is_ok();
        match interest.filter(watched) {
            Some(Interest { again: true, .. }) => self.again.push_back(seen.key),
            Some(_) => {}
            None => drop(self.connections.remove(seen.key)),
        }
        if !self.said.is_empty() {
            self.broadcast(epoll, now);
        }
    }

    fn broadcast(&mut self, epoll: &Epoll, now: u64) {
        let message = Prepared::new(Message::Binary(&self.said));
        for (key, entry) in &mut self.connections {
            if let Connection::Open(stream) = &mut entry.connection {
                // One that failed says so when it is driven.
                let sent = stream.send_prepared(&mut self.scratch.at(now), &message, IfFull::Drop);
                let _ = entry.watch(epoll, key, matches!(sent, Ok(Sent::Queued(_))));
            }
        }
        self.said.clear();
    }
}

/// `None`: it is over.
#[inline]
fn drive(
    stream: &mut WebSocketStream<TcpStream>,
    scratch: &mut Scratch,
    now: u64,
    ready: Ready,
    mode: Mode,
    said: &mut Vec<u8>,
) -> Option<Interest> {
    let interest = stream.drive(&mut scratch.at(now), ready, |event, out| match (event, mode) {
        (Event::Message(message), Mode::Echo) => out.send(message),
        (Event::Message(message), Mode::Broadcast) => {
            said.extend_from_slice(message.as_bytes());
            Ok(())
        }
        _ => Ok(()),
    });
    interest.ok().filter(|interest| !interest.over)
}

#[cold]
pub(super) fn open(
    connection: &mut Connection,
    scratch: &mut Scratch,
    now: u64,
    ready: Ready,
) -> Option<Interest> {
    let Connection::Opening(opening) = connection else { return None };
    match opening.advance(&mut scratch.at(now), ready).ok()? {
        Progress::Decide(_) => opening.answer(&Response::accept()).ok()?,
        Progress::Pending(interest) => return Some(interest),
        Progress::Open => {}
    }
    if let Progress::Pending(interest) = opening.advance(&mut scratch.at(now), ready).ok()? {
        return Some(interest);
    }
    if let Connection::Opening(opening) = std::mem::replace(connection, Connection::Gone) {
        *connection = Connection::Open(opening.into_stream().ok()?);
    }
    // Bytes behind the head are read in the next turn.
    Some(Interest { readable: true, writable: false, again: true, over: false })
}
