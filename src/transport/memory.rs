//! A connection in memory, for tests: bounded, with faults on demand, and it counts the calls.
//!
//! An idle pair is one allocation of about 200 bytes: bytes under way are held only while there are
//! any, limits and plans from when they are set.
//!
//! ```
//! use std::io::ErrorKind;
//! use websocket_stream::transport::{NonBlockingTransport, memory};
//!
//! let (mut client, mut server) = memory::pair(4);
//! server.plan_recv([Ok(1), Err(ErrorKind::WouldBlock)]); // then as ever
//! assert_eq!(client.send(b"hello")?, 4); // there is room for 4 bytes
//! let mut buffer = [0; 16];
//! assert_eq!(server.recv(&mut buffer)?, 1);
//! assert_eq!(server.recv(&mut buffer).unwrap_err().kind(), ErrorKind::WouldBlock);
//! assert_eq!(server.recv(&mut buffer)?, 3);
//! assert_eq!((server.calls().recv, client.calls().sent), (3, 4));
//! # Ok::<(), std::io::Error>(())
//! ```
#![forbid(unsafe_code)]

use super::NonBlockingTransport;
use std::collections::VecDeque;
use std::io::{self, ErrorKind, IoSlice, Read};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Connects two ends, each of which holds at most `capacity` bytes that its owner has not taken yet.
///
/// A capacity of 0 takes nothing, ever.
pub fn pair(capacity: usize) -> (MemoryStream, MemoryStream) {
    let connection = Arc::new(Mutex::new(Connection { ends: Default::default(), capacity }));
    let second = MemoryStream { connection: Arc::clone(&connection), side: 1 };
    (MemoryStream { connection, side: 0 }, second)
}

/// One end of a [`pair`]. Dropping it closes its side, as the system does with a socket: the peer's
/// sending fails with `BrokenPipe`; the peer receives what was sent before, and then the end, or
/// `ConnectionReset` where bytes were left unread here.
#[derive(Debug)]
pub struct MemoryStream {
    connection: Arc<Mutex<Connection>>,
    side: usize,
}

/// How often an end was called, and what it moved. Each call counts, whatever came of it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Calls {
    /// Calls of [`recv`](NonBlockingTransport::recv).
    pub recv: u64,
    /// Calls of [`send`](NonBlockingTransport::send).
    pub send: u64,
    /// Calls of [`send_vectored`](NonBlockingTransport::send_vectored).
    pub send_vectored: u64,
    /// Bytes that `recv` gave.
    pub received: u64,
    /// Bytes that `send` and `send_vectored` took.
    pub sent: u64,
}

#[derive(Debug)]
struct Connection {
    ends: [End; 2],
    capacity: usize,
}

#[derive(Debug, Default)]
struct End {
    /// What the peer has sent, and this end has not received yet.
    arrived: VecDeque<u8>,
    after_arrived: After,
    dropped: bool,
    calls: Calls,
    tuning: Option<Box<Tuning>>,
}

/// What an end receives after the bytes that have arrived.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum After {
    #[default]
    More,
    End,
    /// The end again: it has been received.
    EndAgain,
    Reset,
}

#[derive(Debug, Default)]
struct Tuning {
    recv: Throttle,
    send: Throttle,
}

#[derive(Debug)]
struct Throttle {
    limit: usize,
    plan: VecDeque<Result<usize, ErrorKind>>,
}

impl Default for Throttle {
    fn default() -> Self {
        Throttle { limit: usize::MAX, plan: VecDeque::new() }
    }
}

impl Throttle {
    /// The most bytes that this call may move, at least 1.
    fn allow(&mut self) -> io::Result<usize> {
        match self.plan.pop_front().unwrap_or(Ok(self.limit)) {
            Ok(0) => Err(ErrorKind::WouldBlock.into()),
            Ok(most) => Ok(most),
            Err(kind) => Err(kind.into()),
        }
    }
}

