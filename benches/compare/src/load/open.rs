//! Connections: connected, opened and tested in groups, with blocking calls.

use super::frames::Batch;
use super::{Script, handshake};
use crate::compression::Compression;
use crate::sys;
use socket2::{Domain, Socket, Type};
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

/// Connections that are opened at once: fewer than any listener's queue holds.
const GROUP: usize = 64;

/// Connections from one source address: fewer than its ports.
const FROM_ONE_ADDRESS: usize = 10_000;

/// A server that sends nothing for this time has failed.
pub const PATIENCE: Duration = Duration::from_secs(10);

/// The address of a server, and its kind.
#[derive(Debug, Clone, Copy)]
pub struct Target {
    pub port: u16,
    /// Whether the server has no protocol.
    pub raw: bool,
    /// The compression to negotiate.
    pub compression: Compression,
}

/// Opens this number of connections, with their opening handshakes.
pub fn open(target: Target, connections: usize) -> io::Result<Vec<TcpStream>> {
    let mut sockets = Vec::with_capacity(connections);
    while sockets.len() < connections {
        let from = sockets.len();
        for index in from..connections.min(from + GROUP) {
            sockets.push(connect(target, index)?);
        }
        if !target.raw {
            shake_hands(&mut sockets[from..], target.compression)?;
        }
    }
    Ok(sockets)
}

/// Sends each connection's first batch and waits for its reply.
pub fn exchange(sockets: &mut [TcpStream], script: impl Fn(usize) -> Box<dyn Script>) -> io::Result<()> {
    let mut buffer = vec![0; 64 << 10];
    let mut first = 0;
    for group in sockets.chunks_mut(GROUP) {
        let mut scripts: Vec<_> = (first..first + group.len()).map(&script).collect();
        first += group.len();
        for (socket, script) in group.iter_mut().zip(&mut scripts) {
            script.next();
            socket.write_all(script.request())?;
        }
        for (socket, script) in group.iter_mut().zip(&mut scripts) {
            loop {
                let n = socket.read(&mut buffer)?;
                if n == 0 {
                    return Err(io::ErrorKind::UnexpectedEof.into());
                }
                if script.receive(&buffer[..n])? {
                    break;
                }
            }
        }
    }
    Ok(())
}

/// Receives exactly these bytes.
pub fn expect(socket: &mut TcpStream, reply: &[u8]) -> io::Result<()> {
    let mut received = vec![0; reply.len()];
    socket.read_exact(&mut received)?;
    if received == reply { Ok(()) } else { Err(io::Error::other("a reply differs from what was sent")) }
}

/// Opens and drops connections until the time is up. Returns their number. A server without protocol echoes
/// the request instead.
pub fn open_and_drop(target: Target, time: Duration) -> io::Result<u64> {
    let start = Instant::now();
    let mut made = 0;
    while start.elapsed() < time {
        let mut sockets: Vec<TcpStream> =
            (0..GROUP).map(|index| connect(target, index)).collect::<io::Result<_>>()?;
        if target.raw {
            let request = handshake::request(target.compression);
            let batch = Batch::from((request.clone(), request));
            exchange(&mut sockets, |_| Box::new(batch.clone()))?;
        } else {
            shake_hands(&mut sockets, target.compression)?;
        }
        made += GROUP as u64;
    }
    Ok(made)
}

fn connect(target: Target, index: usize) -> io::Result<TcpStream> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    let address = u8::try_from(1 + index / FROM_ONE_ADDRESS).map_err(io::Error::other)?;
    sys::choose_port_late(&socket)?;
    // Dropped with a reset, so that our port need not wait.
    socket.set_linger(Some(Duration::ZERO))?;
    socket.bind(&SocketAddr::from((Ipv4Addr::new(127, 0, 0, address), 0)).into())?;
    socket.connect(&SocketAddr::from((Ipv4Addr::LOCALHOST, target.port)).into())?;
    socket.set_tcp_nodelay(true)?;
    socket.set_read_timeout(Some(PATIENCE))?;
    Ok(socket.into())
}

fn shake_hands(sockets: &mut [TcpStream], compression: Compression) -> io::Result<()> {
    let request = handshake::request(compression);
    for socket in &mut *sockets {
        socket.write_all(&request)?;
    }
    for socket in sockets {
        let mut response = Vec::new();
        let mut buffer = [0; 1024];
        loop {
            match socket.read(&mut buffer)? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                n => response.extend_from_slice(&buffer[..n]),
            }
            if let Some(accepted) = handshake::accepted(&response, compression) {
                accepted.map_err(io::Error::other)?;
                break;
            }
        }
    }
    Ok(())
}
