//! Connections: made, opened and tried out in groups, with blocking calls.

use super::frames::{Batch, REQUEST, accepted};
use crate::sys;
use socket2::{Domain, Socket, Type};
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

/// So many connections are under way at once: fewer than any listener's queue holds.
const GROUP: usize = 64;

/// Connections from one source address: fewer than it has ports.
const FROM_ONE_ADDRESS: usize = 10_000;

/// A server that says nothing for so long has failed.
pub const PATIENCE: Duration = Duration::from_secs(10);

/// Where to connect, and whether the server there knows no protocol.
#[derive(Debug, Clone, Copy)]
pub struct Target {
    pub port: u16,
    pub raw: bool,
}

/// Makes so many connections and their opening handshakes.
pub fn open(target: Target, connections: usize) -> io::Result<Vec<TcpStream>> {
    let mut sockets = Vec::with_capacity(connections);
    while sockets.len() < connections {
        let from = sockets.len();
        for index in from..connections.min(from + GROUP) {
            sockets.push(connect(target, index)?);
        }
        if !target.raw {
            shake_hands(&mut sockets[from..])?;
        }
    }
    Ok(sockets)
}

/// Sends each connection's batch and awaits its reply.
pub fn exchange(sockets: &mut [TcpStream], batch: impl Fn(usize) -> Batch) -> io::Result<()> {
    let mut first = 0;
    for group in sockets.chunks_mut(GROUP) {
        let batches: Vec<Batch> = (first..first + group.len()).map(&batch).collect();
        first += group.len();
        for (socket, batch) in group.iter_mut().zip(&batches) {
            socket.write_all(&batch.request)?;
        }
        for (socket, batch) in group.iter_mut().zip(&batches) {
            expect(socket, &batch.reply)?;
        }
    }
    Ok(())
}

/// Receives exactly this.
pub fn expect(socket: &mut TcpStream, reply: &[u8]) -> io::Result<()> {
    let mut received = vec![0; reply.len()];
    socket.read_exact(&mut received)?;
    if received == reply { Ok(()) } else { Err(io::Error::other("a reply differs from what was sent")) }
}

/// Opens and drops connections until the time is up; how many. A server without protocol sends the
/// request back instead.
pub fn open_and_drop(target: Target, time: Duration) -> io::Result<u64> {
    let start = Instant::now();
    let mut made = 0;
    while start.elapsed() < time {
        let mut sockets: Vec<TcpStream> =
            (0..GROUP).map(|index| connect(target, index)).collect::<io::Result<_>>()?;
        if target.raw {
            let batch = Batch { request: REQUEST.to_vec(), reply: REQUEST.to_vec() };
            exchange(&mut sockets, |_| batch.clone())?;
        } else {
            shake_hands(&mut sockets)?;
        }
        made += GROUP as u64;
    }
    Ok(made)
}

fn connect(target: Target, index: usize) -> io::Result<TcpStream> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    let address = u8::try_from(1 + index / FROM_ONE_ADDRESS).map_err(io::Error::other)?;
    sys::choose_port_late(&socket)?;
    // Dropped with a reset, so that no port of ours has to wait.
    socket.set_linger(Some(Duration::ZERO))?;
    socket.bind(&SocketAddr::from((Ipv4Addr::new(127, 0, 0, address), 0)).into())?;
    socket.connect(&SocketAddr::from((Ipv4Addr::LOCALHOST, target.port)).into())?;
    socket.set_tcp_nodelay(true)?;
    socket.set_read_timeout(Some(PATIENCE))?;
    Ok(socket.into())
}

fn shake_hands(sockets: &mut [TcpStream]) -> io::Result<()> {
    for socket in &mut *sockets {
        socket.write_all(REQUEST)?;
    }
    for socket in sockets {
        let mut response = Vec::new();
        let mut buffer = [0; 1024];
        let open = loop {
            match socket.read(&mut buffer)? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                n => response.extend_from_slice(&buffer[..n]),
            }
            if let Some(open) = accepted(&response) {
                break open;
            }
        };
        if !open {
            return Err(io::Error::other("the server did not accept the opening handshake"));
        }
    }
    Ok(())
}
