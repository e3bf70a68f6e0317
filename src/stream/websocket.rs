//! The stream itself.
#![forbid(unsafe_code)]

use super::call::Call;
use super::driving::Stopped;
use super::spill::Spill;
use super::transport_state::{Incoming, TransportState};
use super::{Error, Interest, Outgoing, Ready, Turn};
use crate::frame::CloseCode;
use crate::protocol::{Config, Connection, Event, Message, Role, SendError, SharedConfig, UnreadBytes};
use crate::transport::NonBlockingTransport;
use std::io;
use std::sync::Arc;

/// A WebSocket on a non-blocking transport, whose opening handshake has been made.
///
/// Idle, it owns no heap at all; its buffers are a [`Scratch`](super::Scratch)'s.
///
/// ```
/// use websocket_stream::transport::memory;
/// use websocket_stream::{Event, Message, Ready, Scratch, WebSocketStream};
///
/// let (a, b) = memory::pair(4096);
/// let mut server = WebSocketStream::new(a)?;
/// let mut client = WebSocketStream::client(b)?;
/// let mut scratch = Scratch::new();
///
/// client.send(&mut scratch.at(0), Message::Text("Hello"))?;
/// // The server echoes each message while it is borrowed.
/// let interest = server.drive(&mut scratch.at(0), Ready::READABLE, |event, out| match event {
///     Event::Message(message) => out.send(message),
///     _ => Ok(()),
/// })?;
/// assert!(interest.readable && !interest.writable && !interest.over);
///
/// let mut heard = Vec::new();
/// client.drive(&mut scratch.at(0), Ready::READABLE, |event, _| {
///     if let Event::Message(Message::Text(text)) = event {
///         heard.push(text.to_owned());
///     }
///     Ok(())
/// })?;
/// assert_eq!(heard, ["Hello"]);
/// # Ok::<(), websocket_stream::Error>(())
/// ```
///
/// # Read in one place, write in another
///
/// A handler replies to its own peer only. What goes to others is collected, and sent when the call is
/// over; [`send`](Self::send) may be called at any time, not only where something was received:
///
/// ```
/// # use websocket_stream::transport::memory;
/// # use websocket_stream::{Event, Ready, Scratch, WebSocketStream};
/// # let ((a, x), (b, y)) = (memory::pair(4096), memory::pair(4096));
/// # let (mut from, mut to) = (WebSocketStream::new(a)?, WebSocketStream::new(b)?);
/// # let (mut sender, mut receiver) = (WebSocketStream::client(x)?, WebSocketStream::client(y)?);
/// # let (mut scratch, now) = (Scratch::new(), 0);
/// # sender.send(&mut scratch.at(now), &[1, 2, 3])?;
/// let mut said: Vec<Vec<u8>> = Vec::new();
/// let interest = from.drive(&mut scratch.at(now), Ready::READABLE, |event, _| {
///     if let Event::Message(message) = event {
///         said.push(message.as_bytes().to_vec());
///     }
///     Ok(())
/// })?;
/// for message in &said {
///     let sent = to.send(&mut scratch.at(now), message)?;
///     // Queued: what `to.interest()` says has changed, and its poller has to know.
/// #    assert_eq!(sent, websocket_stream::Sent::Written);
/// }
/// # assert!(interest.readable);
/// # assert_eq!(receiver.read()?.1, [1, 2, 3]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// Between threads, the stream itself moves (it is `Send` where its transport is), or messages do, over
/// a channel that wakes the loop.
///
/// # In parts
///
/// A large message can be sent in parts with [`Outgoing::send_fragment`], none of which must wait for
/// the next. It is received whole, and [`partial`](Self::partial) lends what has come of it so far; with
/// [`Config::in_parts`] it is received in parts, too, and never gathered.
#[derive(Debug)]
pub struct WebSocketStream<T> {
    pub(super) transport: T,
    pub(super) connection: Connection,
    pub(super) state: TransportState,
    pub(super) spill: Option<Box<Spill>>,
}

