//! This library in a minimal loop, without a clock, a policy or turns for others: the cost of the library
//! itself. This server is counted, but not compared.

use super::listen;
use super::ours::{Connection, open, ready};
use crate::sys::Epoll;
use std::io;
use std::net::{TcpListener, TcpStream};
use websocket_stream::{Event, Scratch, ServerOpening};

pub fn serve(listener: &TcpListener) -> io::Result<()> {
    listener.set_nonblocking(true)?;
    let mut epoll = Epoll::new()?;
    epoll.add(listener, listen::KEY)?;
    let mut connections: Vec<Connection<TcpStream>> = Vec::new();
    let mut scratch = Scratch::new();
    loop {
        for index in 0..epoll.wait(-1)? {
            let seen = epoll.seen(index);
            match connections.get_mut(seen.key) {
                Some(Connection::Open(stream)) => {
                    let wants = stream.drive(&mut scratch.at(0), ready(seen), |event, out| match event {
                        Event::Message(message) => out.send(message),
                        _ => Ok(()),
                    });
                    if wants.map_or(true, |wants| wants.closed) {
                        connections[seen.key] = Connection::Gone;
                    }
                }
                Some(connection) => drop(open(connection, &mut scratch, 0)),
                None => listen::accept_all(listener, |socket| {
                    epoll.add(&socket, connections.len())?;
                    connections.push(Connection::Opening(Box::new(ServerOpening::new(socket)?)));
                    Ok(())
                })?,
            }
        }
    }
}
