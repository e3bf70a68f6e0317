//! Connecting to a host's addresses in turn, until one answers (RFC 8305, section 5).

use super::transport::Transport;
use socket2::{Domain, Protocol, Socket, Type};
use std::collections::VecDeque;
use std::fmt;
use std::io::{self, ErrorKind};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;

/// The milliseconds before the next address is tried as well: the "Connection Attempt Delay", recommended as
/// 250 ms.
const NEXT: u64 = 250;

/// An address that could not be connected to, and why.
///
/// See the example of [`ConnectError`](super::ConnectError).
#[derive(Debug)]
#[non_exhaustive]
pub struct FailedAttempt {
    /// The address.
    pub address: SocketAddr,
    /// The reason. `TimedOut` if the attempt has run out of time.
    pub error: io::Error,
}

impl fmt::Display for FailedAttempt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.address, self.error)
    }
}

/// Attempts to connect to the addresses of a host.
#[derive(Debug)]
pub(super) struct Connecting {
    waiting: VecDeque<SocketAddr>,
    attempts: Vec<Attempt>,
    pub(super) failed: Vec<FailedAttempt>,
    /// The time for one attempt, in milliseconds.
    timeout: Option<u64>,
    /// When the next address is tried as well.
    next_at: u64,
}

#[derive(Debug)]
pub(super) struct Attempt {
    address: SocketAddr,
    pub(super) socket: TcpStream,
    deadline: Option<u64>,
}

impl Connecting {
    pub(super) fn new(addresses: Vec<SocketAddr>, timeout: Option<u64>) -> Self {
        Self {
            waiting: interleaved(addresses),
            attempts: Vec::new(),
            failed: Vec::new(),
            timeout,
            next_at: 0,
        }
    }

    /// Advances the attempts. Returns the first connection, or `None` while there is hope; all attempts have
    /// failed if [`is_hopeless`](Self::is_hopeless).
    pub(super) fn advance(&mut self, now: u64) -> Option<TcpStream> {
        loop {
            if let Some(socket) = self.connected(now) {
                return Some(socket);
            }
            if !self.attempts.is_empty() && now < self.next_at {
                return None;
            }
            let address = self.waiting.pop_front()?;
            match connect(address) {
                Ok(socket) => {
                    let deadline = self.timeout.map(|timeout| now.saturating_add(timeout));
                    self.attempts.push(Attempt { address, socket, deadline });
                    self.next_at = now.saturating_add(NEXT);
                }
                Err(error) => self.failed.push(FailedAttempt { address, error }),
            }
        }
    }

    /// Returns a connection if there is one, and removes the attempts that have failed.
    fn connected(&mut self, now: u64) -> Option<TcpStream> {
        // The first ones are preferred.
        let mut index = 0;
        while let Some(attempt) = self.attempts.get(index) {
            match attempt.outcome(now) {
                None => index += 1,
                Some(Ok(())) => return Some(self.attempts.remove(index).socket),
                Some(Err(error)) => {
                    let address = self.attempts.remove(index).address;
                    self.failed.push(FailedAttempt { address, error });
                    // The next one need not wait.
                    self.next_at = now;
                }
            }
        }
        None
    }

    /// Gives up. Returns all addresses that were tried, also those that have not answered yet.
    pub(super) fn given_up(self) -> Vec<FailedAttempt> {
        let silent = self
            .attempts
            .into_iter()
            .map(|Attempt { address, .. }| FailedAttempt { address, error: ErrorKind::TimedOut.into() });
        self.failed.into_iter().chain(silent).collect()
    }

    pub(super) fn is_hopeless(&self) -> bool {
        self.attempts.is_empty() && self.waiting.is_empty()
    }

    pub(super) fn attempts(&self) -> &[Attempt] {
        &self.attempts
    }

    pub(super) fn next_deadline(&self) -> Option<u64> {
        let next = (!self.waiting.is_empty()).then_some(self.next_at);
        self.attempts.iter().filter_map(|attempt| attempt.deadline).chain(next).min()
    }
}