/// What became of a message that was accepted.
///
/// ```
/// use websocket_stream::transport::memory;
/// use websocket_stream::{Ready, Scratch, Sent, WebSocketStream};
///
/// let (a, b) = memory::pair(100); // takes 100 bytes at once
/// let (mut stream, mut peer) = (WebSocketStream::new(a)?, WebSocketStream::client(b)?);
/// let mut scratch = Scratch::new();
/// let header = 2;
///
/// assert_eq!(stream.send(&mut scratch.at(0), &[1; 60])?, Sent::Written);
/// assert_eq!(stream.send(&mut scratch.at(0), &[2; 60])?, Sent::Queued(2 * (header + 60) - 100));
/// assert!(stream.interest().writable);
/// // The peer reads; the poller says that the stream is writable.
/// assert_eq!(peer.read()?.1, [1; 60]);
/// assert_eq!(stream.flush(&mut scratch.at(0))?, Sent::Written);
/// assert_eq!(peer.read()?.1, [2; 60]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sent {
    /// The transport took all of it.
    Written,
    /// The connection keeps this many bytes and sends them when it can: wait until the transport is
    /// writable, then drive or flush.
    Queued(usize),
    /// There was no place for it, and it was to be dropped then: see [`IfFull::Drop`](super::IfFull).
    Dropped,
}

impl<T: NonBlockingTransport> WebSocketStream<T> {
    /// The server's end on a transport that is already upgraded. Sets it non-blocking, and
    /// `TCP_NODELAY`: what belongs together leaves in one call anyway, and Nagle's algorithm would only
    /// hold a small message back until the peer has acknowledged the last one. Who wants that sets the
    /// option back, through [`get_mut`](Self::get_mut).
    ///
    /// # Errors
    ///
    /// The system's, with its errno, where one of the two cannot be set.
    pub fn new(transport: T) -> io::Result<Self> {
        Self::open(transport, Role::Server, SharedConfig::default())
    }

    /// The client's end on a transport that is already upgraded.
    ///
    /// # Errors
    ///
    /// As [`new`](Self::new).
    pub fn client(transport: T) -> io::Result<Self> {
        Self::open(transport, Role::Client, SharedConfig::default())
    }

