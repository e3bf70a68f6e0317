//! The public stream: construction, calls, and questions between two calls.
#![forbid(unsafe_code)]

use super::backlog::Backlog;
use super::call::{CallGuard, Stopped};
use super::state::{Incoming, StreamState};
use super::{Delivery, Error, IfFull, Outgoing, PreparedMessage, Ready, Sent, Turn, Wants};
use crate::frame::CloseCode;
use crate::protocol::{Config, Connection, Event, Message, RecvBuffer, Role, SendError, SharedConfig, State};
use crate::transport::NonBlockingTransport;
use std::io;
use std::sync::Arc;

/// Sends and receives WebSocket messages on a non-blocking transport, after the opening handshake.
///
/// An idle stream uses no heap memory; the buffers belong to a [`Scratch`](super::Scratch).
///
/// ```
/// use websocket_stream::transport::testing::memory;
/// use websocket_stream::{Event, Message, Ready, Scratch, WebSocketStream};
///
/// let (a, b) = memory::pair(4096);
/// let mut server = WebSocketStream::new(a)?;
/// let mut client = WebSocketStream::client(b)?;
/// let mut scratch = Scratch::new();
///
/// client.send(&mut scratch.at(0), Message::Text("Hello"))?;
/// // The server echoes each message while it is borrowed.
/// let wants = server.drive(&mut scratch.at(0), Ready::READABLE, |event, out| match event {
///     Event::Message(message) => out.send(message),
///     _ => Ok(()),
/// })?;
/// assert!(wants.read && !wants.write && !wants.closed);
///
/// let mut received = Vec::new();
/// client.drive(&mut scratch.at(0), Ready::READABLE, |event, _| {
///     if let Event::Message(Message::Text(text)) = event {
///         received.push(text.to_owned());
///     }
///     Ok(())
/// })?;
/// assert_eq!(received, ["Hello"]);
/// # Ok::<(), websocket_stream::Error>(())
/// ```
///
/// # Read in one place, write in another
///
/// A handler replies to its own peer only. Collect messages for other peers, and send them after the
/// call; [`send`](Self::send) may be called at any time:
///
/// ```
/// # use websocket_stream::transport::testing::memory;
/// # use websocket_stream::{Event, Ready, Scratch, WebSocketStream};
/// # let ((a, x), (b, y)) = (memory::pair(4096), memory::pair(4096));
/// # let (mut from, mut to) = (WebSocketStream::new(a)?, WebSocketStream::new(b)?);
/// # let (mut sender, mut receiver) = (WebSocketStream::client(x)?, WebSocketStream::client(y)?);
/// # let (mut scratch, now) = (Scratch::new(), 0);
/// # sender.send(&mut scratch.at(now), &[1, 2, 3])?;
/// let mut messages: Vec<Vec<u8>> = Vec::new();
/// let wants = from.drive(&mut scratch.at(now), Ready::READABLE, |event, _| {
///     if let Event::Message(message) = event {
///         messages.push(message.as_bytes().to_vec());
///     }
///     Ok(())
/// })?;
/// for message in &messages {
///     let sent = to.send(&mut scratch.at(now), message)?;
///     // If it is queued, `to.wants()` has changed: update the poller.
/// #    assert_eq!(sent, websocket_stream::Sent::Written);
/// }
/// # assert!(wants.read);
/// # assert_eq!(receiver.read()?.1, [1, 2, 3]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// To use another thread, move the stream there (it is `Send` if its transport is), or send messages over
/// a channel that wakes the loop.
///
/// # In parts
///
/// [`Outgoing::send_fragment`] sends a large message in parts, each of them at once. The peer's fragmented
/// message is delivered whole, and [`partial`](Self::partial) lends its payload so far. With
/// [`Config::streaming`] it is delivered in parts as they arrive, and never gathered.
#[derive(Debug)]
pub struct WebSocketStream<T> {
    pub(super) state: StreamState<T>,
}

/// Construction and calls.
impl<T: NonBlockingTransport> WebSocketStream<T> {
    /// Makes the server's end on a transport that is already upgraded.
    ///
    /// Sets the transport non-blocking, and sets `TCP_NODELAY`: the replies of a call leave together
    /// anyway, and Nagle's algorithm would only delay a small message until the peer has acknowledged the
    /// last one. To use that algorithm, reset the option through [`get_mut`](Self::get_mut).
    ///
    /// # Errors
    ///
    /// The system's error, with its errno, if one of the two options cannot be set.
    pub fn new(transport: T) -> io::Result<Self> {
        Self::open(transport, Role::Server, SharedConfig::default())
    }

