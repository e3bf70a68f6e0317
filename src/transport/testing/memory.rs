//! A bounded in-memory connection for tests, with planned faults and call counts.
//!
//! An idle pair is one allocation of about 200 bytes. Buffers use memory only while bytes are in transit, and
//! limits and plans only once they are set.
//!
//! ```
//! use std::io::ErrorKind;
//! use websocket_stream::transport::{NonBlockingTransport, testing::memory};
//!
//! let (mut client, mut server) = memory::pair(4);
//! server.plan_recv([Ok(1), Err(ErrorKind::WouldBlock)]); // then without limits
//! assert_eq!(client.send(b"hello")?, 4); // there is room for 4 bytes
//! let mut buffer = [0; 16];
//! assert_eq!(server.recv(&mut buffer)?, 1);
//! assert_eq!(server.recv(&mut buffer).unwrap_err().kind(), ErrorKind::WouldBlock);
//! assert_eq!(server.recv(&mut buffer)?, 3);
//! assert_eq!((server.calls().recv, client.calls().sent), (3, 4));
//! # Ok::<(), std::io::Error>(())
//! ```
#![forbid(unsafe_code)]

use crate::transport::NonBlockingTransport;
use std::collections::VecDeque;
use std::io::{self, ErrorKind, IoSlice, Read};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Creates two connected ends, each of which buffers up to `capacity` bytes for its owner.
///
/// With a capacity of 0, no bytes are ever accepted.
///
/// See the example of [`MemoryStream`].
pub fn pair(capacity: usize) -> (MemoryStream, MemoryStream) {
    let connection = Arc::new(Mutex::new(Connection { ends: Default::default(), capacity }));
    let second = MemoryStream { connection: Arc::clone(&connection), side: 1 };
    (MemoryStream { connection, side: 0 }, second)
}

/// One end of a [`pair`].
///
/// Dropping it closes its side, as the system closes a socket: the peer's sends fail with `BrokenPipe`. The
/// peer still receives what was sent before, then the end, or `ConnectionReset` if this end left bytes
/// unread.
///
/// ```
/// use websocket_stream::transport::testing::memory;
/// use websocket_stream::{NonBlockingTransport, ReadError, WebSocketStream};
///
/// // A message that arrives in single bytes, and a count of the system calls for it.
/// let (a, mut peer) = memory::pair(4096);
/// a.limit_recv(1);
/// let mut client = WebSocketStream::client(a)?;
/// peer.send(b"\x81\x05Hello")?;
/// assert_eq!(client.read()?.1, b"Hello");
/// let calls = client.get_ref().calls();
/// assert_eq!((calls.recv, calls.received), (7, 7));
/// drop(peer);
/// assert!(matches!(client.read(), Err(ReadError::Closed(_))));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct MemoryStream {
    connection: Arc<Mutex<Connection>>,
    side: usize,
}

/// The calls of an end, and the bytes that they moved. Failed calls count too.
///
/// See the example of [`MemoryStream`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Calls {
    /// The number of calls of [`recv`](NonBlockingTransport::recv).
    pub recv: u64,
    /// The number of calls of [`send`](NonBlockingTransport::send).
    pub send: u64,
    /// The number of calls of [`send_vectored`](NonBlockingTransport::send_vectored).
    pub send_vectored: u64,
    /// The number of bytes returned by `recv`.
    pub received: u64,
    /// The number of bytes accepted by `send` and `send_vectored`.
    pub sent: u64,
}

#[derive(Debug)]
struct Connection {
    ends: [End; 2],
    capacity: usize,
}

#[derive(Debug, Default)]
struct End {
    /// The bytes that the peer sent and this end has not yet received.
    arrived: VecDeque<u8>,
    after_arrived: After,
    dropped: bool,
    calls: Calls,
    tuning: Option<Box<Tuning>>,
}

/// The event that an end receives after the bytes that have arrived.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum After {
    #[default]
    More,
    End,
    /// The end, which has already been received once.
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
    /// Returns the maximum number of bytes that this call may move, at least 1.
    fn allow(&mut self) -> io::Result<usize> {
        match self.plan.pop_front().unwrap_or(Ok(self.limit)) {
            Ok(0) => Err(ErrorKind::WouldBlock.into()),
            Ok(most) => Ok(most),
            Err(kind) => Err(kind.into()),
        }
    }
}

impl MemoryStream {
    /// Limits each later `recv` to `limit` bytes; with 0 it returns `WouldBlock`.
    pub fn limit_recv(&self, limit: usize) {
        self.tune(|tuning| tuning.recv.limit = limit);
    }

    /// Limits each later `send` or `send_vectored` to `limit` bytes; with 0 it returns `WouldBlock`.
    pub fn limit_send(&self, limit: usize) {
        self.tune(|tuning| tuning.send.limit = limit);
    }

    /// Plans the next calls of `recv`, one step each, after those already planned.
    ///
    /// `Ok(n)` returns at most `n` bytes in place of the limit; 0 means `WouldBlock`. `Err(kind)` fails with
    /// this kind. Calls with an empty buffer and calls after the end of the stream use no step.
    pub fn plan_recv(&self, steps: impl IntoIterator<Item = Result<usize, ErrorKind>>) {
        self.tune(|tuning| tuning.recv.plan.extend(steps));
    }

    /// Plans the next calls of `send` or `send_vectored`, as [`plan_recv`](Self::plan_recv) does for `recv`.
    pub fn plan_send(&self, steps: impl IntoIterator<Item = Result<usize, ErrorKind>>) {
        self.tune(|tuning| tuning.send.plan.extend(steps));
    }

    /// Returns the calls of this end since its creation, or since [`take_calls`](Self::take_calls).
    pub fn calls(&self) -> Calls {
        self.lock().ends[self.side].calls
    }

    /// Returns the [`calls`](Self::calls), and resets them to 0.
    pub fn take_calls(&self) -> Calls {
        std::mem::take(&mut self.lock().ends[self.side].calls)
    }

    /// Returns the number of bytes that the peer sent and this end has not yet received.
    pub fn unread(&self) -> usize {
        self.lock().ends[self.side].arrived.len()
    }

    /// Returns whether `recv` has bytes, the end or an error to return. Ignores limits and plans.
    pub fn is_readable(&self) -> bool {
        let end = &self.lock().ends[self.side];
        !end.arrived.is_empty() || end.after_arrived != After::More
    }

    /// Returns whether `send` would accept a byte or fail permanently. Ignores limits and plans.
    pub fn is_writable(&self) -> bool {
        let connection = self.lock();
        let peer = &connection.ends[1 - self.side];
        !peer.is_open() || peer.arrived.len() < connection.capacity
    }

    fn tune(&self, change: impl FnOnce(&mut Tuning)) {
        change(self.lock().ends[self.side].tuning.get_or_insert_default());
    }

    /// A panic in another thread leaves the state consistent: bytes are moved in full or not at all.
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
    /// Returns whether the peer can still send to this end.
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
    fn an_idle_end_is_small_and_a_drained_one_frees_its_buffer() {
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
    fn no_bytes_are_lost_under_limits_and_plans() {
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
    fn a_planned_step_applies_to_one_call_and_moves_no_bytes_if_it_fails() {
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
    fn dropping_an_end_with_unread_bytes_resets_its_peer_after_the_bytes_sent() {
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
    fn the_end_may_be_delayed_but_is_permanent_once_received() {
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
