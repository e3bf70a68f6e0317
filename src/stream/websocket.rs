//! The public stream: constructors, calls that do I/O, and methods that do none.
#![forbid(unsafe_code)]

use super::backlog::Backlog;
use super::call::{After, CallGuard, Never, Stopped};
use super::state::{Incoming, StreamState};
use super::{Delivery, Error, IfFull, Outgoing, PreparedMessage, Ready, Sent, Turn, Wants};
use crate::frame::CloseCode;
use crate::protocol::{Config, Connection, Event, Message, RecvBuffer, Role, SendError, SharedConfig, State};
use crate::transport::NonBlockingTransport;
use std::io;
use std::sync::Arc;

/// A WebSocket connection on a non-blocking transport, after the opening handshake.
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
/// A handler can reply only to its own peer. Collect messages for other peers, and send them after the call
/// with [`send`](Self::send), which can be called at any time:
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
///     // If the message is queued, `to.wants()` has changed: update the poller.
/// #    assert_eq!(sent, websocket_stream::Sent::Written);
/// }
/// # assert!(wants.read);
/// # assert_eq!(receiver.read()?.1, [1, 2, 3]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// To use another thread, move the stream there (it is `Send` if its transport is), or send messages over
/// a channel that wakes the event loop.
///
/// # Large messages
///
/// [`Outgoing::send_fragment`] sends a message in fragments, each as soon as it is ready. A fragmented
/// message from the peer is delivered whole; [`partial`](Self::partial) returns the payload that has arrived
/// so far. With [`Config::streaming`], messages are delivered in chunks as they arrive, and never buffered.
#[derive(Debug)]
pub struct WebSocketStream<T> {
    pub(super) state: StreamState<T>,
}

/// Construction and calls.
impl<T: NonBlockingTransport> WebSocketStream<T> {
    /// Creates the server's end on a transport that is already upgraded.
    ///
    /// Puts the transport into non-blocking mode and sets `TCP_NODELAY`. The replies of a call are sent
    /// together anyway, so Nagle's algorithm would only delay a small message until the peer has acknowledged
    /// the previous one. To use Nagle's algorithm, reset the option through [`get_mut`](Self::get_mut).
    ///
    /// # Errors
    ///
    /// The system's error, with its errno, if one of the two options cannot be set.
    pub fn new(transport: T) -> io::Result<Self> {
        Self::open(transport, Role::Server, SharedConfig::default())
    }

    /// Creates the client's end on a transport that is already upgraded.
    ///
    /// # Errors
    ///
    /// See [`new`](Self::new).
    pub fn client(transport: T) -> io::Result<Self> {
        Self::open(transport, Role::Client, SharedConfig::default())
    }

    /// Creates either end, with a configuration that streams can share.
    ///
    /// Does not enable compression, even if the configuration has `deflate`: an opening handshake must
    /// negotiate it first. See `with_deflate`.
    ///
    /// # Errors
    ///
    /// See [`new`](Self::new).
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

    /// Creates a stream after an opening handshake.
    ///
    /// `unread` are the bytes that followed the head. More bytes, or the end of the stream, may have arrived
    /// since. The poller does not announce them again, so the first call receives until nothing is left.
    pub(super) fn from_opening(transport: T, connection: Connection, unread: &[u8]) -> Self {
        let backlog = Backlog { unread: RecvBuffer::new(unread), ..Backlog::default() };
        Self { state: StreamState::new(transport, connection, backlog, Incoming::Unannounced) }
    }

    /// Does the work for a readiness, a deadline or [`Wants::again`].
    ///
    /// Sends the unsent bytes, receives, delivers each event to the handler, sends the replies in one system
    /// call, and returns what to wait for. If [`next_deadline`](Self::next_deadline) returns a time, call
    /// this then, with [`Ready::NONE`].
    ///
    /// The handler may return the result of its sends. [`SendError::Closed`] is ignored: a message that
    /// arrives after this end has sent a Close frame gets no reply. Any other error stops the call after that
    /// event, and is returned in [`Wants::refused`] with [`Wants::again`] set. The rest of the input is kept
    /// for the next call. In both cases, the connection continues.
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
    ///     // Pings and Close frames are answered already.
    ///     Event::Ping(_) | Event::Pong(_) | Event::Close(_) => Ok(()),
    ///     Event::Closed(end) => Ok(println!("{end}")),
    /// #   _ => unreachable!("{event:?}"),
    /// })?;
    /// // The stream waits for the peer's Close frame, and has no unsent bytes.
    /// assert!(wants.read && !wants.write && !wants.closed);
    /// # assert_eq!(peer.read()?.1, b"hello");
    /// # assert_eq!(peer.read()?.1, b"\x03\xe8as you wish");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// The system's error if the transport has failed. The handler has already received [`Event::Closed`];
    /// drop the stream.
    #[inline]
    pub fn drive(
        &mut self,
        turn: &mut Turn<'_>,
        ready: Ready,
        mut handler: impl FnMut(Event<'_>, &mut Outgoing<'_>) -> Result<(), SendError>,
    ) -> io::Result<Wants> {
        let outcome =
            CallGuard::new(&mut self.state, turn).run(ready, Never, |event, out| match handler(event, out) {
                Ok(()) | Err(SendError::Closed) => Ok(()),
                refused => refused,
            });
        match outcome {
            Ok(wants) => Ok(wants.unwrap_or(Wants::READ)),
            Err(Stopped::System(error)) => Err(error),
            Err(Stopped::Handler(error)) => Ok(self.refused(error)),
        }
    }