    /// Makes the client's end on a transport that is already upgraded.
    ///
    /// # Errors
    ///
    /// As [`new`](Self::new).
    pub fn client(transport: T) -> io::Result<Self> {
        Self::open(transport, Role::Client, SharedConfig::default())
    }

    /// Makes either end, with a configuration that streams may share.
    ///
    /// `deflate` in the configuration has no effect here: an opening handshake has to agree on it, see
    /// `with_deflate`.
    ///
    /// # Errors
    ///
    /// As [`new`](Self::new).
    pub fn with_config(transport: T, role: Role, config: Arc<Config>) -> io::Result<Self> {
        Self::open(transport, role, SharedConfig::from(config))
    }

    fn open(mut transport: T, role: Role, config: SharedConfig) -> io::Result<Self> {
        transport.set_nonblocking()?;
        transport.set_nodelay()?;
        let connection = Connection::from_shared(role, config);
        let state = StreamState::new(transport, connection, Backlog::default(), Incoming::Announced);
        Ok(Self { state })
    }

    /// Makes a stream from an opening handshake that has just finished.
    ///
    /// `unread` are the bytes behind its head. No poller announces again what else has arrived meanwhile,
    /// the peer's end of stream included: the first call receives all of it.
    pub(super) fn from_opening(transport: T, connection: Connection, unread: &[u8]) -> Self {
        let backlog = Backlog { unread: RecvBuffer::new(unread), ..Backlog::default() };
        Self { state: StreamState::new(transport, connection, backlog, Incoming::ToTheEnd) }
    }

    /// Does everything that a readiness, a deadline or [`Wants::again`] asks for.
    ///
    /// Sends what is unsent, receives, delivers each event to the handler, sends the replies in one system
    /// call, and returns what to wait for now.
    ///
    /// The handler may return the result of its sends. [`SendError::Closed`] changes nothing: a message that
    /// arrives after this end has sent a Close frame gets no reply. Any other refusal stops the call behind
    /// that event and is returned in [`Wants::refused`], with [`Wants::again`]: the rest of the input
    /// is kept for the next call. The connection goes on in either case.
    ///
    /// ```
    /// # use websocket_stream::transport::testing::memory;
    /// use websocket_stream::{CloseCode, Event, Message, Ready};
    /// # use websocket_stream::{Scratch, WebSocketStream};
    /// # let (a, b) = memory::pair(4096);
    /// # let (mut stream, mut peer) = (WebSocketStream::new(a)?, WebSocketStream::client(b)?);
    /// # let (mut scratch, now, ready) = (Scratch::new(), 0, Ready::READABLE);
    /// # peer.send(&mut scratch.at(now), "hello")?;
    /// # peer.send(&mut scratch.at(now), "bye")?;
    ///
    /// let wants = stream.drive(&mut scratch.at(now), ready, |event, out| match event {
    ///     Event::Message(Message::Text("bye")) => out.close(CloseCode::NORMAL, "as you wish"),
    ///     Event::Message(message) => out.send(message),
    ///     // Answered already.
    ///     Event::Ping(_) | Event::Pong(_) | Event::Close(_) => Ok(()),
    ///     Event::Closed(end) => Ok(println!("{end}")),
    /// #   _ => unreachable!("{event:?}"),
    /// })?;
    /// // It waits for the peer's Close frame, and has nothing to send.
    /// assert!(wants.read && !wants.write && !wants.closed);
    /// # assert_eq!(peer.read()?.1, b"hello");
    /// # assert_eq!(peer.read()?.1, b"\x03\xe8as you wish");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// The system's error if the transport has failed. The handler has received [`Event::Closed`] before;
    /// drop the stream.
    #[inline]
    pub fn drive(
        &mut self,
        turn: &mut Turn<'_>,
        ready: Ready,
        mut handler: impl FnMut(Event<'_>, &mut Outgoing<'_>) -> Result<(), SendError>,
    ) -> io::Result<Wants> {
        let outcome =
            CallGuard::new(&mut self.state, turn).run(ready, |event, out| match handler(event, out) {
                Ok(()) | Err(SendError::Closed) => Ok(()),
                refused => refused,
            });
        match outcome {
            Ok(wants) => Ok(wants),
            Err(Stopped::System(error)) => Err(error),
            Err(Stopped::Handler(error)) => Ok(self.refused(error)),
        }
    }

