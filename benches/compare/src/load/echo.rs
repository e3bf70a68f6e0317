//! Batches of echoes: each connection sends its batch, checks every byte of the reply, and continues with the
//! next batch.

use super::Script;
use super::link::Link;
use super::open::PATIENCE;
use crate::sys::{Epoll, Seen};
use std::io::{self, ErrorKind};
use std::time::{Duration, Instant};

/// Bytes received at once.
const BUFFER: usize = 256 << 10;

struct Connection {
    link: Link,
    script: Box<dyn Script>,
    sent: usize,
    /// When the current batch began.
    began: Option<Instant>,
    /// Batches still to send.
    left: u64,
}

/// Connections that are driven together.
pub struct Load {
    epoll: Epoll,
    connections: Vec<Connection>,
    buffer: Vec<u8>,
    /// Connections with a current batch.
    active: usize,
    /// The time of each batch, from its first byte sent to its last byte received, in nanoseconds.
    pub times: Vec<u32>,
}

impl Load {
    /// Takes open connections; each has its own script.
    pub fn new(links: Vec<Link>, script: impl Fn(usize) -> Box<dyn Script>) -> io::Result<Self> {
        let epoll = Epoll::new()?;
        let mut connections = Vec::with_capacity(links.len());
        for (index, link) in links.into_iter().enumerate() {
            link.socket().set_nonblocking(true)?;
            epoll.add(link.socket(), index)?;
            epoll.watch_writable(link.socket(), index)?;
            let script = script(index);
            connections.push(Connection { link, script, sent: 0, began: None, left: 0 });
        }
        Ok(Self { epoll, connections, buffer: vec![0; BUFFER], active: 0, times: Vec::new() })
    }

    /// Keeps every connection busy for this time. Returns the number of completed batches.
    pub fn run_for(&mut self, time: Duration) -> io::Result<u64> {
        let deadline = Instant::now() + time;
        self.begin(u64::MAX)?;
        let before = self.times.len();
        while Instant::now() < deadline {
            self.turn()?;
        }
        Ok((self.times.len() - before) as u64)
    }

    /// Waits for the current batches.
    pub fn drain(&mut self) -> io::Result<()> {
        self.run_batches(0)
    }

    /// Sends this number of batches on every connection and waits for their replies.
    pub fn run_batches(&mut self, batches: u64) -> io::Result<()> {
        self.begin(batches)?;
        while self.active > 0 {
            self.turn()?;
        }
        Ok(())
    }

    /// Returns the payload bytes of all replies so far, if the scripts count them.
    pub fn payload(&self) -> u64 {
        self.connections.iter().map(|connection| connection.script.payload()).sum()
    }

    fn begin(&mut self, batches: u64) -> io::Result<()> {
        let now = Instant::now();
        for connection in &mut self.connections {
            connection.left = batches;
            if connection.began.is_none() && connection.start(now) {
                self.active += 1;
                connection.send()?;
            }
        }
        Ok(())
    }

    fn turn(&mut self) -> io::Result<()> {
        let patience = i32::try_from(PATIENCE.as_millis()).unwrap_or(i32::MAX);
        let ready = self.epoll.wait(patience)?;
        if ready == 0 {
            return Err(io::Error::new(ErrorKind::TimedOut, "the server has stopped answering"));
        }
        for index in 0..ready {
            let seen = self.epoll.seen(index);
            self.advance(seen)?;
        }
        Ok(())
    }

    fn advance(&mut self, seen: Seen) -> io::Result<()> {
        let connection = &mut self.connections[seen.key];
        if seen.writable() {
            connection.send()?;
        }
        if seen.readable() && connection.receive(&mut self.buffer, seen.closed())? {
            let now = Instant::now();
            if let Some(began) = connection.began.take() {
                self.times.push(u32::try_from((now - began).as_nanos()).unwrap_or(u32::MAX));
            }
            if connection.start(now) {
                connection.send()?;
            } else {
                self.active -= 1;
            }
        }
        Ok(())
    }
}

impl Connection {
    /// Starts the next batch. Returns whether there is one.
    fn start(&mut self, now: Instant) -> bool {
        if self.left == 0 {
            return false;
        }
        self.left -= 1;
        self.script.next();
        (self.sent, self.began) = (0, Some(now));
        true
    }

    /// Sends the current batch, as much as the socket takes.
    fn send(&mut self) -> io::Result<()> {
        match self.send_all() {
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(()),
            sent => sent,
        }
    }

    fn send_all(&mut self) -> io::Result<()> {
        let request = self.script.request();
        while self.began.is_some() && self.sent < request.len() {
            self.sent += self.link.send(&request[self.sent..])?;
        }
        self.link.flush()
    }

    /// Returns whether the reply is complete. A short read has drained the socket, unless the end of the
    /// stream is there too, which is reported only once.
    fn receive(&mut self, buffer: &mut [u8], closed: bool) -> io::Result<bool> {
        while self.began.is_some() {
            let mut complete = false;
            let script = &mut self.script;
            let take = |bytes: &[u8]| script.receive(bytes).map(|all| complete = all);
            let n = match self.link.receive(buffer, take) {
                Ok(n) => n,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
                Err(error) => return Err(error),
            };
            if complete {
                return Ok(true);
            }
            if n < buffer.len() && !closed {
                return Ok(false);
            }
        }
        Ok(false)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::{Batch, Payload, Shape};
    use std::io::{Read, Write};
    use std::net::{TcpListener, TcpStream};
    use std::thread::JoinHandle;

    const SHAPE: Shape = Shape { bytes: 300_000, payload: Payload::Binary };

    /// A peer that answers each of this number of batches with the result of `reply`.
    fn peer(times: usize, reply: impl Fn(&mut Vec<u8>) + Send + 'static) -> (Load, JoinHandle<()>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let batch = |index| Batch::new(SHAPE, 2, index);
        let socket = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let peer = std::thread::spawn(move || {
            let (mut socket, _) = listener.accept().unwrap();
            for _ in 0..times {
                let Batch { mut request, reply: mut answer, .. } = batch(0);
                socket.read_exact(&mut request).unwrap();
                reply(&mut answer);
                // The load generator may have stopped.
                let _ = socket.write_all(&answer);
            }
        });
        let link = Link::new(socket, false).unwrap();
        (Load::new(vec![link], |index| Box::new(batch(index))).unwrap(), peer)
    }

    #[test]
    fn every_echoed_batch_is_counted() {
        let (mut load, peer) = peer(5, |_| {});
        load.run_batches(5).unwrap();
        assert_eq!(load.times.len(), 5);
        peer.join().unwrap();
    }

    #[test]
    fn one_wrong_byte_is_found() {
        let (mut load, peer) = peer(1, |reply| reply[299_999] ^= 1);
        let error = load.run_batches(1).unwrap_err();
        assert_eq!(error.to_string(), "byte 299999 of a reply differs from what was sent");
        drop(load);
        peer.join().unwrap();
    }

    #[test]
    fn a_truncated_reply_is_an_error() {
        let (mut load, peer) = peer(1, |reply| reply.truncate(1000));
        assert_eq!(load.run_batches(1).unwrap_err().kind(), ErrorKind::UnexpectedEof);
        peer.join().unwrap();
    }
}