    /// Returns what the stream wants after a message of its handler was refused.
    #[cold]
    fn refused(&self, error: SendError) -> Wants {
        let wants = self.wants();
        Wants { again: true, closed: false, refused: Some(error), ..wants }
    }

    /// Calls [`drive`](Self::drive) with a handler that has its own error type.
    ///
    /// A handler's error stops the call at once, and the connection continues. Earlier replies are sent or
    /// queued, and unused input is kept: the next call continues after the event that failed. Make that call
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
    /// The handler's error, or the system's error, converted into the handler's error type.
    #[inline]
    pub fn try_drive<E: From<io::Error>>(
        &mut self,
        turn: &mut Turn<'_>,
        ready: Ready,
        handler: impl FnMut(Event<'_>, &mut Outgoing<'_>) -> Result<(), E>,
    ) -> Result<Wants, E> {
        self.try_drive_for_changes(turn, ready, handler).map(|wants| wants.unwrap_or(Wants::READ))
    }

    /// Calls [`try_drive`](Self::try_drive), and returns `None` if there is nothing to do for the event loop.
    ///
    /// Almost every call is ordinary: whole messages arrive, and the transport takes the replies. The stream
    /// then wants [`Wants::READ`], as before the call, and [`next_deadline`](Self::next_deadline) is not
    /// earlier than before, unless compression keeps a window between messages. So neither the poller nor a
    /// timer needs a change.
    ///
    /// ```
    /// # use websocket_stream::transport::testing::memory;
    /// use websocket_stream::{CloseCode, Error, Event, Message, Ready};
    /// # use websocket_stream::{Scratch, WebSocketStream};
    /// # let (a, b) = memory::pair(4096);
    /// # let (mut stream, mut peer) = (WebSocketStream::new(a)?, WebSocketStream::client(b)?);
    /// # let (mut scratch, now) = (Scratch::new(), 0);
    ///
    /// let mut serve = |ready| {
    ///     stream.try_drive_for_changes(&mut scratch.at(now), ready, |event, out| match event {
    ///         Event::Message(Message::Text("bye")) => Ok(out.close(CloseCode::NORMAL, "")?),
    ///         Event::Message(message) => Ok::<_, Error>(out.send(message)?),
    ///         _ => Ok(()),
    ///     })
    /// };
    /// # let mut theirs = Scratch::new();
    /// peer.send(&mut theirs.at(now), "an ordinary message")?;
    /// assert_eq!(serve(Ready::READABLE)?, None);
    /// peer.send(&mut theirs.at(now), "bye")?;
    /// assert!(serve(Ready::READABLE)?.is_some()); // it is closing, so there is a deadline
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// See [`try_drive`](Self::try_drive).
    #[inline]
    pub fn try_drive_for_changes<E: From<io::Error>>(
        &mut self,
        turn: &mut Turn<'_>,
        ready: Ready,
        handler: impl FnMut(Event<'_>, &mut Outgoing<'_>) -> Result<(), E>,
    ) -> Result<Option<Wants>, E> {
        CallGuard::new(&mut self.state, turn).run(ready, Never, handler).map_err(Stopped::into_error)
    }