    /// What a stream wants after its handler's message was refused.
    #[cold]
    fn refused(&self, error: SendError) -> Wants {
        let wants = self.wants();
        Wants { again: true, closed: false, refused: Some(error), ..wants }
    }

    /// Calls [`drive`](Self::drive) with a handler that has its own error type.
    ///
    /// A handler's error stops the call at once, and the connection goes on. Earlier replies are sent or
    /// kept, and unused input is kept: the next call goes on behind the event that failed. Make that call
    /// with [`Ready::READABLE`], without waiting, or drop the stream.
    ///
    /// If a message arrives after this end has sent a Close frame, its reply is refused with
    /// [`SendError::Closed`]. A handler that replies should ignore that error.
    ///
    /// ```
    /// use websocket_stream::transport::testing::memory;
    /// use websocket_stream::{Event, Ready, Scratch, SendError, WebSocketStream};
    ///
    /// #[derive(Debug)]
    /// enum Failed {
    ///     NotANumber,
    ///     Sending(SendError),
    ///     System(std::io::Error),
    /// }
    /// # impl From<SendError> for Failed {
    /// #     fn from(error: SendError) -> Self { Self::Sending(error) }
    /// # }
    /// # impl From<std::io::Error> for Failed {
    /// #     fn from(error: std::io::Error) -> Self { Self::System(error) }
    /// # }
    /// # let (a, b) = memory::pair(4096);
    /// # let (mut stream, mut peer) = (WebSocketStream::new(a)?, WebSocketStream::client(b)?);
    /// # let mut scratch = Scratch::new();
    /// # peer.send(&mut scratch.at(0), "41")?;
    /// # peer.send(&mut scratch.at(0), "forty-one")?;
    /// // `Failed` implements `From<SendError>` and `From<io::Error>`.
    /// let outcome = stream.try_drive(&mut scratch.at(0), Ready::READABLE, |event, out| {
    ///     if let Event::Message(message) = event {
    ///         let text = message.as_text().ok_or(Failed::NotANumber)?;
    ///         let number: u32 = text.parse().map_err(|_| Failed::NotANumber)?;
    ///         out.send(&(number + 1).to_string())?;
    ///     }
    ///     Ok(())
    /// });
    /// assert!(matches!(outcome, Err(Failed::NotANumber)));
    /// // The earlier reply is sent.
    /// assert_eq!(peer.read()?.1, b"42");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// The handler's error, or the system's error converted into that type.
    #[inline]
    pub fn try_drive<E: From<io::Error>>(
        &mut self,
        turn: &mut Turn<'_>,
        ready: Ready,
        handler: impl FnMut(Event<'_>, &mut Outgoing<'_>) -> Result<(), E>,
    ) -> Result<Wants, E> {
        CallGuard::new(&mut self.state, turn).run(ready, handler).map_err(|stopped| match stopped {
            Stopped::System(error) => E::from(error),
            Stopped::Handler(error) => error,
        })
    }

    /// Sends outside of a handler; everything that `f` sends leaves in as few system calls as possible.
    ///
    /// ```
    /// # use websocket_stream::transport::testing::memory;
    /// # use websocket_stream::{CloseCode, Scratch, Sent, WebSocketStream};
    /// # let (a, _peer) = memory::pair(4096);
    /// # let (mut stream, mut scratch, now) = (WebSocketStream::new(a)?, Scratch::new(), 0);
    /// let sent = stream.send_with(&mut scratch.at(now), |out| {
    ///     out.send("the last words")?;
    ///     out.close(CloseCode::GOING_AWAY, "")
    /// })?;
    /// assert_eq!(sent, Sent::Written);
    /// # Ok::<(), websocket_stream::Error>(())
    /// ```
    ///
    /// After any call that sends, check [`wants`](Self::wants): the poller may have to wait until the
    /// stream is writable, and a stream that had paused may ask to be called again.
    ///
    /// # Errors
    ///
    /// [`Error::Send`] with the error of `f`; [`Error::System`] if the transport has failed. The next
    /// [`drive`](Self::drive) then delivers the end.
    pub fn send_with(
        &mut self,
        turn: &mut Turn<'_>,
        f: impl FnOnce(&mut Outgoing<'_>) -> Result<(), SendError>,
    ) -> Result<Sent, Error> {
        let mut call = CallGuard::begin(&mut self.state, turn);
        let result = f(&mut call.out());
        call.flush_unblocked();
        call.sent(result)
    }

    /// Sends a whole message.
    ///
    /// # Errors
    ///
    /// As [`send_with`](Self::send_with). The caller keeps a message that was refused.
    pub fn send<'m>(&mut self, turn: &mut Turn<'_>, message: impl Into<Message<'m>>) -> Result<Sent, Error> {
        self.send_with(turn, |out| out.send(message))
    }

