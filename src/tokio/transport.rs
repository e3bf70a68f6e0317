//! A stream of tokio's as a transport, inside a poll.

use super::wakers::{Side, Wakers};
use crate::transport::NonBlockingTransport;
use ::tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use ::tokio::net::TcpStream;
use std::any::Any;
use std::io::{self, ErrorKind, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

/// The maximum number of pieces in one call. std knows the system's, but Wine has one that Windows has not.
const MAX_PIECES: usize = 1024;

/// Any [`AsyncRead`] and [`AsyncWrite`] as a [`NonBlockingTransport`].
///
/// Its calls poll the inner stream with the waker of [`set_waker`](Self::set_waker). A call that moves less
/// than all goes on until the inner stream has registered that waker: only then is the transport announced
/// again (law 12). A `TcpStream` registers it without a further system call.
///
/// [`WebSocket`](super::WebSocket) does all of this; use this type to drive a
/// [`WebSocketStream`](crate::WebSocketStream) in a future of your own:
///
/// ```
/// use std::future::poll_fn;
/// use std::task::Poll;
/// use tokio::io::{AsyncReadExt, AsyncWriteExt};
/// use websocket_stream::tokio::AsyncTransport;
/// use websocket_stream::{Event, Ready, Scratch, WebSocketStream};
///
/// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
/// let (a, mut peer) = tokio::io::duplex(4096);
/// let mut stream = WebSocketStream::new(AsyncTransport::new(a))?;
/// peer.write_all(b"\x81\x85\0\0\0\0Hello").await?;
///
/// let mut scratch = Scratch::new();
/// let received = poll_fn(|context| {
///     stream.get_mut().set_waker(context.waker());
///     let mut received = None;
///     let wants = stream.drive(&mut scratch.at(0), Ready::READABLE, |event, _| {
///         if let Event::Message(message) = event {
///             received = message.as_text().map(str::to_owned);
///         }
///         Ok(())
///     });
///     if matches!(wants, Ok(wants) if wants.again) {
///         context.waker().wake_by_ref();
///     }
///     received.map_or(Poll::Pending, Poll::Ready)
/// });
/// assert_eq!(received.await, "Hello");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
// In a box, apart from the rest of a connection: tokio's blocks are aligned to 128 bytes, and small blocks
// fit into the gaps that an allocator leaves between them.
pub struct AsyncTransport<S>(Box<Fields<S>>);

struct Fields<S> {
    io: S,
    /// Wakes all that wait.
    waker: Waker,
    wakers: Wakers,
    /// The error that followed the bytes of the last `recv`.
    failed: Option<io::Error>,
    end: End,
    /// The inner stream has registered the waker, since it was set.
    waits: Waits,
    /// What the inner stream has to finish.
    unfinished: Unfinished,
}

/// The directions in which the inner stream has registered the waker.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Waits {
    pub(super) read: bool,
    pub(super) write: bool,
}

/// The end of the stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    NotReached,
    /// It followed the bytes of the last `recv`.
    Held,
    Received,
}

/// What the inner stream has to finish.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Unfinished {
    Nothing,
    Flush,
    Shutdown,
}

