//! A stream of tokio's whose every poll may be pending, partial or failed, and the peer behind it.

use crate::choices::Choices;
use std::collections::VecDeque;
use std::io::{self, ErrorKind, IoSlice};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll, Waker};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use websocket_stream::handshake::accept_key;

/// What the peer does next.
#[derive(Debug, Clone)]
pub(crate) enum Peer {
    Sends(Vec<u8>),
    /// It waits until it has received this number of bytes.
    Awaits(usize),
    EndsStream,
    Fails(ErrorKind),
    /// It answers an opening handshake once it has received the request, and forgets that.
    Answers,
}

/// Returns the answer that accepts a client's request.
fn answer(request: &[u8]) -> Vec<u8> {
    let request = String::from_utf8(request.to_vec()).unwrap();
    let key = request.lines().find_map(|line| line.strip_prefix("Sec-WebSocket-Key: ")).unwrap();
    let accept = String::from_utf8(accept_key(key.as_bytes()).to_vec()).unwrap();
    let head = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade";
    format!("{head}\r\nSec-WebSocket-Accept: {accept}\r\n\r\n").into_bytes()
}

/// A direction of the stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    Read,
    Write,
}

/// The state of a [`Mock`].
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) choices: Choices,
    pub(crate) peer: VecDeque<Peer>,
    /// The bytes that have arrived.
    arrived: VecDeque<u8>,
    end: Option<Result<(), ErrorKind>>,
    /// The bytes that the peer has received.
    pub(crate) sent: Vec<u8>,
    pub(crate) shut: bool,
    /// Bytes that it has taken, and passes to the peer only when flushed.
    buffered: Vec<u8>,
    /// The waker of the last poll that was pending, in each direction.
    wakers: [Option<Waker>; 2],
    /// Polls are pending until the test makes the direction ready.
    blocked: [bool; 2],
    /// A pending flush or shutdown has been waited for.
    waited: bool,
    vectored: bool,
    buffers: bool,
    /// The error that the stream returns after this number of bytes was written.
    pub(crate) breaks_after: Option<usize>,
}

#[derive(Debug, Clone)]
pub(crate) struct Mock(Arc<Mutex<World>>);

impl Mock {
    pub(crate) fn new(choices: Choices, peer: impl IntoIterator<Item = Peer>) -> Self {
        Self(Arc::new(Mutex::new(World {
            choices,
            peer: peer.into_iter().collect(),
            arrived: VecDeque::new(),
            end: None,
            sent: Vec::new(),
            shut: false,
            buffered: Vec::new(),
            wakers: [None, None],
            blocked: [false, false],
            waited: false,
            vectored: false,
            buffers: false,
            breaks_after: None,
        })))
    }

    /// Chooses whether it takes several pieces at once.
    pub(crate) fn vectored(self, vectored: bool) -> Self {
        self.world().vectored = vectored;
        self
    }

    /// Chooses whether it passes bytes to the peer only when flushed.
    pub(crate) fn buffers(self, buffers: bool) -> Self {
        self.world().buffers = buffers;
        self
    }

    /// Returns the number of values that share this stream, this one included.
    pub(crate) fn handles(&self) -> usize {
        Arc::strong_count(&self.0)
    }

    pub(crate) fn choices(&self) -> Choices {
        self.world().choices.clone()
    }