    /// Sends a message that was encoded once, for many; drops it if the send buffer is full and
    /// [`IfFull::Drop`] allows that.
    ///
    /// # Errors
    ///
    /// As [`send_with`](Self::send_with); never [`SendError::Full`] with [`IfFull::Drop`].
    pub fn send_prepared(
        &mut self,
        turn: &mut Turn<'_>,
        message: &PreparedMessage,
        if_full: IfFull,
    ) -> Result<Delivery, Error> {
        match (self.send_with(turn, |out| out.send_prepared(message)), if_full) {
            (Err(Error::Send(SendError::Full)), IfFull::Drop) => Ok(Delivery::Dropped),
            (sent, _) => sent.map(Delivery::from),
        }
    }

    /// Begins the closing handshake; see [`Connection::close`].
    ///
    /// Go on driving until [`Wants::closed`].
    ///
    /// ```
    /// use websocket_stream::transport::testing::memory;
    /// use websocket_stream::{CloseCode, Event, Ready, Scratch, WebSocketStream};
    ///
    /// let (a, b) = memory::pair(4096);
    /// let (mut server, mut client) = (WebSocketStream::new(a)?, WebSocketStream::client(b)?);
    /// let mut scratch = Scratch::new();
    ///
    /// server.close(&mut scratch.at(0), CloseCode::GOING_AWAY, "we restart")?;
    /// // The client answers without its handler, and waits for the server to end the stream.
    /// let mut reason = None;
    /// let _ = client.drive(&mut scratch.at(0), Ready::READABLE, |event, _| {
    ///     if let Event::Close(close) = event {
    ///         reason = Some((close.code, close.reason.to_owned()));
    ///     }
    ///     Ok(())
    /// })?;
    /// assert_eq!(reason, Some((CloseCode::GOING_AWAY, "we restart".to_owned())));
    /// // The server receives the answer and ends its direction; then the client is over and drops the
    /// // stream.
    /// let _ = server.drive(&mut scratch.at(0), Ready::READABLE, |_, _| Ok(()))?;
    /// assert!(client.drive(&mut scratch.at(0), Ready::UNKNOWN, |_, _| Ok(()))?.closed);
    /// drop(client);
    /// let mut clean = None;
    /// let wants = server.drive(&mut scratch.at(0), Ready::UNKNOWN, |event, _| {
    ///     if let Event::Closed(end) = event {
    ///         clean = Some(end.is_clean());
    ///     }
    ///     Ok(())
    /// })?;
    /// assert!(wants.closed && clean == Some(true));
    /// # Ok::<(), websocket_stream::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`send_with`](Self::send_with).
    pub fn close(&mut self, turn: &mut Turn<'_>, code: CloseCode, reason: &str) -> Result<Sent, Error> {
        self.send_with(turn, |out| out.close(code, reason))
    }

    /// Tries to send what is unsent.
    ///
    /// # Errors
    ///
    /// [`Error::System`] if the transport has failed.
    pub fn flush(&mut self, turn: &mut Turn<'_>) -> Result<Sent, Error> {
        let mut call = CallGuard::begin(&mut self.state, turn);
        call.flush();
        call.sent(Ok(()))
    }
}

/// Questions between two calls.
impl<T: NonBlockingTransport> WebSocketStream<T> {
    /// Returns what the stream wants of the event loop now.
    ///
    /// [`drive`](Self::drive) returns it, too; ask again after any other call.
    pub fn wants(&self) -> Wants {
        self.state.wants()
    }