impl MemoryStream {
    /// From now on, each `recv` gives at most `limit` bytes; with 0, none.
    pub fn limit_recv(&self, limit: usize) {
        self.tune(|tuning| tuning.recv.limit = limit);
    }

    /// From now on, each `send` or `send_vectored` takes at most `limit` bytes; with 0, none.
    pub fn limit_send(&self, limit: usize) {
        self.tune(|tuning| tuning.send.limit = limit);
    }

    /// Plans the next calls of `recv`, one step each, after those already planned: `Ok(n)` gives at
    /// most `n` bytes in place of the limit (0: as if none had arrived), `Err(kind)` fails so.
    ///
    /// Calls with an empty buffer take no step, nor do those after the end of the stream.
    pub fn plan_recv(&self, steps: impl IntoIterator<Item = Result<usize, ErrorKind>>) {
        self.tune(|tuning| tuning.recv.plan.extend(steps));
    }

    /// As [`plan_recv`](Self::plan_recv), for the next calls of `send` or `send_vectored`.
    pub fn plan_send(&self, steps: impl IntoIterator<Item = Result<usize, ErrorKind>>) {
        self.tune(|tuning| tuning.send.plan.extend(steps));
    }

    /// How often this end was called since it was made, or since [`take_calls`](Self::take_calls).
    pub fn calls(&self) -> Calls {
        self.lock().ends[self.side].calls
    }

    /// As [`calls`](Self::calls), and counts from 0 again.
    pub fn take_calls(&self) -> Calls {
        std::mem::take(&mut self.lock().ends[self.side].calls)
    }

    /// How many bytes the peer has sent that this end has not received yet.
    pub fn unread(&self) -> usize {
        self.lock().ends[self.side].arrived.len()
    }

    /// Whether `recv` has something to give, be it the end or an error; limits and plans aside.
    pub fn is_readable(&self) -> bool {
        let end = &self.lock().ends[self.side];
        !end.arrived.is_empty() || end.after_arrived != After::More
    }

    /// Whether `send` would take a byte or fail for good; limits and plans aside.
    pub fn is_writable(&self) -> bool {
        let connection = self.lock();
        let peer = &connection.ends[1 - self.side];
        !peer.is_open() || peer.arrived.len() < connection.capacity
    }

    fn tune(&self, change: impl FnOnce(&mut Tuning)) {
        change(self.lock().ends[self.side].tuning.get_or_insert_default());
    }

    /// Another thread's panic leaves nothing half done: bytes are moved whole or not at all.
    fn lock(&self) -> MutexGuard<'_, Connection> {
        self.connection.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn send_pieces<'a>(
        &self,
        pieces: impl Iterator<Item = &'a [u8]>,
        count: fn(&mut Calls),
    ) -> io::Result<usize> {
        let mut connection = self.lock();
        let Connection { ends, capacity } = &mut *connection;
        let [end, peer] = match ends {
            [first, second] if self.side == 0 => [first, second],
            [first, second] => [second, first],
        };
        count(&mut end.calls);
        let mut pieces = pieces.filter(|piece| !piece.is_empty()).peekable();
        if pieces.peek().is_none() {
            return Ok(0);
        }
        let most = end.tuning.as_mut().map_or(Ok(usize::MAX), |tuning| tuning.send.allow())?;
        if !peer.is_open() {
            return Err(ErrorKind::BrokenPipe.into());
        }
        let most = most.min(capacity.saturating_sub(peer.arrived.len()));
        if most == 0 {
            return Err(ErrorKind::WouldBlock.into());
        }
        let mut taken = 0;
        for piece in pieces {
            let part = &piece[..piece.len().min(most - taken)];
            peer.arrived.extend(part);
            taken += part.len();
            if taken == most {
                break;
            }
        }
        end.calls.sent += taken as u64;
        Ok(taken)
    }
}

impl End {
    /// Whether it can still be sent to.
    fn is_open(&self) -> bool {
        !self.dropped && self.after_arrived == After::More
    }