    pub(crate) fn world(&self) -> MutexGuard<'_, World> {
        self.0.lock().unwrap()
    }

    /// Returns what can happen: a blocked direction that becomes ready, or the peer's next step.
    pub(crate) fn possible(&self) -> Vec<Happening> {
        let world = self.world();
        let peer_acts = match world.peer.front() {
            Some(Peer::Awaits(bytes)) => world.sent.len() >= *bytes,
            Some(Peer::Answers) => world.sent.ends_with(b"\r\n\r\n"),
            peer => peer.is_some(),
        };
        let blocked = [Way::Read, Way::Write].into_iter().filter(|way| world.blocked[*way as usize]);
        peer_acts.then_some(Happening::Peer).into_iter().chain(blocked.map(Happening::Ready)).collect()
    }

    pub(crate) fn happen(&self, happening: Happening) {
        let mut world = self.world();
        let way = match happening {
            Happening::Ready(way) => {
                world.blocked[way as usize] = false;
                world.waited = way == Way::Write;
                way
            }
            Happening::Peer => {
                match world.peer.pop_front().unwrap() {
                    Peer::Sends(bytes) => world.arrived.extend(bytes),
                    Peer::Awaits(_) => return,
                    Peer::Answers => {
                        let request = std::mem::take(&mut world.sent);
                        world.arrived.extend(answer(&request));
                    }
                    Peer::EndsStream => world.end = Some(Ok(())),
                    Peer::Fails(kind) => world.end = Some(Err(kind)),
                }
                // A blocked direction is woken when it is ready.
                if world.blocked[Way::Read as usize] {
                    return;
                }
                Way::Read
            }
        };
        let waker = world.wakers[way as usize].take();
        drop(world);
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

/// Something that happens outside of the program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Happening {
    Ready(Way),
    Peer,
}

impl World {
    /// Allocates all memory that this number of bytes takes.
    pub(crate) fn reserve(&mut self, bytes: usize) {
        self.sent.reserve(bytes);
        self.buffered.reserve(bytes);
    }

    /// Keeps the waker of a pending poll, in the place of the last one.
    fn pend<R>(&mut self, way: Way, context: &Context<'_>) -> Poll<R> {
        self.wakers[way as usize] = Some(context.waker().clone());
        Poll::Pending
    }

    /// Returns whether a poll that could be ready is pending, and blocks the direction then.
    fn is_pending(&mut self, way: Way, choice: bool) -> bool {
        self.blocked[way as usize] |= choice;
        self.blocked[way as usize]
    }

    fn write(&mut self, context: &Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        assert!(!self.shut, "written after the shutdown");
        let choice = if self.blocked[Way::Write as usize] { 0 } else { self.choices.choose(3) };
        if self.is_pending(Way::Write, choice == 2) {
            return self.pend(Way::Write, context);
        }
        let room =
            self.breaks_after.map_or(usize::MAX, |after| after - self.sent.len() - self.buffered.len());
        let taken = if choice == 1 { bytes.len().div_ceil(2) } else { bytes.len() }.min(room);
        if taken == 0 {
            return Poll::Ready(Err(ErrorKind::BrokenPipe.into()));
        }
        self.buffered.extend_from_slice(&bytes[..taken]);
        if !self.buffers {
            self.sent.append(&mut self.buffered);
        }
        Poll::Ready(Ok(taken))
    }

    fn finish(&mut self, context: &Context<'_>) -> Poll<()> {
        // Pending at most once, so that it advances.
        let choice = !self.blocked[Way::Write as usize]
            && !std::mem::take(&mut self.waited)
            && (self.buffers || self.shut)
            && self.choices.choose(2) == 1;
        if self.is_pending(Way::Write, choice) {
            return self.pend(Way::Write, context);
        }
        self.sent.append(&mut self.buffered);
        Poll::Ready(())
    }
}

impl AsyncRead for Mock {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let world = &mut *self.world();
        assert_ne!(buffer.remaining(), 0, "a read of no bytes");
        if world.blocked[Way::Read as usize] {
            return world.pend(Way::Read, context);
        }
        let all = world.arrived.len().min(buffer.remaining());
        if all == 0 {
            return match world.end {
                Some(Ok(())) => Poll::Ready(Ok(())),
                Some(Err(kind)) => Poll::Ready(Err(kind.into())),
                None => world.pend(Way::Read, context),
            };
        }
        let choice = world.choices.choose(3);
        if world.is_pending(Way::Read, choice == 2) {
            return world.pend(Way::Read, context);
        }
        let taken = if choice == 1 { all.div_ceil(2) } else { all };
        let bytes: Vec<u8> = world.arrived.drain(..taken).collect();
        buffer.put_slice(&bytes);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Mock {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.world().write(context, bytes)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.world().write(context, &pieces.iter().flat_map(|piece| piece.to_vec()).collect::<Vec<_>>())
    }

    fn is_write_vectored(&self) -> bool {
        self.world().vectored
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.world().finish(context).map(Ok)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let world = &mut *self.world();
        world.shut = true;
        world.finish(context).map(Ok)
    }
}