    /// Returns when [`drive`](Self::drive) must be called even if nothing is ready.
    ///
    /// The result is in the caller's milliseconds; `None` means never.
    ///
    /// Only closing, unsent bytes, and compression with takeover can bring the deadline forward. If a timer
    /// runs for this stream already, ask again when it has expired, after [`close`](Self::close), and if
    /// [`Wants::write`] is set or [`state`](Self::state) is not open. Memory of the compression is
    /// then freed when that timer has expired.
    ///
    /// The result is `now` if the start of a deadline is unknown: before the first call with a time, and
    /// after a [`read`](Self::read) or [`write`](Self::write), which have none. The deadline then counts
    /// from the next `drive`.
    ///
    /// ```
    /// use std::sync::Arc;
    /// use std::time::Duration;
    /// use websocket_stream::transport::testing::memory;
    /// use websocket_stream::{
    ///     Cause, Config, Event, Ready, Role, Scratch, Timeout, Timeouts, WebSocketStream,
    /// };
    ///
    /// let timeouts = Timeouts::default()
    ///     .ping_interval(Duration::from_secs(20))
    ///     .idle(Duration::from_secs(30));
    /// let config = Arc::new(Config::default().timeouts(timeouts));
    /// let (a, _peer) = memory::pair(4096);
    /// let mut stream = WebSocketStream::with_config(a, Role::Server, config)?;
    /// let mut scratch = Scratch::new();
    /// let _ = stream.drive(&mut scratch.at(1_000), Ready::NONE, |_, _| Ok(()))?;
    ///
    /// let mut cause = None;
    /// while let Some(at) = stream.next_deadline(1_000).filter(|_| cause.is_none()) {
    ///     // A timer has waited until `at`: first to send a ping, then to end the connection.
    ///     let _ = stream.drive(&mut scratch.at(at), Ready::NONE, |event, _| {
    ///         if let Event::Closed(end) = event {
    ///             cause = Some((at, end.cause));
    ///         }
    ///         Ok(())
    ///     })?;
    /// }
    /// assert_eq!(cause, Some((31_000, Cause::Timeout(Timeout::Idle))));
    /// # Ok::<(), websocket_stream::Error>(())
    /// ```
    pub fn next_deadline(&self, now: u64) -> Option<u64> {
        self.state.next_deadline(now)
    }
}

/// Questions that need nothing of the transport.
impl<T> WebSocketStream<T> {
    /// Returns which end of the connection the stream is.
    pub fn role(&self) -> Role {
        self.state.connection.role()
    }

    /// Returns whether the connection is open, closing or over, and how it ended.
    pub fn state(&self) -> State {
        self.state.connection.state()
    }

    /// Returns the payload so far of an unfinished message.
    ///
    /// `None` for a compressed message, and with [`Config::streaming`].
    pub fn partial(&self) -> Option<&[u8]> {
        self.state.connection.partial()
    }

    /// Returns how many bytes were accepted and not yet taken by the transport.
    pub fn unsent(&self) -> usize {
        self.state.unsent()
    }

    /// Returns the heap bytes that the stream holds now; 0 if it is idle.
    ///
    /// The transport's memory and a shared configuration are not counted.
    pub fn heap_bytes(&self) -> usize {
        self.state.heap_bytes()
    }

    /// Returns the configuration.
    pub fn config(&self) -> &Config {
        self.state.connection.config()
    }

    /// Returns the transport. The stream itself has its descriptor, too (`AsFd`, `AsRawFd`).
    pub fn get_ref(&self) -> &T {
        &self.state.transport
    }

    /// Returns the transport. Sending or receiving on it directly breaks frames apart.
    pub fn get_mut(&mut self) -> &mut T {
        &mut self.state.transport
    }
}

/// Compression.
#[cfg(feature = "deflate")]
impl<T> WebSocketStream<T> {
    /// Enables compression as an opening handshake has agreed on it; see [`Connection::with_deflate`].
    ///
    /// A stream from a [`ServerOpening`](super::ServerOpening) or [`ClientOpening`](super::ClientOpening)
    /// needs no call.
    #[must_use]
    pub fn with_deflate(mut self, agreed: crate::deflate::DeflateParams) -> Self {
        self.state.connection = self.state.connection.with_deflate(agreed);
        self
    }

    /// Returns whether compression was agreed on.
    pub fn has_deflate(&self) -> bool {
        self.state.connection.has_deflate()
    }

    /// Frees the memory for compressing with takeover; see [`Connection::drop_send_window`].
    pub fn drop_send_window(&mut self) {
        self.state.connection.drop_send_window();
    }
}