impl<S: AsyncRead + AsyncWrite + Unpin + 'static> AsyncTransport<S> {
    /// Wraps a stream.
    pub fn new(io: S) -> Self {
        Self(Box::new(Fields {
            io,
            waker: Waker::noop().clone(),
            wakers: Wakers::default(),
            failed: None,
            end: End::NotReached,
            waits: Waits::default(),
            unfinished: Unfinished::Nothing,
        }))
    }

    /// Polls the inner stream with a context.
    fn poll<R>(&mut self, poll: impl FnOnce(Pin<&mut S>, &mut Context<'_>) -> Poll<R>) -> Poll<R> {
        let Fields { io, waker, .. } = &mut *self.0;
        poll(Pin::new(io), &mut Context::from_waker(waker))
    }

    /// Finishes what [`Unfinished`] names.
    fn finish(&mut self) -> io::Result<()> {
        let finished = loop {
            let finished = match self.0.unfinished {
                Unfinished::Nothing => return Ok(()),
                Unfinished::Flush => self.poll(S::poll_flush),
                Unfinished::Shutdown => self.poll(S::poll_shutdown),
            };
            if !is_interrupted(&finished) {
                break finished;
            }
        };
        match finished {
            Poll::Ready(Ok(())) => {
                self.0.unfinished = Unfinished::Nothing;
                Ok(())
            }
            Poll::Ready(Err(error)) => {
                self.0.unfinished = Unfinished::Nothing;
                Err(error)
            }
            Poll::Pending => {
                self.0.waits.write = true;
                Err(ErrorKind::WouldBlock.into())
            }
        }
    }

    /// Sends once. Returns 0 if the inner stream takes no bytes now, and has registered the waker.
    #[inline]
    fn send_once(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.sent(|io, context| io.poll_write(context, bytes))
    }

    #[inline]
    fn sent(
        &mut self,
        mut poll: impl FnMut(Pin<&mut S>, &mut Context<'_>) -> Poll<io::Result<usize>>,
    ) -> io::Result<usize> {
        let mut sent = self.poll(&mut poll);
        while is_interrupted(&sent) {
            sent = self.poll(&mut poll);
        }
        match sent {
            Poll::Ready(Ok(0)) => Err(ErrorKind::WriteZero.into()),
            Poll::Ready(sent) => sent,
            Poll::Pending => {
                self.0.waits.write = true;
                Ok(0)
            }
        }
    }

    /// Sends the rest of what was sent in part, until the inner stream has taken all or has registered the
    /// waker. Returns the number of bytes that it took.
    fn send_rest(&mut self, mut bytes: &[u8]) -> usize {
        let all = bytes.len();
        while !bytes.is_empty() {
            match self.send_once(bytes) {
                Ok(n) if n > 0 => bytes = bytes.get(n..).unwrap_or_default(),
                // The next call returns an error again.
                _ => break,
            }
        }
        all - bytes.len()
    }

    /// Ends a send: makes the inner stream pass on what it has taken.
    #[inline]
    fn taken(&mut self, taken: usize) -> io::Result<usize> {
        if taken == 0 {
            return Err(ErrorKind::WouldBlock.into());
        }
        self.0.unfinished = Unfinished::Flush;
        // A failure is reported by the next call. If it would block, `wants_write` reports it.
        if self.finish().is_err() {
            self.0.unfinished = Unfinished::Flush;
        }
        Ok(taken)
    }
}

/// Returns whether the call must be repeated (law 5).
#[inline]
fn is_interrupted<R>(result: &Poll<io::Result<R>>) -> bool {
    matches!(result, Poll::Ready(Err(error)) if error.kind() == ErrorKind::Interrupted)
}

impl<S> AsyncTransport<S> {
    /// Sets the waker of the task that polls. Call this in each poll, before any other call.
    #[inline]
    pub fn set_waker(&mut self, waker: &Waker) {
        self.begin();
        if !self.0.waker.will_wake(waker) {
            self.0.waker = waker.clone();
        }
    }

    /// Begins a poll with the waker of the last one.
    #[inline]
    fn begin(&mut self) {
        self.0.waits = Waits::default();
    }

    /// Begins a poll of a task that waits for `side`. Returns the waker if it has changed.
    #[inline]
    pub(super) fn begin_for(&mut self, side: Side, context: &Context<'_>) -> Option<&Waker> {
        self.begin();
        let Fields { waker, wakers, .. } = &mut *self.0;
        *waker = wakers.begin(side, context, waker)?;
        Some(waker)
    }

    /// Returns whether a task waits for `side`.
    #[inline]
    pub(super) fn is_waiting(&self, side: Side) -> bool {
        self.0.wakers.is_waiting(side)
    }

    /// Notes that a task has what it waited for.
    #[inline]
    pub(super) fn end(&mut self, side: Side) {
        self.0.wakers.end(side);
    }

    /// Wakes the task that waits for `side`, if one does.
    pub(super) fn wake(&mut self, side: Side) {
        let Fields { waker, wakers, .. } = &mut *self.0;
        wakers.wake(side, waker);
    }

    /// Returns the directions in which the inner stream has registered the waker, in this poll.
    #[inline]
    pub(super) fn waits(&self) -> Waits {
        self.0.waits
    }

    /// Returns the waker of the last poll.
    pub(super) fn waker(&self) -> &Waker {
        &self.0.waker
    }

    /// Returns the inner stream.
    pub fn get_ref(&self) -> &S {
        &self.0.io
    }

    /// Returns the inner stream, mutably.
    pub fn get_mut(&mut self) -> &mut S {
        &mut self.0.io
    }

    /// Returns the inner stream.
    ///
    /// An end or an error that followed the last bytes received is dropped. Most streams report it again.
    pub fn into_inner(self) -> S {
        self.0.io
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin + 'static> NonBlockingTransport for AsyncTransport<S> {
    fn set_nonblocking(&mut self) -> io::Result<()> {
        Ok(())
    }

    #[inline]
    fn recv(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        if let Some(error) = self.0.failed.take() {
            return Err(error);
        }
        if self.0.end != End::NotReached {
            self.0.end = End::Received;
            return Ok(0);
        }
        let mut buffer = ReadBuf::new(buffer);
        let Fields { io, waker, failed, end, waits, .. } = &mut *self.0;
        let context = &mut Context::from_waker(waker);
        loop {
            let before = buffer.filled().len();
            match Pin::new(&mut *io).poll_read(context, &mut buffer) {
                Poll::Ready(Ok(())) if buffer.filled().len() > before => {
                    if buffer.remaining() == 0 {
                        break;
                    }
                }
                Poll::Ready(Ok(())) => {
                    *end = if before == 0 { End::Received } else { End::Held };
                    break;
                }
                Poll::Ready(Err(error)) if error.kind() == ErrorKind::Interrupted => {}
                Poll::Ready(Err(error)) if before == 0 => return Err(error),
                Poll::Ready(Err(error)) => {
                    *failed = Some(error);
                    break;
                }
                Poll::Pending => {
                    waits.read = true;
                    if before == 0 {
                        return Err(ErrorKind::WouldBlock.into());
                    }
                    break;
                }
            }
        }
        Ok(buffer.filled().len())
    }

    #[inline]
    fn send(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if bytes.is_empty() {
            return Ok(0);
        }
        let mut sent = self.send_once(bytes)?;
        if 0 < sent && sent < bytes.len() {
            sent += self.send_rest(&bytes[sent..]);
        }
        self.taken(sent)
    }

    fn send_vectored(&mut self, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
        let all = pieces.iter().fold(0, |all: usize, piece| all.saturating_add(piece.len()));
        if all == 0 {
            return Ok(0);
        }
        let mut sent = match self.0.io.is_write_vectored() {
            true => {
                let first = &pieces[..pieces.len().min(MAX_PIECES)];
                self.sent(|io, context| io.poll_write_vectored(context, first))?
            }
            false => {
                self.send_once(pieces.iter().find(|piece| !piece.is_empty()).map_or(&[], |piece| piece))?
            }
        };
        if 0 < sent && sent < all {
            let mut skipped = sent;
            for piece in pieces {
                let rest = piece.get(skipped..).unwrap_or_default();
                skipped = skipped.saturating_sub(piece.len());
                let more = self.send_rest(rest);
                sent += more;
                if more < rest.len() {
                    break;
                }
            }
        }
        self.taken(sent)
    }

    fn shutdown_write(&mut self) -> io::Result<()> {
        self.0.unfinished = Unfinished::Shutdown;
        match self.finish() {
            // The peer or the system has ended the connection.
            Err(error) if error.kind() == ErrorKind::NotConnected => Ok(()),
            // `wants_write` reports that it is unfinished.
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(()),
            finished => finished,
        }
    }

    /// Sets the option on a `TcpStream`, also below TLS of this crate. Any other stream is the program's, and
    /// is left as it is.
    fn set_nodelay(&mut self) -> io::Result<()> {
        let io: &mut dyn Any = &mut self.0.io;
        #[cfg(feature = "rustls")]
        if let Some(tls) = io.downcast_mut::<crate::tls::TlsStream<AsyncTransport<TcpStream>>>() {
            return tls.set_nodelay();
        }
        io.downcast_ref::<TcpStream>().map_or(Ok(()), |stream| stream.set_nodelay(true))
    }

    fn holds_input(&self) -> bool {
        self.0.end == End::Held || self.0.failed.is_some()
    }

    #[inline]
    fn wants_write(&self) -> bool {
        self.0.unfinished != Unfinished::Nothing
    }

    fn flush(&mut self) -> io::Result<()> {
        self.finish()
    }
}

impl<S: std::fmt::Debug> std::fmt::Debug for AsyncTransport<S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("AsyncTransport").field(&self.0.io).finish()
    }
}