    /// Either end, with a configuration that others may share. Its `deflate` counts only where an opening
    /// handshake has agreed on it: see `with_deflate`.
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
        Ok(Self::assemble(transport, connection, Spill::default(), Incoming::Announced))
    }

    /// A stream whose opening handshake has just been made; `unread` came behind its head. More may have
    /// come, and the peer's end of stream, that no poller announces again: the first call looks for it.
    pub(super) fn from_opening(transport: T, role: Role, config: SharedConfig, unread: &[u8]) -> Self {
        let connection = Connection::from_shared(role, config);
        let spill = Spill { unread: UnreadBytes::new(unread), ..Spill::default() };
        Self::assemble(transport, connection, spill, Incoming::ToTheEnd)
    }

    pub(super) fn assemble(transport: T, connection: Connection, spill: Spill, incoming: Incoming) -> Self {
        let state = TransportState { incoming, ..TransportState::default() };
        let spill = (!spill.is_empty()).then(|| Box::new(spill));
        Self { transport, connection, state, spill }
    }

    /// Does everything that a readiness, a deadline or "again" asks for: sends what is unsent,
    /// receives, gives each event to the handler, sends the replies in one call, and says what to
    /// wait for now.
    ///
    /// The handler may return what its sends return. [`SendError::Closed`] changes nothing: a message that
    /// crosses this end's Close frame has no reply. Any other refusal stops the call behind that event and
    /// is returned in [`Interest::refused`], with [`Interest::again`]: the rest of what was received is
    /// kept for the next call. The connection goes on in either case.
    ///
    /// ```
    /// # use websocket_stream::transport::memory;
    /// use websocket_stream::{CloseCode, Event, Message, Ready};
    /// # use websocket_stream::{Scratch, WebSocketStream};
    /// # let (a, b) = memory::pair(4096);
    /// # let (mut stream, mut peer) = (WebSocketStream::new(a)?, WebSocketStream::client(b)?);
    /// # let (mut scratch, now, ready) = (Scratch::new(), 0, Ready::READABLE);
    /// # peer.send(&mut scratch.at(now), "hello")?;
    /// # peer.send(&mut scratch.at(now), "bye")?;
    ///
    /// let interest = stream.drive(&mut scratch.at(now), ready, |event, out| match event {
    ///     Event::Message(Message::Text("bye")) => out.close(CloseCode::NORMAL, "as you wish"),
    ///     Event::Message(message) => out.send(message),
    ///     // What these ask for is answered already.
    ///     Event::Ping(_) | Event::Pong(_) | Event::Close(_) => Ok(()),
    ///     Event::End(end) => Ok(println!("{end}")),
    /// #   _ => unreachable!("{event:?}"),
    /// })?;
    /// // It waits for the peer's Close frame, and has nothing to send.
    /// assert!(interest.readable && !interest.writable && !interest.over);
    /// # assert_eq!(peer.read()?.1, b"hello");
    /// # assert_eq!(peer.read()?.1, b"\x03\xe8as you wish");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// The transport failed, and this connection is dead: [`Event::End`] was given before, and the stream
    /// can be dropped.
    #[inline]
    pub fn drive(
        &mut self,
        turn: &mut Turn<'_>,
        ready: Ready,
        mut handler: impl FnMut(Event<'_>, &mut Outgoing<'_>) -> Result<(), SendError>,
    ) -> io::Result<Interest> {
        let outcome = Call::new(self, turn).run(ready, |event, out| match handler(event, out) {
            Ok(()) | Err(SendError::Closed) => Ok(()),
            refused => refused,
        });
        match outcome {
            Ok(interest) => Ok(interest),
            Err(Stopped::System(error)) => Err(error),
            Err(Stopped::Handler(error)) => Ok(self.refused(error)),
        }
    }

    /// What a stream wants whose handler was refused what it sent.
    #[cold]
    fn refused(&self, error: SendError) -> Interest {
        let interest = self.interest();
        Interest { again: true, over: false, refused: Some(error), ..interest }
    }

    /// [`drive`](Self::drive) for a handler with an error type of its own.
    ///
    /// A handler's error stops the call at once, and the connection goes on. Replies made before it are
    /// sent or kept, and what was received and not used is kept: the next call goes on behind the event
    /// that failed. Make that call with [`Ready::READABLE`], without waiting, or drop the stream.
    ///
    /// A message may cross this end's Close frame, and its reply is then refused. A handler that replies
    /// lets [`SendError::Closed`] pass.
    ///
    /// ```
    /// use websocket_stream::transport::memory;
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
    /// // `Failed` is made of a `SendError` and of an `io::Error` by `From`.
    /// let outcome = stream.try_drive(&mut scratch.at(0), Ready::READABLE, |event, out| {
    ///     if let Event::Message(message) = event {
    ///         let text = message.as_text().ok_or(Failed::NotANumber)?;
    ///         let number: u32 = text.parse().map_err(|_| Failed::NotANumber)?;
    ///         out.send(&(number + 1).to_string())?;
    ///     }
    ///     Ok(())
    /// });
    /// assert!(matches!(outcome, Err(Failed::NotANumber)));
    /// // What was answered before is sent.
    /// assert_eq!(peer.read()?.1, b"42");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// The handler's; a system's error is converted into it.
    #[inline]
    pub fn try_drive<E: From<io::Error>>(
        &mut self,
        turn: &mut Turn<'_>,
        ready: Ready,
        handler: impl FnMut(Event<'_>, &mut Outgoing<'_>) -> Result<(), E>,
    ) -> Result<Interest, E> {
        Call::new(self, turn).run(ready, handler).map_err(|stopped| match stopped {
            Stopped::System(error) => E::from(error),
            Stopped::Handler(error) => error,
        })
    }

    /// Sends outside of a handler: whatever `f` does with the way out leaves in as few calls as
    /// possible.
    ///
    /// ```
    /// # use websocket_stream::transport::memory;
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
    /// Then look at [`interest`](Self::interest), as after any call that sends: the poller has to know what
    /// is queued, and a stream that had paused may ask to be called again.
    ///
    /// # Errors
    ///
    /// [`Error::Send`] with what `f` returned; [`Error::System`] where the transport failed. The next
    /// [`drive`](Self::drive) then gives the end.
    pub fn send_with(
        &mut self,
        turn: &mut Turn<'_>,
        f: impl FnOnce(&mut Outgoing<'_>) -> Result<(), SendError>,
    ) -> Result<Sent, Error> {
        let mut call = Call::begin(self, turn);
        let result = f(&mut call.out());
        call.flush_unblocked();
        call.sent(result)
    }

    /// Sends a whole message.
    ///
    /// # Errors
    ///
    /// As [`send_with`](Self::send_with); a message that was refused is still the caller's.
    pub fn send<'m>(&mut self, turn: &mut Turn<'_>, message: impl Into<Message<'m>>) -> Result<Sent, Error> {
        self.send_with(turn, |out| out.send(message))
    }

    /// Begins the closing handshake; see [`Connection::close`]. Go on driving until
    /// [`Interest::over`].
    ///
    /// ```
    /// use websocket_stream::transport::memory;
    /// use websocket_stream::{CloseCode, Event, Ready, Scratch, WebSocketStream};
    ///
    /// let (a, b) = memory::pair(4096);
    /// let (mut server, mut client) = (WebSocketStream::new(a)?, WebSocketStream::client(b)?);
    /// let mut scratch = Scratch::new();
    ///
    /// server.close(&mut scratch.at(0), CloseCode::GOING_AWAY, "we restart")?;
    /// // The client answers by itself, and waits for the server to end the stream.
    /// let mut reason = None;
    /// let _ = client.drive(&mut scratch.at(0), Ready::READABLE, |event, _| {
    ///     if let Event::Close(close) = event {
    ///         reason = Some((close.code, close.reason.to_owned()));
    ///     }
    ///     Ok(())
    /// })?;
    /// assert_eq!(reason, Some((CloseCode::GOING_AWAY, "we restart".to_owned())));
    /// // The server receives the answer and ends its direction; then the client is over and goes.
    /// let _ = server.drive(&mut scratch.at(0), Ready::READABLE, |_, _| Ok(()))?;
    /// assert!(client.drive(&mut scratch.at(0), Ready::ALL, |_, _| Ok(()))?.over);
    /// drop(client);
    /// let mut clean = None;
    /// let interest = server.drive(&mut scratch.at(0), Ready::ALL, |event, _| {
    ///     if let Event::End(end) = event {
    ///         clean = Some(end.is_clean());
    ///     }
    ///     Ok(())
    /// })?;
    /// assert!(interest.over && clean == Some(true));
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
    /// [`Error::System`] where the transport failed.
    pub fn flush(&mut self, turn: &mut Turn<'_>) -> Result<Sent, Error> {
        let mut call = Call::begin(self, turn);
        call.flush();
        call.sent(Ok(()))
    }
}

#[cfg(feature = "deflate")]
impl<T> WebSocketStream<T> {
    /// The same stream with compression, as its opening handshake agreed on it; see
    /// [`Connection::with_deflate`]. An opening has done that already.
    #[must_use]
    pub fn with_deflate(mut self, agreed: crate::deflate::Agreed) -> Self {
        self.connection = self.connection.with_deflate(agreed);
        self
    }

    /// Whether compression was agreed on.
    pub fn has_deflate(&self) -> bool {
        self.connection.has_deflate()
    }

    /// Gives back the memory for compressing with takeover; see [`Connection::park`].
    pub fn park(&mut self) {
        self.connection.park();
    }
}
