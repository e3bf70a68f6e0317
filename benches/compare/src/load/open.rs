//! Connections: connected, opened and tested in groups, with blocking calls.

use super::frames::Batch;
use super::link::Link;
use super::{Script, handshake};
use crate::compression::Compression;
use crate::sys;
use socket2::{Domain, Socket, Type};
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::ops::Range;
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
    pub tls: bool,
}

/// Bytes received at once.
const BUFFER: usize = 64 << 10;

/// Opens this number of connections, with their opening handshakes.
pub fn open(target: Target, connections: usize) -> io::Result<Vec<Link>> {
    let mut links = Vec::with_capacity(connections);
    while links.len() < connections {
        let from = links.len();
        links.extend(group(target, from..connections.min(from + GROUP))?);
        if !target.raw {
            shake_hands(&mut links[from..], target.compression)?;
        }
    }
    Ok(links)
}

/// Sends each connection's first batch and waits for its reply.
pub fn exchange(links: &mut [Link], script: impl Fn(usize) -> Box<dyn Script>) -> io::Result<()> {
    let mut buffer = vec![0; BUFFER];
    let mut first = 0;
    for group in links.chunks_mut(GROUP) {
        let mut scripts: Vec<_> = (first..first + group.len()).map(&script).collect();
        first += group.len();
        for (link, script) in group.iter_mut().zip(&mut scripts) {
            script.next();
            link.send_all(script.request())?;
        }
        for (link, script) in group.iter_mut().zip(&mut scripts) {
            let mut complete = false;
            while !complete {
                link.receive(&mut buffer, |bytes| script.receive(bytes).map(|all| complete = all))?;
            }
        }
    }
    Ok(())
}

/// Receives exactly these bytes.
pub fn expect(link: &mut Link, reply: &[u8]) -> io::Result<()> {
    let (mut buffer, mut received) = (vec![0; reply.len()], Vec::with_capacity(reply.len()));
    while received.len() < reply.len() {
        link.receive(&mut buffer, |bytes| {
            received.extend_from_slice(bytes);
            Ok(())
        })?;
    }
    if received == reply { Ok(()) } else { Err(io::Error::other("a reply differs from what was sent")) }
}

/// Opens and drops connections until the time is up. Returns their number. A server without protocol echoes
/// the request instead.
pub fn open_and_drop(target: Target, time: Duration) -> io::Result<u64> {
    let start = Instant::now();
    let mut made = 0;
    while start.elapsed() < time {
        let mut links = group(target, 0..GROUP)?;
        if target.raw {
            let request = handshake::request(target.compression);
            let batch = Batch::from((request.clone(), request));
            exchange(&mut links, |_| Box::new(batch.clone()))?;
        } else {
            shake_hands(&mut links, target.compression)?;
        }
        made += GROUP as u64;
    }
    Ok(made)
}

/// Connects a group of connections, with TLS's handshakes if it is used.
fn group(target: Target, indices: Range<usize>) -> io::Result<Vec<Link>> {
    let mut links: Vec<Link> = indices.map(|index| connect(target, index)).collect::<io::Result<_>>()?;
    if target.tls {
        let mut buffer = vec![0; BUFFER];
        links.iter_mut().try_for_each(Link::flush)?;
        links.iter_mut().try_for_each(|link| link.finish_handshake(&mut buffer))?;
    }
    Ok(links)
}

fn connect(target: Target, index: usize) -> io::Result<Link> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    let address = u8::try_from(1 + index / FROM_ONE_ADDRESS).map_err(io::Error::other)?;
    sys::choose_port_late(&socket)?;
    // Dropped with a reset, so that our port need not wait.
    socket.set_linger(Some(Duration::ZERO))?;
    socket.bind(&SocketAddr::from((Ipv4Addr::new(127, 0, 0, address), 0)).into())?;
    socket.connect(&SocketAddr::from((Ipv4Addr::LOCALHOST, target.port)).into())?;
    socket.set_tcp_nodelay(true)?;
    socket.set_read_timeout(Some(PATIENCE))?;
    Link::new(socket.into(), target.tls)
}

fn shake_hands(links: &mut [Link], compression: Compression) -> io::Result<()> {
    let request = handshake::request(compression);
    links.iter_mut().try_for_each(|link| link.send_all(&request))?;
    for link in links {
        let mut response = Vec::new();
        let mut buffer = [0; 1024];
        loop {
            link.receive(&mut buffer, |bytes| {
                response.extend_from_slice(bytes);
                Ok(())
            })?;
            if let Some(accepted) = handshake::accepted(&response, compression) {
                accepted.map_err(io::Error::other)?;
                break;
            }
        }
    }
    Ok(())
}