    /// Calls [`try_drive_for_changes`](Self::try_drive_for_changes), and leaves what ends the connection to a
    /// later call.
    ///
    /// A Close frame is answered when it is read, and nothing can be sent afterwards. So a program that
    /// collects messages, and answers them after the call, could not answer those that arrived together with
    /// a Close frame. After `hold_after` events of this call, a Close frame, or a frame whose header breaks
    /// the protocol, stays unread. [`Wants::again`] is set, and [`is_end_next`](Self::is_end_next) returns
    /// true: answer the messages, then call again with `usize::MAX`.
    ///
    /// Nothing is left if a timeout has passed, or if this end has sent a Close frame, or if the peer has
    /// begun a message in fragments before and not finished it.
    ///
    /// ```
    /// # use websocket_stream::transport::testing::memory;
    /// # use websocket_stream::{CloseCode, Error, Event, Ready, Scratch, WebSocketStream};
    /// # let (a, b) = memory::pair(4096);
    /// # let (mut stream, mut peer) = (WebSocketStream::new(a)?, WebSocketStream::client(b)?);
    /// # let (mut scratch, now) = (Scratch::new(), 0);
    /// peer.send(&mut scratch.at(now), "the last question")?;
    /// peer.close(&mut scratch.at(now), CloseCode::NORMAL, "")?;
    ///
    /// let mut questions = Vec::new();
    /// stream.try_drive_and_hold(&mut scratch.at(now), Ready::READABLE, 1, |event, _| {
    ///     if let Event::Message(message) = event {
    ///         questions.push(message.as_bytes().to_vec());
    ///     }
    ///     Ok::<(), Error>(())
    /// })?;
    /// assert!(stream.is_end_next());
    /// for question in &questions {
    ///     stream.send(&mut scratch.at(now), question)?;
    /// }
    /// # assert_eq!(peer.read()?.1, b"the last question");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// See [`try_drive`](Self::try_drive).
    #[inline]
    pub fn try_drive_and_hold<E: From<io::Error>>(
        &mut self,
        turn: &mut Turn<'_>,
        ready: Ready,
        hold_after: usize,
        handler: impl FnMut(Event<'_>, &mut Outgoing<'_>) -> Result<(), E>,
    ) -> Result<Option<Wants>, E> {
        let hold = After(hold_after);
        CallGuard::new(&mut self.state, turn).run(ready, hold, handler).map_err(Stopped::into_error)
    }

    /// Calls `f` with an [`Outgoing`], to send outside a handler.
    ///
    /// Everything that `f` sends leaves in as few system calls as possible.
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
    /// stream is writable, and a stream that had paused reading may ask to be called again.
    ///
    /// # Errors
    ///
    /// [`Error::Send`] with the error of `f`, or [`Error::System`] if the transport has failed. After
    /// `Error::System`, the next [`drive`](Self::drive) delivers the remaining events and the end.
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
    /// See [`send_with`](Self::send_with).
    pub fn send<'m>(&mut self, turn: &mut Turn<'_>, message: impl Into<Message<'m>>) -> Result<Sent, Error> {
        self.send_with(turn, |out| out.send(message))
    }

    /// Sends a message that was encoded once, for many connections.
    ///
    /// With [`IfFull::Drop`], drops the message if the send buffer is full.
    ///
    /// # Errors
    ///
    /// See [`send_with`](Self::send_with). With [`IfFull::Drop`], never [`SendError::Full`].
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
    /// Continue to drive the stream until [`Wants::closed`] is set.
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
    /// // The client answers automatically, and waits for the server to end the stream.
    /// let mut reason = None;
    /// let _ = client.drive(&mut scratch.at(0), Ready::READABLE, |event, _| {
    ///     if let Event::Close(close) = event {
    ///         reason = Some((close.code, close.reason.to_owned()));
    ///     }
    ///     Ok(())
    /// })?;
    /// assert_eq!(reason, Some((CloseCode::GOING_AWAY, "we restart".to_owned())));
    /// // The server receives the answer and ends its direction. Then the client is closed and is dropped.
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
    /// See [`send_with`](Self::send_with).
    pub fn close(&mut self, turn: &mut Turn<'_>, code: CloseCode, reason: &str) -> Result<Sent, Error> {
        self.send_with(turn, |out| out.close(code, reason))
    }

    /// Tries to send the unsent bytes.
    ///
    /// # Errors
    ///
    /// [`Error::System`] if the transport has failed.
    pub fn flush(&mut self, turn: &mut Turn<'_>) -> Result<Sent, Error> {
        let mut call = CallGuard::begin(&mut self.state, turn);
        call.flush();
        call.sent(Ok(()))
    }

    /// Tries to send the unsent bytes, and applies the timeouts, without receiving before what has arrived:
    /// as if reading was paused, for a caller that has no room for more messages. An end is not delivered,
    /// but [`state`](Self::state) returns it.
    #[cfg(any(feature = "client", feature = "tokio"))]
    pub(crate) fn flush_and_time_out(&mut self, turn: &mut Turn<'_>) -> Result<Sent, Error> {
        let mut call = CallGuard::begin(&mut self.state, turn);
        call.flush_and_time_out();
        call.sent(Ok(()))
    }
}

/// What to do between two calls.
impl<T: NonBlockingTransport> WebSocketStream<T> {
    /// Returns what the stream wants from the event loop now.
    ///
    /// [`drive`](Self::drive) returns the same value; after any other call, call this.
    pub fn wants(&self) -> Wants {
        self.state.wants()
    }