    fn recv(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.calls.recv += 1;
        if buffer.is_empty() || self.after_arrived == After::EndAgain {
            return Ok(0);
        }
        let most = self.tuning.as_mut().map_or(Ok(usize::MAX), |tuning| tuning.recv.allow())?;
        let n = buffer.len().min(most).min(self.arrived.len());
        if n == 0 {
            return match self.after_arrived {
                After::More => Err(ErrorKind::WouldBlock.into()),
                After::End | After::EndAgain => {
                    self.after_arrived = After::EndAgain;
                    Ok(0)
                }
                After::Reset => Err(ErrorKind::ConnectionReset.into()),
            };
        }
        self.arrived.read_exact(&mut buffer[..n])?;
        if self.arrived.is_empty() {
            self.arrived = VecDeque::new();
        }
        self.calls.received += n as u64;
        Ok(n)
    }
}

impl NonBlockingTransport for MemoryStream {
    fn set_nonblocking(&mut self) -> io::Result<()> {
        Ok(())
    }

    fn recv(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.lock().ends[self.side].recv(buffer)
    }

    fn send(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.send_pieces(std::iter::once(bytes), |calls| calls.send += 1)
    }

    fn send_vectored(&mut self, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
        self.send_pieces(pieces.iter().map(|piece| &**piece), |calls| calls.send_vectored += 1)
    }

    fn shutdown_write(&mut self) -> io::Result<()> {
        let peer = &mut self.lock().ends[1 - self.side];
        if peer.after_arrived == After::More {
            peer.after_arrived = After::End;
        }
        Ok(())
    }
}