impl Attempt {
    /// Returns the outcome once there is one, and only once.
    fn outcome(&self, now: u64) -> Option<io::Result<()>> {
        match self.socket.take_error() {
            Ok(None) => {}
            Ok(Some(error)) | Err(error) => return Some(Err(error)),
        }
        match self.socket.peer_addr() {
            Ok(_) => Some(Ok(())),
            Err(error) if error.kind() == ErrorKind::NotConnected => match self.deadline {
                Some(deadline) if now >= deadline => Some(Err(ErrorKind::TimedOut.into())),
                _ => None,
            },
            Err(error) => Some(Err(error)),
        }
    }
}

/// Begins to connect.
fn connect(address: SocketAddr) -> io::Result<TcpStream> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_nonblocking(true)?;
    match socket.connect(&address.into()) {
        Ok(()) => {}
        Err(error) if error.kind() == ErrorKind::WouldBlock => {}
        Err(error) if error.raw_os_error() == Some(IN_PROGRESS) => {}
        Err(error) => return Err(error),
    }
    Ok(socket.into())
}

/// Connects to a Unix socket, without waiting: a full backlog is an error.
#[cfg(unix)]
pub(super) fn connect_unix(path: &Path) -> io::Result<Transport> {
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    socket.set_nonblocking(true)?;
    socket.connect(&socket2::SockAddr::unix(path)?)?;
    Ok(Transport::Unix(socket.into()))
}

/// std has no Unix sockets here.
#[cfg(not(unix))]
pub(super) fn connect_unix(_path: &Path) -> io::Result<Transport> {
    Err(io::Error::new(ErrorKind::Unsupported, "no Unix sockets on this system"))
}

const IN_PROGRESS: i32 = rustix::io::Errno::INPROGRESS.raw_os_error();

/// Alternates the address families, beginning with that of the first address (RFC 8305, section 4). The order
/// within a family is the resolver's.
fn interleaved(addresses: Vec<SocketAddr>) -> VecDeque<SocketAddr> {
    let first_is_6 = addresses.first().is_some_and(SocketAddr::is_ipv6);
    let (first, second): (Vec<_>, Vec<_>) =
        addresses.into_iter().partition(|address| address.is_ipv6() == first_is_6);
    let (mut first, mut second) = (first.into_iter(), second.into_iter());
    let mut all = VecDeque::new();
    loop {
        match (first.next(), second.next()) {
            (None, None) => return all,
            (one, other) => all.extend(one.into_iter().chain(other)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{Ipv4Addr, Ipv6Addr, TcpListener};

    fn v4(port: u16) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, port).into()
    }

    fn v6(port: u16) -> SocketAddr {
        (Ipv6Addr::LOCALHOST, port).into()
    }

    #[test]
    fn families_alternate_and_keep_the_order_of_the_resolver() {
        let addresses = vec![v6(1), v6(2), v6(3), v4(4), v4(5)];
        assert_eq!(interleaved(addresses), [v6(1), v4(4), v6(2), v4(5), v6(3)]);
        assert_eq!(interleaved(vec![v4(1), v4(2), v6(3)]), [v4(1), v6(3), v4(2)]);
        assert_eq!(interleaved(vec![]), []);
    }

    #[test]
    fn a_refused_address_is_followed_by_the_next_without_waiting() {
        let listener = TcpListener::bind(v4(0)).unwrap();
        // Nothing listens on the port of a listener that was dropped.
        let refused = TcpListener::bind(v4(0)).unwrap().local_addr().unwrap();
        let addresses = vec![refused, refused, listener.local_addr().unwrap()];
        let mut connecting = Connecting::new(addresses, None);
        let connected = loop {
            if let Some(socket) = connecting.advance(0) {
                break socket;
            }
            assert!(!connecting.is_hopeless());
        };
        assert_eq!(connected.peer_addr().unwrap(), listener.local_addr().unwrap());
        assert_eq!(connecting.failed.len(), 2);
        assert_eq!(connecting.failed[0].error.kind(), ErrorKind::ConnectionRefused);
    }

    #[test]
    fn without_any_address_there_is_no_hope() {
        let mut connecting = Connecting::new(vec![], None);
        assert!(connecting.advance(0).is_none() && connecting.is_hopeless());
    }
}