    /// Returns when [`drive`](Self::drive) must be called even if nothing is ready.
    ///
    /// The time is in the caller's milliseconds; `None` means never.
    ///
    /// Only closing, unsent bytes, and compression with context takeover can make the deadline earlier. If a
    /// timer is running for this stream, call this when the timer fires, after [`close`](Self::close), and
    /// whenever [`Wants::write`] is set or [`state`](Self::state) is not open. (The window for context
    /// takeover is then freed when that timer fires, perhaps late.)
    ///
    /// Returns `now` if the start of a timeout is unknown: before the first call with a time, and after
    /// [`read`](Self::read) or [`write`](Self::write), which have no time. The timeout then counts from the
    /// next `drive`.
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
    ///     // The timer fires at `at`: first to send a ping, then to end the connection.
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

/// State and settings.
impl<T> WebSocketStream<T> {
    /// Restarts the timeouts: they count from the next call that has a time.
    ///
    /// For a stream that another event loop continues, whose clock has other times.
    ///
    /// ```
    /// use std::sync::Arc;
    /// use std::time::Duration;
    /// use websocket_stream::transport::testing::memory;
    /// use websocket_stream::{Config, Ready, Role, Scratch, Timeouts, WebSocketStream};
    ///
    /// let config = Config::default().timeouts(Timeouts::OFF.idle(Duration::from_secs(60)));
    /// let (a, _peer) = memory::pair(4096);
    /// let mut stream = WebSocketStream::with_config(a, Role::Server, Arc::new(config))?;
    /// let mut scratch = Scratch::new();
    /// stream.drive(&mut scratch.at(5_000_000), Ready::NONE, |_, _| Ok(()))?; // by the clock of one loop
    /// stream.restart_timeouts();
    /// stream.drive(&mut scratch.at(7), Ready::NONE, |_, _| Ok(()))?; // by the clock of another
    /// assert_eq!(stream.next_deadline(7), Some(60_007));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn restart_timeouts(&mut self) {
        self.state.connection.restart_timeouts();
        if let Some(backlog) = &mut self.state.backlog {
            backlog.unsent.since = None;
            backlog.failed_at = None;
        }
    }

    /// Returns the role of this end.
    pub fn role(&self) -> Role {
        self.state.connection.role()
    }

    /// Returns whether the connection is open, closing or closed, and how it ended.
    pub fn state(&self) -> State {
        self.state.connection.state()
    }

    /// Returns the payload received so far of an unfinished message.
    ///
    /// Returns `None` if no message is unfinished, if the message is compressed, or with
    /// [`Config::streaming`].
    pub fn partial(&self) -> Option<&[u8]> {
        self.state.connection.partial()
    }

    /// Returns whether the unread bytes begin with a Close frame, or with a frame header that breaks the
    /// protocol; see [`try_drive_and_hold`](Self::try_drive_and_hold).
    pub fn is_end_next(&self) -> bool {
        let StreamState { connection, backlog, .. } = &self.state;
        backlog.as_ref().is_some_and(|backlog| connection.ends_next(backlog.unread.as_bytes()))
    }

    /// Returns whether accepted bytes were discarded, because the transport has failed or a timeout has
    /// passed.
    #[cfg(feature = "tokio")]
    pub(crate) fn has_lost(&self) -> bool {
        self.state.sending == super::state::Sending::Lost
    }

    /// Returns the number of accepted bytes that the transport has not taken.
    pub fn unsent(&self) -> usize {
        self.state.unsent()
    }

    /// Returns the heap memory of the stream in bytes.
    ///
    /// An idle stream without context takeover uses none. The transport's memory and the shared configuration
    /// are not counted.
    pub fn heap_bytes(&self) -> usize {
        self.state.heap_bytes()
    }

    /// Returns the configuration.
    pub fn config(&self) -> &Config {
        self.state.connection.config()
    }

    /// Returns the transport. The stream also implements `AsFd` and `AsRawFd` if its transport does.
    pub fn get_ref(&self) -> &T {
        &self.state.transport
    }

    /// Returns the transport, mutably. Sending or receiving on it directly corrupts the stream of frames.
    pub fn get_mut(&mut self) -> &mut T {
        &mut self.state.transport
    }
}

/// Compression.
#[cfg(feature = "deflate")]
impl<T> WebSocketStream<T> {
    /// Enables compression that was negotiated elsewhere; see [`Connection::with_deflate`].
    ///
    /// A stream from a [`ServerOpening`](super::ServerOpening) or [`ClientOpening`](super::ClientOpening)
    /// does not need this call.
    #[must_use]
    pub fn with_deflate(mut self, params: crate::deflate::DeflateParams) -> Self {
        self.state.connection = self.state.connection.with_deflate(params);
        self
    }

    /// Returns whether compression was negotiated.
    pub fn has_deflate(&self) -> bool {
        self.state.connection.has_deflate()
    }

    /// Drops the window of sent messages; see [`Connection::drop_send_window`].
    pub fn drop_send_window(&mut self) {
        self.state.connection.drop_send_window();
    }
}