impl Drop for MemoryStream {
    fn drop(&mut self) {
        let mut connection = self.lock();
        let end = &mut connection.ends[self.side];
        end.dropped = true;
        let unread = !std::mem::take(&mut end.arrived).is_empty();
        let peer = &mut connection.ends[1 - self.side];
        match peer.after_arrived {
            After::EndAgain => {}
            _ if unread => peer.after_arrived = After::Reset,
            _ => peer.after_arrived = After::End,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use quickcheck::QuickCheck;

    fn kind(outcome: io::Result<usize>) -> Result<usize, ErrorKind> {
        outcome.map_err(|error| error.kind())
    }

    #[test]
    fn an_idle_end_is_small_and_a_drained_one_holds_no_bytes() {
        const { assert!(size_of::<MemoryStream>() <= 16) };
        assert!(size_of::<Mutex<Connection>>() <= 192, "{}", size_of::<Mutex<Connection>>());
        let (mut a, mut b) = pair(1 << 20);
        assert_eq!(kind(a.send(&[1; 5000])), Ok(5000));
        assert!(b.lock().ends[b.side].arrived.capacity() >= 5000);
        assert_eq!(kind(b.recv(&mut [0; 5000])), Ok(5000));
        assert_eq!(b.lock().ends[b.side].arrived.capacity(), 0);
    }

    #[test]
    fn each_direction_has_its_own_bound() {
        let (mut a, mut b) = pair(3);
        assert_eq!(kind(a.send(b"abcd")), Ok(3));
        assert_eq!((a.is_writable(), b.is_writable()), (false, true));
        assert_eq!(kind(a.send(b"d")), Err(ErrorKind::WouldBlock));
        assert_eq!(kind(b.send_vectored(&[IoSlice::new(b"x"), IoSlice::new(b"yzw")])), Ok(3));
        assert_eq!((a.unread(), b.unread()), (3, 3));
        let (mut a, _b) = pair(0);
        assert_eq!(kind(a.send(b"a")), Err(ErrorKind::WouldBlock));
    }

    #[test]
    fn limits_and_plans_shape_the_calls_and_nothing_is_lost() {
        fn prop(sends: Vec<Option<u8>>, recvs: Vec<Option<u8>>, limit: u8, capacity: u8) -> bool {
            let steps = |plan: Vec<Option<u8>>| {
                plan.into_iter().map(|step| step.map(usize::from).ok_or(ErrorKind::WouldBlock))
            };
            let (mut a, mut b) = pair(usize::from(capacity) + 1);
            a.plan_send(steps(sends));
            b.plan_recv(steps(recvs));
            a.limit_send(usize::from(limit) + 1);
            b.limit_recv(usize::from(limit) + 1);
            let bytes: Vec<u8> = (0..=255).cycle().take(1000).collect();
            let (mut sent, mut received) = (0, Vec::<u8>::new());
            while received.len() < bytes.len() {
                let (head, tail) = bytes[sent..].split_at((bytes.len() - sent) / 2);
                sent += a.send_vectored(&[IoSlice::new(head), IoSlice::new(tail)]).unwrap_or(0);
                let mut buffer = [0; 100];
                let n = b.recv(&mut buffer).unwrap_or(0);
                received.extend(&buffer[..n]);
            }
            received == bytes && a.calls().sent == 1000 && b.calls().received == 1000
        }
        QuickCheck::new().tests(300).quickcheck(prop as fn(Vec<Option<u8>>, Vec<Option<u8>>, u8, u8) -> bool);
    }

    #[test]
    fn a_planned_step_stands_for_one_call_and_moves_nothing_where_it_fails() {
        let (mut a, mut b) = pair(100);
        a.plan_send([Err(ErrorKind::BrokenPipe), Ok(0), Ok(2)]);
        a.limit_send(3);
        let outcomes = [(); 4].map(|()| kind(a.send(b"abcdef")));
        assert_eq!(outcomes, [Err(ErrorKind::BrokenPipe), Err(ErrorKind::WouldBlock), Ok(2), Ok(3)]);
        assert_eq!(kind(a.send(b"")), Ok(0));
        b.limit_recv(0);
        assert_eq!(kind(b.recv(&mut [0; 9])), Err(ErrorKind::WouldBlock));
        assert_eq!((b.unread(), b.is_readable()), (5, true));
        assert_eq!(a.take_calls(), Calls { send: 5, sent: 5, ..Calls::default() });
        assert_eq!(a.calls(), Calls::default());
        assert_eq!(b.calls(), Calls { recv: 1, ..Calls::default() });
    }

    #[test]
    fn an_end_that_is_dropped_with_bytes_unread_resets_its_peer_after_what_it_had_sent() {
        let (mut a, mut b) = pair(100);
        a.send(b"unread").unwrap();
        b.send(b"last").unwrap();
        b.shutdown_write().unwrap();
        drop(b);
        assert_eq!(kind(a.recv(&mut [0; 9])), Ok(4));
        assert_eq!(kind(a.recv(&mut [0; 9])), Err(ErrorKind::ConnectionReset));
        assert_eq!(kind(a.send(b"x")), Err(ErrorKind::BrokenPipe));
        assert!(a.is_readable() && a.is_writable());
    }

    #[test]
    fn the_end_may_be_held_back_but_stays_once_it_was_given() {
        let (a, mut b) = pair(1);
        b.plan_recv([Err(ErrorKind::WouldBlock), Ok(1), Err(ErrorKind::WouldBlock)]);
        drop(a);
        let outcomes = [(); 4].map(|()| kind(b.recv(&mut [0])));
        assert_eq!(outcomes, [Err(ErrorKind::WouldBlock), Ok(0), Ok(0), Ok(0)]);
    }

    #[test]
    fn readiness_follows_bytes_and_the_end() {
        let (mut a, mut b) = pair(1);
        assert_eq!((b.is_readable(), a.is_writable()), (false, true));
        a.send(b"x").unwrap();
        assert_eq!((b.is_readable(), a.is_writable()), (true, false));
        b.recv(&mut [0]).unwrap();
        assert_eq!((b.is_readable(), a.is_writable()), (false, true));
        a.shutdown_write().unwrap();
        assert_eq!((b.is_readable(), a.is_writable()), (true, true));
    }
}
